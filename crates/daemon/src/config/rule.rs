//! `[[rule]]` and `[[rule.filter]]`.

use std::sync::Arc;

use policy::child::{ChildTemplate, DontFragment, Mode, OuterHeader};
use policy::profile::{Profile, Side};
use policy::{
    Action, AddressSpec, ChildLifetime, Directions, EspProposal, Filter, Negotiate, PeerName,
    PortRange, Rule, RuleName, protocol,
};

use crate::config::diagnostic::{Problems, Span};
use crate::config::peer::{MAX_ITEMS, MAX_NAME};
use crate::config::section::{Bad, Section, Value, quoted};
use crate::config::timing::{DAY, SECOND};
use crate::config::value;
use crate::config::version::MAX_PROPOSALS;

/// Most entries that one rule may become: every combination of its lists is one.
const MAX_ENTRIES: usize = 4096;

/// The keys that make a filter, in a rule or in its `[[rule.filter]]` tables.
const FILTER_KEYS: [&str; 9] = [
    "remote",
    "local",
    "protocol",
    "remote_ports",
    "local_ports",
    "profile",
    "side",
    "mirrored",
    "direction",
];

/// A rule, with where it stands.
pub(crate) struct ReadRule {
    pub(crate) rule: Rule,
    pub(crate) span: Span,
    pub(crate) remote_span: Span,
    pub(crate) peer_span: Span,
    /// The proposals for ESP and their place, if they were given: whether the peers of the rule may
    /// have them is not known yet.
    pub(crate) proposals: Option<(Vec<EspProposal>, Span)>,
    /// Whether `idle` was given.
    pub(crate) has_idle: bool,
}

