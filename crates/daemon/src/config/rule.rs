//! `[[rule]]` and `[[rule.filter]]`.

use std::net::IpAddr;
use std::sync::Arc;

use netsh::filters::Resolve;
use netsh::model::Connections;
use policy::child::Mode;
use policy::profile::{Profile, Side};
use policy::{
    Action, AddressSpec, Directions, EspProposal, Exemptions, Filter, Negotiate, Origin, PeerName,
    PortRange, Rule, RuleName, protocol,
};

use crate::config::action::{self, ActionWord, CHILD_KEYS};
use crate::config::diagnostic::{Problems, Span};
use crate::config::named::{DefaultResponse, Objects, PolicyObject, RuleObject};
use crate::config::objects;
use crate::config::peer::{MAX_ITEMS, MAX_NAME};
use crate::config::section::{Bad, Section, quoted};
use crate::config::value;

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

impl ReadRule {
    /// A rule that has been judged before, and stands elsewhere.
    pub(crate) fn in_force(rule: Rule) -> Self {
        ReadRule {
            rule,
            span: 0..0,
            remote_span: 0..0,
            peer_span: 0..0,
            proposals: None,
            has_idle: true,
        }
    }
}

/// Reads one `[[rule]]`; `None` when it does not hold, or when something essential is missing,
/// which has been reported.
pub(crate) fn read(
    mut section: Section<'_>,
    problems: &mut Problems,
    objects: &mut Objects,
    resolve: Resolve<'_>,
) -> Option<ReadRule> {
    let (name, description) = objects::head(&mut section, problems, "\"mail-passwords\"");
    let tunnel = read_tunnel(&mut section, problems);
    let filters = choose_filters(&mut section, problems, objects, tunnel.is_some(), resolve);
    let peer = section.read(problems, "peer", |value| value::short_text(value, MAX_NAME));
    let chosen = choose_action(&mut section, problems, objects);
    let connections = read_connections(&mut section, problems);
    let active = section.read(problems, "active", value::boolean);
    let listed = section.has("filter_list");
    let remote_span = section.span_of(if listed { "filter_list" } else { "remote" });
    let peer_span = section.span_of("peer");
    let (title, span) = (section.title.clone(), section.span.clone());
    section.finish(problems);
    let (chosen, (filter_list, filters)) = (chosen?, filters?);
    let action = match tunnel {
        Some(_) => in_tunnel(chosen.action),
        None => chosen.action,
    };
    check_filters(&title, &span, &action, &filters, problems)?;
    check_soft(&title, &span, &action, problems);
    let peer = peer.map(|peer| PeerName::new(&peer));
    let rule = Rule {
        name: RuleName::new(&name?),
        filters,
        action,
        peer,
        origin: Origin::File,
    };
    let active = active.unwrap_or(true);
    objects.rules.push(RuleObject {
        rule: rule.clone(),
        description,
        filter_list,
        filter_action: chosen.name,
        tunnel,
        connections,
        active,
    });
    active.then_some(ReadRule {
        rule,
        span,
        remote_span,
        peer_span,
        proposals: chosen.proposals,
        has_idle: chosen.has_idle,
    })
}

/// Reads `[default_response]`: what answers peers that no other rule is about.
pub(crate) fn read_default(
    root: &mut Section<'_>,
    problems: &mut Problems,
    objects: &mut Objects,
) -> Option<ReadRule> {
    let title = "[default_response]";
    let mut section = root.table(problems, "default_response", title)?;
    let active = section.read(problems, "active", value::boolean);
    let peer = section.read(problems, "peer", |value| value::short_text(value, MAX_NAME));
    let has_idle = section.has("idle");
    let proposals = action::read_proposals(&mut section, problems);
    let child = action::read_child(&mut section, problems, Some(ActionWord::Request));
    let (span, peer_span) = (section.span.clone(), section.span_of("peer"));
    section.finish(problems);
    let rule = Rule {
        name: RuleName::new(DEFAULT_RESPONSE),
        filters: vec![Filter::between(AddressSpec::Me, AddressSpec::Any)],
        action: Action::Negotiate(Negotiate {
            passive: true,
            ..Negotiate::request(child)
        }),
        peer: peer.map(|peer| PeerName::new(&peer)),
        origin: Origin::File,
    };
    let active = active.unwrap_or(true);
    objects.default_response = Some(DefaultResponse {
        active,
        proposals: proposals.as_ref().map(|(proposals, _)| proposals.clone()),
        rule: rule.clone(),
    });
    active.then_some(ReadRule {
        rule,
        remote_span: span.clone(),
        span,
        peer_span,
        proposals,
        has_idle,
    })
}

/// What passes whatever the rules say, as rules.
pub(crate) fn exempt(policy: &PolicyObject) -> Vec<ReadRule> {
    let level = policy.exemptions.and_then(Exemptions::of_level);
    let rules = level.unwrap_or_default().rules().into_iter();
    let read = |rule| ReadRule {
        rule,
        span: policy.exemptions_span.clone(),
        remote_span: policy.exemptions_span.clone(),
        peer_span: policy.exemptions_span.clone(),
        proposals: None,
        has_idle: false,
    };
    rules.map(read).collect()
}

