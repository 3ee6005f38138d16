//! What is read of a first request for its cookie is what is in it for who reads the whole.

use super::strategies::payloads;
use super::*;
use proptest::prelude::*;

fn strongswan() -> Vec<u8> {
    hex(include_str!("../testdata/ike-sa-init-request.hex"))
}

/// The same out of the whole message; `None` as well when that cannot be read.
fn by_decoding(datagram: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let decoded = decode(datagram).ok()?;
    let nonce = decoded.payloads.iter().find_map(|payload| match payload {
        Payload::Nonce(nonce) => Some(nonce.0.clone()),
        _ => None,
    });
    let cookie = decoded.payloads.iter().find_map(|payload| match payload {
        Payload::Notify(one) if one.kind == NotifyType::COOKIE => Some(one.data.clone()),
        _ => None,
    });
    Some((nonce?, cookie))
}

fn skimmed(datagram: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let request = first_request(datagram)?;
    Some((request.nonce.to_vec(), request.cookie.map(<[u8]>::to_vec)))
}

#[test]
fn a_request_of_another_implementation_is_read() {
    let octets = strongswan();
    let request = first_request(&octets).unwrap();
    assert_eq!((request.octets, request.cookie), (&octets[..], None));
    assert_eq!(request.header, decode(&octets).unwrap().header);
    assert_eq!(skimmed(&octets), by_decoding(&octets));
}

#[test]
fn a_cookie_that_is_returned_is_found() {
    let octets = strongswan();
    let decoded = decode(&octets).unwrap();
    let cookie = |data: &[u8]| Payload::Notify(Notify::new(NotifyType::COOKIE, data.to_vec()));
    let mut payloads = vec![cookie(b"the first counts"), cookie(b"not the second")];
    payloads.extend(decoded.payloads);
    let octets = encode(&decoded.header, &payloads).unwrap();
    let request = first_request(&octets).unwrap();
    assert_eq!(request.cookie, Some(&b"the first counts"[..]));
}

#[test]
fn with_a_cookie_before_it_a_request_asks_the_same() {
    let octets = strongswan();
    let decoded = decode(&octets).unwrap();
    let plain = first_request(&octets).unwrap();
    let again = |header: &Header, cookie: &[u8], payloads: &[Payload]| {
        let cookie = Notify::new(NotifyType::COOKIE, cookie.to_vec());
        let payloads = [&[Payload::Notify(cookie)], payloads].concat();
        encode(header, &payloads).unwrap()
    };
    let one = again(&decoded.header, b"one", &decoded.payloads);
    let other = again(&decoded.header, b"another", &decoded.payloads);
    let (one, other) = (first_request(&one).unwrap(), first_request(&other).unwrap());
    assert!(plain.asks_the_same(&plain) && plain.asks_the_same(&one) && one.asks_the_same(&other));
    let fewer = again(&decoded.header, b"one", &decoded.payloads[..4]);
    assert!(!plain.asks_the_same(&first_request(&fewer).unwrap()));
    let header = Header {
        initiator_spi: 7,
        ..decoded.header
    };
    let of_another = again(&header, b"one", &decoded.payloads);
    assert!(!plain.asks_the_same(&first_request(&of_another).unwrap()));
}

#[test]
fn a_solution_is_found_behind_its_cookie_and_nowhere_else() {
    let octets = strongswan();
    let decoded = decode(&octets).unwrap();
    let plain = first_request(&octets).unwrap();
    let cookie = Payload::Notify(Notify::new(NotifyType::COOKIE, b"cookie".to_vec()));
    let solution = Payload::PuzzleSolution(vec![1, 2, 3, 4]);
    let with = |before: &[&Payload]| {
        let before: Vec<Payload> = before.iter().map(|one| (*one).clone()).collect();
        encode(
            &decoded.header,
            &[before, decoded.payloads.clone()].concat(),
        )
        .unwrap()
    };
    let solved = with(&[&cookie, &solution]);
    let solved = first_request(&solved).unwrap();
    assert_eq!(solved.solution, Some(&[1, 2, 3, 4][..]));
    assert!(solved.asks_the_same(&plain));
    for odd in [
        with(&[&solution]),
        with(&[&solution, &cookie]),
        with(&[&cookie, &cookie, &solution]),
    ] {
        let odd = first_request(&odd).unwrap();
        assert_eq!(odd.solution, None);
        assert!(!odd.asks_the_same(&plain));
    }
}

