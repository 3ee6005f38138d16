//! The fast sum against the plain one.

use super::*;
use proptest::prelude::*;

/// RFC 1071 as it reads: words, one after the other.
fn naive(octets: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in octets.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair[0], low]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The pseudo header and the packet as octets in a row.
fn naive_transport(src: IpAddr, dst: IpAddr, protocol: u8, octets: &[u8]) -> u16 {
    let address = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let mut all = [address(src), address(dst)].concat();
    all.extend_from_slice(&(octets.len() as u32).to_be_bytes());
    all.extend_from_slice(&[0, 0, 0, protocol]);
    all.extend_from_slice(octets);
    naive(&all)
}

fn addresses() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        any::<[[u8; 4]; 2]>().prop_map(|[a, b]| (a.into(), b.into())),
        any::<[[u8; 16]; 2]>().prop_map(|[a, b]| (a.into(), b.into())),
    ]
}

proptest! {
    #[test]
    fn sum_is_the_naive_one(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(checksum::of(&octets), naive(&octets));
    }

    #[test]
    fn sum_of_parts_is_the_sum_of_the_whole(
        octets in prop::collection::vec(any::<u8>(), 0..100),
        cuts in any::<[prop::sample::Index; 3]>(),
    ) {
        let mut cuts = cuts.map(|cut| cut.index(octets.len() + 1));
        cuts.sort_unstable();
        let [a, b, c] = cuts;
        let mut sum = checksum::Sum::new();
        for part in [&octets[..a], &octets[a..b], &octets[b..c], &octets[c..]] {
            sum.add(part);
        }
        prop_assert_eq!(sum.finish(), naive(&octets));
    }

    #[test]
    fn transport_checksum_is_the_naive_one(
        (src, dst) in addresses(),
        protocol in prop_oneof![Just(protocol::TCP), Just(protocol::UDP), any::<u8>()],
        mut octets in prop::collection::vec(any::<u8>(), 8..100),
        cut in any::<prop::sample::Index>(),
    ) {
        octets[6..8].fill(0);
        let (a, b) = octets.split_at(cut.index(octets.len()));
        let expected = match naive_transport(src, dst, protocol, &octets) {
            0 if protocol == protocol::UDP => 0xffff,
            checksum => checksum,
        };
        let checksum = checksum::transport(src, dst, protocol, &[a, b]);
        prop_assert_eq!(checksum, expected);
        octets[6..8].copy_from_slice(&checksum.to_be_bytes());
        prop_assert!(checksum::is_right(src, dst, protocol, &[&octets]));
        octets[3] ^= 0x10;
        prop_assert!(!checksum::is_right(src, dst, protocol, &[&octets]));
    }

    #[test]
    fn update_is_what_a_new_sum_gives(
        mut octets in prop::collection::vec(any::<u8>(), 20..60),
        new in any::<[u8; 4]>(),
        at in 1..5_usize,
    ) {
        octets[0] |= 1; // All zeros has no checksum of its own (RFC 1624 section 3).
        octets.truncate(octets.len() & !1);
        let before = checksum::of(&octets);
        let old: [u8; 4] = octets[at * 2..at * 2 + 4].try_into().unwrap();
        octets[at * 2..at * 2 + 4].copy_from_slice(&new);
        prop_assert_eq!(checksum::update(before, &old, &new), checksum::of(&octets));
    }
}

proptest! {
    #[test]
    fn new_addresses_are_what_a_new_sum_gives(
        octets in prop::collection::vec(any::<u8>(), 8..60),
        addresses in any::<[(bool, u128); 4]>(),
    ) {
        let [a, b, c, d] = addresses.map(|(ipv6, bits)| match ipv6 {
            true => IpAddr::from(bits.to_be_bytes()),
            false => IpAddr::from((bits as u32).to_be_bytes()),
        });
        let sum = |src, dst| checksum::transport(src, dst, protocol::TCP, &[&octets]);
        let moved = checksum::readdress(sum(a, b), (a, b), (c, d));
        // Of the two zeros of ones' complement either may come out.
        let zeros = [0, 0xffff];
        let right = sum(c, d);
        prop_assert!(moved == right || zeros.contains(&moved) && zeros.contains(&right));
    }
}

#[test]
fn rfc_1071_section_3_example() {
    assert_eq!(
        checksum::of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]),
        !0xddf2
    );
}

#[test]
fn rfc_1624_section_4_example() {
    // The header checksum 0xdd2f, a field that goes from 0x5555 to 0x3285.
    assert_eq!(
        checksum::update(0xdd2f, &[0x55, 0x55], &[0x32, 0x85]),
        0x0000
    );
}

#[test]
fn sum_does_not_overflow() {
    let octets = vec![0xff; 65_535];
    assert_eq!(checksum::of(&octets), naive(&octets));
    let mut sum = checksum::Sum::new();
    for _ in 0..1_000 {
        sum.add(&octets);
    }
    assert_eq!(sum.finish(), naive(&octets.repeat(1_000)));
}
