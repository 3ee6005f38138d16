//! Octets that are nobody's message: never a panic, never memory beyond a multiple of the input.

use super::*;
use proptest::prelude::*;
use std::mem::size_of;

/// A basic attribute takes four octets on the wire and 32 in memory, a payload four and some 80:
/// with a vector's doubling that is the most that an octet can grow to.
const GROWTH: usize = 48;

/// What a first payload or proposal costs beyond its octets: vectors begin with room for four.
const FLOOR: usize = 1_024;

/// xorshift64*: enough to mutate with, the same on every run.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as usize
    }
}

fn footprint_of_sa(sa: &SecurityAssociation) -> usize {
    let attribute = |attribute: &Attribute| match attribute {
        Attribute::Short(..) => 0,
        Attribute::Long(_, value) => value.capacity(),
    };
    let transform = |transform: &Transform| {
        let attributes = &transform.attributes;
        attributes.capacity() * size_of::<Attribute>()
            + attributes.iter().map(attribute).sum::<usize>()
    };
    let proposal = |proposal: &Proposal| {
        proposal.spi.capacity()
            + proposal.transforms.capacity() * size_of::<Transform>()
            + proposal.transforms.iter().map(transform).sum::<usize>()
    };
    sa.proposals.capacity() * size_of::<Proposal>()
        + sa.proposals.iter().map(proposal).sum::<usize>()
}

/// All octets that decoded payloads hold on to, unused room included.
fn footprint(payloads: &Vec<Located<'_>>) -> usize {
    let held = |located: &Located<'_>| match &located.payload {
        Payload::SecurityAssociation(sa) => footprint_of_sa(sa),
        Payload::KeyExchange(octets)
        | Payload::Hash(octets)
        | Payload::Signature(octets)
        | Payload::Nonce(octets)
        | Payload::VendorId(octets)
        | Payload::GssToken(octets) => octets.capacity(),
        Payload::Identification(id) => id.data.capacity(),
        Payload::Certificate(certificate) => certificate.data.capacity(),
        Payload::CertificateRequest(request) => request.authority.capacity(),
        Payload::Notification(notification) => {
            notification.spi.capacity() + notification.data.capacity()
        }
        Payload::Delete(delete) => {
            delete.spis.capacity() * size_of::<Vec<u8>>()
                + delete.spis.iter().map(Vec::capacity).sum::<usize>()
        }
        Payload::NatDetection(detection) => detection.hash.capacity(),
        Payload::NatOriginalAddress(_) => 0,
        Payload::Fragment(fragment) => fragment.data.capacity(),
        Payload::Unknown(unknown) => unknown.body.capacity(),
    };
    payloads.capacity() * size_of::<Located<'_>>() + payloads.iter().map(held).sum::<usize>()
}

/// Decodes whatever it is; what comes out is bounded, and is written as it was read.
fn survive(octets: &[u8]) -> Result<(), Malformed> {
    let (header, body) = decode_header(octets)?;
    survive_body(header.next_payload, body, header.flags.encryption)
}

fn survive_body(first: PayloadType, body: &[u8], padded: bool) -> Result<(), Malformed> {
    let chain = decode_payloads(first, body, padded).inspect_err(|refused| {
        assert!(refused.offset <= body.len(), "{refused} of {}", body.len());
    })?;
    assert!(footprint(&chain.payloads) <= FLOOR + body.len() * GROWTH);
    let mut end = 0;
    for (index, located) in chain.payloads.iter().enumerate() {
        assert_eq!(located.offset, end);
        end = located.end();
        assert_eq!(chain.after(index), &chain.octets[end..]);
        let identity = match &located.payload {
            Payload::Identification(identity) => identity.addresses(),
            _ => None,
        };
        assert!(identity.is_none_or(|(first, last)| first <= last));
    }
    assert_eq!(chain.octets.len(), end);
    let payloads = owned(&chain);
    let (again, octets) = encode_payloads(&payloads).unwrap();
    assert_eq!(octets.len(), chain.octets.len());
    assert_eq!(
        owned(&decode_payloads(again, &octets, false).unwrap()),
        payloads
    );
    Ok(())
}

