//! The IPv4 header (RFC 791 section 3.1).

use crate::ip::checksum;
use crate::ip::malformed::Malformed;
use std::net::Ipv4Addr;

/// Octets of a header without options.
pub const HEADER: usize = 20;

pub(crate) const TOTAL_LENGTH: std::ops::Range<usize> = 2..4;
pub(crate) const PROTOCOL: usize = 9;
pub(crate) const CHECKSUM: std::ops::Range<usize> = 10..12;

const MORE_FRAGMENTS: u16 = 0x2000;
const DONT_FRAGMENT: u16 = 0x4000;

/// A header's fields. Options are counted but have no form here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Octets of the whole packet.
    pub total_length: u16,
    /// Common to the fragments of a packet.
    pub identification: u16,
    /// Whether no router may fragment the packet.
    pub dont_fragment: bool,
    /// Whether fragments follow this one.
    pub more_fragments: bool,
    /// Where a fragment belongs, in octets; a multiple of eight.
    pub fragment_offset: u16,
    /// Time to live.
    pub hop_limit: u8,
    /// The upper layer protocol.
    pub protocol: u8,
    /// The source address.
    pub src: Ipv4Addr,
    /// The destination address.
    pub dst: Ipv4Addr,
}

impl Header {
    /// A header without options for a packet that is not a fragment, may be fragmented on its way
    /// and lives for 64 hops.
    pub fn new(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, total_length: u16) -> Self {
        Header {
            traffic_class: 0,
            total_length,
            identification: 0,
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: 0,
            hop_limit: 64,
            protocol,
            src,
            dst,
        }
    }

    /// Reads a header; with it comes its length in octets, options included. The checksum is not
    /// looked at: the kernel has done so for whatever it hands on.
    ///
    /// # Errors
    /// When a length is impossible.
    #[inline]
    pub fn parse(octets: &[u8]) -> Result<(Header, usize), Malformed> {
        let fixed = octets.first_chunk::<HEADER>().ok_or(Malformed::Truncated)?;
        let &[
            vihl,
            traffic_class,
            l0,
            l1,
            i0,
            i1,
            f0,
            f1,
            hop_limit,
            protocol,
            _,
            _,
            ref rest @ ..,
        ] = fixed;
        let &[s0, s1, s2, s3, d0, d1, d2, d3] = rest;
        if vihl >> 4 != 4 {
            return Err(Malformed::Version);
        }
        let total_length = u16::from_be_bytes([l0, l1]);
        let length = usize::from(vihl & 0x0f) * 4;
        if length < HEADER || length > usize::from(total_length) {
            return Err(Malformed::HeaderLength);
        }
        if usize::from(total_length) > octets.len() {
            return Err(Malformed::TotalLength);
        }
        let fragment = u16::from_be_bytes([f0, f1]);
        let header = Header {
            traffic_class,
            total_length,
            identification: u16::from_be_bytes([i0, i1]),
            dont_fragment: fragment & DONT_FRAGMENT != 0,
            more_fragments: fragment & MORE_FRAGMENTS != 0,
            fragment_offset: fragment << 3,
            hop_limit,
            protocol,
            src: Ipv4Addr::new(s0, s1, s2, s3),
            dst: Ipv4Addr::new(d0, d1, d2, d3),
        };
        let payload = usize::from(total_length) - length;
        if usize::from(header.fragment_offset) + payload > usize::from(u16::MAX) {
            return Err(Malformed::Fragment);
        }
        Ok((header, length))
    }

    /// The header's octets, without options, with their checksum.
    pub fn emit(&self) -> [u8; HEADER] {
        let bit = |set, bit| if set { bit } else { 0 };
        let fragment = bit(self.dont_fragment, DONT_FRAGMENT)
            | bit(self.more_fragments, MORE_FRAGMENTS)
            | self.fragment_offset >> 3;
        let mut octets = [0; HEADER];
        octets[0] = 0x45;
        octets[1] = self.traffic_class;
        octets[TOTAL_LENGTH].copy_from_slice(&self.total_length.to_be_bytes());
        octets[4..6].copy_from_slice(&self.identification.to_be_bytes());
        octets[6..8].copy_from_slice(&fragment.to_be_bytes());
        octets[8] = self.hop_limit;
        octets[PROTOCOL] = self.protocol;
        octets[12..16].copy_from_slice(&self.src.octets());
        octets[16..20].copy_from_slice(&self.dst.octets());
        let checksum = checksum::of(&octets);
        octets[CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
        octets
    }
}
