//! Deletes, their ladder, R-U-THERE, hints, and the end of an address.

use crate::harness::*;
use crate::v1::{exchanges, sends_on_the_new_one, version_1};
use ike::{Command, Discard, Event, Reason, Usage};
use policy::timers::{Retransmission, Timers};
use policy::version::Legacy;

fn silent(pair: &mut Pair, host: usize) {
    let child = pair.child(host);
    let usage = Usage {
        inbound_packets: 1,
        outbound_packets: 10,
        last_outbound: Some(pair.now),
        ..Usage::default()
    };
    pair.command(host, Command::ChildUsage { child, usage });
}

#[test]
fn a_pair_is_deleted_on_both_sides_and_the_delete_is_acknowledged() {
    for host in [A, B] {
        let mut pair = version_1().pair();
        pair.establish();
        let child = pair.child(host);
        pair.command(host, Command::DeleteChild(child));
        pair.run(millis(10));
        pair.agree(0);
        assert_eq!((pair.ikes(A).len(), pair.ikes(B).len()), (1, 1));
        assert_eq!(
            (exchanges(&pair, A).len(), exchanges(&pair, B).len()),
            (1, 1)
        );
        let by_peer = |event: &Event| {
            matches!(
                event,
                Event::ChildClosed {
                    reason: Reason::ByPeer,
                    ..
                }
            )
        };
        assert!(pair.event(1 - host, by_peer).is_some());
    }
}

#[test]
fn an_isakmp_sa_is_deleted_with_its_pairs() {
    let mut pair = version_1().pair();
    pair.establish();
    let ike = pair.ike(A);
    pair.command(A, Command::DeleteIke(ike));
    pair.run(millis(50));
    pair.agree(0);
    assert!(pair.ikes(A).is_empty() && pair.ikes(B).is_empty());
    assert!(pair.hosts[A].endpoint.status(pair.now).is_empty());
    assert!(pair.hosts[B].endpoint.status(pair.now).is_empty());
}