/// Reads one `[[rule]]`; `None` when something essential is missing, which has been reported.
pub(crate) fn read(mut section: Section<'_>, problems: &mut Problems) -> Option<ReadRule> {
    let name = section.require(problems, "name", "\"mail-passwords\"", |value| {
        value::short_text(value, MAX_NAME)
    });
    if let Some(name) = &name {
        section.title = format!("[[rule]] `{name}`");
    }
    let words = [
        ("permit", ActionWord::Permit),
        ("block", ActionWord::Block),
        ("require", ActionWord::Require),
        ("request", ActionWord::Request),
    ];
    let action = section.require(problems, "action", "\"require\"", |value| {
        value::word(value, &words)
    });
    let filters = read_filters(&mut section, problems);
    let peer = section.read(problems, "peer", |value| value::short_text(value, MAX_NAME));
    let has_idle = section.has("idle");
    let proposals_span = section.span_of("esp_proposals");
    let proposals = section.read(problems, "esp_proposals", esp_proposals);
    let proposals = proposals.map(|proposals| (proposals, proposals_span));
    let child = read_child(&mut section, problems, action);
    let (remote_span, peer_span) = (section.span_of("remote"), section.span_of("peer"));
    let (title, span) = (section.title.clone(), section.span.clone());
    section.finish(problems);
    let (action, filters) = (action?.with(child), filters?);
    check_filters(&title, &span, &action, &filters, problems)?;
    let peer = peer.map(|peer| PeerName::new(&peer));
    let rule = Rule {
        name: RuleName::new(&name?),
        filters,
        action,
        peer,
    };
    Some(ReadRule {
        rule,
        span,
        remote_span,
        peer_span,
        proposals,
        has_idle,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ActionWord {
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
            ActionWord::Require => Action::Negotiate(Negotiate {
                required: true,
                child,
            }),
            ActionWord::Request => Action::Negotiate(Negotiate {
                required: false,
                child,
            }),
        }
    }
}

/// Refuses rules that become too many entries, and those that protect one way only.
fn check_filters(
    title: &str,
    span: &Span,
    action: &Action,
    filters: &[Filter],
    problems: &mut Problems,
) -> Option<()> {
    let entries: usize = filters
        .iter()
        .map(combinations)
        .fold(0, usize::saturating_add);
    if entries > MAX_ENTRIES {
        let message = format!("{title} would become {entries} entries");
        let remedy = "use ranges instead of lists, or several rules".to_owned();
        problems.error(
            span.clone(),
            message,
            format!("more than {MAX_ENTRIES}"),
            remedy,
        );
        return None;
    }
    let one_way = filters
        .iter()
        .any(|filter| filter.directions != Directions::Both);
    if one_way && action.child().is_some() {
        let message = format!("{title} protects one way only, which IPsec cannot do");
        let remedy = "leave `mirrored = false` out".to_owned();
        problems.error(
            span.clone(),
            message,
            "an SA has two directions".into(),
            remedy,
        );
    }
    Some(())
}

/// How many entries a filter becomes, `any` counted for both families and `me` for one address.
fn combinations(filter: &Filter) -> usize {
    let addresses = |specs: &[AddressSpec]| {
        specs
            .iter()
            .map(|spec| if *spec == AddressSpec::Any { 2 } else { 1 })
            .sum::<usize>()
    };
    [
        addresses(&filter.local),
        addresses(&filter.remote),
        filter.local_ports.len().max(1),
        filter.remote_ports.len().max(1),
    ]
    .into_iter()
    .fold(1, usize::saturating_mul)
}

fn read_filters(section: &mut Section<'_>, problems: &mut Problems) -> Option<Vec<Filter>> {
    if !section.has("filter") {
        // Asked for all the same, so that a mistyped key finds it.
        let _ = section.take("filter");
        return read_filter(section, problems);
    }
    let here: Vec<&str> = FILTER_KEYS
        .into_iter()
        .filter(|key| section.has(key))
        .collect();
    if let Some(first) = here.first() {
        let message = format!(
            "{} has filters of its own and {} too",
            section.title,
            quoted(&here)
        );
        let remedy = "move them into a `[[rule.filter]]`".to_owned();
        problems.error(
            section.span_of(first),
            message,
            "not beside `filter`".into(),
            remedy,
        );
    }
    FILTER_KEYS.into_iter().for_each(|key| {
        let _ = section.take(key);
    });
    let mut filters = Vec::new();
    let mut complete = true;
    for mut table in section.tables(problems, "filter", "[[rule.filter]]") {
        table.title = format!("[[rule.filter]] of {}", section.title);
        let read = read_filter(&mut table, problems);
        table.finish(problems);
        complete &= read.is_some();
        filters.extend(read.unwrap_or_default());
    }
    (complete && !filters.is_empty()).then_some(filters)
}

/// The filters that one table describes: one, or one for each protocol of a profile.
fn read_filter(section: &mut Section<'_>, problems: &mut Problems) -> Option<Vec<Filter>> {
    let remote = section.require(problems, "remote", "\"10.20.0.10\"", |value| {
        value::list(value, MAX_ITEMS, |item| match value::address_spec(item)? {
            AddressSpec::Me => Err(Bad::new(
                "`me` is this side, not the other",
                "write the other's address",
            )),
            spec => Ok(spec),
        })
    });
    let local = section.read(problems, "local", |value| {
        value::list(value, MAX_ITEMS, value::address_spec)
    });
    let local_given = section.has("local");
    let named = section.read(problems, "protocol", protocol_number);
    let port_list = |value| value::list(value, MAX_ITEMS, value::ports);
    let remote_ports = section
        .read(problems, "remote_ports", port_list)
        .unwrap_or_default();
    let local_ports = section
        .read(problems, "local_ports", port_list)
        .unwrap_or_default();
    let profile = read_profile(section, problems);
    let directions = read_directions(section, problems);
    let (remote, local) = (
        remote?,
        match local_given {
            true => local?,
            false => vec![AddressSpec::Me],
        },
    );
    report_mixed_families(section, problems, &local, &remote);
    let mut filters = match profile? {
        Some((profile, side)) => profile.filters(&local, &remote, side),
        None => {
            let ports = !remote_ports.is_empty() || !local_ports.is_empty();
            let protocol = named.unwrap_or(if ports { protocol::TCP } else { 0 });
            if ports && !protocol::has_ports(protocol) {
                report_portless(section, problems, &remote_ports);
            }
            vec![Filter {
                local,
                remote,
                protocol,
                local_ports,
                remote_ports,
                directions: Directions::Both,
            }]
        }
    };
    filters
        .iter_mut()
        .for_each(|filter| filter.directions = directions);
    Some(filters)
}

fn report_portless(section: &Section<'_>, problems: &mut Problems, remote_ports: &[PortRange]) {
    let key = if remote_ports.is_empty() {
        "local_ports"
    } else {
        "remote_ports"
    };
    let message = format!("{} names ports of a protocol that has none", section.title);
    let remedy = "write `protocol = \"tcp\"` or `\"udp\"`, or leave the ports out".to_owned();
    problems.error(
        section.span_of(key),
        message,
        "no such ports".to_owned(),
        remedy,
    );
}

fn report_mixed_families(
    section: &Section<'_>,
    problems: &mut Problems,
    local: &[AddressSpec],
    remote: &[AddressSpec],
) {
    let has = |specs: &[AddressSpec], v4: bool| {
        specs.iter().any(|spec| match spec {
            AddressSpec::Me | AddressSpec::Any => true,
            AddressSpec::Range(range) => range.is_ipv4() == v4,
        })
    };
    if [true, false]
        .iter()
        .any(|v4| has(local, *v4) && has(remote, *v4))
    {
        return;
    }
    let message = format!("{} can never match: IPv4 here, IPv6 there", section.title);
    let remedy = "name addresses of one family on both sides".to_owned();
    problems.error(
        section.span_of("remote"),
        message,
        "the other family".to_owned(),
        remedy,
    );
}

fn protocol_number(value: &Value<'_>) -> Result<u8, Bad> {
    let remedy = "write `tcp`, `udp`, `icmp`, `icmpv6`, `sctp`, `any` or a number from 1 to 255";
    if let Ok(number) = value::number(value, 1..=255) {
        return Ok(u8::try_from(number).unwrap_or_default());
    }
    let name = value::text(value).map_err(|bad| Bad {
        remedy: remedy.to_owned(),
        ..bad
    })?;
    let shown = name.escape_debug();
    protocol::parse(name).ok_or_else(|| Bad::new(format!("`{shown}` is no protocol"), remedy))
}

/// `profile` and `side`. The outer `None` means that something was wrong with them.
#[allow(
    clippy::option_option,
    reason = "wrong, absent and present are three things"
)]
fn read_profile(
    section: &mut Section<'_>,
    problems: &mut Problems,
) -> Option<Option<(Profile, Side)>> {
    let words = Profile::ALL.map(|profile| (profile.word(), profile));
    let given = section.has("profile");
    let profile = section.read(problems, "profile", |value| {
        value::word(value, &words).map_err(|bad| match value::text(value) {
            Ok("kb821839" | "modern") => Bad {
                remedy: "this profile chooses timers: it belongs to the top or a [[peer]]".into(),
                ..bad
            },
            _ => bad,
        })
    });
    let sides = [("client", Side::Client), ("server", Side::Server)];
    let side = section.read(problems, "side", |value| value::word(value, &sides));
    if !given {
        if side.is_some() {
            let message = format!("{} has a `side` and no `profile`", section.title);
            let remedy = "leave it out: `local_ports` and `remote_ports` say it all".to_owned();
            problems.error(
                section.span_of("side"),
                message,
                "without meaning".into(),
                remedy,
            );
        }
        return Some(None);
    }
    let profile = profile?;
    let beside = ["protocol", "remote_ports", "local_ports"];
    let beside: Vec<&str> = beside.into_iter().filter(|key| section.has(key)).collect();
    if let Some(first) = beside.first() {
        let message = format!(
            "{} has a profile and {} too",
            section.title,
            quoted(&beside)
        );
        let remedy = "keep one of them: the profile names protocol and ports".to_owned();
        problems.error(
            section.span_of(first),
            message,
            "not beside `profile`".into(),
            remedy,
        );
    }
    if let Some(warning) = profile.warning() {
        let message = format!("{}: {warning}", section.title);
        let remedy = "try it with `action = \"request\"` first".to_owned();
        problems.warn(
            section.span_of("profile"),
            message,
            "covers port 88".into(),
            remedy,
        );
    }
    Some(Some((profile, side.unwrap_or(Side::Client))))
}

