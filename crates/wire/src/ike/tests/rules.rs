//! The rules of decoding that other implementations learned by failing, one test or more each.
//! A rule's number is its name; rules without one here are for who acts on what was decoded.

use super::*;

/// The message with another length in its header.
fn with_length(mut octets: Vec<u8>, length: u32) -> Vec<u8> {
    octets[24..28].copy_from_slice(&length.to_be_bytes());
    octets
}

fn reason<T: std::fmt::Debug>(result: Result<T, Malformed>) -> Reason {
    result.unwrap_err().reason
}

fn nonce_message() -> Vec<u8> {
    encode(&header(), &[Payload::Nonce(Nonce(vec![1; 16]))]).unwrap()
}

#[test]
fn r1_header_length_agrees_with_the_datagram() {
    let octets = nonce_message();
    let end = octets.len() as u32;
    for length in [0, 27, end + 1, 65_536, u32::MAX] {
        let refused = decode(&with_length(octets.clone(), length)).unwrap_err();
        assert_eq!(
            refused,
            Malformed::new(Reason::MessageLength, 24),
            "length {length}"
        );
    }
    for short in 0..Header::LENGTH {
        assert_eq!(reason(decode(&octets[..short])), Reason::Truncated);
    }
}

#[test]
fn r1_three_trailing_octets_are_ignored_and_four_are_not() {
    for extra in 0..=3 {
        let padded = [nonce_message(), vec![0xee; extra]].concat();
        assert_eq!(decode(&padded).unwrap().octets, nonce_message());
    }
    let padded = [nonce_message(), vec![0xee; 4]].concat();
    assert_eq!(reason(decode(&padded)), Reason::TrailingOctets);
}

#[test]
fn r1_payloads_end_where_the_header_says() {
    let octets = nonce_message();
    let shorter = with_length(octets.clone(), octets.len() as u32 - 1);
    assert_eq!(reason(decode(&shorter)), Reason::PayloadLength);
    let longer = [octets.clone(), vec![0]].concat();
    let longer = with_length(longer, octets.len() as u32 + 1);
    assert_eq!(reason(decode(&longer)), Reason::TrailingOctets);
}

#[test]
fn r2_a_withheld_or_renumbered_payload_is_data_not_a_surprise() {
    let empty = encode(&header(), &[]).unwrap();
    assert_eq!(decode(&empty).unwrap().payloads, []);
    let mut renumbered = nonce_message();
    renumbered[16] = PayloadType::VENDOR_ID.0;
    let vendor = Payload::VendorId(VendorId(vec![1; 16]));
    assert_eq!(decode(&renumbered).unwrap().payloads, [vendor]);
}

#[test]
fn r3_payload_types_belong_to_their_major_version() {
    // IKEv1's SA, KE and ID in a version 2 message mean nothing.
    for kind in [1, 4, 5, 13, 20] {
        let octets = message_of(PayloadType(kind), &[0; 8]);
        let decoded = decode(&octets).unwrap();
        assert!(
            matches!(&decoded.payloads[..], [Payload::Unknown(_)]),
            "type {kind}"
        );
    }
    // Version 2's in a version 1 or 3 message are not looked at.
    for version in [0x10, 0x30, 0x00, 0xf0] {
        let mut octets = nonce_message();
        octets[17] = version;
        assert_eq!(reason(decode(&octets)), Reason::MajorVersion);
        assert_eq!(
            Header::parse(&octets).unwrap().major_version(),
            version >> 4
        );
    }
    let mut minor = nonce_message();
    minor[17] = 0x2f;
    assert!(decode(&minor).is_ok());
}

#[test]
fn r4_private_numbers_stay_numbers() {
    for group in [1_024, 1_025, u16::MAX] {
        let payload = Payload::Ke(KePayload {
            group,
            data: vec![1; 32],
        });
        let octets = encode(&header(), std::slice::from_ref(&payload)).unwrap();
        assert_eq!(decode(&octets).unwrap().payloads, [payload]);
        assert_eq!(numbers::group_name(group), None);
    }
}

#[test]
fn r5_key_exchange_data_is_not_empty() {
    let ke = PayloadType::KE;
    assert_eq!(refusal(ke, &[]), Some(Reason::Truncated));
    assert_eq!(refusal(ke, &[0, 31, 0]), Some(Reason::Truncated));
    assert_eq!(refusal(ke, &[0, 31, 0, 0]), Some(Reason::KeyExchangeLength));
    assert_eq!(refusal(ke, &[0; 4 + limits::KEY_EXCHANGE]), None);
    assert_eq!(
        refusal(ke, &[0; 5 + limits::KEY_EXCHANGE]),
        Some(Reason::KeyExchangeLength)
    );
}

