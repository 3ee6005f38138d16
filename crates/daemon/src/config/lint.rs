//! What only shows when the whole file is read: names, peers that cannot be, rules that never
//! decide.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use policy::child::Mode;
use policy::lint::{Tie, shadowed, ties};
use policy::{Action, AddressSpec, Identity, RuleName, Spd, Timers, suggest};

use crate::config::algorithms;
use crate::config::basis::ReadPeer;
use crate::config::diagnostic::{Problems, Span};
use crate::config::failover;
use crate::config::kdc;
use crate::config::rule::ReadRule;
use crate::config::settings::{ClusterNode, ClusterSettings, NodeSettings};

/// Checks everything against everything; gives every rule the idle time of its timers.
pub(crate) fn check(
    rules: &mut [ReadRule],
    peers: &[ReadPeer],
    timers: &Timers,
    cluster: Option<(&ClusterSettings, Span)>,
    node: &NodeSettings,
    problems: &mut Problems,
) {
    check_names(rules, peers, problems);
    check_twins(peers, problems);
    for read in rules.iter_mut() {
        settle(read, peers, timers, problems);
    }
    let spd = expanded(rules);
    check_order(rules, &spd, problems);
    kdc::check(rules, &spd, peers, problems);
    if let Some((cluster, span)) = cluster {
        check_cluster(cluster, &span, node, peers, problems);
    }
    if rules.is_empty() && !problems.has_errors() {
        let message = "the policy has no rule, so all traffic passes in clear text".to_owned();
        let remedy = "write a `[[rule]]`".to_owned();
        problems.warn(0..0, message, "nothing is protected".to_owned(), remedy);
    }
}

/// Checks further rules and peers against those that are in force. The rules, and the peers, are
/// those in force first: so many of them.
pub(crate) fn check_more(
    (rules, old_rules): (&mut [ReadRule], usize),
    (peers, old_peers): (&[ReadPeer], usize),
    (timers, cluster): (&Timers, Option<&ClusterSettings>),
    problems: &mut Problems,
) {
    check_twins(peers, problems);
    let (before, more) = rules.split_at_mut(old_rules);
    let new_peers = peers.get(old_peers..).unwrap_or_default();
    for read in before.iter().filter(|_| !new_peers.is_empty()) {
        algorithms::check_mixture(read, peers, new_peers, problems);
    }
    for read in more {
        settle(read, peers, timers, problems);
    }
    let spd = expanded(rules);
    check_order(rules.get(old_rules..).unwrap_or_default(), &spd, problems);
    kdc::check(rules, &spd, peers, problems);
    let Some(cluster) = cluster else { return };
    for read in new_peers {
        check_cluster_peer(cluster, read, problems);
        failover::check(cluster, (&read.peer, &read.timers), &read.span, problems);
    }
}

/// One rule and its peers; gives it the algorithms and the idle time that it does not name.
fn settle(read: &mut ReadRule, peers: &[ReadPeer], timers: &Timers, problems: &mut Problems) {
    check_peer(read, peers, problems);
    algorithms::settle(read, peers, problems);
    check_lockout(read, problems);
    set_idle(read, peers, timers);
}

fn check_names(rules: &[ReadRule], peers: &[ReadPeer], problems: &mut Problems) {
    let rules = rules
        .iter()
        .map(|read| ("rule", read.rule.name.as_str(), &read.span));
    let peers = peers
        .iter()
        .map(|read| ("peer", read.peer.name.as_str(), &read.span));
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for (kind, name, span) in rules.chain(peers) {
        if seen.contains(&(kind, name)) {
            let message = format!("two of the {kind}s are called `{name}`");
            let remedy = "give each its own name".to_owned();
            problems.error(span.clone(), message, "the second one".to_owned(), remedy);
        }
        seen.push((kind, name));
    }
}

