//! An IKE SA and its tunnels go to other addresses (RFC 4555).

use crate::harness::*;
use ike::{ApiMisuse, Command, Error, Event, Reason, Takeover};
use policy::child::ChildTemplate;
use policy::pad::{IkeTemplate, Mobike, Pad};
use policy::range::AddressRange;
use policy::sa::{Bucket, Encapsulation};
use std::net::IpAddr;
use std::sync::Arc;
use wire::ike::NotifyType;

const MOVED: &str = "10.0.0.9";
const AGAIN: &str = "10.0.0.10";
const ELSEWHERE: &str = "192.0.2.9";
const NAT: &str = "203.0.113.7";

/// Both may come from the network that they are in, and from behind a NAT.
fn wide(config: &mut ike::Config) {
    let peers = config.pad.peers().iter().cloned().map(|mut peer| {
        peer.addresses = vec![
            AddressRange::subnet(ip("10.0.0.0"), 24).unwrap(),
            AddressRange::host(ip(NAT)),
        ];
        peer
    });
    config.pad = Arc::new(Pad::new(peers.collect()));
}

fn setup() -> Setup {
    let ike = IkeTemplate {
        mobike: Mobike::Offer,
        ..IkeTemplate::modern()
    };
    Setup {
        ike: [ike.clone(), ike],
        child: [ChildTemplate::tunnel(), ChildTemplate::tunnel()],
        config: wide,
        ..Setup::default()
    }
}

fn established() -> Pair {
    let mut pair = setup().pair();
    pair.establish();
    pair
}

fn relocate(pair: &mut Pair, host: usize, local: &str, remote: &str) {
    let (ike, local, remote) = (pair.ike(host), ip(local), ip(remote));
    pair.command(host, Command::Relocate { ike, local, remote });
}

/// Where the IKE SA and the ESP of a host are: both ends.
fn between(pair: &Pair, host: usize) -> [(IpAddr, IpAddr); 2] {
    let (sa, spec) = (&pair.ikes(host)[0], pair.spec(host));
    [(sa.local.ip(), sa.remote.ip()), (spec.local, spec.remote)]
}

/// Both ends have the IKE SA and its one tunnel between these.
fn assert_between(pair: &Pair, a: &str, b: &str) {
    pair.agree(1);
    let (a, b) = (ip(a), ip(b));
    assert_eq!(between(pair, A), [(a, b); 2], "{}", pair.story());
    assert_eq!(between(pair, B), [(b, a); 2], "{}", pair.story());
}

fn moved(event: &Event) -> bool {
    matches!(event, Event::Moved { .. })
}

fn peer_moved(event: &Event) -> bool {
    matches!(event, Event::PeerMoved { .. })
}

fn refused(event: &Event) -> bool {
    matches!(event, Event::MoveRefused { .. })
}

#[test]
fn both_know_of_it_when_both_say_so_and_then_they_are_at_port_4500() {
    use Mobike::{Accept, Never, Offer};
    for (a, b, agreed) in [
        (Offer, Offer, true),
        (Offer, Accept, true),
        (Offer, Never, false),
        (Accept, Offer, false),
        (Never, Offer, false),
    ] {
        let mut setup = setup();
        (setup.ike[A].mobike, setup.ike[B].mobike) = (a, b);
        let mut pair = setup.pair();
        pair.establish();
        for host in [A, B] {
            let sa = &pair.ikes(host)[0];
            assert_eq!(sa.extensions.contains(&"mobike"), agreed, "{a:?} {b:?}");
            let port = if a == Offer { 4500 } else { 500 };
            assert_eq!((sa.local.port(), sa.remote.port()), (port, port));
            assert_eq!(pair.spec(host).encapsulation, Encapsulation::None);
        }
        assert_eq!(pair.hosts[A].endpoint.movable().len(), usize::from(agreed));
        assert!(pair.hosts[B].endpoint.movable().is_empty());
    }
}

