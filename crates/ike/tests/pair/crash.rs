//! Quick crash detection (RFC 6290): who restarts proves it, and nobody else can.

use std::sync::Arc;
use std::time::Duration;

use crate::harness::*;
use crypto::{Random, Secret, SeededRandom};
use ike::{Command, Discard, Event, Reason};
use policy::pad::IkeTemplate;
use policy::timers::Timers;
use wire::ike::{ExchangeType, Flags, Header, Notify, NotifyType, Payload};

/// Hosts that make tokens, and have the same secret again after a restart.
fn makers(seed: u64) -> Setup {
    Setup {
        config: |config| config.qcd_secret = Some(Arc::new(Secret::from_slice(&[42; 32]))),
        seed,
        ..Setup::default()
    }
}

fn lost(event: &Event) -> bool {
    let reason = Reason::LostByPeer;
    matches!(event, Event::IkeClosed { reason: why, .. } if *why == reason)
}

fn begins(event: &Event) -> bool {
    matches!(event, Event::HandshakeStarted { .. })
}

fn established(event: &Event) -> bool {
    matches!(event, Event::ChildEstablished { .. })
}

/// One host restarts and the other asks it something: when, after the question, the other began
/// anew, and when there was a child again.
fn restart(pair: &mut Pair, host: usize, setup: &Setup) -> (Duration, Duration) {
    let other = 1 - host;
    pair.crash(host, setup);
    let (asked, ike) = (pair.elapsed(), pair.ike(other));
    pair.command(other, Command::CheckLiveness(ike));
    pair.run(secs(1));
    pair.agree(1);
    assert!(pair.event(other, lost).is_some(), "{}", pair.story());
    let after = |fits: fn(&Event) -> bool| pair.when(other, fits).unwrap() - asked;
    (after(begins), after(established))
}

/// The tokens that a packet shows in clear.
fn tokens(packet: &Packet) -> usize {
    let decoded = wire::ike::decode(&packet.bytes).unwrap();
    let is_token = |payload: &&Payload| matches!(payload, Payload::Notify(one) if one.kind == NotifyType::QCD_TOKEN);
    decoded.payloads.iter().filter(is_token).count()
}

fn shown(pair: &Pair, host: usize) -> usize {
    let sent = pair.log.iter().filter(|(_, one)| one.from == host);
    sent.map(|(_, one)| tokens(one)).sum()
}

#[test]
fn a_restart_costs_one_question_and_one_handshake() {
    // The latency is 1 ms: a question and its answer, then two round trips.
    for host in [A, B] {
        let mut pair = makers(1).pair();
        pair.establish();
        let times = restart(&mut pair, host, &makers(77));
        assert_eq!(times, (millis(2), millis(6)), "{}", pair.story());
        assert_eq!(pair.ikes(1 - host).len(), 1);
        assert_eq!(shown(&pair, host), 1);
    }
}

#[test]
fn a_rekeyed_ike_sa_has_new_tokens_on_both_sides() {
    for (by, host) in [(A, A), (A, B), (B, A), (B, B)] {
        let mut pair = makers(1).pair();
        pair.establish();
        let ike = pair.ike(by);
        pair.command(by, Command::RekeyIke(ike));
        pair.run(secs(1));
        let times = restart(&mut pair, host, &makers(77));
        assert_eq!(times, (millis(2), millis(6)), "{by} {host}");
    }
}

#[test]
fn a_replaced_ike_sa_keeps_its_own_tokens() {
    let mut pair = makers(1).pair();
    pair.establish();
    let ike = pair.ike(A);
    pair.command(A, Command::RekeyIke(ike));
    // Neither A's Delete of the old one nor its token for the new one arrives in time.
    pair.run(millis(2));
    pair.crash(B, &makers(77));
    pair.run(millis(40));
    let ended = pair.hosts[A].events.iter();
    let ended = ended.filter(|(_, event)| lost(event)).count();
    assert_eq!(ended, 2, "{}", pair.story());
    pair.agree(1);
}

#[test]
fn a_lost_proof_is_given_again() {
    let mut pair = makers(1).pair();
    pair.establish();
    let mut lost = 3;
    pair.filter = Box::new(move |packet| {
        if packet.from == B && packet.exchange() == 37 && lost > 0 {
            lost -= 1;
            return Verdict::Drop;
        }
        Verdict::Pass
    });
    // Sent at 0, 50, 125 and 250 ms.
    let times = restart(&mut pair, B, &makers(77));
    assert_eq!(times, (millis(252), millis(256)));
}

