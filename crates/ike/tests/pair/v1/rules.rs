//! The rules that bad input taught others (R1 to R24), each with its tests as far as IKEv1 goes.
//!
//! | rule | what it asks for | tests |
//! |---|---|---|
//! | R1 | lengths agree with the datagram | `wire::isakmp`: `r1_*`; `hostile::what_is_cut_off_changes_nothing` |
//! | R2 | required payloads, checked first | `wire::isakmp`: `r2_*`; `r2_*` here |
//! | R3 | payloads belong to their version | `wire::isakmp`: `r3_*`; `r3_*` here |
//! | R4 | private numbers are only numbers | `wire::isakmp`: `r4_*`; `r4_*` here |
//! | R5 | public values are of their group | `crypto`: `refusals`; `wire::isakmp`: `r5_*`; `r5_*` here |
//! | R6 | a proposal is complete | `r6_*` here |
//! | R7 | only what can be run is agreed on | `crypto`: `refusals::only_what_can_be_run_has_a_name`; `r7_*` here |
//! | R8 | nothing is said or done before keys | `r8_*` here |
//! | R9 | a refusal leaves no state | `r9_*` here |
//! | R10 | payloads and fragments are bounded | `wire::isakmp`: `r10_*`; `main_mode::parts_that_are_none_*` |
//! | R11 | reassembly is cheap, and after a cookie | `wire::isakmp`: `r11_*`; `r11_*` here |
//! | R12 | identities are bounded | `wire::isakmp`: `r12_*` |
//! | R13 | peers' text reaches no shell | no shell is run; `x509`: `nothing_that_a_peer_sends_is_printed_raw` |
//! | R14 | names are compared as what they are | `x509`: `name::tests` |
//! | R15 | what is nested fits | `wire::isakmp`: `r15_*` |
//! | R16 | exchanges belong to states | `r16_*` here |
//! | R17 | the writer refuses, and never asserts | `wire::isakmp`: `r17_*` |
//! | R18 | what comes twice is done once | `r18_*` here; `quick_mode::a_recorded_quick_mode_*` |
//! | R19 | without an answer there is no state | `kerberos::a_kdc_that_is_down_*`; `r19_*` here |
//! | R20 | nobody deletes without a hash | `r20_*` here |
//! | R21 | no second way to authenticate | `r21_*` here |
//! | R22 | an SPI is taken at once | `r22_*` here |
//! | R23 | RSA signatures are encoded again | `crypto`: `signatures::forged_rsa_pkcs1_signatures_are_refused`, `rfc2409` |
//! | R24 | RSA keys are sound | `crypto`: `signatures::weak_rsa_keys_are_refused_with_the_reason` |

use crate::harness::*;
use crate::v1::hostile::{picture, state, with};
use crate::v1::version_1;
use ike::{Command, Discard, Error, Event, Misbehaved};
use wire::isakmp::{
    Attribute, ExchangeType, Flags, Fragment, Header, Notification, NotifyType, Payload,
    PayloadType, ProtocolId, decode_header, decode_payloads, encode, numbers,
};

/// A message in the clear with other payloads.
fn rewritten(packet: &Packet, change: impl FnOnce(&mut Vec<Payload>)) -> Packet {
    let (header, body) = decode_header(&packet.bytes).unwrap();
    let chain = decode_payloads(header.next_payload, body, false).unwrap();
    let mut payloads = chain.payloads.into_iter().map(|one| one.payload).collect();
    change(&mut payloads);
    with(packet, encode(&header, &payloads).unwrap())
}

fn without(packet: &Packet, kind: PayloadType) -> Packet {
    rewritten(packet, |payloads| payloads.retain(|one| one.kind() != kind))
}

fn doubled(packet: &Packet, kind: PayloadType) -> Packet {
    rewritten(packet, |payloads| {
        let one = payloads.iter().find(|one| one.kind() == kind).unwrap();
        payloads.push(one.clone());
    })
}

/// The first message of a main mode with other attributes in all transforms.
fn with_attributes(packet: &Packet, change: impl Fn(&mut Vec<Attribute>)) -> Packet {
    rewritten(packet, |payloads| {
        let Some(Payload::SecurityAssociation(sa)) = payloads.first_mut() else {
            panic!("it begins with its offer");
        };
        let transforms = sa.proposals.iter_mut().flat_map(|one| &mut one.transforms);
        transforms.for_each(|one| change(&mut one.attributes));
    })
}

