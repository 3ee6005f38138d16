//! A policy file in the objects of Windows; what Windows does not know is refused, never left out.

use std::net::IpAddr;

use netsh::authentication::Authentication;
use netsh::methods::{Group, KeyExchangeMethod, SecurityMethod};
use netsh::model::{
    ActionKind, Address, DefaultRule, Driver, Filter, FilterAction, FilterList, Negotiation,
    Policy, Rule, Store,
};
use policy::{
    Action, AddressSpec, ChildTemplate, Directions, EspProposal, IkeProposal, IkeVersion, Legacy,
    Mode, Peer, PeerName, PortRange, version,
};

use crate::config::Config;
use crate::config::named::{NamedAction, RuleObject};

/// The store that the file describes, with one policy, which is assigned.
///
/// # Errors
/// The first setting that Windows does not know, as a sentence.
pub(crate) fn store(config: &Config) -> Result<(Store, Driver), String> {
    let objects = &config.objects;
    let mut store = Store {
        policies: Vec::new(),
        filter_lists: objects.filter_lists.clone(),
        filter_actions: Vec::new(),
    };
    let methods = main_mode(config)?;
    let group = methods.first().map(|method| method.group);
    for named in &objects.filter_actions {
        store.filter_actions.push(FilterAction {
            name: named.name.clone(),
            description: named.description.clone(),
            kind: kind(
                &named.action,
                &proposals_of(config, named),
                group,
                &named.name,
            )?,
        });
    }
    let described = &objects.policy;
    let lifetime = described.rekey.map_or(Policy::LIFETIME, minutes);
    let mut policy = Policy {
        description: described.description.clone(),
        master_pfs: described.master_pfs,
        session_limit: described.session_limit,
        lifetime,
        polling_interval: minutes(described.polling_interval),
        assigned: true,
        methods,
        default_rule: default_rule(config, group)?,
        ..Policy::new(&described.name)
    };
    for object in &objects.rules {
        let rule = rule(config, object, group, &mut store)?;
        policy.rules.push(rule);
    }
    store.policies.push(policy);
    let driver = Driver {
        exemptions: described.exemptions,
        boot_mode: described.boot_mode,
    };
    Ok((store, driver))
}

fn minutes(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_secs() / 60).unwrap_or(u32::MAX)
}

/// What main mode offers. Windows has one list for all peers.
fn main_mode(config: &Config) -> Result<Vec<KeyExchangeMethod>, String> {
    let peers = config.pad.peers();
    let proposals = match (&config.objects.policy.ike_proposals, peers) {
        (Some((proposals, _)), _) => proposals,
        (None, [first, ..]) => &first.ike.proposals,
        (None, []) => return Ok(KeyExchangeMethod::defaults()),
    };
    let differs = |peer: &&Peer| {
        let (version, legacy) = (peer.ike.version, peer.ike.legacy);
        let admitted = proposals
            .iter()
            .cloned()
            .map(|one| one.admitted(version, legacy));
        admitted.collect::<Result<Vec<_>, _>>().ok().as_ref() != Some(&peer.ike.proposals)
    };
    if let Some(peer) = peers.iter().find(differs) {
        return Err(format!(
            "The peer `{}` has `ike_proposals` of its own, and Windows has one list for all. Leave \
             them out.",
            peer.name
        ));
    }
    let method = |proposal: &IkeProposal| {
        let text = plain(&proposal.to_string());
        KeyExchangeMethod::from_holdfast(&text).ok_or_else(|| unknown(&text, "ike_proposals"))
    };
    proposals.iter().map(method).collect()
}

/// A proposal without what goes without saying: the function that its hash makes, and whether
/// sequence numbers are long.
fn plain(text: &str) -> String {
    let words: Vec<&str> = text.split('-').collect();
    let is_said = |word: &&&str| {
        let of_hash = word
            .strip_prefix("prf")
            .is_some_and(|hash| words.contains(&hash));
        !of_hash && !["esn", "noesn"].contains(word)
    };
    let words: Vec<&str> = words.iter().filter(is_said).copied().collect();
    words.join("-")
}

fn unknown(text: &str, key: &str) -> String {
    format!(
        "Windows 2003 does not know `{text}` of `{key}`: it has DES and 3DES, MD5 and SHA-1, and \
         groups of 768, 1024 and 2048 bits."
    )
}