#[test]
fn a_restart_over_a_bad_network() {
    for seed in 0..100 {
        let mut pair = makers(seed).pair();
        pair.establish();
        pair.chaos = Some(Chaos {
            random: SeededRandom::new(seed + 500),
            loss: 60,
            duplicate: 60,
            jitter: millis(20),
        });
        pair.crash(B, &makers(seed + 1_000));
        let ike = pair.ike(A);
        pair.command(A, Command::CheckLiveness(ike));
        pair.run(secs(20));
        pair.agree(1);
        assert_eq!(pair.ikes(A).len(), 1, "{}", pair.story());
    }
}

/// An answer to A in clear, as anybody can make it.
fn forged(pair: &Pair, tokens: &[Vec<u8>]) -> Packet {
    let status = &pair.ikes(A)[0];
    let flags = Flags {
        initiator: false,
        version: false,
        response: true,
    };
    let (ours, theirs) = (status.ike.0, status.peer_spi);
    let header = Header::new(ours, theirs, ExchangeType::INFORMATIONAL, flags, 0);
    let invalid = Notify::new(NotifyType::INVALID_IKE_SPI, Vec::new());
    let mut payloads = vec![Payload::Notify(invalid)];
    let token = |data: &Vec<u8>| Payload::Notify(Notify::crash_token(data));
    payloads.extend(tokens.iter().map(token));
    Packet {
        from: B,
        transport: policy::sa::Transport::Udp,
        local: status.remote,
        remote: status.local,
        bytes: wire::ike::encode(&header, &payloads).unwrap(),
    }
}

fn discards(pair: &Pair, host: usize, reason: Discard) -> u64 {
    pair.hosts[host].endpoint.discards().get(reason)
}

#[test]
fn forged_tokens_change_nothing_and_are_counted() {
    let mut pair = makers(1).pair();
    pair.establish();
    let mut random = SeededRandom::new(5);
    for count in 1..=300 {
        let mut token = vec![0; 16 + count % 113];
        random.fill(&mut token);
        pair.deliver(&forged(&pair, &[token]));
        assert_eq!(discards(&pair, A, Discard::CrashToken), count as u64);
    }
    assert_eq!(pair.sent(A), 0, "nothing is asked because of a forgery");
    pair.agree(1);
    // What is too short or too long is no token: the rest of the message is a hint.
    for length in [0, 15, 129] {
        pair.run(secs(2));
        pair.deliver(&forged(&pair, &[vec![0; length]]));
    }
    pair.run(secs(2));
    assert_eq!((pair.sent(A), pair.sent(B)), (3, 3));
    pair.agree(1);
}

/// The true token of A's IKE SA, which B shows after a restart.
fn true_token(pair: &mut Pair) -> Vec<u8> {
    pair.crash(B, &makers(77));
    pair.filter = Box::new(|packet| match packet.from {
        A => Verdict::Pass,
        _ => Verdict::Drop,
    });
    let ike = pair.ike(A);
    pair.command(A, Command::CheckLiveness(ike));
    pair.run(millis(10));
    let answer = pair.log.iter().rfind(|(_, one)| one.from == B).unwrap();
    let payloads = wire::ike::decode(&answer.1.bytes).unwrap().payloads;
    let token = payloads.iter().find_map(|payload| match payload {
        Payload::Notify(one) => one.as_crash_token().map(<[u8]>::to_vec),
        _ => None,
    });
    token.expect("it shows a token")
}

#[test]
fn one_of_four_tokens_is_enough_from_wherever_it_comes_and_the_fifth_is_not_looked_at() {
    for place in 0..5 {
        let mut pair = makers(1).pair();
        pair.establish();
        let token = true_token(&mut pair);
        let mut all = vec![vec![3; 32]; 5];
        all[place] = token;
        let elsewhere = Packet {
            local: "203.0.113.9:7777".parse().unwrap(),
            ..forged(&pair, &all)
        };
        pair.deliver(&elsewhere);
        assert_eq!(pair.event(A, lost).is_some(), place < 4, "{place}");
        // Once is enough, and what is over cannot be ended again.
        if place < 4 {
            pair.deliver(&elsewhere);
            assert_eq!(discards(&pair, A, Discard::UnknownSpi), 1);
        }
    }
}

#[test]
fn the_token_of_an_ike_sa_that_lives_is_never_shown() {
    let mut pair = makers(1).pair();
    pair.establish();
    let ike = pair.ike(A);
    pair.filter = Box::new(|_| Verdict::Drop);
    pair.command(A, Command::CheckLiveness(ike));
    let request = pair.log[0].1.clone();
    // Whoever sees a request can say that the other side sent it, or send it back.
    for flags in 0..=255 {
        for from in [A, B] {
            let mut bytes = request.bytes.clone();
            bytes[19] = flags;
            let (local, remote) = match from {
                A => (request.local, request.remote),
                _ => (request.remote, request.local),
            };
            pair.deliver(&Packet {
                transport: policy::sa::Transport::Udp,
                from,
                local,
                remote,
                bytes,
            });
        }
    }
    assert_eq!((shown(&pair, A), shown(&pair, B)), (0, 0));
    pair.filter = Box::new(|_| Verdict::Pass);
    pair.run(secs(10));
    pair.agree(1);
}

