//! A member of a cluster takes over what its peer has gone on with (RFC 6311): B is replaced by a
//! twin that saw the same and then nothing more.

use std::collections::BTreeSet;

use crate::harness::*;
use crypto::SeededRandom;
use ike::{ApiMisuse, Command, Discard, Error, Event, Reason};
use policy::child::ChildTemplate;

const MARGIN: u32 = 100;

/// The hosts agree on a child, and go on; then B is what it was before.
fn stale(setup: &Setup) -> Pair {
    let (mut pair, mut twin) = (setup.pair(), setup.pair());
    (twin.now, twin.start) = (pair.start, pair.start);
    pair.establish();
    twin.establish();
    for _ in 0..3 {
        for host in [A, B] {
            let ike = pair.ike(host);
            pair.command(host, Command::CheckLiveness(ike));
            pair.run(millis(10));
        }
    }
    let [_, old] = twin.hosts;
    pair.hosts[B] = old;
    pair.log.clear();
    pair
}

fn sync(pair: &mut Pair, host: usize, skip: u64) {
    let (ike, margin) = (pair.ike(host), MARGIN);
    pair.command(host, Command::SyncMessageIds { ike, margin, skip });
}

fn synchronised(event: &Event) -> bool {
    matches!(event, Event::MessageIdsSynchronised { .. })
}

/// Requests of both sides find their places.
fn flows(pair: &mut Pair) {
    for host in [A, B] {
        let before = pair.log.len();
        let ike = pair.ike(host);
        pair.command(host, Command::CheckLiveness(ike));
        pair.run(millis(30));
        assert_eq!(pair.log.len(), before + 2, "{}", pair.story());
    }
    for host in [A, B] {
        let child = pair.child(host);
        pair.command(host, Command::RekeyChild(child));
        pair.run(millis(500));
    }
    pair.agree(1);
}

fn discards(pair: &Pair, host: usize, reason: Discard) -> u64 {
    pair.hosts[host].endpoint.discards().get(reason)
}

#[test]
fn without_it_a_stale_member_is_not_heard() {
    let mut pair = stale(&Setup::default());
    let ike = pair.ike(B);
    pair.command(B, Command::CheckLiveness(ike));
    pair.run(secs(9));
    let timeout = |event: &Event| {
        matches!(
            event,
            Event::IkeClosed {
                reason: Reason::Failed(Error::Timeout { .. }),
                ..
            }
        )
    };
    assert!(pair.event(B, timeout).is_some(), "{}", pair.story());
}

#[test]
fn one_round_trip_and_both_sides_go_on() {
    let mut pair = stale(&Setup::default());
    let begun = pair.elapsed();
    sync(&mut pair, B, 0);
    pair.run(millis(10));
    assert_eq!((pair.sent(A), pair.sent(B)), (1, 1));
    assert_eq!(pair.when(A, synchronised), Some(begun + millis(1)));
    assert_eq!(pair.when(B, synchronised), Some(begun + millis(2)));
    flows(&mut pair);
    // The keys are the same: so no IV may be.
    let sent = pair.log.iter().filter(|(_, one)| one.from == B);
    let ivs: Vec<_> = sent.map(|(_, one)| one.bytes[32..40].to_vec()).collect();
    let different: BTreeSet<_> = ivs.iter().collect();
    assert_eq!(different.len(), ivs.len());
}

#[test]
fn requests_of_both_sides_wait_for_it() {
    let mut pair = stale(&Setup::default());
    // A asks first: B takes the request for one far ahead.
    let child = pair.child(A);
    pair.command(A, Command::RekeyChild(child));
    pair.run(millis(5));
    let child = pair.child(B);
    sync(&mut pair, B, 0);
    pair.command(B, Command::RekeyChild(child));
    pair.run(secs(2));
    pair.agree(1);
    flows(&mut pair);
}

#[test]
fn each_attempt_announces_more_so_that_a_lost_answer_does_no_harm() {
    for lost in 1..7 {
        let mut pair = stale(&Setup::default());
        let mut left = lost;
        pair.filter = Box::new(move |packet| {
            if packet.from == A && left > 0 {
                left -= 1;
                return Verdict::Drop;
            }
            Verdict::Pass
        });
        sync(&mut pair, B, 0);
        pair.run(secs(4));
        let attempts: BTreeSet<_> = pair.log.iter().map(|(_, one)| one.bytes.clone()).collect();
        assert_eq!(attempts.len(), pair.log.len(), "nothing is sent twice");
        assert_eq!((pair.sent(A), pair.sent(B)), (lost + 1, lost + 1));
        assert_eq!(discards(&pair, A, Discard::MessageIdSync), 0);
        flows(&mut pair);
    }
}

#[test]
fn an_answer_that_comes_after_the_next_attempt_is_not_taken() {
    let mut pair = stale(&Setup::default());
    // Longer than the first two gaps: attempts are under way before the first answer is here.
    pair.latency = millis(70);
    sync(&mut pair, B, 0);
    pair.run(secs(2));
    assert!(discards(&pair, B, Discard::SyncAnswer) > 0);
    pair.latency = millis(1);
    flows(&mut pair);
}

