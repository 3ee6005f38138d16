//! Main mode: six messages, both roles, losses, keys that differ, rekeying.

use crate::harness::*;
use crate::v1::{exchanges, version_1};
use ike::{Command, Discard, Error, Event, Incompatible, NotAuthentic, Reason, Role};
use policy::identity::Identity;
use policy::sa::Encapsulation;
use policy::timers::{IkeLifetime, Retransmission};
use policy::version::{IkeVersion, Legacy};
use wire::isakmp::vendor::Vendor;
use wire::isakmp::{Payload, decode_header, decode_payloads, encode};

#[test]
fn a_pair_comes_up_in_nine_messages() {
    let mut pair = version_1().pair();
    pair.acquire(A);
    pair.run(millis(100));
    pair.agree(1);
    assert_eq!(exchanges(&pair, A), [2, 2, 2, 32, 32]);
    assert_eq!(exchanges(&pair, B), [2, 2, 2, 32]);
    let spec = pair.spec(A);
    assert_eq!(spec.encapsulation, Encapsulation::None);
    assert_eq!(spec.selectors.remote[0].ports.start, 110);
    assert!(!spec.esn);
    let established = |event: &Event| {
        matches!(
            event,
            Event::IkeEstablished {
                role: Role::Responder,
                ..
            }
        )
    };
    assert!(pair.event(B, established).is_some());
}

#[test]
fn everything_but_the_first_pair_of_messages_is_encrypted_after_the_keys() {
    let mut pair = version_1().pair();
    pair.acquire(A);
    pair.run(millis(100));
    let encrypted: Vec<bool> = pair
        .log
        .iter()
        .map(|(_, one)| one.bytes[19] & 1 != 0)
        .collect();
    assert_eq!(
        encrypted,
        [false, false, false, false, true, true, true, true, true]
    );
}

#[test]
fn any_message_may_be_lost_once() {
    for lost in 0..9 {
        let mut pair = version_1().pair();
        let mut sent = 0;
        pair.filter = Box::new(move |_| {
            sent += 1;
            match sent == lost + 1 {
                true => Verdict::Drop,
                false => Verdict::Pass,
            }
        });
        pair.acquire(A);
        pair.run(secs(3));
        pair.agree(1);
        assert_eq!(pair.ikes(A).len(), 1, "message {lost}\n{}", pair.story());
        assert_eq!(pair.ikes(B).len(), 1, "message {lost}");
    }
}

#[test]
fn a_responder_repeats_its_answer_and_does_nothing_twice() {
    let mut pair = version_1().pair();
    pair.acquire(A);
    pair.run(millis(100));
    let all: Vec<Packet> = pair.log.iter().map(|(_, one)| one.clone()).collect();
    let before = pair.ikes(B);
    for packet in &all {
        pair.deliver(packet);
    }
    pair.run(millis(100));
    pair.agree(1);
    assert_eq!(pair.ikes(B).len(), before.len());
}

#[test]
fn keys_that_differ_are_told_on_both_sides() {
    let mut setup = version_1();
    setup.psk[B] = b"another key of more than one hundred and twenty-eight bits".to_vec();
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(secs(60));
    assert!(pair.ikes(A).is_empty() && pair.ikes(B).is_empty());
    let failed = |event: &Event| matches!(event, Event::HandshakeFailed { .. });
    let said = pair.event(A, failed).unwrap().to_string();
    assert!(said.contains("PAYLOAD_MALFORMED"), "{said}");
    let said = pair.event(B, failed).unwrap().to_string();
    assert!(said.contains("pre-shared keys differ"), "{said}");
    let acquire = |event: &Event| matches!(event, Event::AcquireFailed { .. });
    assert!(pair.event(A, acquire).is_some());
}

#[test]
fn an_identity_that_is_not_expected_is_refused() {
    let mut setup = version_1();
    setup.expected[B] = Identity::Fqdn("mail.example".into());
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(secs(20));
    let unknown = |event: &Event| {
        let unknown =
            |error: &Error| matches!(error, Error::NotAuthentic(NotAuthentic::Unknown(_)));
        matches!(event, Event::HandshakeFailed { error, .. } if unknown(error))
    };
    assert!(pair.event(B, unknown).is_some(), "{}", pair.story());
    let mut setup = version_1();
    setup.expected[A] = Identity::Fqdn("mail.example".into());
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(secs(20));
    let wrong = |event: &Event| {
        let wrong =
            |error: &Error| matches!(error, Error::NotAuthentic(NotAuthentic::Identity { .. }));
        matches!(event, Event::HandshakeFailed { error, .. } if wrong(error))
    };
    assert!(pair.event(A, wrong).is_some());
}

