//! Another member of the cluster goes on with ISAKMP SAs, whatever was under way.

use crate::harness::*;
use crate::v1::version_1;
use ike::{Command, Config, Event, Reason, Takeover};
use policy::sa::Bucket;
use std::collections::{BTreeMap, BTreeSet};

fn clustered(config: &mut Config) {
    for (bucket, address) in ADDRESSES.iter().enumerate() {
        config.buckets.insert(ip(address), Bucket(bucket as u8 + 1));
    }
}

fn setup() -> Setup {
    Setup {
        config: clustered,
        ..version_1()
    }
}

/// With a group of its own in every quick mode.
fn setups() -> [Setup; 2] {
    let mut with_groups = setup();
    for side in [A, B] {
        for one in &mut with_groups.child[side].proposals {
            one.groups = vec![crypto::Group::Ecp256];
        }
    }
    [setup(), with_groups]
}

fn epoch(epoch: u16) -> Takeover {
    Takeover {
        epoch,
        grace: secs(30),
        spread: secs(60),
    }
}

#[test]
fn a_survivor_rekeys_answers_and_deletes_as_the_first_would_have() {
    for setup in setups() {
        for host in [A, B] {
            let mut pair = setup.pair();
            pair.establish();
            pair.survive(host, &setup, epoch(1));
            pair.run(secs(1));
            assert_eq!(pair.log.len(), 0, "a takeover needs no message");
            for side in [A, B] {
                let child = pair.child(side);
                pair.command(side, Command::RekeyChild(child));
                pair.run(secs(10));
                pair.agree(1);
                let ike = pair.ike(side);
                pair.command(side, Command::CheckLiveness(ike));
                pair.run(secs(1));
                pair.command(side, Command::RekeyIke(ike));
                pair.run(secs(10));
                pair.agree(1);
            }
            pair.survive(host, &setup, epoch(2));
            let child = pair.child(host);
            pair.command(host, Command::DeleteChild(child));
            pair.run(millis(100));
            pair.agree(0);
        }
    }
}

#[test]
fn what_is_inherited_is_rekeyed_after_the_grace() {
    let setup = setup();
    let mut pair = setup.pair();
    pair.establish();
    let old = pair.child(B);
    pair.survive(B, &setup, epoch(1));
    pair.run(secs(30));
    assert_eq!(pair.child(B), old, "not before the grace is over");
    pair.run(secs(61 + 6));
    pair.agree(1);
    assert_ne!(pair.child(B), old);
}

/// What the hosts do in the tests below.
const DEEDS: [fn(&mut Pair); 6] = [
    |pair| pair.acquire(A),
    |pair| each_child(pair, A),
    |pair| each_child(pair, B),
    |pair| ask(pair, A),
    |pair| ask(pair, B),
    |pair| {
        each_child(pair, A);
        each_child(pair, B);
        ask(pair, B);
    },
];

fn each_child(pair: &mut Pair, host: usize) {
    if let Some(child) = pair.hosts[host].sad.keys().next_back().copied() {
        pair.command(host, Command::RekeyChild(child));
    }
}

fn ask(pair: &mut Pair, host: usize) {
    if let Some(one) = pair.ikes(host).first() {
        let ike = one.ike;
        pair.command(host, Command::CheckLiveness(ike));
    }
}

#[test]
fn a_takeover_in_the_middle_of_any_exchange_leaves_both_ends_agreed() {
    for setup in setups() {
        for deed in DEEDS {
            for host in [A, B] {
                // A quarter of the latency is every place between two messages.
                for step in 0..20 {
                    let mut pair = setup.pair();
                    pair.establish();
                    deed(&mut pair);
                    pair.run(millis(1) * step / 4);
                    pair.survive(host, &setup, epoch(1));
                    pair.run(secs(20));
                    let closed = |event: &Event| {
                        matches!(
                            event,
                            Event::IkeClosed {
                                reason: Reason::Failed(_),
                                ..
                            }
                        )
                    };
                    for side in [A, B] {
                        let lost = pair.event(side, closed).is_some();
                        assert!(!lost, "{step} {host}\n{}", pair.story());
                    }
                    // What a rekeying replaced is deleted a while later.
                    pair.run(secs(65));
                    pair.agree_on_pairs();
                    assert!(
                        !pair.hosts[A].sad.is_empty(),
                        "{step} {host}\n{}",
                        pair.story()
                    );
                }
            }
        }
    }
}

#[test]
fn no_message_of_an_exchange_has_two_contents() {
    for setup in setups() {
        for deed in DEEDS {
            for step in 0..20 {
                let mut pair = setup.pair();
                pair.establish();
                deed(&mut pair);
                pair.run(millis(1) * step / 4);
                pair.survive(B, &setup, epoch(1));
                pair.run(secs(5));
                let mut said: BTreeMap<(usize, u32), BTreeSet<Vec<u8>>> = BTreeMap::new();
                for (_, packet) in &pair.log {
                    let id = u32::from_be_bytes(packet.bytes[20..24].try_into().unwrap());
                    let of_id = said.entry((packet.from, id)).or_default();
                    of_id.insert(packet.bytes.clone());
                }
                // Who begins a quick mode says two things in it, and nobody more.
                assert!(said.values().all(|one| one.len() <= 2), "{}", pair.story());
            }
        }
    }
}

#[test]
fn a_survivor_takes_no_quick_mode_again_that_the_first_has_taken() {
    let setup = setup();
    let mut pair = setup.pair();
    pair.establish();
    each_child(&mut pair, A);
    pair.run(secs(90));
    let recorded: Vec<Packet> = pair.log.iter().map(|(_, one)| one.clone()).collect();
    pair.survive(B, &setup, epoch(1));
    let (child, before) = (pair.child(B), pair.hosts[B].events.len());
    for packet in recorded.iter().filter(|packet| packet.from == A) {
        pair.deliver(packet);
    }
    pair.run(secs(1));
    assert_eq!(pair.child(B), child);
    assert_eq!(pair.hosts[B].events.len(), before, "{}", pair.story());
}

#[test]
fn a_frozen_isakmp_sa_says_nothing_until_it_may() {
    let setup = setup();
    let mut pair = setup.pair();
    pair.establish();
    let address = ip(ADDRESSES[B]);
    pair.command(
        B,
        Command::Freeze {
            address,
            frozen: true,
        },
    );
    let (ike, theirs) = (pair.ike(A), pair.ike(B));
    pair.command(A, Command::CheckLiveness(ike));
    pair.run(millis(100));
    assert_eq!(pair.sent(B), 0);
    pair.command(
        B,
        Command::Freeze {
            address,
            frozen: false,
        },
    );
    pair.run(secs(1));
    assert!(pair.sent(B) > 0);
    pair.agree(1);
    // For ever: what it protects begins anew.
    pair.command(B, Command::Forsake { address });
    assert!(pair.hosts[B].endpoint.record(theirs, pair.now).is_none());
    pair.command(B, Command::ReplaceFrozen { address, count: 10 });
    pair.run(secs(90));
    pair.agree(1);
}