#[test]
fn we_move_and_everything_goes_on() {
    for template in [IkeTemplate::modern(), {
        let mut ike = IkeTemplate::modern();
        in_fragments(&mut ike);
        ike
    }] {
        let mut setup = setup();
        for ike in &mut setup.ike {
            ike.fragment_size = template.fragment_size;
        }
        let mut pair = setup.pair();
        pair.establish();
        let (children, ike) = ([A, B].map(|host| pair.child(host)), pair.ike(A));
        let begin = pair.elapsed();
        relocate(&mut pair, A, MOVED, ADDRESSES[B]);
        // Our own packets come from the new address at once.
        assert_eq!(pair.spec(A).local, ip(MOVED));
        pair.run(secs(1));
        assert_between(&pair, MOVED, ADDRESSES[B]);
        assert_eq!([A, B].map(|host| pair.child(host)), children);
        assert_eq!(pair.ike(A), ike);
        // There and back: the update. There and back again: the peer's question.
        assert_eq!(pair.when(A, moved), Some(begin + millis(2)));
        assert_eq!(pair.when(B, peer_moved), Some(begin + millis(3)));
        // Whatever comes later comes from there.
        let child = pair.child(B);
        pair.command(B, Command::RekeyChild(child));
        pair.run(secs(11));
        assert_between(&pair, MOVED, ADDRESSES[B]);
    }
}

/// ESP goes to a new address when it has answered from there, and not before (section 3.7).
#[test]
fn nobody_directs_traffic_at_a_third() {
    let mut pair = established();
    let from_the_peer = |packet: &Packet| match packet.from == A && packet.is_response() {
        true => Verdict::Drop,
        false => Verdict::Pass,
    };
    pair.filter = Box::new(from_the_peer);
    relocate(&mut pair, A, MOVED, ADDRESSES[B]);
    pair.run(secs(2));
    assert_eq!(between(&pair, B)[0].1, ip(MOVED));
    assert_eq!(between(&pair, B)[1].1, ip(ADDRESSES[A]));
    assert!(pair.event(B, peer_moved).is_none());
    // A child that is made meanwhile stays with the address that is proven.
    pair.filter = Box::new(|_| Verdict::Pass);
    pair.run(secs(2));
    assert_between(&pair, MOVED, ADDRESSES[B]);
}

#[test]
fn who_comes_back_has_nothing_to_prove() {
    let mut pair = established();
    relocate(&mut pair, A, MOVED, ADDRESSES[B]);
    pair.filter = Box::new(|packet| match packet.from == A && packet.is_response() {
        true => Verdict::Drop,
        false => Verdict::Pass,
    });
    pair.run(millis(500));
    relocate(&mut pair, A, ADDRESSES[A], ADDRESSES[B]);
    pair.filter = Box::new(|_| Verdict::Pass);
    pair.run(secs(2));
    assert_between(&pair, ADDRESSES[A], ADDRESSES[B]);
}

#[test]
fn many_moves_in_a_bad_network_end_at_the_last() {
    for seed in 0..150 {
        let mut pair = established();
        pair.chaos = Some(Chaos {
            random: crypto::SeededRandom::new(seed),
            loss: (seed % 80) as u8,
            duplicate: 40,
            jitter: millis(seed % 30),
        });
        for step in 0..6 {
            let places = [MOVED, AGAIN, ADDRESSES[A]];
            relocate(&mut pair, A, places[step % 3], ADDRESSES[B]);
            if step == 3 && pair.hosts[B].sad.len() == 1 {
                let child = pair.child(B);
                pair.command(B, Command::RekeyChild(child));
            }
            pair.run(millis(seed * 7 % 90));
        }
        relocate(&mut pair, A, AGAIN, ADDRESSES[B]);
        pair.chaos = None;
        pair.run(secs(30));
        assert_between(&pair, AGAIN, ADDRESSES[B]);
    }
}

