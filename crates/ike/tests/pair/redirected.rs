//! An initiator goes where its peer sends it, and nowhere else (RFC 5685).

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::harness::*;
use ike::{ApiMisuse, Command, Config, Discard, Error, Event, Reason, RedirectRefusal, Takeover};
use policy::child::ChildTemplate;
use policy::identity::Identity;
use policy::pad::{KnownGateway, Pad};
use policy::sa::Bucket;
use wire::ike::{Gateway, NotifyType, Payload, Redirect};

const ELSEWHERE: &str = "10.0.0.3";
const THIRD: &str = "10.0.0.4";

/// A follows B to its other addresses.
fn following() -> Setup {
    let mut setup = Setup::default();
    let known = |address| KnownGateway {
        address: ip(address),
        name: Some(format!("gw-{address}.example")),
    };
    setup.ike[A].follow = vec![known(ADDRESSES[B]), known(ELSEWHERE), known(THIRD)];
    setup.child = [ChildTemplate::tunnel(), ChildTemplate::tunnel()];
    setup
}

/// B sends A on to ELSEWHERE.
fn sending() -> Setup {
    let mut setup = following();
    setup.ike[B].redirect = Some(ip(ELSEWHERE));
    setup
}

fn payloads(packet: &Packet) -> Vec<Payload> {
    wire::ike::decode(&packet.bytes).unwrap().payloads
}

fn says(packet: &Packet, kind: NotifyType) -> bool {
    let is_it = |payload: &Payload| matches!(payload, Payload::Notify(one) if one.kind == kind);
    payloads(packet).iter().any(is_it)
}

fn nonce(packet: &Packet) -> Vec<u8> {
    let nonce = |payload| match payload {
        Payload::Nonce(nonce) => Some(nonce.0),
        _ => None,
    };
    payloads(packet).into_iter().find_map(nonce).unwrap()
}

/// A's first messages.
fn first_messages(pair: &Pair) -> Vec<Packet> {
    let all = pair.log.iter().map(|(_, packet)| packet);
    let first = |one: &&Packet| one.from == A && one.exchange() == 34;
    all.filter(first).cloned().collect()
}

/// An answer to a first message that sends its initiator on.
fn forged(request: &Packet, gateway: Gateway, nonce: Vec<u8>) -> Packet {
    let notify = Redirect { gateway, nonce }.to_notify().unwrap();
    request.answer(Payload::Notify(notify))
}

fn followed(pair: &Pair) -> usize {
    let events = pair.hosts[A].events.iter();
    events
        .filter(|(_, event)| matches!(event, Event::Redirected { .. }))
        .count()
}

fn refusal(pair: &Pair) -> Option<RedirectRefusal> {
    pair.hosts[A]
        .events
        .iter()
        .find_map(|(_, event)| match event {
            Event::RedirectRefused { why, .. } => Some(*why),
            _ => None,
        })
}

fn gateway(pair: &Pair) -> String {
    let all = pair.ikes(A);
    assert_eq!(all.len(), 1, "{}", pair.story());
    all[0].remote.ip().to_string()
}

#[test]
fn it_goes_there_and_says_whence_it_comes() {
    let mut pair = sending().pair();
    pair.acquire(A);
    pair.run(millis(100));
    pair.agree(1);
    assert_eq!(gateway(&pair), ELSEWHERE);
    let sent = first_messages(&pair);
    assert!(says(&sent[0], NotifyType::REDIRECT_SUPPORTED));
    let origin = payloads(&sent[1])
        .into_iter()
        .find_map(|payload| match payload {
            Payload::Notify(one) if one.kind == NotifyType::REDIRECTED_FROM => Redirect::of(&one),
            _ => None,
        });
    assert_eq!(origin.unwrap().gateway, Gateway::Address(ip(ADDRESSES[B])));
    assert_eq!((sent.len(), followed(&pair)), (2, 1));
    assert!(
        nonce(&sent[0]) != nonce(&sent[1]),
        "a new handshake has a new nonce"
    );
    // More traffic for the gateway of the policy finds the IKE SA with the other.
    pair.log.clear();
    pair.acquire(A);
    pair.run(secs(1));
    assert!(pair.log.is_empty(), "{}", pair.story());
    pair.agree(1);
}

