//! Several ISAKMP SAs with one peer: no pair is bound to one, and each end has its own view of which
//! was the last.

use crate::harness::*;
use crate::v1::{sends_on_the_new_one, version_1, without_main_mode};
use ike::{ChildState, Command};

/// Both replaced the ISAKMP SA at once: the pair went to the one that each end had last, and a Delete
/// may come under the other one.
fn apart() -> Pair {
    let mut pair = version_1().pair();
    pair.establish();
    for host in [A, B] {
        let ike = pair.ike(host);
        pair.command(host, Command::RekeyIke(ike));
    }
    pair.run(secs(10));
    pair
}

#[test]
fn a_pair_is_deleted_whichever_isakmp_sa_each_end_keeps_it_under() {
    for host in [A, B] {
        let mut pair = apart();
        let child = pair.child(host);
        pair.command(host, Command::DeleteChild(child));
        pair.run(millis(10));
        pair.agree(0);
    }
}

#[test]
fn a_pair_is_replaced_whichever_isakmp_sa_each_end_keeps_it_under() {
    for host in [A, B] {
        let mut pair = apart();
        let old = pair.child(1 - host);
        let child = pair.child(host);
        pair.command(host, Command::RekeyChild(child));
        pair.run(millis(100));
        // Who answered has given up the old one, which else would send until it is deleted.
        let state = |host: usize, id| {
            let status = pair.hosts[host].endpoint.status(pair.now);
            let mut children = status.into_iter().flat_map(|ike| ike.children);
            children.find(|one| one.child == id).unwrap().state
        };
        assert_eq!(state(1 - host, old), ChildState::Replaced);
        assert!(sends_on_the_new_one(&pair, 1 - host));
        pair.run(secs(70));
        pair.agree(1);
    }
}

#[test]
fn both_ends_rekey_pairs_under_isakmp_sas_of_their_own_and_one_pair_stays() {
    let mut pair = apart();
    for host in [A, B] {
        let child = pair.child(host);
        pair.command(host, Command::RekeyChild(child));
    }
    pair.run(secs(70));
    pair.agree(1);
}

#[test]
fn an_isakmp_sa_that_the_peer_has_deleted_is_deleted_here_with_its_pairs() {
    let mut pair = without_main_mode([600, 600]);
    let gone = pair.hosts[A].endpoint.status(pair.now);
    let ike = gone.first().unwrap().ike;
    pair.command(A, Command::DeleteIke(ike));
    assert!(pair.hosts[A].sad.is_empty(), "{}", pair.story());
}

#[test]
fn a_pair_sends_though_it_moves_while_its_quick_mode_is_under_way() {
    for (main, quick) in [(A, A), (A, B), (B, A), (B, B)] {
        for ahead in 0..12 {
            let mut pair = version_1().pair();
            pair.establish();
            let (ike, child) = (pair.ike(main), pair.child(quick));
            pair.command(main, Command::RekeyIke(ike));
            pair.run(millis(ahead));
            pair.command(quick, Command::RekeyChild(child));
            pair.run(secs(1));
            let story = || format!("{ahead} ms\n{}", pair.story());
            assert!(sends_on_the_new_one(&pair, 1 - quick), "{}", story());
            // Who answered needs no Delete to know that the old pair is given up.
            let status = pair.hosts[1 - quick].endpoint.status(pair.now);
            let children = status.into_iter().flat_map(|ike| ike.children);
            let stays = children.filter(|one| one.state == ChildState::Installed);
            assert_eq!(stays.count(), 1, "{}", story());
            pair.run(secs(70));
            pair.agree(1);
        }
    }
}
