//! What is written is read back.

use super::*;
use proptest::prelude::*;
use std::net::IpAddr;

proptest! {
    #[test]
    fn messages_round_trip(header in strategies::header(), payloads in strategies::payloads()) {
        let octets = encode(&header, &payloads).unwrap();
        let (read, body) = decode_header(&octets).unwrap();
        let next_payload = payloads.first().map_or(PayloadType::NONE, Payload::kind);
        let length = octets.len() as u32;
        prop_assert_eq!(read, Header { next_payload, length, ..header });
        let chain = decode_payloads(read.next_payload, body, false).unwrap();
        prop_assert_eq!(owned(&chain), payloads);
        prop_assert_eq!(chain.octets, body);
    }

    #[test]
    fn padded_chains_round_trip(
        payloads in strategies::payloads(),
        padding in prop::collection::vec(any::<u8>(), 0..=255),
    ) {
        let (first, octets) = encode_payloads(&payloads).unwrap();
        let padded = [&octets[..], &padding].concat();
        let chain = decode_payloads(first, &padded, true).unwrap();
        prop_assert_eq!(chain.octets, &octets[..]);
        prop_assert_eq!(owned(&chain), payloads);
    }

    #[test]
    fn fragments_round_trip(header in strategies::header(), fragment in strategies::fragment()) {
        let payload = Payload::Fragment(fragment);
        let octets = encode(&header, std::slice::from_ref(&payload)).unwrap();
        let (read, body) = decode_header(&octets).unwrap();
        let chain = decode_payloads(read.next_payload, body, false).unwrap();
        prop_assert_eq!(owned(&chain), [payload]);
    }
}

fn message(payloads: &[Payload]) -> Vec<u8> {
    encode(&header(), payloads).unwrap()
}

#[test]
fn every_payload_of_the_sample_survives() {
    let octets = message(&sample());
    let (read, body) = decode_header(&octets).unwrap();
    assert_eq!((major_version(&octets), body), (Some(1), &octets[28..]));
    assert_eq!(read.length as usize, octets.len());
    assert_eq!(read.next_payload, PayloadType::SA);
    let chain = decode_payloads(read.next_payload, body, false).unwrap();
    assert_eq!(owned(&chain), sample());
    for located in &chain.payloads {
        assert_eq!(located.payload.body().unwrap(), located.body);
    }
}

#[test]
fn what_hashes_cover_is_what_was_received() {
    let (first, mut octets) = encode_payloads(&sample()).unwrap();
    let length = octets.len();
    octets.extend_from_slice(&[0xee; 16]);
    let chain = decode_payloads(first, &octets, true).unwrap();
    assert_eq!(chain.octets, &octets[..length]);
    let second = &chain.payloads[1];
    assert_eq!(chain.after(0), &octets[second.offset..length]);
    assert_eq!(
        second.body,
        &octets[second.offset + 4..chain.payloads[2].offset]
    );
    assert_eq!(chain.after(chain.payloads.len() - 1), b"");
    assert_eq!(chain.after(usize::MAX), b"");
    assert_eq!(chain.all(PayloadType::DELETE).count(), 2);
}

#[test]
fn an_encrypted_message_has_its_flag_and_length() {
    let octets = encode_encrypted(&header(), PayloadType::HASH, &[0xaa; 24]).unwrap();
    let (read, body) = decode_header(&octets).unwrap();
    assert!(read.flags.encryption && !read.flags.commit && !read.flags.authentication_only);
    assert_eq!(
        (read.next_payload, body),
        (PayloadType::HASH, &[0xaa; 24][..])
    );
    let too_long = vec![0; limits::MESSAGE];
    assert!(encode_encrypted(&header(), PayloadType::HASH, &too_long).is_err());
}

#[test]
fn lifetimes_come_in_pairs() {
    assert_eq!(
        esp().lifetimes(numbers::SA_LIFE_TYPE),
        Some(vec![(1, 3_600), (2, 100_000)])
    );
    let phase_1 = oakley();
    let kind = numbers::OAKLEY_LIFE_TYPE;
    assert_eq!(phase_1.lifetimes(kind), Some(vec![(1, 28_800)]));
    assert_eq!(phase_1.value(numbers::OAKLEY_GROUP), Some(14));
    let mut broken = phase_1;
    broken.attributes.pop();
    assert_eq!(broken.lifetimes(kind), None);
    broken.attributes.remove(4);
    assert_eq!(broken.lifetimes(kind), Some(Vec::new()));
    broken.attributes.push(Attribute::Short(kind + 1, 1));
    assert_eq!(broken.lifetimes(kind), None);
}

#[test]
fn a_number_may_have_either_form() {
    assert_eq!(Attribute::number(1, 65_535), Attribute::Short(1, 65_535));
    let long = Attribute::number(1, 65_536);
    assert_eq!(long, Attribute::Long(1, vec![0, 1, 0, 0]));
    assert_eq!((long.kind(), long.value()), (1, Some(65_536)));
    let zeros = [vec![0; 20], vec![1, 0]].concat();
    assert_eq!(Attribute::Long(1, zeros).value(), Some(256));
    assert_eq!(Attribute::Long(1, Vec::new()).value(), None);
    assert_eq!(Attribute::Long(1, vec![1; 9]).value(), None);
}

