//! Which packets a policy or an SA is about: addresses, protocol, blocks of ports (xfrm.h).

use std::fmt;

use crate::prefix::{Family, Prefix};
use crate::xfrm::octets::{ADDRESS, Reader, Writer, address, family_of};

/// The length of `struct xfrm_selector`.
pub(crate) const LENGTH: usize = 56;

/// A block of ports: those that have the bits of `port` where `mask` has ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortBlock {
    /// The first port.
    pub port: u16,
    /// The bits that count; 0: every port.
    pub mask: u16,
}

impl PortBlock {
    /// Every port.
    pub const ANY: PortBlock = PortBlock { port: 0, mask: 0 };

    /// The last port.
    pub fn last(self) -> u16 {
        self.port | !self.mask
    }
}

/// The packets of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector {
    /// Source addresses.
    pub source: Prefix,
    /// Destination addresses, of the same family.
    pub destination: Prefix,
    /// The IP protocol; 0: any.
    pub protocol: u8,
    /// Source ports; of ICMP the type.
    pub source_ports: PortBlock,
    /// Destination ports; of ICMP the code.
    pub destination_ports: PortBlock,
}

impl Selector {
    /// Every packet of a family.
    pub fn any(family: Family) -> Selector {
        Selector {
            source: Prefix::any(family),
            destination: Prefix::any(family),
            protocol: 0,
            source_ports: PortBlock::ANY,
            destination_ports: PortBlock::ANY,
        }
    }

    /// The packets of the other direction.
    pub fn mirrored(&self) -> Selector {
        Selector {
            source: self.destination,
            destination: self.source,
            protocol: self.protocol,
            source_ports: self.destination_ports,
            destination_ports: self.source_ports,
        }
    }

    /// The family of the packets.
    pub fn family(&self) -> Family {
        self.source.family()
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        let (source, destination) = (self.source.network(), self.destination.network());
        out.address(destination.address());
        out.address(source.address());
        for block in [self.destination_ports, self.source_ports] {
            out.be16(block.port);
            out.be16(block.mask);
        }
        out.family(self.family());
        out.u8(destination.length());
        out.u8(source.length());
        out.u8(self.protocol);
        out.zeros(3);
        // No interface, no user.
        out.zeros(8);
    }

    /// Reads one. `None` where the kernel says no family, as for an SA without a selector.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Selector> {
        let mut part = reader.part(LENGTH)?;
        let (to, from) = (part.bytes(ADDRESS)?, part.bytes(ADDRESS)?);
        let mut block = || {
            let (port, mask) = (part.be16()?, part.be16()?);
            Some(PortBlock { port, mask })
        };
        let (destination_ports, source_ports) = (block()?, block()?);
        let family = family_of(part.u16()?)?;
        let (to_length, from_length) = (part.u8()?, part.u8()?);
        Some(Selector {
            source: Prefix::new(address(from, family)?, from_length),
            destination: Prefix::new(address(to, family)?, to_length),
            protocol: part.u8()?,
            source_ports,
            destination_ports,
        })
    }
}

/// An SA without a selector of its own: all zeros.
pub(crate) fn write_none(out: &mut Writer) {
    out.zeros(LENGTH);
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        write_ports(f, self.source_ports)?;
        write!(f, " > {}", self.destination)?;
        write_ports(f, self.destination_ports)?;
        match self.protocol {
            0 => Ok(()),
            protocol => write!(f, " protocol {protocol}"),
        }
    }
}

fn write_ports(f: &mut fmt::Formatter<'_>, ports: PortBlock) -> fmt::Result {
    match (ports.port, ports.last()) {
        (0, u16::MAX) => Ok(()),
        (first, last) if first == last => write!(f, ":{first}"),
        (first, last) => write!(f, ":{first}-{last}"),
    }
}
