//! Random values of every payload, each within what a message can say.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn octets(length: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), length)
}

fn attribute() -> impl Strategy<Value = Attribute> {
    let kind = || 0..0x8000_u16;
    prop_oneof![
        (kind(), any::<u16>()).prop_map(|(kind, value)| Attribute::Short(kind, value)),
        (kind(), octets(0..9)).prop_map(|(kind, value)| Attribute::Long(kind, value)),
    ]
}

fn transform() -> impl Strategy<Value = Transform> {
    (any::<u8>(), any::<u8>(), vec(attribute(), 0..4)).prop_map(|(number, id, mut attributes)| {
        attributes.sort_by_key(Attribute::kind);
        attributes.dedup_by_key(|attribute| attribute.kind());
        Transform {
            number,
            id,
            attributes,
        }
    })
}

/// An SPI that fits its protocol, of `size` octets where that is open.
fn spi(protocol: ProtocolId, size: usize) -> Vec<u8> {
    match protocol {
        ProtocolId::AH | ProtocolId::ESP => vec![7; 4],
        ProtocolId::IPCOMP => vec![7; 2 + size % 2 * 2],
        _ => vec![7; size],
    }
}

fn sa() -> impl Strategy<Value = SecurityAssociation> {
    let transforms = vec(transform(), 1..5);
    let proposal = (any::<u8>(), 0..7_u8, 0..=16_usize, transforms).prop_map(
        |(number, protocol, size, transforms)| {
            let protocol = ProtocolId(protocol);
            proposal(number, protocol, &spi(protocol, size), transforms)
        },
    );
    vec(proposal, 1..5).prop_map(|mut proposals| {
        proposals.sort_by_key(|proposal| proposal.number);
        SecurityAssociation { proposals }
    })
}

fn identification() -> impl Strategy<Value = Identification> {
    let kind = prop_oneof![
        Just(numbers::ID_FQDN),
        Just(numbers::ID_KEY_ID),
        12..=255_u8
    ];
    let name = (kind, octets(0..40)).prop_map(|(kind, data)| Identification::new(kind, data));
    let traffic = (any::<std::net::IpAddr>(), any::<u8>(), any::<u16>());
    let address = traffic
        .clone()
        .prop_map(|(address, protocol, port)| Identification::address(address, protocol, port));
    let subnet = (traffic, 0..=32_u8).prop_map(|((address, protocol, port), prefix)| {
        Identification::subnet(address, prefix, protocol, port).unwrap()
    });
    prop_oneof![name, address, subnet]
}

fn notification() -> impl Strategy<Value = Notification> {
    let protocol = (any::<u8>(), 0..=16_usize);
    (any::<u32>(), protocol, any::<u16>(), octets(0..40)).prop_map(
        |(doi, (protocol, size), kind, data)| {
            let protocol = ProtocolId(protocol);
            Notification {
                doi,
                protocol,
                spi: spi(protocol, size),
                kind: NotifyType(kind),
                data,
            }
        },
    )
}

fn delete() -> impl Strategy<Value = Delete> {
    (any::<u32>(), 1..7_u8, 1..=16_usize, 1..9_usize).prop_map(|(doi, protocol, size, count)| {
        let protocol = ProtocolId(protocol);
        let size = if protocol == ProtocolId::ISAKMP {
            16
        } else {
            size
        };
        Delete {
            doi,
            protocol,
            spis: vec![spi(protocol, size); count],
        }
    })
}

fn nat() -> impl Strategy<Value = Payload> {
    let numbers = any::<bool>().prop_map(|draft| {
        if draft {
            NatNumbers::Draft
        } else {
            NatNumbers::Rfc3947
        }
    });
    (
        numbers,
        any::<std::net::IpAddr>(),
        octets(1..65),
        any::<bool>(),
    )
        .prop_map(|(numbers, address, hash, detection)| {
            if detection {
                Payload::NatDetection(NatDetection { numbers, hash })
            } else {
                Payload::NatOriginalAddress(NatOriginalAddress { numbers, address })
            }
        })
}

/// Any payload but a fragment, which is alone.
fn payload() -> impl Strategy<Value = Payload> {
    let typed = || (any::<u8>(), octets(0..40));
    let unknown = prop_oneof![14..20_u8, 22..129_u8, 133..=255_u8];
    prop_oneof![
        sa().prop_map(Payload::SecurityAssociation),
        octets(1..64).prop_map(Payload::KeyExchange),
        identification().prop_map(Payload::Identification),
        typed().prop_map(|(encoding, data)| Payload::Certificate(Certificate { encoding, data })),
        typed().prop_map(|(encoding, authority)| {
            Payload::CertificateRequest(CertificateRequest {
                encoding,
                authority,
            })
        }),
        octets(1..65).prop_map(Payload::Hash),
        octets(1..65).prop_map(Payload::Signature),
        octets(8..=256).prop_map(Payload::Nonce),
        notification().prop_map(Payload::Notification),
        delete().prop_map(Payload::Delete),
        octets(0..30).prop_map(Payload::VendorId),
        nat(),
        octets(0..40).prop_map(Payload::GssToken),
        (unknown, octets(0..20)).prop_map(|(kind, body)| {
            let kind = PayloadType(kind);
            Payload::Unknown(Unknown { kind, body })
        }),
    ]
}

/// A chain of payloads.
pub(super) fn payloads() -> impl Strategy<Value = Vec<Payload>> {
    vec(payload(), 0..8)
}

/// A fragment that may be received.
pub(super) fn fragment() -> impl Strategy<Value = Fragment> {
    (any::<u16>(), 1..=64_u8, any::<bool>(), octets(1..64)).prop_map(|(id, number, last, data)| {
        Fragment {
            id,
            number,
            last,
            data,
        }
    })
}

/// Any header that a message can have.
pub(super) fn header() -> impl Strategy<Value = Header> {
    let flags = any::<[bool; 3]>().prop_map(|[encryption, commit, authentication_only]| Flags {
        encryption,
        commit,
        authentication_only,
    });
    (any::<[u64; 2]>(), any::<u8>(), flags, any::<u32>()).prop_map(
        |([initiator_cookie, responder_cookie], exchange, flags, message_id)| {
            Header::new(
                initiator_cookie,
                responder_cookie,
                ExchangeType(exchange),
                flags,
                message_id,
            )
        },
    )
}
