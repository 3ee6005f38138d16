//! The timers' profile: at the top of the file for all, or of one peer.

use std::time::Duration;

use policy::{Liveness, Retransmission, Timers};

use crate::config::diagnostic::Problems;
use crate::config::section::{Bad, Section, Value};
use crate::config::value;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Modern,
    Kb821839,
}

/// The timers that `profile` and `nlbs_flags` of a section choose, else the inherited ones.
pub(crate) fn profile(
    section: &mut Section<'_>,
    problems: &mut Problems,
    inherited: &Timers,
) -> Timers {
    let names = [("modern", Name::Modern), ("kb821839", Name::Kb821839)];
    let read = section.read(problems, "profile", |value| {
        value::word(value, &names).map_err(|bad| match value::text(value) {
            Ok("passwords" | "messages" | "everything") => Bad {
                remedy: "this profile chooses traffic: it belongs into a [[rule]]".to_owned(),
                ..bad
            },
            _ => bad,
        })
    });
    let flags = section.read(problems, "nlbs_flags", |value| value::number(value, 0..=1));
    let kb821839 = match read {
        Some(name) => name == Name::Kb821839,
        None => *inherited != Timers::modern(),
    };
    if flags.is_some() && !kb821839 {
        let message = "`nlbs_flags` shortens a timer that this profile does not have".to_owned();
        let remedy = "set `profile = \"kb821839\"` too, or leave `nlbs_flags` out".to_owned();
        let span = section.span_of("nlbs_flags");
        problems.error(span, message, format!("in {}", section.title), remedy);
    }
    match (read, flags) {
        (None, None) => inherited.clone(),
        _ if kb821839 => Timers::kb821839(flags == Some(1)),
        _ => Timers::modern(),
    }
}

/// `retransmission`.
pub(crate) fn ladder(value: &Value<'_>) -> Result<Retransmission, Bad> {
    let bounds = Duration::from_millis(10)..=Duration::from_secs(300);
    let most = policy::timers::MAX_GAPS;
    let gaps = value::list(value, most, |gap| value::duration(gap, bounds.clone()))?;
    let wrong = || {
        Bad::new(
            "the ladder needs at least one step",
            "write `[\"1s\", \"2s\"]`",
        )
    };
    Retransmission::new(&gaps).ok_or_else(wrong)
}

/// `liveness`.
pub(crate) fn liveness(value: &Value<'_>) -> Result<Option<Liveness>, Bad> {
    let bounds = Duration::from_millis(100)..=DAY;
    let silence = value::duration_or_off(value, bounds)?;
    Ok(silence.map(|one_way_silence| Liveness { one_way_silence }))
}
