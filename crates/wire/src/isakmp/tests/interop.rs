//! Messages of other implementations: strongSwan 5.9.8, Libreswan 4.10 and ike-scan 1.9.5.

use super::*;
use vendor::Vendor;

/// Messages in the clear: main mode 1 to 4 of strongSwan, Libreswan's 1 and 3, and ike-scan's
/// request.
fn clear() -> [Vec<u8>; 7] {
    [
        hex(include_str!("../testdata/main-mode-1.hex")),
        hex(include_str!("../testdata/main-mode-2.hex")),
        hex(include_str!("../testdata/main-mode-3.hex")),
        hex(include_str!("../testdata/main-mode-4.hex")),
        hex(include_str!("../testdata/libreswan-main-mode-1.hex")),
        hex(include_str!("../testdata/libreswan-main-mode-3.hex")),
        hex(include_str!("../testdata/ike-scan.hex")),
    ]
}

/// Bodies after decryption, with the type of their first payload.
fn inside() -> [(PayloadType, Vec<u8>); 6] {
    let (id, hash) = (PayloadType::ID, PayloadType::HASH);
    [
        (id, hex(include_str!("../testdata/main-mode-5-inside.hex"))),
        (id, hex(include_str!("../testdata/main-mode-6-inside.hex"))),
        (
            hash,
            hex(include_str!("../testdata/quick-mode-1-inside.hex")),
        ),
        (
            hash,
            hex(include_str!("../testdata/quick-mode-2-inside.hex")),
        ),
        (
            hash,
            hex(include_str!("../testdata/notification-inside.hex")),
        ),
        (hash, hex(include_str!("../testdata/delete-inside.hex"))),
    ]
}

/// Bodies of Libreswan after decryption: main mode 5, quick mode 1 and a delete.
fn libreswan_inside() -> [(PayloadType, Vec<u8>); 3] {
    let of = |kind, text| (kind, hex(text));
    [
        of(
            PayloadType::ID,
            include_str!("../testdata/libreswan-main-mode-5-inside.hex"),
        ),
        of(
            PayloadType::HASH,
            include_str!("../testdata/libreswan-quick-mode-1-inside.hex"),
        ),
        of(
            PayloadType::HASH,
            include_str!("../testdata/libreswan-delete-inside.hex"),
        ),
    ]
}

fn types(chain: &Chain<'_>) -> Vec<PayloadType> {
    chain.payloads.iter().map(|it| it.payload.kind()).collect()
}

#[test]
fn main_mode_begins_with_an_offer() {
    let [octets, ..] = clear();
    let (header, body) = decode_header(&octets).unwrap();
    assert_eq!(header.initiator_cookie, u64_at(&octets, 0));
    assert_eq!((header.responder_cookie, header.message_id), (0, 0));
    assert_eq!(header.exchange, ExchangeType::MAIN_MODE);
    assert_eq!(header.flags, Flags::default());
    let chain = decode_payloads(header.next_payload, body, false).unwrap();
    let Payload::SecurityAssociation(sa) = &chain.payloads[0].payload else {
        panic!("the first payload is not SA");
    };
    let [proposal] = &sa.proposals[..] else {
        panic!("the proposals are {:?}", sa.proposals);
    };
    assert_eq!((proposal.number, proposal.spi.len()), (1, 0));
    let [aes, des] = &proposal.transforms[..] else {
        panic!("the transforms are {:?}", proposal.transforms);
    };
    let value = |transform: &Transform, kind| transform.value(kind);
    assert_eq!((aes.number, aes.id), (1, numbers::KEY_IKE));
    assert_eq!(value(aes, numbers::OAKLEY_ENCRYPTION), Some(7));
    assert_eq!(value(aes, numbers::OAKLEY_KEY_LENGTH), Some(128));
    assert_eq!(value(aes, numbers::OAKLEY_HASH), Some(4));
    assert_eq!(value(aes, numbers::OAKLEY_GROUP), Some(14));
    assert_eq!(value(des, numbers::OAKLEY_ENCRYPTION), Some(5));
    assert_eq!(value(des, numbers::OAKLEY_AUTHENTICATION), Some(1));
    let lifetime = aes.lifetimes(numbers::OAKLEY_LIFE_TYPE).unwrap();
    assert!(matches!(lifetime[..], [(1, seconds)] if seconds > 0));
    let vendors: Vec<Option<Vendor>> = chain
        .all(PayloadType::VENDOR_ID)
        .map(|located| Vendor::of(located.body))
        .collect();
    for known in [
        Vendor::Xauth,
        Vendor::DeadPeerDetection,
        Vendor::Fragmentation,
        Vendor::NatTRfc3947,
        Vendor::NatTDraft02LineFeed,
    ] {
        assert!(vendors.contains(&Some(known)), "{known} is not offered");
    }
}