/// Peers that no negotiation can tell apart.
fn check_twins(peers: &[ReadPeer], problems: &mut Problems) {
    for (index, later) in peers.iter().enumerate() {
        let alike = |earlier: &&ReadPeer| {
            earlier.peer.addresses == later.peer.addresses
                && earlier.peer.remote_id == later.peer.remote_id
                && earlier.peer.name != later.peer.name
        };
        if let Some(earlier) = peers.iter().take(index).find(alike) {
            let (a, b) = (&earlier.peer.name, &later.peer.name);
            let message = format!("the peers `{a}` and `{b}` have the same addresses and identity");
            let label = format!("only `{a}` would ever be found");
            let remedy = "make them one, or give each its own `remote_id`".to_owned();
            problems.error(later.span.clone(), message, label, remedy);
        }
    }
}

/// A rule that negotiates must have somebody to do it with.
fn check_peer(read: &ReadRule, peers: &[ReadPeer], problems: &mut Problems) {
    let rule = &read.rule;
    let Some(child) = rule.action.child() else {
        return;
    };
    let name = &rule.name;
    let named = match &rule.peer {
        None => None,
        Some(wanted) => match peers.iter().find(|read| read.peer.name == *wanted) {
            Some(found) => Some(found),
            None => {
                let known = peers.iter().map(|read| read.peer.name.as_str());
                let remedy = match suggest::nearest(wanted.as_str(), known) {
                    Some(nearest) => format!("did you mean `{nearest}`?"),
                    None => "write a `[[peer]]` of that name".to_owned(),
                };
                let message = format!("there is no peer `{wanted}`");
                let label = format!("named by the rule `{name}`");
                problems.error(read.peer_span.clone(), message, label, remedy);
                return;
            }
        },
    };
    if child.mode == Mode::Tunnel {
        if named.and_then(|read| read.peer.endpoint()).is_none() {
            let message = format!("the rule `{name}` is a tunnel without an end to call");
            let remedy = "name a `peer` whose `address` is a host".to_owned();
            problems.error(
                read.peer_span.clone(),
                message,
                "no other end".to_owned(),
                remedy,
            );
        }
        return;
    }
    let in_reach = |peer: &ReadPeer| {
        let mut filters = rule.filters.iter();
        filters.all(|filter| peer.touches(&filter.remote))
    };
    let message = match named {
        Some(read) if !in_reach(read) => {
            format!(
                "the rule `{name}` is about addresses that its peer `{}` has not",
                read.peer.name
            )
        }
        None if !peers.iter().any(in_reach) => {
            format!("the rule `{name}` is about addresses that no peer has")
        }
        _ => return,
    };
    let remedy = "write a `[[peer]]` with these addresses, or correct them".to_owned();
    problems.error(
        read.remote_span.clone(),
        message,
        "nobody is there".to_owned(),
        remedy,
    );
}

/// A rule that would cut the host off.
fn check_lockout(read: &ReadRule, problems: &mut Problems) {
    let closes = match &read.rule.action {
        Action::Block => true,
        Action::Negotiate(negotiate) => {
            negotiate.required && negotiate.child.mode == Mode::Transport
        }
        Action::Exempt | Action::Permit => false,
    };
    let total = read.rule.filters.iter().any(|filter| {
        filter.protocol == 0
            && filter.remote.contains(&AddressSpec::Any)
            && filter.local_ports.is_empty()
            && filter.remote_ports.is_empty()
    });
    if closes && total {
        let message = format!(
            "the rule `{}` closes everything to everybody, DHCP, DNS and SSH included",
            read.rule.name
        );
        let remedy = "name addresses or ports, or add `permit` rules for what must pass".to_owned();
        problems.warn(
            read.remote_span.clone(),
            message,
            "everybody".to_owned(),
            remedy,
        );
    }
}

/// The idle time of the timers' profile, where the rule says nothing itself.
fn set_idle(read: &mut ReadRule, peers: &[ReadPeer], timers: &Timers) {
    let rule = &mut read.rule;
    let idle = peers
        .iter()
        .find(|found| found.serves(rule))
        .map_or(timers.idle, |found| found.timers.idle);
    if let Action::Negotiate(negotiate) = &mut rule.action
        && !read.has_idle
        && idle.is_some()
    {
        Arc::make_mut(&mut negotiate.child).idle = idle;
    }
}

/// What `me` will be is not known here: two addresses of the documentation's ranges stand for it.
fn expanded(rules: &[ReadRule]) -> Spd {
    let me = [
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    ];
    Spd::build(rules.iter().map(|read| read.rule.clone()).collect(), &me)
}