/// What a filter action offers: what it names, or else what its rules were given.
fn proposals_of(config: &Config, named: &NamedAction) -> Vec<EspProposal> {
    if let Some((proposals, _)) = &named.proposals {
        return proposals.clone();
    }
    let objects = config.objects.rules.iter();
    let mut users = objects.filter(|object| object.filter_action.as_ref() == Some(&named.name));
    let settled = users.find_map(|object| settled(config, &object.rule));
    settled.unwrap_or_else(|| version::default_esp(IkeVersion::V1, Some(Legacy::Windows2003)))
}

/// What a rule offers, once its peers are known.
fn settled(config: &Config, rule: &policy::Rule) -> Option<Vec<EspProposal>> {
    let known = config.rules.iter().find(|known| known.name == rule.name)?;
    Some(known.action.child()?.proposals.clone())
}

fn kind(
    action: &Action,
    proposals: &[EspProposal],
    group: Option<Group>,
    name: &str,
) -> Result<ActionKind, String> {
    let negotiate = match action {
        Action::Exempt | Action::Permit => return Ok(ActionKind::Permit),
        Action::Block => return Ok(ActionKind::Block),
        Action::Negotiate(negotiate) => negotiate,
    };
    let (pfs, methods) = quick_mode(&negotiate.child, proposals, group, name)?;
    Ok(ActionKind::Negotiate(Negotiation {
        pfs,
        inpass: negotiate.takes_clear(),
        // `request` is what Windows says in two words.
        soft: negotiate.may_fall_back(),
        methods,
    }))
}

fn quick_mode(
    child: &ChildTemplate,
    proposals: &[EspProposal],
    group: Option<Group>,
    name: &str,
) -> Result<(bool, Vec<SecurityMethod>), String> {
    let seconds = u32::try_from(child.lifetime.rekey.as_secs()).unwrap_or(u32::MAX);
    let bytes = child.lifetime.bytes;
    let kilobytes = bytes.map_or(SecurityMethod::KILOBYTES.into(), |bytes| bytes / 1024);
    let kilobytes = u32::try_from(kilobytes).unwrap_or(u32::MAX);
    let mut methods = Vec::new();
    let mut groups = Vec::new();
    for proposal in proposals {
        let text = plain(&proposal.to_string());
        let (method, group) =
            SecurityMethod::from_holdfast(&text).ok_or_else(|| unknown(&text, "esp_proposals"))?;
        groups.push(group);
        methods.push(SecurityMethod {
            kilobytes,
            seconds,
            ..method
        });
    }
    let pfs = groups.first().copied().flatten().is_some();
    let alike = groups
        .iter()
        .all(|of| *of == if pfs { group } else { None });
    match alike {
        true => Ok((pfs, methods)),
        false => Err(format!(
            "The proposals of `{name}` name groups of their own, and Windows takes that of main \
             mode. Name its group in all of them, or in none."
        )),
    }
}

fn authentication(config: &Config, peer: &PeerName) -> Result<Vec<Authentication>, String> {
    let peers = &config.objects.peers;
    let found = peers.iter().find(|object| object.name == *peer);
    found
        .and_then(|object| object.authentication.clone())
        .ok_or_else(|| {
            format!(
                "How the peer `{peer}` proves itself cannot be said on Windows: it knows Kerberos, \
                 a key that both have, and certificates of an authority (name it in `root_ca`)."
            )
        })
}

/// Who a rule is negotiated with: the peer that it names, or the one that its address finds.
fn peer_of(config: &Config, rule: &policy::Rule) -> Result<PeerName, String> {
    if let Some(peer) = &rule.peer {
        return Ok(peer.clone());
    }
    let peers = config.pad.peers();
    let host = |filter: &policy::Filter| match filter.remote.as_slice() {
        [AddressSpec::Range(range)] => range.as_host(),
        _ => None,
    };
    let fits = |address: IpAddr| peers.iter().find(|peer| peer.has_address(address));
    let hosts = rule.filters.iter().find_map(host);
    let found = match (hosts.and_then(fits), peers) {
        (Some(peer), _) => Some(peer),
        (None, [only]) => Some(only),
        _ => None,
    };
    found.map(|peer| peer.name.clone()).ok_or_else(|| {
        format!(
            "The rule `{}` leaves open which peer it is about, and Windows has the authentication \
             in the rule. Name a `peer`.",
            rule.name
        )
    })
}

