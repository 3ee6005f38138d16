//! What is under way when the policy changes follows the new one.

use std::sync::Arc;

use ike::{ChildRule, Command, Error, Event};

use crate::harness::*;

fn rules(pair: &Pair, host: usize) -> Vec<ChildRule> {
    vec![pair.hosts[host].rule.clone()]
}

/// The only rule with another template.
fn changed(pair: &Pair, host: usize) -> Vec<ChildRule> {
    let mut rules = rules(pair, host);
    Arc::make_mut(&mut rules[0].child).replay_window += 64;
    rules
}

fn reload(pair: &mut Pair, host: usize, setup: &Setup, rules: Vec<ChildRule>) {
    let pad = setup.pad(host);
    pair.command(host, Command::Reload { pad, rules });
}

fn handshake_failed(event: &Event) -> bool {
    matches!(
        event,
        Event::HandshakeFailed {
            error: Error::PolicyChanged,
            ..
        }
    )
}

fn acquire_failed(event: &Event) -> bool {
    matches!(
        event,
        Event::AcquireFailed {
            error: Error::PolicyChanged,
            ..
        }
    )
}

fn established(event: &Event) -> bool {
    matches!(event, Event::ChildEstablished { .. })
}

/// IKE_SA_INIT leaves at once, IKE_AUTH after two milliseconds.
#[test]
fn a_handshake_with_an_old_key_begins_anew() {
    for wait in [0, 2] {
        let mut setup = Setup::default();
        setup.psk[A] = b"the key that was configured before the reload".to_vec();
        let mut pair = setup.pair();
        pair.acquire(A);
        pair.run(millis(wait));
        setup.psk[A] = PSK.to_vec();
        let same = rules(&pair, A);
        reload(&mut pair, A, &setup, same);
        assert!(pair.event(A, handshake_failed).is_some());
        pair.run(millis(100));
        pair.agree(1);
        assert_eq!(pair.ikes(A).len(), 1);
        assert!(pair.event(A, acquire_failed).is_none());
    }
}

#[test]
fn a_handshake_with_a_peer_that_is_gone_ends() {
    for wait in [0, 2] {
        let mut pair = Setup::default().pair();
        pair.acquire(A);
        pair.run(millis(wait));
        let pad = Arc::new(policy::pad::Pad::default());
        let rules = rules(&pair, A);
        pair.command(A, Command::Reload { pad, rules });
        assert!(pair.event(A, handshake_failed).is_some());
        let waited = |event: &Event| matches!(event, Event::AcquireFailed { .. });
        assert!(pair.event(A, waited).is_some());
        assert!(pair.hosts[A].endpoint.status(pair.now).is_empty());
        pair.run(millis(100));
        assert!(pair.hosts[A].sad.is_empty());
    }
}

#[test]
fn a_handshake_goes_on_when_nothing_about_it_changed() {
    for wait in [0, 2] {
        let setup = Setup::default();
        let mut pair = setup.pair();
        pair.acquire(A);
        pair.run(millis(wait));
        let same = rules(&pair, A);
        reload(&mut pair, A, &setup, same);
        pair.run(millis(100));
        pair.agree(1);
        assert!(pair.event(A, handshake_failed).is_none());
    }
}

#[test]
fn a_handshake_that_nothing_waits_for_any_more_ends() {
    let setup = Setup::default();
    let mut pair = setup.pair();
    pair.acquire(A);
    reload(&mut pair, A, &setup, Vec::new());
    assert!(pair.event(A, handshake_failed).is_some());
    assert!(pair.event(A, acquire_failed).is_some());
    assert!(pair.hosts[A].endpoint.status(pair.now).is_empty());
}

/// The IKE SA comes to be; the child under the old rule does not.
#[test]
fn the_child_of_ike_auth_is_not_taken_under_an_old_rule() {
    for gone in [false, true] {
        let setup = Setup::default();
        let mut pair = setup.pair();
        pair.acquire(A);
        pair.run(millis(2));
        let rules = if gone { Vec::new() } else { changed(&pair, A) };
        reload(&mut pair, A, &setup, rules);
        pair.run(millis(100));
        pair.agree(0);
        assert_eq!(pair.ikes(A).len(), 1);
        assert!(pair.event(A, acquire_failed).is_some());
        assert!(pair.event(A, established).is_none());
    }
}

#[test]
fn the_child_of_create_child_sa_is_not_taken_under_an_old_rule() {
    let setup = Setup::default();
    let mut pair = setup.pair();
    pair.establish();
    let child = pair.child(A);
    pair.command(A, Command::DeleteChild(child));
    pair.run(millis(10));
    pair.acquire(A);
    // This one waits for the window.
    let mut next = pair.acquire_of(A);
    next.rule = "imap".into();
    pair.command(A, Command::Acquire(Box::new(next)));
    let rules = changed(&pair, A);
    reload(&mut pair, A, &setup, rules);
    let queued = |event: &Event| {
        acquire_failed(event)
            && matches!(event, Event::AcquireFailed { rule, .. } if *rule == "imap".into())
    };
    assert!(pair.event(A, queued).is_some());
    pair.run(millis(100));
    pair.agree(0);
    let flying = |event: &Event| acquire_failed(event) && !queued(event);
    assert!(pair.event(A, flying).is_some());
    assert!(pair.event(A, established).is_none());
    assert_eq!(pair.ikes(A).len(), 1);
}

#[test]
fn narrower_selectors_are_another_rule() {
    let setup = Setup::default();
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(millis(2));
    let mut rules = rules(&pair, A);
    rules[0].selectors.remote[0].ports = policy::range::PortRange::single(995);
    reload(&mut pair, A, &setup, rules);
    pair.run(millis(100));
    pair.agree(0);
    assert!(pair.event(A, acquire_failed).is_some());
}

#[test]
fn a_pair_is_not_rekeyed_under_an_old_template() {
    let setup = Setup::default();
    let mut pair = setup.pair();
    pair.establish();
    let child = pair.child(A);
    pair.command(A, Command::RekeyChild(child));
    let rules = changed(&pair, A);
    reload(&mut pair, A, &setup, rules);
    pair.run(millis(100));
    assert_eq!(pair.child(A), child);
    let failed = |event: &Event| {
        matches!(
            event,
            Event::ChildFailed {
                error: Error::PolicyChanged,
                ..
            }
        )
    };
    assert!(pair.event(A, failed).is_some());
    assert!(pair.event(A, established).is_none());
}
