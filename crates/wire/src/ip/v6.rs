//! The IPv6 header and its extension headers (RFC 8200 sections 3 and 4).

use crate::ip::malformed::Malformed;
use crate::ip::protocol;
use std::net::Ipv6Addr;

/// Octets of the fixed header.
pub const HEADER: usize = 40;

/// Extension headers of one packet: each kind once and destination options twice make five.
pub const EXTENSION_HEADERS: usize = 8;

pub(crate) const PAYLOAD_LENGTH: std::ops::Range<usize> = 4..6;
pub(crate) const NEXT_HEADER: usize = 6;

/// The fixed header's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// 20 bits that mark packets of one flow.
    pub flow_label: u32,
    /// Octets behind the fixed header. Jumbograms (RFC 2675) are not read.
    pub payload_length: u16,
    /// The first extension header or the upper layer protocol.
    pub next_header: u8,
    /// Hops left.
    pub hop_limit: u8,
    /// The source address.
    pub src: Ipv6Addr,
    /// The destination address: with a routing header, that of the next segment.
    pub dst: Ipv6Addr,
}

/// Where a walk over the extension headers ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// What is behind the last extension header.
    pub(crate) protocol: u8,
    /// The octet that says so.
    pub(crate) protocol_offset: usize,
    /// Where it begins.
    pub(crate) payload: usize,
    /// The fragment header, if there is one that means something: identification, offset, more.
    pub(crate) fragment: Option<(u32, u16, bool)>,
}

impl Header {
    /// A header with 64 hops to live.
    pub fn new(src: Ipv6Addr, dst: Ipv6Addr, next_header: u8, payload_length: u16) -> Self {
        Header {
            traffic_class: 0,
            flow_label: 0,
            payload_length,
            next_header,
            hop_limit: 64,
            src,
            dst,
        }
    }

    /// Reads the fixed header.
    ///
    /// # Errors
    /// When there are fewer octets than it takes or claims.
    #[inline]
    pub fn parse(octets: &[u8]) -> Result<Header, Malformed> {
        let (fixed, rest) = octets
            .split_first_chunk::<HEADER>()
            .ok_or(Malformed::Truncated)?;
        let &[
            v0,
            v1,
            v2,
            v3,
            l0,
            l1,
            next_header,
            hop_limit,
            ref addresses @ ..,
        ] = fixed;
        let first = u32::from_be_bytes([v0, v1, v2, v3]);
        if first >> 28 != 6 {
            return Err(Malformed::Version);
        }
        let payload_length = u16::from_be_bytes([l0, l1]);
        if usize::from(payload_length) > rest.len() {
            return Err(Malformed::TotalLength);
        }
        let (src, dst) = addresses
            .split_first_chunk::<16>()
            .ok_or(Malformed::Truncated)?;
        let dst = dst.first_chunk::<16>().ok_or(Malformed::Truncated)?;
        Ok(Header {
            traffic_class: (first >> 20) as u8,
            flow_label: first & 0x000f_ffff,
            payload_length,
            next_header,
            hop_limit,
            src: Ipv6Addr::from(*src),
            dst: Ipv6Addr::from(*dst),
        })
    }

    /// The header's octets.
    pub fn emit(&self) -> [u8; HEADER] {
        let first = 6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label & 0x000f_ffff;
        let mut octets = [0; HEADER];
        octets[..4].copy_from_slice(&first.to_be_bytes());
        octets[PAYLOAD_LENGTH].copy_from_slice(&self.payload_length.to_be_bytes());
        octets[NEXT_HEADER] = self.next_header;
        octets[7] = self.hop_limit;
        octets[8..24].copy_from_slice(&self.src.octets());
        octets[24..40].copy_from_slice(&self.dst.octets());
        octets
    }
}

impl Chain {
    /// Walks over the extension headers of a packet, whose octets end where its length says. It
    /// ends at the upper layer, at ESP or AH, or behind the fragment header of a later fragment.
    #[inline]
    pub(crate) fn walk(octets: &[u8], next_header: u8) -> Result<Self, Malformed> {
        let mut chain = Chain {
            protocol: next_header,
            protocol_offset: NEXT_HEADER,
            payload: HEADER,
            fragment: None,
        };
        for count in 0..=EXTENSION_HEADERS {
            let length = match chain.protocol {
                // Hop-by-hop options come first or not at all (RFC 8200 section 4.1).
                protocol::HOP_BY_HOP if count > 0 => return Err(Malformed::ExtensionHeaders),
                protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION_OPTIONS => {
                    let length = octets.get(chain.payload + 1).ok_or(Malformed::Truncated)?;
                    (usize::from(*length) + 1) * 8
                }
                protocol::FRAGMENT => 8,
                _ => return Ok(chain),
            };
            let end = chain.payload + length;
            let header = octets
                .get(chain.payload..end)
                .ok_or(Malformed::HeaderLength)?;
            let later_fragment = chain.step(header)?;
            if later_fragment {
                return Ok(chain);
            }
        }
        Err(Malformed::ExtensionHeaders)
    }

    /// Steps over one extension header; says whether it is that of a fragment other than the first.
    fn step(&mut self, header: &[u8]) -> Result<bool, Malformed> {
        let octets = header.first_chunk::<8>().ok_or(Malformed::Truncated)?;
        let &[next, _, o0, o1, i0, i1, i2, i3] = octets;
        if self.protocol == protocol::FRAGMENT {
            if self.fragment.is_some() {
                return Err(Malformed::ExtensionHeaders);
            }
            let field = u16::from_be_bytes([o0, o1]);
            let (offset, more) = (field & 0xfff8, field & 1 != 0);
            // Offset zero and none to follow: a whole packet after all (RFC 6946).
            if offset != 0 || more {
                self.fragment = Some((u32::from_be_bytes([i0, i1, i2, i3]), offset, more));
            }
        }
        self.protocol_offset = self.payload;
        self.protocol = next;
        self.payload += header.len();
        Ok(self.fragment.is_some_and(|(_, offset, _)| offset != 0))
    }
}