/// Messages to begin from: our sample, a fragment, and what others sent; bodies that were encrypted
/// are here as messages in the clear.
fn seeds() -> Vec<Vec<u8>> {
    let fragment = Fragment {
        id: 1,
        number: 1,
        last: false,
        data: vec![1; 40],
    };
    let plain = |first, text: &str| {
        let padded = hex(text);
        let chain = decode_payloads(first, &padded, true).unwrap();
        encode(&header(), &owned(&chain)).unwrap()
    };
    let (id, hash) = (PayloadType::ID, PayloadType::HASH);
    vec![
        encode(&header(), &sample()).unwrap(),
        encode(&header(), &[Payload::Fragment(fragment)]).unwrap(),
        hex(include_str!("../testdata/main-mode-1.hex")),
        hex(include_str!("../testdata/main-mode-4.hex")),
        hex(include_str!("../testdata/ike-scan.hex")),
        hex(include_str!("../testdata/libreswan-main-mode-1.hex")),
        plain(id, include_str!("../testdata/main-mode-5-inside.hex")),
        plain(hash, include_str!("../testdata/quick-mode-1-inside.hex")),
        plain(hash, include_str!("../testdata/delete-inside.hex")),
    ]
}

#[test]
fn every_strict_prefix_is_refused() {
    for seed in seeds() {
        for end in 0..seed.len() {
            assert!(
                survive(&seed[..end]).is_err(),
                "a prefix of {end} octets was accepted"
            );
        }
        assert_eq!(survive(&seed), Ok(()));
    }
}

#[test]
fn every_strict_prefix_with_its_length_put_right_survives() {
    for seed in seeds() {
        for end in Header::LENGTH..seed.len() {
            let mut octets = seed[..end].to_vec();
            octets[24..28].copy_from_slice(&(end as u32).to_be_bytes());
            assert!(survive(&octets).is_err(), "{end} octets were accepted");
        }
    }
}

#[test]
fn every_value_of_every_octet_survives() {
    for seed in seeds() {
        let mut octets = seed.clone();
        for index in 0..seed.len().min(700) {
            for step in [1, 2, 3, 4, 7, 0x7f, 0x80, 0xff] {
                octets[index] = seed[index].wrapping_add(step);
                let _ = survive(&octets);
                octets[index] = step;
                let _ = survive(&octets);
            }
            octets[index] = seed[index];
        }
    }
}

/// A few seconds without optimization; the time is not asserted, the counts are.
#[test]
fn two_hundred_thousand_mutated_messages_survive() {
    let mut rng = Rng(0x5eed);
    let seeds = seeds();
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..200_000 {
        let mut octets = seeds[round % seeds.len()].clone();
        for _ in 0..=rng.next() % 3 {
            let at = rng.next() % octets.len();
            match rng.next() % 6 {
                0 => octets[at] = rng.next() as u8,
                1 => octets[at] ^= 1 << (rng.next() % 8),
                2 => octets.truncate(at.max(1)),
                3 => octets.insert(at, rng.next() as u8),
                4 => drop(octets.remove(at)),
                _ => octets[at] = [0, 1, 2, 4, 8, 16, 132, 255][rng.next() % 8],
            }
            if octets.is_empty() {
                octets.push(0);
            }
        }
        if octets.len() >= Header::LENGTH && rng.next() & 3 != 0 {
            let length = octets.len() as u32;
            octets[24..28].copy_from_slice(&length.to_be_bytes());
        }
        match survive(&octets) {
            Ok(()) => accepted += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(
        accepted > 10_000 && refused > 50_000,
        "{accepted} accepted, {refused} refused"
    );
}

#[test]
fn memory_stays_small_for_the_densest_messages() {
    let empty = Transform {
        number: 0,
        id: 0,
        attributes: Vec::new(),
    };
    let attributes = (0..limits::ATTRIBUTES).map(|kind| Attribute::Short(kind as u16, 0));
    let full = Transform {
        attributes: attributes.collect(),
        ..empty.clone()
    };
    let of = |transforms: Vec<Transform>, count| {
        let proposal = proposal(0, ProtocolId::ISAKMP, &[], transforms);
        let proposals = vec![proposal; count];
        vec![Payload::SecurityAssociation(SecurityAssociation {
            proposals,
        })]
    };
    let delete = Payload::Delete(Delete::esp(&[1; limits::DELETED]));
    for payloads in [
        of(
            vec![empty.clone(); limits::TRANSFORMS],
            limits::PROPOSALS - 1,
        ),
        of(vec![full; limits::TRANSFORMS], 3),
        of(vec![empty], limits::PROPOSALS),
        vec![delete; 31],
        vec![Payload::VendorId(Vec::new()); limits::PAYLOADS],
    ] {
        let octets = encode(&header(), &payloads).unwrap();
        assert_eq!(survive(&octets), Ok(()));
    }
}

proptest! {
    #[test]
    fn any_octets_survive(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = survive(&octets);
        let _ = survive_body(PayloadType(octets.len() as u8), &octets, true);
        let _ = vendor::Vendor::of(&octets);
    }

    #[test]
    fn any_body_of_any_payload_survives(
        kind in prop_oneof![1..22_u8, 128..134_u8],
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = survive(&message_of(PayloadType(kind), &body));
    }
}
