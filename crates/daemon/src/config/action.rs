//! What happens to traffic: `action` and what belongs to it, in a `[[rule]]` or on its own.

use std::sync::Arc;

use policy::child::{ChildTemplate, DontFragment, Mode, OuterHeader};
use policy::{Action, ChildLifetime, EspProposal, Negotiate, Soft};

use crate::config::diagnostic::{Problems, Span};
use crate::config::section::{Bad, Section, Value, quoted};
use crate::config::timing::{DAY, SECOND};
use crate::config::value;
use crate::config::version::MAX_PROPOSALS;

/// Reads `action` and what belongs to it.
pub(crate) fn read(section: &mut Section<'_>, problems: &mut Problems) -> Option<Action> {
    let words = [
        ("permit", ActionWord::Permit),
        ("block", ActionWord::Block),
        ("require", ActionWord::Require),
        ("request", ActionWord::Request),
    ];
    let action = section.require(problems, "action", "\"require\"", |value| {
        value::word(value, &words)
    });
    let child = read_child(section, problems, action);
    let inpass = section.read(problems, "inpass", value::boolean);
    let soft = section.read(problems, "soft", soft).flatten();
    let given = ["inpass", "soft"].into_iter().find(|key| section.has(key));
    if let Some(key) = given
        && action.is_some_and(|action| action != ActionWord::Require)
    {
        let message = format!("{} has an `{key}` that means nothing", section.title);
        let remedy = "leave it out, or write `action = \"require\"`".to_owned();
        let span = section.span_of(key);
        problems.error(span, message, "belongs to `require`".to_owned(), remedy);
    }
    Some(match action?.with(child) {
        Action::Negotiate(negotiate) => Action::Negotiate(Negotiate {
            inpass: inpass.unwrap_or(false),
            soft,
            ..negotiate
        }),
        other => other,
    })
}

/// `soft`: `true`, `false`, or `"simple"`.
fn soft(value: &Value<'_>) -> Result<Option<Soft>, Bad> {
    if value::text(value).is_ok_and(|text| text == "simple") {
        return Ok(Some(Soft::SIMPLE));
    }
    match value::boolean(value) {
        Ok(wanted) => Ok(wanted.then_some(Soft::WINDOWS)),
        Err(bad) => Err(Bad {
            remedy: "write `true`, `false` or `\"simple\"`".to_owned(),
            ..bad
        }),
    }
}

/// The words of `action`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActionWord {
    Permit,
    Block,
    Require,
    Request,
}

impl ActionWord {
    fn with(self, child: Arc<ChildTemplate>) -> Action {
        match self {
            ActionWord::Permit => Action::Permit,
            ActionWord::Block => Action::Block,
            ActionWord::Require => Action::Negotiate(Negotiate::require(child)),
            ActionWord::Request => Action::Negotiate(Negotiate::request(child)),
        }
    }
}

/// Reports keys of a negotiation where nothing is negotiated.
pub(crate) fn report_needless(section: &Section<'_>, problems: &mut Problems, given: &[&str]) {
    let Some(first) = given.first() else { return };
    let message = format!("{} negotiates nothing", section.title);
    let remedy = format!("leave {} out", quoted(given));
    let span = section.span_of(first);
    problems.error(span, message, "without meaning".into(), remedy);
}

/// The keys that say how traffic is protected, and with whom.
pub(crate) const CHILD_KEYS: [&str; 11] = [
    "peer",
    "mode",
    "esp_proposals",
    "rekey",
    "rekey_bytes",
    "rekey_packets",
    "idle",
    "replay_window",
    "dscp",
    "df",
    "per_resource",
];

