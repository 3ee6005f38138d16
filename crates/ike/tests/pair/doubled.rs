//! A first message that was sent without a cookie and with one: the peer may have begun with either
//! (RFC 7296 section 2.6).

use crate::harness::*;
use ike::{Error, Event};
use wire::ike::{Notify, NotifyType, Payload, PayloadType};

/// An answer to a first message that asks for a cookie.
fn wants_cookie(request: &Packet) -> Packet {
    let cookie = Payload::Notify(Notify::new(NotifyType::COOKIE, vec![7; 20]));
    request.answer(cookie)
}

/// B asks for a cookie each time, and begins with the request that has none; the one with the cookie
/// is lost.
fn doubled(setup: &Setup) -> Pair {
    let mut pair = setup.pair();
    let first = |packet: &Packet| packet.from == A && packet.exchange() == 34;
    let has_cookie = |packet: &Packet| packet.bytes[16] == PayloadType::NOTIFY.0;
    pair.filter = Box::new(move |packet| match first(packet) && has_cookie(packet) {
        true => Verdict::Drop,
        false => Verdict::Pass,
    });
    pair.acquire(A);
    let mut spoiled = 0;
    for _ in 0..200 {
        let sent = pair.log.iter().map(|(_, packet)| packet.clone());
        let plain: Vec<Packet> = sent.filter(|one| first(one) && !has_cookie(one)).collect();
        // Before B's answer is here.
        for request in &plain[spoiled..] {
            pair.deliver(&wants_cookie(request));
        }
        spoiled = plain.len();
        pair.run(millis(1) / 2);
    }
    pair
}

fn failures(pair: &Pair) -> usize {
    let refused = Error::Refused(NotifyType::AUTHENTICATION_FAILED);
    let failed =
        |event: &Event| matches!(event, Event::HandshakeFailed { error, .. } if *error == refused);
    let events = pair.hosts[A].events.iter();
    events.filter(|(_, event)| failed(event)).count()
}

#[test]
fn a_handshake_that_a_cookie_has_spoiled_is_begun_once_more() {
    let mut pair = Setup::default().pair();
    pair.filter = Box::new(|_| Verdict::Drop);
    pair.acquire(A);
    let request = pair.log[0].1.clone();
    pair.deliver(&wants_cookie(&request));
    pair.filter = Box::new(|_| Verdict::Pass);
    pair.deliver(&request);
    pair.run(secs(1));
    assert_eq!(failures(&pair), 1, "{}", pair.story());
    pair.agree(1);
    let lost = |event: &Event| matches!(event, Event::AcquireFailed { .. });
    assert!(pair.event(A, lost).is_none());
}

#[test]
fn it_is_begun_no_more_often_than_that() {
    let pair = doubled(&Setup::default());
    assert_eq!(failures(&pair), 2, "{}", pair.story());
    let lost = |event: &Event| matches!(event, Event::AcquireFailed { .. });
    assert!(pair.event(A, lost).is_some());
    pair.agree(0);
}
