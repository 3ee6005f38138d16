//! Silence: retransmission, idle time, liveness, hints.

use crate::harness::*;
use ike::{Command, Discard, Doubt, Error, Event, Reason, Usage};
use policy::pad::IkeTemplate;
use policy::timers::Timers;
use std::time::Duration;
use wire::ike::{ExchangeType, Flags, Header, Notify, NotifyType, Payload};

fn kb(nlbs_flags: bool) -> Setup {
    let timers = Timers::kb821839(nlbs_flags);
    let mut setup = Setup::default();
    for side in [A, B] {
        setup.ike[side] = IkeTemplate::with_timers(&timers);
        setup.child[side].idle = timers.idle;
    }
    setup
}

fn silence(pair: &mut Pair) {
    pair.filter = Box::new(|packet| {
        if packet.from == B {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    });
}

fn times(pair: &Pair, host: usize) -> Vec<Duration> {
    pair.log
        .iter()
        .filter(|(_, one)| one.from == host)
        .map(|(at, _)| *at)
        .collect()
}

#[test]
fn the_windows_ladder_to_the_second() {
    let mut pair = kb(false).pair();
    silence(&mut pair);
    pair.acquire(A);
    pair.run(secs(100));
    let expected = [0, 1, 3, 7, 15, 31].map(Duration::from_secs);
    assert_eq!(times(&pair, A), expected);
    let timeout = Error::Timeout {
        exchange: ExchangeType::IKE_SA_INIT,
        tries: 6,
    };
    let failed =
        |event: &Event| matches!(event, Event::AcquireFailed { error, .. } if *error == timeout);
    assert_eq!(pair.when(A, failed), Some(secs(63)));
    // The very same octets each time, and one answer for all of them.
    let first = pair.log[0].1.bytes.clone();
    assert!(
        pair.log
            .iter()
            .filter(|(_, one)| one.from == A)
            .all(|(_, one)| one.bytes == first)
    );
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
}

#[test]
fn the_modern_ladder() {
    let mut pair = Setup::default().pair();
    silence(&mut pair);
    pair.acquire(A);
    pair.run(secs(100));
    let expected = [0, 50, 125, 250, 500, 1000, 2000, 4000].map(Duration::from_millis);
    assert_eq!(times(&pair, A), expected);
    assert_eq!(
        pair.when(A, |event| matches!(event, Event::AcquireFailed { .. })),
        Some(secs(8))
    );
}

#[test]
fn a_lost_answer_is_given_again_and_not_made_again() {
    for exchange in [34, 35] {
        let mut pair = Setup::default().pair();
        let mut lost = 2;
        pair.filter = Box::new(move |packet| {
            if packet.from == B && packet.exchange() == exchange && lost > 0 {
                lost -= 1;
                return Verdict::Drop;
            }
            Verdict::Pass
        });
        pair.acquire(A);
        pair.run(secs(1));
        pair.agree(1);
        let answers: Vec<_> = pair
            .log
            .iter()
            .filter(|(_, one)| one.from == B && one.exchange() == exchange)
            .map(|(_, one)| &one.bytes)
            .collect();
        assert_eq!(answers.len(), 3);
        assert!(answers.iter().all(|one| *one == answers[0]));
    }
}

/// KB821839's two crash figures: idle time, then the ladder on the dead IKE SA, then a new one.
#[test]
fn the_crash_of_kb821839() {
    for (nlbs_flags, expected) in [(false, 363), (true, 123)] {
        let setup = kb(nlbs_flags);
        let mut pair = setup.pair();
        pair.establish();
        let last = pair.now;
        // B is gone; another node without its state has the address.
        let [_, fresh] = Setup {
            seed: 77,
            ..kb(nlbs_flags)
        }
        .pair()
        .hosts;
        pair.hosts[B] = fresh;
        let child = pair.child(A);
        let mut gone = None;
        while gone.is_none() {
            pair.run(secs(1));
            if !pair.hosts[A].sad.contains_key(&child) {
                // Traffic asks for protection from then on.
                gone = Some(pair.now - last);
                pair.acquire(A);
                break;
            }
            // A sends and nothing comes back: that keeps no SA alive.
            let usage = Usage {
                outbound_packets: 5,
                last_inbound: Some(last),
                last_outbound: Some(pair.now),
                ..Usage::default()
            };
            pair.command(A, Command::ChildUsage { child, usage });
        }
        // The pair was installed some milliseconds before `last`, when the idle time begins.
        assert_eq!(gone.map(|one| one.as_secs()), Some(expected - 63));
        pair.run(secs(70));
        pair.agree(1);
        let back = |event: &Event| matches!(event, Event::ChildEstablished { .. });
        let at = pair.when(A, back).unwrap() - (last - pair.start);
        assert_eq!(at.as_secs_f64().round() as u64, expected, "{at:?}");
    }
}

#[test]
fn inbound_traffic_alone_keeps_a_child_alive() {
    let mut pair = kb(true).pair();
    pair.establish();
    for _ in 0..20 {
        pair.run(secs(30));
        for host in [A, B] {
            let child = pair.child(host);
            pair.use_child(host, child);
        }
    }
    pair.agree(1);
    pair.run(secs(61));
    pair.agree(0);
    let idle = |event: &Event| {
        matches!(
            event,
            Event::ChildClosed {
                reason: Reason::Idle,
                ..
            }
        )
    };
    assert!(pair.event(A, idle).is_some());
    // An IKE SA without a child goes a minute later.
    pair.run(secs(61));
    assert!(pair.ikes(A).is_empty() && pair.ikes(B).is_empty());
}

#[test]
fn one_way_silence_asks_and_the_ladder_ends_it() {
    let mut pair = Setup::default().pair();
    pair.establish();
    let child = pair.child(A);
    silence(&mut pair);
    let sent = Usage {
        last_outbound: Some(pair.now),
        outbound_packets: 1,
        ..Usage::default()
    };
    pair.command(A, Command::ChildUsage { child, usage: sent });
    let begin = pair.elapsed();
    pair.run(secs(20));
    let asked = |event: &Event| {
        matches!(
            event,
            Event::LivenessCheck {
                doubt: Doubt::OneWaySilence,
                ..
            }
        )
    };
    assert_eq!(pair.when(A, asked), Some(begin + secs(2)));
    let ended = |event: &Event| {
        let Event::IkeClosed {
            reason: Reason::Failed(error),
            ..
        } = event
        else {
            return false;
        };
        *error
            == Error::Timeout {
                exchange: ExchangeType::INFORMATIONAL,
                tries: 8,
            }
    };
    assert_eq!(pair.when(A, ended), Some(begin + secs(10)));
    assert!(pair.hosts[A].sad.is_empty());
}

#[test]
fn an_answer_or_a_packet_ends_the_doubt() {
    let mut pair = Setup::default().pair();
    pair.establish();
    let child = pair.child(A);
    let sent = |pair: &Pair| Usage {
        last_outbound: Some(pair.now),
        ..Usage::default()
    };
    let usage = sent(&pair);
    pair.command(A, Command::ChildUsage { child, usage });
    pair.run(secs(1));
    pair.use_child(A, child);
    pair.run(secs(60));
    assert_eq!(pair.sent(A), 0);
    let usage = sent(&pair);
    pair.command(A, Command::ChildUsage { child, usage });
    pair.run(secs(60));
    assert_eq!((pair.sent(A), pair.sent(B)), (1, 1));
    pair.agree(1);
}

#[test]
fn what_waits_for_a_dead_ike_sa_begins_anew() {
    let mut pair = Setup::default().pair();
    pair.establish();
    let [_, fresh] = Setup {
        seed: 78,
        ..Setup::default()
    }
    .pair()
    .hosts;
    pair.hosts[B] = fresh;
    let mut other = pair.acquire_of(A);
    other.flow = None;
    other.rule = "other".into();
    pair.allow(A, &Setup::default(), &other);
    pair.command(A, Command::Acquire(Box::new(other)));
    pair.run(secs(9));
    // The new IKE SA says INITIAL_CONTACT, and the stale pair is gone on A.
    pair.agree(1);
    assert_eq!(pair.ikes(A).len(), 1);
}

/// An unprotected notification of the other host, as anybody can make it.
fn unprotected(pair: &Pair, kind: NotifyType, spis: (u64, u64), data: Vec<u8>) -> Packet {
    let response = kind == NotifyType::INVALID_IKE_SPI;
    let flags = Flags {
        initiator: false,
        version: false,
        response,
    };
    let header = Header::new(spis.0, spis.1, ExchangeType::INFORMATIONAL, flags, 0);
    let bytes = wire::ike::encode(&header, &[Payload::Notify(Notify::new(kind, data))]).unwrap();
    let status = &pair.ikes(A)[0];
    Packet {
        from: B,
        transport: policy::sa::Transport::Udp,
        local: status.remote,
        remote: status.local,
        bytes,
    }
}

#[test]
fn a_hint_makes_us_ask_once_a_second_and_nothing_else() {
    let mut pair = Setup::default().pair();
    pair.establish();
    let status = &pair.ikes(A)[0];
    let spis = (status.ike.0, status.peer_spi);
    let hint = unprotected(&pair, NotifyType::INVALID_IKE_SPI, spis, vec![]);
    for _ in 0..1_000 {
        pair.deliver(&hint);
    }
    pair.run(millis(100));
    assert_eq!((pair.sent(A), pair.sent(B)), (1, 1));
    assert_eq!(
        pair.hosts[A].endpoint.discards().get(Discard::RateLimited),
        999
    );
    pair.agree(1);

    let spi = pair.spec(A).outbound_spi.to_be_bytes().to_vec();
    let hint = unprotected(&pair, NotifyType::INVALID_SPI, (0, 0), spi);
    pair.run(secs(2));
    pair.deliver(&hint);
    pair.run(millis(100));
    assert_eq!((pair.sent(A), pair.sent(B)), (2, 2));
    // Of an SPI that we do not send with it says nothing.
    let hint = unprotected(&pair, NotifyType::INVALID_SPI, (0, 0), vec![1, 2, 3, 4]);
    pair.run(secs(2));
    pair.deliver(&hint);
    pair.run(millis(100));
    assert_eq!(pair.sent(A), 2);
    pair.agree(1);
}

#[test]
fn the_old_profile_knows_no_hints() {
    let mut pair = kb(false).pair();
    pair.establish();
    let status = &pair.ikes(A)[0];
    let spis = (status.ike.0, status.peer_spi);
    let hint = unprotected(&pair, NotifyType::INVALID_IKE_SPI, spis, vec![]);
    pair.deliver(&hint);
    pair.run(secs(5));
    assert_eq!(pair.sent(A), 0);
    assert_eq!(
        pair.hosts[A].endpoint.discards().get(Discard::HintIgnored),
        1
    );
}

#[test]
fn a_message_for_an_unknown_ike_sa_is_answered_so_often() {
    let mut pair = Setup::default().pair();
    pair.establish();
    let ike = pair.ike(A);
    pair.command(A, Command::CheckLiveness(ike));
    let request = pair.log[0].1.clone();
    let [_, fresh] = Setup {
        seed: 79,
        ..Setup::default()
    }
    .pair()
    .hosts;
    pair.hosts[B] = fresh;
    for _ in 0..1_000 {
        pair.deliver(&request);
    }
    let limit = ike::limits::UNKNOWN_SPI_ANSWERS as usize;
    assert_eq!(pair.sent(B), limit);
    let answer = &pair.log.iter().find(|(_, one)| one.from == B).unwrap().1;
    assert!(answer.bytes.len() <= request.bytes.len());
    // From an address that no peer has, nothing comes back.
    let stranger = Packet {
        local: "10.9.9.9:500".parse().unwrap(),
        ..request
    };
    pair.run(secs(5));
    let before = pair.sent(B);
    pair.deliver(&stranger);
    assert_eq!(pair.sent(B), before);
}
