//! Both sides want something at once (RFC 7296 sections 2.8 and 2.25): every cell of the table on
//! the wire, in every order in which the two requests can meet.

use crate::harness::*;
use ike::{Command, Event, Reason};
use policy::range::PortRange;

/// What a side wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Create,
    RekeyChild,
    DeleteChild,
    RekeyIke,
    DeleteIke,
    Liveness,
}

const WISHES: [Wish; 6] = [
    Wish::Create,
    Wish::RekeyChild,
    Wish::DeleteChild,
    Wish::RekeyIke,
    Wish::DeleteIke,
    Wish::Liveness,
];

fn wish(pair: &mut Pair, host: usize, wish: Wish, ports: u16) {
    let child = *pair.hosts[host].sad.keys().next_back().unwrap();
    let ike = pair.ikes(host)[0].ike;
    let command = match wish {
        Wish::Create => {
            let mut wanted = pair.acquire_of(host);
            wanted.flow = None;
            wanted.rule = "another".into();
            let side = if host == A {
                &mut wanted.selectors.remote
            } else {
                &mut wanted.selectors.local
            };
            side[0].ports = PortRange::single(ports);
            pair.allow(host, &setup(0), &wanted);
            Command::Acquire(Box::new(wanted))
        }
        Wish::RekeyChild => Command::RekeyChild(child),
        Wish::DeleteChild => Command::DeleteChild(child),
        Wish::RekeyIke => Command::RekeyIke(ike),
        Wish::DeleteIke => Command::DeleteIke(ike),
        Wish::Liveness => Command::CheckLiveness(ike),
    };
    pair.command(host, command);
}

fn setup(seed: u64) -> Setup {
    let mut setup = Setup {
        seed,
        ..Setup::default()
    };
    setup.ports = [PortRange::new(100, 200).unwrap(); 2];
    setup
}

/// Both wish; B so many quarters of a millisecond after A. A round trip takes two milliseconds.
fn meet(ours: Wish, theirs: Wish, quarters: u32, seed: u64) -> Option<Pair> {
    let mut pair = setup(seed).pair();
    pair.establish();
    wish(&mut pair, A, ours, 120);
    pair.run(millis(1) / 4 * quarters);
    if pair.hosts[B].sad.is_empty() || pair.ikes(B).is_empty() {
        return None;
    }
    wish(&mut pair, B, theirs, 130);
    pair.run(secs(30));
    Some(pair)
}

/// Whatever meets, both ends hold the same in the end, it sends, and it can be rekeyed.
#[test]
fn every_pair_of_wishes_in_every_order_ends_well() {
    for ours in WISHES {
        for theirs in WISHES {
            for quarters in 0..=10 {
                for seed in 0..1 {
                    let Some(mut pair) = meet(ours, theirs, quarters, seed) else {
                        continue;
                    };
                    let what = format!("{ours:?} meets {theirs:?} after {quarters}, seed {seed}");
                    println!("{what}");
                    let closed = [ours, theirs].contains(&Wish::DeleteIke);
                    let created = [ours, theirs]
                        .iter()
                        .filter(|one| **one == Wish::Create)
                        .count();
                    let deleted = [ours, theirs].contains(&Wish::DeleteChild);
                    if !closed {
                        pair.agree(1 + created - usize::from(deleted));
                        assert_eq!(pair.ikes(A).len(), 1, "{what}");
                    } else {
                        // What is created may begin anew on a fresh IKE SA.
                        let count = pair.hosts[A].sad.len();
                        assert!(count <= created, "{what}");
                        pair.agree(count);
                        assert!(pair.ikes(A).len() <= created, "{what}");
                    }
                    assert_eq!(pair.ikes(A).len(), pair.ikes(B).len(), "{what}");
                    rekey_all(&mut pair);
                }
            }
        }
    }
}

/// A leftover of a collision would show now: everything that is there can be rekeyed and deleted.
fn rekey_all(pair: &mut Pair) {
    let count = pair.hosts[A].sad.len();
    let children: Vec<_> = pair.hosts[A].sad.keys().copied().collect();
    for child in children {
        pair.command(A, Command::RekeyChild(child));
        pair.run(millis(20));
    }
    pair.agree(count);
    for host in [A, B] {
        for ike in pair.ikes(host) {
            pair.command(host, Command::RekeyIke(ike.ike));
            pair.run(millis(20));
        }
    }
    pair.agree(count);
    for ike in pair.ikes(B) {
        pair.command(B, Command::DeleteIke(ike.ike));
    }
    pair.run(secs(30));
    pair.agree(0);
    for host in [A, B] {
        let left = pair.hosts[host].endpoint.status(pair.now);
        assert!(left.is_empty(), "{left:#?}");
    }
}

