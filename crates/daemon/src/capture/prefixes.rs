//! A range of addresses as the fewest prefixes that are exactly it.

use linux::Prefix;
use policy::AddressRange;
use std::net::IpAddr;

/// Never wider than the range: what nobody asked for is not touched.
pub(crate) fn prefixes(range: &AddressRange) -> Vec<Prefix> {
    let bits: u32 = if range.is_ipv4() { 32 } else { 128 };
    let (mut first, last) = (number(range.start()), number(range.end()));
    let mut found = Vec::new();
    loop {
        let aligned = first.trailing_zeros().min(bits);
        let left = last - first;
        let fits = if left == u128::MAX {
            128
        } else {
            (left + 1).ilog2()
        };
        let block = aligned.min(fits);
        let length = u8::try_from(bits - block).unwrap_or(u8::MAX);
        found.push(Prefix::new(address(first, range.is_ipv4()), length));
        let end = first + block_end(block);
        if end >= last {
            return found;
        }
        first = end + 1;
    }
}

/// The offset of the last address of a block of 2^`bits` addresses.
fn block_end(bits: u32) -> u128 {
    1_u128.checked_shl(bits).map_or(u128::MAX, |size| size - 1)
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn address(number: u128, ipv4: bool) -> IpAddr {
    match ipv4 {
        true => IpAddr::from(u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes()),
        false => IpAddr::from(number.to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(first: &str, last: &str) -> Vec<String> {
        let range = AddressRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap();
        prefixes(&range)
            .iter()
            .map(|p| format!("{}/{}", p.address(), p.length()))
            .collect()
    }

    #[test]
    fn a_range_is_split_exactly() {
        assert_eq!(shown("10.0.0.5", "10.0.0.5"), ["10.0.0.5/32"]);
        assert_eq!(
            shown("10.0.0.5", "10.0.0.8"),
            ["10.0.0.5/32", "10.0.0.6/31", "10.0.0.8/32"]
        );
        assert_eq!(shown("0.0.0.0", "255.255.255.255"), ["0.0.0.0/0"]);
        assert_eq!(
            shown("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ["::/0"]
        );
        assert_eq!(shown("fd77::1", "fd77::2"), ["fd77::1/128", "fd77::2/128"]);
    }
}
