//! Cut, shuffled, doubled and put together again.

use super::*;
use crate::v2::keys::{Keys, Nonces, Spis};
use crate::v2::message::{Opened, open, protect};
use crypto::{Encryption, Group, Integrity, Prf, Secret};
use policy::additional::Additional;
use policy::proposal::IkeSuite;
use proptest::prelude::*;
use wire::ike::{Decoded, ExchangeType, Flags, Payload, Unknown, decode};

const SPIS: Spis = Spis {
    initiator: 1,
    responder: 2,
};

fn keys(aead: bool) -> Keys {
    let encryption = match aead {
        true => Encryption::AesGcm16 { key_bits: 128 },
        false => Encryption::AesCbc { key_bits: 256 },
    };
    let suite = IkeSuite {
        encryption,
        integrity: (!aead).then_some(Integrity::HmacSha2_256_128),
        prf: Prf::HmacSha2_256,
        group: Group::Curve25519,
        additional: Additional::NONE,
    };
    let nonces = Nonces {
        initiator: b"one",
        responder: b"another",
    };
    Keys::initial(suite, &Secret::from_slice(b"shared"), nonces, SPIS)
}

fn header(message_id: u32) -> Header {
    let flags = Flags {
        initiator: true,
        version: false,
        response: false,
    };
    Header::new(1, 2, ExchangeType::IKE_AUTH, flags, message_id)
}

fn payloads(octets: &[u8]) -> Vec<Payload> {
    let part = |body: &[u8]| {
        Payload::Unknown(Unknown {
            kind: PayloadType(200),
            critical: false,
            body: body.to_vec(),
        })
    };
    octets.chunks(700).map(part).collect()
}

fn take(keys: &Keys, fragments: &mut Fragments, octets: &[u8]) -> Result<Option<Opened>, Discard> {
    let decoded: Decoded<'_> = decode(octets).unwrap();
    open(keys, fragments, &decoded)
}

proptest! {
    #[test]
    fn whatever_the_order_the_message_is_the_same(
        aead in any::<bool>(),
        octets in prop::collection::vec(any::<u8>(), 0..12_000),
        longest in 300_usize..2_000,
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let payloads = payloads(&octets);
        let mut sender = keys(aead);
        let sealed = protect(&mut sender, &header(1), &payloads, Some(longest)).unwrap();
        prop_assert!(sealed.iter().all(|one| one.len() <= longest));
        let whole = protect(&mut sender, &header(1), &payloads, None).unwrap();
        prop_assert_eq!(sealed.len() > 1, whole[0].len() > longest);

        let (receiver, mut fragments) = (keys(aead), Fragments::new(true));
        let mut wanted: Vec<usize> = order.iter().map(|index| index.index(sealed.len())).collect();
        wanted.extend(0..sealed.len());
        let mut seen = vec![false; sealed.len()];
        for index in wanted {
            let outcome = take(&receiver, &mut fragments, &sealed[index]);
            let repeated = std::mem::replace(&mut seen[index], true);
            if repeated && sealed.len() > 1 {
                prop_assert_eq!(outcome.err(), Some(Discard::Fragment));
            } else if let Some(opened) = outcome.unwrap() {
                prop_assert!(seen.iter().all(|one| *one), "it is not complete");
                prop_assert_eq!(opened.payloads.unwrap(), payloads);
                return Ok(());
            }
        }
        prop_assert!(false, "it does not come together");
    }
}

#[test]
fn a_changed_fragment_changes_nothing() {
    let (mut sender, receiver) = (keys(true), keys(true));
    let payloads = payloads(&[7; 3_000]);
    let sealed = protect(&mut sender, &header(1), &payloads, Some(1_000)).unwrap();
    let mut fragments = Fragments::new(true);
    for index in 0..sealed.len() {
        for byte in [16, 20, 28, 33, 35, 40, sealed[index].len() - 1] {
            let mut changed = sealed[index].clone();
            changed[byte] ^= 1;
            if let Ok(decoded) = decode(&changed) {
                assert!(open(&receiver, &mut fragments, &decoded).is_err());
            }
        }
        let opened = take(&receiver, &mut fragments, &sealed[index]).unwrap();
        assert_eq!(opened.is_some(), index + 1 == sealed.len());
    }
}

