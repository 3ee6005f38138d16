//! Traffic selectors: one side of a flow, and both (RFC 7296 section 3.13, RFC 4301 section 4.4.1).

use std::fmt;
use std::net::IpAddr;

use wire::ip::Flow;

use crate::protocol::{self, ProtocolName};
use crate::range::{AddressRange, PortRange};

/// Which way a packet goes, seen from this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the network to this host: its source is the remote side.
    Inbound,
    /// From this host to the network: its source is the local side.
    Outbound,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        })
    }
}

/// What one packet shows of one of its sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// The port; for ICMP type and code on both sides; 0 where there is none.
    pub port: u16,
}

/// The local and the remote side of a packet that goes in `direction`.
#[must_use]
pub fn sides(flow: &Flow, direction: Direction) -> (Endpoint, Endpoint) {
    let icmp = protocol::is_icmp(flow.protocol);
    let source = Endpoint {
        address: flow.src,
        port: flow.src_port,
    };
    // ICMP has one type and code, not two ports: both sides are measured by it.
    let port = if icmp { flow.src_port } else { flow.dst_port };
    let destination = Endpoint {
        address: flow.dst,
        port,
    };
    match direction {
        Direction::Outbound => (source, destination),
        Direction::Inbound => (destination, source),
    }
}

/// One traffic selector: a range of addresses, a range of ports and a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrafficSelector {
    /// The upper-layer protocol; 0 is any.
    pub protocol: u8,
    /// The ports; [`PortRange::ANY`] for protocols without.
    pub ports: PortRange,
    /// The addresses.
    pub addresses: AddressRange,
}

impl TrafficSelector {
    /// Everything that has this address range, whatever the protocol.
    #[must_use]
    pub fn all(addresses: AddressRange) -> Self {
        TrafficSelector {
            protocol: 0,
            ports: PortRange::ANY,
            addresses,
        }
    }

    /// Exactly one side of one packet. A packet without ports gives every port.
    #[must_use]
    pub fn exact(protocol: u8, side: Endpoint) -> Self {
        let named =
            protocol::is_icmp(protocol) || (protocol::has_ports(protocol) && side.port != 0);
        let ports = if named {
            PortRange::single(side.port)
        } else {
            PortRange::ANY
        };
        TrafficSelector {
            protocol,
            ports,
            addresses: AddressRange::host(side.address),
        }
    }

    /// Whether a packet of `protocol` with this side is within.
    #[must_use]
    pub fn contains(&self, protocol: u8, side: Endpoint) -> bool {
        (self.protocol == 0 || self.protocol == protocol)
            && self.addresses.contains(side.address)
            && self.ports.contains(side.port)
    }

    /// Whether everything in `other` is also in this one.
    #[must_use]
    pub fn covers(&self, other: &TrafficSelector) -> bool {
        (self.protocol == 0 || self.protocol == other.protocol)
            && self.ports.covers(other.ports)
            && self.addresses.covers(&other.addresses)
    }

    /// What both hold, if anything. Commutative.
    #[must_use]
    pub fn intersect(&self, other: &TrafficSelector) -> Option<TrafficSelector> {
        let protocol = match (self.protocol, other.protocol) {
            (0, protocol) | (protocol, 0) => protocol,
            (ours, theirs) if ours == theirs => ours,
            _ => return None,
        };
        let ports = self.ports.intersect(other.ports)?;
        let addresses = self.addresses.intersect(&other.addresses)?;
        Some(TrafficSelector {
            protocol,
            ports,
            addresses,
        })
    }

    /// As it stands in a TS payload (RFC 7296 section 3.13.1).
    #[must_use]
    pub fn to_wire(&self) -> wire::ike::Selector {
        wire::ike::Selector {
            protocol: self.protocol,
            start_port: self.ports.start,
            end_port: self.ports.end,
            start: self.addresses.start(),
            end: self.addresses.end(),
        }
    }

    /// From a TS payload. OPAQUE ports (start above end, RFC 7296 section 3.13.1), ranges that
    /// are the wrong way round and mixed families are not supported and give `None`.
    #[must_use]
    pub fn from_wire(selector: &wire::ike::Selector) -> Option<Self> {
        Some(TrafficSelector {
            protocol: selector.protocol,
            ports: PortRange::new(selector.start_port, selector.end_port)?,
            addresses: AddressRange::new(selector.start, selector.end)?,
        })
    }
}