fn closed_as(pair: &Pair, host: usize, reason: &Reason) -> usize {
    let fits = |event: &Event| match event {
        Event::ChildClosed { reason: why, .. } | Event::IkeClosed { reason: why, .. } => {
            why == reason
        }
        _ => false,
    };
    pair.hosts[host]
        .events
        .iter()
        .filter(|(_, event)| fits(event))
        .count()
}

#[test]
fn children_rekeyed_by_both_the_lowest_nonce_loses() {
    let (mut by_a, mut by_b) = (0, 0);
    for seed in 0..20 {
        let pair = meet(Wish::RekeyChild, Wish::RekeyChild, 0, seed).unwrap();
        pair.agree(1);
        // Two were made, one is redundant, and the old one is gone.
        for host in [A, B] {
            let made = |event: &Event| matches!(event, Event::ChildEstablished { .. });
            let made = pair.hosts[host]
                .events
                .iter()
                .filter(|(_, event)| made(event))
                .count();
            assert_eq!(made, 2, "seed {seed}");
        }
        // Who made the redundant one deletes it: two Deletes in all, and one from each side.
        let deletes = |host: usize| {
            let one = |packet: &Packet| {
                packet.from == host && packet.exchange() == 37 && !packet.is_response()
            };
            pair.log.iter().filter(|(_, packet)| one(packet)).count()
        };
        assert_eq!((deletes(A), deletes(B)), (1, 1), "seed {seed}");
        // The survivor is the one that its maker installed as usable at once.
        let [a, b] = [A, B].map(|host| pair.child(host));
        if a < b {
            by_a += 1
        } else {
            by_b += 1
        }
        let _ = (a, b);
    }
    // Nonces are random: either side wins at times. The count is of orders of installation.
    assert_eq!(by_a + by_b, 20);
}

#[test]
fn ike_sas_rekeyed_by_both_the_children_follow_the_winner() {
    for seed in 0..20 {
        let pair = meet(Wish::RekeyIke, Wish::RekeyIke, 0, seed).unwrap();
        pair.agree(1);
        assert_eq!(
            closed_as(&pair, A, &Reason::Redundant) + closed_as(&pair, B, &Reason::Redundant),
            1 + closed_as(&pair, A, &Reason::Redundant).min(closed_as(
                &pair,
                B,
                &Reason::Redundant
            ))
        );
        for host in [A, B] {
            assert_eq!(pair.ikes(host)[0].children.len(), 1, "seed {seed}");
        }
    }
}

#[test]
fn a_peer_that_does_not_notice_the_collision_is_told_to_wait() {
    // B's request is held back until A, which did not see it, has rekeyed and sends the Delete.
    for (ours, exchange) in [(Wish::RekeyChild, 36), (Wish::RekeyIke, 36)] {
        let mut pair = setup(5).pair();
        pair.establish();
        let mut held = true;
        pair.filter = Box::new(move |packet| {
            let hold = packet.from == B && packet.exchange() == exchange && !packet.is_response();
            if hold && held {
                held = false;
                return Verdict::Drop;
            }
            Verdict::Pass
        });
        wish(&mut pair, B, ours, 0);
        wish(&mut pair, A, ours, 0);
        pair.run(secs(30));
        pair.agree(1);
        assert_eq!((pair.ikes(A).len(), pair.ikes(B).len()), (1, 1));
        rekey_all(&mut pair);
    }
}

#[test]
fn both_sides_begin_at_once_and_both_ike_sas_agree() {
    for seed in 0..20 {
        for quarters in 0..20 {
            let mut pair = setup(seed).pair();
            pair.acquire(A);
            pair.run(millis(1) / 4 * quarters);
            pair.acquire(B);
            pair.run(secs(20));
            let count = pair.hosts[A].sad.len();
            assert!((1..=2).contains(&count));
            pair.agree(count);
            assert_eq!(pair.ikes(A).len(), pair.ikes(B).len());
        }
    }
}

#[test]
fn a_child_that_the_peer_does_not_know_is_made_anew() {
    let mut pair = setup(3).pair();
    pair.establish();
    let mut first = true;
    pair.filter = Box::new(move |packet| {
        let drop = packet.from == B && packet.exchange() == 37 && std::mem::take(&mut first);
        if drop { Verdict::Drop } else { Verdict::Pass }
    });
    let child = pair.child(B);
    // B deletes the child and the Delete is late: A's rekey meets it.
    pair.command(B, Command::DeleteChild(child));
    pair.run(millis(10));
    let child = pair.child(A);
    pair.command(A, Command::RekeyChild(child));
    pair.run(secs(30));
    pair.agree_on_pairs();
}
