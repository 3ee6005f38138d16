//! A responder sends peers to another gateway (RFC 5685).

use crate::harness::*;
use ike::Event;
use wire::ike::{Gateway, Notify, NotifyType, Payload, Redirect};

const ELSEWHERE: &str = "10.0.0.3";

/// B sends its peers to this address.
fn setup(to: &str) -> Setup {
    let mut setup = Setup::default();
    setup.ike[B].redirect = Some(ip(to));
    setup
}

/// A's first message with these notifications besides, and its nonce.
fn request(pair: &mut Pair, more: &[Notify]) -> (Packet, Vec<u8>) {
    pair.filter = Box::new(|_| Verdict::Drop);
    pair.acquire(A);
    let packet = pair.log[0].1.clone();
    pair.filter = Box::new(|_| Verdict::Pass);
    let decoded = wire::ike::decode(&packet.bytes).unwrap();
    let nonce = decoded.payloads.iter().find_map(|payload| match payload {
        Payload::Nonce(nonce) => Some(nonce.0.clone()),
        _ => None,
    });
    let mut payloads = decoded.payloads.clone();
    payloads.extend(more.iter().cloned().map(Payload::Notify));
    let bytes = wire::ike::encode(&decoded.header, &payloads).unwrap();
    (Packet { bytes, ..packet }, nonce.unwrap())
}

fn supported() -> Notify {
    Notify::new(NotifyType::REDIRECT_SUPPORTED, Vec::new())
}

fn from(address: &str) -> Notify {
    let gateway = Gateway::Address(ip(address));
    let nonce = Vec::new();
    Redirect { gateway, nonce }.to_origin().unwrap()
}

/// Where B's answer sends A, with the nonce that it repeats; `None` when it goes on.
fn answered(pair: &Pair) -> Option<Redirect> {
    let mut answers = pair.log.iter().map(|(_, packet)| packet);
    let answer = answers.rfind(|packet| packet.from == B).unwrap();
    let decoded = wire::ike::decode(&answer.bytes).unwrap();
    match &decoded.payloads[..] {
        [Payload::Notify(notify)] => {
            assert_eq!(decoded.header.responder_spi, 0);
            Some(Redirect::of(notify).unwrap())
        }
        _ => None,
    }
}

#[test]
fn who_knows_redirection_is_sent_away_without_state() {
    let mut pair = setup(ELSEWHERE).pair();
    let (request, nonce) = request(&mut pair, &[supported()]);
    pair.deliver(&request);
    let redirect = answered(&pair).unwrap();
    assert_eq!(redirect.gateway, Gateway::Address(ip(ELSEWHERE)));
    assert_eq!(redirect.nonce, nonce);
    assert!(pair.ikes(B).is_empty());
    let sent = |event: &Event| matches!(event, Event::HandshakeRedirected { .. });
    let event = pair.event(B, sent).unwrap().to_string();
    assert!(
        event.contains(ELSEWHERE) && event.contains("other"),
        "{event}"
    );
    // A did not offer it, so it does not go.
    pair.run(secs(1));
    pair.agree(1);
}

#[test]
fn who_does_not_know_it_or_has_come_round_is_served() {
    let there = ip(ELSEWHERE);
    for (to, more) in [
        (ELSEWHERE, vec![]),
        (ELSEWHERE, vec![supported(), from(ELSEWHERE)]),
        (ELSEWHERE, vec![from(ELSEWHERE)]),
        (ADDRESSES[B], vec![supported()]),
    ] {
        let mut pair = setup(to).pair();
        let (request, _) = request(&mut pair, &more);
        pair.deliver(&request);
        assert_eq!(answered(&pair), None, "{to} {more:?}");
    }
    let mut pair = setup(ELSEWHERE).pair();
    // Who says whence it comes need not say that it knows how to go.
    let (request, _) = request(&mut pair, &[from("10.0.0.4")]);
    pair.deliver(&request);
    assert_eq!(answered(&pair).unwrap().gateway, Gateway::Address(there));
}
