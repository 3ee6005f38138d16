//! Changes of addresses as only somebody with the keys can get them wrong (RFC 4555).

use std::net::SocketAddr;

use wire::ike::NoNatsAllowed;

use super::*;
use crate::v2::established::begin::pump;
use crate::v2::mobility::Mobility;

const HERE: &str = "10.0.0.2:4500";
const THERE: &str = "10.0.0.1:4500";
const ELSEWHERE: &str = "10.0.0.9:4500";

fn place(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn mobile(decides: bool) -> Bench {
    let mut bench = Bench::new();
    bench.sa.mobility = Some(Box::new(Mobility::new(decides)));
    (bench.sa.path.local, bench.sa.path.remote) = (place(HERE), place(THERE));
    bench
}

fn notify(kind: NotifyType, data: &[u8]) -> Payload {
    Payload::Notify(Notify::new(kind, data.to_vec()))
}

fn update() -> Payload {
    notify(NotifyType::UPDATE_SA_ADDRESSES, &[])
}

impl Bench {
    /// A message of the peer that came from there; the payloads of what was sent then.
    fn from(
        &mut self,
        remote: &str,
        response: bool,
        id: u32,
        payloads: &[Payload],
    ) -> Vec<Payload> {
        let flags = Flags {
            initiator: true,
            version: false,
            response,
        };
        let exchange = ExchangeType::INFORMATIONAL;
        let header = Header::new(SPIS.initiator, SPIS.responder, exchange, flags, id);
        let sealed = message::protect(&mut self.peer, &header, payloads, None).unwrap();
        let decoded = wire::ike::decode(&sealed[0]).unwrap();
        let proof = self.sa.check(&decoded).unwrap();
        let back = Path {
            remote: place(remote),
            ..self.sa.path
        };
        let header = decoded.header;
        let done = self.with(|sa, ctx| advance(sa, &header, proof, back, ctx));
        done.unwrap();
        self.answer().unwrap_or_default()
    }
}

#[test]
fn without_agreement_nothing_moves() {
    let mut bench = Bench::new();
    let before = bench.sa.path;
    let answer = bench.from(ELSEWHERE, false, 2, &[update()]);
    assert!(answer.is_empty());
    assert_eq!(bench.sa.path, before);
}

#[test]
fn a_cookie_comes_back_as_it_was() {
    let mut bench = mobile(false);
    for (id, length) in (2..).zip([8, 16, 64]) {
        let cookie = notify(NotifyType::COOKIE2, &vec![id as u8; length]);
        let answer = bench.from(THERE, false, id, std::slice::from_ref(&cookie));
        assert_eq!(answer, [cookie]);
    }
    for (id, length) in (5..).zip([0, 7, 65]) {
        let cookie = notify(NotifyType::COOKIE2, &vec![0; length]);
        assert!(bench.from(THERE, false, id, &[cookie]).is_empty());
    }
}

#[test]
fn a_nat_that_must_not_be_is_told_and_nothing_moves() {
    let said = |source: &str| {
        let said = NoNatsAllowed {
            source: place(source),
            destination: place(HERE),
        };
        Payload::Notify(said.to_notify().unwrap())
    };
    let broken = notify(NotifyType::NO_NATS_ALLOWED, &[0; 11]);
    let mut bench = mobile(false);
    for (id, nats) in (2..).zip([said("10.0.0.8:4500"), said("10.0.0.9:4501"), broken]) {
        let answer = bench.from(ELSEWHERE, false, id, &[update(), nats]);
        assert_eq!(kinds(&answer), [NotifyType::UNEXPECTED_NAT_DETECTED]);
        assert_eq!(bench.sa.path.remote, place(THERE));
    }
    let answer = bench.from(ELSEWHERE, false, 5, &[update(), said(ELSEWHERE)]);
    assert!(answer.is_empty());
    assert_eq!(bench.sa.path.remote, place(ELSEWHERE));
}

#[test]
fn who_does_not_decide_is_refused() {
    let mut bench = mobile(true);
    let answer = bench.from(ELSEWHERE, false, 2, &[update()]);
    assert_eq!(kinds(&answer), [NotifyType::UNACCEPTABLE_ADDRESSES]);
    assert_eq!(bench.sa.path.remote, place(THERE));
}

/// The value of the cookie that was sent last.
fn asked(bench: &Bench) -> Vec<u8> {
    let cookie = bench.sa.exchanges.iter().find_map(|one| match one.kind {
        Kind::Addresses { cookie, .. } => Some(cookie),
        _ => None,
    });
    cookie.unwrap().to_vec()
}

#[test]
fn a_peer_that_answers_what_it_has_not_seen_is_left() {
    for wrong in [vec![], vec![0; 16], vec![1; 15]] {
        let mut bench = mobile(false);
        bench.child(9);
        bench.from(ELSEWHERE, false, 2, &[update()]);
        bench.with(pump);
        asked(&bench);
        let cookie = notify(NotifyType::COOKIE2, &wrong);
        let payloads = match wrong.is_empty() {
            true => Vec::new(),
            false => vec![cookie],
        };
        bench.from(ELSEWHERE, true, 0, &payloads);
        assert_eq!(bench.sa.stage, Stage::Closing);
        assert_eq!(bench.sa.esp_path().remote, place(THERE));
    }
    let mut bench = mobile(false);
    bench.from(ELSEWHERE, false, 2, &[update()]);
    let cookie = notify(NotifyType::COOKIE2, &asked(&bench));
    bench.from(ELSEWHERE, true, 0, &[cookie]);
    assert_eq!(bench.sa.stage, Stage::Live);
    assert_eq!(bench.sa.esp_path().remote, place(ELSEWHERE));
}

/// Seen a few times, a NAT is there to stay, and the IKE SA ends.
#[test]
fn a_nat_that_stays_ends_what_may_have_none() {
    let mut bench = mobile(true);
    let moved = place(ELSEWHERE).ip();
    bench.with(|sa, ctx| crate::v2::mobike::ask::relocate(sa, moved, sa.path.remote.ip(), ctx));
    bench.with(pump);
    for id in 0.. {
        if bench.ended() {
            assert_eq!(id, 1 + u32::from(crate::limits::UNEXPECTED_NATS));
            break;
        }
        let cookie = notify(NotifyType::COOKIE2, &asked(&bench));
        let said = notify(NotifyType::UNEXPECTED_NAT_DETECTED, &[]);
        bench.from(THERE, true, id, &[cookie, said]);
    }
}

#[test]
fn the_peers_other_addresses_are_those_of_its_last_list() {
    let mut bench = mobile(true);
    let told = |address: &str| Payload::Notify(Notify::additional_address(place(address).ip()));
    let many: Vec<Payload> = (1..40)
        .map(|last| told(&format!("10.0.1.{last}:1")))
        .collect();
    bench.from(THERE, false, 2, &many);
    let others = |bench: &Bench| bench.sa.mobility.as_ref().unwrap().others.clone();
    assert_eq!(others(&bench).len(), crate::limits::ADDITIONAL_ADDRESSES);
    bench.from(
        THERE,
        false,
        3,
        &[told(ELSEWHERE), told(THERE), told(ELSEWHERE)],
    );
    assert_eq!(others(&bench), [place(ELSEWHERE).ip()]);
    bench.from(THERE, false, 4, &[]);
    assert_eq!(others(&bench).len(), 1);
    let none = notify(NotifyType::NO_ADDITIONAL_ADDRESSES, &[]);
    bench.from(THERE, false, 5, &[none]);
    assert!(others(&bench).is_empty());
}