#[test]
fn a_nat_appears_and_goes() {
    let mut pair = established();
    pair.nat = Some((ip(NAT), 1000));
    pair.home = ip(MOVED);
    relocate(&mut pair, A, MOVED, ADDRESSES[B]);
    pair.run(secs(1));
    pair.agree(1);
    let udp = |remote_port| Encapsulation::Udp {
        local_port: 4500,
        remote_port,
    };
    assert_eq!(pair.spec(A).encapsulation, udp(4500));
    assert_eq!(pair.spec(B).encapsulation, udp(5500));
    assert_eq!(pair.spec(B).remote, ip(NAT));
    // It maps us anew: a check of ours finds that out, and tells.
    let check = |pair: &mut Pair| {
        let ike = pair.ike(A);
        pair.command(A, Command::CheckLiveness(ike));
        pair.run(secs(1));
    };
    check(&mut pair);
    pair.nat = Some((ip(NAT), 2000));
    check(&mut pair);
    pair.agree(1);
    assert_eq!(pair.spec(B).encapsulation, udp(6500));
    pair.nat = None;
    relocate(&mut pair, A, AGAIN, ADDRESSES[B]);
    pair.run(secs(1));
    assert_between(&pair, AGAIN, ADDRESSES[B]);
    assert_eq!(pair.spec(A).encapsulation, Encapsulation::None);
}

/// Who can say where it is is not followed without a word (section 3.8).
#[test]
fn a_message_from_elsewhere_moves_nobody() {
    let mut pair = setup().pair();
    pair.nat = Some((ip(NAT), 1000));
    pair.establish();
    pair.nat = Some((ip(AGAIN), 2000));
    let child = pair.child(A);
    pair.command(A, Command::RekeyChild(child));
    pair.run(secs(1));
    assert_eq!(between(&pair, B), [(ip(ADDRESSES[B]), ip(NAT)); 2]);
}

#[test]
fn an_old_update_moves_nobody_back() {
    let mut pair = established();
    relocate(&mut pair, A, MOVED, ADDRESSES[B]);
    pair.run(secs(1));
    let first = pair.log.iter().find(|(_, packet)| packet.from == A);
    let first = first.unwrap().1.clone();
    relocate(&mut pair, A, AGAIN, ADDRESSES[B]);
    pair.run(secs(1));
    pair.deliver(&first);
    pair.run(secs(1));
    assert_between(&pair, AGAIN, ADDRESSES[B]);
    // The last one again, from elsewhere: it is answered, and nothing else.
    let last = pair.log.iter().rev();
    let mut last = last
        .map(|one| one.1.clone())
        .find(|one| one.from == A && !one.is_response());
    if let Some(packet) = &mut last {
        packet.local = format!("{MOVED}:4500").parse().unwrap();
        pair.deliver(packet);
    }
    pair.run(secs(1));
    assert_between(&pair, AGAIN, ADDRESSES[B]);
}

#[test]
fn an_address_that_the_policy_does_not_allow_is_refused() {
    let mut pair = established();
    relocate(&mut pair, A, ELSEWHERE, ADDRESSES[B]);
    pair.run(millis(2));
    let said = |event: &Event| {
        let why = NotifyType::UNACCEPTABLE_ADDRESSES;
        matches!(event, Event::MoveRefused { why: said, .. } if *said == why)
    };
    assert!(pair.event(B, said).is_some() && pair.event(A, said).is_some());
    assert_eq!(between(&pair, B), [(ip(ADDRESSES[B]), ip(ADDRESSES[A])); 2]);
    // It ends there, and its traffic asks for protection from where it is now.
    let lost = |event: &Event| {
        let why = Error::Refused(NotifyType::UNACCEPTABLE_ADDRESSES);
        matches!(event, Event::IkeClosed { reason: Reason::Failed(error), .. } if *error == why)
    };
    assert!(pair.event(A, lost).is_some());
    let begins = |event: &Event| matches!(event, Event::HandshakeStarted { .. });
    assert!(pair.event(A, begins).is_some(), "{}", pair.story());
}

