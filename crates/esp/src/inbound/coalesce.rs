//! Segments of one TCP flow, in sequence, joined into one packet for the host (virtio 1.2 5.1.6).
//!
//! The rules are those of a kernel's generic receive offload, so that the host sees what it would
//! have seen from a network card: the result, cut again, is what arrived.

#[cfg(test)]
mod tests;

use wire::ip::{checksum, tcp, v4, v6};

use crate::inbound::segment::{Segment, pseudo_header};
use crate::offload::{Offload, Segmentation};

/// Room for the longest IP header without extensions and the longest TCP header.
pub(crate) const HEADER_ROOM: usize = v6::HEADER + 60;
/// Longest IP packet.
const MAX_PACKET: usize = 65_535;
/// Pieces of one packet at most: 64 KiB of full segments, and few slices for one system call.
pub const MAX_PIECES: usize = 64;
/// Flows followed at the same time; a flow beyond them is joined less, not wrongly.
const FLOWS: usize = 64;

/// Which write of the batch the next segment of each flow may join.
pub(crate) struct Coalescer {
    slots: [Option<(u64, usize)>; FLOWS],
}

impl Coalescer {
    pub(crate) fn new() -> Self {
        Coalescer {
            slots: [None; FLOWS],
        }
    }

    /// Lets no segment join anything that came before.
    pub(crate) fn clear(&mut self) {
        self.slots = [None; FLOWS];
    }

    /// The write that a segment's flow has open.
    pub(crate) fn find(&self, tag: u64) -> Option<usize> {
        let (found, number) = (*self.slots.get(slot(tag))?)?;
        (found == tag).then_some(number)
    }

    /// Lets no later segment of a flow join anything that came before.
    pub(crate) fn close(&mut self, tag: u64) {
        if let Some(slot) = self.slots.get_mut(slot(tag)) {
            *slot = None;
        }
    }

    /// Makes a write the open one of its flow.
    pub(crate) fn open(&mut self, tag: u64, number: usize) {
        if let Some(slot) = self.slots.get_mut(slot(tag)) {
            *slot = Some((tag, number));
        }
    }
}

fn slot(tag: u64) -> usize {
    (tag >> 40) as usize % FLOWS
}

/// What is known of segments that are being joined.
pub(crate) struct Joined {
    next_sequence: u32,
    /// Bytes of data per segment; only the last may have fewer.
    size: usize,
    /// Bytes of the whole packet so far.
    total: usize,
    /// PSH and FIN of the last segment.
    flags: u8,
    /// Nothing may follow: the last segment was short, or pushed.
    closed: bool,
    /// The checksum of the first segment was verified, as that of every other.
    verified: bool,
}

impl Joined {
    /// A packet of one segment, to which others may come.
    pub(crate) fn new(first: &Segment<'_>, intact: bool) -> Self {
        let size = first.data.len();
        Joined {
            next_sequence: first.sequence().wrapping_add(size as u32),
            size,
            total: first.ip.len() + first.tcp.len() + size,
            flags: first.flags() & (tcp::PSH | tcp::FIN),
            closed: first.flags() & (tcp::PSH | tcp::FIN) != 0,
            verified: intact,
        }
    }

    /// Takes a segment if it continues the packet. `header` and `data` are those of the first
    /// segment, `intact` says that the checksum was verified, `pieces` how many there are so far.
    pub(crate) fn accept(
        &mut self,
        header: &[u8],
        data: &[u8],
        segment: &Segment<'_>,
        intact: bool,
        pieces: usize,
    ) -> bool {
        let fits = !self.closed
            && segment.sequence() == self.next_sequence
            && segment.data.len() <= self.size
            && self.total + segment.data.len() <= MAX_PACKET
            && pieces < MAX_PIECES;
        let Some((ip, tcp)) = header.split_at_checked(segment.ip.len()).filter(|_| fits) else {
            return false;
        };
        if !same_ip(ip, segment.ip, pieces)
            || !same_tcp(tcp, segment.tcp)
            || !(intact || segment.is_intact())
        {
            return false;
        }
        if !self.verified && !(Segment { ip, tcp, data }).is_intact() {
            self.closed = true;
            return false;
        }
        self.verified = true;
        self.next_sequence = self.next_sequence.wrapping_add(segment.data.len() as u32);
        self.total += segment.data.len();
        self.flags = segment.flags() & (tcp::PSH | tcp::FIN);
        self.closed = self.flags != 0 || segment.data.len() < self.size;
        true
    }

