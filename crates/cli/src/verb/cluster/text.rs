//! Nodes, links, groups and their copies as text.

use crate::verb::output::{bytes, count, say};
use api::{ClusterStatus, GroupStatus, NodeStatus, ReplicationStatus, Runway};

/// The nodes and groups as text.
pub(crate) fn print(status: &ClusterStatus) {
    let (node, takeover) = (&status.node, &status.takeover);
    say!("cluster, as {node} sees it (takeover: {takeover})");
    for node in &status.nodes {
        say!("  node  {:<12} {}", node.name, state(node));
    }
    if let Some(until) = &status.certificate_until {
        say!("  this node's certificate is valid until {until}");
    }
    match status.witness {
        Some(true) => say!("  the witness answers"),
        Some(false) => say!("  the witness cannot be reached: no group changes its owner"),
        None => {}
    }
    for group in &status.groups {
        print_group(group);
    }
}

fn state(node: &NodeStatus) -> String {
    let mut text = node.state.clone();
    if let Some(ms) = node.silence_ms {
        text += &format!(", heard {ms:.0} ms ago");
    }
    match &node.link {
        Some(link) if !link.up => text += ", link down",
        Some(link) if link.waiting_bytes > 0 => {
            text += &format!(", link up with {} waiting", bytes(link.waiting_bytes));
        }
        Some(_) => text += ", link up",
        None => {}
    }
    text
}

fn print_group(group: &GroupStatus) {
    say!(
        "  group {:<12} {} on {} for {:.1} s, epoch {}, {}",
        group.name,
        group.state,
        group.owner.as_deref().unwrap_or("no node"),
        group.since_s,
        group.epoch,
        group.addresses.join(" "),
    );
    for line in group.replication.iter().flat_map(replication) {
        say!("        {line}");
    }
}

/// What the part of this node is, in one line, and what it amounts to, in another.
fn replication(copy: &ReplicationStatus) -> Vec<String> {
    let sas = format!(
        "{}, {}",
        count_of(copy.ike_sas, "IKE SA"),
        count_of(copy.pairs, "pair")
    );
    match copy.part.as_str() {
        "owner" => vec![standing(copy), figures(copy, &sas)],
        "copy" => {
            let of = copy.of.as_deref().unwrap_or("its owner");
            let stands = match copy.state.as_str() {
                "in_sync" => format!("this node's copy is in sync with {of}: it could go on"),
                _ => format!("this node's copy of {of} is being filled: it could not go on yet"),
            };
            vec![stands, format!("{sas} in the copy")]
        }
        _ => vec!["this node has no copy: it could not go on with its SAs".to_owned()],
    }
}

/// How the owner stands.
fn standing(copy: &ReplicationStatus) -> String {
    let lost = copy.lost.join(", ");
    let mut text = match copy.state.as_str() {
        "guarded" => format!("in sync: {}", copy.in_sync.join(", ")),
        "alone" => "in sync: nobody, so that a crash would lose its SAs".to_owned(),
        "bound" => format!("bound: {lost} is lost and may go on; nothing new is sent on its SAs"),
        _ => format!("silent: {lost} is lost and may go on; SAs are negotiated anew"),
    };
    if !copy.filling.is_empty() {
        text += &format!("; being brought in sync: {}", copy.filling.join(", "));
    }
    text
}

fn figures(copy: &ReplicationStatus, sas: &str) -> String {
    let mut text = sas.to_owned();
    if copy.inherited > 0 {
        text += &format!(" ({} inherited and not needed yet)", copy.inherited);
    }
    if copy.to_replace > 0 {
        text += &format!(
            ", {} to negotiate anew",
            count_of(copy.to_replace, "IKE SA")
        );
    }
    let lag = copy.position.saturating_sub(copy.committed);
    text += &match lag {
        0 => "; all is stored".to_owned(),
        _ => format!(
            "; {} not stored for {:.1} ms",
            count_of(lag, "change"),
            copy.lag_ms
        ),
    };
    if copy.held > 0 {
        text += &format!(", {} held back", count_of(copy.held, "message"));
    }
    if let Some(Runway { numbers, seconds }) = copy.runway {
        let left = seconds
            .map(|left| format!(" ({left:.1} s)"))
            .unwrap_or_default();
        text += &format!("; runway {numbers} packets{left}");
    }
    text
}

fn count_of(number: u64, noun: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), noun)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> ReplicationStatus {
        ReplicationStatus {
            part: "owner".to_owned(),
            state: "guarded".to_owned(),
            of: None,
            in_sync: vec!["be2".to_owned()],
            filling: Vec::new(),
            lost: Vec::new(),
            position: 12,
            committed: 12,
            lag_ms: 0.0,
            runway: None,
            ike_sas: 2,
            inherited: 0,
            pairs: 1,
            held: 0,
            to_replace: 0,
        }
    }

    #[test]
    fn an_owner_says_who_could_go_on_and_how_far_it_gets() {
        let lines = replication(&owner());
        assert_eq!(lines, ["in sync: be2", "2 IKE SAs, 1 pair; all is stored"]);
        let bound = ReplicationStatus {
            state: "bound".to_owned(),
            in_sync: Vec::new(),
            filling: vec!["be3".to_owned()],
            lost: vec!["be2".to_owned()],
            committed: 9,
            lag_ms: 250.04,
            held: 1,
            runway: Some(Runway {
                numbers: 700,
                seconds: Some(1.75),
            }),
            ..owner()
        };
        let wanted = [
            "bound: be2 is lost and may go on; nothing new is sent on its SAs; being brought in \
             sync: be3",
            "2 IKE SAs, 1 pair; 3 changes not stored for 250.0 ms, 1 message held back; runway \
             700 packets (1.8 s)",
        ];
        assert_eq!(replication(&bound), wanted);
    }

    #[test]
    fn a_copy_says_whether_it_could_go_on() {
        let copy = |state: &str| ReplicationStatus {
            part: "copy".to_owned(),
            state: state.to_owned(),
            of: Some("be1".to_owned()),
            ..owner()
        };
        assert!(replication(&copy("in_sync"))[0].ends_with("in sync with be1: it could go on"));
        assert!(replication(&copy("filling"))[0].ends_with("it could not go on yet"));
    }
}
