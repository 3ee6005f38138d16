//! Bad people: every message of IKEv1 truncated, changed, repeated and invented, in every state.

use std::cell::RefCell;
use std::rc::Rc;

use crate::harness::*;
use crate::v1::version_1;
use crypto::{Random, SeededRandom};
use ike::{Command, Discard, limits};

/// Where the flags of a message are, and where its version is.
const FLAGS: usize = 19;
const VERSION: usize = 17;
const MAIN_MODE: u8 = 2;
/// Header, an identity that is an IPv4 address, and a hash of SHA-256.
const BEHIND_THE_HASH: usize = 28 + 12 + 36;

/// What an attack must not change.
pub(crate) fn picture(pair: &Pair, host: usize) -> String {
    let host = &pair.hosts[host];
    let status = host.endpoint.status(pair.now);
    let sad: Vec<_> = host.sad.iter().map(|(id, one)| (*id, one.active)).collect();
    format!("{status:?} {sad:?} {:?}", host.wait)
}

/// What two hosts do with each other, one thing after the other.
const DEEDS: [fn(&mut Pair); 6] = [
    |pair| pair.acquire(A),
    |pair| of_child(pair, A, Command::RekeyChild),
    |pair| of_ike(pair, A, Command::CheckLiveness),
    |pair| of_child(pair, B, Command::DeleteChild),
    |pair| of_ike(pair, B, Command::RekeyIke),
    |pair| of_ike(pair, A, Command::DeleteIke),
];

fn of_child(pair: &mut Pair, host: usize, command: fn(policy::sa::ChildId) -> Command) {
    if let Some(child) = pair.hosts[host].sad.keys().next_back().copied() {
        pair.command(host, command(child));
    }
}

fn of_ike(pair: &mut Pair, host: usize, command: fn(ike::IkeSaId) -> Command) {
    if let Some(one) = pair.ikes(host).first() {
        let ike = one.ike;
        pair.command(host, command(ike));
    }
}

/// The hosts as they were before the message came that so many others went before, and the message.
pub(crate) fn state(stop: usize) -> Option<(Pair, Packet)> {
    let mut pair = version_1().pair();
    let held = Rc::new(RefCell::new(None::<Packet>));
    let (keep, mut count) = (held.clone(), 0);
    pair.filter = Box::new(move |packet| {
        count += 1;
        if count == stop + 1 {
            *keep.borrow_mut() = Some(packet.clone());
        }
        match count > stop {
            true => Verdict::Drop,
            false => Verdict::Pass,
        }
    });
    for deed in DEEDS {
        deed(&mut pair);
        for _ in 0..100 {
            if held.borrow().is_none() {
                pair.run(millis(1));
            }
        }
        if held.borrow().is_some() {
            break;
        }
    }
    pair.filter = Box::new(|_| Verdict::Drop);
    pair.log.clear();
    let packet = held.borrow_mut().take();
    packet.map(|packet| (pair, packet))
}

/// Every message of main mode, quick mode, rekeying and informational exchanges. What is said twice
/// is there once.
fn states() -> Vec<(Pair, Packet)> {
    let mut all: Vec<(Pair, Packet)> = (0..).map_while(state).collect();
    all.dedup_by(|(_, again), (_, first)| again.bytes == first.bytes);
    let of = |exchange| {
        let is = |(_, packet): &&(Pair, Packet)| packet.exchange() == exchange;
        all.iter().filter(is).count()
    };
    assert_eq!((of(MAIN_MODE), of(32)), (12, 6));
    assert!(of(5) >= 6, "{}", of(5));
    all
}

fn is_encrypted(packet: &Packet) -> bool {
    packet.bytes[FLAGS] & 1 != 0
}

/// A message with other octets.
pub(crate) fn with(packet: &Packet, bytes: Vec<u8>) -> Packet {
    Packet {
        bytes,
        ..packet.clone()
    }
}

/// The true message still counts.
fn takes(pair: &mut Pair, packet: &Packet) {
    let victim = 1 - packet.from;
    let before = pair.hosts[victim].endpoint.discards().total();
    pair.deliver(packet);
    let after = pair.hosts[victim].endpoint.discards().total();
    assert_eq!(after, before, "{packet:?}\n{}", pair.story());
}