#[test]
fn ike_scan_offers_eight_suites() {
    let [.., octets] = clear();
    let (header, body) = decode_header(&octets).unwrap();
    let chain = decode_payloads(header.next_payload, body, false).unwrap();
    let Payload::SecurityAssociation(sa) = &chain.payloads[0].payload else {
        panic!("the first payload is not SA");
    };
    let transforms = &sa.proposals[0].transforms;
    assert_eq!(transforms.len(), 8);
    for transform in transforms {
        let kind = numbers::OAKLEY_LIFE_TYPE;
        assert_eq!(transform.lifetimes(kind), Some(vec![(1, 28_800)]));
    }
}

#[test]
fn keys_are_exchanged_with_nat_detection() {
    for octets in &clear()[2..4] {
        let (header, body) = decode_header(octets).unwrap();
        let chain = decode_payloads(header.next_payload, body, false).unwrap();
        let nat = PayloadType::NAT_D;
        assert_eq!(
            types(&chain),
            [PayloadType::KE, PayloadType::NONCE, nat, nat]
        );
        assert_eq!(chain.payloads[0].body.len(), 256);
        assert_eq!(chain.payloads[3].body.len(), 32);
    }
}

#[test]
fn the_octets_of_hash_i_are_at_hand() {
    let [first, _, third, fourth, ..] = clear();
    let read = |octets: &[u8], index: usize| {
        let (header, body) = decode_header(octets).unwrap();
        let chain = decode_payloads(header.next_payload, body, false).unwrap();
        chain.payloads[index].body.to_vec()
    };
    let (kind, octets) = &inside()[0];
    let identity = decode_payloads(*kind, octets, true).unwrap().payloads[0].body;
    // g^xi | g^xr | CKY-I | CKY-R | SAi_b | IDii_b (RFC 2409 section 5), as strongSwan logged it.
    let covered = [
        &read(&third, 0)[..],
        &read(&fourth, 0),
        &third[..16],
        &read(&first, 0),
        identity,
    ];
    assert_eq!(
        covered.concat(),
        hex(include_str!("../testdata/hash-i.hex"))
    );
}

#[test]
fn an_encrypted_message_is_a_header_and_whole_blocks() {
    let octets = hex(include_str!("../testdata/main-mode-5.hex"));
    let (header, body) = decode_header(&octets).unwrap();
    assert_eq!(header.flags, Flags::ENCRYPTED);
    assert_eq!((header.next_payload, body.len()), (PayloadType::ID, 96));
    let written = encode_encrypted(&header, header.next_payload, body).unwrap();
    assert_eq!(written, octets);
    // What was not decrypted is not taken for payloads.
    let refused = decode_payloads(header.next_payload, body, true).unwrap_err();
    assert_eq!(refused, Malformed::new(Reason::Reserved, 1));
}

#[test]
fn identities_hashes_and_notifications_are_read_inside() {
    let (kind, octets) = &inside()[0];
    let chain = decode_payloads(*kind, octets, true).unwrap();
    let [id, hash, contact] = &chain.payloads[..] else {
        panic!("the payloads are {:?}", chain.payloads);
    };
    let front = Identification::new(numbers::ID_FQDN, b"front.example".to_vec());
    assert_eq!(id.payload, Payload::Identification(front));
    assert_eq!(hash.body.len(), 32);
    let Payload::Notification(contact) = &contact.payload else {
        panic!("{contact:?} is not a notification");
    };
    let [_, _, third, ..] = clear();
    assert_eq!(contact.kind, NotifyType::INITIAL_CONTACT);
    assert_eq!(
        contact.cookies(),
        Some((u64_at(&third, 0), u64_at(&third, 8)))
    );
    assert_eq!((chain.octets.len(), octets.len()), (85, 96));
}

#[test]
fn quick_mode_is_read_inside() {
    let (kind, octets) = &inside()[2];
    let chain = decode_payloads(*kind, octets, true).unwrap();
    let (id, sa) = (PayloadType::ID, PayloadType::SA);
    let expected = [PayloadType::HASH, sa, PayloadType::NONCE, id, id];
    assert_eq!(types(&chain), expected);
    let Payload::SecurityAssociation(sa) = &chain.payloads[1].payload else {
        panic!("the second payload is not SA");
    };
    let proposal = &sa.proposals[0];
    assert_eq!(proposal.protocol, ProtocolId::ESP);
    assert!(proposal.spi_u32().is_some());
    let transform = &proposal.transforms[0];
    assert_eq!(transform.id, numbers::ESP_AES_CBC);
    let mode = transform.value(numbers::SA_ENCAPSULATION);
    assert_eq!(mode, Some(u64::from(NatNumbers::Rfc3947.tunnel())));
    let Payload::Identification(source) = &chain.payloads[3].payload else {
        panic!("the fourth payload is not ID");
    };
    let address = "10.99.0.1".parse().unwrap();
    assert_eq!(source.addresses(), Some((address, address)));
}