#[test]
fn algorithms_without_anything_in_common_are_shown_on_both_sides() {
    let mut setup = version_1();
    setup.ike[A]
        .proposals
        .retain(|one| !one.integrity.is_empty());
    for one in &mut setup.ike[A].proposals {
        one.groups = vec![crypto::Group::Modp2048];
    }
    for one in &mut setup.ike[B].proposals {
        one.groups = vec![crypto::Group::Modp3072];
    }
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(secs(20));
    let offers = |event: &Event| {
        let offer =
            |error: &Error| matches!(error, Error::Incompatible(Incompatible::Offer { .. }));
        matches!(event, Event::HandshakeFailed { error, .. } if offer(error))
    };
    let said = pair.event(B, offers).unwrap().to_string();
    assert!(
        said.contains("modp3072") && said.contains("MODP_2048"),
        "{said}"
    );
    let failed = |event: &Event| matches!(event, Event::HandshakeFailed { .. });
    let said = pair.event(A, failed).unwrap().to_string();
    assert!(said.contains("NO_PROPOSAL_CHOSEN"), "{said}");
}

#[test]
fn a_peer_of_the_other_version_is_refused_and_nothing_is_kept() {
    let mut setup = version_1();
    setup.ike[B].version = IkeVersion::V2;
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(secs(1));
    assert!(pair.hosts[B].endpoint.discards().get(Discard::WrongVersion) > 0);
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
    let mut setup = version_1();
    setup.ike[A].version = IkeVersion::V2;
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(secs(1));
    assert!(pair.hosts[B].endpoint.discards().get(Discard::WrongVersion) > 0);
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
}

#[test]
fn each_sa_with_algorithms_that_can_be_broken_is_warned_of_once() {
    let warned = |pair: &Pair, host: usize| {
        let events = pair.hosts[host].events.iter();
        let legacy = events.filter_map(|(_, event)| match event {
            Event::LegacyAlgorithms { child, .. } => Some((child.is_some(), event.to_string())),
            _ => None,
        });
        legacy.collect::<Vec<_>>()
    };
    let mut pair = version_1().pair();
    pair.acquire(A);
    pair.run(millis(100));
    assert_eq!(warned(&pair, A), []);
    let mut setup = version_1();
    for side in [A, B] {
        setup.ike[side].legacy = Some(Legacy::Windows2003);
        setup.ike[side].proposals =
            policy::version::default_ike(IkeVersion::V1, Some(Legacy::Windows2003));
        setup.child[side].proposals =
            policy::version::default_esp(IkeVersion::V1, Some(Legacy::Windows2003));
    }
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(millis(100));
    pair.agree(1);
    for host in [A, B] {
        let told = warned(&pair, host);
        let of_pair: Vec<bool> = told.iter().map(|(child, _)| *child).collect();
        assert_eq!(of_pair, [false, true], "{}", pair.story());
        assert!(told.iter().all(|(_, text)| text.contains("can be broken")));
    }
}

#[test]
fn nobody_answers_and_the_ladder_ends_it() {
    let mut setup = version_1();
    setup.ike[A].retransmission = Retransmission::kb821839();
    let mut pair = setup.pair();
    pair.filter = Box::new(|_| Verdict::Drop);
    pair.acquire(A);
    pair.run(secs(70));
    let at: Vec<u64> = pair.log.iter().map(|(at, _)| at.as_secs()).collect();
    assert_eq!(at, [0, 1, 3, 7, 15, 31]);
    let failed = |event: &Event| matches!(event, Event::AcquireFailed { .. });
    assert_eq!(pair.when(A, failed), Some(secs(63)));
}

#[test]
fn a_responder_of_the_old_kind_sends_again_by_itself() {
    let mut setup = version_1();
    for side in [A, B] {
        setup.ike[side].legacy = Some(Legacy::Windows2003);
    }
    let mut pair = setup.pair();
    let mut first = true;
    pair.filter = Box::new(move |packet| match packet.from {
        A if std::mem::take(&mut first) => Verdict::Pass,
        _ => Verdict::Drop,
    });
    pair.acquire(A);
    pair.run(secs(70));
    let from_b = pair.log.iter().filter(|(_, packet)| packet.from == B);
    let at: Vec<u64> = from_b.map(|(at, _)| at.as_secs()).collect();
    assert_eq!(at, [0, 1, 3, 7, 15, 31, 63]);
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
}