#[test]
fn when_it_is_lost_the_policy_says_where_to_begin() {
    let mut pair = sending().pair();
    pair.acquire(A);
    pair.run(millis(100));
    let ike = pair.ike(A);
    pair.command(A, Command::DeleteIke(ike));
    pair.run(millis(100));
    pair.agree(0);
    pair.log.clear();
    pair.acquire(A);
    assert_eq!(first_messages(&pair)[0].remote.ip(), ip(ADDRESSES[B]));
    pair.run(millis(100));
    pair.agree(1);
}

#[test]
fn who_follows_nobody_or_protects_hosts_does_not_offer_it() {
    let mut alone = sending();
    alone.ike[A].follow.clear();
    let mut hosts = sending();
    hosts.child = [ChildTemplate::transport(), ChildTemplate::transport()];
    for setup in [alone, hosts] {
        let mut pair = setup.pair();
        pair.acquire(A);
        pair.run(millis(100));
        pair.agree(1);
        assert_eq!(gateway(&pair), ADDRESSES[B]);
        assert!(!says(
            &first_messages(&pair)[0],
            NotifyType::REDIRECT_SUPPORTED
        ));
    }
}

#[test]
fn a_forged_answer_leads_nowhere() {
    let mut pair = following().pair();
    pair.filter = Box::new(|_| Verdict::Drop);
    pair.acquire(A);
    let request = first_messages(&pair).remove(0);
    pair.filter = Box::new(|_| Verdict::Pass);
    let elsewhere = Gateway::Address(ip(ELSEWHERE));
    let good = nonce(&request);
    let discards = |pair: &Pair| pair.hosts[A].endpoint.discards().get(Discard::Redirect);
    for wrong in [
        vec![],
        vec![0; 32],
        good[..31].to_vec(),
        [&good[..], &[0]].concat(),
    ] {
        let before = discards(&pair);
        pair.deliver(&forged(&request, elsewhere.clone(), wrong));
        assert_eq!(discards(&pair), before + 1);
    }
    // Off the path, from another address.
    let mut stray = forged(&request, elsewhere, good.clone());
    stray.local.set_ip(ip(THIRD));
    pair.deliver(&stray);
    assert_eq!(
        pair.hosts[A]
            .endpoint
            .discards()
            .get(Discard::NoMatchingRequest),
        1
    );
    assert_eq!(refusal(&pair), None);
    // With the right nonce, and a gateway that nobody knows: told once, and not followed.
    for gateway in [
        Gateway::Address(ip("10.9.9.9")),
        Gateway::Name(b"gw.example".into()),
    ] {
        pair.deliver(&forged(&request, gateway, good.clone()));
        assert_eq!(refusal(&pair), Some(RedirectRefusal::Unknown));
    }
    assert_eq!((followed(&pair), first_messages(&pair).len()), (0, 1));
    pair.run(secs(2));
    pair.agree(1);
    assert_eq!(gateway(&pair), ADDRESSES[B]);
}

#[test]
fn a_gateway_may_be_named() {
    let mut pair = following().pair();
    pair.filter = Box::new(|_| Verdict::Drop);
    pair.acquire(A);
    let request = first_messages(&pair).remove(0);
    pair.filter = Box::new(|_| Verdict::Pass);
    let name = Gateway::Name(b"GW-10.0.0.3.EXAMPLE".into());
    pair.deliver(&forged(&request, name, nonce(&request)));
    pair.run(millis(100));
    pair.agree(1);
    assert_eq!(gateway(&pair), ELSEWHERE);
}

#[test]
fn going_in_circles_ends_and_then_it_is_served() {
    let mut pair = following().pair();
    let last: Rc<RefCell<Option<Packet>>> = Rc::default();
    let places = [ADDRESSES[B], ELSEWHERE, THIRD];
    pair.filter = Box::new(move |packet| {
        if packet.exchange() != 34 {
            return Verdict::Pass;
        }
        if packet.from == A {
            *last.borrow_mut() = Some(packet.clone());
            return Verdict::Pass;
        }
        let asked = last.borrow().clone().unwrap();
        let at = places.iter().position(|one| ip(one) == packet.local.ip());
        let next = ip(places[(at.unwrap() + 1) % 3]);
        let offers = [NotifyType::REDIRECT_SUPPORTED, NotifyType::REDIRECTED_FROM];
        match offers.into_iter().any(|kind| says(&asked, kind)) {
            true => Verdict::Replace(forged(&asked, Gateway::Address(next), nonce(&asked)).bytes),
            false => Verdict::Pass,
        }
    });
    pair.acquire(A);
    pair.run(secs(2));
    assert_eq!(followed(&pair), 5);
    assert_eq!(refusal(&pair), Some(RedirectRefusal::TooOften));
    assert_eq!(first_messages(&pair).len(), 7);
    assert_eq!(gateway(&pair), ADDRESSES[B]);
    pair.agree(1);
}

