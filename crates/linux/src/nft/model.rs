//! What the packet filter is told: guards, selectors, counters (RFC 4301 §4.4.1).

use std::net::IpAddr;

use crate::prefix::{Family, Prefix};

/// A set of addresses of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// All.
    Any,
    /// Those of a prefix.
    Prefix(Prefix),
    /// Those from the first to the last, both included.
    Range(IpAddr, IpAddr),
}

/// The packets of one direction. What is `None` or `Any` matches everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The family; the addresses must be of it.
    pub family: Family,
    /// The IP protocol (6 TCP, 17 UDP, ...). Needed where ports are given.
    pub protocol: Option<u8>,
    /// Source addresses.
    pub source: Addresses,
    /// Destination addresses.
    pub destination: Addresses,
    /// First and last source port.
    pub source_ports: Option<(u16, u16)>,
    /// First and last destination port.
    pub destination_ports: Option<(u16, u16)>,
}

impl Selector {
    /// Every packet of a family, to be completed.
    pub fn any(family: Family) -> Selector {
        Selector {
            family,
            protocol: None,
            source: Addresses::Any,
            destination: Addresses::Any,
            source_ports: None,
            destination_ports: None,
        }
    }

    /// The packets of the other direction.
    pub fn mirrored(&self) -> Selector {
        Selector {
            source: self.destination,
            destination: self.source,
            source_ports: self.destination_ports,
            destination_ports: self.source_ports,
            ..*self
        }
    }
}

/// What happens to the packets of a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// They pass in clear.
    Permit,
    /// They pass only protected.
    Protect,
    /// They never pass.
    Block,
}

/// One rule of the policy. The first guard that matches a packet decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Names the counters: letters, digits, `-` and `_`, a letter first, at most 64 bytes.
    pub name: String,
    /// What happens to the packets.
    pub action: Action,
    /// Which packets; one that matches any of these matches the guard.
    pub selectors: Vec<Selector>,
    /// Whether the packets of the other direction match as well.
    pub mirrored: bool,
}

/// How the packets that are protected are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    /// They come out of this TUN device, or go into it: the user-space plane's. It need not exist.
    Tun(String),
    /// The kernel has decrypted them, or will encrypt them.
    Ipsec,
}

/// Everything that the table holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruleset {
    /// The name of the `inet` table, `holdfast` by custom; made as a [`Guard`]'s name.
    pub table: String,
    /// How protected packets are told from others.
    pub protection: Protection,
    /// The routing mark of the daemon's own sockets: only with it do IKE and ESP leave in
    /// spite of a guard. `None`: by their protocol and port.
    pub mark: Option<u32>,
    /// The UDP ports of IKE and ESP in UDP on this host, 500 and 4500 by custom.
    pub ike_ports: Vec<u16>,
    /// The TCP port of this host at which peers may call, to carry IKE and ESP (RFC 9329).
    pub tcp_port: Option<u16>,
    /// Whether TCP packets arrive that belong to a socket of this host with `mark`: connections by
    /// which it calls its peers. The kernel must have the `socket` expression (nft(8)).
    pub tcp_by_mark: bool,
    /// The policy, in its order.
    pub guards: Vec<Guard>,
}

/// Where a dropped packet was going.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From elsewhere to this host.
    Arriving,
    /// From this host to elsewhere.
    Leaving,
    /// From elsewhere to elsewhere.
    Forwarding,
}

impl Direction {
    /// All directions.
    pub const ALL: [Direction; 3] = [
        Direction::Arriving,
        Direction::Leaving,
        Direction::Forwarding,
    ];

    /// The name of the chain, and the end of the counters' names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Direction::Arriving => "arriving",
            Direction::Leaving => "leaving",
            Direction::Forwarding => "forwarding",
        }
    }
}

/// How much a guard has dropped in one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// The guard's name.
    pub guard: String,
    /// The direction.
    pub direction: Direction,
    /// Packets; a GSO packet that the kernel had not cut yet is one.
    pub packets: u64,
    /// Bytes, from the IP header.
    pub bytes: u64,
}
