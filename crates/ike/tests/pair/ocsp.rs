//! Certificates that may have been revoked: responders are asked, and the handshakes wait (RFC 6960,
//! RFC 4806).

use std::sync::Arc;

use crate::certificates::{NOW, World, call, reason};
use crate::harness::*;
use crypto::hash::sha256;
use ike::{Command, Discard, Event};
use policy::auth::LocalAuth;
use policy::identity::Identity;
use responder::Say;
use x509::Online;

#[path = "../../../x509/src/testing/responder.rs"]
mod responder;

const URL: &str = "http://ocsp.example/";
const THIS: &str = "20260601000000Z";
const NEXT: Option<&str> = Some("20260602000000Z");
const EARLIER: &str = "20260501000000Z";

/// A host asks about the other's certificate.
fn asking(world: &World, host: usize, required: bool) -> Setup {
    let responder = Some(URL.to_owned());
    asking_of(
        world,
        host,
        Online {
            required,
            responder,
        },
    )
}

fn asking_of(world: &World, host: usize, online: Online) -> Setup {
    let mut setup = world.setup();
    setup.auth[host].as_mut().unwrap().remote = world.asks(online);
    setup
}

/// What the issuer says of a host's certificate.
fn say(world: &World, host: usize) -> Say<'_> {
    let own = &world.own[host].certificates[0];
    let said = Say::good(own.issuer().der(), own.serial(), world.middle.key(), THIS);
    Say { next: NEXT, ..said }
}

/// Answers the only question of a host.
fn answer(pair: &mut Pair, host: usize, answer: Result<Vec<u8>, String>) {
    let mut asked = std::mem::take(&mut pair.hosts[host].asked);
    assert_eq!(asked.len(), 1, "{}", pair.story());
    let question = asked.remove(0).question;
    pair.command(host, Command::CertificateStatus { question, answer });
}

fn none(pair: &Pair, host: usize) -> bool {
    pair.hosts[host].asked.is_empty()
}