#[test]
fn informational_messages_are_read_inside() {
    let [.., (kind, notification), (_, delete)] = &inside();
    let chain = decode_payloads(*kind, notification, true).unwrap();
    let Payload::Notification(refusal) = &chain.payloads[1].payload else {
        panic!("the second payload is not a notification");
    };
    assert_eq!(refusal.kind, NotifyType::NO_PROPOSAL_CHOSEN);
    assert!(refusal.kind.is_error());
    let chain = decode_payloads(*kind, delete, true).unwrap();
    let Payload::Delete(delete) = &chain.payloads[1].payload else {
        panic!("the second payload is not a delete");
    };
    let [_, _, third, ..] = clear();
    let cookies: Vec<(u64, u64)> = delete.cookies().collect();
    assert_eq!(cookies, [(u64_at(&third, 0), u64_at(&third, 8))]);
}

#[test]
fn libreswan_offers_and_identifies() {
    let octets = &clear()[4];
    let chain = decode(octets).unwrap();
    let Payload::SecurityAssociation(sa) = &chain.payloads[0].payload else {
        panic!("the first payload is not SA");
    };
    // Its default offer: each combination is a transform.
    let [proposal] = &sa.proposals[..] else {
        panic!("the proposals are {:?}", sa.proposals);
    };
    assert_eq!((proposal.number, proposal.transforms.len()), (0, 18));
    let offer = proposal.to_string();
    let first = "ISAKMP: OAKLEY_AES_CBC/256, OAKLEY_SHA2_256, OAKLEY_PRESHARED_KEY, MODP_2048, \
                 28800 s; OAKLEY_AES_CBC/128, ";
    assert!(offer.starts_with(first), "{offer}");
    let [identity, quick, delete] = libreswan_inside();
    let chain = decode_payloads(identity.0, &identity.1, true).unwrap();
    let front = Identification::new(numbers::ID_FQDN, b"front.example".to_vec());
    assert_eq!(chain.payloads[0].payload, Payload::Identification(front));
    // Between hosts it sends no identities: the addresses of the IKE SA are meant.
    let chain = decode_payloads(quick.0, &quick.1, true).unwrap();
    let expected = [PayloadType::HASH, PayloadType::SA, PayloadType::NONCE];
    assert_eq!(types(&chain), expected);
    let Payload::SecurityAssociation(sa) = &chain.payloads[1].payload else {
        panic!("the second payload is not SA");
    };
    assert_eq!(
        sa.proposals[0].to_string(),
        "ESP: ESP_AES_CBC/128, ENCAPSULATION_TRANSPORT, SA_HMAC_SHA1, 28800 s; \
         ESP_3DES, ENCAPSULATION_TRANSPORT, SA_HMAC_SHA1, 28800 s"
    );
    let chain = decode_payloads(delete.0, &delete.1, true).unwrap();
    let [
        _,
        Located {
            payload: Payload::Delete(delete),
            ..
        },
    ] = &chain.payloads[..]
    else {
        panic!("the payloads are {:?}", chain.payloads);
    };
    assert_eq!(delete.cookies().count(), 1);
}

#[test]
fn fragments_are_read() {
    let octets = [
        hex(include_str!("../testdata/fragment-1.hex")),
        hex(include_str!("../testdata/fragment-2.hex")),
    ];
    let mut whole = Vec::new();
    for (index, octets) in octets.iter().enumerate() {
        let (header, body) = decode_header(octets).unwrap();
        assert!(!header.flags.encryption);
        assert_eq!(header.exchange, ExchangeType::MAIN_MODE);
        let chain = decode_payloads(header.next_payload, body, false).unwrap();
        let [Payload::Fragment(fragment)] = &owned(&chain)[..] else {
            panic!("the payloads are {chain:?}");
        };
        assert_eq!((usize::from(fragment.number), fragment.id), (index + 1, 1));
        assert_eq!(fragment.last, index == 1);
        whole.extend_from_slice(&fragment.data);
        assert_eq!(encode(&header, &owned(&chain)).unwrap(), *octets);
    }
    let chain = decode(&whole).unwrap();
    assert_eq!(
        types(&chain)[..2],
        [PayloadType::SA, PayloadType::VENDOR_ID]
    );
}

#[test]
fn all_is_written_as_it_was_read() {
    for octets in clear() {
        let (header, body) = decode_header(&octets).unwrap();
        let chain = decode_payloads(header.next_payload, body, false).unwrap();
        assert_eq!(encode(&header, &owned(&chain)).unwrap(), octets);
    }
    for (kind, octets) in inside().into_iter().chain(libreswan_inside()) {
        let chain = decode_payloads(kind, &octets, true).unwrap();
        let (first, written) = encode_payloads(&owned(&chain)).unwrap();
        assert_eq!((first, &written[..]), (kind, chain.octets));
    }
}
