//! One packet from the host, or a large one cut into segments, written where it will be sealed
//! (RFC 9293 3.1, virtio 1.2 5.1.6).

#[cfg(test)]
mod tests;

use std::ops::Range;

use wire::ip::checksum::{self, Sum};
use wire::ip::{Flow, Packet, protocol, tcp, udp, v4, v6};

use crate::discard::Discard;
use crate::offload::{Offload, Segmentation};

/// Segments that one packet is cut into at most: 64 KiB in segments of the smallest TCP payload
/// that a host accepts (48 bytes), rounded up.
pub const MAX_SEGMENTS: usize = 2048;

/// Data that a piece has at least; every path takes more.
const MIN_PIECE: usize = 64;

/// A packet with what is needed to write each of its segments. Nothing is copied before
/// [`Carried::write`].
pub struct Segments<'a> {
    packet: Packet<'a>,
    flow: Flow,
    cut: Cut,
    /// Where the checksummed part begins and where its checksum is, if that is to be completed.
    completion: Option<(usize, usize)>,
}

/// How the packet is cut.
#[derive(Clone, Copy)]
enum Cut {
    /// Not at all.
    Whole,
    /// Into TCP segments or UDP datagrams.
    Every { size: usize, data: usize, tcp: bool },
    /// Into fragments of an IPv4 packet.
    Fragments { size: usize },
}

impl<'a> Segments<'a> {
    /// Reads the headers of a packet and checks that `offload` fits it.
    ///
    /// # Errors
    /// [`Discard::OutboundMalformed`] or [`Discard::OutboundOffload`].
    pub fn parse(octets: &'a [u8], offload: &Offload) -> Result<Self, Discard> {
        let packet = Packet::parse(octets).map_err(|_| Discard::OutboundMalformed)?;
        let flow = Flow::of_packet(&packet).map_err(|_| Discard::OutboundMalformed)?;
        let completion = match offload.segmentation {
            Segmentation::None if offload.needs_checksum => Some(completion(&packet, offload)?),
            _ => None,
        };
        let cut = cut(&packet, offload)?;
        let segments = Segments {
            packet,
            flow,
            cut,
            completion,
        };
        if segments.count() > MAX_SEGMENTS {
            return Err(Discard::OutboundOffload);
        }
        Ok(segments)
    }

    /// What policy sees of it; the same for every segment.
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// Whether it is a fragment, of which only the first has ports.
    #[must_use]
    pub fn is_fragment(&self) -> bool {
        self.packet.fragment().is_some()
    }

    /// How many segments there are, at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        match self.cut {
            Cut::Whole => 1,
            Cut::Every { size, data, .. } => {
                (self.packet.total_length() - data).div_ceil(size).max(1)
            }
            Cut::Fragments { size } => (self.packet.total_length() - v4::HEADER)
                .div_ceil(size)
                .max(1),
        }
    }

    /// Bytes of the IP header that transport mode leaves out.
    pub(crate) fn ip_header(&self) -> usize {
        if self.is_ipv6() {
            v6::HEADER
        } else {
            v4::HEADER
        }
    }

    pub(crate) fn is_ipv6(&self) -> bool {
        self.packet.version() == 6
    }

    /// Whether no router may fragment the packet.
    pub(crate) fn dont_fragment(&self) -> bool {
        self.packet.dont_fragment()
    }

    /// The packet as the host gave it.
    pub(crate) fn octets(&self) -> &'a [u8] {
        self.packet.octets()
    }

    /// Whether it is cut into TCP segments anyway, so that they can be smaller as well.
    pub(crate) fn can_be_cut(&self) -> bool {
        matches!(self.cut, Cut::Every { tcp: true, .. })
    }

    /// Whether fragments can be made of it: IPv4, without options, not cut otherwise.
    pub(crate) fn can_be_fragmented(&self) -> bool {
        let plain = self.packet.octets().first() == Some(&0x45);
        plain && !self.packet.dont_fragment() && matches!(self.cut, Cut::Whole)
    }

    /// The same packet in smaller pieces, each with at most `most` bytes behind `skip` bytes of its
    /// IP header. `None` when that cannot be.
    pub(crate) fn smaller(&self, most: usize, skip: usize) -> Option<Segments<'a>> {
        let cut = match self.cut {
            Cut::Every { data, tcp, .. } => Cut::Every {
                size: (most + skip).checked_sub(data)?,
                data,
                tcp,
            },
            _ if self.can_be_fragmented() => Cut::Fragments {
                size: most.checked_sub(v4::HEADER)? / 8 * 8,
            },
            _ => return None,
        };
        let (Cut::Every { size, .. } | Cut::Fragments { size }) = cut else {
            return None;
        };
        let segments = Segments { cut, ..*self };
        (size >= MIN_PIECE && segments.count() <= MAX_SEGMENTS).then_some(segments)
    }

    /// Whole IP packets: the payload of tunnel mode.
    #[must_use]
    pub fn whole(&self) -> Carried<'_, 'a> {
        let next_header = match self.packet.version() {
            4 => protocol::IPV4,
            _ => protocol::IPV6,
        };
        Carried {
            segments: self,
            skip: 0,
            next_header,
        }
    }

    /// What is behind the IP header: the payload of transport mode. IPv6 destination options stay
    /// with it (RFC 4303 3.1.1).
    ///
    /// # Errors
    /// [`Discard::OutboundFragment`], because transport mode is for whole packets only, and
    /// [`Discard::OutboundHeaders`] for IPv4 options, hop-by-hop options and routing headers: they
    /// belong before the ESP header, where a socket that makes the IP header cannot put them.
    pub fn behind_ip_header(&self) -> Result<Carried<'_, 'a>, Discard> {
        if self.is_fragment() {
            return Err(Discard::OutboundFragment);
        }
        let octets = self.packet.octets();
        let (skip, next_header) = match self.packet.version() {
            4 if self.packet.header_length() != v4::HEADER => return Err(Discard::OutboundHeaders),
            4 => (v4::HEADER, self.packet.protocol()),
            _ => (
                v6::HEADER,
                octets.get(6).copied().unwrap_or(protocol::NO_NEXT_HEADER),
            ),
        };
        match next_header {
            protocol::HOP_BY_HOP | protocol::ROUTING | protocol::FRAGMENT
                if self.packet.version() == 6 =>
            {
                Err(Discard::OutboundHeaders)
            }
            _ => Ok(Carried {
                segments: self,
                skip,
                next_header,
            }),
        }
    }

    /// The part of the packet's data that a segment has.
    fn chunk(&self, number: usize, size: usize, data: usize) -> Range<usize> {
        let end = self.packet.total_length();
        let start = (data + number * size).min(end);
        start..(start + size).min(end)
    }
}

