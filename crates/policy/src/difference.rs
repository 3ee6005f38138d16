//! The first thing in which traffic and an entry of the policy differ.

use std::fmt;

use wire::ip::Flow;

use crate::entry::Entry;
use crate::protocol::ProtocolName;
use crate::range::{AddressRange, PortRange};
use crate::selector::{Direction, SelectorPair, TrafficSelector, sides};

/// The first thing in which traffic and an entry differ: what the traffic has, what the entry
/// wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The other side's address.
    RemoteAddress {
        /// Of the traffic.
        traffic: AddressRange,
        /// Of the entry.
        entry: AddressRange,
    },
    /// This side's address.
    LocalAddress {
        /// Of the traffic.
        traffic: AddressRange,
        /// Of the entry.
        entry: AddressRange,
    },
    /// The protocol.
    Protocol {
        /// Of the traffic.
        traffic: u8,
        /// Of the entry.
        entry: u8,
    },
    /// The other side's port.
    RemotePort {
        /// Of the traffic.
        traffic: PortRange,
        /// Of the entry.
        entry: PortRange,
    },
    /// This side's port.
    LocalPort {
        /// Of the traffic.
        traffic: PortRange,
        /// Of the entry.
        entry: PortRange,
    },
    /// The entry is one-way, and the packet goes the other way.
    Direction {
        /// The way the packet goes.
        traffic: Direction,
    },
}

impl Difference {
    /// The first difference between a packet and an entry; `None` when the entry matches.
    #[must_use]
    pub fn of_packet(flow: &Flow, direction: Direction, entry: &Entry) -> Option<Self> {
        let (local, remote) = sides(flow, direction);
        let side = |address, port| TrafficSelector {
            protocol: flow.protocol,
            ports: PortRange::single(port),
            addresses: AddressRange::host(address),
        };
        let packet = SelectorPair {
            local: side(local.address, local.port),
            remote: side(remote.address, remote.port),
        };
        Difference::of_pair(&packet, &entry.pair).or_else(|| {
            (!entry.takes(direction)).then_some(Difference::Direction { traffic: direction })
        })
    }

    /// The first difference between selectors that somebody asks for and what is allowed; `None`
    /// when they have something in common.
    #[must_use]
    pub fn of_pair(traffic: &SelectorPair, entry: &SelectorPair) -> Option<Self> {
        let (asked, allowed) = (&traffic.remote, &entry.remote);
        let (asked_here, allowed_here) = (&traffic.local, &entry.local);
        if asked.addresses.intersect(&allowed.addresses).is_none() {
            let (traffic, entry) = (asked.addresses, allowed.addresses);
            return Some(Difference::RemoteAddress { traffic, entry });
        }
        if asked_here
            .addresses
            .intersect(&allowed_here.addresses)
            .is_none()
        {
            let (traffic, entry) = (asked_here.addresses, allowed_here.addresses);
            return Some(Difference::LocalAddress { traffic, entry });
        }
        let protocols = [
            (asked.protocol, allowed.protocol),
            (asked_here.protocol, allowed.protocol),
        ];
        for (traffic, entry) in protocols {
            if traffic != 0 && entry != 0 && traffic != entry {
                return Some(Difference::Protocol { traffic, entry });
            }
        }
        if asked.ports.intersect(allowed.ports).is_none() {
            let (traffic, entry) = (asked.ports, allowed.ports);
            return Some(Difference::RemotePort { traffic, entry });
        }
        if asked_here.ports.intersect(allowed_here.ports).is_none() {
            let (traffic, entry) = (asked_here.ports, allowed_here.ports);
            return Some(Difference::LocalPort { traffic, entry });
        }
        None
    }
}

/// A clause: "its remote port is 25, not 110".
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |range: &AddressRange| match range.as_host() {
            Some(host) => host.to_string(),
            None if range.is_any() => "any".to_owned(),
            None => range.to_string(),
        };
        match self {
            Difference::RemoteAddress { traffic, entry } => {
                let (traffic, entry) = (range(traffic), range(entry));
                write!(f, "its remote address is {traffic}, not {entry}")
            }
            Difference::LocalAddress { traffic, entry } => {
                let (traffic, entry) = (range(traffic), range(entry));
                write!(f, "its local address is {traffic}, not {entry}")
            }
            Difference::Protocol { traffic, entry } => {
                let (traffic, entry) = (ProtocolName(*traffic), ProtocolName(*entry));
                write!(f, "its protocol is {traffic}, not {entry}")
            }
            Difference::RemotePort { traffic, entry } => {
                write!(f, "its remote port is {traffic}, not {entry}")
            }
            Difference::LocalPort { traffic, entry } => {
                write!(f, "its local port is {traffic}, not {entry}")
            }
            Difference::Direction { traffic } => {
                write!(
                    f,
                    "it is {traffic}, and the rule is about the other way only"
                )
            }
        }
    }
}
