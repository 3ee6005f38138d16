//! `holdfast cluster history`: who moved what, when and why, and how long each step took.

use crate::client::Client;
use crate::failure::Failure;
use crate::verb::output::{self, count, say};
use api::{History, Move, Request};

/// Asks for it and shows it.
///
/// # Errors
/// When the daemon does not answer, or is no member of a cluster.
pub(crate) fn run(last: Option<u32>, ask: &Client, json: bool) -> Result<(), Failure> {
    let result = ask.ask(&Request::ClusterHistory { last })?;
    if json {
        output::json(result);
        return Ok(());
    }
    let history: History = output::read(result)?;
    if history.moves.is_empty() {
        say!("nothing has moved, as far as {} remembers", history.node);
    }
    for place in &history.moves {
        lines(place).iter().for_each(|line| say!("{line}"));
    }
    Ok(())
}

/// A move in one line, and what is known of its steps in another.
fn lines(place: &Move) -> Vec<String> {
    let from = place.from.as_deref().unwrap_or("nobody");
    let mut lines = vec![format!(
        "{} {}: {from} -> {}, epoch {}, {}{}",
        place.time,
        place.group,
        place.to,
        place.epoch,
        reason(&place.reason),
        inherited(place),
    )];
    let steps = steps(place);
    if !steps.is_empty() {
        lines.push(format!("    {}", steps.join(", ")));
    }
    lines
}

/// The reason in words; one of a later version as it is.
fn reason(word: &str) -> &str {
    match word {
        "first_start" => "nobody owned it",
        "planned" => "planned",
        "shutdown" => "its owner shut down",
        "failback" => "failback",
        "failure" => "it failed too often",
        "node_down" => "its owner was gone",
        "conflict" => "two nodes owned it",
        other => other,
    }
}

fn inherited(place: &Move) -> String {
    match (place.inherited, place.ike_sas) {
        (Some(true), Some(sas)) => {
            let sas = usize::try_from(sas).unwrap_or(usize::MAX);
            format!("; went on with {}", count(sas, "IKE SA"))
        }
        (Some(false), _) => "; began without SAs".to_owned(),
        _ => String::new(),
    }
}

fn steps(place: &Move) -> Vec<String> {
    let phases = &place.phases;
    let known = [
        ("gap", place.gap_ms),
        ("silence", phases.silence_ms),
        ("decision", phases.decision_ms),
        ("gate closed to gate open", phases.handover_ms),
        ("addresses up after", phases.addresses_ms),
        ("first packet in after", phases.first_opened_ms),
        ("out after", phases.first_sealed_ms),
        ("services up after", phases.online_ms),
    ];
    let known = known.into_iter().filter_map(|(name, ms)| Some((name, ms?)));
    known
        .map(|(name, ms)| format!("{name} {ms:.1} ms"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::Phases;

    #[test]
    fn a_takeover_reads_as_a_sentence_and_its_steps() {
        let place = Move {
            time: "2026-03-01T12:00:00.123Z".to_owned(),
            group: "mail".to_owned(),
            from: Some("be1".to_owned()),
            to: "be2".to_owned(),
            epoch: 7,
            reason: "node_down".to_owned(),
            inherited: Some(true),
            ike_sas: Some(1),
            phases: Phases {
                silence_ms: Some(100.0),
                addresses_ms: Some(1.26),
                ..Phases::default()
            },
            gap_ms: Some(103.04),
        };
        let wanted = [
            "2026-03-01T12:00:00.123Z mail: be1 -> be2, epoch 7, its owner was gone; went on with \
             1 IKE SA",
            "    gap 103.0 ms, silence 100.0 ms, addresses up after 1.3 ms",
        ];
        assert_eq!(lines(&place), wanted);
        let seen_from_afar = Move {
            from: None,
            reason: "first_start".to_owned(),
            inherited: None,
            ike_sas: None,
            phases: Phases::default(),
            gap_ms: None,
            ..place
        };
        let wanted = ["2026-03-01T12:00:00.123Z mail: nobody -> be2, epoch 7, nobody owned it"];
        assert_eq!(lines(&seen_from_afar), wanted);
    }
}
