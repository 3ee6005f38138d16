//! What policy sees of a packet: addresses, protocol and ports (RFC 4301 section 4.4.1.1).

use crate::ip::malformed::Malformed;
use crate::ip::packet::Packet;
use crate::ip::protocol;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The selectors of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// The source address.
    pub src: IpAddr,
    /// The destination address.
    pub dst: IpAddr,
    /// The upper layer protocol, behind all IPv6 extension headers.
    pub protocol: u8,
    /// The source port; for ICMP the type in the high octet and the code in the low; else zero.
    pub src_port: u16,
    /// The destination port, else zero.
    pub dst_port: u16,
}

impl Flow {
    /// The flow of a packet.
    ///
    /// # Errors
    /// When the headers are malformed, or end before the ports of a protocol that has ports.
    #[inline]
    pub fn of(octets: &[u8]) -> Result<Flow, Malformed> {
        Flow::of_packet(&Packet::parse(octets)?)
    }

    /// The flow of a packet whose headers are read. A fragment other than the first has no ports;
    /// a first fragment too short for its ports is malformed (RFC 3128), not without ports.
    ///
    /// # Errors
    /// When the octets end before the ports of a protocol that has ports.
    #[inline]
    pub fn of_packet(packet: &Packet<'_>) -> Result<Flow, Malformed> {
        let (src_port, dst_port) = match packet.fragment() {
            Some(fragment) if fragment.offset != 0 => (0, 0),
            _ => ports(packet.protocol(), packet.payload())?,
        };
        Ok(Flow {
            src: packet.src(),
            dst: packet.dst(),
            protocol: packet.protocol(),
            src_port,
            dst_port,
        })
    }

    /// The flow of packets in the other direction. ICMP's type and code stay in their place.
    pub fn reversed(self) -> Flow {
        let (src_port, dst_port) = match self.protocol {
            protocol::ICMP | protocol::ICMPV6 | protocol::MOBILITY => (self.src_port, 0),
            _ => (self.dst_port, self.src_port),
        };
        Flow {
            src: self.dst,
            dst: self.src,
            protocol: self.protocol,
            src_port,
            dst_port,
        }
    }
}

/// What an upper layer packet has in the place of ports, as in [`Flow`]: source and destination.
///
/// # Errors
/// When it ends before them, in a protocol that has some.
#[inline]
pub fn ports(protocol: u8, upper: &[u8]) -> Result<(u16, u16), Malformed> {
    match protocol {
        protocol::TCP | protocol::UDP | protocol::DCCP | protocol::SCTP | protocol::UDP_LITE => {
            let &[s0, s1, d0, d1] = first(upper)?;
            Ok((u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])))
        }
        protocol::ICMP | protocol::ICMPV6 => Ok((u16::from_be_bytes(*first(upper)?), 0)),
        protocol::MOBILITY => {
            let &[_, _, kind] = first(upper)?;
            Ok((u16::from_be_bytes([kind, 0]), 0))
        }
        _ => Ok((0, 0)),
    }
}

#[inline]
fn first<const N: usize>(octets: &[u8]) -> Result<&[u8; N], Malformed> {
    octets.first_chunk().ok_or(Malformed::Truncated)
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match protocol::name(self.protocol) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "protocol {}", self.protocol)?,
        }
        let [kind, code] = self.src_port.to_be_bytes();
        match self.protocol {
            protocol::ICMP | protocol::ICMPV6 => {
                write!(f, " type {kind} code {code} {} -> {}", self.src, self.dst)
            }
            _ if self.src_port == 0 && self.dst_port == 0 => {
                write!(f, " {} -> {}", self.src, self.dst)
            }
            _ => {
                let src = SocketAddr::new(self.src, self.src_port);
                write!(f, " {src} -> {}", SocketAddr::new(self.dst, self.dst_port))
            }
        }
    }
}
