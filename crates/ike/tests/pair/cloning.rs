//! Another IKE SA beside one, without another IKE_AUTH (RFC 7791).

use crate::harness::*;
use crypto::Secret;
use ike::{
    Acquire, ApiMisuse, ChildRule, Command, Config, Error, Event, IkeSaId, Reason, Takeover,
};
use policy::child::ChildTemplate;
use policy::pad::{Mobike, Pad};
use policy::range::{AddressRange, PortRange};
use policy::sa::Bucket;
use std::collections::BTreeSet;
use std::sync::Arc;
use wire::ike::NotifyType;

const IKE_AUTH: u8 = 35;
const MOVED: &str = "10.0.0.9";

fn clustered(config: &mut Config) {
    for (bucket, address) in ADDRESSES.iter().enumerate() {
        config.buckets.insert(ip(address), Bucket(bucket as u8 + 1));
    }
}

fn setup() -> Setup {
    with_clones(Setup::default(), [2, 2])
}

fn with_clones(mut setup: Setup, clones: [u8; 2]) -> Setup {
    for (ike, clones) in setup.ike.iter_mut().zip(clones) {
        ike.clones = clones;
    }
    setup
}

/// Plain; with every message in fragments; and with more than one key exchange in each.
fn setups() -> [Setup; 3] {
    let mut cut = setup();
    cut.ike.iter_mut().for_each(in_fragments);
    [setup(), cut, with_clones(crate::multiple::setup(), [2, 2])]
}

/// Clones the only IKE SA. The answer: it, and its clone, at that host.
fn cloned(pair: &mut Pair, host: usize) -> (IkeSaId, IkeSaId) {
    let first = pair.ike(host);
    pair.command(host, Command::CloneIke(first));
    pair.run(millis(100));
    both(pair, 2);
    let others = pair.ikes(host).into_iter().filter(|one| one.ike != first);
    (first, others.last().unwrap().ike)
}

/// Both ends hold the same IKE SAs, so many of them.
fn both(pair: &Pair, count: usize) {
    let spis = |host: usize| -> BTreeSet<(u64, u64)> {
        let ikes = pair.ikes(host).into_iter();
        ikes.map(|one| (one.ike.0, one.peer_spi)).collect()
    };
    let swapped = spis(B).into_iter().map(|(ours, theirs)| (theirs, ours));
    assert_eq!(spis(A), swapped.collect(), "{}", pair.story());
    assert_eq!(spis(A).len(), count, "{}", pair.story());
}

/// Asks each IKE SA of a host something, which its peer must understand.
fn ask_all(pair: &mut Pair, host: usize) {
    for one in pair.ikes(host) {
        let before = pair.log.len();
        pair.command(host, Command::CheckLiveness(one.ike));
        pair.run(millis(3));
        assert!(pair.log.len() >= before + 2, "{}", pair.story());
    }
}

fn refused(with: NotifyType) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::ChildFailed { error: Error::Refused(why), .. } if *why == with)
}

fn is_cloned(event: &Event) -> bool {
    matches!(event, Event::IkeCloned { .. })
}

fn is_rekeyed(event: &Event) -> bool {
    matches!(event, Event::IkeRekeyed { .. })
}

#[test]
fn either_side_clones_and_the_first_goes_on_with_its_children() {
    for setup in setups() {
        for host in [A, B] {
            let mut pair = setup.pair();
            pair.establish();
            let children = [A, B].map(|side| pair.child(side));
            let (first, clone) = cloned(&mut pair, host);
            pair.agree(1);
            assert_eq!([A, B].map(|side| pair.child(side)), children);
            for side in [A, B] {
                assert!(pair.event(side, is_cloned).is_some());
                assert!(pair.event(side, is_rekeyed).is_none());
                ask_all(&mut pair, side);
            }
            assert!(pair.log.iter().all(|(_, one)| one.exchange() != IKE_AUTH));
            let count = |ike: IkeSaId| {
                let found = pair.ikes(host).into_iter().find(|one| one.ike == ike);
                found.unwrap().children.len()
            };
            assert_eq!((count(first), count(clone)), (1, 0));
            for side in [A, B] {
                assert_eq!(pair.hosts[side].endpoint.discards().total(), 0);
            }
        }
    }
}

