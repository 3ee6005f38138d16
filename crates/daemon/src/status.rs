//! The state of node and plane, as the control socket tells it.

mod cluster;

use crate::plane::DataPlane;
use api::{ChildSa, Counter, IkeSa, RuleStatus, SoftSa};
use ike::{ChildState, IkeState, IkeStatus, Role};
use node::Node;
use policy::Spd;
use std::time::Instant;

pub(crate) use self::cluster::{Sources, cluster};

/// The rules in the order in which they are tried, each with what it covers now.
pub(crate) fn rules(spd: &Spd) -> Vec<RuleStatus> {
    let mut found: Vec<RuleStatus> = Vec::new();
    for entry in spd.entries() {
        let Some(rule) = spd.rule_of(entry) else {
            continue;
        };
        let selectors = format!("{} === {}", entry.pair.local, entry.pair.remote);
        match found
            .iter_mut()
            .find(|known| known.name == rule.name.as_str())
        {
            Some(known) => {
                known.selectors.push(selectors);
                known.dormant &= entry.dormant;
            }
            None => found.push(RuleStatus {
                name: rule.name.to_string(),
                action: rule.action.word().to_owned(),
                selectors: vec![selectors],
                dormant: entry.dormant,
                origin: rule.origin.word().to_owned(),
            }),
        }
    }
    for rule in spd.rules() {
        if !found.iter().any(|known| known.name == rule.name.as_str()) {
            found.push(RuleStatus {
                name: rule.name.to_string(),
                action: rule.action.word().to_owned(),
                selectors: Vec::new(),
                dormant: true,
                origin: rule.origin.word().to_owned(),
            });
        }
    }
    found
}

/// The hosts that are spoken to in clear text although their rule wants protection.
pub(crate) fn soft_sas(node: &Node, now: Instant) -> Vec<SoftSa> {
    let all = node.soft_sas(now);
    all.map(|(rule, remote, left)| SoftSa {
        rule: rule.to_string(),
        remote: remote.to_string(),
        asked_in_s: left.as_secs(),
    })
    .collect()
}

/// The IKE SAs and their children.
pub(crate) fn ike_sas(node: &Node, plane: &dyn DataPlane, now: Instant) -> Vec<IkeSa> {
    node.ike()
        .status(now)
        .iter()
        .map(|sa| ike_sa(sa, plane, now))
        .collect()
}

fn ike_sa(sa: &IkeStatus, plane: &dyn DataPlane, now: Instant) -> IkeSa {
    let (initiator_spi, responder_spi) = match sa.role {
        Role::Initiator => (sa.ike.0, sa.peer_spi),
        Role::Responder => (sa.peer_spi, sa.ike.0),
    };
    let connecting = sa.state == IkeState::Connecting;
    IkeSa {
        peer: sa
            .peer
            .as_ref()
            .map_or_else(|| "unknown".to_owned(), ToString::to_string),
        state: ike_state(sa.state).to_owned(),
        remote_id: sa.remote_id.as_ref().map(ToString::to_string),
        initiator: sa.role == Role::Initiator,
        local: sa.local.to_string(),
        remote: sa.remote.to_string(),
        initiator_spi: format!("{initiator_spi:016x}"),
        responder_spi: format!("{responder_spi:016x}"),
        proposal: sa.suite.as_ref().map(ToString::to_string),
        established_s: (!connecting).then_some(sa.age.as_secs()),
        rekey_in_s: sa.rekey_in.map(|left| left.as_secs()),
        udp_encapsulation: sa.local.port() != crate::plane::IKE_PORT
            && !sa.extensions.contains(&"tcp"),
        extensions: sa.extensions.iter().map(ToString::to_string).collect(),
        child_sas: sa
            .children
            .iter()
            .map(|child| child_sa(child, plane, now))
            .collect(),
    }
}

fn child_sa(child: &ike::ChildStatus, plane: &dyn DataPlane, now: Instant) -> ChildSa {
    let usage = plane.usage_of(child.child);
    let inbound = usage.map(|usage| usage.inbound).unwrap_or_default();
    let outbound = usage.map(|usage| usage.outbound).unwrap_or_default();
    let last = usage.and_then(|usage| usage.last_inbound());
    let list = |side: &[policy::TrafficSelector]| side.iter().map(ToString::to_string).collect();
    ChildSa {
        rule: child.rule.to_string(),
        state: child_state(child.state).to_owned(),
        mode: child.mode.to_string(),
        inbound_spi: format!("{:08x}", child.inbound_spi),
        outbound_spi: format!("{:08x}", child.outbound_spi),
        proposal: child.suite.to_string(),
        esn: child.suite.esn,
        local_selectors: list(&child.selectors.local),
        remote_selectors: list(&child.selectors.remote),
        packets_in: inbound.packets,
        bytes_in: inbound.bytes,
        packets_out: outbound.packets,
        bytes_out: outbound.bytes,
        inbound_idle_s: last.map(|last| now.saturating_duration_since(last).as_secs_f64()),
        installed_s: child.age.as_secs(),
        rekey_in_s: child.rekey_in.map(|left| left.as_secs()),
    }
}

/// What an IKE SA does, in one word.
pub(crate) fn ike_state(state: IkeState) -> &'static str {
    match state {
        IkeState::Connecting => "connecting",
        IkeState::Established => "established",
        IkeState::Rekeying => "rekeying",
        IkeState::Replaced => "replaced",
        IkeState::Closing => "deleting",
    }
}

/// What a pair does, in one word.
pub(crate) fn child_state(state: ChildState) -> &'static str {
    match state {
        ChildState::Installed => "installed",
        ChildState::Rekeying => "rekeying",
        ChildState::Replaced => "rekeyed",
        ChildState::Deleting => "deleting",
    }
}

/// Named counts as the contract has them.
pub(crate) fn counters(counts: impl IntoIterator<Item = (String, u64)>) -> Vec<Counter> {
    let some = counts.into_iter().filter(|(_, count)| *count > 0);
    some.map(|(name, count)| Counter { name, count }).collect()
}
