//! Another member of the cluster goes on with the IKE SAs of a host, whatever was under way.

use crate::harness::*;
use ike::{Command, Config, Event, Takeover};
use policy::sa::Bucket;
use policy::timers::{ChildLifetime, IkeLifetime};
use std::time::Duration;

/// Both hosts could be clusters.
fn clustered(config: &mut Config) {
    for (bucket, address) in ADDRESSES.iter().enumerate() {
        config.buckets.insert(ip(address), Bucket(bucket as u8 + 1));
    }
}

fn setup() -> Setup {
    Setup {
        config: clustered,
        ..Setup::default()
    }
}

/// That; with every message in fragments; and with more than one key exchange in each.
fn setups() -> [Setup; 3] {
    let mut cut = setup();
    cut.ike.iter_mut().for_each(in_fragments);
    let multiple = Setup {
        config: clustered,
        ..crate::multiple::setup()
    };
    [setup(), cut, multiple]
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
    let setup = setup();
    for host in [A, B] {
        let mut pair = setup.pair();
        pair.establish();
        pair.survive(host, &setup, epoch(1));
        pair.run(secs(1));
        assert_eq!(pair.log.len(), 0, "a takeover needs no message");
        for side in [A, B] {
            let child = pair.child(side);
            pair.command(side, Command::RekeyChild(child));
            pair.run(millis(100));
            pair.agree(1);
            let ike = pair.ike(side);
            pair.command(side, Command::RekeyIke(ike));
            pair.run(millis(100));
            pair.agree(1);
        }
        pair.survive(host, &setup, epoch(2));
        let child = pair.child(host);
        pair.command(host, Command::DeleteChild(child));
        pair.run(millis(100));
        pair.agree(0);
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
    pair.run(secs(61));
    pair.agree(1);
    assert_ne!(pair.child(B), old);
}

/// What the hosts do in the test below.
const DEEDS: [fn(&mut Pair); 6] = [
    |pair| pair.acquire(A),
    |pair| each_child(pair, A),
    |pair| each_child(pair, B),
    |pair| each_ike(pair, A),
    |pair| each_ike(pair, B),
    |pair| {
        each_child(pair, A);
        each_child(pair, B);
        each_ike(pair, B);
    },
];

fn with_deeds(setup: &Setup) -> impl Iterator<Item = (&Setup, fn(&mut Pair))> {
    DEEDS.into_iter().map(move |deed| (setup, deed))
}

fn each_child(pair: &mut Pair, host: usize) {
    if let Some(child) = pair.hosts[host].sad.keys().next_back().copied() {
        pair.command(host, Command::RekeyChild(child));
    }
}

fn each_ike(pair: &mut Pair, host: usize) {
    if let Some(one) = pair.ikes(host).first() {
        let ike = one.ike;
        pair.command(host, Command::RekeyIke(ike));
    }
}

#[test]
fn a_takeover_in_the_middle_of_any_exchange_leaves_both_ends_agreed() {
    for (setup, deed) in setups().iter().flat_map(with_deeds) {
        for host in [A, B] {
            // A quarter of the latency is every place between two messages.
            for step in 0..24 {
                let mut pair = setup.pair();
                pair.establish();
                deed(&mut pair);
                pair.run(millis(1) * step / 4);
                pair.survive(host, setup, epoch(1));
                pair.run(secs(20));
                pair.agree(1);
                let lost = |event: &Event| {
                    matches!(event, Event::IkeClosed { reason, .. }
                    if matches!(reason, ike::Reason::Failed(_)))
                };
                for side in [A, B] {
                    let lost = pair.event(side, lost).is_some();
                    assert!(!lost, "{step} {host}\n{}", pair.story());
                }
            }
        }
    }
}

#[test]
fn no_message_id_has_two_contents() {
    for (setup, deed) in setups().iter().flat_map(with_deeds) {
        for step in 0..24 {
            let mut pair = setup.pair();
            pair.establish();
            deed(&mut pair);
            pair.run(millis(1) * step / 4);
            pair.survive(B, setup, epoch(1));
            pair.run(secs(5));
            let mut seen = std::collections::BTreeMap::new();
            for (_, packet) in pair.log.iter().filter(|(_, packet)| packet.from == B) {
                // Both SPIs, exchange and flags, message id, and which fragment.
                let fragment = packet.fragment().unwrap_or_default();
                let key = [&packet.bytes[..16], &packet.bytes[18..24], &fragment].concat();
                let first = seen.entry(key).or_insert(&packet.bytes);
                assert!(*first == &packet.bytes, "step {step}\n{}", pair.story());
            }
        }
    }
}

#[test]
fn frozen_sas_say_nothing_and_are_replaced_on_new_keys() {
    let setup = setup();
    let mut pair = setup.pair();
    pair.establish();
    let (old, old_ike) = (pair.child(B), pair.ike(B));
    let address = ip(ADDRESSES[B]);
    let frozen = true;
    pair.command(B, Command::Freeze { address, frozen });
    pair.command(A, Command::CheckLiveness(pair.ike(A)));
    pair.run(millis(200));
    assert_eq!(pair.sent(B), 0, "a frozen IKE SA says nothing");
    pair.command(B, Command::ReplaceFrozen { address, count: 9 });
    pair.run(Duration::from_secs(60));
    let live = pair.ikes(B);
    assert!(live.iter().all(|one| one.ike != old_ike), "{live:#?}");
    assert_eq!(live.len(), 1, "{}", pair.story());
    let newest = pair.hosts[B].sad.keys().next_back();
    assert_ne!(newest, Some(&old), "{}", pair.story());
}

#[test]
fn a_silent_sa_that_was_to_be_deleted_ends() {
    let setup = setup();
    let mut pair = setup.pair();
    pair.establish();
    let (ike, address) = (pair.ike(B), ip(ADDRESSES[B]));
    pair.command(B, Command::DeleteIke(ike));
    pair.command(B, Command::Forsake { address });
    pair.command(B, Command::ReplaceFrozen { address, count: 9 });
    pair.run(secs(11));
    let live = pair.ikes(B);
    assert!(live.iter().all(|one| one.ike != ike), "{live:#?}");
    assert!(pair.hosts[B].sad.is_empty(), "{}", pair.story());
}

#[test]
fn what_was_replaced_in_silence_and_may_speak_again_says_that_it_ends() {
    let setup = setup();
    let mut pair = setup.pair();
    pair.establish();
    let (old, address) = (pair.ike(A), ip(ADDRESSES[B]));
    let frozen = |frozen| Command::Freeze { address, frozen };
    pair.command(B, frozen(true));
    pair.command(B, Command::ReplaceFrozen { address, count: 9 });
    pair.run(millis(500));
    pair.command(B, frozen(false));
    pair.run(secs(11));
    let live = pair.ikes(A);
    assert!(live.iter().all(|one| one.ike != old), "{}", pair.story());
    pair.agree(1);
}

/// A gives up what fell silent at B; then B may speak again, and sends with it. The successor is
/// where A can tell.
#[test]
fn esp_of_an_ike_sa_that_the_peer_has_lost_ends_when_it_says_so_in_another() {
    let setup = setup();
    let mut pair = setup.pair();
    pair.establish();
    let (old, old_ike) = (pair.child(B), pair.ike(A));
    let (spi, address) = (pair.spec(B).outbound_spi, ip(ADDRESSES[B]));
    let frozen = |frozen| Command::Freeze { address, frozen };
    pair.command(B, frozen(true));
    pair.command(B, Command::ReplaceFrozen { address, count: 9 });
    pair.run(secs(2));
    pair.command(A, Command::Forget(old_ike));
    pair.command(B, frozen(false));
    let acquire = Some(Box::new(pair.acquire_of(A)));
    let spi_came = Command::InvalidSpi {
        local: ip(ADDRESSES[A]),
        remote: address,
        spi,
        acquire,
    };
    assert!(pair.hosts[B].sad.contains_key(&old));
    pair.command(A, spi_came);
    pair.run(millis(10));
    assert!(!pair.hosts[B].sad.contains_key(&old), "{}", pair.story());
    pair.agree(1);
}

#[test]
fn only_what_is_frozen_is_forsaken() {
    for frozen in [true, false] {
        let setup = setup();
        let mut pair = setup.pair();
        pair.establish();
        let address = ip(ADDRESSES[B]);
        pair.command(B, Command::Freeze { address, frozen });
        pair.command(B, Command::ForsakeFrozen { address });
        let thaw = Command::Freeze {
            address,
            frozen: false,
        };
        pair.command(B, thaw);
        pair.log.clear();
        pair.command(A, Command::CheckLiveness(pair.ike(A)));
        pair.run(millis(200));
        assert_eq!(pair.sent(B) == 0, frozen, "{}", pair.story());
    }
}

#[test]
fn what_is_near_its_end_is_rekeyed_within_the_grace() {
    let mut setup = setup();
    for side in [A, B] {
        setup.ike[side].lifetime = IkeLifetime::of(secs(40));
        setup.child[side].lifetime = ChildLifetime::of(secs(40));
    }
    // Every moment of a life.
    for age in (1..36).step_by(5) {
        let mut pair = setup.pair();
        pair.establish();
        pair.run(secs(age));
        pair.survive(B, &setup, epoch(1));
        pair.survive(A, &setup, epoch(1));
        pair.run(secs(120));
        pair.agree(1);
        let ended = |event: &Event| match event {
            Event::IkeClosed { reason, .. } => matches!(reason, ike::Reason::Lifetime),
            Event::ChildClosed { reason, .. } => matches!(reason, ike::Reason::Lifetime),
            _ => false,
        };
        for side in [A, B] {
            let ended = pair.event(side, ended);
            assert!(ended.is_none(), "{age} s: {}", pair.story());
        }
    }
}

#[test]
fn a_record_of_anything_else_is_refused() {
    let setup = setup();
    let mut pair = setup.pair();
    pair.establish();
    let (ike, now) = (pair.ike(B), pair.now);
    let record = pair.hosts[B].endpoint.record(ike, now).unwrap();
    let rule = pair.hosts[B].rule.clone();
    let known = |_: &str| Some((rule.rule.clone(), rule.child.clone()));
    let pad = setup.pad(B);
    let directory = ike::Directory {
        pad: &pad,
        rule: &known,
    };
    let octets = record.octets();
    for cut in 0..octets.len() {
        let record = ike::Record::from_octets(&octets[..cut]);
        let fresh = &mut pair.hosts[A].endpoint;
        let adopted = fresh.adopt(&record, &directory, epoch(1), now);
        assert_eq!(adopted, Err(ike::BadRecord::Malformed), "cut at {cut}");
    }
    let nobody = policy::Pad::default();
    let none = |_: &str| None;
    for (pad, rule, words) in [
        (&nobody, &known as &dyn Fn(&str) -> _, "peer other"),
        (&*pad, &none, "rule pop3"),
    ] {
        let directory = ike::Directory { pad, rule };
        let why = ike::Endpoint::inspect(&record, &directory).err().unwrap();
        assert!(why.to_string().contains(words), "{why}");
    }
}
