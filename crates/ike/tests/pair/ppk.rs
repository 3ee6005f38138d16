//! Post-quantum pre-shared keys (RFC 8784).

use std::sync::Arc;

use crate::harness::*;
use crypto::Secret;
use ike::{Command, Error, Event, NotAuthentic, PpkRefusal, Takeover};
use policy::ppk::Ppk;

const KEY: &[u8] = b"a key that nobody computes";

fn ppk(id: &str, secret: &[u8], required: bool) -> Option<Ppk> {
    Some(Ppk {
        id: id.to_owned(),
        secret: Arc::new(Secret::from_slice(secret)),
        required,
    })
}

fn setup(a: Option<Ppk>, b: Option<Ppk>) -> Setup {
    let mut setup = Setup::default();
    (setup.ike[A].ppk, setup.ike[B].ppk) = (a, b);
    setup
}

/// Runs a handshake; whether both came to use the key, or `None` if there is no IKE SA.
fn run(setup: &Setup) -> (Pair, Option<bool>) {
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(secs(10));
    let (a, b) = (pair.ikes(A), pair.ikes(B));
    assert_eq!(a.len(), b.len(), "{}", pair.story());
    let uses = |one: &ike::IkeStatus| one.extensions.contains(&"ppk");
    let used = a.first().map(|one| {
        assert_eq!(uses(one), uses(&b[0]));
        uses(one)
    });
    pair.agree(usize::from(used.is_some()));
    (pair, used)
}

fn refusal(pair: &Pair, host: usize) -> Option<NotAuthentic> {
    let failed = |event: &Event| matches!(event, Event::HandshakeFailed { .. });
    match pair.event(host, failed) {
        Some(Event::HandshakeFailed {
            error: Error::NotAuthentic(why),
            ..
        }) => Some(why.clone()),
        _ => None,
    }
}

#[test]
fn both_use_the_key_or_none_as_the_policies_say() {
    let other = b"another key that nobody computes";
    for (a, b) in [(false, false), (false, true), (true, false), (true, true)] {
        // The same key: used, whoever insists.
        let (_, used) = run(&setup(ppk("one", KEY, a), ppk("one", KEY, b)));
        assert_eq!(used, Some(true));
        // Another name, or none at all: without, if nobody insists.
        let insists = a || b;
        let (_, used) = run(&setup(ppk("one", KEY, a), ppk("two", KEY, b)));
        assert_eq!(used, (!insists).then_some(false));
        let (_, used) = run(&setup(ppk("one", KEY, a), None));
        assert_eq!(used, (!a).then_some(false));
        let (_, used) = run(&setup(None, ppk("one", KEY, b)));
        assert_eq!(used, (!b).then_some(false));
        // The same name and another key is a mistake, never a reason to go on without.
        let (pair, used) = run(&setup(ppk("one", KEY, a), ppk("one", other, b)));
        assert_eq!(used, None);
        let why = refusal(&pair, B);
        assert!(matches!(why, Some(NotAuthentic::Auth { .. })), "{why:?}");
    }
}

#[test]
fn a_refusal_says_which_key_is_missing() {
    let (pair, _) = run(&setup(ppk("one", KEY, true), None));
    let not_used = Some(NotAuthentic::Ppk(PpkRefusal::NotUsed));
    assert_eq!(refusal(&pair, A), not_used);
    let (pair, _) = run(&setup(None, ppk("one", KEY, true)));
    assert_eq!(refusal(&pair, B), not_used);
    let (pair, _) = run(&setup(ppk("one", KEY, true), ppk("two", KEY, true)));
    let named = "one".to_owned();
    let unknown = Some(NotAuthentic::Ppk(PpkRefusal::Unknown { named }));
    assert_eq!(refusal(&pair, B), unknown);
}

#[test]
fn the_key_stays_in_what_follows() {
    let both = || ppk("one", KEY, true);
    let mut hybrid = crate::multiple::setup();
    (hybrid.ike[A].ppk, hybrid.ike[B].ppk) = (both(), both());
    let mut cut = setup(both(), both());
    cut.ike.iter_mut().for_each(in_fragments);
    for setup in [setup(both(), both()), hybrid, cut] {
        let (mut pair, used) = run(&setup);
        assert_eq!(used, Some(true));
        for side in [A, B] {
            let child = pair.child(side);
            pair.command(side, Command::RekeyChild(child));
            pair.run(millis(100));
            pair.agree(1);
            let ike = pair.ike(side);
            pair.command(side, Command::RekeyIke(ike));
            pair.run(millis(100));
            pair.agree(1);
            let takeover = Takeover {
                epoch: 1 + side as u16,
                grace: secs(30),
                spread: secs(60),
            };
            pair.survive(side, &setup, takeover);
            assert!(pair.ikes(side)[0].extensions.contains(&"ppk"));
        }
    }
}
