//! What policy sees of a packet: addresses, protocol and ports (RFC 4301 section 4.4.1.1).

use std::net::IpAddr;

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
