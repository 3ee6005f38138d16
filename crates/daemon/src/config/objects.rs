//! `[policy]`, `[[filter_list]]`, `[[filter_action]]`: what Windows keeps as objects of its own,
//! and rules refer to by name.

use std::time::Duration;

use netsh::filters::{Resolve, expand};
use netsh::model::{Address, BootMode, Filter, FilterList};
use policy::{Exemptions, IkeVersion, PortRange, protocol};

use crate::config::action;
use crate::config::basis::ReadPeer;
use crate::config::diagnostic::{Problems, Span};
use crate::config::named::{NamedAction, Objects, PolicyObject};
use crate::config::peer::MAX_NAME;
use crate::config::section::{Bad, Section, Value};
use crate::config::timing::{DAY, MINUTE};
use crate::config::value::{self, MAX_TEXT};
use crate::config::version;

/// Most filter lists, and most filter actions.
const MAX_OBJECTS: usize = 4096;

/// Reads `[policy]`.
pub(crate) fn read_policy(root: &mut Section<'_>, problems: &mut Problems) -> PolicyObject {
    let mut policy = PolicyObject::default();
    let Some(mut section) = root.table(problems, "policy", "[policy]") else {
        return policy;
    };
    let text = |value| value::short_text(value, MAX_TEXT);
    if let Some(name) = section.read(problems, "name", text) {
        policy.name = name;
    }
    policy.description = section
        .read(problems, "description", text)
        .unwrap_or_default();
    let span = section.span_of("ike_proposals");
    let proposals = section.read(problems, "ike_proposals", version::any_ike_proposals);
    policy.ike_proposals = proposals.map(|proposals| (proposals, span));
    policy.rekey = section.read(problems, "rekey", |value| {
        value::duration(value, MINUTE..=30 * DAY)
    });
    let polling = section.read(problems, "polling_interval", |value| {
        value::duration(value, Duration::ZERO..=365 * DAY)
    });
    policy.polling_interval = polling.unwrap_or(policy.polling_interval);
    policy.exemptions = section
        .read(problems, "exemptions", |value| value::number(value, 0..=3))
        .and_then(|level| u8::try_from(level).ok());
    policy.exemptions_span = section.span_of("exemptions");
    let exempt = policy.exemptions.and_then(Exemptions::of_level);
    if exempt.is_some_and(Exemptions::has_kerberos) {
        let message = "whoever sends from port 88 goes past every rule".to_owned();
        let label = "Kerberos is exempt, by either port".to_owned();
        let remedy = "write 3, and `permit` rules for what must pass".to_owned();
        problems.warn(policy.exemptions_span.clone(), message, label, remedy);
    }
    let modes = [BootMode::Permit, BootMode::Stateful, BootMode::Block];
    let modes = modes.map(|mode| (mode.word(), mode));
    policy.boot_mode = section.read(problems, "boot_mode", |value| value::word(value, &modes));
    let limit = section.read(problems, "session_limit", |value| {
        value::number32(value, 0..=u32::MAX)
    });
    policy.session_limit = limit.unwrap_or(0);
    let pfs = section.read(problems, "master_pfs", value::boolean);
    policy.master_pfs = pfs.unwrap_or(false);
    let limited = ["session_limit", "master_pfs"]
        .into_iter()
        .find(|key| section.has(key));
    policy.limit_span = section.span_of(limited.unwrap_or("session_limit"));
    section.finish(problems);
    policy
}

/// Reports a limit of pairs that not every peer can have.
pub(crate) fn check_limit(policy: &PolicyObject, peers: &[ReadPeer], problems: &mut Problems) {
    let newer = |read: &&ReadPeer| read.peer.ike.version == IkeVersion::V2;
    if let Some(read) = peers
        .iter()
        .find(newer)
        .filter(|_| policy.quick_modes() != 0)
    {
        let message = format!(
            "pairs with the peer `{}` share their IKE SA, whatever the limit: it speaks IKEv2",
            read.peer.name
        );
        let remedy = "name a group in `esp_proposals`: each pair then has new keys".to_owned();
        let label = "a limit of IKEv1".to_owned();
        problems.warn(policy.limit_span.clone(), message, label, remedy);
    }
}

/// Reads every `[[filter_list]]` and `[[filter_action]]` to those that there are.
pub(crate) fn read(root: &mut Section<'_>, problems: &mut Problems, objects: &mut Objects) {
    let lists = root.tables(problems, "filter_list", "[[filter_list]]");
    for section in lists.into_iter().take(MAX_OBJECTS) {
        let span = section.span.clone();
        let Some(list) = read_list(section, problems) else {
            continue;
        };
        if objects.list(&list.name).is_some() {
            report_twins("filter lists", &list.name, span, problems);
        }
        objects.filter_lists.push(list);
    }
    let actions = root.tables(problems, "filter_action", "[[filter_action]]");
    for section in actions.into_iter().take(MAX_OBJECTS) {
        let span = section.span.clone();
        let Some(action) = read_action(section, problems) else {
            continue;
        };
        if objects.action(&action.name).is_some() {
            report_twins("filter actions", &action.name, span, problems);
        }
        objects.filter_actions.push(action);
    }
}

fn report_twins(kind: &str, name: &str, span: Span, problems: &mut Problems) {
    let message = format!("two of the {kind} are called `{name}`");
    let remedy = "give each its own name".to_owned();
    problems.error(span, message, "the second one".to_owned(), remedy);
}