#[test]
fn both_know_of_it_when_both_say_so() {
    for (clones, agreed) in [([2, 2], true), ([2, 0], false), ([0, 2], false)] {
        let mut pair = with_clones(Setup::default(), clones).pair();
        pair.establish();
        for host in [A, B] {
            let says = pair.ikes(host)[0].extensions.contains(&"cloning");
            assert_eq!(says, agreed, "{clones:?}");
            let (ike, now) = (pair.ike(host), pair.now);
            let endpoint = &mut pair.hosts[host].endpoint;
            let told = endpoint.handle_command(Command::CloneIke(ike), now);
            let expected = if agreed {
                Ok(())
            } else {
                Err(ApiMisuse::CannotClone(ike))
            };
            assert_eq!(told, expected, "{clones:?}");
        }
    }
}

#[test]
fn who_allows_no_more_says_so_and_everything_else_goes_on() {
    let mut pair = with_clones(Setup::default(), [3, 1]).pair();
    pair.establish();
    let (first, clone) = cloned(&mut pair, A);
    // A clone of a clone is as much as another one of the first.
    for ike in [first, clone] {
        pair.hosts[A].events.clear();
        pair.command(A, Command::CloneIke(ike));
        pair.run(millis(100));
        both(&pair, 2);
        let why = refused(NotifyType::NO_ADDITIONAL_SAS);
        assert!(pair.event(A, why).is_some(), "{}", pair.story());
    }
    let (of_b, now) = (pair.ikes(B)[0].ike, pair.now);
    let endpoint = &mut pair.hosts[B].endpoint;
    let told = endpoint.handle_command(Command::CloneIke(of_b), now);
    assert_eq!(told, Err(ApiMisuse::CannotClone(of_b)));
    // One that is deleted makes room, whichever it is.
    pair.command(A, Command::DeleteIke(clone));
    pair.run(millis(100));
    let (first, clone) = cloned(&mut pair, A);
    pair.command(A, Command::DeleteIke(first));
    pair.run(millis(100));
    assert_eq!(cloned(&mut pair, A).0, clone);
}

#[test]
fn who_does_not_want_it_any_more_refuses() {
    let mut pair = setup().pair();
    pair.establish();
    pair.survive(B, &with_clones(Setup::default(), [2, 0]), epoch(1));
    let ike = pair.ike(A);
    pair.command(A, Command::CloneIke(ike));
    pair.run(millis(100));
    both(&pair, 1);
    pair.agree(1);
    let why = refused(NotifyType::NO_ADDITIONAL_SAS);
    assert!(pair.event(A, why).is_some(), "{}", pair.story());
}

/// Whoever rekeys the IKE SA has no time for a clone of it, and the other way round: both come
/// again later.
#[test]
fn a_clone_and_a_rekeying_of_the_ike_sa_that_collide_both_come_to_be() {
    for setup in setups() {
        for host in [A, B] {
            for step in 0..12 {
                let mut pair = setup.pair();
                pair.establish();
                let (ours, theirs) = (pair.ike(host), pair.ike(1 - host));
                pair.command(host, Command::CloneIke(ours));
                pair.run(millis(1) * step / 4);
                let one = pair
                    .ikes(1 - host)
                    .into_iter()
                    .find(|one| one.ike == theirs);
                if one.is_some() {
                    pair.command(1 - host, Command::RekeyIke(theirs));
                }
                let begin = pair.elapsed();
                pair.run(secs(10));
                both(&pair, 2);
                pair.agree(1);
                if step < 4 {
                    // Neither had heard of the other's, and neither was served at once.
                    for event in [is_cloned, is_rekeyed] {
                        let at = pair.when(host, event).unwrap();
                        assert!(at >= begin + millis(500), "{}", pair.story());
                    }
                }
                for side in [A, B] {
                    assert!(pair.event(side, is_cloned).is_some(), "{}", pair.story());
                    assert!(pair.event(side, is_rekeyed).is_some(), "{}", pair.story());
                    ask_all(&mut pair, side);
                }
            }
        }
    }
}

