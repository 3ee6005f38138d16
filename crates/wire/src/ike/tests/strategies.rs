//! Random values of every payload, each within what a message can say.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn octets(length: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), length)
}

fn attribute() -> impl Strategy<Value = Attribute> {
    let other = |kind: &u16| *kind != numbers::ATTRIBUTE_KEY_LENGTH;
    prop_oneof![
        (
            (0..0x8000_u16).prop_filter("not a key length", other),
            any::<u16>()
        )
            .prop_map(|(kind, value)| Attribute::Short(kind, value)),
        (0..0x8000_u16, octets(0..9)).prop_map(|(kind, value)| Attribute::Long(kind, value)),
    ]
}

fn transform() -> impl Strategy<Value = Transform> {
    let attributes = vec(attribute(), 0..3);
    (any::<u8>(), any::<u16>(), any::<Option<u16>>(), attributes).prop_map(
        |(kind, id, key_length, unknown_attributes)| Transform {
            kind: TransformType(kind),
            id,
            key_length,
            unknown_attributes,
        },
    )
}

fn spi(protocol: ProtocolId, wide: [u8; 8], some: bool) -> Vec<u8> {
    match protocol {
        ProtocolId::IKE if some => wide.to_vec(),
        ProtocolId::IKE | ProtocolId::NONE => Vec::new(),
        _ => wide[..4].to_vec(),
    }
}

fn sa() -> impl Strategy<Value = SaPayload> {
    let proposal = (
        1..5_u8,
        any::<[u8; 8]>(),
        any::<bool>(),
        vec(transform(), 0..6),
    );
    vec(proposal, 1..5).prop_map(|proposals| {
        let number = |(index, (protocol, wide, some, transforms))| {
            let protocol = ProtocolId(protocol);
            let spi = spi(protocol, wide, some);
            Proposal {
                number: index as u8 + 1,
                protocol,
                spi,
                transforms,
            }
        };
        SaPayload {
            proposals: proposals.into_iter().enumerate().map(number).collect(),
        }
    })
}

fn notify() -> impl Strategy<Value = Notify> {
    (
        0..5_u8,
        any::<[u8; 8]>(),
        any::<bool>(),
        any::<u16>(),
        octets(0..40),
    )
        .prop_map(|(protocol, wide, some, kind, data)| {
            let protocol = ProtocolId(protocol);
            Notify {
                protocol,
                spi: spi(protocol, wide, some),
                kind: NotifyType(kind),
                data,
            }
        })
}

fn selector() -> impl Strategy<Value = Selector> {
    let addresses = prop_oneof![
        any::<[[u8; 4]; 2]>().prop_map(|both| both.map(std::net::IpAddr::from)),
        any::<[[u8; 16]; 2]>().prop_map(|both| both.map(std::net::IpAddr::from)),
    ];
    (any::<u8>(), any::<[u16; 2]>(), addresses, any::<bool>()).prop_map(
        |(protocol, mut ports, mut addresses, opaque)| {
            addresses.sort();
            ports.sort();
            let [start, end] = addresses;
            let [start_port, end_port] = if opaque { [u16::MAX, 0] } else { ports };
            Selector {
                protocol,
                start_port,
                end_port,
                start,
                end,
            }
        },
    )
}

fn unknown() -> impl Strategy<Value = Unknown> {
    let kinds = prop_oneof![1..33_u8, 49..53_u8, 55..=255_u8];
    (kinds, any::<bool>(), octets(0..20)).prop_map(|(kind, critical, body)| Unknown {
        kind: PayloadType(kind),
        critical,
        body,
    })
}

fn configuration() -> impl Strategy<Value = Configuration> {
    let attribute = (0..0x8000_u16, octets(0..17))
        .prop_map(|(kind, value)| ConfigurationAttribute { kind, value });
    (any::<u8>(), vec(attribute, 0..5))
        .prop_map(|(kind, attributes)| Configuration { kind, attributes })
}

fn delete() -> impl Strategy<Value = Delete> {
    let protocol = (2..256_u16).prop_map(|protocol| ProtocolId(protocol as u8));
    let children =
        (protocol, vec(any::<u32>(), 0..9)).prop_map(|(protocol, spis)| Delete { protocol, spis });
    prop_oneof![children, Just(Delete::ike())]
}

fn identification() -> impl Strategy<Value = Identification> {
    (any::<u8>(), octets(0..40)).prop_map(|(kind, data)| Identification { kind, data })
}

fn selectors() -> impl Strategy<Value = TrafficSelectors> {
    vec(selector(), 0..6).prop_map(TrafficSelectors)
}

/// Any payload but the encrypted ones.
pub(super) fn payload() -> impl Strategy<Value = Payload> {
    let typed = || (any::<u8>(), octets(0..40));
    prop_oneof![
        sa().prop_map(Payload::Sa),
        (any::<u16>(), octets(1..64))
            .prop_map(|(group, data)| Payload::Ke(KePayload { group, data })),
        identification().prop_map(Payload::IdInitiator),
        identification().prop_map(Payload::IdResponder),
        typed().prop_map(|(encoding, data)| Payload::Cert(Cert { encoding, data })),
        typed().prop_map(|(encoding, authorities)| {
            Payload::CertReq(CertReq {
                encoding,
                authorities,
            })
        }),
        typed().prop_map(|(method, data)| Payload::Auth(AuthPayload { method, data })),
        octets(16..=256).prop_map(|octets| Payload::Nonce(Nonce(octets))),
        notify().prop_map(Payload::Notify),
        delete().prop_map(Payload::Delete),
        octets(0..30).prop_map(|octets| Payload::VendorId(VendorId(octets))),
        selectors().prop_map(Payload::TsInitiator),
        selectors().prop_map(Payload::TsResponder),
        configuration().prop_map(Payload::Configuration),
        octets(0..20).prop_map(Payload::Eap),
        octets(0..40).prop_map(Payload::PuzzleSolution),
        unknown().prop_map(Payload::Unknown),
    ]
}

/// A chain of payloads.
pub(super) fn payloads() -> impl Strategy<Value = Vec<Payload>> {
    vec(payload(), 0..8)
}

/// Any header that a version 2 message can have.
pub(super) fn header() -> impl Strategy<Value = Header> {
    let flags = any::<[bool; 3]>().prop_map(|[initiator, version, response]| Flags {
        initiator,
        version,
        response,
    });
    (any::<[u64; 2]>(), any::<u8>(), flags, any::<u32>()).prop_map(
        |([initiator_spi, responder_spi], exchange, flags, message_id)| {
            Header::new(
                initiator_spi,
                responder_spi,
                ExchangeType(exchange),
                flags,
                message_id,
            )
        },
    )
}

/// The lengths of the algorithms in use.
pub(super) fn layout() -> impl Strategy<Value = Layout> {
    let icv = prop_oneof![Just(16), Just(24), Just(32)];
    prop_oneof![
        Just(Layout {
            iv: 8,
            icv: 16,
            block: 1
        }),
        icv.prop_map(|icv| Layout {
            iv: 16,
            icv,
            block: 16
        }),
    ]
}
