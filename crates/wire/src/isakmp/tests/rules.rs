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
    encode(&header(), &[Payload::Nonce(vec![1; 16])]).unwrap()
}

/// The body of an SA payload around proposals as octets.
fn sa(proposals: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 1, 0, 0, 0, 1], proposals].concat()
}

/// Why an SA payload with these proposals is refused.
fn refused_sa(proposals: &[u8]) -> Option<Reason> {
    refusal(PayloadType::SA, &sa(proposals))
}

/// A proposal that is the last: number, protocol, SPI and count of transforms as given.
fn last_proposal(head: [u8; 2], spi: &[u8], count: u8, transforms: &[u8]) -> Vec<u8> {
    let length = (8 + spi.len() + transforms.len()) as u16;
    let [high, low] = length.to_be_bytes();
    let fixed = [0, 0, high, low, head[0], head[1], spi.len() as u8, count];
    [&fixed[..], spi, transforms].concat()
}

/// A transform that is the last, without attributes.
const TRANSFORM: [u8; 8] = [0, 0, 0, 8, 1, 1, 0, 0];

#[test]
fn r1_header_length_agrees_with_the_datagram() {
    let octets = nonce_message();
    let end = octets.len() as u32;
    for length in [0, 27, end + 1, 65_536, u32::MAX] {
        let refused = decode_header(&with_length(octets.clone(), length)).unwrap_err();
        let expected = Malformed::new(Reason::MessageLength, 24);
        assert_eq!(refused, expected, "length {length}");
    }
    let mut long = vec![0; limits::MESSAGE + 1];
    long[17] = numbers::ISAKMP_VERSION;
    for (length, accepted) in [(limits::MESSAGE, true), (limits::MESSAGE + 1, false)] {
        let long = with_length(long[..length].to_vec(), length as u32);
        assert_eq!(decode_header(&long).is_ok(), accepted, "length {length}");
    }
    for short in 0..Header::LENGTH {
        assert_eq!(reason(decode_header(&octets[..short])), Reason::Truncated);
        assert_eq!(major_version(&octets[..short]), None);
    }
}