pub(crate) fn read_child(
    section: &mut Section<'_>,
    problems: &mut Problems,
    action: Option<ActionWord>,
) -> Arc<ChildTemplate> {
    if matches!(action, Some(ActionWord::Permit | ActionWord::Block)) {
        let given = CHILD_KEYS.into_iter().filter(|key| section.has(key));
        let given: Vec<&str> = given.collect();
        report_needless(section, problems, &given);
    }
    let mut child = ChildTemplate::transport();
    let modes = [("transport", Mode::Transport), ("tunnel", Mode::Tunnel)];
    if let Some(mode) = section.read(problems, "mode", |value| value::word(value, &modes)) {
        child.mode = mode;
    }
    let bounds = 30 * SECOND..=7 * DAY;
    if let Some(rekey) = section.read(problems, "rekey", |value| value::duration(value, bounds)) {
        child.lifetime = ChildLifetime::of(rekey);
    }
    child.lifetime.bytes =
        section.read(problems, "rekey_bytes", |value| value::size(value, 1 << 20));
    let most = ChildLifetime::PACKETS_WITH_ESN;
    let packets = section.read(problems, "rekey_packets", |value| {
        value::number(value, 10_000..=most)
    });
    if let Some(packets) = packets {
        child.lifetime.packets = packets;
    }
    let idle = section.read(problems, "idle", |value| {
        value::duration_or_off(value, 10 * SECOND..=7 * DAY)
    });
    child.idle = idle.flatten();
    let window = section.read(problems, "replay_window", |value| {
        let window = value::number32(value, 64..=65_536)?;
        match window.is_multiple_of(64) {
            true => Ok(window),
            false => Err(Bad::new(
                format!("{window} is no multiple of 64"),
                format!("write {}", window.next_multiple_of(64)),
            )),
        }
    });
    child.replay_window = window.unwrap_or(child.replay_window);
    child.outer = read_outer(section, problems, child.mode);
    child.per_resource = section
        .read(problems, "per_resource", per_resource)
        .unwrap_or(0);
    Arc::new(child)
}

/// `dscp` and `df`: what the outer header of a tunnel says.
fn read_outer(section: &mut Section<'_>, problems: &mut Problems, mode: Mode) -> OuterHeader {
    let given = ["dscp", "df"].into_iter().filter(|key| section.has(key));
    let given: Vec<&str> = given.collect();
    let dscp = section.read(problems, "dscp", |value| {
        if value::text(value).is_ok_and(|text| text == "copy") {
            return Ok(None);
        }
        let number = value::number(value, 0..=63).map_err(|bad| Bad {
            remedy: "write \"copy\" or a number from 0 to 63".to_owned(),
            ..bad
        })?;
        Ok(u8::try_from(number).ok())
    });
    let words = [
        ("copy", DontFragment::Copy),
        ("set", DontFragment::Set),
        ("clear", DontFragment::Clear),
    ];
    let df = section.read(problems, "df", |value| value::word(value, &words));
    if let Some(first) = given.first().filter(|_| mode == Mode::Transport) {
        let message = format!("{} has {} in transport mode", section.title, quoted(&given));
        let remedy = "leave it out, or write `mode = \"tunnel\"`".to_owned();
        let label = "the packet's own header is the outer one".to_owned();
        problems.error(section.span_of(first), message, label, remedy);
    }
    OuterHeader {
        dscp: dscp.flatten(),
        dont_fragment: df.unwrap_or_default(),
    }
}

/// `per_resource`: as many as one IKE SA can have, with room for the rekeying of all.
fn per_resource(value: &Value<'_>) -> Result<u8, Bad> {
    let number = value::number(value, 0..=127)?;
    Ok(u8::try_from(number).unwrap_or(u8::MAX))
}

/// `esp_proposals` and where they stand: whether the peers may have them is not known yet.
pub(crate) fn read_proposals(
    section: &mut Section<'_>,
    problems: &mut Problems,
) -> Option<(Vec<EspProposal>, Span)> {
    let span = section.span_of("esp_proposals");
    let proposals = section.read(problems, "esp_proposals", esp_proposals);
    proposals.map(|proposals| (proposals, span))
}

fn esp_proposals(value: &Value<'_>) -> Result<Vec<EspProposal>, Bad> {
    value::list(value, MAX_PROPOSALS, |item| {
        let remedy = "for example `aes128gcm16` or `aes256-sha256`";
        EspProposal::read(value::text(item)?).map_err(|bad| Bad::new(format!("{bad}"), remedy))
    })
}