/// What is to be sealed of each segment.
pub struct Carried<'s, 'a> {
    segments: &'s Segments<'a>,
    /// Bytes of the IP header that are left out.
    skip: usize,
    next_header: u8,
}

impl Carried<'_, '_> {
    /// The protocol number of what is carried.
    #[must_use]
    pub fn next_header(&self) -> u8 {
        self.next_header
    }

    /// DSCP and ECN of the packet, for the outer header (RFC 4301 5.1.2, RFC 6040 4.1).
    #[must_use]
    pub fn traffic_class(&self) -> u8 {
        self.segments.packet.traffic_class()
    }

    /// Bytes that [`write`](Self::write) writes for a segment.
    #[must_use]
    pub fn length(&self, number: usize) -> usize {
        match self.segments.cut {
            Cut::Whole => self.segments.packet.total_length() - self.skip,
            Cut::Every { size, data, .. } => {
                data - self.skip + self.segments.chunk(number, size, data).len()
            }
            Cut::Fragments { size } => {
                v4::HEADER + self.segments.chunk(number, size, v4::HEADER).len()
            }
        }
    }

    /// Writes a segment with all its checksums and lengths into `out`, which has
    /// [`length`](Self::length) bytes.
    pub fn write(&self, number: usize, out: &mut [u8]) {
        let octets = self.segments.packet.octets();
        match self.segments.cut {
            Cut::Whole => {
                put(out, 0, octets.get(self.skip..).unwrap_or_default());
                self.complete(out);
            }
            Cut::Fragments { size } => self.write_fragment(number, size, out),
            Cut::Every { size, data, tcp } => {
                let chunk = self.segments.chunk(number, size, data);
                put(out, 0, octets.get(self.skip..data).unwrap_or_default());
                put(out, data - self.skip, octets.get(chunk).unwrap_or_default());
                if self.skip == 0 {
                    self.patch_ip(number, out);
                }
                let start = self.segments.packet.header_length() - self.skip;
                let transport = out.get_mut(start..).unwrap_or_default();
                match tcp {
                    true => self.patch_tcp(number, size, transport),
                    false => self.patch_udp(transport),
                }
            }
        }
    }

    /// Writes a fragment of the packet, which may be one already. Whole packets are carried so.
    fn write_fragment(&self, number: usize, size: usize, out: &mut [u8]) {
        let packet = &self.segments.packet;
        let chunk = self.segments.chunk(number, size, v4::HEADER);
        let Ok((header, _)) = v4::Header::parse(packet.octets()) else {
            return;
        };
        let last = chunk.end == packet.total_length();
        let place = (number * size) as u16;
        let header = v4::Header {
            total_length: (v4::HEADER + chunk.len()) as u16,
            more_fragments: header.more_fragments || !last,
            fragment_offset: header.fragment_offset + place,
            ..header
        };
        put(out, 0, &header.emit());
        put(
            out,
            v4::HEADER,
            packet.octets().get(chunk.clone()).unwrap_or_default(),
        );
        // The checksum covers all of the packet and lies in the first fragment.
        if let Some((start, at)) = self
            .segments
            .completion
            .filter(|(_, at)| chunk.contains(at))
        {
            let rest = packet.octets().get(start..packet.total_length());
            let checksum = self.checksum(rest.unwrap_or_default());
            put(out, at - chunk.start + v4::HEADER, &checksum.to_be_bytes());
        }
    }