fn read_directions(section: &mut Section<'_>, problems: &mut Problems) -> Directions {
    let mirrored = section
        .read(problems, "mirrored", value::boolean)
        .unwrap_or(true);
    let words = [("out", Directions::Outbound), ("in", Directions::Inbound)];
    let direction = section.read(problems, "direction", |value| value::word(value, &words));
    if mirrored && direction.is_some() {
        let message = format!("{} is mirrored, so it has no direction", section.title);
        let remedy = "add `mirrored = false`, or leave `direction` out".to_owned();
        problems.error(
            section.span_of("direction"),
            message,
            "both ways".to_owned(),
            remedy,
        );
    }
    match mirrored {
        true => Directions::Both,
        false => direction.unwrap_or(Directions::Outbound),
    }
}

const CHILD_KEYS: [&str; 11] = [
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

fn read_child(
    section: &mut Section<'_>,
    problems: &mut Problems,
    action: Option<ActionWord>,
) -> Arc<ChildTemplate> {
    if matches!(action, Some(ActionWord::Permit | ActionWord::Block)) {
        let given: Vec<&str> = CHILD_KEYS
            .into_iter()
            .filter(|key| section.has(key))
            .collect();
        if let Some(first) = given.first() {
            let message = format!("{} negotiates nothing", section.title);
            let remedy = format!("leave {} out", quoted(&given));
            problems.error(
                section.span_of(first),
                message,
                "without meaning".into(),
                remedy,
            );
        }
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

fn esp_proposals(value: &Value<'_>) -> Result<Vec<EspProposal>, Bad> {
    value::list(value, MAX_PROPOSALS, |item| {
        let remedy = "for example `aes128gcm16` or `aes256-sha256`";
        EspProposal::read(value::text(item)?).map_err(|bad| Bad::new(format!("{bad}"), remedy))
    })
}
