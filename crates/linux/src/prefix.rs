//! An IP prefix (address and length) and the two address families.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both families, IPv4 first.
    pub const BOTH: [Family; 2] = [Family::V4, Family::V6];

    /// The family of an address.
    pub fn of(address: IpAddr) -> Family {
        if address.is_ipv4() {
            Family::V4
        } else {
            Family::V6
        }
    }

    /// The length of this family's addresses in bits: 32 or 128.
    pub fn bits(self) -> u8 {
        match self {
            Family::V4 => 32,
            Family::V6 => 128,
        }
    }

    /// The wildcard address of this family.
    pub fn unspecified(self) -> IpAddr {
        match self {
            Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    }
}

/// An address with the number of its leading bits that name the network.
///
/// As the address of an interface it keeps its host bits (`192.0.2.7/24`); as a destination
/// use [`Prefix::network`], which clears them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// `length` is in bits; one that is too long for the family is cut to 32 or 128.
    pub fn new(address: IpAddr, length: u8) -> Prefix {
        Prefix {
            address,
            length: length.min(Family::of(address).bits()),
        }
    }

    /// The prefix of this one address: /32 or /128.
    pub fn host(address: IpAddr) -> Prefix {
        Prefix::new(address, 128)
    }

    /// Every address of a family: `0.0.0.0/0` or `::/0`.
    pub fn any(family: Family) -> Prefix {
        Prefix::new(family.unspecified(), 0)
    }

    /// The address, host bits included.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The length in bits, 0 to 32 or 0 to 128.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// The family of the address.
    pub fn family(&self) -> Family {
        Family::of(self.address)
    }

    /// Whether this is one address alone.
    pub fn is_host(&self) -> bool {
        self.length == self.family().bits()
    }

    /// The same prefix with its host bits cleared.
    pub fn network(&self) -> Prefix {
        let length = u32::from(self.length);
        let address = match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from(u32::from(address) & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
            }
        };
        Prefix {
            address,
            length: self.length,
        }
    }

    /// Whether `address` lies in this prefix.
    pub fn contains(&self, address: IpAddr) -> bool {
        Family::of(address) == self.family()
            && Prefix::new(address, self.length).network() == self.network()
    }
}

impl From<IpAddr> for Prefix {
    fn from(address: IpAddr) -> Prefix {
        Prefix::host(address)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Prefix, String> {
        let bad = || format!("\"{text}\" is not an address or a prefix such as 192.0.2.0/24");
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u8>().map_err(|_| bad())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let bits = Family::of(address).bits();
        match length {
            Some(length) if length > bits => Err(bad()),
            Some(length) => Ok(Prefix { address, length }),
            None => Ok(Prefix {
                address,
                length: bits,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn reads_and_prints() {
        for text in ["192.0.2.7/24", "0.0.0.0/0", "2001:db8::1/64", "::/0"] {
            assert_eq!(prefix(text).to_string(), text);
        }
        assert_eq!(prefix("192.0.2.7").to_string(), "192.0.2.7/32");
        for text in [
            "",
            "192.0.2.7/33",
            "::/129",
            "192.0.2/24",
            "1.2.3.4/",
            "1.2.3.4/-1",
        ] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
    }

    #[test]
    fn clears_host_bits_at_every_length() {
        assert_eq!(prefix("192.0.2.255/25").network(), prefix("192.0.2.128/25"));
        assert_eq!(prefix("192.0.2.255/0").network(), prefix("0.0.0.0/0"));
        assert_eq!(prefix("192.0.2.255/32").network(), prefix("192.0.2.255/32"));
        assert_eq!(
            prefix("2001:db8::ffff/112").network(),
            prefix("2001:db8::/112")
        );
        assert_eq!(prefix("2001:db8::1/0").network(), prefix("::/0"));
    }

    #[test]
    fn contains_its_own_family_only() {
        assert!(prefix("10.0.0.0/8").contains("10.255.0.1".parse().unwrap()));
        assert!(!prefix("10.0.0.0/8").contains("11.0.0.1".parse().unwrap()));
        assert!(!prefix("0.0.0.0/0").contains("::1".parse().unwrap()));
    }
}
