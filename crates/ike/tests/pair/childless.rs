//! IKE SAs that begin without a child (RFC 6023).

use crate::harness::*;
use ike::{Event, Reason};
use policy::pad::Childless;

const CREATE_CHILD_SA: u8 = 36;

/// A prefers to begin without a child, and the rule has a group for it.
fn setup(responder: Childless) -> Setup {
    let mut setup = Setup::default();
    setup.ike[A].childless = Childless::Prefer;
    setup.ike[B].childless = responder;
    for child in &mut setup.child {
        child.proposals = vec!["aes128gcm16-x25519-esn".parse().unwrap()];
    }
    setup
}

fn own_exchange(pair: &Pair) -> bool {
    let of = |one: &(_, Packet)| one.1.exchange() == CREATE_CHILD_SA;
    let group = pair.hosts[A].endpoint.status(pair.now)[0].children[0]
        .suite
        .group;
    assert_eq!(group.is_some(), pair.log.iter().any(of));
    group.is_some()
}

#[test]
fn the_first_child_has_a_key_exchange_of_its_own_if_the_responder_allows_it() {
    for (responder, expected) in [
        (Childless::Prefer, true),
        (Childless::Accept, true),
        (Childless::Never, false),
    ] {
        let mut pair = setup(responder).pair();
        pair.acquire(A);
        pair.run(millis(100));
        pair.agree(1);
        assert_eq!(own_exchange(&pair), expected, "{responder:?}");
    }
}

#[test]
fn what_is_asked_for_meanwhile_is_asked_once() {
    let mut pair = setup(Childless::Accept).pair();
    pair.acquire(A);
    for _ in 0..20 {
        pair.run(millis(1) / 2);
        pair.acquire(A);
    }
    pair.run(millis(100));
    pair.agree(1);
}

#[test]
fn a_handshake_that_fails_gives_back_all_that_waited() {
    let mut setup = setup(Childless::Accept);
    setup.psk[B] = b"another key of more than one hundred and twenty-eight bits".to_vec();
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(secs(10));
    let failed = |event: &Event| matches!(event, Event::AcquireFailed { .. });
    assert!(pair.event(A, failed).is_some(), "{}", pair.story());
}

#[test]
fn an_ike_sa_whose_child_is_refused_stays_for_a_while() {
    let mut setup = setup(Childless::Accept);
    setup.child[B].proposals = vec!["aes256gcm16-x25519-esn".parse().unwrap()];
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(secs(1));
    pair.agree(0);
    assert_eq!((pair.ikes(A).len(), pair.ikes(B).len()), (1, 1));
    pair.run(secs(70));
    let closed = |event: &Event| {
        matches!(
            event,
            Event::IkeClosed {
                reason: Reason::Childless,
                ..
            }
        )
    };
    assert!(pair.event(A, closed).is_some() || pair.event(B, closed).is_some());
    assert!(pair.ikes(A).is_empty() && pair.ikes(B).is_empty());
}
