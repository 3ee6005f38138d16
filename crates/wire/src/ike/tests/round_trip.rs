//! What is written is what is read, for every payload.

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn messages_round_trip(header in strategies::header(), payloads in strategies::payloads()) {
        let octets = encode(&header, &payloads).unwrap();
        let decoded = decode(&octets).unwrap();
        let first = payloads.first().map_or(PayloadType::NONE, Payload::kind);
        let length = octets.len() as u32;
        prop_assert_eq!(decoded.header, Header { next_payload: first, length, ..header });
        prop_assert_eq!(decoded.octets, &octets[..]);
        prop_assert_eq!(&decoded.payloads, &payloads);
        prop_assert_eq!(decoded.encrypted, None);
        prop_assert_eq!(encode(&header, &decoded.payloads).unwrap(), octets);
    }

    #[test]
    fn chains_round_trip(payloads in strategies::payloads()) {
        let (first, octets) = encode_payloads(&payloads).unwrap();
        prop_assert_eq!(decode_payloads(first, &octets).unwrap(), payloads);
    }

    #[test]
    fn protected_messages_round_trip(
        header in strategies::header(),
        payloads in strategies::payloads(),
        layout in strategies::layout(),
        pieces in prop::option::of((1..=64_u16, 1..=64_u16)),
    ) {
        let fragment = pieces.map(|(a, b)| Fragment { number: a.min(b), total: a.max(b) });
        let (first, inner) = encode_payloads(&payloads).unwrap();
        let Protected { octets, parts } =
            encode_protected(&header, first, fragment, &inner, layout).unwrap();
        let decoded = decode(&octets).unwrap();
        let encrypted = decoded.encrypted.unwrap();
        prop_assert_eq!(encrypted.first, first);
        prop_assert_eq!(encrypted.fragment, fragment);
        prop_assert_eq!(encrypted.parts(layout).unwrap(), parts.clone());
        prop_assert_eq!(parts.icv.end, octets.len());
        prop_assert_eq!(parts.ciphertext.len() % layout.block, 0);
        let inside = unpad(&octets[parts.ciphertext]).unwrap();
        prop_assert_eq!(decode_payloads(first, inside).unwrap(), payloads);
    }
}

#[test]
fn every_payload_of_the_sample_survives() {
    let octets = encode(&header(), &sample()).unwrap();
    assert_eq!(decode(&octets).unwrap().payloads, sample());
}

#[test]
fn unknown_payloads_survive_and_the_critical_one_is_named() {
    let unknown = |kind, critical| {
        Payload::Unknown(Unknown {
            kind: PayloadType(kind),
            critical,
            body: vec![kind; 5],
        })
    };
    let payloads = vec![unknown(49, false), unknown(250, true), unknown(7, true)];
    let octets = encode(&header(), &payloads).unwrap();
    let decoded = decode(&octets).unwrap();
    assert_eq!(decoded.payloads, payloads);
    assert_eq!(
        unsupported_critical(&decoded.payloads),
        Some(PayloadType(250))
    );
    assert_eq!(unsupported_critical(&payloads[..1]), None);
}

#[test]
fn critical_flag_of_a_known_payload_means_nothing() {
    let mut octets = encode(&header(), &[Payload::Nonce(Nonce(vec![1; 16]))]).unwrap();
    octets[29] = 0x80;
    assert_eq!(
        decode(&octets).unwrap().payloads,
        [Payload::Nonce(Nonce(vec![1; 16]))]
    );
}

#[test]
fn selectors_of_unknown_types_are_left_out() {
    // Type 9 (Fibre Channel) between none and none: what is left narrows the offer.
    let body = [2, 0, 0, 0, 9, 0, 0, 8, 1, 2, 3, 4, 9, 0, 0, 4];
    let octets = message_of(PayloadType::TS_INITIATOR, &body);
    let empty = TrafficSelectors(Vec::new());
    assert_eq!(
        decode(&octets).unwrap().payloads,
        [Payload::TsInitiator(empty)]
    );
}

#[test]
fn numbers_in_a_notification_have_their_exact_size() {
    let group = Notify::new(NotifyType::INVALID_KE_PAYLOAD, vec![0, 31]);
    assert_eq!((group.data_u16(), group.data_u32()), (Some(31), None));
    let window = Notify::new(NotifyType::SET_WINDOW_SIZE, vec![0, 0, 1, 0]);
    assert_eq!((window.data_u16(), window.data_u32()), (None, Some(256)));
    assert_eq!(Notify::new(NotifyType::COOKIE, vec![1; 3]).data_u16(), None);
    assert_eq!(
        Notify::esp(NotifyType::REKEY_SA, 300, Vec::new()).spi_u32(),
        Some(300)
    );
}

#[test]
fn names_are_printed() {
    assert_eq!(
        NotifyType::NAT_DETECTION_SOURCE_IP.to_string(),
        "NAT_DETECTION_SOURCE_IP"
    );
    assert_eq!(format!("{:?}", NotifyType(40_000)), "NotifyType(40000)");
    assert_eq!(PayloadType::TS_RESPONDER.name(), Some("TS_RESPONDER"));
    assert!(NotifyType::CHILD_SA_NOT_FOUND.is_error());
    assert!(!NotifyType::INITIAL_CONTACT.is_error());
    assert_eq!(NotifyType::QCD_TOKEN.0, 16_419);
    let transform = Transform::new(TransformType::DH, 4_711);
    assert_eq!(transform.to_string(), "DH-4711");
    let malformed = Malformed::new(Reason::NonceLength, 32);
    assert_eq!(
        malformed.to_string(),
        "at octet 32: a nonce is not of 16 to 256 octets"
    );
    assert_eq!(Reason::ALL.len(), 44);
    assert_eq!(Reason::Padding.name(), "Padding");
}