    /// The checksum of what holds the pseudo-header's sum in its place.
    fn checksum(&self, octets: &[u8]) -> u16 {
        match checksum::of(octets) {
            0 if self.segments.flow.protocol == protocol::UDP => 0xffff,
            checksum => checksum,
        }
    }

    /// Completes a checksum that holds only the pseudo-header's sum.
    fn complete(&self, out: &mut [u8]) {
        let Some((start, at)) = self.segments.completion else {
            return;
        };
        let Some(start) = start.checked_sub(self.skip) else {
            return;
        };
        let Some(at) = at.checked_sub(self.skip) else {
            return;
        };
        let checksum = self.checksum(out.get(start..).unwrap_or_default());
        put(out, at, &checksum.to_be_bytes());
    }

    fn patch_ip(&self, number: usize, out: &mut [u8]) {
        let length = out.len();
        if self.segments.packet.version() == 6 {
            put(out, 4, &((length - v6::HEADER) as u16).to_be_bytes());
            return;
        }
        if let Some([i0, i1]) = out.get(4..6).and_then(|field| field.first_chunk()).copied() {
            let identification = u16::from_be_bytes([i0, i1]).wrapping_add(number as u16);
            put(out, 4, &identification.to_be_bytes());
        }
        put(out, 2, &(length as u16).to_be_bytes());
        put(out, 10, &[0, 0]);
        let header = out
            .get(..self.segments.packet.header_length())
            .unwrap_or_default();
        let checksum = checksum::of(header);
        put(out, 10, &checksum.to_be_bytes());
    }

    fn patch_tcp(&self, number: usize, size: usize, out: &mut [u8]) {
        let last = number + 1 == self.segments.count();
        if let Some(header) = out.first_chunk_mut::<{ tcp::HEADER }>() {
            let [_, _, _, _, s0, s1, s2, s3, ..] = *header;
            let sequence = u32::from_be_bytes([s0, s1, s2, s3]);
            let sequence = sequence.wrapping_add((number * size) as u32);
            header[4..8].copy_from_slice(&sequence.to_be_bytes());
            if !last {
                header[13] &= !(tcp::FIN | tcp::PSH);
            }
            if number > 0 {
                header[13] &= !tcp::CWR;
            }
        }
        put(out, tcp::CHECKSUM, &[0, 0]);
        let checksum = self.transport_sum(protocol::TCP, out);
        put(out, tcp::CHECKSUM, &checksum.to_be_bytes());
    }

    fn patch_udp(&self, out: &mut [u8]) {
        let length = out.len() as u16;
        put(out, 4, &length.to_be_bytes());
        put(out, udp::CHECKSUM, &[0, 0]);
        let checksum = match self.transport_sum(protocol::UDP, out) {
            0 => 0xffff,
            checksum => checksum,
        };
        put(out, udp::CHECKSUM, &checksum.to_be_bytes());
    }

    fn transport_sum(&self, protocol: u8, transport: &[u8]) -> u16 {
        let Flow { src, dst, .. } = self.segments.flow;
        let mut sum = Sum::pseudo_header(src, dst, protocol, transport.len() as u32);
        sum.add(transport);
        sum.finish()
    }
}

/// Checks that the packet can be cut as the descriptor says.
fn cut(packet: &Packet<'_>, offload: &Offload) -> Result<Cut, Discard> {
    let fits = match offload.segmentation {
        Segmentation::None => return Ok(Cut::Whole),
        Segmentation::TcpV4 => packet.version() == 4 && packet.protocol() == protocol::TCP,
        Segmentation::TcpV6 => packet.version() == 6 && packet.protocol() == protocol::TCP,
        Segmentation::Udp => packet.protocol() == protocol::UDP,
    };
    let size = usize::from(offload.segment_size);
    if !fits || size == 0 || packet.fragment().is_some() {
        return Err(Discard::OutboundOffload);
    }
    let tcp = offload.segmentation != Segmentation::Udp;
    let header = match tcp {
        true => tcp::Tcp::parse(packet.payload()).map(|tcp| tcp.data_offset()),
        false => udp::Udp::parse(packet.payload()).map(|_| udp::HEADER),
    };
    let header = header.map_err(|_| Discard::OutboundOffload)?;
    Ok(Cut::Every {
        size,
        data: packet.header_length() + header,
        tcp,
    })
}

/// Checks that the checksum to complete lies behind the IP header and within the packet.
fn completion(packet: &Packet<'_>, offload: &Offload) -> Result<(usize, usize), Discard> {
    let start = usize::from(offload.checksum_start);
    let at = start + usize::from(offload.checksum_offset);
    if start < packet.header_length() || at + 2 > packet.total_length() {
        return Err(Discard::OutboundOffload);
    }
    Ok((start, at))
}

/// Copies bytes to a place; what does not fit is left out, which the lengths above exclude.
fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(space) = out.get_mut(at..at + bytes.len()) {
        space.copy_from_slice(bytes);
    }
}