/// Ties of these rules, and those of them that never decide.
fn check_order(rules: &[ReadRule], spd: &Spd, problems: &mut Problems) {
    let span = |name: &RuleName| -> Option<Span> {
        let found = rules.iter().find(|read| read.rule.name == *name);
        found.map(|read| read.span.clone())
    };
    let hidden = shadowed(spd);
    for (rule, by) in &hidden {
        let Some(span) = span(rule) else { continue };
        let message = format!("the rule `{rule}` never decides anything: `{by}` comes before it");
        let remedy = "remove it, or make it more specific".to_owned();
        problems.warn(span, message, "without effect".to_owned(), remedy);
    }
    for Tie {
        first,
        second,
        traffic,
    } in ties(spd)
    {
        if hidden.iter().any(|(rule, _)| *rule == second) {
            continue;
        }
        let Some(span) = span(&second) else { continue };
        let message = format!("the rules `{first}` and `{second}` are equally specific");
        let label = format!("`{first}` decides about {traffic}, by its action or its name");
        let remedy = "make one of them more specific".to_owned();
        problems.warn(span, message, label, remedy);
    }
}

fn check_cluster(
    cluster: &ClusterSettings,
    span: &Span,
    node: &NodeSettings,
    peers: &[ReadPeer],
    problems: &mut Problems,
) {
    let mut wrong = |message: String, remedy: &str| {
        problems.error(
            span.clone(),
            message,
            "in [cluster]".to_owned(),
            remedy.to_owned(),
        );
    };
    let first = cluster.nodes.first().map(|first| first.name.as_str());
    if let Some(own) = node.name.as_deref().or(first) {
        if cluster.node(own).is_none() {
            wrong(
                format!("this node is called `{own}`, and the cluster has no such node"),
                "correct `name` in `[node]`, or in a `[[cluster.node]]`",
            );
        } else if let Err(sentence) = cluster.member(own) {
            let sentence = sentence.trim_end_matches('.').to_owned();
            wrong(sentence, "correct it in `[cluster]`");
        }
    }
    let mut seen: Vec<(IpAddr, &str)> = Vec::new();
    for group in &cluster.groups {
        for (address, _) in &group.addresses {
            let name = group.name.as_str();
            if let Some(node) = cluster.nodes.iter().find(|node| is_at(node, *address)) {
                let node = &node.name;
                wrong(
                    format!("{address} of the group `{name}` is the node `{node}`'s own address"),
                    "a virtual address moves, so the nodes cannot be heard at it",
                );
            }
            if let Some((_, other)) = seen.iter().find(|(other, _)| other == address) {
                wrong(
                    format!("the groups `{other}` and `{name}` both have {address}"),
                    "an address can be in one group only",
                );
            }
            seen.push((*address, name));
        }
    }
    for read in peers {
        check_cluster_peer(cluster, read, problems);
        failover::check(cluster, (&read.peer, &read.timers), &read.span, problems);
    }
}

fn is_at(node: &ClusterNode, address: IpAddr) -> bool {
    node.addresses.iter().any(|own| own.ip() == address)
}

fn check_cluster_peer(cluster: &ClusterSettings, read: &ReadPeer, problems: &mut Problems) {
    let name = &read.peer.name;
    let mut secrets = read.peer.ways().flat_map(|(auth, _)| auth.secrets());
    if secrets.any(|secret| secret.constant_time_eq(&cluster.key)) {
        let message = format!("the peer `{name}` has the cluster's key");
        let remedy = "make another one with `holdfast psk`".to_owned();
        let label = "whoever has it could speak for a node".to_owned();
        problems.error(read.span.clone(), message, label, remedy);
    }
    let Identity::Address(address) = &read.peer.local_id else {
        return;
    };
    if cluster.nodes.iter().any(|node| is_at(node, *address)) {
        let message =
            format!("to the peer `{name}` we are {address}, which does not move with a group");
        let remedy = "use the virtual address, or leave `local_id` out".to_owned();
        let label = "after a takeover the other node says something else".to_owned();
        problems.warn(read.span.clone(), message, label, remedy);
    }
}