#[test]
fn r1_three_trailing_octets_are_ignored_and_four_are_not() {
    for extra in 0..=3 {
        let padded = [nonce_message(), vec![0xee; extra]].concat();
        let (_, body) = decode_header(&padded).unwrap();
        assert_eq!(body, &nonce_message()[Header::LENGTH..]);
    }
    let padded = [nonce_message(), vec![0xee; 4]].concat();
    assert_eq!(reason(decode_header(&padded)), Reason::TrailingOctets);
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
fn r1_padding_of_a_decrypted_body_is_bounded() {
    let (first, chain) = encode_payloads(&[Payload::Hash(vec![1; 20])]).unwrap();
    for (padding, accepted) in [(0, true), (255, true), (256, false)] {
        let body = [&chain[..], &vec![0xee; padding]].concat();
        let read = decode_payloads(first, &body, true);
        assert_eq!(read.is_ok(), accepted, "{padding} octets");
        let clear = decode_payloads(first, &body, false);
        assert_eq!(clear.is_ok(), padding == 0, "{padding} octets in the clear");
    }
}

#[test]
fn r2_a_withheld_or_renumbered_payload_is_data_not_a_surprise() {
    let empty = encode(&header(), &[]).unwrap();
    assert_eq!(decode(&empty).unwrap().payloads, []);
    assert_eq!(decode(&empty).unwrap().after(0), b"");
    let mut renumbered = nonce_message();
    renumbered[16] = PayloadType::VENDOR_ID.0;
    let read = owned(&decode(&renumbered).unwrap());
    assert_eq!(read, [Payload::VendorId(vec![1; 16])]);
}

#[test]
fn r3_payload_types_belong_to_their_major_version() {
    // IKEv2's payloads in a version 1 message mean nothing.
    for kind in 33..=54 {
        let octets = message_of(PayloadType(kind), &[0; 8]);
        let read = owned(&decode(&octets).unwrap());
        assert!(matches!(&read[..], [Payload::Unknown(_)]), "type {kind}");
    }
    // Any version but 1.0 is not looked at; RFC 2408 section 3.1 accepts no higher minor.
    for version in [0x20, 0x00, 0xf0, 0x11, 0x1f] {
        let mut octets = nonce_message();
        octets[17] = version;
        let expected = Malformed::new(Reason::IsakmpVersion, 17);
        assert_eq!(decode_header(&octets).unwrap_err(), expected);
        assert_eq!(major_version(&octets), Some(version >> 4));
    }
    // And version 2's reader does not look at ours.
    let refused = crate::ike::decode(&nonce_message()).unwrap_err();
    assert_eq!(refused.reason, Reason::MajorVersion);
}

#[test]
fn r3_proposals_and_transforms_are_inside_an_sa_alone() {
    for kind in [PayloadType::PROPOSAL, PayloadType::TRANSFORM] {
        assert_eq!(refusal(kind, &[0; 8]), Some(Reason::PayloadCompany));
    }
}

#[test]
fn r4_private_numbers_stay_numbers() {
    let kind = numbers::OAKLEY_GROUP;
    for group in [1_024, 1_025, u16::MAX] {
        let mut transform = oakley();
        transform.attributes = vec![Attribute::Short(kind, group)];
        let proposals = vec![proposal(1, ProtocolId::ISAKMP, &[], vec![transform])];
        let sa = Payload::SecurityAssociation(SecurityAssociation { proposals });
        let octets = encode(&header(), std::slice::from_ref(&sa)).unwrap();
        assert_eq!(owned(&decode(&octets).unwrap()), [sa]);
        assert_eq!(numbers::group_name(group), None);
    }
}

#[test]
fn r5_key_exchange_data_is_not_empty() {
    let ke = PayloadType::KE;
    assert_eq!(refusal(ke, &[]), Some(Reason::KeyExchangeLength));
    assert_eq!(refusal(ke, &[0; limits::KEY_EXCHANGE]), None);
    assert_eq!(
        refusal(ke, &[0; limits::KEY_EXCHANGE + 1]),
        Some(Reason::KeyExchangeLength)
    );
}

#[test]
fn r10_payloads_of_a_message_are_capped() {
    let mut payloads = vec![Payload::VendorId(Vec::new()); limits::PAYLOADS];
    assert!(decode(&encode(&header(), &payloads).unwrap()).is_ok());
    payloads.push(Payload::VendorId(Vec::new()));
    let octets = encode(&header(), &payloads).unwrap();
    assert_eq!(reason(decode(&octets)), Reason::TooManyPayloads);
}

/// Why a message with so many proposals, transforms of each and attributes of those is refused.
fn refused_counts(proposals: usize, transforms: usize, attributes: usize) -> Option<Reason> {
    let attribute = |kind| Attribute::Short(kind as u16 + 100, 0);
    let transform = Transform {
        number: 1,
        id: 1,
        attributes: (0..attributes).map(attribute).collect(),
    };
    let proposal = proposal(1, ProtocolId::ISAKMP, &[], vec![transform; transforms]);
    let proposals = vec![proposal; proposals];
    let sa = Payload::SecurityAssociation(SecurityAssociation { proposals });
    let octets = encode(&header(), &[sa]).unwrap();
    decode(&octets).err().map(|malformed| malformed.reason)
}

#[test]
fn r10_proposals_transforms_and_attributes_are_capped() {
    let (proposals, transforms) = (limits::PROPOSALS, limits::TRANSFORMS);
    assert_eq!(refused_counts(proposals, 1, 0), None);
    let more = refused_counts(proposals + 1, 1, 0);
    assert_eq!(more, Some(Reason::TooManyProposals));
    assert_eq!(refused_counts(1, transforms, 1), None);
    let more = refused_counts(1, transforms + 1, 1);
    assert_eq!(more, Some(Reason::TooManyTransforms));
    assert_eq!(refused_counts(1, 1, limits::ATTRIBUTES), None);
    let more = refused_counts(1, 1, limits::ATTRIBUTES + 1);
    assert_eq!(more, Some(Reason::TooManyAttributes));
}

#[test]
fn r11_fragments_are_numbered_from_one_and_never_empty() {
    let kind = PayloadType::FRAGMENT;
    assert_eq!(refusal(kind, &[0, 1, 1, 1, 9]), None);
    assert_eq!(refusal(kind, &[0, 1, 64, 0, 9]), None);
    for number in [0, 65, 255] {
        let refused = refusal(kind, &[0, 1, number, 0, 9]);
        assert_eq!(refused, Some(Reason::FragmentNumber), "number {number}");
    }
    assert_eq!(refusal(kind, &[0, 1, 1, 1]), Some(Reason::FragmentLength));
    for short in 0..4 {
        let body = &[0, 1, 1, 1][..short];
        assert_eq!(refusal(kind, body), Some(Reason::Truncated));
    }
}

#[test]
fn r11_a_fragment_is_alone() {
    let fragment = Payload::Fragment(Fragment {
        id: 1,
        number: 1,
        last: true,
        data: vec![1],
    });
    let vendor = Payload::VendorId(vec![1]);
    for payloads in [
        vec![fragment.clone(), vendor.clone()],
        vec![vendor, fragment.clone()],
        vec![fragment.clone(), fragment],
    ] {
        let octets = encode(&header(), &payloads).unwrap();
        assert_eq!(reason(decode(&octets)), Reason::PayloadCompany);
    }
    let octets = [0, 0, 0, 9, 0, 1, 1, 1, 9];
    let decrypted = |padded| decode_payloads(PayloadType::FRAGMENT, &octets, padded);
    assert!(decrypted(false).is_ok());
    assert_eq!(reason(decrypted(true)), Reason::PayloadCompany);
}

#[test]
fn r12_identities_are_capped() {
    for kind in [numbers::ID_FQDN, numbers::ID_DER_ASN1_DN, 200] {
        let body = |length| [vec![kind, 0, 0, 0], vec![0x41; length]].concat();
        assert_eq!(
            refusal(PayloadType::ID, &body(limits::IDENTIFICATION)),
            None
        );
        let refused = refusal(PayloadType::ID, &body(limits::IDENTIFICATION + 1));
        assert_eq!(refused, Some(Reason::IdentificationLength));
    }
}

#[test]
fn r15_addresses_have_the_length_of_their_type() {
    let kinds = [(1, 4), (4, 8), (7, 8), (5, 16), (6, 32), (8, 32)];
    for (kind, expected) in kinds {
        for length in 0..40 {
            let body = [vec![kind, 6, 0, 110], vec![0xff; length]].concat();
            let refused = (length != expected).then_some(Reason::AddressLength);
            assert_eq!(refusal(PayloadType::ID, &body), refused, "{kind}, {length}");
        }
    }
    let original = [PayloadType::NAT_OA, PayloadType::NAT_OA_DRAFT];
    for (kind, length, accepted) in [(1, 4, true), (5, 16, true), (1, 16, false), (2, 4, false)] {
        let body = [vec![kind, 0, 0, 0], vec![9; length]].concat();
        let refused = (!accepted).then_some(Reason::AddressLength);
        for payload in original {
            assert_eq!(refusal(payload, &body), refused, "{kind}, {length}");
        }
    }
}

#[test]
fn r15_a_range_does_not_end_before_it_begins() {
    let range = |kind, first: Vec<u8>, last: Vec<u8>| {
        let body = [vec![kind, 0, 0, 0], first, last].concat();
        refusal(PayloadType::ID, &body)
    };
    let wrong = Some(Reason::IdentificationRange);
    assert_eq!(range(7, vec![10, 0, 0, 1], vec![10, 0, 0, 1]), None);
    assert_eq!(range(7, vec![10, 0, 1, 0], vec![10, 0, 0, 255]), wrong);
    assert_eq!(range(8, vec![1; 16], vec![2; 16]), None);
    assert_eq!(range(8, vec![2; 16], vec![1; 16]), wrong);
    // A subnet's mask may be below its address.
    assert_eq!(range(4, vec![224, 0, 0, 0], vec![128, 0, 0, 0]), None);
}

#[test]
fn r15_a_payload_is_at_least_its_header_and_at_most_what_holds_it() {
    let octets = nonce_message();
    for length in [0_u16, 1, 2, 3, 21, u16::MAX] {
        let mut octets = octets.clone();
        octets[30..32].copy_from_slice(&length.to_be_bytes());
        let refused = decode(&octets).unwrap_err();
        assert_eq!(refused.reason, Reason::PayloadLength, "length {length}");
    }
}

#[test]
fn r15_the_reserved_octet_before_a_payload_is_zero() {
    let mut octets = nonce_message();
    octets[29] = 0x80;
    let expected = Malformed::new(Reason::Reserved, 1);
    assert_eq!(decode(&octets).unwrap_err(), expected);
}

#[test]
fn r15_domain_and_situation_are_ipsec() {
    let one = last_proposal([1, 1], &[], 1, &TRANSFORM);
    assert_eq!(refused_sa(&one), None);
    let of = |doi: u8, situation: u8| {
        let body = [&[0, 0, 0, doi, 0, 0, 0, situation], &one[..]].concat();
        refusal(PayloadType::SA, &body)
    };
    assert_eq!(of(0, 1), Some(Reason::UnknownDoi));
    assert_eq!(of(2, 1), Some(Reason::UnknownDoi));
    assert_eq!(of(1, 0), Some(Reason::UnknownSituation));
    assert_eq!(of(1, 3), Some(Reason::UnknownSituation));
    for short in 0..8 {
        let refused = refusal(PayloadType::SA, &sa(&[])[..short]);
        assert_eq!(refused, Some(Reason::Truncated));
    }
}

#[test]
fn r15_nested_lengths_sum_exactly() {
    let isakmp = [1, 1];
    let of = |count, transforms: &[u8]| refused_sa(&last_proposal(isakmp, &[], count, transforms));
    assert_eq!(refused_sa(&[]), Some(Reason::NoProposal));
    assert_eq!(of(0, &[]), Some(Reason::NoTransform));
    assert_eq!(of(1, &TRANSFORM), None);
    // More or fewer transforms than the count.
    assert_eq!(of(2, &TRANSFORM), Some(Reason::LastSubstructure));
    let two = [[3, 0, 0, 8, 1, 1, 0, 0], TRANSFORM].concat();
    assert_eq!(of(2, &two), None);
    assert_eq!(of(1, &two), Some(Reason::LastSubstructure));
    assert_eq!(of(0, &TRANSFORM), Some(Reason::NoTransform));
    let behind = [&TRANSFORM[..], &[0]].concat();
    assert_eq!(of(1, &behind), Some(Reason::TrailingOctets));
    // The mark of a transform where a proposal's belongs, and the other way round.
    let strange = [2, 0, 0, 8, 1, 1, 0, 0];
    assert_eq!(of(1, &strange), Some(Reason::LastSubstructure));
    let mut first = last_proposal(isakmp, &[], 1, &TRANSFORM);
    first[0] = 3;
    assert_eq!(refused_sa(&first), Some(Reason::LastSubstructure));
    // A transform or proposal that is shorter than its header or leaves its holder.
    for length in [0, 1, 3] {
        let transform = [0, 0, 0, length, 1, 1, 0, 0];
        assert_eq!(of(1, &transform), Some(Reason::SubstructureLength));
    }
    let transform = [0, 0, 0, 9, 1, 1, 0, 0];
    assert_eq!(of(1, &transform), Some(Reason::SubstructureLength));
    let transform = [0, 0, 0, 4, 1, 1, 0, 0];
    assert_eq!(of(1, &transform), Some(Reason::Truncated));
    let mut proposal = last_proposal(isakmp, &[], 1, &TRANSFORM);
    proposal[3] += 1;
    assert_eq!(refused_sa(&proposal), Some(Reason::SubstructureLength));
}

#[test]
fn r15_proposals_follow_each_other() {
    let pair = |first: [u8; 2], second: [u8; 2]| {
        let mut proposals = last_proposal(first, &[], 1, &TRANSFORM);
        proposals[0] = 2;
        proposals.extend(last_proposal(second, &[], 1, &TRANSFORM));
        refused_sa(&proposals)
    };
    // The same number joins protocols, a higher one is another choice, and gaps are allowed.
    assert_eq!(pair([1, 1], [1, 1]), None);
    assert_eq!(pair([0, 1], [200, 1]), None);
    assert_eq!(pair([2, 1], [1, 1]), Some(Reason::ProposalOrder));
    // None after the last, and one after a mark for more.
    let mut one = last_proposal([1, 1], &[], 1, &TRANSFORM);
    assert_eq!(
        refused_sa(&[&one[..], &one].concat()),
        Some(Reason::LastSubstructure)
    );
    one[0] = 2;
    assert_eq!(refused_sa(&one), Some(Reason::LastSubstructure));
}

#[test]
fn r15_an_spi_fits_its_protocol() {
    let of =
        |protocol, size| refused_sa(&last_proposal([1, protocol], &vec![1; size], 1, &TRANSFORM));
    for size in 0..20 {
        let expected = |fits: bool| (!fits).then_some(Reason::SpiSize);
        assert_eq!(of(1, size), expected(size <= 16), "ISAKMP, {size}");
        assert_eq!(of(2, size), expected(size == 4), "AH, {size}");
        assert_eq!(of(3, size), expected(size == 4), "ESP, {size}");
        let ipcomp = size == 2 || size == 4;
        assert_eq!(of(4, size), expected(ipcomp), "IPCOMP, {size}");
    }
    let mut proposal = last_proposal([1, 1], &[], 0, &[]);
    proposal[6] = 1;
    assert_eq!(refused_sa(&proposal), Some(Reason::SubstructureLength));
}

/// Why an SA payload is refused whose only transform has these attributes.
fn refused_attributes(protocol: u8, attributes: &[u8]) -> Option<Reason> {
    let [high, low] = (8 + attributes.len() as u16).to_be_bytes();
    let transform = [&[0, 0, high, low, 1, 1, 0, 0], attributes].concat();
    let spi = if protocol == 1 { 0 } else { 4 };
    refused_sa(&last_proposal([1, protocol], &vec![1; spi], 1, &transform))
}

#[test]
fn r15_attributes_stay_within_their_transform() {
    assert_eq!(refused_attributes(1, &[0x80, 1, 0, 5]), None);
    assert_eq!(refused_attributes(1, &[0, 1, 0, 0]), None);
    assert_eq!(refused_attributes(1, &[0, 1, 0, 2, 9, 9]), None);
    for broken in [
        &[0x80][..],
        &[0x80, 1, 0],
        &[0, 1, 0, 1],
        &[0, 1, 0, 3, 9, 9],
        &[0, 1, 0xff, 0xff, 9],
    ] {
        let refused = refused_attributes(1, broken);
        assert_eq!(refused, Some(Reason::Truncated), "{broken:?}");
    }
    let long = |length: usize| {
        let head = [&[0, 12][..], &(length as u16).to_be_bytes()].concat();
        refused_attributes(1, &[head, vec![0; length]].concat())
    };
    assert_eq!(long(limits::ATTRIBUTE), None);
    assert_eq!(long(limits::ATTRIBUTE + 1), Some(Reason::AttributeLength));
}

#[test]
fn r15_only_lifetimes_come_twice() {
    let twice = |kind| [[0x80, kind, 0, 1], [0x80, kind, 0, 2]].concat();
    let refused = Some(Reason::DuplicateAttribute);
    // Types and durations are 11 and 12 in phase 1, and 1 and 2 in phase 2.
    for (protocol, lifetimes) in [(1, [11, 12]), (3, [1, 2])] {
        for kind in 1..=16 {
            let expected = if lifetimes.contains(&kind) {
                None
            } else {
                refused
            };
            let given = refused_attributes(protocol, &twice(kind));
            assert_eq!(given, expected, "attribute {kind} of protocol {protocol}");
        }
    }
}

#[test]
fn r15_nonces_hashes_and_signatures_have_a_length() {
    for (length, accepted) in [(0, false), (7, false), (8, true), (256, true), (257, false)] {
        let refused = (!accepted).then_some(Reason::IsakmpNonceLength);
        assert_eq!(refusal(PayloadType::NONCE, &vec![1; length]), refused);
    }
    for kind in [PayloadType::HASH, PayloadType::SIG, PayloadType::NAT_D] {
        assert_eq!(refusal(kind, &[1]), None);
        assert_eq!(refusal(kind, &[]), Some(Reason::HashLength));
        let long = vec![1; limits::HASH + 1];
        assert_eq!(refusal(kind, &long[1..]), None);
        assert_eq!(refusal(kind, &long), Some(Reason::HashLength));
    }
}

#[test]
fn r15_notifications_hold_an_spi_that_fits() {
    let notification = |protocol, size: u8, octets: usize| {
        let head = [0, 0, 0, 1, protocol, size, 0, 14];
        let body = [&head[..], &vec![1; octets]].concat();
        refusal(PayloadType::NOTIFICATION, &body)
    };
    for size in 0..=20 {
        let expected = |fits: bool| (!fits).then_some(Reason::SpiSize);
        let child = matches!(size, 0 | 4 | 8);
        for protocol in [2, 3] {
            let given = notification(protocol, size, 20);
            assert_eq!(given, expected(child), "protocol {protocol}, {size}");
        }
        for protocol in [0, 1, 4, 9] {
            let given = notification(protocol, size, 20);
            assert_eq!(given, expected(size <= 16), "protocol {protocol}, {size}");
        }
    }
    assert_eq!(notification(1, 16, 15), Some(Reason::Truncated));
    assert_eq!(notification(1, 0, limits::NOTIFY_DATA), None);
    let long = notification(1, 0, limits::NOTIFY_DATA + 1);
    assert_eq!(long, Some(Reason::NotifyLength));
    for short in 0..8 {
        let refused = refusal(PayloadType::NOTIFICATION, &[0; 8][..short]);
        assert_eq!(refused, Some(Reason::Truncated));
    }
}

#[test]
fn r15_deletes_count_their_spis() {
    let delete = |protocol, size: u8, count: u16, octets: usize| {
        let [high, low] = count.to_be_bytes();
        let head = [0, 0, 0, 1, protocol, size, high, low];
        let body = [&head[..], &vec![1; octets]].concat();
        refusal(PayloadType::DELETE, &body)
    };
    for size in 0..=20 {
        let expected = |fits: bool| (!fits).then_some(Reason::SpiSize);
        let given = |protocol| delete(protocol, size, 2, usize::from(size) * 2);
        assert_eq!(given(1), expected(size == 16), "ISAKMP, {size}");
        assert_eq!(given(2), expected(size == 4), "AH, {size}");
        assert_eq!(given(3), expected(size == 4), "ESP, {size}");
        assert_eq!(given(4), expected(size == 2 || size == 4), "IPCOMP, {size}");
        assert_eq!(given(9), expected((1..=16).contains(&size)), "9, {size}");
    }
    let wrong = Some(Reason::DeleteCount);
    for (count, octets) in [(0, 0), (0, 4), (1, 3), (1, 5), (2, 4), (u16::MAX, 8)] {
        let given = delete(3, 4, count, octets);
        assert_eq!(given, wrong, "{count} SPIs in {octets} octets");
    }
    let most = limits::DELETED as u16;
    assert_eq!(delete(3, 4, most, limits::DELETED * 4), None);
    let more = delete(3, 4, most + 1, (limits::DELETED + 1) * 4);
    assert_eq!(more, Some(Reason::TooManySpis));
}

#[test]
fn r17_what_does_not_fit_is_an_error_of_the_writer() {
    let delete = Delete {
        spis: vec![vec![1; 4], vec![1; 5]],
        ..Delete::esp(&[])
    };
    let proposal = |spi: usize, transforms| {
        let spi = vec![1; spi];
        let proposals = vec![proposal(1, ProtocolId::ESP, &spi, vec![esp(); transforms])];
        Payload::SecurityAssociation(SecurityAssociation { proposals })
    };
    let mut long = esp();
    long.attributes = vec![Attribute::Long(1, vec![0; 65_536])];
    let proposals = vec![super::proposal(1, ProtocolId::ESP, &[1; 4], vec![long])];
    for payload in [
        Payload::Delete(delete),
        Payload::Nonce(vec![0; 65_532]),
        proposal(256, 1),
        proposal(4, 256),
        Payload::SecurityAssociation(SecurityAssociation { proposals }),
    ] {
        assert!(encode(&header(), &[payload]).is_err());
    }
    let half = Payload::VendorId(vec![0; 40_000]);
    let whole = encode(&header(), &[half.clone(), half]).unwrap_err();
    assert_eq!(whole.what, "a message");
}