#[test]
fn what_is_cut_off_changes_nothing() {
    for (mut pair, packet) in states() {
        let victim = 1 - packet.from;
        let before = picture(&pair, victim);
        for length in 0..packet.bytes.len() {
            let mut bytes = packet.bytes[..length].to_vec();
            pair.deliver(&with(&packet, bytes.clone()));
            // The same where the header agrees: phase 1 is not protected, so only up to the body.
            let all = if is_encrypted(&packet) { length } else { 28 };
            if (28..=all).contains(&length) {
                bytes[24..28].copy_from_slice(&(length as u32).to_be_bytes());
                pair.deliver(&with(&packet, bytes));
            }
            assert_eq!(picture(&pair, victim), before, "{length} octets");
        }
        // A responder of main mode says, once, that it cannot read what it was sent.
        let proof = packet.exchange() == MAIN_MODE && is_encrypted(&packet);
        assert!(pair.sent(victim) <= usize::from(proof));
        takes(&mut pair, &packet);
    }
}

#[test]
fn a_message_of_phase_2_with_one_bit_changed_changes_nothing() {
    let of_phase_2 = |(_, packet): &(Pair, Packet)| packet.exchange() != MAIN_MODE;
    for (mut pair, packet) in states().into_iter().filter(of_phase_2) {
        let victim = 1 - packet.from;
        let before = picture(&pair, victim);
        for bit in 0..packet.bytes.len() * 8 {
            // No hash covers the minor version and the flags: the message is the same with others.
            let free = match bit / 8 {
                VERSION => bit % 8 < 4,
                FLAGS => bit % 8 != 0,
                _ => false,
            };
            if free {
                continue;
            }
            let mut bytes = packet.bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            pair.deliver(&with(&packet, bytes));
            assert_eq!(picture(&pair, victim), before, "bit {bit}");
        }
        takes(&mut pair, &packet);
    }
}

/// Nobody has proved anything before the last two messages of main mode, and whoever sees and
/// changes messages may keep it from coming to an end. That is all that comes of it.
#[test]
fn a_message_of_main_mode_with_any_octet_changed_makes_no_sa() {
    for stop in 0..6 {
        let (_, packet) = state(stop).expect("main mode has six messages");
        for at in 0..packet.bytes.len() {
            let (mut pair, packet) = state(stop).expect("it had one");
            let victim = 1 - packet.from;
            let mut bytes = packet.bytes.clone();
            bytes[at] ^= 1 << (at % 8);
            pair.deliver(&with(&packet, bytes));
            // What comes behind identity and hash is not covered by the hash (RFC 2409 section 5).
            let free = at == FLAGS || at == VERSION || stop >= 4 && at >= BEHIND_THE_HASH;
            assert!(pair.ikes(victim).is_empty() || free, "octet {at}");
            assert!(pair.hosts[victim].sad.is_empty());
            assert!(pair.hosts[B].endpoint.half_open() <= 2);
            pair.filter = Box::new(|_| Verdict::Pass);
            pair.run(secs(60));
            for host in [A, B] {
                assert_eq!(pair.hosts[host].endpoint.half_open(), 0);
            }
            if pair.hosts[A].sad.is_empty() {
                pair.acquire(A);
                pair.run(secs(1));
            }
            // What finds a NAT is protected by nothing (RFC 3947 section 7): whoever changes it
            // makes one end send in UDP. Both ends still have the one pair.
            let spis = |host: usize| {
                let spec = pair.spec(host);
                (spec.inbound_spi, spec.outbound_spi)
            };
            let (theirs, ours) = spis(B);
            assert_eq!(spis(A), (ours, theirs), "octet {at}\n{}", pair.story());
        }
    }
}

