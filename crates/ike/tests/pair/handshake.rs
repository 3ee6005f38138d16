//! IKE_SA_INIT and IKE_AUTH: algorithms, cookies, groups, identities, narrowing, NAT.

use crate::harness::*;
use crypto::{Encryption, Group, Integrity, Prf};
use ike::{Command, Cookies, Discard, Error, Event, Incompatible, NotAuthentic, Role};
use policy::AdditionalOffer;
use policy::child::{ChildTemplate, Mode};
use policy::identity::Identity;
use policy::pad::IkePort;
use policy::proposal::{EspProposal, IkeProposal};
use policy::range::PortRange;
use policy::sa::Encapsulation;

#[test]
fn a_child_comes_up_in_four_messages() {
    let mut pair = Setup::default().pair();
    pair.acquire(A);
    pair.run(millis(100));
    pair.agree(1);
    assert_eq!((pair.sent(A), pair.sent(B)), (2, 2));
    let established = |event: &Event| matches!(event, Event::IkeEstablished { .. });
    assert_eq!(pair.when(B, established), Some(millis(3)));
    assert_eq!(pair.when(A, established), Some(millis(4)));
    let spec = pair.spec(A);
    assert_eq!(spec.mode, Mode::Transport);
    assert_eq!(spec.encapsulation, Encapsulation::None);
    assert_eq!(spec.selectors.remote[0].ports, PortRange::single(110));
    assert!(spec.esn);
}

#[test]
fn the_responder_installs_before_it_answers() {
    // The harness applies outputs in order; a response that the initiator handles at once would
    // find no pair if it left first.
    let mut pair = Setup::default().pair();
    pair.acquire(A);
    pair.run(millis(3));
    assert_eq!(pair.hosts[B].sad.len(), 1);
    assert_eq!(pair.hosts[A].sad.len(), 0);
    pair.run(millis(1));
    pair.agree(1);
}

