//! Ranges of addresses and of ports, the two measures of every selector (RFC 4301 section 4.4.1.1).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An inclusive range of ports; for ICMP, of type and code as one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    /// First port.
    pub start: u16,
    /// Last port, not below `start`.
    pub end: u16,
}

impl PortRange {
    /// Every port, and the only range that protocols without ports match.
    pub const ANY: PortRange = PortRange {
        start: 0,
        end: u16::MAX,
    };

    /// One port.
    #[must_use]
    pub const fn single(port: u16) -> Self {
        PortRange {
            start: port,
            end: port,
        }
    }

    /// From `start` to `end`, both included; `None` when they are the wrong way round.
    #[must_use]
    pub fn new(start: u16, end: u16) -> Option<Self> {
        (start <= end).then_some(PortRange { start, end })
    }

    /// Whether this is [`PortRange::ANY`].
    #[must_use]
    pub fn is_any(self) -> bool {
        self == PortRange::ANY
    }

    /// Whether the port lies within.
    #[must_use]
    pub fn contains(self, port: u16) -> bool {
        (self.start..=self.end).contains(&port)
    }

    /// Whether every port of `other` lies within.
    #[must_use]
    pub fn covers(self, other: PortRange) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// The ports that both hold, if any.
    #[must_use]
    pub fn intersect(self, other: PortRange) -> Option<PortRange> {
        PortRange::new(self.start.max(other.start), self.end.min(other.end))
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.is_any(), self.start == self.end) {
            (true, _) => f.write_str("any"),
            (_, true) => write!(f, "{}", self.start),
            _ => write!(f, "{}-{}", self.start, self.end),
        }
    }
}

/// An inclusive range of addresses of one family.
///
/// Invariant, held by every constructor: both ends are of one family and `start <= end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRange {
    start: IpAddr,
    end: IpAddr,
}

impl AddressRange {
    /// Every IPv4 address.
    pub const ANY_V4: AddressRange = AddressRange {
        start: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        end: IpAddr::V4(Ipv4Addr::BROADCAST),
    };

