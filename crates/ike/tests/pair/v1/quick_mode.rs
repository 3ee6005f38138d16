//! Quick mode: pairs of both roles, groups of their own, the commit bit, replays, refusals.

use crate::harness::*;
use crate::v1::{exchanges, sends_on_the_new_one, version_1, without_main_mode};
use crypto::{Encryption, Group, Integrity};
use ike::{Command, Discard, Error, Event, Incompatible, Reason, Usage};
use policy::AdditionalOffer;
use policy::child::{ChildTemplate, Mode};
use policy::proposal::EspProposal;
use policy::range::PortRange;

fn esp(encryption: Encryption, integrity: Option<Integrity>, groups: &[Group]) -> Vec<EspProposal> {
    vec![EspProposal {
        encryption: vec![encryption],
        integrity: integrity.into_iter().collect(),
        groups: groups.to_vec(),
        additional: AdditionalOffer::default(),
        esn: vec![false],
    }]
}

#[test]
fn every_cipher_and_a_group_of_its_own() {
    let gcm = Encryption::AesGcm16 { key_bits: 128 };
    let cbc = Encryption::AesCbc { key_bits: 256 };
    let suites = [
        (gcm, None),
        (Encryption::AesGcm16 { key_bits: 256 }, None),
        (cbc, Some(Integrity::HmacSha2_256_128)),
        (cbc, Some(Integrity::HmacSha2_384_192)),
        (
            Encryption::AesCbc { key_bits: 192 },
            Some(Integrity::HmacSha2_512_256),
        ),
    ];
    for (encryption, integrity) in suites {
        for groups in [&[][..], &[Group::Modp2048], &[Group::Ecp256]] {
            let mut setup = version_1();
            for side in [A, B] {
                setup.child[side].proposals = esp(encryption, integrity, groups);
            }
            let mut pair = setup.pair();
            pair.establish();
            assert_eq!(pair.spec(A).encryption, encryption);
            let child = pair.child(B);
            pair.command(B, Command::RekeyChild(child));
            pair.run(secs(10));
            pair.agree(1);
            assert_ne!(pair.child(B), child);
        }
    }
}

#[test]
fn tunnel_mode() {
    let mut setup = version_1();
    for side in [A, B] {
        let proposals = setup.child[side].proposals.clone();
        setup.child[side] = ChildTemplate {
            proposals,
            ..ChildTemplate::tunnel()
        };
    }
    let mut pair = setup.pair();
    pair.establish();
    assert_eq!(pair.spec(B).mode, Mode::Tunnel);
}

#[test]
fn rekeyed_from_either_side_and_at_once_from_both() {
    for hosts in [&[A][..], &[B], &[A, B]] {
        let mut pair = version_1().pair();
        pair.establish();
        let children = [pair.child(A), pair.child(B)];
        for host in hosts {
            pair.command(*host, Command::RekeyChild(children[*host]));
        }
        pair.run(secs(90));
        pair.agree_on_pairs();
        assert!(
            !pair.hosts[A].sad.contains_key(&children[A]),
            "{}",
            pair.story()
        );
        pair.agree(1);
    }
}

/// What we say of ourselves, and no other software does.
const ACKNOWLEDGED_DELETE: [u8; 16] =
    *b"\x5e\x92\x8d\xb9\xd5\x8e\xd6\x2f\xce\x10\xc2\x40\x9a\x1b\x71\x10";

/// Has each side take the other for other software.
fn unlike_us(packet: &Packet) -> Verdict {
    let mut bytes = packet.bytes.clone();
    let said = |part: &[u8]| part == ACKNOWLEDGED_DELETE;
    match bytes.windows(16).position(said) {
        Some(at) => {
            bytes[at] ^= 1;
            Verdict::Replace(bytes)
        }
        None => Verdict::Pass,
    }
}

#[test]
fn the_old_pair_sends_until_the_peer_is_known_to_have_the_new_one() {
    for heard in [true, false] {
        let mut pair = version_1().pair();
        pair.filter = Box::new(unlike_us);
        pair.establish();
        let child = pair.child(A);
        pair.command(A, Command::RekeyChild(child));
        pair.run(secs(1));
        let new = *pair.hosts[A].sad.keys().next_back().unwrap();
        assert_ne!(new, child);
        // Who answered knows from the confirmation that both sides have it.
        assert!(sends_on_the_new_one(&pair, B));
        assert!(!sends_on_the_new_one(&pair, A), "{}", pair.story());
        match heard {
            true => {
                let usage = Usage {
                    inbound_packets: 1,
                    last_inbound: Some(pair.now),
                    ..Usage::default()
                };
                pair.command(A, Command::ChildUsage { child: new, usage });
            }
            // Nothing comes back: it is time.
            false => pair.run(secs(5)),
        }
        assert!(sends_on_the_new_one(&pair, A), "{}", pair.story());
        pair.run(secs(5));
        pair.agree(1);
    }
}