/// Lets a changed message come, and then goes on as if it had not.
fn survives(stop: usize, change: impl Fn(&Packet) -> Packet, discard: Discard) {
    let (mut pair, packet) = state(stop).unwrap();
    let victim = 1 - packet.from;
    let before = picture(&pair, victim);
    pair.deliver(&change(&packet));
    assert_eq!(picture(&pair, victim), before, "message {stop}");
    let count = pair.hosts[victim].endpoint.discards().get(discard);
    assert_eq!(count, 1, "message {stop}");
    assert_eq!(pair.sent(victim), 0);
    pair.filter = Box::new(|_| Verdict::Pass);
    pair.deliver(&packet);
    pair.run(secs(5));
    pair.agree(1);
}

/// Lets a first message come that B refuses: nothing is kept, and at most a word is said.
fn refused(change: impl Fn(&Packet) -> Packet) -> Pair {
    let (mut pair, packet) = state(0).unwrap();
    let before = picture(&pair, B);
    pair.deliver(&change(&packet));
    assert_eq!(picture(&pair, B), before);
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
    assert!(pair.sent(B) <= 1);
    pair
}

#[test]
fn r2_a_payload_that_is_missing_or_doubled_is_refused_and_the_true_message_counts() {
    for kind in [PayloadType::SA, PayloadType::KE, PayloadType::NONCE] {
        for stop in 0..4 {
            let (_, packet) = state(stop).unwrap();
            let (header, body) = decode_header(&packet.bytes).unwrap();
            let chain = decode_payloads(header.next_payload, body, false).unwrap();
            if chain.all(kind).next().is_none() {
                continue;
            }
            let discard = Discard::UnexpectedPayloads;
            survives(stop, |packet| without(packet, kind), discard);
            // Of two answers to its offer an initiator takes the first.
            if stop != 1 {
                survives(stop, |packet| doubled(packet, kind), discard);
            }
        }
    }
}

#[test]
fn r3_a_message_of_the_other_version_means_nothing_to_an_sa_of_this_one() {
    for stop in 0..9 {
        let (mut pair, packet) = state(stop).unwrap();
        let victim = 1 - packet.from;
        let before = picture(&pair, victim);
        for (exchange, payload) in (0..=255).flat_map(|one| [(34, one), (35, one), (37, one)]) {
            let mut bytes = packet.bytes.clone();
            (bytes[16], bytes[17], bytes[18]) = (payload, 0x20, exchange);
            pair.deliver(&with(&packet, bytes));
        }
        assert_eq!(picture(&pair, victim), before, "message {stop}");
    }
}

#[test]
fn r4_groups_of_private_numbers_are_refused() {
    for group in [1_024, 1_025, u16::MAX] {
        let pair = refused(|packet| {
            with_attributes(packet, |attributes| {
                attributes.retain(|one| one.kind() != numbers::OAKLEY_GROUP);
                attributes.push(Attribute::Short(numbers::OAKLEY_GROUP, group));
            })
        });
        assert_eq!(pair.sent(B), 1, "it is told");
    }
}

#[test]
fn r5_a_public_value_that_is_none_is_refused_and_the_true_one_counts() {
    let value = |packet: &Packet, octets: &[u8]| {
        rewritten(packet, |payloads| {
            for one in payloads {
                if let Payload::KeyExchange(value) = one {
                    *value = octets.to_vec();
                }
            }
        })
    };
    // Curve25519: of small order, and of other lengths.
    for wrong in [&[0; 32][..], &[1], &[1; 31], &[1; 33], &[1; 600]] {
        survives(2, |packet| value(packet, wrong), Discard::KeyExchange);
        // An initiator's own value is used up: it says so, and what waits is told.
        let (mut pair, packet) = state(3).unwrap();
        pair.deliver(&value(&packet, wrong));
        let of_the_peer = Error::Misbehaved(Misbehaved::KeyExchange);
        let failed = |event: &Event| match event {
            Event::AcquireFailed { error, .. } => *error == of_the_peer,
            _ => false,
        };
        assert!(pair.event(A, failed).is_some(), "{}", pair.story());
        assert!(pair.hosts[A].endpoint.status(pair.now).is_empty());
    }
}

#[test]
fn r6_an_offer_without_group_cipher_hash_or_method_is_refused() {
    let all = [
        numbers::OAKLEY_ENCRYPTION,
        numbers::OAKLEY_HASH,
        numbers::OAKLEY_AUTHENTICATION,
        numbers::OAKLEY_GROUP,
    ];
    for kind in all {
        let change = |packet: &Packet| {
            with_attributes(packet, |attributes| {
                attributes.retain(|one| one.kind() != kind);
            })
        };
        assert_eq!(refused(change).sent(B), 1, "attribute {kind}");
    }
    let nothing = |packet: &Packet| with_attributes(packet, Vec::clear);
    assert_eq!(refused(nothing).sent(B), 1);
}