/// The name and the description of a section; its title is made of the name.
pub(crate) fn head(
    section: &mut Section<'_>,
    problems: &mut Problems,
    example: &str,
) -> (Option<String>, String) {
    let name = section.require(problems, "name", example, |value| {
        value::short_text(value, MAX_NAME)
    });
    if let Some(name) = &name {
        section.title = format!("{} `{name}`", section.title);
    }
    let description = section.read(problems, "description", |value| {
        value::short_text(value, MAX_TEXT)
    });
    (name, description.unwrap_or_default())
}

fn read_list(mut section: Section<'_>, problems: &mut Problems) -> Option<FilterList> {
    let (name, description) = head(&mut section, problems, "\"mail\"");
    let tables = section.tables(problems, "filter", "[[filter_list.filter]]");
    let mut filters = Vec::new();
    for mut table in tables {
        table.title = format!("[[filter_list.filter]] of {}", section.title);
        filters.extend(read_filter(table, problems));
    }
    section.finish(problems);
    Some(FilterList {
        name: name?,
        description,
        filters,
    })
}

fn read_filter(mut section: Section<'_>, problems: &mut Problems) -> Option<Filter> {
    let source = section.require(problems, "source", "\"any\"", address);
    let destination = section.require(problems, "destination", "\"me\"", address);
    let named = section.read(problems, "protocol", value::protocol);
    let source_port = section.read(problems, "source_port", port).unwrap_or(0);
    let destination_port = section
        .read(problems, "destination_port", port)
        .unwrap_or(0);
    let mirrored = section.read(problems, "mirrored", value::boolean);
    let description = section.read(problems, "description", |value| {
        value::short_text(value, MAX_TEXT)
    });
    let ports = source_port != 0 || destination_port != 0;
    let protocol = named.unwrap_or(if ports { protocol::TCP } else { 0 });
    if ports && !protocol::has_ports(protocol) {
        let message = format!("{} names ports of a protocol that has none", section.title);
        let remedy = "write `protocol = \"tcp\"` or `\"udp\"`, or leave the ports out".to_owned();
        let span = section.span_of("protocol");
        problems.error(span, message, "no such ports".to_owned(), remedy);
    }
    section.finish(problems);
    Some(Filter {
        source: source?,
        destination: destination?,
        protocol,
        source_port,
        destination_port,
        mirrored: mirrored.unwrap_or(true),
        description: description.unwrap_or_default(),
    })
}

fn address(value: &Value<'_>) -> Result<Address, Bad> {
    let text = value::text(value)?;
    Address::parse(text).map_err(|reason| {
        let remedy = "write `me`, `any`, `dns`, `dhcp`, `gateway`, a host, a subnet, a range or a \
                      DNS name";
        Bad::new(reason, remedy)
    })
}

/// One port: a Windows filter has no ranges.
fn port(value: &Value<'_>) -> Result<u16, Bad> {
    match value::ports(value)? {
        PortRange { start, end } if start == end => Ok(start),
        _ => Err(Bad::new(
            "a filter of a list has single ports",
            "write one filter for each port, or a range in `remote_ports` of a rule",
        )),
    }
}

fn read_action(mut section: Section<'_>, problems: &mut Problems) -> Option<NamedAction> {
    let (name, description) = head(&mut section, problems, "\"require\"");
    let has_idle = section.has("idle");
    let proposals = action::read_proposals(&mut section, problems);
    let action = action::read(&mut section, problems);
    section.finish(problems);
    Some(NamedAction {
        name: name?,
        description,
        action: action?,
        proposals,
        has_idle,
    })
}

/// What a rule's `filter_list` stands for; what is wrong with it is reported at its place.
pub(crate) fn filters_of(
    section: &mut Section<'_>,
    problems: &mut Problems,
    objects: &Objects,
    tunnel: bool,
    resolve: Resolve<'_>,
) -> Option<(String, Vec<policy::Filter>)> {
    let read = section.read(problems, "filter_list", |value| {
        let name = value::text(value)?;
        let known = objects.filter_lists.iter().map(|list| list.name.as_str());
        let list = objects
            .list(name)
            .ok_or_else(|| unknown("filter list", "[[filter_list]]", name, known))?;
        let mut filters = Vec::new();
        for filter in &list.filters {
            let expanded = expand(filter, tunnel, resolve).map_err(|reason| {
                let remedy = "write its address instead, or see to it that it has one";
                Bad::new(format!("{reason}, in the filter list `{name}`"), remedy)
            })?;
            filters.extend(expanded);
        }
        Ok((list.name.clone(), filters))
    })?;
    if read.1.is_empty() {
        let message = format!("{} has no filter, so it is about nothing", section.title);
        let remedy = "add a `[[filter_list.filter]]` to its list".to_owned();
        let span = section.span_of("filter_list");
        problems.warn(span, message, "an empty list".to_owned(), remedy);
    }
    Some(read)
}

/// What a rule's `filter_action` stands for.
pub(crate) fn action_of(
    section: &mut Section<'_>,
    problems: &mut Problems,
    objects: &Objects,
) -> Option<NamedAction> {
    section.read(problems, "filter_action", |value| {
        let name = value::text(value)?;
        let known = objects.filter_actions.iter().map(|one| one.name.as_str());
        let action = objects
            .action(name)
            .ok_or_else(|| unknown("filter action", "[[filter_action]]", name, known))?;
        Ok(action.clone())
    })
}

fn unknown<'a>(kind: &str, table: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Bad {
    let remedy = match policy::suggest::nearest(name, known) {
        Some(nearest) => format!("did you mean `\"{nearest}\"`?"),
        None => format!("write a `{table}` of that name"),
    };
    Bad::new(
        format!("there is no {kind} `{}`", name.escape_debug()),
        remedy,
    )
}
