//! Rekeying of children and of the IKE SA, by command, by time and by use; Deletes.

use crate::harness::*;
use ike::{Command, Event, Reason, Usage};
use policy::timers::{ChildLifetime, IkeLifetime};

#[test]
fn a_child_is_replaced_without_a_moment_without() {
    for host in [A, B] {
        let mut pair = Setup::default().pair();
        pair.establish();
        let old = [pair.child(A), pair.child(B)];
        pair.command(host, Command::RekeyChild(old[host]));
        for _ in 0..40 {
            pair.run(millis(1) / 4);
            for (side, other) in [(A, B), (B, A)] {
                let sends = pair.hosts[side].sad.values().filter(|one| one.active);
                let newest = sends.max_by_key(|one| one.spec.id).expect("somebody sends");
                let receives = |spi| {
                    let of = |one: &Installed| one.spec.inbound_spi == spi;
                    pair.hosts[other].sad.values().any(of)
                };
                assert!(
                    receives(newest.spec.outbound_spi),
                    "{side} sends into the void"
                );
            }
        }
        pair.agree(1);
        for side in [A, B] {
            let new = &pair.hosts[side].sad[&pair.child(side)];
            assert_eq!(new.replaces, Some(old[side]));
        }
        assert_eq!(pair.ikes(A).len(), 1);
        let told = |event: &Event| {
            matches!(
                event,
                Event::ChildClosed {
                    reason: Reason::Rekeyed,
                    ..
                }
            )
        };
        assert!(pair.event(A, told).is_some() && pair.event(B, told).is_some());
    }
}

#[test]
fn the_responder_of_a_rekey_follows_the_first_packet() {
    let mut pair = Setup::default().pair();
    pair.establish();
    let child = pair.child(A);
    // The Delete of the old pair is lost for a while.
    pair.filter = Box::new(|packet| match (packet.from, packet.exchange()) {
        (A, 37) => Verdict::Drop,
        _ => Verdict::Pass,
    });
    pair.command(A, Command::RekeyChild(child));
    pair.run(millis(10));
    let new = *pair.hosts[B].sad.keys().next_back().unwrap();
    assert!(!pair.hosts[B].sad[&new].active);
    pair.use_child(B, new);
    assert!(pair.hosts[B].sad[&new].active);
    pair.filter = Box::new(|_| Verdict::Pass);
    pair.run(secs(3));
    pair.agree(1);
}

#[test]
fn the_ike_sa_is_replaced_and_the_children_stay() {
    for host in [A, B] {
        let mut pair = Setup::default().pair();
        pair.establish();
        let (child, ike) = (pair.child(A), pair.ike(host));
        pair.command(host, Command::RekeyIke(ike));
        pair.run(millis(100));
        pair.agree(1);
        assert_eq!(pair.child(A), child);
        assert_ne!(pair.ike(host), ike);
        assert_eq!(pair.ikes(1 - host).len(), 1);
        // The new one works for both.
        let child = pair.child(B);
        pair.command(B, Command::RekeyChild(child));
        pair.run(millis(100));
        pair.agree(1);
        let ike = pair.ike(A);
        pair.command(A, Command::DeleteIke(ike));
        pair.run(millis(100));
        pair.agree(0);
    }
}

#[test]
fn by_time_with_jitter_for_days() {
    let mut setup = Setup::default();
    for side in [A, B] {
        setup.child[side].lifetime = ChildLifetime::of(secs(3600));
        setup.ike[side].lifetime = IkeLifetime::of(secs(4 * 3600));
    }
    let mut pair = setup.pair();
    pair.establish();
    for _ in 0..96 {
        pair.run(secs(1800));
        pair.agree(1);
        assert_eq!((pair.ikes(A).len(), pair.ikes(B).len()), (1, 1));
    }
    let rekeys = |host: usize, fits: fn(&Event) -> bool| {
        pair.hosts[host]
            .events
            .iter()
            .filter(|(_, event)| fits(event))
            .count()
    };
    let children = rekeys(A, |event| {
        matches!(
            event,
            Event::ChildEstablished {
                replaces: Some(_),
                ..
            }
        )
    });
    let ikes = rekeys(A, |event| matches!(event, Event::IkeRekeyed { .. }));
    assert!((48..=60).contains(&children), "{children}");
    assert!((12..=15).contains(&ikes), "{ikes}");
}