/// `10.0.0.5/32[tcp/110]`; without brackets when any protocol and port is meant.
impl fmt::Display for TrafficSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.addresses)?;
        let name = ProtocolName(self.protocol);
        match (self.protocol, self.ports.is_any()) {
            (0, true) => Ok(()),
            (_, true) => write!(f, "[{name}]"),
            (protocol, false) if protocol::is_icmp(protocol) => {
                let PortRange { start, end } = self.ports;
                write!(f, "[{name}/{}({})", start >> 8, start & 0xff)?;
                if start != end {
                    write!(f, "-{}({})", end >> 8, end & 0xff)?;
                }
                f.write_str("]")
            }
            (_, false) => write!(f, "[{name}/{}]", self.ports),
        }
    }
}

/// One local and one remote selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SelectorPair {
    /// This host's side.
    pub local: TrafficSelector,
    /// The other side.
    pub remote: TrafficSelector,
}

impl SelectorPair {
    /// Whether the packet that goes in `direction` is within.
    #[must_use]
    pub fn contains(&self, flow: &Flow, direction: Direction) -> bool {
        let (local, remote) = sides(flow, direction);
        self.local.contains(flow.protocol, local) && self.remote.contains(flow.protocol, remote)
    }

    /// Exactly this packet: what an initiator puts first into TSi and TSr (RFC 7296 section 2.9).
    #[must_use]
    pub fn exact(flow: &Flow, direction: Direction) -> Self {
        let (local, remote) = sides(flow, direction);
        SelectorPair {
            local: TrafficSelector::exact(flow.protocol, local),
            remote: TrafficSelector::exact(flow.protocol, remote),
        }
    }

    /// Whether everything in `other` is also in this one.
    #[must_use]
    pub fn covers(&self, other: &SelectorPair) -> bool {
        self.local.covers(&other.local) && self.remote.covers(&other.remote)
    }

    /// What both hold, if anything. Commutative.
    #[must_use]
    pub fn intersect(&self, other: &SelectorPair) -> Option<SelectorPair> {
        let local = self.local.intersect(&other.local)?;
        let remote = self.remote.intersect(&other.remote)?;
        // A packet has one protocol: sides that name different ones hold nothing together.
        let both = local.protocol == 0 || remote.protocol == 0 || local.protocol == remote.protocol;
        both.then_some(SelectorPair { local, remote })
    }
}

impl fmt::Display for SelectorPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} === {}", self.local, self.remote)
    }
}

/// The selectors of an SA pair: every local one combined with every remote one, as TSi and TSr.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Selectors {
    /// This host's side.
    pub local: Vec<TrafficSelector>,
    /// The other side.
    pub remote: Vec<TrafficSelector>,
}

impl Selectors {
    /// Whether the packet that goes in `direction` is within. No allocation.
    #[must_use]
    pub fn contains(&self, flow: &Flow, direction: Direction) -> bool {
        let (local, remote) = sides(flow, direction);
        self.local
            .iter()
            .any(|side| side.contains(flow.protocol, local))
            && self
                .remote
                .iter()
                .any(|side| side.contains(flow.protocol, remote))
    }

    /// Every combination of a local and a remote selector that a packet can have.
    pub fn pairs(&self) -> impl Iterator<Item = SelectorPair> + '_ {
        self.local.iter().flat_map(|local| {
            let together = |remote: &&TrafficSelector| {
                local.addresses.is_ipv4() == remote.addresses.is_ipv4()
                    && (local.protocol == 0
                        || remote.protocol == 0
                        || local.protocol == remote.protocol)
            };
            let pair = |remote: &TrafficSelector| SelectorPair {
                local: *local,
                remote: *remote,
            };
            self.remote.iter().filter(together).map(pair)
        })
    }
}

impl fmt::Display for Selectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} === {}",
            SelectorList(&self.local),
            SelectorList(&self.remote)
        )
    }
}

/// Prints selectors in one line, separated by spaces.
#[derive(Clone, Copy, Debug)]
pub struct SelectorList<'a>(pub &'a [TrafficSelector]);

impl fmt::Display for SelectorList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("(none)");
        }
        for (index, selector) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{selector}")?;
        }
        Ok(())
    }
}
