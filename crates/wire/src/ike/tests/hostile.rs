//! Octets that are nobody's message: never a panic, never memory beyond a multiple of the input.

use super::*;
use proptest::prelude::*;
use std::mem::size_of;

/// A transform on the wire takes eight octets and 40 in memory, a payload four and some 60: with a
/// vector's doubling that is the most that an octet can grow to.
const GROWTH: usize = 40;

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

/// All octets that decoded payloads hold on to, unused room included.
fn footprint(payloads: &Vec<Payload>) -> usize {
    let held = |payload: &Payload| match payload {
        Payload::Sa(sa) => {
            let attribute = |attribute: &Attribute| match attribute {
                Attribute::Short(..) => 0,
                Attribute::Long(_, value) => value.capacity(),
            };
            let transform = |transform: &Transform| {
                let attributes = &transform.unknown_attributes;
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
        Payload::Ke(ke) => ke.data.capacity(),
        Payload::IdInitiator(id) | Payload::IdResponder(id) => id.data.capacity(),
        Payload::Cert(cert) => cert.data.capacity(),
        Payload::CertReq(request) => request.authorities.capacity(),
        Payload::Auth(auth) => auth.data.capacity(),
        Payload::Nonce(Nonce(octets)) | Payload::VendorId(VendorId(octets)) => octets.capacity(),
        Payload::Notify(notify) => notify.spi.capacity() + notify.data.capacity(),
        Payload::Delete(delete) => delete.spis.capacity() * 4,
        Payload::TsInitiator(TrafficSelectors(selectors))
        | Payload::TsResponder(TrafficSelectors(selectors)) => {
            selectors.capacity() * size_of::<Selector>()
        }
        Payload::Configuration(configuration) => {
            let attributes = &configuration.attributes;
            attributes.capacity() * size_of::<ConfigurationAttribute>()
                + attributes
                    .iter()
                    .map(|one| one.value.capacity())
                    .sum::<usize>()
        }
        Payload::Eap(octets) | Payload::PuzzleSolution(octets) => octets.capacity(),
        Payload::Unknown(unknown) => unknown.body.capacity(),
    };
    payloads.capacity() * size_of::<Payload>() + payloads.iter().map(held).sum::<usize>()
}

/// Decodes whatever it is; what comes out is bounded, and can be written and read again.
fn survive(octets: &[u8]) -> Result<(), Malformed> {
    let decoded = decode(octets)?;
    assert!(footprint(&decoded.payloads) <= FLOOR + octets.len() * GROWTH);
    assert!(decoded.octets.len() <= octets.len());
    if let Some(encrypted) = decoded.encrypted {
        assert!(encrypted.body.end == decoded.octets.len());
        for (iv, icv, block) in [(8, 16, 1), (16, 32, 16)] {
            if let Ok(parts) = encrypted.parts(Layout { iv, icv, block }) {
                let inside = unpad(&decoded.octets[parts.ciphertext]).unwrap_or_default();
                let _ = decode_payloads(encrypted.first, inside);
            }
        }
    } else {
        let again = encode(&decoded.header, &decoded.payloads).unwrap();
        assert_eq!(decode(&again).unwrap().payloads, decoded.payloads);
    }
    Ok(())
}

/// Messages to begin from: our sample, a protected one, and another implementation's.
fn seeds() -> Vec<Vec<u8>> {
    let (first, inner) = encode_payloads(&sample()).unwrap();
    let layout = Layout {
        iv: 8,
        icv: 16,
        block: 1,
    };
    let fragment = Some(Fragment {
        number: 1,
        total: 2,
    });
    vec![
        encode(&header(), &sample()).unwrap(),
        encode_protected(&header(), first, None, &inner, layout)
            .unwrap()
            .octets,
        encode_protected(&header(), first, fragment, &inner, layout)
            .unwrap()
            .octets,
        hex(include_str!("../testdata/ike-sa-init-request.hex")),
        hex(include_str!("../testdata/ike-sa-init-response.hex")),
        hex(include_str!("../testdata/ike-auth-request.hex")),
    ]
}

#[test]
fn every_strict_prefix_is_refused() {
    for seed in seeds() {
        for end in 0..seed.len() {
            assert!(
                decode(&seed[..end]).is_err(),
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
            let _ = survive(&octets);
        }
    }
}

#[test]
fn every_change_of_one_octet_survives() {
    for seed in seeds() {
        let mut octets = seed.clone();
        for index in 0..seed.len() {
            for value in [
                0,
                1,
                2,
                0x7f,
                0x80,
                0xff,
                seed[index] ^ 1,
                seed[index].wrapping_add(4),
            ] {
                octets[index] = value;
                let _ = survive(&octets);
            }
            octets[index] = seed[index];
        }
    }
}

#[test]
fn every_value_of_every_octet_of_a_small_message_survives() {
    let seed = encode(&header(), &sample()[..3]).unwrap();
    for index in 0..seed.len() {
        let mut octets = seed.clone();
        for value in 0..=255 {
            octets[index] = value;
            let _ = survive(&octets);
        }
    }
}

/// Under two seconds without optimization; the time is not asserted, the counts are.
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
                _ => octets[at] = [0, 1, 4, 8, 33, 46, 53, 255][rng.next() % 8],
            }
            if octets.is_empty() {
                octets.push(0);
            }
        }
        if octets.len() >= Header::LENGTH && rng.next() & 3 != 0 {
            let length = octets.len() as u32;
            octets[24..28].copy_from_slice(&length.to_be_bytes());
        }
        match decode(&octets) {
            Ok(decoded) => {
                assert!(footprint(&decoded.payloads) <= FLOOR + octets.len() * GROWTH);
                accepted += 1;
            }
            Err(malformed) => {
                assert!(malformed.offset <= octets.len().max(Header::LENGTH));
                refused += 1;
            }
        }
    }
    assert!(
        accepted > 10_000 && refused > 50_000,
        "{accepted} accepted, {refused} refused"
    );
}

#[test]
fn memory_stays_small_for_the_densest_messages() {
    // Sixty-three empty transforms per proposal, sixty-four proposals: 32 kB.
    let transforms = vec![Transform::new(TransformType::DH, 1); 64];
    let proposal = |number| Proposal {
        number,
        protocol: ProtocolId::IKE,
        spi: Vec::new(),
        transforms: transforms.clone(),
    };
    let sa = SaPayload {
        proposals: (1..=64).map(proposal).collect(),
    };
    let octets = encode(&header(), &[Payload::Sa(sa)]).unwrap();
    assert_eq!(survive(&octets), Ok(()));
    let vendors = vec![Payload::VendorId(VendorId(Vec::new())); limits::PAYLOADS];
    let octets = encode(&header(), &vendors).unwrap();
    assert_eq!(survive(&octets), Ok(()));
}

proptest! {
    #[test]
    fn any_octets_survive(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = survive(&octets);
        let _ = decode_payloads(PayloadType(octets.len() as u8), &octets);
        let _ = unpad(&octets);
    }

    #[test]
    fn any_body_of_any_payload_survives(
        kind in 33..55_u8,
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = survive(&message_of(PayloadType(kind), &body));
    }
}
