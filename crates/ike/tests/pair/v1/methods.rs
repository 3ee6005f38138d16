//! Main mode with several ways to authenticate: which of them is used, which are left out, and what
//! somebody between both can make of it (RFC 2409 section 5).

use crate::certificates::{NOW, World};
use crate::harness::*;
use crate::v1::kerberos::{self, BACK, FRONT, Realm};
use crate::v1::version_1;
use crypto::Secret;
use ike::{Command, Config, Event, Takeover};
use policy::auth::{Alternative, Auth};
use policy::identity::Identity;
use policy::sa::Bucket;
use wire::isakmp::numbers::{
    OAKLEY_AUTHENTICATION, OAKLEY_GSS_IDENTITY, OAKLEY_GSS_KERBEROS, OAKLEY_PRESHARED_KEY,
    OAKLEY_RSA_SIGNATURE,
};
use wire::isakmp::{Payload, decode_header, decode_payloads, encode};

/// After every certificate here has expired.
const TOO_LATE: u64 = NOW + 365 * 24 * 3600;

fn way(auth: Auth, local_id: Identity) -> Alternative {
    Alternative { auth, local_id }
}

/// By a pre-shared key, as our address.
fn psk(key: &[u8]) -> Alternative {
    way(Auth::psk(Secret::from_slice(key)), Identity::Any)
}

/// By Kerberos, as our address.
fn ticket(host: usize) -> Alternative {
    let auth = match host {
        A => kerberos::auth(FRONT, &["host/be*.example@R"]),
        _ => kerberos::auth(BACK, &[FRONT]),
    };
    way(auth.unwrap(), Identity::Any)
}

/// By a certificate, as its subject.
fn certificate(world: &World, host: usize) -> Alternative {
    let setup = world.setup();
    way(setup.auth[host].clone().unwrap(), setup.ids[host].clone())
}

fn rsa() -> World {
    World::with(&rcgen::PKCS_RSA_SHA256)
}

fn setup(ways: [Vec<Alternative>; 2]) -> Setup {
    let mut setup = version_1();
    setup.expected = [Identity::Any, Identity::Any];
    for (host, mut ways) in ways.into_iter().enumerate() {
        let first = ways.remove(0);
        setup.auth[host] = Some(first.auth);
        setup.ids[host] = first.local_id;
        setup.alternatives[host] = ways;
    }
    setup
}

/// A calls B at a time of day.
fn call(setup: &Setup, seconds: u64, realm: &mut Realm) -> Pair {
    let mut pair = setup.pair();
    for host in [A, B] {
        pair.command(host, Command::SetClock(seconds));
    }
    pair.acquire(A);
    realm.serve(&mut pair, 100);
    pair
}

/// By which way both sides say that they know each other, with the other's identity.
fn used(pair: &Pair, host: usize) -> (&'static str, String) {
    let all = pair.ikes(host);
    assert_eq!(all.len(), 1, "{}", pair.story());
    let said = all[0].remote_id.as_ref().map(ToString::to_string);
    (all[0].authentication.unwrap(), said.unwrap())
}

fn agree_by(pair: &Pair, method: &str, ids: [&str; 2]) {
    pair.agree(1);
    for host in [A, B] {
        let expected = ids[1 - host].to_owned();
        assert_eq!(used(pair, host), (method, expected), "{}", pair.story());
        let established = |event: &Event| matches!(event, Event::IkeEstablished { .. });
        let said = pair.event(host, established).unwrap().to_string();
        assert!(said.contains(&format!("by {method}, ")), "{said}");
    }
}

/// How often a host began a main mode.
fn begun(pair: &Pair, host: usize) -> usize {
    let events = pair.hosts[host].events.iter();
    events
        .filter(|(_, event)| matches!(event, Event::HandshakeStarted { .. }))
        .count()
}

fn left_out(pair: &Pair, host: usize) -> Vec<String> {
    let events = pair.hosts[host].events.iter();
    let left_out = events.filter(|(_, event)| matches!(event, Event::MethodLeftOut { .. }));
    left_out.map(|(_, event)| event.to_string()).collect()
}