fn refused(pair: &mut Pair, host: usize, parts: &[&str]) {
    pair.run(millis(200));
    pair.agree(0);
    let text = reason(pair, host);
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

fn discarded(pair: &Pair, host: usize, reason: Discard) -> u64 {
    pair.hosts[host].endpoint.discards().get(reason)
}

#[test]
fn a_good_answer_lets_the_handshake_go_on_and_is_remembered() {
    let world = World::new();
    for host in [A, B] {
        for required in [false, true] {
            let setup = asking(&world, host, required);
            let mut pair = call(&setup, NOW);
            assert_eq!(pair.hosts[host].asked[0].responder, URL);
            pair.run(millis(800));
            assert!(pair.hosts[host].sad.is_empty(), "{}", pair.story());
            if host == B {
                // A repeats its request; it waits here already.
                assert!(discarded(&pair, B, Discard::StatusAwaited) > 2);
            }
            let request = pair.hosts[host].asked[0].request.clone();
            let nonce = &request[request.len() - 32..];
            let good = Say {
                nonce: Some(nonce),
                ..say(&world, 1 - host)
            };
            answer(&mut pair, host, Ok(good.response()));
            pair.run(millis(200));
            pair.agree(1);
            // The other begins anew: what was said holds until tomorrow.
            pair.crash(1 - host, &setup);
            pair.command(1 - host, Command::SetClock(NOW));
            pair.acquire(1 - host);
            pair.run(millis(200));
            assert!(none(&pair, host), "{}", pair.story());
        }
    }
}

#[test]
fn what_was_revoked_is_refused_and_said_with_when() {
    let world = World::new();
    for (host, name) in [(A, "b.example"), (B, "a.example")] {
        for required in [false, true] {
            let mut pair = call(&asking(&world, host, required), NOW);
            let revoked = say(&world, 1 - host).revoked("20260301000000Z");
            answer(&mut pair, host, Ok(revoked.response()));
            let at = "was revoked by `C=DE, CN=middle` at 2026-03-01T00:00:00Z";
            refused(&mut pair, host, &[name, at]);
            if host == B {
                assert!(reason(&pair, A).contains("AUTHENTICATION_FAILED"));
            }
        }
    }
}

#[test]
fn without_an_answer_one_goes_on_and_the_other_does_not() {
    let world = World::new();
    let unknown = Say {
        status: vec![0x82, 0],
        ..say(&world, A)
    };
    let late = Say {
        this: EARLIER,
        next: Some("20260502000000Z"),
        ..say(&world, A)
    };
    let cases = [
        (Err("it is on fire".to_owned()), "it is on fire"),
        (Ok(b"nonsense".to_vec()), "no OCSP response"),
        (Ok(vec![0x30, 3, 0x0a, 1, 3]), "try later"),
        (Ok(unknown.response()), "does not know the certificate"),
        (Ok(late.response()), "held until 2026-05-02"),
    ];
    for (given, says) in cases {
        let mut pair = call(&asking(&world, B, false), NOW);
        answer(&mut pair, B, given.clone());
        pair.run(millis(200));
        pair.agree(1);
        let told = |event: &Event| matches!(event, Event::StatusUnknown { .. });
        let told = pair.event(B, told).unwrap().to_string();
        assert!(
            told.contains("CN=a.example") && told.contains(says),
            "{told}"
        );

        let mut pair = call(&asking(&world, B, true), NOW);
        answer(&mut pair, B, given);
        refused(&mut pair, B, &["CN=a.example` may be revoked", says]);
        // For a moment nobody is asked again.
        pair.acquire(A);
        refused(&mut pair, B, &[says]);
        assert!(none(&pair, B));
        pair.run(secs(11));
        pair.acquire(A);
        pair.run(millis(200));
        answer(&mut pair, B, Ok(say(&world, A).response()));
        pair.run(millis(200));
        pair.agree(1);
    }
}

#[test]
fn an_answer_that_never_comes_or_too_late() {
    let world = World::new();
    for host in [A, B] {
        for required in [false, true] {
            let mut pair = call(&asking(&world, host, required), NOW);
            pair.run(secs(5));
            match required {
                false => pair.agree(1),
                true => refused(&mut pair, host, &["has not answered for 4 s"]),
            }
            // Nobody waits for it any longer.
            answer(&mut pair, host, Ok(say(&world, 1 - host).response()));
            answer_of_nobody(&mut pair, host);
            pair.run(millis(200));
        }
    }
}

fn answer_of_nobody(pair: &mut Pair, host: usize) {
    let answer = Err("it was not asked".to_owned());
    let question = 4711;
    pair.command(host, Command::CertificateStatus { question, answer });
}

#[test]
fn nobody_to_ask() {
    let world = World::new();
    let with = |required| {
        let responder = None;
        call(
            &asking_of(
                &world,
                B,
                Online {
                    required,
                    responder,
                },
            ),
            NOW,
        )
    };
    let pair = with(false);
    assert!(none(&pair, B));
    pair.agree(1);
    let parts = ["CN=a.example` may be revoked", "`ocsp_responder`"];
    refused(&mut with(true), B, &parts);
}

#[test]
fn nobody_is_asked_about_a_certificate_that_is_refused_anyway() {
    let world = World::new();
    let mut setup = asking(&world, B, true);
    setup.ids[A] = Identity::parse("c.example").unwrap();
    setup.expected[B] = Identity::Any;
    let mut pair = call(&setup, NOW);
    assert!(none(&pair, B));
    refused(&mut pair, B, &["is not for `c.example`"]);
    let mut expired = call(&asking(&world, B, true), 1_900_000_000);
    assert!(none(&expired, B));
    refused(&mut expired, B, &["expired"]);
}

#[test]
fn who_brings_the_answer_along_spares_the_question() {
    let world = World::new();
    for host in [A, B] {
        let with = |said: Say<'_>| {
            let setup = asking(&world, host, true);
            let mut pair = setup.pair();
            let own = &world.own[1 - host].certificates[0];
            let command = Command::SetOwnStatus {
                certificate: sha256(&[own.der()]),
                response: Some(said.response()),
            };
            pair.command(1 - host, command);
            for host in [A, B] {
                pair.command(host, Command::SetClock(NOW));
            }
            pair.acquire(A);
            pair.run(millis(200));
            pair
        };
        let good = with(say(&world, 1 - host));
        assert!(none(&good, host));
        good.agree(1);
        let mut revoked = with(say(&world, 1 - host).revoked(EARLIER));
        assert!(none(&revoked, host));
        refused(&mut revoked, host, &["was revoked", "2026-05-01"]);
        // One that is too old, or about another, is as none.
        let late = Say {
            this: EARLIER,
            next: Some("20260502000000Z"),
            ..say(&world, 1 - host)
        };
        for useless in [late, say(&world, host)] {
            let mut pair = with(useless);
            answer(&mut pair, host, Ok(say(&world, 1 - host).response()));
            pair.run(millis(200));
            pair.agree(1);
        }
    }
}