#[test]
fn by_octets_and_by_packets() {
    let mut setup = Setup::default();
    setup.child[A].lifetime.bytes = Some(1_000_000);
    setup.child[A].proposals[0].esn = vec![false];
    let mut pair = setup.pair();
    pair.establish();
    let used = |bytes, packets| Usage {
        outbound_bytes: bytes,
        inbound_packets: packets,
        ..Usage::default()
    };
    let child = pair.child(A);
    pair.command(
        A,
        Command::ChildUsage {
            child,
            usage: used(999_999, 10),
        },
    );
    pair.run(millis(100));
    assert_eq!(pair.child(A), child);
    pair.command(
        A,
        Command::ChildUsage {
            child,
            usage: used(1_000_000, 10),
        },
    );
    pair.run(millis(100));
    pair.agree(1);
    assert_ne!(pair.child(A), child);
    // Half of the 32-bit numbers, whatever the rule says.
    let child = pair.child(A);
    pair.command(
        A,
        Command::ChildUsage {
            child,
            usage: used(0, 1 << 31),
        },
    );
    pair.run(millis(100));
    pair.agree(1);
    assert_ne!(pair.child(A), child);
}

#[test]
fn a_child_that_cannot_be_rekeyed_ends_at_its_hard_limit() {
    let mut setup = Setup::default();
    setup.child[A].lifetime = ChildLifetime::of(secs(100));
    let mut pair = setup.pair();
    pair.establish();
    // B loses the rule.
    let pad = Setup::default().pad(B);
    pair.command(
        B,
        Command::Reload {
            pad,
            rules: Vec::new(),
        },
    );
    pair.run(secs(112));
    pair.agree(0);
    let failed = |event: &Event| matches!(event, Event::ChildFailed { .. });
    assert!(pair.event(A, failed).is_some());
    let ended = |event: &Event| {
        matches!(
            event,
            Event::ChildClosed {
                reason: Reason::Lifetime,
                ..
            }
        )
    };
    let at = pair.when(A, ended).unwrap();
    assert!(at >= secs(110) && at < secs(111), "{at:?}");
}

#[test]
fn deleting_a_child_and_the_ike_sa() {
    for host in [A, B] {
        let mut pair = Setup::default().pair();
        pair.establish();
        let child = pair.child(host);
        pair.command(host, Command::DeleteChild(child));
        assert!(pair.hosts[host].sad.is_empty(), "ESP loses it at once");
        pair.run(millis(100));
        pair.agree(0);
        assert_eq!((pair.ikes(A).len(), pair.ikes(B).len()), (1, 1));
        let ike = pair.ike(1 - host);
        pair.command(1 - host, Command::DeleteIke(ike));
        pair.run(secs(30));
        assert_eq!(pair.hosts[A].endpoint.status(pair.now).len(), 0);
        assert_eq!(pair.hosts[B].endpoint.status(pair.now).len(), 0);
        let told = |event: &Event| {
            matches!(
                event,
                Event::IkeClosed {
                    reason: Reason::ByPeer,
                    ..
                }
            )
        };
        assert!(pair.event(host, told).is_some());
    }
}

#[test]
fn what_is_not_there_is_the_caller_s_mistake() {
    use ike::ApiMisuse;
    let mut pair = Setup::default().pair();
    pair.establish();
    let now = pair.now;
    let child = policy::sa::ChildId(4711);
    let ike = ike::IkeSaId(4711);
    let endpoint = &mut pair.hosts[A].endpoint;
    let misuse = endpoint.handle_command(Command::RekeyChild(child), now);
    assert_eq!(misuse, Err(ApiMisuse::NoSuchChild(child)));
    let misuse = endpoint.handle_command(Command::DeleteIke(ike), now);
    assert_eq!(misuse, Err(ApiMisuse::NoSuchIke(ike)));
    let mut wanted = pair.acquire_of(A);
    wanted.peer = "nobody".into();
    let misuse = pair.hosts[A]
        .endpoint
        .handle_command(Command::Acquire(Box::new(wanted)), now);
    assert_eq!(misuse, Err(ApiMisuse::NoSuchPeer("nobody".into())));
    let mut wanted = pair.acquire_of(A);
    wanted.remote = ip("10.0.0.77");
    let misuse = pair.hosts[A]
        .endpoint
        .handle_command(Command::Acquire(Box::new(wanted)), now);
    assert_eq!(misuse, Err(ApiMisuse::WrongAddress(ip("10.0.0.77"))));
}

#[test]
fn a_child_that_is_deleted_while_it_is_rekeyed_does_not_come_back() {
    for host in [A, B] {
        for quarters in 0..=10 {
            let mut pair = Setup::default().pair();
            pair.establish();
            let child = pair.child(host);
            pair.command(host, Command::RekeyChild(child));
            pair.run(millis(1) / 4 * quarters);
            for child in pair.hosts[host].sad.keys().copied().collect::<Vec<_>>() {
                pair.command(host, Command::DeleteChild(child));
            }
            pair.run(secs(5));
            pair.agree(0);
        }
    }
}