#[test]
fn the_order_of_who_begins_decides() {
    let world = rsa();
    let by_certificate = |host| certificate(&world, host);
    for (ways, method, ids) in [
        (
            [vec![ticket(A), psk(PSK)], vec![psk(PSK), ticket(B)]],
            "kerberos",
            ADDRESSES,
        ),
        (
            [vec![psk(PSK), ticket(A)], vec![ticket(B), psk(PSK)]],
            "psk",
            ADDRESSES,
        ),
        (
            [
                vec![by_certificate(A), psk(PSK), ticket(A)],
                vec![ticket(B), psk(PSK), by_certificate(B)],
            ],
            "certificate",
            ["C=DE, CN=a.example", "C=DE, CN=b.example"],
        ),
        (
            [
                vec![psk(PSK), by_certificate(A)],
                vec![by_certificate(B), psk(PSK)],
            ],
            "psk",
            ADDRESSES,
        ),
    ] {
        let mut realm = Realm::new(1);
        let pair = call(&setup(ways), NOW, &mut realm);
        agree_by(&pair, method, ids);
        assert_eq!((begun(&pair, A), left_out(&pair, A).len()), (1, 0));
        assert!(realm.is_empty());
    }
}

#[test]
fn the_way_that_both_have_is_used_wherever_it_stands() {
    let world = rsa();
    for ways in [
        [vec![ticket(A), psk(PSK)], vec![psk(PSK)]],
        [vec![psk(PSK)], vec![ticket(B), psk(PSK)]],
        [
            vec![certificate(&world, A), psk(PSK)],
            vec![ticket(B), psk(PSK)],
        ],
    ] {
        let pair = call(&setup(ways), NOW, &mut Realm::new(1));
        agree_by(&pair, "psk", ADDRESSES);
    }
    let ways = [
        vec![ticket(A), psk(b"of nobody else"), certificate(&world, A)],
        vec![certificate(&world, B)],
    ];
    let pair = call(&setup(ways), NOW, &mut Realm::new(1));
    let ids = ["C=DE, CN=a.example", "C=DE, CN=b.example"];
    agree_by(&pair, "certificate", ids);
}

#[test]
fn without_a_way_in_common_both_lists_are_shown() {
    let world = rsa();
    let ways = [vec![ticket(A), psk(PSK)], vec![certificate(&world, B)]];
    let mut pair = call(&setup(ways), NOW, &mut Realm::new(1));
    let failed = |event: &Event| matches!(event, Event::HandshakeFailed { .. });
    let said = pair.event(B, failed).unwrap().to_string();
    let (ours, theirs) = match said.find("KERBEROS") {
        Some(_) => said.split_at(said.find("GSS_KERBEROS").unwrap()),
        None => panic!("{said}"),
    };
    assert!(ours.contains("RSA_SIGNATURE"), "{said}");
    assert!(theirs.contains("PRESHARED_KEY"), "{said}");
    pair.run(secs(60));
    pair.agree(0);
    assert_eq!(begun(&pair, A), 1);
}

