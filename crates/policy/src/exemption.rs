//! Traffic that the policy never touches, because nothing would work if it did.

use std::fmt;

use wire::ip::Flow;

use crate::protocol;
use crate::selector::{Direction, sides};

/// Why a packet is exempt. Much narrower than what Windows 2000 exempted by default, where any
/// packet with source port 88 went past every filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exemption {
    /// IKE itself, and ESP in UDP: UDP from or to our ports 500 and 4500 (RFC 4301 section 4.4.1
    /// asks for a bypass of IKE).
    Ike,
    /// ESP: it is protected already.
    Esp,
    /// Neighbour discovery (RFC 4861): without it no packet reaches a peer on the link.
    NeighbourDiscovery,
}

impl Exemption {
    /// The exemption that a packet has, if any.
    #[must_use]
    pub fn of(flow: &Flow, direction: Direction) -> Option<Self> {
        let (local, _) = sides(flow, direction);
        match flow.protocol {
            protocol::ESP => Some(Exemption::Esp),
            protocol::UDP if matches!(local.port, 500 | 4500) => Some(Exemption::Ike),
            protocol::ICMPV6 if (133..=137).contains(&(flow.src_port >> 8)) => {
                Some(Exemption::NeighbourDiscovery)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Exemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Exemption::Ike => "it is IKE itself, which sets the protection up",
            Exemption::Esp => "it is ESP, which is protected already",
            Exemption::NeighbourDiscovery => {
                "it is neighbour discovery, without which no peer on the link can be reached"
            }
        })
    }
}