#[test]
fn r7_a_key_length_that_no_cipher_has_is_refused() {
    for bits in [0, 1, 127, 512, u16::MAX] {
        let change = |packet: &Packet| {
            with_attributes(packet, |attributes| {
                attributes.retain(|one| one.kind() != numbers::OAKLEY_KEY_LENGTH);
                attributes.push(Attribute::Short(numbers::OAKLEY_KEY_LENGTH, bits));
            })
        };
        assert_eq!(refused(change).sent(B), 1, "{bits} bits");
    }
}

/// A notification in the clear, with these cookies.
fn notification(packet: &Packet, cookies: (u64, u64), kind: NotifyType) -> Packet {
    let header = Header::new(
        cookies.0,
        cookies.1,
        ExchangeType::INFORMATIONAL,
        Flags::default(),
        7,
    );
    let one = Notification::new(ProtocolId::ISAKMP, kind, vec![1, 2, 3]);
    with(
        packet,
        encode(&header, &[Payload::Notification(one)]).unwrap(),
    )
}

#[test]
fn r8_notifications_before_there_are_keys_do_nothing_and_are_not_answered() {
    for stop in 0..5 {
        let (mut pair, packet) = state(stop).unwrap();
        let (header, _) = decode_header(&packet.bytes).unwrap();
        let cookies = (header.initiator_cookie, header.responder_cookie);
        let pictures = [A, B].map(|host| picture(&pair, host));
        for kind in (0..=60).chain([8_192, 16_384, 24_576, 36_136, 36_137, u16::MAX]) {
            for cookies in [cookies, (cookies.0, 0), (cookies.0, 9), (8, 9), (8, 0)] {
                for from in [A, B] {
                    let mut one = notification(&packet, cookies, NotifyType(kind));
                    if from != packet.from {
                        std::mem::swap(&mut one.local, &mut one.remote);
                        one.from = from;
                    }
                    pair.deliver(&one);
                }
            }
        }
        assert_eq!([A, B].map(|host| picture(&pair, host)), pictures);
        assert_eq!(pair.log.len(), 0, "message {stop}");
        let told = |event: &&(std::time::Duration, Event)| {
            matches!(event.1, Event::MainModeDoubtful { .. })
        };
        for host in &pair.hosts {
            assert!(
                host.events.iter().filter(told).count() <= 1,
                "it is news once"
            );
        }
        pair.filter = Box::new(|_| Verdict::Pass);
        pair.deliver(&packet);
        pair.run(secs(5));
        pair.agree(1);
    }
}

#[test]
fn r9_a_refusal_leaves_no_state_and_no_cookie() {
    let mut other = version_1();
    for (side, group) in [(A, crypto::Group::Modp2048), (B, crypto::Group::Modp3072)] {
        for one in &mut other.ike[side].proposals {
            one.groups = vec![group];
        }
    }
    let mut pair = other.pair();
    pair.filter = Box::new(|packet| match packet.from {
        A => Verdict::Pass,
        _ => Verdict::Drop,
    });
    pair.acquire(A);
    pair.run(secs(20));
    let said = pair.log.iter().filter(|(_, packet)| packet.from == B);
    let said: Vec<Packet> = said.map(|(_, packet)| packet.clone()).collect();
    assert!(!said.is_empty());
    for one in said {
        let (header, _) = decode_header(&one.bytes).unwrap();
        assert_eq!(header.exchange, ExchangeType::INFORMATIONAL);
        assert_eq!(header.responder_cookie, 0);
    }
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
    assert!(pair.hosts[B].endpoint.status(pair.now).is_empty());
}

#[test]
fn r11_a_part_before_both_cookies_are_known_is_not_kept() {
    let data = vec![1; 200];
    let fragment = Payload::Fragment(Fragment {
        id: 1,
        number: 1,
        last: false,
        data,
    });
    let part = |packet: &Packet| {
        let (header, _) = decode_header(&packet.bytes).unwrap();
        let part = encode(&header, std::slice::from_ref(&fragment)).unwrap();
        with(packet, part)
    };
    assert_eq!(refused(part).sent(B), 0);
    let (mut pair, packet) = state(2).unwrap();
    let mut stranger = part(&packet);
    stranger.bytes[8..16].fill(7);
    pair.deliver(&stranger);
    assert!(pair.hosts[B].endpoint.discards().get(Discard::UnknownSpi) > 0);
}

