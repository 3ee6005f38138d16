//! Bad people: truncated, changed, repeated and invented datagrams in every state.

use crate::harness::*;
use crypto::{Random, SeededRandom};
use ike::{Discard, Error, Event, Misbehaved};

/// What an attack must not change.
fn picture(pair: &Pair, host: usize) -> String {
    let host = &pair.hosts[host];
    let status = host.endpoint.status(pair.now);
    let sad: Vec<_> = host.sad.iter().map(|(id, one)| (*id, one.active)).collect();
    format!("{status:?} {sad:?} {:?}", host.wait)
}

/// Every message of a handshake, a child rekey and an IKE rekey, with the state before it came.
fn states() -> Vec<(Pair, Packet)> {
    let mut states = Vec::new();
    for stop in 0..12 {
        let mut pair = Setup::default().pair();
        let mut count = 0;
        let held = std::rc::Rc::new(std::cell::RefCell::new(None));
        let keep = held.clone();
        pair.filter = Box::new(move |packet| {
            count += 1;
            if count == stop + 1 {
                *keep.borrow_mut() = Some(packet.clone());
                return Verdict::Drop;
            }
            if count > stop + 1 {
                Verdict::Drop
            } else {
                Verdict::Pass
            }
        });
        pair.acquire(A);
        pair.run(millis(8));
        for command in [ike::Command::RekeyChild as fn(_) -> _] {
            if let Some(child) = pair.hosts[A].sad.keys().next().copied() {
                pair.command(A, command(child));
                pair.run(millis(8));
            }
        }
        if let Some(ike) = pair.ikes(A).first().map(|one| one.ike) {
            pair.command(A, ike::Command::RekeyIke(ike));
            pair.run(millis(8));
        }
        pair.filter = Box::new(|_| Verdict::Drop);
        let packet = held.borrow_mut().take();
        states.extend(packet.map(|packet| (pair, packet)));
    }
    assert_eq!(states.len(), 12);
    states
}

#[test]
fn what_is_cut_off_changes_nothing() {
    for (mut pair, packet) in states() {
        let victim = 1 - packet.from;
        let before = picture(&pair, victim);
        for length in 0..packet.bytes.len() {
            let bytes = packet.bytes[..length].to_vec();
            pair.deliver(&Packet {
                bytes,
                ..packet.clone()
            });
        }
        assert_eq!(picture(&pair, victim), before);
        pair.deliver(&packet);
        assert_ne!(
            picture(&pair, victim),
            before,
            "the whole message still counts"
        );
    }
}

#[test]
fn a_protected_message_with_one_bit_changed_changes_nothing() {
    for (mut pair, packet) in states().into_iter().skip(2) {
        let victim = 1 - packet.from;
        let before = picture(&pair, victim);
        for bit in 0..packet.bytes.len() * 8 {
            let mut bytes = packet.bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            pair.deliver(&Packet {
                bytes,
                ..packet.clone()
            });
            assert_eq!(picture(&pair, victim), before, "bit {bit}");
        }
        pair.deliver(&packet);
        assert_ne!(
            picture(&pair, victim),
            before,
            "the true message still counts"
        );
    }
}

#[test]
fn an_unprotected_message_with_one_bit_changed_never_harms_what_exists() {
    let mut pair = Setup::default().pair();
    pair.establish();
    let mut other = Setup {
        seed: 50,
        ..Setup::default()
    }
    .pair();
    other.acquire(A);
    let request = other.log[0].1.clone();
    let before: Vec<_> = pair.hosts[B].sad.keys().copied().collect();
    for bit in 0..request.bytes.len() * 8 {
        let mut bytes = request.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        pair.deliver(&Packet {
            bytes,
            ..request.clone()
        });
    }
    let limit = ike::limits::HALF_OPEN_PER_SOURCE;
    assert!(pair.hosts[B].endpoint.half_open() <= limit);
    assert_eq!(
        pair.hosts[B].sad.keys().copied().collect::<Vec<_>>(),
        before
    );
    pair.run(secs(40));
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
    pair.agree(1);
}

#[test]
fn noise() {
    let mut random = SeededRandom::new(99);
    let mut pair = Setup::default().pair();
    pair.establish();
    let before = picture(&pair, B);
    let good = {
        let ike = pair.ike(A);
        pair.filter = Box::new(|_| Verdict::Drop);
        pair.command(A, ike::Command::CheckLiveness(ike));
        pair.log[0].1.clone()
    };
    for _ in 0..20_000 {
        let mut length = [0, 0];
        random.fill(&mut length);
        let mut bytes = vec![0; usize::from(length[0])];
        random.fill(&mut bytes);
        // Half of the noise has a good header, so that it gets further in.
        if length[1] & 1 == 0 && bytes.len() > 28 {
            bytes[..24].copy_from_slice(&good.bytes[..24]);
            let total = (bytes.len() as u32).to_be_bytes();
            bytes[24..28].copy_from_slice(&total);
        }
        pair.deliver(&Packet {
            bytes,
            ..good.clone()
        });
    }
    assert_eq!(picture(&pair, B), before);
    assert!(pair.hosts[B].endpoint.discards().get(Discard::Malformed) > 1_000);
}