#[test]
fn what_cannot_be_used_here_is_not_offered() {
    let world = rsa();
    let both = |host| vec![certificate(&world, host), psk(PSK)];
    let pair = call(&setup([both(A), both(B)]), TOO_LATE, &mut Realm::new(1));
    agree_by(&pair, "psk", ADDRESSES);
    let [said] = &left_out(&pair, A)[..] else {
        panic!("{}", pair.story());
    };
    for part in [
        "other is called without certificate, which",
        "CN=a.example` expired at",
    ] {
        assert!(said.contains(part), "{said}");
    }
    // A responder does not choose it either, though a peer without a clock of its own offers it.
    let mut pair = setup([both(A), both(B)]).pair();
    pair.command(A, Command::SetClock(NOW));
    pair.command(B, Command::SetClock(TOO_LATE));
    pair.acquire(A);
    pair.run(millis(100));
    agree_by(&pair, "psk", ADDRESSES);
    // An elliptic curve, with which IKEv1 does not sign.
    let curve = World::new();
    let both = |host| vec![certificate(&curve, host), psk(PSK)];
    let pair = call(&setup([both(A), both(B)]), NOW, &mut Realm::new(1));
    agree_by(&pair, "psk", ADDRESSES);
    assert!(
        left_out(&pair, A)[0].contains("not RSA"),
        "{}",
        pair.story()
    );
    // Nothing is left: the peer says what is wrong with it.
    let only = |host| vec![certificate(&world, host)];
    let pair = call(&setup([only(A), only(B)]), TOO_LATE, &mut Realm::new(1));
    assert_eq!(left_out(&pair, A).len(), 0);
    assert!(
        kerberos::failure(&pair, B).contains("expired at"),
        "{}",
        pair.story()
    );
}

#[test]
fn without_a_ticket_a_new_main_mode_begins_with_what_is_left() {
    let both = |host| vec![ticket(host), psk(PSK)];
    let mut realm = Realm::new(1);
    realm.down = true;
    let setup_of_both = setup([both(A), both(B)]);
    let mut pair = call(&setup_of_both, NOW, &mut realm);
    agree_by(&pair, "psk", ADDRESSES);
    assert_eq!(begun(&pair, A), 2);
    let [said] = &left_out(&pair, A)[..] else {
        panic!("{}", pair.story());
    };
    assert!(
        said.contains("other is called without kerberos, which"),
        "{said}"
    );
    assert!(said.contains("cannot contact any KDC"), "{said}");
    let failed = |event: &Event| matches!(event, Event::AcquireFailed { .. });
    assert!(pair.event(A, failed).is_none());
    // The next one has the whole list again.
    realm.down = false;
    let ike = pair.ike(A);
    pair.command(A, Command::RekeyIke(ike));
    realm.serve(&mut pair, 12_000);
    agree_by_now(&pair, "kerberos");
    // And so in the place of an ISAKMP SA: its pair goes on.
    realm.down = true;
    let (ike, child) = (pair.ike(A), pair.child(A));
    pair.command(A, Command::RekeyIke(ike));
    realm.serve(&mut pair, 12_000);
    agree_by_now(&pair, "psk");
    assert_eq!(pair.child(A), child);
    // A KDC that says nothing at all.
    let mut pair = setup_of_both.pair();
    pair.acquire(A);
    pair.run(secs(29));
    assert_eq!(begun(&pair, A), 1);
    pair.run(secs(2));
    agree_by(&pair, "psk", ADDRESSES);
    assert_eq!(pair.hosts[A].ended.len(), 1);
}

fn agree_by_now(pair: &Pair, method: &str) {
    pair.agree(1);
    for host in [A, B] {
        assert_eq!(used(pair, host).0, method, "{}", pair.story());
    }
}

#[test]
fn a_proof_that_fails_is_the_end_of_it() {
    let world = rsa();
    let other = rsa();
    let mut realm = Realm::new(1);
    realm.keys[B] = Some("host/be2.example@R");
    for ways in [
        // Another key, and then a way that would do.
        [
            vec![psk(b"a key that the other has not"), ticket(A)],
            vec![psk(PSK), ticket(B)],
        ],
        // Authorities that the other does not trust.
        [
            vec![certificate(&world, A), psk(PSK)],
            vec![certificate(&other, B), psk(PSK)],
        ],
        // A ticket that the other cannot read.
        [vec![ticket(A), psk(PSK)], vec![ticket(B), psk(PSK)]],
    ] {
        let mut pair = call(&setup(ways), NOW, &mut realm);
        realm.serve(&mut pair, 64_000);
        pair.agree(0);
        let failed = |event: &Event| matches!(event, Event::AcquireFailed { .. });
        assert!(pair.event(A, failed).is_some(), "{}", pair.story());
        assert_eq!((begun(&pair, A), left_out(&pair, A).len()), (1, 0));
    }
}