#[test]
fn r10_payloads_of_a_message_are_capped() {
    let vendors = |count| vec![Payload::VendorId(VendorId(Vec::new())); count];
    let most = encode(&header(), &vendors(limits::PAYLOADS)).unwrap();
    assert_eq!(decode(&most).unwrap().payloads.len(), limits::PAYLOADS);
    let more = encode(&header(), &vendors(limits::PAYLOADS + 1)).unwrap();
    assert_eq!(reason(decode(&more)), Reason::TooManyPayloads);
    let (first, inside) = encode_payloads(&vendors(limits::PAYLOADS + 1)).unwrap();
    assert_eq!(
        reason(decode_payloads(first, &inside)),
        Reason::TooManyPayloads
    );
}

/// A message of an SKF payload with these numbers, after a payload in the clear or alone.
fn fragment(number: u16, total: u16, alone: bool) -> Vec<u8> {
    let mut body = [number.to_be_bytes(), total.to_be_bytes()].concat();
    body.extend_from_slice(&[0; 40]);
    let unknown = |kind, body| {
        Payload::Unknown(Unknown {
            kind,
            critical: false,
            body,
        })
    };
    let skf = unknown(PayloadType::ENCRYPTED_FRAGMENT, body);
    let vendor = Payload::VendorId(VendorId(vec![1]));
    let payloads = if alone { vec![skf] } else { vec![vendor, skf] };
    encode(&header(), &payloads).unwrap()
}

#[test]
fn r10_fragments_are_capped_and_come_alone() {
    assert!(decode(&fragment(1, 1, true)).is_ok());
    assert!(decode(&fragment(64, 64, true)).is_ok());
    assert!(decode(&fragment(1, 2, false)).is_ok());
    assert_eq!(
        reason(decode(&fragment(2, 2, false))),
        Reason::FragmentCompany
    );
}

#[test]
fn r11_fragment_numbers_are_within_their_total() {
    for (number, total) in [
        (0, 0),
        (0, 1),
        (2, 1),
        (1, 65),
        (65, 65),
        (u16::MAX, u16::MAX),
    ] {
        let refused = reason(decode(&fragment(number, total, true)));
        assert_eq!(refused, Reason::FragmentNumber, "{number} of {total}");
    }
    let short = message_of(PayloadType::ENCRYPTED_FRAGMENT, &[0, 1, 0]);
    assert_eq!(reason(decode(&short)), Reason::Truncated);
}

#[test]
fn r11_encrypted_lengths_do_not_wrap() {
    let layout = Layout {
        iv: 16,
        icv: 16,
        block: 16,
    };
    for length in 0..100 {
        let octets = message_of(PayloadType::ENCRYPTED, &vec![0; length]);
        let encrypted = decode(&octets).unwrap().encrypted.unwrap();
        let right = length > 32 && length % 16 == 0;
        assert_eq!(encrypted.parts(layout).is_ok(), right, "length {length}");
    }
    assert_eq!(reason(unpad(&[])), Reason::Padding);
    assert_eq!(reason(unpad(&[1])), Reason::Padding);
    assert_eq!(reason(unpad(&[0, 0, 3])), Reason::Padding);
    assert_eq!(unpad(&[9, 9, 1]).unwrap(), [9]);
    assert_eq!(unpad(&[0]).unwrap(), []);
}

#[test]
fn r12_identities_are_capped() {
    let id = PayloadType::ID_INITIATOR;
    assert_eq!(refusal(id, &[2; 4 + limits::IDENTIFICATION]), None);
    let refused = refusal(id, &[2; 5 + limits::IDENTIFICATION]);
    assert_eq!(refused, Some(Reason::IdentificationLength));
    assert_eq!(
        refusal(PayloadType::ID_RESPONDER, &[2, 0, 0]),
        Some(Reason::Truncated)
    );
    // Whatever is in it is data: no text, no terminator, no structure.
    let payload = Identification {
        kind: 9,
        data: b"\x30\xff%s\0$(reboot)".to_vec(),
    };
    let octets = encode(&header(), &[Payload::IdInitiator(payload.clone())]).unwrap();
    assert_eq!(
        decode(&octets).unwrap().payloads,
        [Payload::IdInitiator(payload)]
    );
}

#[test]
fn r15_payload_length_covers_its_header() {
    for length in 0..4 {
        let mut octets = nonce_message();
        octets[30..32].copy_from_slice(&[0, length]);
        let refused = decode(&octets).unwrap_err();
        assert_eq!(
            refused,
            Malformed::new(Reason::PayloadLength, 28),
            "length {length}"
        );
    }
}