#[test]
fn every_message_again_and_from_elsewhere_changes_nothing() {
    let mut pair = Setup::default().pair();
    pair.acquire(A);
    pair.run(millis(100));
    let (child, ike) = (pair.child(A), pair.ike(B));
    pair.command(A, ike::Command::RekeyChild(child));
    pair.run(millis(100));
    pair.command(B, ike::Command::RekeyIke(ike));
    pair.run(secs(20));
    let log: Vec<Packet> = pair.log.iter().map(|(_, packet)| packet.clone()).collect();
    pair.filter = Box::new(|_| Verdict::Drop);
    for packet in log {
        let (before, victim) = (picture(&pair, 1 - packet.from), 1 - packet.from);
        let half_open = pair.hosts[victim].endpoint.half_open();
        pair.deliver(&packet);
        let back = Packet {
            transport: policy::sa::Transport::Udp,
            from: victim,
            local: packet.remote,
            remote: packet.local,
            bytes: packet.bytes.clone(),
        };
        pair.deliver(&back);
        // An old first request is like a new one: half-open and nothing more.
        if pair.hosts[victim].endpoint.half_open() == half_open {
            assert_eq!(picture(&pair, victim), before);
        }
    }
    pair.agree(1);
}

#[test]
fn too_many_half_open_responders_of_one_source_and_of_all() {
    let mut setup = Setup::default();
    setup.config = |config| {
        config.half_open = 20;
        config.half_open_per_source = 10;
        config.cookies = ike::Cookies::From(usize::MAX);
        let peers = config.pad.peers().iter().cloned().map(|mut peer| {
            peer.addresses.clear();
            peer
        });
        config.pad = std::sync::Arc::new(policy::pad::Pad::new(peers.collect()));
    };
    let mut pair = setup.pair();
    pair.filter = Box::new(|_| Verdict::Drop);
    let first = |pair: &mut Pair, source: &str, seed: u64| {
        let mut other = Setup {
            seed,
            ..Setup::default()
        }
        .pair();
        other.acquire(A);
        let local = source.parse().unwrap();
        pair.deliver(&Packet {
            local,
            ..other.log[0].1.clone()
        });
    };
    for seed in 0..15 {
        first(&mut pair, &format!("198.51.100.{seed}:500"), seed);
    }
    assert_eq!(pair.hosts[B].endpoint.half_open(), 10);
    assert_eq!(
        pair.hosts[B]
            .endpoint
            .discards()
            .get(Discard::HalfOpenLimit),
        5
    );
    for seed in 0..30u64 {
        first(
            &mut pair,
            &format!("198.51.{}.1:500", 101 + seed),
            100 + seed,
        );
    }
    assert_eq!(pair.hosts[B].endpoint.half_open(), 20);
    // The oldest gave way: the first source may come again.
    first(&mut pair, "198.51.100.1:500", 500);
    assert_eq!(
        pair.hosts[B]
            .endpoint
            .discards()
            .get(Discard::HalfOpenLimit),
        5
    );
}

#[test]
fn forged_first_messages_do_not_keep_the_hosts_of_a_subnet_out() {
    let mut setup = Setup::default();
    setup.config = |config| {
        config.half_open_per_source = 10;
        config.cookies = ike::Cookies::From(usize::MAX);
    };
    let mut pair = setup.pair();
    pair.filter = Box::new(|_| Verdict::Drop);
    for seed in 0..50 {
        let mut other = Setup {
            seed: 100 + seed,
            ..Setup::default()
        }
        .pair();
        other.acquire(A);
        pair.deliver(&other.log[0].1.clone());
    }
    assert_eq!(pair.hosts[B].endpoint.half_open(), 10);
    assert_eq!(
        pair.hosts[B]
            .endpoint
            .discards()
            .get(Discard::HalfOpenLimit),
        40
    );
    pair.filter = Box::new(|_| Verdict::Pass);
    pair.acquire(A);
    pair.run(millis(200));
    pair.agree(1);
    assert_eq!(pair.hosts[B].endpoint.half_open(), 9);
}

#[test]
fn an_unknown_critical_payload_in_the_first_message_is_refused_without_state() {
    let mut pair = Setup::default().pair();
    pair.filter = Box::new(|packet| {
        if packet.from != A {
            return Verdict::Pass;
        }
        let decoded = wire::ike::decode(&packet.bytes).unwrap();
        let mut payloads = decoded.payloads.clone();
        let kind = wire::ike::PayloadType(200);
        let unknown = wire::ike::Unknown {
            kind,
            critical: true,
            body: vec![],
        };
        payloads.push(wire::ike::Payload::Unknown(unknown));
        Verdict::Replace(wire::ike::encode(&decoded.header, &payloads).unwrap())
    });
    pair.acquire(A);
    pair.run(millis(10));
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
    let refused = |event: &Event| {
        let Event::HandshakeDoubtful { notify, .. } = event else {
            return false;
        };
        *notify == wire::ike::NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD
    };
    assert!(pair.event(A, refused).is_some());
    let told = |event: &Event| {
        let Event::HandshakeFailed {
            error: Error::Misbehaved(why),
            ..
        } = event
        else {
            return false;
        };
        matches!(why, Misbehaved::CriticalPayload(_))
    };
    assert!(pair.event(B, told).is_some());
}