#[test]
fn the_confirmation_goes_ahead_of_the_first_packet_to_other_software() {
    for other in [false, true] {
        let mut pair = version_1().pair();
        if other {
            pair.filter = Box::new(unlike_us);
        }
        pair.acquire(A);
        while pair.hosts[A].sad.is_empty() {
            pair.run(millis(1));
        }
        assert_eq!(sends_on_the_new_one(&pair, A), !other, "{}", pair.story());
        pair.run(millis(18));
        assert_eq!(sends_on_the_new_one(&pair, A), !other, "{}", pair.story());
        pair.run(millis(3));
        pair.agree(1);
    }
}

#[test]
fn a_recorded_quick_mode_cannot_be_played_again() {
    let mut pair = version_1().pair();
    pair.establish();
    let child = pair.child(A);
    pair.command(A, Command::RekeyChild(child));
    pair.run(secs(120));
    let recorded: Vec<Packet> = pair.log.iter().map(|(_, one)| one.clone()).collect();
    pair.agree(1);
    let (child, before) = (pair.child(B), pair.hosts[B].events.len());
    for packet in recorded.iter().filter(|packet| packet.from == A) {
        pair.deliver(packet);
    }
    pair.run(secs(1));
    pair.agree(1);
    assert_eq!(pair.child(B), child);
    assert_eq!(pair.hosts[B].events.len(), before, "{}", pair.story());
    assert!(pair.hosts[B].endpoint.discards().get(Discard::MessageId) > 0);
}

#[test]
fn a_forged_quick_mode_changes_nothing() {
    let mut pair = version_1().pair();
    pair.establish();
    let child = pair.child(A);
    pair.command(A, Command::RekeyChild(child));
    let first = pair
        .log
        .iter()
        .find(|(_, one)| one.exchange() == 32)
        .unwrap()
        .1
        .clone();
    pair.run(secs(90));
    let child = pair.child(B);
    for at in 28..first.bytes.len() {
        let mut forged = first.clone();
        forged.bytes[20] ^= 0x55;
        forged.bytes[at] ^= 1;
        pair.deliver(&forged);
    }
    pair.run(secs(1));
    pair.agree(1);
    assert_eq!(pair.child(B), child);
}

#[test]
fn traffic_that_no_rule_covers_is_refused_with_both_sides() {
    let mut setup = version_1();
    setup.ports[B] = PortRange::single(143);
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(secs(1));
    let refused = |event: &Event| {
        let selectors =
            |error: &Error| matches!(error, Error::Incompatible(Incompatible::Selectors(_)));
        matches!(event, Event::ChildFailed { error, .. } if selectors(error))
    };
    assert!(pair.event(B, refused).is_some(), "{}", pair.story());
    let failed = |event: &Event| matches!(event, Event::AcquireFailed { .. });
    let said = pair.event(A, failed).unwrap().to_string();
    assert!(said.contains("INVALID_ID_INFORMATION"), "{said}");
    // The ISAKMP SA stays.
    assert_eq!((pair.ikes(A).len(), pair.ikes(B).len()), (1, 1));
}

#[test]
fn transport_against_tunnel_is_refused() {
    let mut setup = version_1();
    setup.child[B].mode = Mode::Tunnel;
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(secs(1));
    let mode = |event: &Event| {
        let mode = |error: &Error| matches!(error, Error::Incompatible(Incompatible::Mode { .. }));
        matches!(event, Event::ChildFailed { error, .. } if mode(error))
    };
    assert!(pair.event(B, mode).is_some(), "{}", pair.story());
}

#[test]
fn one_main_mode_for_each_quick_mode() {
    let mut setup = version_1();
    for side in [A, B] {
        setup.ike[side].quick_modes = 1;
    }
    let mut pair = setup.pair();
    pair.establish();
    let (ike, child) = (pair.ike(A), pair.child(A));
    pair.command(A, Command::RekeyChild(child));
    pair.run(secs(90));
    pair.agree(1);
    assert_ne!(pair.ike(A), ike);
    assert_ne!(pair.child(A), child);
    let main_modes = exchanges(&pair, A)
        .into_iter()
        .filter(|one| *one == 2)
        .count();
    assert_eq!(main_modes, 3, "{}", pair.story());
}

#[test]
fn kb980915_a_quick_mode_that_nobody_answers_ends_the_main_mode() {
    let setup = version_1();
    let mut pair = setup.pair();
    pair.establish();
    let child = pair.child(A);
    pair.crash(
        B,
        &Setup {
            seed: 99,
            ..version_1()
        },
    );
    pair.command(A, Command::RekeyChild(child));
    pair.run(secs(8));
    let gone = |event: &Event| {
        let timeout = |reason: &Reason| {
            matches!(
                reason,
                Reason::Failed(Error::Timeout { .. } | Error::Silent { .. })
            )
        };
        matches!(event, Event::IkeClosed { reason, .. } if timeout(reason))
    };
    pair.run(secs(2));
    pair.agree(1);
    let replaced = |event: &Event| matches!(event, Event::IkeRekeyed { .. });
    let over = pair.event(A, gone).or_else(|| pair.event(A, replaced));
    assert!(over.is_some(), "{}", pair.story());
}