#[test]
fn many_that_show_one_certificate_cause_one_question() {
    let world = World::new();
    let mut setup = asking(&world, B, true);
    let mut pair = call(&setup, NOW);
    for _ in 0..20 {
        setup.seed += 1;
        pair.crash(A, &setup);
        pair.command(A, Command::SetClock(NOW));
        pair.acquire(A);
        pair.run(millis(20));
    }
    assert_eq!(pair.hosts[B].endpoint.half_open(), 21);
    answer(&mut pair, B, Ok(say(&world, A).response()));
    pair.run(millis(200));
    assert!(none(&pair, B));
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
}

#[test]
fn a_flood_of_certificates_is_asked_about_within_bounds() {
    let world = World::new();
    let mut setup = asking(&world, B, true);
    let mut pair = call(&setup, NOW);
    for _ in 1..70 {
        setup.seed += 1;
        setup.auth[A].as_mut().unwrap().local = LocalAuth::Signature(world.another());
        pair.crash(A, &setup);
        pair.command(A, Command::SetClock(NOW));
        pair.acquire(A);
        pair.run(millis(20));
    }
    let asked = pair.hosts[B].asked.len();
    assert_eq!(asked, ike::limits::STATUS_QUESTIONS);
    assert!(discarded(&pair, B, Discard::StatusQuestions) >= 6);
    // Nobody answers: all of them end, and then there is room again.
    pair.run(secs(10));
    pair.hosts[B].asked.clear();
    setup.auth[A].as_mut().unwrap().local = LocalAuth::Signature(Arc::clone(&world.own[A]));
    pair.crash(A, &setup);
    pair.command(A, Command::SetClock(NOW));
    pair.run(secs(40));
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
    pair.acquire(A);
    pair.run(millis(200));
    answer(&mut pair, B, Ok(say(&world, A).response()));
    pair.run(millis(200));
    pair.agree(1);
}

#[test]
fn a_handshake_that_is_gone_leaves_nothing_behind() {
    let world = World::new();
    // Our own: the address leaves while we wait.
    let mut pair = call(&asking(&world, A, true), NOW);
    let address = ip(ADDRESSES[A]);
    pair.command(A, Command::ForgetLocalAddress { address });
    answer(&mut pair, A, Ok(say(&world, B).response()));
    pair.run(secs(1));
    assert!(pair.hosts[A].sad.is_empty());
    // The address falls silent: nothing comes to be for it.
    let mut pair = call(&asking(&world, B, true), NOW);
    let address = ip(ADDRESSES[B]);
    for active in [false, true] {
        pair.command(B, Command::SetActive { address, active });
        if !active {
            answer(&mut pair, B, Ok(say(&world, A).response()));
            assert!(pair.hosts[B].sad.is_empty());
        }
    }
    pair.run(secs(8));
    pair.agree(1);
    // The peer's: the policy changes while it waits, and asks nothing any more.
    let setup = asking(&world, B, true);
    let mut pair = call(&setup, NOW);
    let (pad, rules) = (world.setup().pad(B), vec![pair.hosts[B].rule.clone()]);
    pair.command(B, Command::Reload { pad, rules });
    answer(&mut pair, B, Err("it is not there".to_owned()));
    pair.run(millis(200));
    pair.agree(1);
}