/// Message 1 without the transforms of a method; `None` for every other message.
fn stripped(packet: &Packet, method: u16) -> Option<Vec<u8>> {
    let (header, body) = decode_header(&packet.bytes).ok()?;
    let first = packet.from == A && header.responder_cookie == 0;
    let chain = decode_payloads(header.next_payload, body, false)
        .ok()
        .filter(|_| first)?;
    let mut payloads: Vec<Payload> = chain.payloads.into_iter().map(|one| one.payload).collect();
    for payload in &mut payloads {
        if let Payload::SecurityAssociation(offer) = payload {
            let keeps = |value: Option<u64>| value != Some(u64::from(method));
            for proposal in &mut offer.proposals {
                proposal
                    .transforms
                    .retain(|one| keeps(one.value(OAKLEY_AUTHENTICATION)));
            }
        }
    }
    Some(encode(&header, &payloads).unwrap())
}

#[test]
fn who_strips_ways_from_the_offer_is_noticed() {
    let world = rsa();
    let by_all = |host| vec![certificate(&world, host), ticket(host), psk(PSK)];
    for stripped_methods in [
        // A pre-shared key is left, ...
        vec![OAKLEY_RSA_SIGNATURE, OAKLEY_GSS_KERBEROS],
        // ... or Kerberos.
        vec![OAKLEY_RSA_SIGNATURE],
    ] {
        let mut pair = setup([by_all(A), by_all(B)]).pair();
        let kept = stripped_methods.clone();
        pair.filter = Box::new(move |packet| {
            let mut changed = packet.clone();
            for method in &kept {
                match stripped(&changed, *method) {
                    Some(bytes) => changed.bytes = bytes,
                    None => return Verdict::Pass,
                }
            }
            Verdict::Replace(changed.bytes)
        });
        for host in [A, B] {
            pair.command(host, Command::SetClock(NOW));
        }
        pair.acquire(A);
        let mut realm = Realm::new(1);
        realm.serve(&mut pair, 64_000);
        pair.agree(0);
        let said = kerberos::failure(&pair, B);
        let why = [
            "10.0.0.1 failed to authenticate",
            "somebody may be between us",
        ];
        assert!(why.iter().any(|why| said.contains(why)), "{said}");
        assert_eq!(begun(&pair, A), 1, "{}", pair.story());
    }
}

#[test]
fn an_answer_with_a_way_that_was_left_out_is_none() {
    let world = rsa();
    let both = |host| vec![certificate(&world, host), psk(PSK)];
    let mut pair = setup([both(A), both(B)]).pair();
    pair.command(A, Command::SetClock(TOO_LATE));
    pair.command(B, Command::SetClock(NOW));
    // Somebody makes B's answer say that it has chosen a signature.
    pair.filter = Box::new(move |packet| {
        let (header, body) = decode_header(&packet.bytes).unwrap();
        if packet.from == A || packet.bytes[19] & 1 != 0 {
            return Verdict::Pass;
        }
        let chain = decode_payloads(header.next_payload, body, false).unwrap();
        let mut payloads: Vec<Payload> =
            chain.payloads.into_iter().map(|one| one.payload).collect();
        for payload in &mut payloads {
            if let Payload::SecurityAssociation(answer) = payload {
                let transform = &mut answer.proposals[0].transforms[0];
                for attribute in &mut transform.attributes {
                    if attribute.kind() == OAKLEY_AUTHENTICATION {
                        *attribute = wire::isakmp::Attribute::Short(
                            OAKLEY_AUTHENTICATION,
                            OAKLEY_RSA_SIGNATURE,
                        );
                    }
                }
            }
        }
        Verdict::Replace(encode(&header, &payloads).unwrap())
    });
    pair.acquire(A);
    pair.run(secs(2));
    pair.agree(0);
    let refused = pair.hosts[A].endpoint.discards();
    assert!(refused.get(ike::Discard::UnexpectedPayloads) > 0);
    pair.filter = Box::new(|_| Verdict::Pass);
    pair.run(secs(10));
    agree_by_now(&pair, "psk");
}