#[test]
fn the_algorithms_on_offer_are_those_of_the_whole_message() {
    let octets = strongswan();
    let request = first_request(&octets).unwrap();
    let offered = decode(&octets)
        .unwrap()
        .payloads
        .into_iter()
        .find_map(|one| match one {
            Payload::Sa(sa) => Some(sa),
            _ => None,
        });
    let offered: Vec<Transform> = offered
        .unwrap()
        .proposals
        .into_iter()
        .flat_map(|proposal| proposal.transforms)
        .collect();
    assert!(!offered.is_empty());
    for kind in [TransformType::ENCR, TransformType::PRF, TransformType::DH] {
        for id in 0..40 {
            let is_there = offered.iter().any(|one| (one.kind, one.id) == (kind, id));
            assert_eq!(request.offers(kind, id), is_there, "{kind} {id}");
        }
    }
}

#[test]
fn what_is_no_complete_first_request_is_none() {
    let octets = strongswan();
    let decoded = decode(&octets).unwrap();
    let without = |kind| {
        let mut payloads = decoded.payloads.clone();
        payloads.retain(|payload| payload.kind() != kind);
        encode(&decoded.header, &payloads).unwrap()
    };
    for kind in [PayloadType::SA, PayloadType::KE, PayloadType::NONCE] {
        assert_eq!(first_request(&without(kind)), None, "without {kind}");
    }
    for end in 0..octets.len() {
        assert_eq!(first_request(&octets[..end]), None, "{end} octets of it");
    }
    let header = |change: fn(&mut Header)| {
        let mut header = decoded.header;
        change(&mut header);
        encode(&header, &decoded.payloads).unwrap()
    };
    for other in [
        header(|header| header.exchange = ExchangeType::IKE_AUTH),
        header(|header| header.flags.response = true),
        header(|header| header.flags.initiator = false),
        header(|header| header.responder_spi = 1),
        header(|header| header.initiator_spi = 0),
        header(|header| header.message_id = 1),
        header(|header| header.version = 0x10),
        hex(include_str!("../testdata/ike-sa-init-response.hex")),
    ] {
        assert_eq!(first_request(&other), None);
    }
}

#[test]
fn a_ticket_stands_for_algorithms_and_key_exchange() {
    let header = Header {
        exchange: ExchangeType::IKE_SESSION_RESUME,
        ..header()
    };
    let mut payloads = vec![Payload::Nonce(Nonce(vec![9; 32]))];
    assert_eq!(first_request(&encode(&header, &payloads).unwrap()), None);
    payloads.push(Payload::Notify(Notify::new(
        NotifyType::TICKET_OPAQUE,
        vec![5; 64],
    )));
    assert!(first_request(&encode(&header, &payloads).unwrap()).is_some());
}

proptest! {
    /// Who answers a request by its cookie alone must never see another nonce or cookie in it than
    /// who takes it afterwards.
    #[test]
    fn both_readings_agree(more in payloads(), at in 0_usize..600, octet: u8) {
        let whole = strongswan();
        let decoded = decode(&whole).unwrap();
        let mut payloads = decoded.payloads;
        payloads.extend(more);
        let mut octets = encode(&decoded.header, &payloads).unwrap();
        for change in [false, true] {
            if change {
                let at = at % octets.len();
                octets[at] = octet;
            }
            if let (Some(skimmed), Some(decoded)) = (skimmed(&octets), by_decoding(&octets)) {
                prop_assert_eq!(skimmed, decoded);
            }
        }
    }
}
