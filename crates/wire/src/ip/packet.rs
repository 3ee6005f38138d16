//! A packet of either version, its upper layer found behind options and extension headers.

use crate::ip::checksum;
use crate::ip::malformed::Malformed;
use crate::ip::{v4, v6};
use std::net::IpAddr;
use std::ops::Range;

/// A view of a packet: everything behind the packet's own length is cut off.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    octets: &'a [u8],
    src: IpAddr,
    dst: IpAddr,
    traffic_class: u8,
    hop_limit: u8,
    dont_fragment: bool,
    protocol: u8,
    protocol_offset: usize,
    payload: usize,
    fragment: Option<Fragment>,
}

/// Which piece of a packet a fragment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Common to all fragments of a packet; 16 bits in IPv4.
    pub identification: u32,
    /// Where its payload belongs in the packet's, in octets.
    pub offset: u16,
    /// Whether fragments follow it.
    pub more: bool,
}

impl<'a> Packet<'a> {
    /// Reads the headers of a packet.
    ///
    /// # Errors
    /// The rule that they break. Octets behind the packet's length break none.
    #[inline]
    pub fn parse(octets: &'a [u8]) -> Result<Packet<'a>, Malformed> {
        match octets.first().ok_or(Malformed::Truncated)? >> 4 {
            4 => Packet::parse_v4(octets),
            6 => Packet::parse_v6(octets),
            _ => Err(Malformed::Version),
        }
    }

    #[inline]
    fn parse_v4(octets: &'a [u8]) -> Result<Packet<'a>, Malformed> {
        let (header, length) = v4::Header::parse(octets)?;
        let octets = octets.get(..usize::from(header.total_length));
        let fragment = Fragment {
            identification: u32::from(header.identification),
            offset: header.fragment_offset,
            more: header.more_fragments,
        };
        Ok(Packet {
            octets: octets.ok_or(Malformed::TotalLength)?,
            src: IpAddr::V4(header.src),
            dst: IpAddr::V4(header.dst),
            traffic_class: header.traffic_class,
            hop_limit: header.hop_limit,
            dont_fragment: header.dont_fragment,
            protocol: header.protocol,
            protocol_offset: v4::PROTOCOL,
            payload: length,
            fragment: (fragment.offset != 0 || fragment.more).then_some(fragment),
        })
    }

    #[inline]
    fn parse_v6(octets: &'a [u8]) -> Result<Packet<'a>, Malformed> {
        let header = v6::Header::parse(octets)?;
        let octets = octets.get(..v6::HEADER + usize::from(header.payload_length));
        let octets = octets.ok_or(Malformed::TotalLength)?;
        let chain = v6::Chain::walk(octets, header.next_header)?;
        let fragment = chain
            .fragment
            .map(|(identification, offset, more)| Fragment {
                identification,
                offset,
                more,
            });
        let end = fragment.map_or(0, |fragment| usize::from(fragment.offset)) + octets.len()
            - chain.payload;
        if end > usize::from(u16::MAX) {
            return Err(Malformed::Fragment);
        }
        Ok(Packet {
            octets,
            src: IpAddr::V6(header.src),
            dst: IpAddr::V6(header.dst),
            traffic_class: header.traffic_class,
            hop_limit: header.hop_limit,
            dont_fragment: true,
            protocol: chain.protocol,
            protocol_offset: chain.protocol_offset,
            payload: chain.payload,
            fragment,
        })
    }

    /// 4 or 6.
    pub fn version(&self) -> u8 {
        if self.src.is_ipv4() { 4 } else { 6 }
    }

    /// The source address.
    pub fn src(&self) -> IpAddr {
        self.src
    }

    /// The destination address.
    pub fn dst(&self) -> IpAddr {
        self.dst
    }

    /// DSCP and ECN.
    pub fn traffic_class(&self) -> u8 {
        self.traffic_class
    }

    /// Hops left, or time to live.
    pub fn hop_limit(&self) -> u8 {
        self.hop_limit
    }

    /// Whether no router may fragment the packet; none ever does in IPv6.
    pub fn dont_fragment(&self) -> bool {
        self.dont_fragment
    }

    /// The upper layer protocol, behind all extension headers. In a later fragment of an IPv6
    /// packet this can still be that of an extension header: its content begins in the first.
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// The offset of the octet that gives the upper layer protocol.
    pub fn protocol_offset(&self) -> usize {
        self.protocol_offset
    }

    /// The packet, cut off where its length says.
    pub fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// Octets of the whole packet.
    pub fn total_length(&self) -> usize {
        self.octets.len()
    }

    /// Octets of all headers before the upper layer.
    pub fn header_length(&self) -> usize {
        self.payload
    }

    /// Where the upper layer packet is.
    pub fn payload_range(&self) -> Range<usize> {
        self.payload..self.octets.len()
    }

    /// The upper layer packet, or a fragment's piece of it.
    pub fn payload(&self) -> &'a [u8] {
        self.octets.get(self.payload..).unwrap_or_default()
    }

    /// Which fragment of a packet this is, if it is one.
    pub fn fragment(&self) -> Option<Fragment> {
        self.fragment
    }
}

/// Changes the upper layer protocol and the length of a packet in place, the IPv4 header checksum
/// with them. `header_length` and `protocol_offset` are what [`Packet`] says of it.
///
/// # Errors
/// When a length is impossible; nothing is changed then.
#[inline]
pub fn rewrite(
    octets: &mut [u8],
    header_length: usize,
    protocol_offset: usize,
    protocol: u8,
    total_length: usize,
) -> Result<(), Malformed> {
    let version = octets.first().ok_or(Malformed::Truncated)? >> 4;
    let fixed = if version == 4 { v4::HEADER } else { v6::HEADER };
    if header_length < fixed || protocol_offset >= header_length || total_length < header_length {
        return Err(Malformed::HeaderLength);
    }
    let header = octets
        .get_mut(..header_length)
        .ok_or(Malformed::Truncated)?;
    let (field, length) = match version {
        4 => (v4::TOTAL_LENGTH, total_length),
        6 => (v6::PAYLOAD_LENGTH, total_length - v6::HEADER),
        _ => return Err(Malformed::Version),
    };
    let length = u16::try_from(length).map_err(|_| Malformed::TotalLength)?;
    header[field].copy_from_slice(&length.to_be_bytes());
    header[protocol_offset] = protocol;
    if version == 4 {
        header[v4::CHECKSUM].fill(0);
        let checksum = checksum::of(header);
        header[v4::CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
    }
    Ok(())
}
