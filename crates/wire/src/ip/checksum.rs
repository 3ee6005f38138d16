//! The Internet checksum (RFC 1071), incremental (RFC 1624) and over pseudo headers (RFC 8200 8.1).

use crate::ip::protocol;
use std::net::IpAddr;

/// A ones' complement sum that grows by parts of any length, odd ones too.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    /// Big-endian words added up, carries not yet folded in.
    total: u64,
    /// An odd number of octets came so far: the next one is the low half of a word.
    odd: bool,
}

impl Sum {
    /// The sum of nothing.
    pub fn new() -> Self {
        Sum::default()
    }

    /// The sum of the pseudo header of an upper layer packet of `length` octets.
    pub fn pseudo_header(src: IpAddr, dst: IpAddr, protocol: u8, length: u32) -> Self {
        let mut sum = Sum::new();
        sum.add_address(src);
        sum.add_address(dst);
        sum.add(&length.to_be_bytes());
        sum.add_u16(u16::from(protocol));
        sum
    }

    /// Adds octets.
    #[inline]
    pub fn add(&mut self, octets: &[u8]) {
        let words = fold(native_sum(octets)).to_be();
        self.total += u64::from(if self.odd { words.swap_bytes() } else { words });
        self.odd ^= octets.len() % 2 == 1;
    }

    /// Adds an address.
    pub fn add_address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.add(&address.octets()),
            IpAddr::V6(address) => self.add(&address.octets()),
        }
    }

    /// Adds a word.
    pub fn add_u16(&mut self, word: u16) {
        self.add(&word.to_be_bytes());
    }

    /// The checksum: the sum's complement. Over octets that hold their right checksum it is zero.
    #[inline]
    pub fn finish(self) -> u16 {
        !fold(self.total)
    }
}

/// Adds octets up as words in the machine's own order, eight octets at a time; ones' complement
/// sums do not mind the order until the end (RFC 1071 section 2). Cannot overflow below 16 GiB.
#[inline]
fn native_sum(octets: &[u8]) -> u64 {
    let (chunks, rest) = octets.as_chunks::<8>();
    let mut low = 0;
    let mut high = 0;
    for chunk in chunks {
        let value = u64::from_ne_bytes(*chunk);
        low += value & 0xffff_ffff;
        high += value >> 32;
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let value = u64::from_ne_bytes(last);
    low + high + (value & 0xffff_ffff) + (value >> 32)
}

/// Adds the carries back until sixteen bits are left.
#[inline]
fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// The checksum of `octets`.
pub fn of(octets: &[u8]) -> u16 {
    let mut sum = Sum::new();
    sum.add(octets);
    sum.finish()
}

/// The checksum of an upper layer packet that is `parts` one after the other, its checksum field
/// zero. For UDP zero, which would mean "none", becomes its equal 0xffff (RFC 768).
pub fn transport(src: IpAddr, dst: IpAddr, protocol: u8, parts: &[&[u8]]) -> u16 {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut sum = Sum::pseudo_header(src, dst, protocol, length as u32);
    parts.iter().for_each(|part| sum.add(part));
    match sum.finish() {
        0 if protocol == protocol::UDP => 0xffff,
        checksum => checksum,
    }
}

/// Whether an upper layer packet holds its right checksum.
pub fn is_right(src: IpAddr, dst: IpAddr, protocol: u8, parts: &[&[u8]]) -> bool {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut sum = Sum::pseudo_header(src, dst, protocol, length as u32);
    parts.iter().for_each(|part| sum.add(part));
    sum.finish() == 0
}

/// The checksum after `old` octets were replaced by `new` ones that begin at an even offset
/// (RFC 1624 equation 3). Both have the same, even length.
pub fn update(checksum: u16, old: &[u8], new: &[u8]) -> u16 {
    let mut sum = Sum::new();
    sum.add_u16(!checksum);
    sum.add_u16(of(old));
    sum.add(new);
    sum.finish()
}

/// The checksum of an upper layer packet after its pseudo header's source and destination were
/// replaced (RFC 1624 equation 3, RFC 3948 3.1.2). Their families may differ.
pub fn readdress(checksum: u16, before: (IpAddr, IpAddr), after: (IpAddr, IpAddr)) -> u16 {
    let mut old = Sum::new();
    old.add_address(before.0);
    old.add_address(before.1);
    let mut sum = Sum::new();
    sum.add_u16(!checksum);
    sum.add_u16(old.finish());
    sum.add_address(after.0);
    sum.add_address(after.1);
    sum.finish()
}
