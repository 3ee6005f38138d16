//! What a reload changes: SAs of rules and peers that stay as they are live on.

use policy::{Peer, PeerName, Rule, RuleName};

use crate::config::settings::Config;

/// The difference of two configurations, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Rules that are only in the new one.
    pub rules_added: Vec<RuleName>,
    /// Rules that are only in the old one: their SAs go.
    pub rules_removed: Vec<RuleName>,
    /// Rules that say something else now: their SAs are made anew.
    pub rules_changed: Vec<RuleName>,
    /// Peers that are only in the new one.
    pub peers_added: Vec<PeerName>,
    /// Peers that are only in the old one: their SAs go.
    pub peers_removed: Vec<PeerName>,
    /// Peers that changed, keys included: their SAs are made anew.
    pub peers_changed: Vec<PeerName>,
    /// Whether `[cluster]` changed.
    pub cluster: bool,
    /// Settings that only a restart can change.
    pub needs_restart: Vec<&'static str>,
}

impl Changes {
    /// Whether both say the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Changes::default()
    }
}

/// What is different in `new`.
#[must_use]
pub fn diff(old: &Config, new: &Config) -> Changes {
    let rule_name = |rule: &Rule| rule.name.clone();
    let (rules_added, rules_removed, rules_changed) =
        compare(&old.rules, &new.rules, rule_name, |a, b| a == b);
    let peer_name = |peer: &Peer| peer.name.clone();
    let (peers_added, peers_removed, peers_changed) =
        compare(old.pad.peers(), new.pad.peers(), peer_name, Peer::same);
    let cluster = match (&old.cluster, &new.cluster) {
        (None, None) => false,
        (Some(old), Some(new)) => !old.same(new),
        _ => true,
    };
    let (node, plane) = ((&old.node, &new.node), (&old.plane, &new.plane));
    let settings = [
        ("node.name", node.0.name != node.1.name),
        ("node.run_dir", node.0.run_dir != node.1.run_dir),
        (
            "node.control_socket",
            node.0.control_socket != node.1.control_socket,
        ),
        ("node.key_log_dir", node.0.key_log_dir != node.1.key_log_dir),
        ("plane.kind", plane.0.kind != plane.1.kind),
        ("plane.tun", plane.0.tun != plane.1.tun),
        ("plane.mtu", plane.0.mtu != plane.1.mtu),
        ("plane.table", plane.0.table != plane.1.table),
        ("plane.mark", plane.0.mark != plane.1.mark),
        (
            "plane.rule_priority",
            plane.0.rule_priority != plane.1.rule_priority,
        ),
    ];
    let needs_restart = settings
        .iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| *name);
    Changes {
        rules_added,
        rules_removed,
        rules_changed,
        peers_added,
        peers_removed,
        peers_changed,
        cluster,
        needs_restart: needs_restart.collect(),
    }
}

fn compare<T, N: PartialEq>(
    old: &[T],
    new: &[T],
    name: impl Fn(&T) -> N,
    same: impl Fn(&T, &T) -> bool,
) -> (Vec<N>, Vec<N>, Vec<N>) {
    let (mut added, mut removed, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    for after in new {
        match old.iter().find(|before| name(before) == name(after)) {
            None => added.push(name(after)),
            Some(before) if !same(before, after) => changed.push(name(after)),
            Some(_) => {}
        }
    }
    for before in old
        .iter()
        .filter(|before| !new.iter().any(|after| name(after) == name(before)))
    {
        removed.push(name(before));
    }
    (added, removed, changed)
}