#[test]
fn two_that_clone_at_once_get_one_each() {
    let mut pair = setup().pair();
    pair.establish();
    for host in [A, B] {
        let ike = pair.ike(host);
        pair.command(host, Command::CloneIke(ike));
    }
    pair.run(millis(100));
    both(&pair, 3);
    pair.agree(1);
}

#[test]
fn a_clone_does_not_collide_with_what_is_done_to_children() {
    for host in [A, B] {
        let mut pair = setup().pair();
        pair.establish();
        let (ike, child) = (pair.ike(host), pair.child(1 - host));
        pair.command(host, Command::CloneIke(ike));
        pair.command(1 - host, Command::RekeyChild(child));
        pair.run(millis(100));
        both(&pair, 2);
        pair.agree(1);
        assert_ne!(pair.child(1 - host), child);
    }
}

#[test]
fn each_is_rekeyed_and_deleted_alone() {
    for host in [A, B] {
        for side in [A, B] {
            let mut pair = setup().pair();
            pair.establish();
            cloned(&mut pair, host);
            let child = pair.child(side);
            for one in pair.ikes(side) {
                pair.command(side, Command::RekeyIke(one.ike));
                pair.run(millis(100));
                both(&pair, 2);
                pair.agree(1);
                assert_eq!(pair.child(side), child);
            }
            let of = |pair: &Pair, children: usize| {
                let mut all = pair.ikes(side).into_iter();
                all.find(|one| one.children.len() == children).unwrap().ike
            };
            let with = of(&pair, 1);
            pair.command(side, Command::DeleteIke(with));
            pair.run(millis(100));
            both(&pair, 1);
            pair.agree(0);
            // What is left serves as the first did.
            pair.acquire(A);
            pair.run(millis(100));
            both(&pair, 1);
            pair.agree(1);
            assert!(pair.log.iter().all(|(_, one)| one.exchange() != IKE_AUTH));
            let (_, clone) = cloned(&mut pair, side);
            pair.command(side, Command::DeleteIke(clone));
            pair.run(millis(100));
            both(&pair, 1);
            pair.agree(1);
        }
    }
}

#[test]
fn a_clone_without_a_child_stays_as_long_as_any_ike_sa() {
    let mut pair = setup().pair();
    pair.establish();
    let (first, clone) = cloned(&mut pair, A);
    pair.run(secs(50));
    both(&pair, 2);
    pair.run(secs(20));
    both(&pair, 1);
    pair.agree(1);
    assert_eq!(pair.ike(A), first);
    // Either side may be the first whose time is over.
    let reasons = [A, B].map(|host| {
        let closed = pair.event(host, |event| matches!(event, Event::IkeClosed { .. }));
        match closed {
            Some(Event::IkeClosed { ike, reason, .. }) if host == B || *ike == clone => reason,
            other => panic!("{other:?}"),
        }
    });
    assert!(reasons.contains(&&Reason::Childless), "{reasons:?}");
}

#[test]
fn traffic_that_a_clone_serves_gets_no_other_pair() {
    for seed in 0..8 {
        let setup = Setup { seed, ..setup() };
        let mut pair = setup.pair();
        pair.establish();
        let (first, _) = cloned(&mut pair, A);
        pair.acquire(A);
        pair.acquire(B);
        pair.run(millis(100));
        pair.agree(1);
        // What none serves goes to the one that has children.
        for host in [A, B] {
            let wanted = imap(&pair, host);
            pair.allow(host, &setup, &wanted);
        }
        let wanted = Box::new(imap(&pair, A));
        pair.command(A, Command::Acquire(wanted));
        pair.run(millis(100));
        pair.agree(2);
        let ikes = pair.ikes(A).into_iter();
        let children = ikes.map(|one| one.children.len() * usize::from(one.ike == first));
        assert_eq!(children.sum::<usize>(), 2, "{}", pair.story());
    }
}