#[test]
fn identities_of_traffic_are_ranges_of_addresses() {
    let ip = |text: &str| -> IpAddr { text.parse().unwrap() };
    let subnet = |address, prefix| Identification::subnet(ip(address), prefix, 0, 0);
    let range = |first, last| Some((ip(first), ip(last)));
    let of = |identity: Option<Identification>| identity.and_then(|identity| identity.addresses());
    assert_eq!(
        of(subnet("10.1.2.3", 16)),
        range("10.1.0.0", "10.1.255.255")
    );
    assert_eq!(
        of(subnet("10.1.2.3", 0)),
        range("0.0.0.0", "255.255.255.255")
    );
    assert_eq!(of(subnet("10.1.2.3", 32)), range("10.1.2.3", "10.1.2.3"));
    assert_eq!(of(subnet("10.1.2.3", 33)), None);
    assert_eq!(
        of(subnet("2001:db8::1", 127)),
        range("2001:db8::", "2001:db8::1")
    );
    let all = range("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    assert_eq!(of(subnet("2001:db8::1", 0)), all);
    let single = Identification::address(ip("10.1.2.3"), 17, 500);
    assert_eq!(of(Some(single)), range("10.1.2.3", "10.1.2.3"));
    let gaps = Identification::new(
        numbers::ID_IPV4_ADDR_SUBNET,
        vec![10, 0, 0, 0, 255, 0, 255, 0],
    );
    assert_eq!(gaps.addresses(), None);
    let span = vec![10, 0, 0, 1, 10, 0, 0, 9];
    let span = Identification::new(numbers::ID_IPV4_ADDR_RANGE, span);
    assert_eq!(span.addresses(), range("10.0.0.1", "10.0.0.9"));
    let name = Identification::new(numbers::ID_FQDN, b"four".to_vec());
    assert_eq!(name.addresses(), None);
}

#[test]
fn vendors_are_known_by_their_octets() {
    use vendor::Vendor;
    for vendor in Vendor::CONSTANT {
        assert_eq!(Vendor::of(&vendor.octets()), Some(*vendor));
    }
    let windows = Vendor::MsNt5IsakmpOakley(4);
    assert_eq!(windows.octets().len(), 20);
    assert_eq!(windows.octets()[16..], [0, 0, 0, 4]);
    assert_eq!(Vendor::of(&windows.octets()), Some(windows));
    assert_eq!(windows.to_string(), "MS NT5 ISAKMPOAKLEY 4");
    assert_eq!(Vendor::of(&windows.octets()[..16]), None);
    let cisco = [Vendor::Fragmentation.octets(), vec![0x80, 0, 0, 0]].concat();
    assert_eq!(Vendor::of(&cisco), Some(Vendor::Fragmentation));
    assert_eq!(Vendor::of(&cisco[..18]), None);
    assert_eq!(Vendor::of(b""), None);
}

/// All but two of the vendor IDs are MD5 hashes of the text that they are shown with.
#[test]
fn vendors_are_hashes_of_names() {
    use md5::{Digest, Md5};
    use vendor::Vendor;
    let windows = Vendor::MsNt5IsakmpOakley(4);
    assert_eq!(
        Md5::digest(b"MS NT5 ISAKMPOAKLEY")[..],
        windows.octets()[..16]
    );
    for vendor in Vendor::CONSTANT {
        let name = vendor.to_string().replace("\\n", "\n");
        let octets = vendor.octets();
        match vendor {
            Vendor::Xauth => assert_eq!(octets, hex("09002689dfd6b712")),
            // Its last two octets are a version.
            Vendor::DeadPeerDetection => {
                assert_eq!(octets, hex("afcad71368a1f1c96b8696fc77570100"));
            }
            _ => assert_eq!(Md5::digest(name.as_bytes())[..], octets, "{name}"),
        }
    }
}

#[test]
fn proposals_are_printed() {
    let phase_1 = proposal(1, ProtocolId::ISAKMP, &[], vec![oakley()]);
    assert_eq!(
        phase_1.to_string(),
        "ISAKMP: OAKLEY_3DES_CBC, OAKLEY_SHA1, MODP_2048, OAKLEY_PRESHARED_KEY, 28800 s"
    );
    let mut odd = esp();
    odd.id = 99;
    odd.attributes = vec![
        Attribute::Short(numbers::SA_GROUP, 1_025),
        Attribute::Long(300, vec![1; 9]),
        Attribute::Short(numbers::SA_KEY_LENGTH, 256),
    ];
    let phase_2 = proposal(1, ProtocolId::ESP, &[1; 4], vec![esp(), odd]);
    assert_eq!(
        phase_2.to_string(),
        "ESP: ESP_AES_CBC/128, ENCAPSULATION_UDP_TRANSPORT, SA_HMAC_SHA1, 3600 s, 100000 kB; \
         ESP-99/256, SA_GROUP 1025, attribute 300 of 9 octets"
    );
}

#[test]
fn names_are_printed() {
    assert_eq!(NotifyType::R_U_THERE.to_string(), "R_U_THERE");
    assert_eq!(format!("{:?}", NotifyType(9_999)), "NotifyType(9999)");
    assert_eq!(ExchangeType::QUICK_MODE.name(), Some("QUICK_MODE"));
    assert_eq!(PayloadType(33).to_string(), "PayloadType(33)");
    assert!(!NotifyType::INITIAL_CONTACT.is_error());
}