#[test]
fn only_who_began_decides_and_stays_so_through_rekeyings() {
    let mut pair = established();
    for rekeys in [B, A, B] {
        let (ike, local, remote) = (pair.ike(B), ip(AGAIN), ip(ADDRESSES[A]));
        let command = Command::Relocate { ike, local, remote };
        let now = pair.now;
        let refusal = pair.hosts[B].endpoint.handle_command(command, now);
        assert_eq!(refusal, Err(ApiMisuse::CannotMove(ike)));
        let old = pair.ike(rekeys);
        pair.command(rekeys, Command::RekeyIke(old));
        pair.run(secs(2));
        assert_ne!(pair.ike(rekeys), old);
        for place in [MOVED, AGAIN] {
            relocate(&mut pair, A, place, ADDRESSES[B]);
            pair.run(secs(1));
            assert_between(&pair, place, ADDRESSES[B]);
        }
    }
}

/// The peer rekeys the IKE SA while we move.
#[test]
fn a_move_and_a_rekeying_at_once() {
    for delay in 0..6 {
        for rekeys in [A, B] {
            let mut pair = established();
            let ike = pair.ike(rekeys);
            pair.command(rekeys, Command::RekeyIke(ike));
            pair.run(millis(delay));
            if let [only] = pair.ikes(A).as_slice() {
                let (ike, local, remote) = (only.ike, ip(MOVED), ip(ADDRESSES[B]));
                pair.command(A, Command::Relocate { ike, local, remote });
            }
            pair.run(secs(20));
            // What was about to be replaced may have gone without the move: then it comes again.
            relocate(&mut pair, A, MOVED, ADDRESSES[B]);
            pair.run(secs(20));
            assert_between(&pair, MOVED, ADDRESSES[B]);
        }
    }
}

/// A cluster's address: its SPIs and records are of it, and no peer leads it away.
#[test]
fn an_address_of_a_cluster_stays_with_its_ike_sas() {
    for replicated in [false, true] {
        let mut setup = setup();
        if replicated {
            setup.config = |config| {
                wide(config);
                config.buckets.insert(ip(ADDRESSES[B]), Bucket(1));
            };
        }
        let mut pair = setup.pair();
        let (address, active) = (ip(ADDRESSES[B]), true);
        pair.command(B, Command::SetActive { address, active });
        pair.establish();
        relocate(&mut pair, A, ADDRESSES[A], "10.0.0.3");
        pair.run(millis(2));
        assert!(pair.event(B, refused).is_some(), "{}", pair.story());
        let here = (ip(ADDRESSES[B]), ip(ADDRESSES[A]));
        assert_eq!(between(&pair, B), [here; 2]);
    }
}

/// Nor does it move by itself.
#[test]
fn an_address_of_a_cluster_is_not_moved_from_here() {
    let mut pair = setup().pair();
    let (address, active) = (ip(ADDRESSES[A]), true);
    pair.command(A, Command::SetActive { address, active });
    pair.establish();
    assert!(pair.hosts[A].endpoint.movable().is_empty());
    let (ike, local, remote) = (pair.ike(A), ip(MOVED), ip(ADDRESSES[B]));
    let (now, command) = (pair.now, Command::Relocate { ike, local, remote });
    let refusal = pair.hosts[A].endpoint.handle_command(command, now);
    assert_eq!(refusal, Err(ApiMisuse::CannotMove(ike)));
}

/// The peer's address stops answering, and another one of it is tried.
#[test]
fn another_address_of_the_peer_is_found_when_one_falls_silent() {
    let mut pair = established();
    let ike = pair.ike(A);
    pair.filter = Box::new(|packet| match packet.remote.ip() == ip(ADDRESSES[B]) {
        true => Verdict::Drop,
        false => Verdict::Pass,
    });
    pair.command(A, Command::CheckLiveness(ike));
    pair.run(secs(1));
    let silent = |event: &Event| matches!(event, Event::PathSilent { .. });
    assert!(pair.event(A, silent).is_some());
    relocate(&mut pair, A, ADDRESSES[A], "10.0.0.3");
    assert_eq!(
        pair.spec(A).remote,
        ip(ADDRESSES[B]),
        "not before it answers"
    );
    pair.run(secs(1));
    assert_between(&pair, ADDRESSES[A], "10.0.0.3");
    let others = &pair.hosts[A].endpoint.movable()[0].others;
    assert_eq!(others.as_slice(), [ip(ADDRESSES[B])]);
}