/// A proposal: mark, number, protocol, SPI, count of transforms and their octets.
fn proposal(mark: u8, number: u8, protocol: u8, spi: &[u8], count: u8, inside: &[u8]) -> Vec<u8> {
    let length = (8 + spi.len() + inside.len()) as u16;
    let [high, low] = length.to_be_bytes();
    let header = [mark, 0, high, low, number, protocol, spi.len() as u8, count];
    [&header, spi, inside].concat()
}

const DH: [u8; 8] = [0, 0, 0, 8, 4, 0, 0, 31];
const DH_AND_MORE: [u8; 8] = [3, 0, 0, 8, 4, 0, 0, 31];

fn sa_refusal(body: &[u8]) -> Option<Reason> {
    refusal(PayloadType::SA, body)
}

#[test]
fn r15_proposals_are_numbered_in_order() {
    let two = |first, second| {
        [
            proposal(2, first, 1, &[], 1, &DH),
            proposal(0, second, 1, &[], 1, &DH),
        ]
        .concat()
    };
    assert_eq!(sa_refusal(&two(1, 2)), None);
    for (first, second) in [(1, 1), (1, 3), (2, 3), (0, 1), (2, 1), (255, 0)] {
        let refused = sa_refusal(&two(first, second));
        assert_eq!(refused, Some(Reason::ProposalNumber), "{first}, {second}");
    }
    // The one that was chosen keeps its number.
    assert_eq!(sa_refusal(&proposal(0, 7, 1, &[], 1, &DH)), None);
}

#[test]
fn r15_nesting_sums_up_exactly() {
    assert_eq!(sa_refusal(&[]), Some(Reason::NoProposal));
    // Marks that disagree with what follows.
    let one = |mark| proposal(mark, 1, 1, &[], 1, &DH);
    assert_eq!(sa_refusal(&one(0)), None);
    assert_eq!(sa_refusal(&one(2)), Some(Reason::LastSubstructure));
    assert_eq!(sa_refusal(&one(3)), Some(Reason::LastSubstructure));
    assert_eq!(
        sa_refusal(&[one(0), one(0)].concat()),
        Some(Reason::LastSubstructure)
    );
    // Counts that disagree with what is there.
    let counted = |count, inside: &[u8]| sa_refusal(&proposal(0, 1, 1, &[], count, inside));
    assert_eq!(counted(0, &[]), None);
    assert_eq!(counted(0, &DH), Some(Reason::TrailingOctets));
    assert_eq!(counted(2, &DH), Some(Reason::LastSubstructure));
    assert_eq!(counted(1, &DH_AND_MORE), Some(Reason::LastSubstructure));
    assert_eq!(counted(2, &DH_AND_MORE), Some(Reason::Truncated));
    assert_eq!(counted(2, &[DH_AND_MORE, DH].concat()), None);
    assert_eq!(counted(1, &[DH, DH].concat()), Some(Reason::TrailingOctets));
    // Lengths below their headers, and beyond their holders.
    for length in [0, 3, 9, 255] {
        let transform = [0, 0, 0, length, 4, 0, 0, 31];
        assert_eq!(
            counted(1, &transform),
            Some(Reason::SubstructureLength),
            "length {length}"
        );
    }
    assert_eq!(
        counted(1, &[0, 0, 0, 7, 4, 0, 0, 31]),
        Some(Reason::Truncated)
    );
    for length in [0, 3, 17] {
        let mut body = one(0);
        body[3] = length;
        assert_eq!(
            sa_refusal(&body),
            Some(Reason::SubstructureLength),
            "length {length}"
        );
    }
}

#[test]
fn r15_spi_size_matches_the_protocol() {
    let sized = |protocol, size| sa_refusal(&proposal(0, 1, protocol, &vec![1; size], 1, &DH));
    for (protocol, right) in [(1, &[0, 8][..]), (2, &[4]), (3, &[4])] {
        for size in 0..20 {
            let refused = (!right.contains(&size)).then_some(Reason::SpiSize);
            assert_eq!(
                sized(protocol, size),
                refused,
                "protocol {protocol}, size {size}"
            );
        }
    }
    // The SPI is within the proposal.
    let mut body = proposal(0, 1, 9, &[1; 4], 1, &DH);
    body[6] = 200;
    assert_eq!(sa_refusal(&body), Some(Reason::SubstructureLength));
}