#[test]
fn a_pair_that_carried_much_is_rekeyed() {
    let mut setup = version_1();
    setup.child[A].lifetime.bytes = Some(100_000_000);
    let mut pair = setup.pair();
    pair.establish();
    let child = pair.child(A);
    let usage = Usage {
        inbound_packets: 1,
        outbound_packets: 1,
        outbound_bytes: 100_000_000,
        last_inbound: Some(pair.now),
        last_outbound: Some(pair.now),
        ..Usage::default()
    };
    pair.command(A, Command::ChildUsage { child, usage });
    pair.run(secs(90));
    pair.agree(1);
    assert_ne!(pair.child(A), child);
}

#[test]
fn a_replaced_pair_goes_with_what_took_its_place() {
    let mut pair = version_1().pair();
    pair.establish();
    let child = pair.child(A);
    pair.command(A, Command::RekeyChild(child));
    pair.run(millis(100));
    assert_eq!(pair.hosts[B].sad.len(), 2);
    // A deletes the old one after a while, and B waits for that: not when there is nothing new.
    pair.filter = Box::new(|_| Verdict::Drop);
    let new = pair.hosts[B].sad.keys().max().copied().unwrap();
    pair.command(B, Command::DeleteChild(new));
    pair.run(millis(100));
    assert!(pair.hosts[B].sad.is_empty(), "{}", pair.story());
}

#[test]
fn a_replaced_pair_whose_delete_is_lost_waits_no_longer_than_its_repetitions() {
    let mut pair = version_1().pair();
    pair.establish();
    let child = pair.child(A);
    pair.command(A, Command::RekeyChild(child));
    pair.run(millis(100));
    pair.filter = Box::new(|_| Verdict::Drop);
    pair.run(secs(14));
    assert_eq!(pair.hosts[B].sad.len(), 2);
    pair.filter = Box::new(|_| Verdict::Pass);
    pair.run(secs(2));
    pair.agree(1);
}

#[test]
fn a_peer_that_does_not_know_a_replaced_pair_ends_it() {
    let mut pair = version_1().pair();
    pair.establish();
    let child = pair.child(A);
    let spi = pair.spec(A).inbound_spi;
    pair.command(A, Command::RekeyChild(child));
    pair.run(millis(100));
    // Nobody repeats a Delete for ever.
    pair.filter = Box::new(|_| Verdict::Drop);
    pair.run(secs(14));
    assert_eq!((pair.hosts[A].sad.len(), pair.hosts[B].sad.len()), (1, 2));
    pair.filter = Box::new(|_| Verdict::Pass);
    let (local, remote) = (ip(ADDRESSES[A]), ip(ADDRESSES[B]));
    let acquire = Some(Box::new(pair.acquire_of(A)));
    let unknown = Command::InvalidSpi {
        local,
        remote,
        spi,
        acquire,
    };
    pair.command(A, unknown);
    pair.run(millis(100));
    pair.agree(1);
}

#[test]
fn a_pair_whose_isakmp_sa_is_gone_is_rekeyed_under_another() {
    let mut pair = without_main_mode([60, 600]);
    let child = pair.child(A);
    pair.filter = Box::new(|_| Verdict::Pass);
    pair.run(secs(60));
    pair.agree_on_pairs();
    assert_ne!(pair.child(A), child);
    let ended = |event: &Event| match event {
        Event::ChildClosed { reason, .. } => *reason != Reason::Rekeyed,
        _ => false,
    };
    assert_eq!(pair.event(A, ended), None);
}

/// The commit bit is in the header, which no hash covers: here the network sets it.
#[test]
fn who_sets_the_commit_bit_is_not_sent_to_before_it_is_there() {
    let mut pair = version_1().pair();
    pair.filter = Box::new(|packet| {
        let answers = packet.from == B && packet.exchange() == 32;
        let mut bytes = packet.bytes.clone();
        bytes[19] |= 2;
        match answers {
            true => Verdict::Replace(bytes),
            false => Verdict::Pass,
        }
    });
    pair.acquire(A);
    pair.run(secs(1));
    pair.agree_on_pairs();
    let child = pair.child(A);
    assert!(!pair.hosts[A].sad[&child].active, "{}", pair.story());
    // Nobody says CONNECTED, but ESP comes: the peer has its SAs.
    pair.use_child(A, child);
    pair.agree(1);
    // Or else it has had time enough.
    pair.command(A, Command::RekeyChild(child));
    pair.run(secs(2));
    let newest = *pair.hosts[A].sad.keys().next_back().unwrap();
    assert!(!pair.hosts[A].sad[&newest].active);
    pair.run(secs(100));
    pair.agree(1);
}