#[test]
fn an_isakmp_sa_is_replaced_before_its_life_is_over_and_keeps_its_pair() {
    let mut pair = version_1().pair();
    pair.establish();
    let (first, child) = (pair.ike(A), pair.child(A));
    pair.run(secs(4 * 3600));
    pair.agree_on_pairs();
    let rekeyed = |event: &Event| matches!(event, Event::IkeRekeyed { .. });
    assert!(pair.event(A, rekeyed).is_some() || pair.event(B, rekeyed).is_some());
    pair.run(secs(60));
    assert_ne!(pair.ike(A), first);
    assert_eq!(pair.ikes(B).len(), 1, "{:#?}", pair.ikes(B));
    let _ = child;
}

#[test]
fn the_host_may_ask_for_another_main_mode() {
    let mut pair = version_1().pair();
    pair.establish();
    let (first, child) = (pair.ike(B), pair.child(B));
    pair.command(B, Command::RekeyIke(first));
    pair.run(secs(10));
    pair.agree(1);
    assert_eq!(pair.child(B), child);
    assert_ne!(pair.ike(B), first);
    // What comes next goes under the new one, whoever begins.
    for host in [A, B] {
        let child = pair.child(host);
        pair.command(host, Command::RekeyChild(child));
        pair.run(secs(70));
        pair.agree(1);
    }
}

#[test]
fn behind_a_nat_esp_goes_in_udp_from_port_4500() {
    let mut pair = version_1().pair();
    pair.nat = Some((ip("192.0.2.9"), 10_000));
    // B must know the address that it sees.
    let mut setup = version_1();
    setup.expected[B] = Identity::Any;
    pair = {
        let mut fresh = setup.pair();
        fresh.nat = Some((ip("10.0.0.1"), 10_000));
        std::mem::swap(&mut fresh, &mut pair);
        drop(fresh);
        pair
    };
    pair.acquire(A);
    pair.run(millis(100));
    pair.agree(1);
    let udp = |host: usize| match pair.spec(host).encapsulation {
        Encapsulation::Udp {
            local_port,
            remote_port,
        } => (local_port, remote_port),
        _ => (0, 0),
    };
    assert_eq!(udp(A), (4500, 4500));
    assert_eq!(udp(B), (4500, 14_500));
}

#[test]
fn a_peer_that_begins_anew_ends_what_was_there() {
    let setup = version_1();
    let mut pair = setup.pair();
    pair.establish();
    let fresh = Setup {
        seed: 77,
        ..version_1()
    };
    pair.crash(A, &fresh);
    pair.acquire(A);
    pair.run(secs(1));
    pair.agree(1);
    let contact = |event: &Event| {
        matches!(
            event,
            Event::IkeClosed {
                reason: Reason::InitialContact,
                ..
            }
        )
    };
    assert!(pair.event(B, contact).is_some(), "{}", pair.story());
}

#[test]
fn large_messages_come_in_parts_in_any_order_and_once() {
    let mut setup = version_1();
    setup.ids = [
        Identity::Fqdn(format!("{}.example", "a".repeat(240))),
        Identity::Fqdn(format!("{}.example", "b".repeat(240))),
    ];
    setup.expected = [setup.ids[1].clone(), setup.ids[0].clone()];
    setup.ike.iter_mut().for_each(in_fragments);
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(millis(100));
    pair.agree(1);
    let parts = |host| {
        let of =
            |one: &&(std::time::Duration, Packet)| one.1.from == host && one.1.bytes[16] == 132;
        pair.log.iter().filter(of).count()
    };
    assert!(parts(A) > 2 && parts(B) > 2, "{} {}", parts(A), parts(B));
    let encrypted = |one: &Packet| one.bytes[19] & 1 != 0 && one.exchange() == 2;
    assert!(pair.log.iter().all(|(_, one)| !encrypted(one)));
    // Each part may be lost, and all may change places.
    for seed in 0..20 {
        setup.seed = seed;
        let mut pair = setup.pair();
        pair.chaos = Some(Chaos {
            random: crypto::SeededRandom::new(seed),
            loss: 30,
            duplicate: 30,
            jitter: millis(5),
        });
        pair.acquire(A);
        pair.run(secs(10));
        pair.chaos = None;
        pair.run(secs(80));
        assert!(
            !pair.ikes(A).is_empty() || pair.hosts[A].sad.is_empty(),
            "{}",
            pair.story()
        );
        assert_eq!(pair.hosts[A].sad.is_empty(), pair.hosts[B].sad.is_empty());
    }
}

