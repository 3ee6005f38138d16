//! Tests of the IKEv1 codec, and what they share.

mod hostile;
mod interop;
mod round_trip;
mod rules;
mod strategies;

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

/// A number of eight octets of a message.
fn u64_at(octets: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(octets[at..at + 8].try_into().unwrap())
}

/// The payloads of a chain without where they were.
fn owned(chain: &Chain<'_>) -> Vec<Payload> {
    chain.payloads.iter().map(|it| it.payload.clone()).collect()
}

/// A header of a first message.
fn header() -> Header {
    let cookie = 0x0102_0304_0506_0708;
    Header::new(cookie, 0, ExchangeType::MAIN_MODE, Flags::default(), 0)
}

/// A message of one payload, its body and length as given.
fn message_of(kind: PayloadType, body: &[u8]) -> Vec<u8> {
    let body = body.to_vec();
    encode(&header(), &[Payload::Unknown(Unknown { kind, body })]).unwrap()
}

/// The body of a message in the clear.
fn decode(octets: &[u8]) -> Result<Chain<'_>, Malformed> {
    let (header, body) = decode_header(octets)?;
    decode_payloads(header.next_payload, body, false)
}

/// Why a message of one payload with such a body is refused.
fn refusal(kind: PayloadType, body: &[u8]) -> Option<Reason> {
    decode(&message_of(kind, body))
        .err()
        .map(|malformed| malformed.reason)
}

/// A phase 1 transform as Windows Server 2003 sends it: the duration has a length of its own.
fn oakley() -> Transform {
    Transform {
        number: 1,
        id: numbers::KEY_IKE,
        attributes: vec![
            Attribute::Short(numbers::OAKLEY_ENCRYPTION, numbers::OAKLEY_3DES_CBC),
            Attribute::Short(numbers::OAKLEY_HASH, numbers::OAKLEY_SHA1),
            Attribute::Short(numbers::OAKLEY_GROUP, numbers::MODP_2048),
            Attribute::Short(
                numbers::OAKLEY_AUTHENTICATION,
                numbers::OAKLEY_PRESHARED_KEY,
            ),
            Attribute::Short(numbers::OAKLEY_LIFE_TYPE, numbers::LIFE_SECONDS),
            Attribute::Long(numbers::OAKLEY_LIFE_DURATION, vec![0, 0, 0x70, 0x80]),
        ],
    }
}

/// A phase 2 transform with two lifetimes.
fn esp() -> Transform {
    Transform {
        number: 1,
        id: numbers::ESP_AES_CBC,
        attributes: vec![
            Attribute::Short(numbers::SA_LIFE_TYPE, numbers::LIFE_SECONDS),
            Attribute::number(numbers::SA_LIFE_DURATION, 3_600),
            Attribute::Short(numbers::SA_LIFE_TYPE, numbers::LIFE_KILOBYTES),
            Attribute::number(numbers::SA_LIFE_DURATION, 100_000),
            Attribute::Short(
                numbers::SA_ENCAPSULATION,
                numbers::ENCAPSULATION_UDP_TRANSPORT,
            ),
            Attribute::Short(numbers::SA_AUTHENTICATION, numbers::SA_HMAC_SHA1),
            Attribute::Short(numbers::SA_KEY_LENGTH, 128),
        ],
    }
}

fn proposal(number: u8, protocol: ProtocolId, spi: &[u8], transforms: Vec<Transform>) -> Proposal {
    Proposal {
        number,
        protocol,
        spi: spi.to_vec(),
        transforms,
    }
}

/// One of every payload that can be with others.
fn sample() -> Vec<Payload> {
    let address = "192.0.2.1".parse().unwrap();
    let phase_1 = vec![proposal(1, ProtocolId::ISAKMP, &[], vec![oakley()])];
    let phase_2 = vec![
        proposal(1, ProtocolId::ESP, &[1; 4], vec![esp(), esp()]),
        proposal(1, ProtocolId::IPCOMP, &[1; 2], vec![esp()]),
        proposal(3, ProtocolId::AH, &[2; 4], vec![esp()]),
    ];
    let cookies = (0x0102_0304_0506_0708, 0x1112_1314_1516_1718);
    let unknown = Unknown {
        kind: PayloadType(200),
        body: vec![1, 2, 3],
    };
    vec![
        Payload::SecurityAssociation(SecurityAssociation { proposals: phase_1 }),
        Payload::SecurityAssociation(SecurityAssociation { proposals: phase_2 }),
        Payload::KeyExchange(vec![7; 256]),
        Payload::Nonce(vec![9; 32]),
        Payload::Identification(Identification::new(
            numbers::ID_FQDN,
            b"front.example".to_vec(),
        )),
        Payload::Identification(Identification::address(address, 6, 110)),
        Payload::Identification(Identification::subnet(address, 24, 0, 0).unwrap()),
        Payload::Certificate(Certificate {
            encoding: numbers::CERT_X509_SIGNATURE,
            data: vec![0x30; 40],
        }),
        Payload::CertificateRequest(CertificateRequest {
            encoding: numbers::CERT_X509_SIGNATURE,
            authority: vec![0x30, 0],
        }),
        Payload::Hash(vec![3; 20]),
        Payload::Signature(vec![4; 256]),
        Payload::Notification(Notification::isakmp(
            cookies,
            NotifyType::R_U_THERE,
            vec![0, 0, 0, 7],
        )),
        Payload::Notification(Notification::esp(300, NotifyType::INVALID_SPI, Vec::new())),
        Payload::Delete(Delete::esp(&[256, 257])),
        Payload::Delete(Delete::isakmp(cookies.0, cookies.1)),
        Payload::VendorId(vendor::Vendor::DeadPeerDetection.octets()),
        Payload::NatDetection(NatDetection {
            numbers: NatNumbers::Rfc3947,
            hash: vec![5; 20],
        }),
        Payload::NatOriginalAddress(NatOriginalAddress {
            numbers: NatNumbers::Draft,
            address,
        }),
        Payload::GssToken(vec![0x60, 1, 2]),
        Payload::Unknown(unknown),
    ]
}
