//! The parts of a TCP packet with plain headers, of which some can be joined (RFC 9293 3.1).

use wire::ip::checksum::Sum;
use wire::ip::{protocol, tcp, v4, v6};

const MORE_FRAGMENTS_OR_OFFSET: u16 = 0xbfff;

/// The three parts of a TCP packet.
#[derive(Clone, Copy)]
pub(crate) struct Segment<'a> {
    /// An IPv4 header without options, or an IPv6 header without extensions.
    pub(crate) ip: &'a [u8],
    /// The TCP header with its options.
    pub(crate) tcp: &'a [u8],
    /// The data.
    pub(crate) data: &'a [u8],
}

impl<'a> Segment<'a> {
    /// The parts of a TCP packet that begins with `header` and goes on with `rest`; `header` is
    /// either the whole IP header or empty. `None` when IP options or extensions, a fragment or
    /// another protocol are in the way.
    pub(crate) fn parse(header: &'a [u8], rest: &'a [u8]) -> Option<Self> {
        let (ip, rest) = split_ip(header, rest)?;
        let plain = match ip {
            [0x45, _, _, _, _, _, f0, f1, _, protocol::TCP, ..] => {
                u16::from_be_bytes([*f0, *f1]) & MORE_FRAGMENTS_OR_OFFSET == 0
            }
            [v, _, _, _, _, _, protocol::TCP, ..] => v >> 4 == 6,
            _ => false,
        };
        let view = tcp::Tcp::parse(rest).ok().filter(|_| plain)?;
        let (tcp, data) = rest.split_at_checked(view.data_offset())?;
        Some(Segment { ip, tcp, data })
    }

    /// Whether it carries data and nothing that has to be seen by itself.
    pub(crate) fn is_joinable(&self) -> bool {
        let allowed = tcp::ACK | tcp::PSH | tcp::FIN | tcp::ECE | tcp::CWR;
        let flags = self.flags();
        !self.data.is_empty() && flags & tcp::ACK != 0 && flags & !allowed == 0
    }

    /// Sequence number of the first byte of data.
    pub(crate) fn sequence(&self) -> u32 {
        match self.tcp {
            [_, _, _, _, s0, s1, s2, s3, ..] => u32::from_be_bytes([*s0, *s1, *s2, *s3]),
            _ => 0,
        }
    }

    /// The flag octet.
    pub(crate) fn flags(&self) -> u8 {
        self.tcp.get(13).copied().unwrap_or(0)
    }

    /// Addresses and ports, mixed; what has another value is of another flow.
    pub(crate) fn tag(&self) -> u64 {
        let addresses = if self.ip.len() == v4::HEADER { 12 } else { 8 };
        let words = self.ip.get(addresses..).unwrap_or_default().chunks(8);
        let ports = self.tcp.chunks(4).take(1);
        words.chain(ports).fold(0, |tag: u64, chunk| {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            let mixed = (tag ^ u64::from_ne_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed ^ mixed >> 29
        })
    }

    /// Whether the TCP checksum is right.
    pub(crate) fn is_intact(&self) -> bool {
        let mut sum = pseudo_header(self.ip, self.tcp.len() + self.data.len());
        sum.add(self.tcp);
        sum.add(self.data);
        sum.finish() == 0
    }
}

/// The sum of the pseudo-header that goes with an IP header and `length` bytes of TCP.
pub(crate) fn pseudo_header(ip: &[u8], length: usize) -> Sum {
    let addresses = if ip.len() == v4::HEADER { 12 } else { 8 };
    let mut sum = Sum::new();
    sum.add(ip.get(addresses..).unwrap_or_default());
    sum.add(&(length as u32).to_be_bytes());
    sum.add_u16(protocol::TCP.into());
    sum
}

fn split_ip<'a>(header: &'a [u8], rest: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    if !header.is_empty() {
        return Some((header, rest));
    }
    match rest.first()? >> 4 {
        4 => rest.split_at_checked(v4::HEADER),
        6 => rest.split_at_checked(v6::HEADER),
        _ => None,
    }
}