#[test]
fn who_has_lost_everything_is_believed_about_all_clones() {
    let setup = setup();
    let mut pair = setup.pair();
    pair.establish();
    cloned(&mut pair, A);
    pair.crash(A, &setup);
    pair.acquire(A);
    pair.run(millis(100));
    both(&pair, 1);
    pair.agree(1);
}

#[test]
fn each_has_crash_tokens_of_its_own() {
    let makers = |seed| Setup {
        config: |config| config.qcd_secret = Some(Arc::new(Secret::from_slice(&[42; 32]))),
        seed,
        ..setup()
    };
    let again = makers(77);
    for (cloner, host) in [(A, A), (A, B), (B, A), (B, B)] {
        let mut pair = makers(1).pair();
        pair.establish();
        cloned(&mut pair, cloner);
        pair.crash(host, &again);
        let other = 1 - host;
        for one in pair.ikes(other) {
            pair.command(other, Command::CheckLiveness(one.ike));
        }
        pair.run(millis(100));
        let reason = Reason::LostByPeer;
        let lost =
            |event: &Event| matches!(event, Event::IkeClosed { reason: why, .. } if *why == reason);
        let ended = pair.hosts[other].events.iter();
        let ended = ended.filter(|(_, event)| lost(event)).count();
        assert_eq!(ended, 2, "{cloner} {host}\n{}", pair.story());
        // What the first protected begins anew.
        both(&pair, 1);
        pair.agree(1);
    }
}

#[test]
fn a_clone_goes_to_another_address_alone() {
    let setup = mobile();
    // Whoever clones, it is A that began and decides.
    for host in [A, B] {
        let mut pair = setup.pair();
        pair.establish();
        let clone = cloned_of_a(&mut pair, host);
        relocate(&mut pair, clone, MOVED);
        both(&pair, 2);
        assert_eq!(pair.spec(A).local, ip(ADDRESSES[A]));
        assert_eq!(pair.spec(B).remote, ip(ADDRESSES[A]));
        // Traffic between the other addresses is of the clone.
        let mut wanted = pair.acquire_of(A);
        wanted.local = ip(MOVED);
        pair.command(A, Command::Acquire(Box::new(wanted)));
        pair.run(millis(100));
        pair.agree(2);
        both(&pair, 2);
        for host in [A, B] {
            let ikes = pair.ikes(host);
            assert!(ikes.iter().all(|one| one.children.len() == 1));
            ask_all(&mut pair, host);
        }
        let ours = pair.hosts[A].sad.values().map(|one| one.spec.local);
        let expected = [ip(ADDRESSES[A]), ip(MOVED)];
        assert_eq!(ours.collect::<Vec<_>>(), expected, "{}", pair.story());
    }
}

#[test]
fn what_any_of_two_clones_serves_is_not_asked_for_again() {
    let setup = mobile();
    let mut pair = setup.pair();
    pair.establish();
    let clone = cloned_of_a(&mut pair, A);
    relocate(&mut pair, clone, MOVED);
    for host in [A, B] {
        let another = rule_of(&imap(&pair, host));
        let rules = vec![pair.hosts[host].rule.clone(), another];
        let pad = wide(&setup.pad(host));
        pair.command(host, Command::Reload { pad, rules });
    }
    let mut wanted = imap(&pair, A);
    wanted.local = ip(MOVED);
    pair.command(A, Command::Acquire(Box::new(wanted)));
    pair.run(millis(100));
    pair.agree(2);
    // Both are at one place again, each with a child of its own.
    relocate(&mut pair, clone, ADDRESSES[A]);
    for wanted in [pair.acquire_of(A), imap(&pair, A)] {
        pair.command(A, Command::Acquire(Box::new(wanted)));
        pair.run(millis(100));
        pair.agree(2);
        both(&pair, 2);
    }
}

