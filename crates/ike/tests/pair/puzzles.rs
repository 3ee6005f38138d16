//! A responder under attack asks for work, and an initiator does it (RFC 8019).

use crate::harness::*;
use ike::{Config, Cookies, Discard, Event, Puzzles};
use wire::ike::{Header, Notify, NotifyType, Payload, Puzzle};

/// From the first handshake on, so many bits.
fn puzzles<const FROM: usize, const BITS: u8>(config: &mut Config) {
    config.cookies = Cookies::From(usize::MAX);
    config.puzzles = Some(Puzzles {
        from: FROM,
        difficulty: BITS,
    });
}

fn setup(config: fn(&mut Config)) -> Setup {
    Setup {
        config,
        ..Setup::default()
    }
}

fn discards(pair: &Pair, why: Discard) -> u64 {
    pair.hosts[B].endpoint.discards().get(why)
}

/// A's first message, which B has not seen. Then A is cut off, and the test speaks in its place.
fn first(pair: &mut Pair) -> Packet {
    pair.filter = Box::new(|_| Verdict::Drop);
    pair.acquire(A);
    pair.log.remove(0).1
}

/// The same of another initiator, behind these payloads.
fn variant(packet: &Packet, spi: u64, before: &[Payload]) -> Packet {
    let decoded = wire::ike::decode(&packet.bytes).unwrap();
    let header = Header {
        initiator_spi: spi,
        ..decoded.header
    };
    let payloads = [before, &decoded.payloads].concat();
    let bytes = wire::ike::encode(&header, &payloads).unwrap();
    Packet {
        bytes,
        ..packet.clone()
    }
}

/// What B's last answer asks for.
fn asked(pair: &Pair) -> (Notify, Option<Puzzle>) {
    let mut answers = pair.log.iter().map(|(_, packet)| packet);
    let last = answers.rfind(|packet| packet.from == B).unwrap();
    let payloads = wire::ike::decode(&last.bytes).unwrap().payloads;
    let notify = |kind| {
        payloads.iter().find_map(|payload| match payload {
            Payload::Notify(one) if one.kind == kind => Some(one.clone()),
            _ => None,
        })
    };
    let puzzle = notify(NotifyType::PUZZLE);
    (
        notify(NotifyType::COOKIE).unwrap(),
        puzzle.and_then(|puzzle| Puzzle::of(&puzzle)),
    )
}

#[test]
fn an_initiator_that_does_the_work_is_served() {
    let mut pair = setup(puzzles::<0, 10>).pair();
    pair.acquire(A);
    pair.run(secs(1));
    pair.agree(1);
    let posed = |event: &Event| matches!(event, Event::PuzzlePosed { difficulty: 10, .. });
    assert!(pair.event(A, posed).is_some());
    assert!(
        pair.event(B, |event| *event == Event::PuzzlesRequired(true))
            .is_some()
    );
    assert_eq!(discards(&pair, Discard::Cookie), 1);
    // One request without, one with the solution: nothing is repeated while it works.
    let sent = pair
        .log
        .iter()
        .filter(|(_, one)| one.from == A && one.exchange() == 34);
    assert_eq!(sent.count(), 2);
    // A thousand keys at a time, each time a millisecond: four thousand are needed on average.
    let took = pair
        .when(A, |event| matches!(event, Event::IkeEstablished { .. }))
        .unwrap();
    assert!((millis(4)..millis(60)).contains(&took), "{took:?}");
}

#[test]
fn nothing_is_kept_and_less_is_sent_before_the_work_is_done() {
    let mut pair = setup(puzzles::<0, 18>).pair();
    let request = first(&mut pair);
    pair.deliver(&request);
    let (_, puzzle) = asked(&pair);
    assert_eq!(puzzle.unwrap().difficulty, 18);
    let (_, answer) = pair.log.last().unwrap();
    assert!(answer.bytes.len() < request.bytes.len());
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
}

#[test]
fn what_solves_another_puzzle_or_none_is_refused() {
    let mut pair = setup(puzzles::<0, 12>).pair();
    let request = first(&mut pair);
    pair.deliver(&request);
    let (cookie, _) = asked(&pair);
    let spi = u64::from_be_bytes(request.bytes[..8].try_into().unwrap());
    let sent = pair.log.len();
    for wrong in [vec![], vec![1, 2, 3, 4], vec![7; 16], vec![0; 400]] {
        let payloads = [
            Payload::Notify(cookie.clone()),
            Payload::PuzzleSolution(wrong),
        ];
        let before = discards(&pair, Discard::PuzzleWrong);
        pair.deliver(&variant(&request, spi, &payloads));
        assert_eq!(discards(&pair, Discard::PuzzleWrong), before + 1);
    }
    assert_eq!(pair.log.len(), sent, "it is not answered either");
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
    // The solution of another initiator's puzzle has another cookie.
    let solution = Payload::PuzzleSolution(vec![1, 2, 3, 4]);
    pair.deliver(&variant(
        &request,
        spi + 1,
        &[Payload::Notify(cookie), solution],
    ));
    assert_eq!(discards(&pair, Discard::Cookie), 2);
}