#[test]
fn r16_exchanges_that_do_not_belong_to_the_state_do_nothing() {
    for stop in 0..6 {
        let (mut pair, packet) = state(stop).unwrap();
        let victim = 1 - packet.from;
        let before = picture(&pair, victim);
        for (exchange, id) in (0..=255).flat_map(|one| [(one, 0), (one, 1)]) {
            if (exchange, id) == (2, 0) {
                continue;
            }
            for encrypted in [0, 1] {
                let mut bytes = packet.bytes.clone();
                (bytes[18], bytes[19], bytes[23]) = (exchange, encrypted, id);
                pair.deliver(&with(&packet, bytes));
            }
        }
        // The first message has no SA: a message id in it has no meaning.
        if stop > 0 {
            assert_eq!(picture(&pair, victim), before, "message {stop}");
        }
        assert!(pair.ikes(victim).is_empty());
        let limit = ike::limits::HALF_OPEN_PER_SOURCE;
        assert!(pair.hosts[B].endpoint.half_open() <= limit);
    }
}

#[test]
fn r18_a_delete_that_comes_again_finds_nothing_more() {
    let mut pair = version_1().pair();
    pair.establish();
    let child = pair.child(A);
    pair.command(A, Command::DeleteChild(child));
    pair.run(secs(1));
    pair.agree(0);
    let deletes: Vec<Packet> = pair.log.iter().map(|(_, one)| one.clone()).collect();
    pair.acquire(A);
    pair.run(secs(1));
    pair.agree(1);
    let (before, told) = (pair.child(B), pair.hosts[B].events.len());
    for one in deletes.iter().filter(|one| one.from == A) {
        pair.deliver(one);
        pair.deliver(one);
    }
    pair.run(secs(1));
    pair.agree(1);
    assert_eq!(pair.child(B), before);
    assert_eq!(pair.hosts[B].events.len(), told);
}

#[test]
fn r19_what_cannot_be_answered_leaves_nothing() {
    // B has nothing that IKEv1 can say, and so no answer to any offer.
    let mut setup = version_1();
    setup.ike[B].proposals.clear();
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(secs(1));
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
    assert!(pair.hosts[B].endpoint.status(pair.now).is_empty());
    pair.run(secs(60));
    pair.agree(0);
}

#[test]
fn r20_nobody_deletes_without_the_right_hash() {
    let mut pair = version_1().pair();
    pair.establish();
    let child = pair.child(A);
    let (spi, ike) = (pair.spec(A).inbound_spi, pair.ike(A));
    pair.filter = Box::new(|_| Verdict::Drop);
    pair.command(A, Command::CheckLiveness(ike));
    let asked = pair.log[0].1.clone();
    let (header, _) = decode_header(&asked.bytes).unwrap();
    let cookies = (header.initiator_cookie, header.responder_cookie);
    let before = picture(&pair, B);
    let deletes = [
        wire::isakmp::Delete::esp(&[spi]),
        wire::isakmp::Delete::isakmp(cookies.0, cookies.1),
    ];
    for delete in deletes {
        let delete = Payload::Delete(delete);
        for payloads in [
            vec![delete.clone()],
            vec![Payload::Hash(vec![0; 20]), delete.clone()],
            vec![Payload::Nonce(vec![1; 16]), delete.clone()],
        ] {
            for flags in [Flags::default(), Flags::ENCRYPTED] {
                let header = Header { flags, ..header };
                pair.deliver(&with(&asked, encode(&header, &payloads).unwrap()));
            }
        }
    }
    assert_eq!(picture(&pair, B), before);
    assert!(pair.hosts[A].sad.contains_key(&child));
}

#[test]
fn r21_no_other_exchange_begins_anything() {
    // Base, authentication only, aggressive, transaction (as XAUTH has it), new group.
    for exchange in [1, 3, 4, 6, 33] {
        let change = |packet: &Packet| {
            let mut bytes = packet.bytes.clone();
            bytes[18] = exchange;
            with(packet, bytes)
        };
        let pair = refused(change);
        assert_eq!(pair.sent(B), 0);
        let discards = pair.hosts[B].endpoint.discards();
        assert_eq!(discards.get(Discard::UnexpectedExchange), 1);
    }
}

#[test]
fn r22_a_cookie_that_is_ours_is_only_ours() {
    let mut pair = version_1().pair();
    pair.establish();
    let own = pair.ike(B);
    let (_, first) = state(0).unwrap();
    let mut bytes = first.bytes.clone();
    bytes[..8].copy_from_slice(&own.0.to_be_bytes());
    pair.filter = Box::new(|_| Verdict::Drop);
    pair.deliver(&with(&first, bytes));
    // A main mode of its own, with another cookie of ours.
    assert_eq!(pair.hosts[B].endpoint.half_open(), 1);
    let (header, _) = decode_header(&pair.log[0].1.bytes).unwrap();
    assert_ne!(header.responder_cookie, own.0);
    pair.filter = Box::new(|_| Verdict::Pass);
    pair.run(secs(60));
    assert_eq!((pair.ike(B), pair.hosts[B].endpoint.half_open()), (own, 0));
    pair.agree(1);
}
