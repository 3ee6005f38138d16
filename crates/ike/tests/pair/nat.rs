//! A NAT between the hosts: the addresses that each sees, and a peer whose address changes.

use crate::harness::*;
use ike::{Command, Event, Takeover};
use policy::pad::Pad;
use policy::range::AddressRange;
use policy::sa::{Bucket, Encapsulation, Hosts};
use std::sync::Arc;

const NAT: &str = "203.0.113.7";
const MOVED: &str = "203.0.113.99";

/// B takes A from wherever it comes, and could be a cluster.
fn setup() -> Setup {
    Setup {
        config: |config| {
            let peers = config.pad.peers().iter().cloned().map(|mut peer| {
                peer.addresses.clear();
                peer
            });
            config.pad = Arc::new(Pad::new(peers.collect()));
            for rule in &mut config.rules {
                let sides = [&mut rule.selectors.local, &mut rule.selectors.remote];
                for one in sides.into_iter().flatten() {
                    if one.addresses.contains(ip(ADDRESSES[A])) {
                        one.addresses = AddressRange::ANY_V4;
                    }
                }
            }
            config.buckets.insert(ip(ADDRESSES[B]), Bucket(1));
        },
        ..Setup::default()
    }
}

fn established() -> Pair {
    let mut pair = setup().pair();
    pair.nat = Some((ip(NAT), 1000));
    pair.acquire(A);
    pair.run(millis(100));
    assert_eq!((pair.hosts[A].sad.len(), pair.hosts[B].sad.len()), (1, 1));
    pair
}

/// What each side has in the end: its own view, and how the other wrote it.
fn views(pair: &Pair, public: &str) {
    for host in [A, B] {
        assert_eq!(pair.hosts[host].sad.len(), 1, "{}", pair.story());
    }
    let (own, server, public) = (ip(ADDRESSES[A]), ip(ADDRESSES[B]), ip(public));
    let hosts = |local, remote| Hosts { local, remote };
    let (a, b) = (pair.spec(A), pair.spec(B));
    assert_eq!(a.hosts(), hosts(own, server));
    assert_eq!(b.hosts(), hosts(server, public));
    assert_eq!(a.nat.written, Some(hosts(public, server)));
    assert_eq!(b.nat.written, Some(hosts(server, own)));
    assert!(a.nat.party.is_none() && b.nat.party.is_some());
}

fn rekey(pair: &mut Pair, host: usize) {
    let child = pair.child(host);
    pair.command(host, Command::RekeyChild(child));
    pair.run(secs(2));
    let ike = pair.ike(host);
    pair.command(host, Command::RekeyIke(ike));
    pair.run(secs(2));
}

#[test]
fn each_side_has_what_it_sees_and_knows_what_the_other_wrote() {
    let mut pair = established();
    views(&pair, NAT);
    let party = pair.spec(B).nat.party;
    for host in [A, B] {
        rekey(&mut pair, host);
        views(&pair, NAT);
        assert_eq!(pair.spec(B).nat.party, party);
    }
}

/// The public address changes: connections of the host go on as from the old one, through every
/// rekeying and on another member of the cluster, while the packets go to the new one.
#[test]
fn a_peer_that_moves_stays_the_same_host_for_the_traffic_inside() {
    let mut pair = established();
    let party = pair.spec(B).nat.party;
    pair.nat = Some((ip(MOVED), 2000));
    let ike = pair.ike(A);
    pair.command(A, Command::CheckLiveness(ike));
    pair.run(millis(100));
    let moved = Encapsulation::Udp {
        local_port: 4500,
        remote_port: 6500,
    };
    let takeover = Takeover {
        epoch: 1,
        grace: secs(3600),
        spread: secs(60),
    };
    for step in 0..3 {
        if step == 2 {
            pair.survive(B, &setup(), takeover);
        }
        if step > 0 {
            rekey(&mut pair, [A, B][step - 1]);
        }
        views(&pair, NAT);
        let b = pair.spec(B);
        assert_eq!((b.remote, b.encapsulation), (ip(MOVED), moved));
        assert_eq!(b.nat.party, party);
    }
}

/// Whoever repeats or forges messages from elsewhere moves nobody (security: the path follows what
/// is authentic and new).
#[test]
fn only_what_is_authentic_and_new_moves_a_peer() {
    let mut pair = established();
    let ike = pair.ike(A);
    pair.command(A, Command::CheckLiveness(ike));
    pair.run(millis(100));
    let old = pair.log.iter().rev().find(|(_, one)| one.from == A);
    let (_, mut packet) = old.unwrap().clone();
    pair.nat = Some((ip(MOVED), 2000));
    pair.deliver(&packet);
    packet.bytes[23] += 1;
    pair.deliver(&packet);
    pair.run(millis(100));
    let moved = |event: &Event| matches!(event, Event::PeerMoved { .. });
    assert!(pair.event(B, moved).is_none());
    assert_eq!(pair.spec(B).remote, ip(NAT));
}

/// Two that come from one place with two identities are two; who comes back is the same.
#[test]
fn a_client_that_authenticates_again_from_the_same_port_is_the_same_party() {
    let mut pair = established();
    let party = pair.spec(B).nat.party;
    let fresh = Setup { seed: 9, ..setup() };
    pair.crash(A, &fresh);
    pair.acquire(A);
    pair.run(millis(100));
    assert_eq!(pair.hosts[B].sad.len(), 1, "{}", pair.story());
    assert_eq!(pair.spec(B).nat.party, party);
    let mut other = setup();
    let name = policy::identity::Identity::Fqdn("other.example".into());
    other.ids[A] = name.clone();
    other.expected[B] = name;
    let mut pair = other.pair();
    pair.nat = Some((ip(NAT), 1000));
    pair.acquire(A);
    pair.run(millis(100));
    assert_ne!(pair.spec(B).nat.party, party);
}