/// Tunnels, of which A's end may move.
fn mobile() -> Setup {
    let mut setup = with_clones(Setup::default(), [1, 1]);
    setup.child = [ChildTemplate::tunnel(), ChildTemplate::tunnel()];
    for ike in &mut setup.ike {
        ike.mobike = Mobike::Offer;
    }
    setup.config = |config| config.pad = wide(&config.pad);
    setup
}

/// Every peer may be anywhere in the network.
fn wide(pad: &Pad) -> Arc<Pad> {
    let network = AddressRange::subnet(ip("10.0.0.0"), 24).unwrap();
    let peers = pad.peers().iter().cloned().map(|mut peer| {
        peer.addresses = vec![network];
        peer
    });
    Arc::new(Pad::new(peers.collect()))
}

/// The clone, as A knows it, of the only IKE SA.
fn cloned_of_a(pair: &mut Pair, host: usize) -> IkeSaId {
    let first = pair.ike(A);
    cloned(pair, host);
    let clone = pair.ikes(A).into_iter().find(|one| one.ike != first);
    clone.unwrap().ike
}

fn relocate(pair: &mut Pair, ike: IkeSaId, local: &str) {
    let (local, remote) = (ip(local), ip(ADDRESSES[B]));
    pair.command(A, Command::Relocate { ike, local, remote });
    pair.run(secs(1));
}

/// Traffic to another port of B, under a rule of its own.
fn imap(pair: &Pair, host: usize) -> Acquire {
    let mut wanted = pair.acquire_of(host);
    wanted.rule = "imap".into();
    wanted.flow = None;
    let server = match host {
        A => &mut wanted.selectors.remote,
        _ => &mut wanted.selectors.local,
    };
    server[0].ports = PortRange::single(143);
    wanted
}

fn rule_of(wanted: &Acquire) -> ChildRule {
    ChildRule {
        rule: wanted.rule.clone(),
        peer: None,
        child: wanted.child.clone(),
        selectors: wanted.selectors.clone(),
    }
}

fn epoch(epoch: u16) -> Takeover {
    Takeover {
        epoch,
        grace: secs(30),
        spread: secs(60),
    }
}

#[test]
fn another_member_goes_on_with_both() {
    for host in [A, B] {
        let setup = Setup {
            config: clustered,
            ..with_clones(Setup::default(), [1, 1])
        };
        let mut pair = setup.pair();
        pair.establish();
        let (_, clone) = cloned(&mut pair, host);
        pair.survive(host, &setup, epoch(1));
        both(&pair, 2);
        // It knows that there is one, and that both sides know how.
        let (ike, now) = (pair.ikes(host)[0].ike, pair.now);
        let endpoint = &mut pair.hosts[host].endpoint;
        let told = endpoint.handle_command(Command::CloneIke(ike), now);
        assert_eq!(told, Err(ApiMisuse::CannotClone(ike)));
        for side in [A, B] {
            for one in pair.ikes(side) {
                pair.command(side, Command::RekeyIke(one.ike));
                pair.run(millis(100));
            }
            both(&pair, 2);
            pair.agree(1);
        }
        assert!(pair.ikes(host).iter().all(|one| one.ike != clone));
        pair.survive(host, &setup, epoch(2));
        let idle = pair
            .ikes(host)
            .into_iter()
            .find(|one| one.children.is_empty());
        pair.command(host, Command::DeleteIke(idle.unwrap().ike));
        pair.run(millis(100));
        cloned(&mut pair, host);
        pair.agree(1);
    }
}

#[test]
fn a_takeover_in_the_middle_of_cloning_leaves_both_ends_agreed() {
    for mut setup in setups() {
        setup.config = clustered;
        for (host, cloner) in [(A, A), (A, B), (B, A), (B, B)] {
            for step in 0..24 {
                let mut pair = setup.pair();
                pair.establish();
                let ike = pair.ike(cloner);
                pair.command(cloner, Command::CloneIke(ike));
                pair.run(millis(1) * step / 4);
                pair.survive(host, &setup, epoch(1));
                pair.run(secs(20));
                both(&pair, 2);
                pair.agree(1);
                ask_all(&mut pair, A);
                ask_all(&mut pair, B);
            }
        }
    }
}