#[test]
fn r15_attributes_are_within_their_transform() {
    let transform = |attributes: &[u8]| {
        let length = 8 + attributes.len() as u8;
        let inside = [&[0, 0, 0, length, 1, 0, 0, 20], attributes].concat();
        sa_refusal(&proposal(0, 1, 1, &[], 1, &inside))
    };
    assert_eq!(transform(&[0x80, 14, 0, 128]), None);
    assert_eq!(transform(&[0x80, 14]), Some(Reason::Truncated));
    assert_eq!(transform(&[0, 50, 0, 4, 1, 2, 3]), Some(Reason::Truncated));
    assert_eq!(transform(&[0, 50, 0xff, 0xff]), Some(Reason::Truncated));
    let twice = [0x80, 14, 0, 128, 0x80, 14, 1, 0];
    assert_eq!(transform(&twice), Some(Reason::DuplicateKeyLength));
    let many = [0, 50, 0, 0].repeat(limits::ATTRIBUTES);
    assert_eq!(transform(&many), None);
    let more = [0, 50, 0, 0].repeat(limits::ATTRIBUTES + 1);
    assert_eq!(transform(&more), Some(Reason::TooManyAttributes));
}

#[test]
fn r15_proposals_and_transforms_are_capped() {
    let proposals = |count: u8| -> Vec<u8> {
        let mark = |number| if number == count { 0 } else { 2 };
        (1..=count)
            .flat_map(|number| proposal(mark(number), number, 1, &[], 0, &[]))
            .collect()
    };
    assert_eq!(sa_refusal(&proposals(64)), None);
    assert_eq!(sa_refusal(&proposals(65)), Some(Reason::TooManyProposals));
    let transforms = |count: u8| {
        let inside = [DH_AND_MORE.repeat(usize::from(count) - 1), DH.to_vec()].concat();
        sa_refusal(&proposal(0, 1, 1, &[], count, &inside))
    };
    assert_eq!(transforms(64), None);
    assert_eq!(transforms(65), Some(Reason::TooManyTransforms));
}

#[test]
fn r15_traffic_selectors_are_exact() {
    let selectors = |body: &[u8]| refusal(PayloadType::TS_INITIATOR, body);
    let range = |ports: [u8; 4], first: u8, last: u8| {
        let addresses = [10, 0, 0, first, 10, 0, 0, last];
        [&[1, 0, 0, 0, 7, 6, 0, 16][..], &ports, &addresses].concat()
    };
    let right = range([0, 110, 0, 143], 1, 9);
    assert_eq!(selectors(&right), None);
    assert_eq!(selectors(&range([0xff, 0xff, 0, 0], 1, 1)), None, "OPAQUE");
    assert_eq!(
        selectors(&range([0, 143, 0, 110], 1, 9)),
        Some(Reason::SelectorPorts)
    );
    assert_eq!(
        selectors(&range([0, 0, 0, 0], 9, 1)),
        Some(Reason::SelectorAddresses)
    );
    let counted = |count| [&[count], &right[1..]].concat();
    assert_eq!(selectors(&counted(0)), Some(Reason::TrailingOctets));
    assert_eq!(selectors(&counted(2)), Some(Reason::Truncated));
    assert_eq!(selectors(&counted(65)), Some(Reason::TooManySelectors));
    for length in [0, 3, 4, 15, 17, 40] {
        let mut body = right.clone();
        body[7] = length;
        assert_eq!(
            selectors(&body),
            Some(Reason::SelectorLength),
            "length {length}"
        );
    }
    assert_eq!(selectors(&[]), Some(Reason::Truncated));
}

#[test]
fn r15_delete_count_matches_its_length() {
    let delete = |body: &[u8]| refusal(PayloadType::DELETE, body);
    assert_eq!(delete(&[3, 4, 0, 1, 0, 0, 1, 0]), None);
    assert_eq!(delete(&[3, 4, 0, 2, 0, 0, 1, 0]), Some(Reason::DeleteCount));
    assert_eq!(delete(&[3, 4, 0, 0, 0, 0, 1, 0]), Some(Reason::DeleteCount));
    assert_eq!(delete(&[3, 4, 0xff, 0xff]), Some(Reason::DeleteCount));
    assert_eq!(
        delete(&[3, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]),
        Some(Reason::SpiSize)
    );
    assert_eq!(delete(&[3, 0, 0, 0]), Some(Reason::SpiSize));
    assert_eq!(delete(&[1, 0, 0, 0]), None);
    assert_eq!(delete(&[1, 0, 0, 9]), Some(Reason::DeleteCount));
    assert_eq!(
        delete(&[1, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]),
        Some(Reason::SpiSize)
    );
    assert_eq!(delete(&[3, 4, 0]), Some(Reason::Truncated));
}