#[test]
fn parts_that_are_none_are_bounded_and_change_nothing() {
    let mut pair = version_1().pair();
    pair.establish();
    let ike = pair.ike(A);
    pair.command(A, Command::CheckLiveness(ike));
    pair.run(millis(10));
    let mut part = pair.log[0].1.clone();
    part.bytes.truncate(28);
    part.bytes[16] = 132;
    part.bytes[18] = 2;
    part.bytes[19] = 0;
    part.bytes[20..24].fill(0);
    part.bytes.extend([0, 0, 0, 8, 0, 1, 1, 0]);
    for (id, number) in (0..500_u16).flat_map(|id| [(id, 1), (id, 2), (9, 64), (9, 65)]) {
        let mut one = part.clone();
        one.bytes[32..34].copy_from_slice(&id.to_be_bytes());
        one.bytes[34] = number;
        one.bytes.extend(vec![7; 1200]);
        let length = one.bytes.len() as u32;
        one.bytes[24..28].copy_from_slice(&length.to_be_bytes());
        one.bytes[30..32].copy_from_slice(&(length as u16 - 28).to_be_bytes());
        pair.deliver(&one);
    }
    pair.run(secs(1));
    pair.agree(1);
    assert_eq!(pair.ike(A), ike);
    assert!(pair.hosts[B].endpoint.discards().get(Discard::Malformed) > 0);
}

#[test]
fn an_isakmp_sa_that_others_have_taken_over_is_not_renewed() {
    let mut setup = version_1();
    for side in [A, B] {
        setup.ike[side].lifetime = IkeLifetime::of(secs(20));
    }
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.acquire(B);
    pair.run(secs(100));
    pair.agree_on_pairs();
    let established = |event: &Event| matches!(event, Event::IkeEstablished { .. });
    let told = pair.hosts[A].events.iter();
    let count = told.filter(|(_, event)| established(event)).count();
    // Both began at once, and from then on there is one after 18 to 20 s.
    assert!((6..=8).contains(&count), "{count}");
}

/// Anybody can add a vendor ID to the first message, and Windows says this one when all it has lost
/// is its main mode. The pairs are made anew, and none is missed meanwhile.
#[test]
fn vid_initial_contact_is_a_hint_and_is_shown() {
    let mut pair = version_1().pair();
    pair.establish();
    let (ike, children) = (pair.ike(A), [pair.child(A), pair.child(B)]);
    pair.filter = Box::new(|packet| match decode_header(&packet.bytes) {
        Ok((header, body)) if header.responder_cookie == 0 => {
            let chain = decode_payloads(header.next_payload, body, false).unwrap();
            let contact = [Payload::VendorId(Vendor::InitialContact.octets())];
            let payloads = chain.payloads.into_iter().map(|one| one.payload);
            let payloads: Vec<Payload> = payloads.chain(contact).collect();
            Verdict::Replace(encode(&header, &payloads).unwrap())
        }
        _ => Verdict::Pass,
    });
    pair.command(A, Command::RekeyIke(ike));
    pair.run(millis(100));
    assert!(!pair.hosts[A].sad.is_empty() && !pair.hosts[B].sad.is_empty());
    pair.run(secs(30));
    pair.agree(1);
    assert!(pair.child(A) != children[0] && pair.child(B) != children[1]);
    let closed = |event: &Event| match event {
        Event::ChildClosed { reason, .. } => *reason != Reason::Rekeyed,
        _ => false,
    };
    assert_eq!(pair.event(B, closed), None);
    let of = |host: usize| pair.ikes(host).remove(0).extensions;
    assert!(of(B).contains(&"initial_contact"));
    assert!(!of(A).contains(&"initial_contact"));
}

#[test]
fn a_cluster_says_so_and_who_only_assumes_it_is_told_apart() {
    let shown = |advertise: bool, assume: bool| {
        let mut setup = version_1();
        setup.ike[B].advertise_fast_failover = advertise;
        setup.ike[A].assume_fast_failover = assume;
        setup.child[A].idle = Some(secs(300));
        let mut pair = setup.pair();
        let (address, active) = (ip(ADDRESSES[B]), true);
        pair.command(B, Command::SetActive { address, active });
        pair.establish();
        let extensions = pair.ikes(A).remove(0).extensions;
        let idle = |event: &Event| matches!(event, Event::ChildClosed { reason, .. } if *reason == Reason::Idle);
        let from = pair.elapsed();
        pair.run(secs(301));
        let after = pair.when(A, idle).map(|at| (at - from).as_secs());
        let words = ["fast_failover", "fast_failover_assumed"];
        (words.map(|word| extensions.contains(&word)), after)
    };
    // The pair is a second old when the clock is read.
    assert_eq!(shown(false, false), ([false, false], Some(299)));
    assert_eq!(shown(true, false), ([true, false], Some(59)));
    assert_eq!(shown(false, true), ([false, true], Some(59)));
    assert_eq!(shown(true, true), ([true, false], Some(59)));
}