    /// Completes the header of a packet that was joined and describes it.
    pub(crate) fn finish(self, header: &mut [u8]) -> Offload {
        let ipv4 = header.first().is_some_and(|first| first >> 4 == 4);
        let ip_length = if ipv4 { v4::HEADER } else { v6::HEADER };
        let header_length = header.len();
        let total = self.total;
        let Some((ip, transport)) = header.split_at_mut_checked(ip_length) else {
            return Offload::NONE;
        };
        if ipv4 {
            put(ip, 2, (total as u16).to_be_bytes());
            put(ip, 10, [0, 0]);
            put(ip, 10, checksum::of(ip).to_be_bytes());
        } else {
            put(ip, 4, ((total - ip_length) as u16).to_be_bytes());
        }
        let mut ecn = false;
        if let Some(flags) = transport.get_mut(13) {
            *flags |= self.flags;
            ecn = *flags & tcp::CWR != 0;
        }
        let partial = !pseudo_header(ip, total - ip_length).finish();
        put(transport, tcp::CHECKSUM, partial.to_be_bytes());
        Offload {
            segmentation: if ipv4 {
                Segmentation::TcpV4
            } else {
                Segmentation::TcpV6
            },
            ecn,
            needs_checksum: true,
            segment_size: self.size as u16,
            header_length: header_length as u16,
            checksum_start: ip_length as u16,
            checksum_offset: tcp::CHECKSUM as u16,
        }
    }
}

/// Same addresses, class, hop limit and fragment flags. An IPv4 identification must count up,
/// unless the packet may not be fragmented and it means nothing (RFC 6864 4.1).
fn same_ip(first: &[u8], other: &[u8], distance: usize) -> bool {
    match (first, other) {
        (
            [
                0x45,
                class,
                _,
                _,
                i0,
                i1,
                f0,
                f1,
                ttl,
                protocol,
                _,
                _,
                addresses @ ..,
            ],
            [0x45, c, _, _, j0, j1, g0, g1, t, p, _, _, others @ ..],
        ) => {
            let fixed = f0 & 0x40 != 0;
            let expected = u16::from_be_bytes([*i0, *i1]).wrapping_add(distance as u16);
            let counted = u16::from_be_bytes([*j0, *j1]) == expected;
            (class, f0, f1, ttl, protocol) == (c, g0, g1, t, p)
                && addresses == others
                && (fixed || counted)
        }
        ([a, b, c, d, _, _, first @ ..], [e, f, g, h, _, _, other @ ..]) => {
            a >> 4 == 6 && [a, b, c, d] == [e, f, g, h] && first == other
        }
        _ => false,
    }
}

/// Same ports, acknowledgment, window and options; the same flags but for PSH and FIN, which end
/// a packet, and CWR, which only its first segment has (RFC 3168 6.1.2).
fn same_tcp(first: &[u8], other: &[u8]) -> bool {
    let free = tcp::PSH | tcp::FIN | tcp::CWR;
    let (Some(flags), Some(others)) = (first.get(13), other.get(13)) else {
        return false;
    };
    first.get(..4) == other.get(..4)
        && first.get(8..13) == other.get(8..13)
        && (flags ^ others) & !free == 0
        && others & tcp::CWR == 0
        && first.get(14..16) == other.get(14..16)
        && first.get(18..) == other.get(18..)
}

fn put(out: &mut [u8], at: usize, bytes: [u8; 2]) {
    if let Some(space) = out.get_mut(at..at + 2) {
        space.copy_from_slice(&bytes);
    }
}
