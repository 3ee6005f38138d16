//! One line of the expanded policy: what a packet is compared with (RFC 4301 section 4.4.1.2).

use std::cmp::Ordering;
use std::net::IpAddr;

use crate::child::Mode;
use crate::order::{self, Weight};
use crate::range::{AddressRange, PortRange};
use crate::rule::{Action, AddressSpec, Directions, Filter, Rule};
use crate::selector::{Direction, SelectorPair, Selectors, TrafficSelector};

/// One combination of a filter's lists: what a packet is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The rule's index in `Spd::rules`.
    pub rule: usize,
    /// The filter's index in the rule.
    pub filter: usize,
    /// The packets.
    pub pair: SelectorPair,
    /// Which way they must go.
    pub directions: Directions,
    /// How specific it is.
    pub weight: Weight,
    /// The entry protects an address that this host does not have now: it matches, so that
    /// nothing leaks, but nothing may be negotiated for it.
    pub dormant: bool,
}

impl Entry {
    /// Whether it is about packets that go in `direction`.
    #[must_use]
    pub fn takes(&self, direction: Direction) -> bool {
        match self.directions {
            Directions::Both => true,
            Directions::Outbound => direction == Direction::Outbound,
            Directions::Inbound => direction == Direction::Inbound,
        }
    }
}

/// Everything that a filter covers. In transport mode the local side is cut down to this host's
/// own addresses.
pub(crate) fn selectors(filter: &Filter, mode: Mode, own: &[IpAddr]) -> Selectors {
    let mut local = expand_addresses(&filter.local, own);
    if mode == Mode::Transport {
        let covered = |address: &&IpAddr| local.iter().any(|range| range.contains(**address));
        local = own
            .iter()
            .filter(covered)
            .copied()
            .map(AddressRange::host)
            .collect();
    }
    let remote = expand_addresses(&filter.remote, own);
    let side = |ranges: &[AddressRange], ports: &[PortRange]| {
        let with_ports = |range: &AddressRange| {
            let range = *range;
            port_list(ports)
                .iter()
                .map(move |ports| selector(filter.protocol, *ports, range))
        };
        ranges.iter().flat_map(with_ports).collect()
    };
    Selectors {
        local: side(&local, &filter.local_ports),
        remote: side(&remote, &filter.remote_ports),
    }
}

fn selector(protocol: u8, ports: PortRange, addresses: AddressRange) -> TrafficSelector {
    TrafficSelector {
        protocol,
        ports,
        addresses,
    }
}

fn port_list(ports: &[PortRange]) -> &[PortRange] {
    if ports.is_empty() {
        &[PortRange::ANY]
    } else {
        ports
    }
}

fn expand_addresses(specs: &[AddressSpec], own: &[IpAddr]) -> Vec<AddressRange> {
    let mut ranges = Vec::new();
    for spec in specs {
        match spec {
            AddressSpec::Me => ranges.extend(own.iter().copied().map(AddressRange::host)),
            AddressSpec::Any => ranges.extend([AddressRange::ANY_V4, AddressRange::ANY_V6]),
            AddressSpec::Range(range) => ranges.push(*range),
        }
    }
    ranges
}

pub(crate) fn expand_filter(filter: &Filter, own: &[IpAddr]) -> Vec<SelectorPair> {
    let locals = expand_addresses(&filter.local, own);
    let remotes = expand_addresses(&filter.remote, own);
    let mut pairs = Vec::new();
    for local in &locals {
        for remote in remotes
            .iter()
            .filter(|remote| remote.is_ipv4() == local.is_ipv4())
        {
            for local_ports in port_list(&filter.local_ports) {
                for remote_ports in port_list(&filter.remote_ports) {
                    pairs.push(SelectorPair {
                        local: selector(filter.protocol, *local_ports, *local),
                        remote: selector(filter.protocol, *remote_ports, *remote),
                    });
                }
            }
        }
    }
    pairs
}

/// Transport mode protects this host's own addresses only.
pub(crate) fn is_dormant(action: &Action, pair: &SelectorPair, own: &[IpAddr]) -> bool {
    let transport = action
        .child()
        .is_some_and(|child| child.mode == Mode::Transport);
    transport
        && !own
            .iter()
            .any(|address| pair.local.addresses.contains(*address))
}

/// The total order of entries: `Less` goes first.
pub(crate) fn compare(rules: &[Rule], a: &Entry, b: &Entry) -> Ordering {
    let of = |entry: &Entry| {
        rules
            .get(entry.rule)
            .map(|rule| (order::rank(rule), rule.name.clone()))
    };
    b.weight
        .cmp(&a.weight)
        .then_with(|| of(a).cmp(&of(b)))
        .then_with(|| (a.rule, a.filter).cmp(&(b.rule, b.filter)))
        .then_with(|| a.pair.cmp(&b.pair))
        .then_with(|| a.directions.cmp(&b.directions))
}
