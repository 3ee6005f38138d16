//! What we allow: the Security Policy Database (RFC 4301 section 4.4.1).

use std::net::IpAddr;

use wire::ip::Flow;

use crate::child::Mode;
use crate::exemption::Exemption;
use crate::order;
use crate::range::{AddressRange, PortRange};
use crate::rule::{Action, AddressSpec, Directions, Filter, Rule};
use crate::selector::{Direction, SelectorPair, Selectors, TrafficSelector, sides};

/// One combination of a filter's lists: what a packet is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The rule's index in [`Spd::rules`].
    pub rule: usize,
    /// The filter's index in the rule.
    pub filter: usize,
    /// The packets.
    pub pair: SelectorPair,
    /// Which way they must go.
    pub directions: Directions,
    /// How specific it is.
    pub weight: order::Weight,
    /// The entry protects an address that this host does not have now: it matches, so that
    /// nothing leaks, but nothing may be negotiated for it.
    pub dormant: bool,
}

impl Entry {
    fn takes(&self, direction: Direction) -> bool {
        match self.directions {
            Directions::Both => true,
            Directions::Outbound => direction == Direction::Outbound,
            Directions::Inbound => direction == Direction::Inbound,
        }
    }
}

/// The rules, expanded for the addresses of this host and ordered most specific first.
#[derive(Clone, Debug, Default)]
pub struct Spd {
    rules: Vec<Rule>,
    entries: Vec<Entry>,
    local: Vec<IpAddr>,
}

/// What the policy says about a packet.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'a> {
    /// It is never subject to the policy and passes.
    Exempt(Exemption),
    /// A rule decides.
    Rule(Match<'a>),
    /// No rule is about it: it passes in clear text, as in the Windows model.
    NoRule,
}

impl<'a> Verdict<'a> {
    /// The match, if a rule decides.
    #[must_use]
    pub fn rule(&self) -> Option<Match<'a>> {
        match self {
            Verdict::Rule(found) => Some(*found),
            _ => None,
        }
    }
}

/// The entry that decides about a packet.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The entry of it.
    pub entry: &'a Entry,
    /// The entry's place in the order, from 0.
    pub place: usize,
    local: &'a [IpAddr],
}

impl Match<'_> {
    /// The selectors to negotiate for this packet: everything that the filter holds, in transport
    /// mode narrowed to the two addresses of the packet.
    #[must_use]
    pub fn selectors(&self, flow: &Flow, direction: Direction) -> Selectors {
        let (local, remote) = sides(flow, direction);
        match self.rule.filters.get(self.entry.filter) {
            Some(filter) => allowed(
                &self.rule.action,
                filter,
                self.local,
                local.address,
                remote.address,
            ),
            None => Selectors::default(),
        }
    }
}