/// Who decides may be without any address for a while, and the other waits for it.
#[test]
fn a_peer_that_is_away_for_minutes_finds_everything_as_it_was() {
    for (away, stays) in [(240, true), (400, false)] {
        let mut pair = established();
        let ike = pair.ike(B);
        pair.filter = Box::new(|_| Verdict::Drop);
        pair.command(B, Command::CheckLiveness(ike));
        pair.run(secs(away));
        pair.filter = Box::new(|_| Verdict::Pass);
        assert_eq!(pair.ikes(B).len(), usize::from(stays), "{}", pair.story());
        if stays {
            relocate(&mut pair, A, MOVED, ADDRESSES[B]);
            pair.run(secs(1));
            assert_between(&pair, MOVED, ADDRESSES[B]);
            // Its own question is answered when it is sent the next time.
            pair.run(secs(10));
        }
    }
}

/// A peer that never answers is given up, however many paths there are.
#[test]
fn a_search_for_paths_has_an_end() {
    let mut pair = established();
    let ike = pair.ike(A);
    pair.filter = Box::new(|_| Verdict::Drop);
    pair.command(A, Command::CheckLiveness(ike));
    for step in 0..60 {
        pair.run(secs(1));
        let silent = |(_, event): &(_, Event)| matches!(event, Event::PathSilent { .. });
        let events = std::mem::take(&mut pair.hosts[A].events);
        if events.iter().any(silent) {
            let place = ["10.0.0.3", ADDRESSES[B]][step % 2];
            relocate(&mut pair, A, ADDRESSES[A], place);
        }
    }
    assert!(pair.ikes(A).is_empty(), "{}", pair.story());
}

#[test]
fn pairs_of_transport_mode_end_with_the_address_that_they_are_of() {
    let mut setup = setup();
    setup.child = [ChildTemplate::transport(), ChildTemplate::transport()];
    let mut pair = setup.pair();
    pair.establish();
    relocate(&mut pair, A, MOVED, ADDRESSES[B]);
    pair.run(secs(1));
    pair.agree(0);
    let closed = |event: &Event| {
        let why = Reason::Moved;
        matches!(event, Event::ChildClosed { reason, .. } if *reason == why)
    };
    assert!(pair.event(A, closed).is_some());
    let sa = &pair.ikes(B)[0];
    assert_eq!(sa.remote.ip(), ip(MOVED), "the IKE SA itself has moved");
}

/// Another member goes on with what was agreed, at every moment of a move.
#[test]
fn a_survivor_knows_where_the_peer_is() {
    let cluster = || Setup {
        config: |config| {
            wide(config);
            config.buckets.insert(ip(ADDRESSES[B]), Bucket(1));
        },
        ..setup()
    };
    let takeover = |epoch| Takeover {
        epoch,
        grace: secs(3600),
        spread: secs(60),
    };
    for delay in 0..6 {
        let mut pair = cluster().pair();
        pair.establish();
        relocate(&mut pair, A, MOVED, ADDRESSES[B]);
        pair.run(millis(delay));
        let before = between(&pair, B);
        pair.survive(B, &cluster(), takeover(1));
        assert_eq!(between(&pair, B), before);
        pair.run(secs(2));
        assert_between(&pair, MOVED, ADDRESSES[B]);
        assert!(pair.ikes(B)[0].extensions.contains(&"mobike"));
        relocate(&mut pair, A, AGAIN, ADDRESSES[B]);
        pair.run(secs(2));
        assert_between(&pair, AGAIN, ADDRESSES[B]);
    }
}
