//! From the lines of the policy and the selectors of SAs to places in the kernel (RFC 4301 §4.4.1).
//!
//! A range of addresses becomes prefixes, a range of ports aligned blocks: exactly it, never more.

use crate::capture::prefixes;
use crate::plane::kernel::claims::{Claim, Place};
use crate::plane::kernel::number;
use linux::xfrm::{
    Direction, Mark, Mode as Wrapping, PolicyAction, PortBlock, Selector, Template, port_blocks,
};
use linux::{Family, Prefix};
use policy::{Action, AddressRange, Directions, Entry, Mode, PortRange, SelectorPair, Spd};
use std::net::IpAddr;

/// The priority of the first line; two for each: one for its SAs, one for itself.
const FIRST: u32 = 0x1000;
/// What passes whatever the policy says.
const EXEMPT: u32 = 0x100;
const ICMPV6: u8 = 58;
const ESP: u8 = 50;
const UDP: u8 = 17;
/// ICMPv6 without which no neighbour is found, as the packet filter has it.
const NEIGHBOUR_TYPES: [(u16, u16); 2] = [(130, 137), (143, 143)];

/// The priority of the SAs of a line.
pub(crate) fn priority_of_sas(place: usize) -> u32 {
    FIRST + 2 * u32::try_from(place).unwrap_or(u32::MAX / 4)
}

/// What passes in clear whatever the policy says: our own packets, IKE, ESP, and the discovery of
/// neighbours ([`policy::Exemption`]).
pub(crate) fn exemptions(mark: u32) -> Vec<(Place, Claim)> {
    let mut places = Vec::new();
    for family in Family::BOTH {
        let any = Selector::any(family);
        places.push(Place {
            direction: Direction::Out,
            selector: any,
            mark: Some(Mark {
                value: mark,
                mask: u32::MAX,
            }),
        });
        let esp = Selector {
            protocol: ESP,
            ..any
        };
        places.extend(Direction::ALL.map(|direction| at(direction, esp)));
        for port in [500, 4500] {
            let ike = Selector {
                protocol: UDP,
                source_ports: PortBlock {
                    port,
                    mask: u16::MAX,
                },
                ..any
            };
            places.push(at(Direction::Out, ike));
            places.push(at(Direction::In, ike.mirrored()));
        }
    }
    let kinds = NEIGHBOUR_TYPES.into_iter();
    for source_ports in kinds.flat_map(|(first, last)| port_blocks(first, last)) {
        // Of ICMP the type is where others have the source port, in both directions.
        let selector = Selector {
            protocol: ICMPV6,
            source_ports,
            ..Selector::any(Family::V6)
        };
        places.push(at(Direction::Out, selector));
        places.push(at(Direction::In, selector));
    }
    let claim = Claim {
        owner: 0,
        priority: EXEMPT,
        action: PolicyAction::Allow,
    };
    places.into_iter().map(|place| (place, claim)).collect()
}

/// What this host says to itself, where a line would be about it: it goes by the loopback device.
pub(crate) fn to_ourselves(spd: &Spd) -> Vec<(Place, Claim)> {
    let covered = |address: &&IpAddr| {
        let mut lines = spd.entries().iter();
        lines.any(|entry| entry.pair.remote.addresses.contains(**address))
    };
    let own = spd.local_addresses().iter().filter(covered);
    let claim = Claim {
        owner: 0,
        priority: EXEMPT,
        action: PolicyAction::Allow,
    };
    own.flat_map(|address| {
        let selector = Selector {
            destination: Prefix::host(*address),
            ..Selector::any(Family::of(*address))
        };
        let places = [
            at(Direction::Out, selector),
            at(Direction::In, selector.mirrored()),
        ];
        places.map(|place| (place, claim))
    })
    .collect()
}

/// What one line of the policy wants.
pub(crate) fn of_line(spd: &Spd, entry: &Entry, place: usize) -> Vec<(Place, Claim)> {
    let Some(rule) = spd.rule_of(entry) else {
        return Vec::new();
    };
    let (out, back) = match &rule.action {
        Action::Exempt | Action::Permit => (PolicyAction::Allow, PolicyAction::Allow),
        Action::Block => (PolicyAction::Block, PolicyAction::Block),
        // It protects an address that is elsewhere: nothing of it passes here.
        Action::Negotiate(_) if entry.dormant => (PolicyAction::Block, PolicyAction::Block),
        // The kernel asks for nothing: the SAs bring policies of their own.
        Action::Negotiate(negotiate) if negotiate.passive => {
            (PolicyAction::Allow, PolicyAction::Allow)
        }
        Action::Negotiate(negotiate) => {
            let template = Template {
                reqid: number::of_line(place),
                mode: wrapping(negotiate.child.mode),
                outer: None,
                optional: !negotiate.required,
            };
            let back = match negotiate.takes_clear() {
                true => PolicyAction::Allow,
                false => PolicyAction::Block,
            };
            (PolicyAction::Protect(template), back)
        }
    };
    let claim = |action| Claim {
        owner: 0,
        priority: priority_of_sas(place) + 1,
        action,
    };
    let mut found = Vec::new();
    for selector in selectors(&entry.pair) {
        if entry.directions != Directions::Inbound {
            found.push((at(Direction::Out, selector), claim(out)));
        }
        if entry.directions != Directions::Outbound {
            for direction in [Direction::In, Direction::Forward] {
                found.push((at(direction, selector.mirrored()), claim(back)));
            }
        }
    }
    found
}

/// How the kernel is to wrap.
pub(crate) fn wrapping(mode: Mode) -> Wrapping {
    match mode {
        Mode::Transport => Wrapping::Transport,
        Mode::Tunnel => Wrapping::Tunnel,
    }
}

pub(crate) fn at(direction: Direction, selector: Selector) -> Place {
    Place {
        direction,
        selector,
        mark: None,
    }
}

/// The packets that leave under a pair of selectors.
pub(crate) fn selectors(pair: &SelectorPair) -> Vec<Selector> {
    let protocol = pair.local.protocol.max(pair.remote.protocol);
    let with_ports = matches!(protocol, 6 | 17 | 132);
    let any = pair.local.ports.is_any() && pair.remote.ports.is_any();
    if !with_ports && !any {
        // Types of ICMP and the like, which only a peer can come to: rather none than too much.
        return Vec::new();
    }
    let ports = |range: PortRange| match with_ports {
        true => port_blocks(range.start, range.end),
        false => vec![PortBlock::ANY],
    };
    let (sources, destinations) = (ports(pair.local.ports), ports(pair.remote.ports));
    let prefixes = |range: &AddressRange| prefixes(range);
    let mut found = Vec::new();
    for source in prefixes(&pair.local.addresses) {
        for destination in prefixes(&pair.remote.addresses) {
            for source_ports in &sources {
                found.extend(destinations.iter().map(|destination_ports| Selector {
                    source,
                    destination,
                    protocol,
                    source_ports: *source_ports,
                    destination_ports: *destination_ports,
                }));
            }
        }
    }
    found
}
