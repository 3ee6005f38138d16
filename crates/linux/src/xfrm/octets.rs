//! Writing and reading netlink messages of XFRM: structures, padding, attributes (netlink(7)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use zeroize::Zeroizing;

use crate::prefix::Family;

/// Room for the longest message that holds a key: it never grows, so no copy is left behind.
const CAPACITY: usize = 4096;
/// The length of `xfrm_address_t`.
pub(crate) const ADDRESS: usize = 16;

/// A request in the making. It may hold a key, so it is wiped when it goes.
pub(crate) struct Writer {
    octets: Zeroizing<Vec<u8>>,
}

impl Writer {
    /// A message of this type; the header's length and sequence number come last.
    pub(crate) fn new(kind: u16, flags: u16) -> Self {
        let mut octets = Zeroizing::new(Vec::with_capacity(CAPACITY));
        octets.extend([0; 4]);
        octets.extend(kind.to_ne_bytes());
        octets.extend(flags.to_ne_bytes());
        octets.extend([0; 8]);
        Writer { octets }
    }

    /// The whole message, ready to be sent.
    pub(crate) fn finish(mut self, sequence: u32) -> Zeroizing<Vec<u8>> {
        let length = u32::try_from(self.octets.len()).unwrap_or(u32::MAX);
        self.patch(0, &length.to_ne_bytes());
        self.patch(8, &sequence.to_ne_bytes());
        self.octets
    }

    fn patch(&mut self, at: usize, octets: &[u8]) {
        if let Some(place) = self.octets.get_mut(at..at + octets.len()) {
            place.copy_from_slice(octets);
        }
    }

    pub(crate) fn bytes(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.octets.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_ne_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_ne_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_ne_bytes());
    }

    /// A number in network byte order: a port, its mask.
    pub(crate) fn be16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    /// An SPI.
    pub(crate) fn be32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn zeros(&mut self, count: usize) {
        self.octets.extend(std::iter::repeat_n(0, count));
    }

    /// `xfrm_address_t`: 16 octets, of which IPv4 uses the first four.
    pub(crate) fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => {
                self.bytes(&address.octets());
                self.zeros(12);
            }
            IpAddr::V6(address) => self.bytes(&address.octets()),
        }
    }

    pub(crate) fn family(&mut self, family: Family) {
        self.u16(family_number(family));
    }

    /// A name of fixed length, filled up with zeros.
    pub(crate) fn name(&mut self, name: &str, length: usize) {
        let octets = name.as_bytes();
        let octets = octets.get(..length - 1).unwrap_or(octets);
        self.bytes(octets);
        self.zeros(length - octets.len());
    }

    /// Begins a netlink attribute and answers where, for [`Writer::end`].
    pub(crate) fn begin(&mut self, kind: u16) -> usize {
        self.pad();
        let at = self.octets.len();
        self.u16(0);
        self.u16(kind);
        at
    }

    pub(crate) fn end(&mut self, at: usize) {
        let length = u16::try_from(self.octets.len() - at).unwrap_or(u16::MAX);
        self.patch(at, &length.to_ne_bytes());
        self.pad();
    }

    /// An attribute that is one number.
    pub(crate) fn attribute_u32(&mut self, kind: u16, value: u32) {
        let at = self.begin(kind);
        self.u32(value);
        self.end(at);
    }

    fn pad(&mut self) {
        while !self.octets.len().is_multiple_of(4) {
            self.octets.push(0);
        }
    }

    /// Octets since the header, to see that a structure has its length.
    #[cfg(test)]
    pub(crate) fn body(&self) -> &[u8] {
        &self.octets[16..]
    }
}

/// What follows the netlink header of a message from the kernel, read from its front.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Reader { rest: octets }
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.first_chunk().copied()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[octet]| octet)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_ne_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_ne_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_ne_bytes)
    }

    pub(crate) fn be16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn be32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A structure of its own within this one.
    pub(crate) fn part(&mut self, length: usize) -> Option<Reader<'a>> {
        self.bytes(length).map(Reader::new)
    }

    /// The attributes that follow: type and value. What is cut off is left out.
    pub(crate) fn attributes(self) -> impl Iterator<Item = (u16, &'a [u8])> {
        let mut rest = self.rest;
        std::iter::from_fn(move || {
            let mut reader = Reader::new(rest);
            let length = usize::from(reader.u16()?);
            // The two highest bits say how the value is to be read, which its type says already.
            let kind = reader.u16()? & 0x3fff;
            let value = rest.get(4..length)?;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            Some((kind, value))
        })
    }

    /// The value of the first attribute of a type.
    pub(crate) fn attribute(self, wanted: u16) -> Option<Reader<'a>> {
        let found = self.attributes().find(|(kind, _)| *kind == wanted);
        found.map(|(_, value)| Reader::new(value))
    }
}

/// An address out of its 16 octets.
pub(crate) fn address(octets: &[u8], family: Family) -> Option<IpAddr> {
    Some(match family {
        Family::V4 => Ipv4Addr::from(*octets.first_chunk::<4>()?).into(),
        Family::V6 => Ipv6Addr::from(*octets.first_chunk::<ADDRESS>()?).into(),
    })
}

pub(crate) fn family_number(family: Family) -> u16 {
    let number = match family {
        Family::V4 => libc::AF_INET,
        Family::V6 => libc::AF_INET6,
    };
    number as u16
}

pub(crate) fn family_of(number: u16) -> Option<Family> {
    Family::BOTH
        .into_iter()
        .find(|family| family_number(*family) == number)
}