#[test]
fn more_pieces_begin_anew_and_fewer_do_not() {
    let (mut sender, receiver) = (keys(true), keys(true));
    let payloads = payloads(&[7; 3_000]);
    let mut cut = |longest| protect(&mut sender, &header(1), &payloads, Some(longest)).unwrap();
    let (coarse, fine) = (cut(1_200), cut(600));
    let mut fragments = Fragments::new(true);
    let mut give = |octets: &[u8]| take(&receiver, &mut fragments, octets);
    assert!(give(&coarse[0]).unwrap().is_none());
    assert!(give(&coarse[1]).unwrap().is_none());
    assert!(give(&fine[0]).unwrap().is_none());
    assert_eq!(give(&coarse[2]).err(), Some(Discard::Fragment));
    for piece in &fine[1..fine.len() - 1] {
        assert!(give(piece).unwrap().is_none());
    }
    let opened = give(&fine[fine.len() - 1]).unwrap().unwrap();
    assert_eq!(opened.payloads.unwrap(), payloads);
    let first = crypto::hash::sha256(&[&fine[0]]);
    assert_eq!(opened.digest, first, "the first piece names the message");
}

#[test]
fn one_message_in_each_direction_and_no_more() {
    let (mut sender, receiver) = (keys(true), keys(true));
    let payloads = payloads(&[7; 3_000]);
    let mut cut = |id| protect(&mut sender, &header(id), &payloads, Some(1_200)).unwrap();
    let (one, other) = (cut(1), cut(2));
    let mut fragments = Fragments::new(true);
    let mut give = |octets: &[u8]| take(&receiver, &mut fragments, octets).unwrap();
    assert!(give(&one[0]).is_none() && give(&one[1]).is_none());
    assert!(give(&other[0]).is_none());
    assert!(give(&one[2]).is_none(), "the other took its place");
    assert!(give(&one[0]).is_none());
    assert!(give(&one[1]).is_some());
}

#[test]
fn nothing_is_taken_that_was_not_agreed_or_is_too_long() {
    let (mut sender, receiver) = (keys(true), keys(true));
    let mut cut = |size| {
        let payloads = payloads(&vec![7; size]);
        protect(&mut sender, &header(1), &payloads, Some(2_000)).unwrap()
    };
    let mut closed = Fragments::new(false);
    let refused = take(&receiver, &mut closed, &cut(3_000)[0]);
    assert_eq!(refused.err(), Some(Discard::Fragmented));
    let long = cut(80_000);
    let mut fragments = Fragments::new(true);
    let outcomes = long
        .iter()
        .map(|one| take(&receiver, &mut fragments, one).unwrap());
    let first = outcomes.flatten().next().unwrap();
    assert_eq!(
        first.payloads.unwrap_err().reason,
        Reason::MessageLength,
        "the peer broke the rule itself"
    );
}

#[test]
fn what_no_peer_puts_together_is_not_cut() {
    let mut sender = keys(true);
    let mut cut = |size, longest| {
        let payloads = payloads(&vec![7; size]);
        protect(&mut sender, &header(1), &payloads, Some(longest)).map(|sealed| sealed.len())
    };
    assert_eq!(cut(3_000, 40), Some(1));
    assert_eq!(cut(30_000, 300), Some(1));
    assert_eq!(cut(15_000, 300), Some(64));
    assert_eq!(longest(1280, "192.0.2.1".parse().unwrap()), 1248);
    assert_eq!(longest(1280, "2001:db8::1".parse().unwrap()), 1228);
}
