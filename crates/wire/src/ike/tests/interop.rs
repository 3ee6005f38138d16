//! Messages of another implementation: what strongSwan 5.9.8 sent, and RFC 7634 appendix B.

use super::*;
use std::net::IpAddr;

fn request() -> Vec<u8> {
    hex(include_str!("../testdata/ike-sa-init-request.hex"))
}

fn response() -> Vec<u8> {
    hex(include_str!("../testdata/ike-sa-init-response.hex"))
}

fn auth_inside() -> Vec<Payload> {
    let octets = hex(include_str!("../testdata/ike-auth-request-inside.hex"));
    decode_payloads(PayloadType::ID_INITIATOR, &octets).unwrap()
}

fn notifications(payloads: &[Payload]) -> Vec<NotifyType> {
    let kind = |payload: &Payload| match payload {
        Payload::Notify(notify) => Some(notify.kind),
        _ => None,
    };
    payloads.iter().filter_map(kind).collect()
}

#[test]
fn init_request_is_read() {
    let octets = request();
    let decoded = decode(&octets).unwrap();
    assert_eq!(decoded.octets, octets);
    assert_eq!(decoded.header.initiator_spi, 0xdcbb_d166_9709_0571);
    assert_eq!(decoded.header.responder_spi, 0);
    assert_eq!(decoded.header.exchange, ExchangeType::IKE_SA_INIT);
    assert!(decoded.header.flags.initiator && !decoded.header.flags.response);
    assert_eq!(decoded.encrypted, None);
    let [Payload::Sa(sa), Payload::Ke(ke), Payload::Nonce(nonce), ..] = &decoded.payloads[..]
    else {
        panic!("the payloads are {:?}", decoded.payloads);
    };
    assert_eq!(sa.proposals.len(), 2);
    assert_eq!(sa.proposals[0].transforms.len(), 34);
    assert_eq!(
        sa.proposals[0].transforms[0].to_string(),
        "ENCR_AES_CBC/128"
    );
    assert_eq!(
        (ke.group, ke.data.len(), nonce.0.len()),
        (numbers::CURVE25519, 32, 32)
    );
    assert_eq!(
        notifications(&decoded.payloads),
        [
            NotifyType::NAT_DETECTION_SOURCE_IP,
            NotifyType::NAT_DETECTION_DESTINATION_IP,
            NotifyType::IKEV2_FRAGMENTATION_SUPPORTED,
            NotifyType::SIGNATURE_HASH_ALGORITHMS,
            NotifyType::REDIRECT_SUPPORTED,
        ]
    );
}

#[test]
fn init_messages_are_written_as_they_were_read() {
    for octets in [request(), response()] {
        let decoded = decode(&octets).unwrap();
        assert_eq!(encode(&decoded.header, &decoded.payloads).unwrap(), octets);
    }
}

#[test]
fn init_response_holds_one_proposal() {
    let octets = response();
    let decoded = decode(&octets).unwrap();
    assert!(decoded.header.flags.response && !decoded.header.flags.initiator);
    let Payload::Sa(sa) = &decoded.payloads[0] else {
        panic!("the first payload is not SA")
    };
    assert_eq!(
        sa.proposals[0].to_string(),
        "IKE: ENCR_AES_CBC/128, AUTH_HMAC_SHA2_256_128, PRF_HMAC_SHA2_256, CURVE25519"
    );
}

#[test]
fn auth_request_is_read_inside_and_out() {
    let octets = hex(include_str!("../testdata/ike-auth-request.hex"));
    let decoded = decode(&octets).unwrap();
    let encrypted = decoded.encrypted.unwrap();
    assert!(decoded.payloads.is_empty());
    assert_eq!(encrypted.first, PayloadType::ID_INITIATOR);
    // AES-CBC with HMAC-SHA-256-128.
    let parts = encrypted
        .parts(Layout {
            iv: 16,
            icv: 16,
            block: 16,
        })
        .unwrap();
    assert_eq!((parts.aad, parts.iv), (0..32, 32..48));
    assert_eq!((parts.ciphertext, parts.icv), (48..368, 368..384));

    let payloads = auth_inside();
    let Payload::IdInitiator(id) = &payloads[0] else {
        panic!("the first payload is not IDi")
    };
    assert_eq!(id.data, b"front.example");
    let Some(Payload::TsInitiator(TrafficSelectors(selectors))) = payloads
        .iter()
        .find(|payload| payload.kind() == PayloadType::TS_INITIATOR)
    else {
        panic!("there is no TSi in {payloads:?}");
    };
    let address = IpAddr::from([10, 99, 0, 1]);
    let port = |port| Selector {
        protocol: 6,
        start_port: port,
        end_port: port,
        start: address,
        end: address,
    };
    assert_eq!(*selectors, [port(110), port(143)]);
    assert!(notifications(&payloads).contains(&NotifyType::IKEV2_MESSAGE_ID_SYNC_SUPPORTED));
}

#[test]
fn auth_inside_is_written_as_it_was_read() {
    let octets = hex(include_str!("../testdata/ike-auth-request-inside.hex"));
    let written = encode_payloads(&auth_inside()).unwrap();
    assert_eq!(written, (PayloadType::ID_INITIATOR, octets));
    let octets = hex(include_str!("../testdata/ike-auth-response-inside.hex"));
    let payloads = decode_payloads(PayloadType::ID_RESPONDER, &octets).unwrap();
    assert!(notifications(&payloads).contains(&NotifyType::TS_UNACCEPTABLE));
    assert_eq!(encode_payloads(&payloads).unwrap().1, octets);
}

#[test]
fn rfc_7634_appendix_b_message_is_laid_out() {
    let octets = hex(
        "c0c1c2c3c4c5c6c7 d0d1d2d3d4d5d6d7 2e202500 00000009 00000045 29000029
         1011121314151617 610394701f8d017f7c12924889 6b71bfe25236efd7cdc67066906315b2",
    );
    let decoded = decode(&octets).unwrap();
    let encrypted = decoded.encrypted.unwrap();
    let layout = Layout {
        iv: 8,
        icv: 16,
        block: 1,
    };
    let parts = encrypted.parts(layout).unwrap();
    assert_eq!(
        octets[parts.aad],
        hex("c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029")
    );
    assert_eq!(octets[parts.iv.clone()], hex("1011121314151617"));
    assert_eq!(octets[parts.ciphertext], hex("610394701f8d017f7c12924889"));

    let plaintext = hex("0000000c000040010000000a00");
    let inside = decode_payloads(encrypted.first, unpad(&plaintext).unwrap()).unwrap();
    let window = Notify::new(NotifyType::SET_WINDOW_SIZE, vec![0, 0, 0, 10]);
    assert_eq!(inside, [Payload::Notify(window)]);

    let (first, inner) = encode_payloads(&inside).unwrap();
    let protected = encode_protected(&decoded.header, first, None, &inner, layout).unwrap();
    assert_eq!(protected.octets.len(), octets.len());
    assert_eq!(protected.octets[..32], octets[..32]);
    assert_eq!(
        protected.octets[protected.parts.ciphertext.clone()],
        plaintext
    );
    assert_eq!(protected.parts.icv, 53..69);
}