/// Message 1 without the vendor ID of who knows Kerberos, and perhaps without its principals.
fn without_vendor_id(packet: &Packet, principals: bool) -> Option<Vec<u8>> {
    let gssapi = Payload::VendorId(wire::isakmp::vendor::Vendor::Gssapi.octets());
    let (header, body) = decode_header(&packet.bytes).ok()?;
    let first = packet.from == A && header.responder_cookie == 0;
    let chain = decode_payloads(header.next_payload, body, false).ok();
    let payloads = chain.filter(|_| first)?.payloads.into_iter();
    let mut payloads: Vec<Payload> = payloads.map(|one| one.payload).collect();
    payloads.retain(|one| *one != gssapi);
    if let Some(Payload::SecurityAssociation(offer)) = payloads.first_mut() {
        for transform in &mut offer.proposals[0].transforms {
            let stays = |kind| principals || kind != OAKLEY_GSS_IDENTITY;
            transform.attributes.retain(|one| stays(one.kind()));
        }
    }
    Some(encode(&header, &payloads).unwrap())
}

/// The method in the transform that B chose.
fn chosen(pair: &Pair) -> Option<u64> {
    let mut sent = pair.log.iter().filter(|(_, packet)| packet.from == B);
    let (header, body) = decode_header(&sent.next()?.1.bytes).unwrap();
    let chain = decode_payloads(header.next_payload, body, false).unwrap();
    match &chain.payloads[0].payload {
        Payload::SecurityAssociation(answer) => {
            answer.proposals[0].transforms[0].value(OAKLEY_AUTHENTICATION)
        }
        _ => None,
    }
}

#[test]
fn who_takes_the_vendor_id_away_gets_no_other_way() {
    let both = |host| vec![ticket(host), psk(PSK)];
    let mut pair = setup([both(A), both(B)]).pair();
    pair.filter = Box::new(move |packet| match without_vendor_id(packet, true) {
        Some(bytes) => Verdict::Replace(bytes),
        None => Verdict::Pass,
    });
    pair.acquire(A);
    Realm::new(1).serve(&mut pair, 100);
    pair.agree(0);
    let said = kerberos::failure(&pair, B);
    assert!(said.contains("to others its number means XAUTH"), "{said}");
    // Whoever really means XAUTH says no principal, and is taken by its next way.
    let mut pair = setup([both(A), both(B)]).pair();
    pair.filter = Box::new(move |packet| match without_vendor_id(packet, false) {
        Some(bytes) => Verdict::Replace(bytes),
        None => Verdict::Pass,
    });
    pair.acquire(A);
    pair.run(millis(100));
    assert_eq!(chosen(&pair), Some(u64::from(OAKLEY_PRESHARED_KEY)));
    // It was not A that meant it, and the hash covers that.
    pair.run(secs(64));
    pair.agree(0);
}

fn clustered(config: &mut Config) {
    config.buckets.insert(ip(ADDRESSES[B]), Bucket(1));
}

#[test]
fn a_survivor_knows_which_way_it_was() {
    let ways = [vec![psk(PSK), ticket(A)], vec![ticket(B), psk(PSK)]];
    let mut setup = setup(ways);
    setup.config = clustered;
    let mut realm = Realm::new(1);
    let mut pair = call(&setup, NOW, &mut realm);
    agree_by(&pair, "psk", ADDRESSES);
    let takeover = Takeover {
        epoch: 1,
        grace: secs(30),
        spread: secs(60),
    };
    pair.survive(B, &setup, takeover);
    agree_by_now(&pair, "psk");
    // What it begins itself has its own order.
    let ike = pair.ike(B);
    pair.command(B, Command::RekeyIke(ike));
    realm.serve(&mut pair, 12_000);
    agree_by_now(&pair, "kerberos");
}