#[test]
fn r15_notify_spi_and_data_are_within_their_payload() {
    let notify = |body: &[u8]| refusal(PayloadType::NOTIFY, body);
    assert_eq!(notify(&[0, 0, 64, 0]), None);
    assert_eq!(notify(&[0, 0, 64]), Some(Reason::Truncated));
    assert_eq!(notify(&[3, 4, 64, 9, 1, 2, 3]), Some(Reason::Truncated));
    assert_eq!(
        notify(&[3, 8, 64, 9, 1, 2, 3, 4, 5, 6, 7, 8]),
        Some(Reason::SpiSize)
    );
    assert_eq!(notify(&[0, 4, 64, 9, 1, 2, 3, 4]), Some(Reason::SpiSize));
    assert_eq!(notify(&[1, 4, 64, 9, 1, 2, 3, 4]), Some(Reason::SpiSize));
    assert_eq!(
        notify(&[0; 5 + limits::NOTIFY_DATA]),
        Some(Reason::NotifyLength)
    );
}

#[test]
fn r15_nonces_have_16_to_256_octets() {
    for (length, refused) in [
        (0, true),
        (15, true),
        (16, false),
        (256, false),
        (257, true),
    ] {
        let refusal = refusal(PayloadType::NONCE, &vec![0; length]);
        assert_eq!(
            refusal,
            refused.then_some(Reason::NonceLength),
            "length {length}"
        );
    }
}

#[test]
fn r15_nothing_follows_or_nests_an_encrypted_payload() {
    let layout = Layout {
        iv: 8,
        icv: 16,
        block: 1,
    };
    let protected = encode_protected(&header(), PayloadType::NONE, None, &[], layout).unwrap();
    let followed = [protected.octets, vec![0; 4]].concat();
    let length = followed.len() as u32;
    assert_eq!(
        reason(decode(&with_length(followed, length))),
        Reason::TrailingOctets
    );
    for kind in [PayloadType::ENCRYPTED, PayloadType::ENCRYPTED_FRAGMENT] {
        assert_eq!(
            reason(decode_payloads(kind, &[0, 0, 0, 4])),
            Reason::NestedEncryption
        );
    }
}

#[test]
fn r17_what_does_not_fit_is_an_error_of_the_writer() {
    let written = |payload: Payload| encode(&header(), &[payload]);
    let vendor = |length| Payload::VendorId(VendorId(vec![0; length]));
    assert!(written(vendor(65_535 - 32)).is_ok());
    assert!(written(vendor(65_535 - 31)).is_err());
    assert!(written(vendor(65_536)).is_err());
    let long_spi = Notify {
        spi: vec![0; 256],
        ..Notify::new(NotifyType::REKEY_SA, Vec::new())
    };
    assert_eq!(
        written(Payload::Notify(long_spi)),
        Err(TooLong { what: "an SPI" })
    );
    let selector = Selector {
        protocol: 0,
        start_port: 0,
        end_port: 0,
        start: [10, 0, 0, 1].into(),
        end: [0_u8; 16].into(),
    };
    assert!(written(Payload::TsInitiator(TrafficSelectors(vec![selector]))).is_err());
    let transforms = vec![Transform::new(TransformType::DH, 31); 256];
    let proposal = Proposal {
        number: 1,
        protocol: ProtocolId::IKE,
        spi: Vec::new(),
        transforms,
    };
    assert!(
        written(Payload::Sa(SaPayload {
            proposals: vec![proposal]
        }))
        .is_err()
    );
    let layout = Layout {
        iv: 8,
        icv: 16,
        block: 1,
    };
    let inner = vec![0; 65_535];
    assert!(encode_protected(&header(), PayloadType::NONCE, None, &inner, layout).is_err());
}

#[test]
fn r17_a_rekey_of_protocol_zero_or_one_can_be_answered_in_kind() {
    for protocol in [ProtocolId::NONE, ProtocolId::IKE, ProtocolId(77)] {
        let spi = Vec::new();
        let notify = Notify {
            protocol,
            spi,
            kind: NotifyType::REKEY_SA,
            data: vec![],
        };
        let octets = encode(&header(), &[Payload::Notify(notify.clone())]).unwrap();
        assert_eq!(decode(&octets).unwrap().payloads, [Payload::Notify(notify)]);
    }
}

#[test]
fn r18_duplicates_are_kept_for_one_decision() {
    let payloads = vec![
        Payload::Delete(Delete::esp(vec![256, 256])),
        Payload::Delete(Delete::esp(vec![256])),
        Payload::Delete(Delete::ike()),
        Payload::Delete(Delete::ike()),
    ];
    let octets = encode(&header(), &payloads).unwrap();
    assert_eq!(decode(&octets).unwrap().payloads, payloads);
}