fn default_rule(config: &Config, group: Option<Group>) -> Result<DefaultRule, String> {
    let quiet = DefaultRule {
        active: false,
        ..DefaultRule::default()
    };
    let Some(default) = &config.objects.default_response else {
        return Ok(quiet);
    };
    let Some(child) = default.rule.action.child() else {
        return Ok(quiet);
    };
    let proposals = settled(config, &default.rule).unwrap_or(child.proposals.clone());
    let proposals = default.proposals.clone().unwrap_or(proposals);
    let (pfs, methods) = quick_mode(child, &proposals, group, "[default_response]")?;
    let peer = peer_of(config, &default.rule)?;
    Ok(DefaultRule {
        active: default.active,
        pfs,
        methods,
        authentication: authentication(config, &peer)?,
    })
}

/// One rule; a list and an action of its own are put into the store for it.
fn rule(
    config: &Config,
    object: &RuleObject,
    group: Option<Group>,
    store: &mut Store,
) -> Result<Rule, String> {
    let name = object.rule.name.to_string();
    let filter_list = match &object.filter_list {
        Some(list) => list.clone(),
        None => {
            let filters = filters(&object.rule)?;
            store.filter_lists.push(FilterList {
                name: name.clone(),
                description: String::new(),
                filters,
            });
            name.clone()
        }
    };
    let filter_action = match &object.filter_action {
        Some(action) => action.clone(),
        None => {
            let proposals = settled(config, &object.rule).unwrap_or_default();
            store.filter_actions.push(FilterAction {
                name: name.clone(),
                description: String::new(),
                kind: kind(&object.rule.action, &proposals, group, &name)?,
            });
            name.clone()
        }
    };
    if let Some(child) = object.rule.action.child()
        && child.mode == Mode::Tunnel
        && object.tunnel.is_none()
    {
        return Err(format!(
            "The rule `{name}` is a tunnel of one rule, and Windows has one for each direction. \
             Write two, each with `tunnel` and a `filter_list`."
        ));
    }
    let authentication = match object.rule.action.child() {
        Some(_) => authentication(config, &peer_of(config, &object.rule)?)?,
        None => vec![Authentication::Kerberos],
    };
    Ok(Rule {
        name,
        description: object.description.clone(),
        filter_list,
        filter_action,
        tunnel: object.tunnel.map(|end| end.to_string()),
        connections: object.connections,
        active: object.active,
        authentication,
    })
}

/// Filters of a rule, one for each combination of its lists.
fn filters(rule: &policy::Rule) -> Result<Vec<Filter>, String> {
    let mut filters = Vec::new();
    for filter in &rule.filters {
        let local_ports = ports(rule, &filter.local_ports)?;
        let remote_ports = ports(rule, &filter.remote_ports)?;
        let sides = filter
            .local
            .iter()
            .flat_map(|local| filter.remote.iter().map(move |remote| (*local, *remote)));
        for (local, remote) in sides {
            for local_port in &local_ports {
                for remote_port in &remote_ports {
                    let inbound = filter.directions == Directions::Inbound;
                    let (local, remote) = (address(local), address(remote));
                    let (source, destination) = match inbound {
                        true => (remote, local),
                        false => (local, remote),
                    };
                    let (source_port, destination_port) = match inbound {
                        true => (*remote_port, *local_port),
                        false => (*local_port, *remote_port),
                    };
                    filters.push(Filter {
                        source,
                        destination,
                        protocol: filter.protocol,
                        source_port,
                        destination_port,
                        mirrored: filter.directions == Directions::Both,
                        description: String::new(),
                    });
                }
            }
        }
    }
    Ok(filters)
}

fn address(spec: AddressSpec) -> Address {
    match spec {
        AddressSpec::Me => Address::Me,
        AddressSpec::Any => Address::Any,
        AddressSpec::Range(range) => Address::Range(range),
    }
}

/// Single ports; 0 for any.
fn ports(rule: &policy::Rule, ranges: &[PortRange]) -> Result<Vec<u16>, String> {
    if ranges.is_empty() {
        return Ok(vec![0]);
    }
    let single = |range: &PortRange| match range.start == range.end {
        true => Ok(range.start),
        false => Err(format!(
            "The rule `{}` has a range of ports ({range}), and a filter of Windows has one port. \
             Name each port.",
            rule.name
        )),
    };
    ranges.iter().map(single).collect()
}