#[test]
fn recorded_requests_and_answers_are_worth_nothing() {
    let mut pair = stale(&Setup::default());
    let mut left = 2;
    pair.filter = Box::new(move |packet| {
        if packet.from == A && left > 0 {
            left -= 1;
            return Verdict::Drop;
        }
        Verdict::Pass
    });
    sync(&mut pair, B, 0);
    pair.run(secs(1));
    let recorded: Vec<Packet> = pair.log.iter().map(|(_, one)| one.clone()).collect();
    let picture = |pair: &Pair| {
        let hosts = &pair.hosts;
        hosts
            .each_ref()
            .map(|host| format!("{:?} {:?}", host.endpoint.status(pair.now), host.wait))
    };
    let before = picture(&pair);
    for _ in 0..100 {
        recorded.iter().for_each(|packet| pair.deliver(packet));
    }
    assert_eq!(picture(&pair), before);
    assert_eq!(discards(&pair, A, Discard::MessageIdSync), 300);
    assert_eq!(pair.log.len(), recorded.len(), "none was answered");
    flows(&mut pair);
    recorded.iter().for_each(|packet| pair.deliver(packet));
    assert_eq!(discards(&pair, A, Discard::MessageIdSync), 303);
    flows(&mut pair);
}

#[test]
fn one_changed_bit_is_one_too_many() {
    let mut pair = stale(&Setup::default());
    pair.filter = Box::new(|_| Verdict::Drop);
    sync(&mut pair, B, 0);
    let request = pair.log[0].1.clone();
    for bit in 0..request.bytes.len() * 8 {
        let mut bytes = request.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        pair.deliver(&Packet {
            bytes,
            ..request.clone()
        });
    }
    assert!(pair.event(A, synchronised).is_none());
    pair.deliver(&request);
    assert!(pair.event(A, synchronised).is_some());
}

#[test]
fn both_sides_take_over_at_once() {
    for seed in 0..60 {
        let setup = Setup {
            seed,
            ..Setup::default()
        };
        let (mut pair, mut twin) = (setup.pair(), setup.pair());
        (twin.now, twin.start) = (pair.start, pair.start);
        pair.establish();
        twin.establish();
        for _ in 0..seed % 5 {
            for host in [A, B] {
                let ike = pair.ike(host);
                pair.command(host, Command::CheckLiveness(ike));
                pair.run(millis(10));
            }
        }
        pair.hosts = twin.hosts;
        if seed > 10 {
            pair.chaos = Some(Chaos {
                random: SeededRandom::new(seed),
                loss: 60,
                duplicate: 60,
                jitter: millis(60),
            });
        }
        sync(&mut pair, A, 0);
        if seed % 2 == 0 {
            pair.run(millis(seed));
        }
        sync(&mut pair, B, 0);
        pair.run(secs(7));
        pair.chaos = None;
        pair.run(secs(10));
        pair.log.clear();
        flows(&mut pair);
    }
}

#[test]
fn without_an_answer_it_begins_anew() {
    let mut pair = stale(&Setup::default());
    pair.filter = Box::new(|packet| match packet.exchange() {
        37 => Verdict::Drop,
        _ => Verdict::Pass,
    });
    sync(&mut pair, B, 0);
    pair.run(secs(9));
    let given_up = |event: &Event| {
        let reason = Reason::Failed(Error::NotSynchronised { tries: 8 });
        matches!(event, Event::IkeClosed { reason: why, .. } if *why == reason)
    };
    assert!(pair.event(B, given_up).is_some(), "{}", pair.story());
    // INITIAL_CONTACT took the stale IKE SA away from A.
    pair.agree(1);
    assert_eq!((pair.ikes(A).len(), pair.ikes(B).len()), (1, 1));
}

#[test]
fn who_did_not_agree_to_it_is_not_asked() {
    for without in [A, B] {
        let mut setup = Setup::default();
        setup.ike[without].sync = false;
        let mut pair = stale(&setup);
        let (ike, now) = (pair.ike(B), pair.now);
        let command = Command::SyncMessageIds {
            ike,
            margin: 0,
            skip: 0,
        };
        let refused = pair.hosts[B].endpoint.handle_command(command, now);
        assert_eq!(refused, Err(ApiMisuse::CannotSynchronise(ike)));
    }
}

#[test]
fn it_outlives_a_rekeying_of_the_ike_sa() {
    for by in [A, B] {
        let mut pair = Setup::default().pair();
        pair.establish();
        let ike = pair.ike(by);
        pair.command(by, Command::RekeyIke(ike));
        pair.run(secs(1));
        sync(&mut pair, B, 0);
        pair.run(secs(1));
        pair.log.clear();
        flows(&mut pair);
    }
}

#[test]
fn esp_skips_what_the_cluster_asks_for() {
    for esn in [false, true] {
        let mut setup = Setup::default();
        for child in &mut setup.child {
            for proposal in &mut child.proposals {
                proposal.esn = vec![esn];
            }
        }
        let mut pair = stale(&setup);
        sync(&mut pair, B, 5_000);
        pair.run(millis(10));
        let child = pair.child(A);
        assert_eq!(pair.spec(A).esn, esn);
        assert_eq!(pair.hosts[A].skips, [(child, 5_000)]);
        assert!(pair.hosts[B].skips.is_empty());
        flows(&mut pair);
    }
    let template = ChildTemplate::transport();
    assert!(template.proposals.iter().all(|one| one.esn.len() == 2));
}
