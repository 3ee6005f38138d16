//! Tests of the IKEv2 codec, and what they share.

mod first_request;
mod hostile;
mod interop;
mod mobility;
mod redirect;
mod round_trip;
mod rules;
mod strategies;
mod takeover;

use super::*;

/// The octets that hexadecimal text stands for.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    digits
        .chunks(2)
        .map(|pair| (pair[0] * 16 + pair[1]) as u8)
        .collect()
}

/// A header of a first request.
fn header() -> Header {
    let flags = Flags {
        initiator: true,
        ..Flags::default()
    };
    Header::new(
        0x0102_0304_0506_0708,
        0,
        ExchangeType::IKE_SA_INIT,
        flags,
        0,
    )
}

/// A message of one payload, its body and length as given.
fn message_of(kind: PayloadType, body: &[u8]) -> Vec<u8> {
    let unknown = Unknown {
        kind,
        critical: false,
        body: body.to_vec(),
    };
    encode(&header(), &[Payload::Unknown(unknown)]).unwrap()
}

/// Why a message of one payload with such a body is refused.
fn refusal(kind: PayloadType, body: &[u8]) -> Option<Reason> {
    decode(&message_of(kind, body))
        .err()
        .map(|malformed| malformed.reason)
}

/// A request as this project sends it, and one of every other payload.
fn sample() -> Vec<Payload> {
    let transform = Transform::with_key_length(TransformType::ENCR, numbers::ENCR_AES_GCM_16, 128);
    let mut odd = Transform::new(TransformType::PRF, numbers::PRF_HMAC_SHA2_256);
    odd.unknown_attributes = vec![Attribute::Short(99, 7), Attribute::Long(100, vec![1, 2, 3])];
    let proposal = |number, protocol, spi: &[u8]| Proposal {
        number,
        protocol,
        spi: spi.to_vec(),
        transforms: vec![transform.clone(), odd.clone()],
    };
    let selector = |start: [u8; 4], end: [u8; 4]| Selector {
        protocol: 6,
        start_port: 110,
        end_port: 143,
        start: start.into(),
        end: end.into(),
    };
    let identity = Identification {
        kind: numbers::ID_FQDN,
        data: b"front.example".to_vec(),
    };
    let selectors = TrafficSelectors(vec![selector([10, 0, 0, 1], [10, 0, 0, 9])]);
    let attribute = ConfigurationAttribute {
        kind: 1,
        value: vec![10, 0, 0, 1],
    };
    let proposals = vec![
        proposal(1, ProtocolId::ESP, &[1; 4]),
        proposal(2, ProtocolId::IKE, &[2; 8]),
    ];
    vec![
        Payload::Sa(SaPayload { proposals }),
        Payload::Ke(KePayload {
            group: numbers::CURVE25519,
            data: vec![7; 32],
        }),
        Payload::Nonce(Nonce(vec![9; 32])),
        Payload::IdInitiator(identity.clone()),
        Payload::IdResponder(identity),
        Payload::Cert(Cert {
            encoding: numbers::CERT_X509_SIGNATURE,
            data: vec![0x30; 40],
        }),
        Payload::CertReq(CertReq {
            encoding: 4,
            authorities: vec![5; 20],
        }),
        Payload::Auth(AuthPayload {
            method: numbers::AUTH_METHOD_SHARED_KEY,
            data: vec![3; 32],
        }),
        Payload::Notify(Notify::new(NotifyType::USE_TRANSPORT_MODE, Vec::new())),
        Payload::Notify(Notify::esp(NotifyType::REKEY_SA, 0xaabb_ccdd, Vec::new())),
        Payload::Delete(Delete::esp(vec![256, 257])),
        Payload::Delete(Delete::ike()),
        Payload::VendorId(VendorId(b"a vendor".to_vec())),
        Payload::TsInitiator(selectors.clone()),
        Payload::TsResponder(selectors),
        Payload::Configuration(Configuration {
            kind: 1,
            attributes: vec![attribute],
        }),
        Payload::Eap(vec![1, 2, 0, 4]),
        Payload::PuzzleSolution(vec![1, 2, 3, 4]),
        Payload::Unknown(Unknown {
            kind: PayloadType(200),
            critical: true,
            body: vec![1, 2, 3],
        }),
    ]
}