#[test]
fn who_may_not_know_every_ike_sa_shows_nothing() {
    let mut pair = makers(1).pair();
    pair.establish();
    pair.crash(B, &makers(77));
    let address = ip(ADDRESSES[B]);
    let allowed = false;
    pair.command(B, Command::ShowTokens { address, allowed });
    let ike = pair.ike(A);
    pair.command(A, Command::CheckLiveness(ike));
    pair.run(millis(40));
    assert_eq!((pair.sent(B), shown(&pair, B)), (1, 0));
    assert!(pair.event(A, lost).is_none());
    let allowed = true;
    pair.command(B, Command::ShowTokens { address, allowed });
    pair.run(millis(40));
    assert!(pair.event(A, lost).is_some());
    pair.agree(1);
}

#[test]
fn nobody_gets_many_tokens_or_one_for_nothing() {
    let mut pair = makers(1).pair();
    pair.establish();
    let ike = pair.ike(A);
    pair.filter = Box::new(|_| Verdict::Drop);
    pair.command(A, Command::CheckLiveness(ike));
    let request = pair.log[0].1.clone();
    pair.crash(B, &makers(77));
    for _ in 0..1_000 {
        pair.deliver(&request);
    }
    assert_eq!(shown(&pair, B), ike::limits::UNKNOWN_SPI_ANSWERS as usize);
    // A request in clear, and one from an address that no peer has, get none.
    pair.run(secs(2));
    let before = shown(&pair, B);
    let header = wire::ike::decode(&request.bytes).unwrap().header;
    let bytes = wire::ike::encode(&header, &[]).unwrap();
    pair.deliver(&Packet {
        bytes,
        ..request.clone()
    });
    pair.deliver(&Packet {
        local: "10.9.9.9:500".parse().unwrap(),
        ..request
    });
    assert_eq!(shown(&pair, B), before);
}

#[test]
fn another_secret_proves_nothing() {
    let mut pair = makers(1).pair();
    pair.establish();
    let other = Setup {
        config: |config| config.qcd_secret = Some(Arc::new(Secret::from_slice(&[43; 32]))),
        ..makers(77)
    };
    pair.crash(B, &other);
    let ike = pair.ike(A);
    pair.command(A, Command::CheckLiveness(ike));
    pair.run(secs(1));
    assert!(discards(&pair, A, Discard::CrashToken) > 0);
    assert!(pair.event(A, lost).is_none());
    // The ladder ends it, as it always did.
    pair.run(secs(8));
    assert!(pair.ikes(A).is_empty());
}

#[test]
fn a_peer_without_it_is_told_nothing() {
    for old in [A, B] {
        let mut setup = makers(1);
        setup.ike[old] = IkeTemplate::with_timers(&Timers::kb821839(false));
        let mut pair = setup.pair();
        pair.establish();
        let mut again = makers(77);
        again.ike = setup.ike.clone();
        pair.crash(B, &again);
        let ike = pair.ike(A);
        pair.command(A, Command::CheckLiveness(ike));
        pair.run(secs(3));
        // B shows what it may have given; an old A takes nothing and an old B gives nothing.
        assert_eq!(shown(&pair, B) > 0, old == A);
        assert!(pair.event(A, lost).is_none());
    }
}

#[test]
fn tokens_go_to_the_peer_protected_only() {
    let mut pair = makers(1).pair();
    pair.acquire(A);
    pair.run(secs(1));
    let child = pair.child(A);
    pair.command(A, Command::RekeyChild(child));
    let ike = pair.ike(B);
    pair.command(B, Command::RekeyIke(ike));
    pair.run(secs(5));
    assert_eq!((shown(&pair, A), shown(&pair, B)), (0, 0));
    pair.agree(1);
}

#[test]
fn behind_a_nat_only_the_peer_begins_anew() {
    let mut pair = makers(1).pair();
    pair.nat = Some((ip(ADDRESSES[A]), 1_000));
    pair.establish();
    pair.crash(A, &makers(77));
    let ike = pair.ike(B);
    pair.command(B, Command::CheckLiveness(ike));
    pair.run(secs(1));
    assert!(pair.event(B, lost).is_some(), "{}", pair.story());
    assert!(pair.event(B, begins).is_none());
    pair.acquire(A);
    pair.run(secs(1));
    pair.agree(1);
}