/// What a filter allows between two hosts: in transport mode the two themselves, in tunnel mode
/// whatever is behind them.
pub(crate) fn allowed(
    action: &Action,
    filter: &Filter,
    own: &[IpAddr],
    local: IpAddr,
    remote: IpAddr,
) -> Selectors {
    let tunnel = action
        .child()
        .is_some_and(|child| child.mode == Mode::Tunnel);
    let side = |specs: &[AddressSpec], ports: &[PortRange], host: IpAddr| {
        let ranges = expand_addresses(specs, own);
        let ranges = match tunnel {
            true => ranges,
            false => match ranges.iter().any(|range| range.contains(host)) {
                true => vec![AddressRange::host(host)],
                false => Vec::new(),
            },
        };
        let selector = |addresses: &AddressRange, ports: PortRange| TrafficSelector {
            protocol: filter.protocol,
            ports,
            addresses: *addresses,
        };
        let with_ports = |range: &AddressRange| {
            port_list(ports)
                .iter()
                .map(|ports| selector(range, *ports))
                .collect::<Vec<_>>()
        };
        ranges.iter().flat_map(with_ports).collect()
    };
    Selectors {
        local: side(&filter.local, &filter.local_ports, local),
        remote: side(&filter.remote, &filter.remote_ports, remote),
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

impl Spd {
    /// Expands the rules for a host that has these addresses, and orders them.
    #[must_use]
    pub fn build(rules: Vec<Rule>, local_addresses: &[IpAddr]) -> Self {
        let mut spd = Spd {
            rules,
            entries: Vec::new(),
            local: Vec::new(),
        };
        spd.expand(local_addresses);
        spd
    }

    /// Expands `me` again, for the addresses that the host has now. Returns whether they differ
    /// from before.
    pub fn set_local_addresses(&mut self, local_addresses: &[IpAddr]) -> bool {
        let before = std::mem::take(&mut self.local);
        self.expand(local_addresses);
        before != self.local
    }

    fn expand(&mut self, local_addresses: &[IpAddr]) {
        self.local = local_addresses.to_vec();
        self.local.sort_unstable();
        self.local.dedup();
        self.entries.clear();
        for (index, rule) in self.rules.iter().enumerate() {
            for (number, filter) in rule.filters.iter().enumerate() {
                let pairs = expand_filter(filter, &self.local);
                self.entries.extend(pairs.into_iter().map(|pair| Entry {
                    rule: index,
                    filter: number,
                    pair,
                    directions: filter.directions,
                    weight: order::Weight::of(&rule.action, &pair),
                    dormant: is_dormant(&rule.action, &pair, &self.local),
                }));
            }
        }
        let rules = &self.rules;
        self.entries.sort_by(|a, b| order::compare(rules, a, b));
    }

    /// The rules, in the order in which they were given.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The entries, most specific first: the order in which packets are compared.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The addresses that `me` stands for, sorted.
    #[must_use]
    pub fn local_addresses(&self) -> &[IpAddr] {
        &self.local
    }

    /// The rule of an entry.
    #[must_use]
    pub fn rule_of(&self, entry: &Entry) -> Option<&Rule> {
        self.rules.get(entry.rule)
    }

    /// What the policy says about a packet that goes in `direction`. Takes time in proportion to
    /// the number of entries and allocates nothing.
    #[must_use]
    pub fn lookup(&self, flow: &Flow, direction: Direction) -> Verdict<'_> {
        if let Some(exemption) = Exemption::of(flow, direction) {
            return Verdict::Exempt(exemption);
        }
        let (local, remote) = sides(flow, direction);
        let protocol = flow.protocol;
        let hit = |entry: &Entry| {
            entry.pair.remote.contains(protocol, remote)
                && entry.pair.local.contains(protocol, local)
                && entry.takes(direction)
        };
        let found = self.entries.iter().position(hit).and_then(|place| {
            let entry = self.entries.get(place)?;
            Some(Match {
                rule: self.rules.get(entry.rule)?,
                entry,
                place,
                local: &self.local,
            })
        });
        found.map_or(Verdict::NoRule, Verdict::Rule)
    }
}

fn expand_filter(filter: &Filter, own: &[IpAddr]) -> Vec<SelectorPair> {
    let locals = expand_addresses(&filter.local, own);
    let remotes = expand_addresses(&filter.remote, own);
    let mut pairs = Vec::new();
    let selector = |addresses: &AddressRange, ports: &PortRange| TrafficSelector {
        protocol: filter.protocol,
        ports: *ports,
        addresses: *addresses,
    };
    for local in &locals {
        for remote in remotes
            .iter()
            .filter(|remote| remote.is_ipv4() == local.is_ipv4())
        {
            for local_ports in port_list(&filter.local_ports) {
                for remote_ports in port_list(&filter.remote_ports) {
                    pairs.push(SelectorPair {
                        local: selector(local, local_ports),
                        remote: selector(remote, remote_ports),
                    });
                }
            }
        }
    }
    pairs
}

/// Transport mode protects this host's own addresses only.
fn is_dormant(action: &Action, pair: &SelectorPair, own: &[IpAddr]) -> bool {
    let transport = action
        .child()
        .is_some_and(|child| child.mode == Mode::Transport);
    transport
        && !own
            .iter()
            .any(|address| pair.local.addresses.contains(*address))
}