    /// Every IPv6 address.
    pub const ANY_V6: AddressRange = AddressRange {
        start: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        end: IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)),
    };

    /// From `start` to `end`, both included; `None` when the families differ or the order is wrong.
    #[must_use]
    pub fn new(start: IpAddr, end: IpAddr) -> Option<Self> {
        (start.is_ipv4() == end.is_ipv4() && start <= end).then_some(AddressRange { start, end })
    }

    /// One address.
    #[must_use]
    pub const fn host(address: IpAddr) -> Self {
        AddressRange {
            start: address,
            end: address,
        }
    }

    /// The subnet of `length` bits that holds `address`, whose other bits are ignored; `None` when
    /// `length` is above 32 or 128.
    #[must_use]
    pub fn subnet(address: IpAddr, length: u8) -> Option<Self> {
        match address {
            IpAddr::V4(address) if length <= 32 => {
                let free = u32::MAX.checked_shr(length.into()).unwrap_or(0);
                let start = Ipv4Addr::from_bits(address.to_bits() & !free);
                let end = Ipv4Addr::from_bits(address.to_bits() | free);
                Some(AddressRange {
                    start: start.into(),
                    end: end.into(),
                })
            }
            IpAddr::V6(address) if length <= 128 => {
                let free = u128::MAX.checked_shr(length.into()).unwrap_or(0);
                let start = Ipv6Addr::from_bits(address.to_bits() & !free);
                let end = Ipv6Addr::from_bits(address.to_bits() | free);
                Some(AddressRange {
                    start: start.into(),
                    end: end.into(),
                })
            }
            _ => None,
        }
    }

    /// First address.
    #[must_use]
    pub fn start(&self) -> IpAddr {
        self.start
    }

    /// Last address.
    #[must_use]
    pub fn end(&self) -> IpAddr {
        self.end
    }

    /// Whether the range is of IPv4 addresses.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        self.start.is_ipv4()
    }

    /// Whether the range holds every address of its family.
    #[must_use]
    pub fn is_any(&self) -> bool {
        *self == AddressRange::ANY_V4 || *self == AddressRange::ANY_V6
    }

    /// The one address, when there is only one.
    #[must_use]
    pub fn as_host(&self) -> Option<IpAddr> {
        (self.start == self.end).then_some(self.start)
    }

    /// The prefix length, when the range is exactly a subnet (a host is one of 32 or 128 bits).
    #[must_use]
    pub fn prefix_length(&self) -> Option<u8> {
        let (start, end, unused) = match (self.start, self.end) {
            (IpAddr::V4(start), IpAddr::V4(end)) => {
                (u128::from(start.to_bits()), u128::from(end.to_bits()), 96)
            }
            (IpAddr::V6(start), IpAddr::V6(end)) => (start.to_bits(), end.to_bits(), 0),
            _ => return None,
        };
        let free = start ^ end;
        // A subnet differs in a run of low bits only, all 0 at its start and all 1 at its end.
        let is_subnet = free & free.wrapping_add(1) == 0 && start & free == 0;
        is_subnet.then_some((free.leading_zeros() - unused) as u8)
    }

    /// Whether the address lies within.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        // IpAddr orders every IPv4 address before every IPv6 one, so families never mix here.
        self.start <= address && address <= self.end
    }

    /// Whether every address of `other` lies within.
    #[must_use]
    pub fn covers(&self, other: &AddressRange) -> bool {
        self.contains(other.start) && self.contains(other.end)
    }

    /// The addresses that both hold, if any.
    #[must_use]
    pub fn intersect(&self, other: &AddressRange) -> Option<AddressRange> {
        AddressRange::new(self.start.max(other.start), self.end.min(other.end))
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix_length() {
            Some(length) => write!(f, "{}/{length}", self.start),
            None => write!(f, "{}-{}", self.start, self.end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn subnet(text: &str, length: u8) -> Option<String> {
        AddressRange::subnet(text.parse().unwrap(), length).map(|range| range.to_string())
    }

    #[test]
    fn subnets_and_their_text() {
        assert_eq!(subnet("10.1.2.3", 24), Some("10.1.2.0/24".to_owned()));
        assert_eq!(subnet("10.1.2.3", 32), Some("10.1.2.3/32".to_owned()));
        assert_eq!(subnet("10.1.2.3", 0), Some("0.0.0.0/0".to_owned()));
        assert_eq!(subnet("10.1.2.3", 33), None);
        assert_eq!(subnet("2001:db8::1", 32), Some("2001:db8::/32".to_owned()));
        assert_eq!(subnet("2001:db8::1", 0), Some("::/0".to_owned()));
        assert_eq!(subnet("2001:db8::1", 129), None);
        assert!(AddressRange::ANY_V4.is_any() && AddressRange::ANY_V6.is_any());
        assert_eq!(AddressRange::ANY_V4.prefix_length(), Some(0));
        assert_eq!(AddressRange::ANY_V6.prefix_length(), Some(0));
    }

    #[test]
    fn families_do_not_mix() {
        let v4: IpAddr = "10.0.0.1".parse().unwrap();
        let v6: IpAddr = "::1".parse().unwrap();
        assert_eq!(AddressRange::new(v4, v6), None);
        assert!(!AddressRange::ANY_V4.contains(v6) && !AddressRange::ANY_V6.contains(v4));
        assert_eq!(AddressRange::ANY_V4.intersect(&AddressRange::ANY_V6), None);
    }

    proptest! {
        #[test]
        fn a_prefix_length_makes_the_same_range(start in any::<u32>(), end in any::<u32>()) {
            let address = |bits| Ipv4Addr::from_bits(bits).into();
            let (least, most) = (address(start.min(end)), address(start.max(end)));
            let range = AddressRange::new(least, most).unwrap();
            if let Some(length) = range.prefix_length() {
                prop_assert_eq!(AddressRange::subnet(range.start(), length), Some(range));
            }
        }

        #[test]
        fn every_subnet_knows_its_length(bits in any::<u128>(), length in 0..=128u8) {
            let address = Ipv6Addr::from_bits(bits).into();
            let range = AddressRange::subnet(address, length).unwrap();
            prop_assert_eq!(range.prefix_length(), Some(length));
            prop_assert!(range.contains(address));
        }
    }
}