#[test]
fn equal_seeds_give_equal_messages() {
    let run = |seed| {
        let mut pair = Setup {
            seed,
            ..Setup::default()
        }
        .pair();
        pair.acquire(A);
        pair.run(secs(10));
        pair.log
            .into_iter()
            .map(|(at, packet)| (at, packet.bytes))
            .collect::<Vec<_>>()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

fn with_algorithms(encryption: Encryption, integrity: Option<Integrity>, prf: Prf, group: Group) {
    let mut setup = Setup::default();
    for side in [A, B] {
        setup.ike[side].proposals = vec![IkeProposal {
            encryption: vec![encryption],
            integrity: integrity.into_iter().collect(),
            prf: vec![prf],
            groups: vec![group],
            additional: AdditionalOffer::default(),
        }];
        setup.child[side].proposals = vec![EspProposal {
            encryption: vec![encryption],
            integrity: integrity.into_iter().collect(),
            groups: vec![group],
            additional: AdditionalOffer::default(),
            esn: vec![false],
        }];
    }
    let mut pair = setup.pair();
    pair.establish();
    assert_eq!(pair.spec(A).encryption, encryption);
    // The child's own Diffie-Hellman exchange happens when it is rekeyed, and the IKE SA's too.
    let (child, ike) = (pair.child(A), pair.ike(B));
    pair.command(A, Command::RekeyChild(child));
    pair.run(millis(100));
    pair.agree(1);
    assert_ne!(pair.child(A), child);
    pair.command(B, Command::RekeyIke(ike));
    pair.run(millis(100));
    pair.agree(1);
    assert_ne!(pair.ike(B), ike);
    let child = pair.child(B);
    pair.command(B, Command::RekeyChild(child));
    pair.run(millis(100));
    pair.agree(1);
}

#[test]
fn every_cipher() {
    // What is legacy, IKEv2 never has.
    let all = Encryption::ALL.into_iter().filter(|one| !one.is_legacy());
    for encryption in all.clone().filter(|one| one.is_aead()) {
        with_algorithms(encryption, None, Prf::HmacSha2_256, Group::Curve25519);
    }
    for encryption in all.filter(|one| !one.is_aead()) {
        for integrity in Integrity::ALL.into_iter().filter(|one| !one.is_legacy()) {
            with_algorithms(
                encryption,
                Some(integrity),
                Prf::HmacSha2_384,
                Group::Curve25519,
            );
        }
    }
}

#[test]
fn every_prf() {
    for prf in Prf::ALL.into_iter().filter(|one| !one.is_legacy()) {
        with_algorithms(Encryption::ChaCha20Poly1305, None, prf, Group::Ecp256);
    }
}

#[test]
fn every_group() {
    for group in Group::ALL.into_iter().filter(|one| !one.is_legacy()) {
        with_algorithms(
            Encryption::AesGcm16 { key_bits: 128 },
            None,
            Prf::HmacSha2_512,
            group,
        );
    }
}

#[test]
fn cookies_always() {
    let setup = Setup {
        config: |config| config.cookies = Cookies::Always,
        ..Setup::default()
    };
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(millis(100));
    pair.agree(1);
    assert_eq!((pair.sent(A), pair.sent(B)), (3, 3));
    assert_eq!(pair.hosts[B].endpoint.discards().get(Discard::Cookie), 1);
    assert!(
        pair.event(B, |event| *event == Event::CookiesRequired(true))
            .is_some()
    );
}

#[test]
fn a_cookie_request_leaves_no_state_and_is_shorter_than_what_it_answers() {
    let setup = Setup {
        config: |config| config.cookies = Cookies::Always,
        ..Setup::default()
    };
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(millis(1));
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
    assert!(pair.log[1].1.bytes.len() < pair.log[0].1.bytes.len());
}

#[test]
fn cookies_from_a_number_of_half_open_responders() {
    let setup = Setup {
        config: |config| config.cookies = Cookies::From(2),
        ..Setup::default()
    };
    let mut pair = setup.pair();
    pair.filter = Box::new(|packet| match packet.from {
        B => Verdict::Drop,
        _ => Verdict::Pass,
    });
    for _ in 0..4 {
        let seed = 100 + pair.sent(A) as u64;
        let [fresh, _] = Setup {
            seed,
            ..Setup::default()
        }
        .pair()
        .hosts;
        pair.hosts[A] = fresh;
        pair.acquire(A);
        pair.run(millis(2));
    }
    assert_eq!(pair.hosts[B].endpoint.half_open(), 2);
    assert_eq!(pair.hosts[B].endpoint.discards().get(Discard::Cookie), 2);
    // After thirty seconds they are forgotten, and cookies are no longer asked for.
    pair.run(secs(31));
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
}

#[test]
fn copies_of_a_request_of_which_one_was_asked_for_a_cookie_are_one_handshake() {
    let setup = Setup {
        config: |config| config.cookies = Cookies::From(1),
        ..Setup::default()
    };
    let mut pair = setup.pair();
    pair.filter = Box::new(|packet| match packet.from {
        B => Verdict::Drop,
        _ => Verdict::Pass,
    });
    // Another initiator is half-open, for thirty seconds.
    pair.acquire(A);
    pair.run(millis(2));
    let [fresh, _] = Setup { seed: 99, ..setup }.pair().hosts;
    pair.hosts[A] = fresh;
    pair.run(secs(30) - millis(20));
    pair.acquire(A);
    pair.run(millis(2));
    let (_, cookie) = pair.log.last().cloned().unwrap();
    assert!(cookie.from == B && pair.hosts[B].endpoint.discards().get(Discard::Cookie) == 1);
    // The next copy comes when no cookie is asked for, and is accepted.
    pair.run(millis(200));
    assert_eq!(pair.hosts[B].endpoint.half_open(), 1);
    // Only then does the first answer arrive: A returns a cookie, and signs what it sent last.
    pair.filter = Box::new(|_| Verdict::Pass);
    let asked = pair.sent(A);
    pair.deliver(&cookie);
    pair.deliver(&cookie);
    assert_eq!(pair.sent(A), asked + 1, "one answer to each cookie");
    pair.run(millis(100));
    pair.agree(1);
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
}

#[test]
fn another_group_is_asked_for_and_given() {
    let mut setup = Setup::default();
    setup.ike[A].proposals[0].groups = vec![Group::Ecp256, Group::Ecp384, Group::Curve25519];
    setup.ike[B].proposals[0].groups = vec![Group::Ecp384];
    setup.ike[B].proposals.truncate(1);
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(millis(100));
    pair.agree(1);
    assert_eq!((pair.sent(A), pair.sent(B)), (3, 3));
    assert_eq!(pair.ikes(A)[0].suite.unwrap().group, Group::Ecp384);
}

#[test]
fn a_cookie_and_another_group_together() {
    let mut setup = Setup {
        config: |config| config.cookies = Cookies::Always,
        ..Setup::default()
    };
    setup.ike[B].proposals[0].groups = vec![Group::Ecp384];
    setup.ike[B].proposals.truncate(1);
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(millis(100));
    pair.agree(1);
}

#[test]
fn another_group_for_a_child() {
    let mut setup = Setup::default();
    setup.child[A].proposals[0].groups = vec![Group::Curve25519, Group::Ecp384];
    setup.child[B].proposals[0].groups = vec![Group::Ecp384];
    setup.child[B].proposals.truncate(1);
    let mut pair = setup.pair();
    pair.establish();
    let child = pair.child(A);
    pair.command(A, Command::RekeyChild(child));
    pair.run(millis(100));
    pair.agree(1);
    assert_ne!(pair.child(A), child);
}

#[test]
fn no_common_algorithm_shows_both_sides_and_the_first_difference() {
    let mut setup = Setup::default();
    let one = |encryption| IkeProposal {
        encryption: vec![encryption],
        integrity: vec![],
        prf: vec![Prf::HmacSha2_256],
        groups: vec![Group::Curve25519],
        additional: AdditionalOffer::default(),
    };
    setup.ike[A].proposals = vec![one(Encryption::ChaCha20Poly1305)];
    setup.ike[B].proposals = vec![one(Encryption::AesGcm16 { key_bits: 256 })];
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(secs(10));
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
    let told = pair
        .event(B, |event| matches!(event, Event::HandshakeFailed { .. }))
        .unwrap();
    let text = told.to_string();
    let difference = "ENCR: here ENCR_AES_GCM_16/256, there ENCR_CHACHA20_POLY1305";
    assert!(text.contains(difference), "{text}");
    // An unprotected refusal is a hint at first, and the reason when nothing better comes.
    let doubt = pair.event(A, |event| matches!(event, Event::HandshakeDoubtful { .. }));
    assert!(doubt.is_some());
    let refused = |event: &Event| {
        let kind = wire::ike::NotifyType::NO_PROPOSAL_CHOSEN;
        matches!(event, Event::AcquireFailed { error, .. } if *error == Error::Refused(kind))
    };
    assert_eq!(pair.when(A, refused), Some(secs(8)));
}

#[test]
fn no_common_child_algorithm_keeps_the_ike_sa() {
    let mut setup = Setup::default();
    setup.child[A].proposals.truncate(1);
    setup.child[B].proposals.remove(0);
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(millis(100));
    assert_eq!((pair.ikes(A).len(), pair.ikes(B).len()), (1, 1));
    pair.agree(0);
    let failed = |event: &Event| {
        let Event::ChildFailed {
            error: Error::Incompatible(why),
            role,
            ..
        } = event
        else {
            return false;
        };
        matches!(why, Incompatible::Proposal(_)) && *role == Role::Responder
    };
    assert!(pair.event(B, failed).is_some());
    assert!(
        pair.event(A, |event| matches!(event, Event::AcquireFailed { .. }))
            .is_some()
    );
    // And it goes when it has had no child for a minute.
    pair.run(secs(61));
    assert_eq!((pair.ikes(A).len(), pair.ikes(B).len()), (0, 0));
}

#[test]
fn no_common_traffic_keeps_the_ike_sa_and_shows_both_sides() {
    let mut setup = Setup::default();
    setup.ports[B] = PortRange::single(143);
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(millis(100));
    pair.agree(0);
    assert_eq!(pair.ikes(B).len(), 1);
    let told = pair
        .event(B, |event| matches!(event, Event::ChildFailed { .. }))
        .unwrap();
    let text = told.to_string();
    assert!(
        text.contains("tcp/143") && text.contains("tcp/110"),
        "{text}"
    );
    let kind = wire::ike::NotifyType::TS_UNACCEPTABLE;
    let refused = |event: &Event| matches!(event, Event::AcquireFailed { error, .. } if *error == Error::Refused(kind));
    assert!(pair.event(A, refused).is_some());
}

#[test]
fn transport_against_tunnel() {
    let mut setup = Setup::default();
    setup.child[B] = ChildTemplate::tunnel();
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(millis(100));
    pair.agree(0);
    let mode = Incompatible::Mode {
        ours: Mode::Tunnel,
        theirs: Mode::Transport,
    };
    let failed = |event: &Event| matches!(event, Event::ChildFailed { error: Error::Incompatible(why), .. } if *why == mode);
    assert!(pair.event(B, failed).is_some());
}

#[test]
fn tunnel_mode() {
    let mut setup = Setup::default();
    setup.child = [ChildTemplate::tunnel(), ChildTemplate::tunnel()];
    let mut pair = setup.pair();
    pair.establish();
    assert_eq!(pair.spec(B).mode, Mode::Tunnel);
}

#[test]
fn ranges_of_ports_are_narrowed_to_what_both_have() {
    let mut setup = Setup::default();
    setup.ports = [
        PortRange::new(100, 200).unwrap(),
        PortRange::new(50, 150).unwrap(),
    ];
    let mut pair = setup.pair();
    pair.establish();
    let ports = PortRange::new(100, 150).unwrap();
    assert_eq!(pair.spec(A).selectors.remote.len(), 1);
    assert_eq!(pair.spec(A).selectors.remote[0].ports, ports);
    assert_eq!(pair.spec(B).selectors.local[0].ports, ports);
}

#[test]
fn the_responder_may_begin_the_next_child() {
    let mut pair = Setup::default().pair();
    pair.acquire(B);
    pair.run(millis(100));
    pair.agree(1);
    assert_eq!(pair.ikes(B)[0].role, Role::Initiator);
}

#[test]
fn wrong_pre_shared_key() {
    let mut setup = Setup::default();
    setup.psk[A] = b"another key of one hundred and twenty-eight bits".to_vec();
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(millis(100));
    pair.agree(0);
    assert!(pair.ikes(A).is_empty() && pair.ikes(B).is_empty());
    let wrong = |event: &Event| {
        let Event::HandshakeFailed {
            error: Error::NotAuthentic(why),
            ..
        } = event
        else {
            return false;
        };
        matches!(why, NotAuthentic::Auth { said } if said == "10.0.0.1")
    };
    assert!(pair.event(B, wrong).is_some());
    let kind = wire::ike::NotifyType::AUTHENTICATION_FAILED;
    let told = |event: &Event| matches!(event, Event::AcquireFailed { error, .. } if *error == Error::Refused(kind));
    assert!(pair.event(A, told).is_some());
}

#[test]
fn a_responder_that_is_somebody_else_is_told_so_and_forgets_us() {
    let mut setup = Setup::default();
    setup.ids[B] = Identity::Fqdn("other.example".into());
    setup.expected[A] = Identity::Any;
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(millis(100));
    pair.agree(1);

    // Expecting a name that B does not have: B refuses to be addressed by it.
    setup.expected[A] = Identity::Fqdn("mail.example".into());
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(millis(100));
    pair.agree(0);
    let told = pair
        .event(B, |event| matches!(event, Event::HandshakeFailed { .. }))
        .unwrap();
    let text = told.to_string();
    assert!(
        text.contains("mail.example") && text.contains("other.example"),
        "{text}"
    );
}

#[test]
fn names_as_identities() {
    let mut setup = Setup::default();
    setup.ids = [
        Identity::Fqdn("front.example".into()),
        Identity::Email("mail@example".into()),
    ];
    setup.expected = [setup.ids[B].clone(), setup.ids[A].clone()];
    let mut pair = setup.pair();
    pair.establish();
}

#[test]
fn the_one_port_of_the_firewall() {
    let mut setup = Setup::default();
    for side in [A, B] {
        setup.ike[side].port = IkePort::Only4500;
    }
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(millis(100));
    pair.agree(1);
    assert!(
        pair.log
            .iter()
            .all(|(_, one)| one.local.port() == 4500 && one.remote.port() == 4500)
    );
    let udp = Encapsulation::Udp {
        local_port: 4500,
        remote_port: 4500,
    };
    assert_eq!(pair.spec(A).encapsulation, udp);
    assert_eq!(pair.spec(B).encapsulation, udp);
}

#[test]
fn esp_in_udp_by_one_side_s_wish_moves_both_to_4500() {
    for wisher in [A, B] {
        let mut setup = Setup::default();
        setup.ike[wisher].force_udp = true;
        let mut pair = setup.pair();
        pair.acquire(A);
        pair.run(millis(100));
        pair.agree(1);
        let udp = Encapsulation::Udp {
            local_port: 4500,
            remote_port: 4500,
        };
        assert_eq!(pair.spec(B).encapsulation, udp, "{wisher}");
        let ports: Vec<u16> = pair.log.iter().map(|(_, one)| one.local.port()).collect();
        assert_eq!(ports, [500, 500, 4500, 4500]);
    }
}

#[test]
fn transport_mode_through_a_nat() {
    let mut setup = Setup::default();
    setup.config = |config| {
        // B knows A by the NAT's address; A's own address stays in its identity.
        let peers = config.pad.peers().iter().cloned().map(|mut peer| {
            peer.addresses.clear();
            peer
        });
        config.pad = std::sync::Arc::new(policy::pad::Pad::new(peers.collect()));
        for rule in &mut config.rules {
            let any = policy::range::AddressRange::ANY_V4;
            for side in [&mut rule.selectors.local, &mut rule.selectors.remote] {
                for one in side
                    .iter_mut()
                    .filter(|one| one.addresses.contains(ip("10.0.0.1")))
                {
                    one.addresses = any;
                }
            }
        }
    };
    let mut pair = setup.pair();
    pair.nat = Some((ip("203.0.113.7"), 1000));
    pair.acquire(A);
    pair.run(millis(100));
    assert_eq!((pair.hosts[A].sad.len(), pair.hosts[B].sad.len()), (1, 1));
    let (a, b) = (pair.spec(A), pair.spec(B));
    assert_eq!(
        a.encapsulation,
        Encapsulation::Udp {
            local_port: 4500,
            remote_port: 4500
        }
    );
    assert_eq!(
        b.encapsulation,
        Encapsulation::Udp {
            local_port: 4500,
            remote_port: 5500
        }
    );
    // Each side has the addresses that it sees (RFC 7296 section 2.23.1).
    assert_eq!(
        a.selectors.local[0].addresses.as_host(),
        Some(ip("10.0.0.1"))
    );
    assert_eq!(
        b.selectors.remote[0].addresses.as_host(),
        Some(ip("203.0.113.7"))
    );
    assert_eq!((b.remote, b.local), (ip("203.0.113.7"), ip("10.0.0.2")));

    // A, which is behind the NAT, keeps it from forgetting; B need not.
    let begin = pair
        .when(A, |event| matches!(event, Event::IkeEstablished { .. }))
        .unwrap();
    pair.run(secs(61));
    let expected: Vec<_> = [20, 40, 60].iter().map(|at| begin + secs(*at)).collect();
    assert_eq!(pair.hosts[A].keepalives, expected);
    assert!(pair.hosts[B].keepalives.is_empty());

    // The NAT forgets and chooses another port: B follows an authenticated message.
    pair.nat = Some((ip("203.0.113.7"), 2000));
    let ike = pair.ike(A);
    pair.command(A, Command::CheckLiveness(ike));
    pair.run(millis(100));
    let udp = Encapsulation::Udp {
        local_port: 4500,
        remote_port: 6500,
    };
    assert_eq!(pair.spec(B).encapsulation, udp);
}

#[test]
fn keys_are_told_to_who_asked_for_them_only() {
    let mut pair = Setup::default().pair();
    pair.acquire(A);
    pair.run(millis(100));
    assert_eq!(pair.hosts[A].keys, 0);
    let mut pair = Setup {
        config: |config| config.export_keys = true,
        ..Setup::default()
    }
    .pair();
    pair.acquire(A);
    pair.run(millis(100));
    assert_eq!((pair.hosts[A].keys, pair.hosts[B].keys), (1, 1));
    let ike = pair.ike(A);
    pair.command(A, Command::RekeyIke(ike));
    pair.run(millis(100));
    assert_eq!((pair.hosts[A].keys, pair.hosts[B].keys), (2, 2));
}

#[test]
fn a_second_request_for_the_same_traffic_waits_for_the_first() {
    let mut pair = Setup::default().pair();
    pair.acquire(A);
    pair.acquire(A);
    pair.run(millis(3));
    pair.acquire(A);
    pair.run(millis(100));
    pair.acquire(A);
    pair.run(millis(100));
    pair.agree(1);
    assert_eq!(pair.sent(A), 2);
}

#[test]
fn two_rules_share_an_ike_sa() {
    let mut setup = Setup::default();
    setup.ports[B] = PortRange::new(100, 200).unwrap();
    let mut pair = setup.pair();
    pair.acquire(A);
    let mut other = pair.acquire_of(A);
    other.rule = "imap".into();
    other.selectors.remote[0].ports = PortRange::single(143);
    other.flow = None;
    pair.allow(A, &setup, &other);
    pair.command(A, Command::Acquire(Box::new(other)));
    pair.run(millis(100));
    pair.agree(2);
    assert_eq!(pair.ikes(A).len(), 1);
    assert_eq!(pair.sent(A), 3);
}