#[test]
fn who_solves_no_puzzles_is_served_if_few_of_them_come() {
    let mut pair = setup(puzzles::<0, 18>).pair();
    let request = first(&mut pair);
    let knock = |pair: &mut Pair, spi: u64| {
        pair.deliver(&variant(&request, spi, &[]));
        let (cookie, _) = asked(pair);
        pair.deliver(&variant(&request, spi, &[Payload::Notify(cookie)]));
    };
    for spi in 1..=15 {
        knock(&mut pair, spi);
    }
    assert_eq!(pair.hosts[B].endpoint.half_open(), 10);
    assert_eq!(discards(&pair, Discard::PuzzleUnsolved), 5);
    pair.run(secs(1));
    knock(&mut pair, 16);
    assert_eq!(pair.hosts[B].endpoint.half_open(), 11);
}

#[test]
fn what_is_too_hard_is_not_tried() {
    let mut pair = setup(puzzles::<0, 21>).pair();
    pair.acquire(A);
    pair.run(millis(100));
    // It comes back with the cookie alone, as one that knows of no puzzles, and is served.
    pair.agree(1);
    assert!(
        pair.event(A, |event| matches!(event, Event::PuzzlePosed { .. }))
            .is_none()
    );
}

#[test]
fn a_crowded_source_pays_where_others_need_not() {
    let mut pair = setup(|config| {
        puzzles::<1000, 18>(config);
        config.half_open_per_source = 2;
    })
    .pair();
    let request = first(&mut pair);
    for spi in 1..=2 {
        pair.deliver(&variant(&request, spi, &[]));
    }
    assert_eq!(pair.hosts[B].endpoint.half_open(), 2);
    pair.deliver(&variant(&request, 3, &[]));
    assert!(asked(&pair).1.is_some());
    assert_eq!(discards(&pair, Discard::HalfOpenLimit), 1);
}

#[test]
fn a_cookie_of_the_time_before_is_followed_by_a_puzzle() {
    let mut pair = setup(|config| {
        puzzles::<1, 18>(config);
        config.cookies = Cookies::Always;
    })
    .pair();
    let request = first(&mut pair);
    pair.deliver(&variant(&request, 1, &[]));
    let (cookie, puzzle) = asked(&pair);
    assert_eq!(puzzle, None);
    pair.deliver(&variant(&request, 2, &[]));
    let (another, _) = asked(&pair);
    pair.deliver(&variant(&request, 1, &[Payload::Notify(cookie)]));
    assert_eq!(pair.hosts[B].endpoint.half_open(), 1);
    pair.deliver(&variant(&request, 2, &[Payload::Notify(another.clone())]));
    assert_eq!(discards(&pair, Discard::PuzzleAsked), 1);
    let (cookie, puzzle) = asked(&pair);
    assert!(puzzle.is_some() && cookie != another);
}

#[test]
fn what_has_begun_lasts_until_half_of_them_are_gone() {
    let mut pair = setup(|config| {
        puzzles::<4, 8>(config);
        config.cookies = Cookies::From(4);
    })
    .pair();
    let request = first(&mut pair);
    for (spi, wait) in [(1, 0), (2, 0), (3, 10), (4, 0)] {
        pair.run(secs(wait));
        pair.deliver(&variant(&request, spi, &[]));
    }
    assert_eq!(pair.hosts[B].endpoint.half_open(), 4);
    let is_asked = |pair: &mut Pair, spi| {
        let before = discards(pair, Discard::Cookie);
        pair.deliver(&variant(&request, spi, &[]));
        discards(pair, Discard::Cookie) > before
    };
    assert!(is_asked(&mut pair, 5));
    pair.run(secs(21));
    assert_eq!(pair.hosts[B].endpoint.half_open(), 2);
    assert!(is_asked(&mut pair, 6));
    pair.run(secs(10));
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
    assert!(!is_asked(&mut pair, 7));
    for event in [Event::CookiesRequired(false), Event::PuzzlesRequired(false)] {
        assert!(pair.event(B, |one| *one == event).is_some(), "{event}");
    }
}
