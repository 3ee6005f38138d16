//! From a packet without an SA to the negotiation that it needs (RFC 4301 section 4.4.1).

use ike::Acquire;
use policy::explain::select_peer;
use policy::{Action, ChildTemplate, Direction, Mode, Pad, Rule, RuleName, Spd, Verdict};
use std::net::IpAddr;
use std::sync::Arc;
use wire::ip::Flow;

/// Why no negotiation can be begun.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoAcquire {
    /// The policy has changed since the packet was queued.
    NotNegotiated,
    /// No peer fits.
    NoPeer,
}

/// The negotiation for an outbound packet. `outer` is our address where the packet's own source
/// is not (a tunnel).
pub(crate) fn for_flow(
    spd: &Spd,
    pad: &Pad,
    flow: &Flow,
    outer: Option<IpAddr>,
) -> Result<Acquire, NoAcquire> {
    let Verdict::Rule(found) = spd.lookup(flow, Direction::Outbound) else {
        return Err(NoAcquire::NotNegotiated);
    };
    let child = begun(&found.rule.action).ok_or(NoAcquire::NotNegotiated)?;
    let (peer, remote) =
        select_peer(pad, found.rule, flow, Direction::Outbound).map_err(|_| NoAcquire::NoPeer)?;
    let local = match child.mode {
        Mode::Transport => flow.src,
        Mode::Tunnel => outer.unwrap_or(flow.src),
    };
    Ok(Acquire {
        rule: found.rule.name.clone(),
        peer: peer.name.clone(),
        local,
        remote,
        flow: Some(*flow),
        child: Arc::clone(child),
        selectors: found.selectors(flow, Direction::Outbound),
    })
}

/// What is negotiated, if it is ever begun from here.
fn begun(action: &Action) -> Option<&Arc<ChildTemplate>> {
    match action {
        Action::Negotiate(negotiate) if !negotiate.passive => Some(&negotiate.child),
        _ => None,
    }
}

/// The negotiation that a peer needs whose SA this host does not have: for the most specific rule
/// between the two hosts. There is no packet, so the rule's whole selectors are offered.
pub(crate) fn for_hosts(spd: &Spd, pad: &Pad, local: IpAddr, remote: IpAddr) -> Option<Acquire> {
    let between = |rule: &&Rule| begun(&rule.action).is_some();
    let mut flows = spd.entries().iter().filter_map(|entry| {
        spd.rule_of(entry).filter(between)?;
        let fits = entry.pair.local.addresses.contains(local)
            && entry.pair.remote.addresses.contains(remote);
        (!entry.dormant && fits).then_some(Flow {
            src: local,
            dst: remote,
            protocol: entry.pair.local.protocol,
            src_port: entry.pair.local.ports.start,
            dst_port: entry.pair.remote.ports.start,
        })
    });
    let acquire = flows.find_map(|flow| for_flow(spd, pad, &flow, Some(local)).ok())?;
    Some(Acquire {
        flow: None,
        ..acquire
    })
}

/// The negotiation of a rule that covers one remote host, without a packet.
pub(crate) fn for_rule(spd: &Spd, pad: &Pad, name: &RuleName) -> Option<Acquire> {
    let entries = spd.entries().iter().filter(|entry| !entry.dormant);
    let mut of_rule =
        entries.filter(|entry| spd.rule_of(entry).is_some_and(|rule| rule.name == *name));
    of_rule.find_map(|entry| {
        let rule = spd.rule_of(entry)?;
        let local = entry.pair.local.addresses.start();
        let remote = match rule.action.child()?.mode {
            Mode::Transport => entry.pair.remote.addresses.as_host()?,
            Mode::Tunnel => entry.pair.remote.addresses.start(),
        };
        let flow = Flow {
            src: local,
            dst: remote,
            protocol: entry.pair.local.protocol,
            src_port: entry.pair.local.ports.start,
            dst_port: entry.pair.remote.ports.start,
        };
        let outer = spd
            .local_addresses()
            .iter()
            .find(|own| own.is_ipv4() == remote.is_ipv4());
        let acquire = for_flow(spd, pad, &flow, outer.copied()).ok()?;
        Some(Acquire {
            flow: None,
            ..acquire
        })
    })
}