#[test]
fn pairs_of_an_isakmp_sa_that_is_gone_are_not_believed_in_for_long() {
    let mut pair = version_1().pair();
    pair.establish();
    let (ike, child) = (pair.ike(B), pair.child(A));
    // A hears of the end of the ISAKMP SA, and not of the end of its pair.
    let mut lost = None;
    pair.filter = Box::new(move |packet| {
        let id = packet.bytes[20..24].to_vec();
        let of_pair = packet.from == B && *lost.get_or_insert(id.clone()) == id;
        if of_pair {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    });
    pair.command(B, Command::DeleteIke(ike));
    pair.run(secs(1));
    assert!(pair.hosts[B].sad.is_empty());
    assert!(pair.hosts[A].sad.contains_key(&child), "{}", pair.story());
    pair.run(secs(60));
    assert!(pair.hosts[A].sad.contains_key(&child), "{}", pair.story());
    pair.filter = Box::new(|_| Verdict::Pass);
    silent(&mut pair, A);
    pair.run(secs(15));
    pair.agree(1);
    assert_ne!(pair.child(A), child);
}

#[test]
fn ms_ikee_deletes_are_repeated_after_1_2_4_8_16_and_16_s() {
    let mut setup = version_1();
    for side in [A, B] {
        setup.ike[side].legacy = Some(Legacy::Windows2003);
        setup.ike[side].liveness = None;
    }
    let mut pair = setup.pair();
    pair.establish();
    let ike = pair.ike(A);
    pair.filter = Box::new(|_| Verdict::Drop);
    let child = pair.child(A);
    pair.command(A, Command::DeleteChild(child));
    let began = pair.elapsed();
    pair.run(secs(59));
    let first = pair.log.first().unwrap().1.bytes.clone();
    let same = pair.log.iter().filter(|(_, one)| one.bytes == first);
    let at: Vec<u64> = same.map(|(at, _)| (*at - began).as_secs()).collect();
    assert_eq!(at, [0, 1, 3, 7, 15, 31, 47]);
    // What nobody acknowledges ends nothing else.
    assert_eq!(pair.ike(A), ike);
    assert!(pair.hosts[A].sad.is_empty());
}

#[test]
fn a_lost_acknowledgement_is_given_again() {
    let mut pair = version_1().pair();
    pair.establish();
    let mut lost = false;
    pair.filter = Box::new(move |packet| match packet.from == B && !lost {
        true => {
            lost = true;
            Verdict::Drop
        }
        false => Verdict::Pass,
    });
    let child = pair.child(A);
    pair.command(A, Command::DeleteChild(child));
    pair.run(secs(1));
    assert_eq!(exchanges(&pair, A).len(), 2);
    assert_eq!(exchanges(&pair, B).len(), 2);
}

#[test]
fn the_peer_answers_r_u_there() {
    let mut pair = version_1().pair();
    pair.establish();
    let ike = pair.ike(A);
    for _ in 0..3 {
        pair.command(A, Command::CheckLiveness(ike));
        pair.run(secs(1));
    }
    assert_eq!((pair.sent(A), pair.sent(B)), (3, 3));
    pair.agree(1);
    // What was asked before is not answered again.
    let asked = pair
        .log
        .iter()
        .find(|(_, one)| one.from == A)
        .unwrap()
        .1
        .clone();
    pair.deliver(&asked);
    pair.run(secs(1));
    assert_eq!(pair.sent(B), 3);
    assert!(pair.hosts[B].endpoint.discards().get(Discard::MessageId) > 0);
}

#[test]
fn one_way_silence_makes_it_ask_and_begin_anew_at_once() {
    let mut pair = version_1().pair();
    pair.establish();
    // B has lost everything, and is there.
    pair.crash(
        B,
        &Setup {
            seed: 5,
            ..version_1()
        },
    );
    silent(&mut pair, A);
    let from = pair.elapsed();
    pair.run(millis(2_200));
    // Nothing is sent on a pair that the peer may not have.
    assert!(sends_on_the_new_one(&pair, A), "{}", pair.story());
    pair.run(secs(8));
    pair.agree(1);
    let asked = |event: &Event| matches!(event, Event::LivenessCheck { .. });
    assert_eq!(pair.when(A, asked).map(|at| at - from), Some(secs(2)));
    let again = |event: &Event| matches!(event, Event::IkeEstablished { .. });
    let again = pair.when(A, again).unwrap() - from;
    assert!(again < millis(2_200), "{again:?}\n{}", pair.story());
}

#[test]
fn a_peer_that_is_gone_is_found_out() {
    let mut pair = version_1().pair();
    pair.establish();
    pair.filter = Box::new(|_| Verdict::Drop);
    silent(&mut pair, A);
    pair.run(secs(20));
    assert!(pair.hosts[A].sad.is_empty(), "{}", pair.story());
    let failed = |event: &Event| matches!(event, Event::AcquireFailed { .. });
    assert!(pair.event(A, failed).is_some());
}

#[test]
fn who_does_not_know_our_cookies_says_so_and_is_not_believed() {
    let mut pair = version_1().pair();
    pair.establish();
    let child = pair.child(A);
    pair.crash(
        B,
        &Setup {
            seed: 5,
            ..version_1()
        },
    );
    pair.command(A, Command::RekeyChild(child));
    let from = pair.elapsed();
    pair.run(secs(10));
    pair.agree(1);
    let again = |event: &Event| matches!(event, Event::IkeEstablished { .. });
    assert!(
        pair.when(A, again).unwrap() - from < millis(300),
        "{}",
        pair.story()
    );
    // Said by somebody else it makes us ask, and nothing more.
    let mut pair = version_1().pair();
    pair.establish();
    let ike = pair.ike(A);
    pair.command(A, Command::CheckLiveness(ike));
    pair.run(millis(10));
    let mut forged = pair.log.last().unwrap().1.clone();
    forged.from = B;
    forged.bytes.truncate(28);
    forged.bytes[16] = 11;
    forged.bytes[19] = 0;
    forged.bytes[27] = 40;
    forged.bytes.extend([0, 0, 0, 12, 0, 0, 0, 1, 1, 0, 0, 4]);
    let children = pair.child(A);
    pair.deliver(&forged);
    pair.run(secs(3));
    pair.agree(1);
    assert_eq!((pair.ike(A), pair.child(A)), (ike, children));
}

#[test]
fn the_old_timers_believe_nobody_and_wait() {
    let timers = Timers::kb821839(false);
    let mut setup = version_1();
    for side in [A, B] {
        setup.ike[side].legacy = Some(Legacy::Windows2003);
        setup.ike[side].retransmission = Retransmission::kb821839();
        setup.ike[side].liveness = None;
        setup.ike[side].hints = false;
        setup.child[side].idle = timers.idle;
    }
    let mut pair = setup.pair();
    pair.establish();
    pair.crash(
        B,
        &Setup {
            seed: 5,
            ike: setup.ike.clone(),
            ..version_1()
        },
    );
    pair.log.clear();
    let from = pair.elapsed();
    pair.run(secs(301));
    let idle = |event: &Event| {
        matches!(
            event,
            Event::ChildClosed {
                reason: Reason::Idle,
                ..
            }
        )
    };
    assert_eq!(
        pair.when(A, idle).map(|at| (at - from).as_secs()),
        Some(299)
    );
}

#[test]
fn an_address_that_leaves_is_released_when_the_peer_has_acknowledged() {
    let mut pair = version_1().pair();
    pair.establish();
    pair.command(
        A,
        Command::DeleteLocalAddress {
            address: ip(ADDRESSES[A]),
        },
    );
    pair.run(millis(50));
    let released = |event: &Event| {
        matches!(
            event,
            Event::AddressReleased {
                acknowledged: 1,
                unanswered: 0,
                ..
            }
        )
    };
    assert!(pair.event(A, released).is_some(), "{}", pair.story());
    pair.agree(0);
    let mut pair = version_1().pair();
    pair.establish();
    pair.filter = Box::new(|_| Verdict::Drop);
    pair.command(
        A,
        Command::DeleteLocalAddress {
            address: ip(ADDRESSES[A]),
        },
    );
    pair.run(millis(150));
    let released = |event: &Event| {
        matches!(
            event,
            Event::AddressReleased {
                acknowledged: 0,
                unanswered: 1,
                ..
            }
        )
    };
    assert!(pair.event(A, released).is_some(), "{}", pair.story());
    assert!(pair.hosts[A].sad.is_empty());
    // It was said more than once.
    assert!(pair.sent(A) > 6);
}

/// A planned move whose Deletes arrive, and whose acknowledgements do not: the leaving node repeats
/// itself while there is time, and the peer is free to call the next one all the same.
#[test]
fn kb821839_a_move_does_not_wait_for_a_lost_acknowledgement() {
    let mut pair = version_1().pair();
    pair.establish();
    pair.filter = Box::new(|packet| match packet.from {
        B => Verdict::Drop,
        _ => Verdict::Pass,
    });
    let address = ip(ADDRESSES[A]);
    let from = pair.elapsed();
    pair.command(A, Command::DeleteLocalAddress { address });
    pair.run(millis(10));
    assert!(pair.hosts[B].sad.is_empty() && pair.ikes(B).is_empty());
    pair.run(millis(140));
    let released = |event: &Event| {
        matches!(
            event,
            Event::AddressReleased {
                acknowledged: 0,
                unanswered: 1,
                ..
            }
        )
    };
    assert_eq!(
        pair.when(A, released).map(|at| at - from),
        Some(millis(100))
    );
    assert!(pair.hosts[A].sad.is_empty() && pair.ikes(A).is_empty());
    // The next node is there, and knows nothing.
    pair.crash(A, &version_1());
    pair.filter = Box::new(|_| Verdict::Pass);
    pair.log.clear();
    pair.acquire(B);
    pair.run(millis(200));
    pair.agree(1);
    assert_eq!(exchanges(&pair, B).first(), Some(&2));
}