/// The name of the rule of `[default_response]`.
const DEFAULT_RESPONSE: &str = "default-response";

/// `tunnel`: the other end, which is what makes the rule a tunnel.
fn read_tunnel(section: &mut Section<'_>, problems: &mut Problems) -> Option<IpAddr> {
    let tunnel = section.read(problems, "tunnel", |value| {
        let remedy = "write the address of the gateway at the other end";
        let address = value::text(value)?.parse();
        address.map_err(|_| Bad::new("this is not an IP address", remedy))
    });
    if tunnel.is_some() && !section.has("filter_list") {
        let message = format!("{} has a `tunnel` and no `filter_list`", section.title);
        let remedy = "write `mode = \"tunnel\"` and a `peer` instead".to_owned();
        let span = section.span_of("tunnel");
        problems.error(span, message, "not for this rule".to_owned(), remedy);
    }
    tunnel
}

/// Clear text where there is no protection to be had is a matter of hosts.
fn check_soft(title: &str, span: &Span, action: &Action, problems: &mut Problems) {
    if let Action::Negotiate(negotiate) = action
        && negotiate.soft.is_some()
        && negotiate.child.mode == Mode::Tunnel
    {
        let message = format!("{title} is a tunnel, and `soft`");
        let remedy = "leave `soft` out: what belongs into a tunnel has no other way".to_owned();
        problems.error(span.clone(), message, "not both".to_owned(), remedy);
    }
}

fn in_tunnel(action: Action) -> Action {
    match action {
        Action::Negotiate(mut negotiate) => {
            Arc::make_mut(&mut negotiate.child).mode = Mode::Tunnel;
            Action::Negotiate(negotiate)
        }
        other => other,
    }
}

fn read_connections(section: &mut Section<'_>, problems: &mut Problems) -> Connections {
    let words = [("all", Connections::All), ("lan", Connections::Lan)];
    let read = section.read(problems, "connections", |value| value::word(value, &words));
    if read == Some(Connections::Lan) {
        let message = format!("{} holds on every connection", section.title);
        let remedy = "write `connections = \"all\"`, or leave it out".to_owned();
        let span = section.span_of("connections");
        problems.warn(span, message, "kept for Windows".to_owned(), remedy);
    }
    read.unwrap_or(Connections::All)
}

/// What a rule does, and the filter action that says so, if one does.
struct Chosen {
    name: Option<String>,
    action: Action,
    proposals: Option<(Vec<EspProposal>, Span)>,
    has_idle: bool,
}

fn choose_action(
    section: &mut Section<'_>,
    problems: &mut Problems,
    objects: &Objects,
) -> Option<Chosen> {
    if !section.has("filter_action") {
        let _ = section.take("filter_action");
        let has_idle = section.has("idle");
        let proposals = action::read_proposals(section, problems);
        let action = action::read(section, problems)?;
        return Some(Chosen {
            name: None,
            action,
            proposals,
            has_idle,
        });
    }
    let keys = CHILD_KEYS.into_iter().filter(|key| *key != "peer");
    let keys: Vec<&'static str> = keys.chain(["action", "inpass", "soft"]).collect();
    refuse_beside(section, problems, "filter_action", &keys);
    let named = objects::action_of(section, problems, objects)?;
    if named.action.child().is_none() && section.has("peer") {
        action::report_needless(section, problems, &["peer"]);
    }
    Some(Chosen {
        has_idle: named.has_idle,
        proposals: named.proposals,
        action: named.action,
        name: Some(named.name),
    })
}

/// The filters of a rule, and the filter list that has them, if one does.
fn choose_filters(
    section: &mut Section<'_>,
    problems: &mut Problems,
    objects: &Objects,
    tunnel: bool,
    resolve: Resolve<'_>,
) -> Option<(Option<String>, Vec<Filter>)> {
    if !section.has("filter_list") {
        let _ = section.take("filter_list");
        return read_filters(section, problems).map(|filters| (None, filters));
    }
    let keys: Vec<&'static str> = FILTER_KEYS.into_iter().chain(["filter"]).collect();
    refuse_beside(section, problems, "filter_list", &keys);
    let (name, filters) = objects::filters_of(section, problems, objects, tunnel, resolve)?;
    Some((Some(name), filters))
}

/// Reports keys that say once more what `of` says.
fn refuse_beside(
    section: &mut Section<'_>,
    problems: &mut Problems,
    of: &'static str,
    keys: &[&'static str],
) {
    let here: Vec<&str> = keys
        .iter()
        .copied()
        .filter(|key| section.has(key))
        .collect();
    for key in keys {
        let _ = section.take(key);
    }
    let Some(first) = here.first() else { return };
    let message = format!("{} has `{of}` and {} too", section.title, quoted(&here));
    let remedy = format!("move them to where `{of}` points, or leave it out");
    let label = format!("not beside `{of}`");
    problems.error(section.span_of(first), message, label, remedy);
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
    let named = section.read(problems, "protocol", value::protocol);
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