#[test]
fn who_answers_there_must_be_the_same_peer() {
    let mut pair = sending().pair();
    pair.acquire(A);
    pair.run(millis(1));
    // Another one is at the other address.
    let mut other = sending();
    other.psk[B] = b"the key of another".to_vec();
    let (pad, rules) = (other.pad(B), vec![pair.hosts[B].rule.clone()]);
    pair.command(B, Command::Reload { pad, rules });
    pair.run(secs(1));
    let failed = |event: &Event| match event {
        Event::HandshakeFailed { remote, .. } => remote.ip() == ip(ELSEWHERE),
        _ => false,
    };
    assert!(pair.event(A, failed).is_some(), "{}", pair.story());
    pair.agree(0);
}

/// Two peers may be at A's address, and B sends only one of them on.
fn ambiguous(setup: &Setup) -> Arc<Pad> {
    let known = setup.pad(B).peers()[0].clone();
    let mut other = known.clone();
    other.name = "stays".into();
    other.remote_id = Identity::Fqdn("stays.example".to_owned());
    other.ike.redirect = None;
    Arc::new(Pad::new(vec![known, other]))
}

#[test]
fn who_has_proved_who_it_is_is_sent_on_in_ike_auth() {
    let setup = sending();
    let mut pair = setup.pair();
    let (pad, rules) = (ambiguous(&setup), vec![pair.hosts[B].rule.clone()]);
    pair.command(B, Command::Reload { pad, rules });
    pair.acquire(A);
    pair.run(millis(200));
    assert_eq!(gateway(&pair), ELSEWHERE);
    pair.agree(1);
    let redirected = |event: &Event| matches!(event, Event::HandshakeRedirected { .. });
    assert!(pair.event(B, redirected).is_some());
    let closed = |event: &Event| matches!(event, Event::IkeClosed { reason, .. } if *reason == Reason::Redirected);
    assert!(pair.event(A, closed).is_some());
    assert_eq!((followed(&pair), pair.ikes(B).len()), (1, 1));
    // Who does not follow is served.
    let mut deaf = sending();
    deaf.ike[A].follow.clear();
    let mut pair = deaf.pair();
    let (pad, rules) = (ambiguous(&deaf), vec![pair.hosts[B].rule.clone()]);
    pair.command(B, Command::Reload { pad, rules });
    pair.acquire(A);
    pair.run(millis(200));
    assert_eq!(gateway(&pair), ADDRESSES[B]);
    pair.agree(1);
}

#[test]
fn in_ike_auth_an_unknown_gateway_is_refused_with_a_reason() {
    let mut setup = sending();
    setup.ike[B].redirect = Some(ip("10.9.9.9"));
    let mut pair = setup.pair();
    let (pad, rules) = (ambiguous(&setup), vec![pair.hosts[B].rule.clone()]);
    pair.command(B, Command::Reload { pad, rules });
    pair.acquire(A);
    pair.run(millis(200));
    let failed = |event: &Event| {
        let unknown = Error::NotFollowed(RedirectRefusal::Unknown);
        matches!(event, Event::AcquireFailed { error, .. } if *error == unknown)
    };
    assert!(pair.event(A, failed).is_some(), "{}", pair.story());
    assert!(pair.ikes(A).is_empty() && pair.ikes(B).is_empty());
    pair.agree(0);
}

fn send_on(pair: &mut Pair, to: &str) {
    let (ike, to) = (pair.ike(B), ip(to));
    pair.command(B, Command::Redirect { ike, to });
}

#[test]
fn a_gateway_sends_its_peers_on_and_no_traffic_stops() {
    let mut pair = following().pair();
    pair.establish();
    let before = pair.child(A);
    send_on(&mut pair, ELSEWHERE);
    for _ in 0..200 {
        pair.run(millis(1));
        for host in &pair.hosts {
            assert!(host.sad.values().any(|one| one.active), "{}", pair.story());
        }
    }
    assert_eq!(gateway(&pair), ELSEWHERE);
    assert!(pair.child(A) != before);
    pair.agree(1);
    let confirmed = |event: &Event| matches!(event, Event::PeerRedirected { .. });
    assert!(pair.event(B, confirmed).is_some());
    let closed = |event: &Event| matches!(event, Event::IkeClosed { reason, .. } if *reason == Reason::Redirected);
    assert!(pair.event(A, closed).is_some());
    // It is there already.
    let (ike, to) = (pair.ike(B), ip(ELSEWHERE));
    let told = pair.hosts[B]
        .endpoint
        .handle_command(Command::Redirect { ike, to }, pair.now);
    assert_eq!(told, Err(ApiMisuse::CannotRedirect(ike)));
    // And back: whence it came is known.
    send_on(&mut pair, ADDRESSES[B]);
    pair.run(millis(200));
    assert_eq!(gateway(&pair), ADDRESSES[B]);
    pair.agree(1);
}