#[test]
fn every_message_again_and_from_elsewhere_changes_nothing() {
    let mut pair = version_1().pair();
    pair.acquire(A);
    pair.run(millis(100));
    of_child(&mut pair, A, Command::RekeyChild);
    pair.run(secs(90));
    of_ike(&mut pair, B, Command::CheckLiveness);
    pair.run(secs(1));
    of_ike(&mut pair, B, Command::RekeyIke);
    pair.run(secs(90));
    let log: Vec<Packet> = pair.log.iter().map(|(_, packet)| packet.clone()).collect();
    assert!(log.len() > 20);
    pair.filter = Box::new(|_| Verdict::Drop);
    for packet in log {
        let victim = 1 - packet.from;
        let back = Packet {
            from: victim,
            local: packet.remote,
            remote: packet.local,
            ..packet.clone()
        };
        for one in [&packet, &back] {
            let (before, to) = (picture(&pair, 1 - one.from), 1 - one.from);
            let half_open = pair.hosts[to].endpoint.half_open();
            pair.deliver(one);
            // An old first message is like a new one: half-open and nothing more.
            if pair.hosts[to].endpoint.half_open() == half_open {
                assert_eq!(picture(&pair, to), before);
            }
        }
    }
    pair.filter = Box::new(|_| Verdict::Pass);
    pair.run(secs(60));
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
    pair.agree(1);
}

#[test]
fn noise() {
    let mut random = SeededRandom::new(99);
    for (mut pair, good) in states().into_iter().filter(|(_, one)| is_encrypted(one)) {
        let victim = 1 - good.from;
        let before = picture(&pair, victim);
        for _ in 0..1_000 {
            let mut length = [0, 0];
            random.fill(&mut length);
            let mut bytes = vec![0; usize::from(length[0]) + 1];
            random.fill(&mut bytes);
            // Half of the noise has a good header, so that it gets further in.
            if length[1] & 1 == 0 && bytes.len() > 28 {
                bytes[..24].copy_from_slice(&good.bytes[..24]);
                let total = (bytes.len() as u32).to_be_bytes();
                bytes[24..28].copy_from_slice(&total);
            }
            pair.deliver(&with(&good, bytes));
        }
        // And everything that could be an exchange and a first payload.
        for (exchange, payload) in (0..=255).flat_map(|one| [(one, 0), (5, one), (32, one)]) {
            let mut bytes = good.bytes.clone();
            (bytes[18], bytes[16]) = (exchange, payload);
            bytes[28..].iter_mut().for_each(|octet| *octet ^= 0x55);
            pair.deliver(&with(&good, bytes));
        }
        assert_eq!(picture(&pair, victim), before);
        let discards = pair.hosts[victim].endpoint.discards();
        assert!(discards.get(Discard::Malformed) > 300);
        assert!(discards.total() > 1_500);
    }
}

#[test]
fn first_messages_are_bounded_for_one_source_and_for_all() {
    let mut setup = version_1();
    setup.config = |config| {
        config.half_open = 20;
        config.half_open_per_source = 10;
        let peers = config.pad.peers().iter().cloned().map(|mut peer| {
            peer.addresses.clear();
            peer
        });
        config.pad = std::sync::Arc::new(policy::pad::Pad::new(peers.collect()));
    };
    let mut pair = setup.pair();
    pair.filter = Box::new(|_| Verdict::Drop);
    let (_, first) = state(0).expect("main mode begins");
    let flood = |pair: &mut Pair, source: String, count: u64| {
        for cookie in 1..=count {
            let mut one = first.clone();
            one.local = source.parse().unwrap();
            one.bytes[..8].copy_from_slice(&cookie.to_be_bytes());
            pair.deliver(&one);
        }
    };
    flood(&mut pair, "198.51.100.7:500".into(), 1_000);
    assert_eq!(pair.hosts[B].endpoint.half_open(), 10);
    for subnet in 0..100 {
        flood(&mut pair, format!("203.0.{subnet}.7:500"), 3);
    }
    assert_eq!(pair.hosts[B].endpoint.half_open(), 20);
    assert!(pair.sent(B) <= 1_300, "more was said than heard");
    let bytes = |host| {
        let of = pair.log.iter().filter(|(_, one)| one.from == host);
        of.map(|(_, one)| one.bytes.len()).sum::<usize>()
    };
    assert!(bytes(B) <= 1_300 * first.bytes.len(), "it is no amplifier");
    // Whoever means it is served while the flood goes on.
    pair.filter = Box::new(|_| Verdict::Pass);
    pair.acquire(A);
    pair.run(secs(1));
    pair.agree(1);
    pair.run(limits::HALF_OPEN_LIFE * 3);
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
}