#[test]
fn who_did_not_say_that_it_follows_is_not_sent() {
    let mut pair = Setup::default().pair();
    pair.establish();
    let (ike, to) = (pair.ike(B), ip(ELSEWHERE));
    let told = pair.hosts[B]
        .endpoint
        .handle_command(Command::Redirect { ike, to }, pair.now);
    assert_eq!(told, Err(ApiMisuse::CannotRedirect(ike)));
    // An initiator of its own SA has no say either.
    let ike = pair.ike(A);
    let told = pair.hosts[A]
        .endpoint
        .handle_command(Command::Redirect { ike, to }, pair.now);
    assert_eq!(told, Err(ApiMisuse::CannotRedirect(ike)));
}

#[test]
fn who_does_not_go_is_deleted_after_a_while() {
    let mut pair = following().pair();
    pair.establish();
    send_on(&mut pair, "10.9.9.9");
    pair.run(secs(29));
    assert_eq!(refusal(&pair), Some(RedirectRefusal::Unknown));
    pair.agree(1);
    pair.run(secs(2));
    assert!(pair.ikes(B).is_empty(), "{}", pair.story());
    let closed = |event: &Event| matches!(event, Event::IkeClosed { reason, .. } if *reason == Reason::Redirected);
    assert!(pair.event(B, closed).is_some());
}

#[test]
fn when_the_other_gateway_is_mute_the_old_sas_stay() {
    let mut pair = following().pair();
    pair.establish();
    pair.filter = Box::new(|packet| match [packet.local.ip(), packet.remote.ip()] {
        ends if ends.contains(&ip(ELSEWHERE)) => Verdict::Drop,
        _ => Verdict::Pass,
    });
    send_on(&mut pair, ELSEWHERE);
    pair.run(secs(20));
    assert_eq!(gateway(&pair), ADDRESSES[B]);
    pair.agree(1);
}

fn epoch(epoch: u16) -> Takeover {
    Takeover {
        epoch,
        grace: secs(30),
        spread: secs(60),
    }
}

/// Both hosts could be clusters.
fn clustered(config: &mut Config) {
    for (bucket, address) in ADDRESSES.iter().enumerate() {
        config.buckets.insert(ip(address), Bucket(bucket as u8 + 1));
    }
}

#[test]
fn a_survivor_knows_whence_it_was_sent_and_follows_further() {
    let mut setup = sending();
    setup.config = clustered;
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(millis(100));
    pair.survive(A, &setup, epoch(2));
    pair.run(millis(100));
    pair.log.clear();
    pair.acquire(A);
    pair.run(millis(100));
    assert!(first_messages(&pair).is_empty(), "{}", pair.story());
    send_on(&mut pair, THIRD);
    pair.run(millis(100));
    assert_eq!(gateway(&pair), THIRD);
    pair.agree(1);
}

#[test]
fn a_survivor_sends_on_who_was_about_to_be_sent() {
    let mut setup = following();
    setup.config = clustered;
    let mut pair = setup.pair();
    pair.establish();
    // The request is in flight when its sender dies: the survivor sends the same octets.
    pair.filter = Box::new(|_| Verdict::Drop);
    send_on(&mut pair, THIRD);
    let asked = pair.log.last().unwrap().1.bytes.clone();
    pair.filter = Box::new(|_| Verdict::Pass);
    pair.log.clear();
    pair.survive(B, &setup, epoch(2));
    pair.run(millis(100));
    let again = &pair
        .log
        .iter()
        .find(|(_, packet)| packet.from == B)
        .unwrap()
        .1;
    assert_eq!(again.bytes, asked);
    pair.run(millis(100));
    assert_eq!(gateway(&pair), THIRD);
    pair.agree(1);
    let confirmed = |event: &Event| matches!(event, Event::PeerRedirected { .. });
    assert!(pair.event(B, confirmed).is_some());
}
