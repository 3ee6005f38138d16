//! Addresses that come and go between the nodes of a cluster.

use crate::harness::*;
use ike::{ApiMisuse, Command, Discard, Error, Event, Reason};

fn delete(pair: &mut Pair, host: usize) {
    let address = ip(ADDRESSES[host]);
    pair.command(host, Command::DeleteLocalAddress { address });
}

#[test]
fn the_leaving_address_deletes_and_tells_when_the_peer_knows() {
    let mut pair = Setup::default().pair();
    pair.establish();
    let begin = pair.elapsed();
    delete(&mut pair, B);
    assert!(pair.hosts[B].sad.is_empty());
    pair.run(secs(1));
    pair.agree(0);
    assert_eq!(pair.hosts[B].released, [begin + millis(2)]);
    let all = Event::AddressReleased {
        address: ip("10.0.0.2"),
        acknowledged: 1,
        unanswered: 0,
    };
    assert!(pair.event(B, |event| *event == all).is_some());
    assert_eq!((pair.sent(A), pair.sent(B)), (1, 1));
    let told = |event: &Event| {
        matches!(
            event,
            Event::IkeClosed {
                reason: Reason::ByPeer,
                ..
            }
        )
    };
    assert!(pair.event(A, told).is_some());
}

#[test]
fn a_silent_peer_holds_the_address_for_a_tenth_of_a_second() {
    let mut pair = Setup::default().pair();
    pair.establish();
    pair.filter = Box::new(|packet| {
        if packet.from == A {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    });
    let begin = pair.elapsed();
    delete(&mut pair, B);
    pair.run(secs(10));
    assert_eq!(pair.hosts[B].released, [begin + millis(100)]);
    let none = Event::AddressReleased {
        address: ip("10.0.0.2"),
        acknowledged: 0,
        unanswered: 1,
    };
    assert!(pair.event(B, |event| *event == none).is_some());
    assert!(pair.hosts[B].endpoint.status(pair.now).is_empty());
    // It was repeated meanwhile, and not after.
    assert_eq!(pair.sent(B), 7);
    assert!(pair.log.iter().all(|(at, _)| *at <= begin + millis(101)));
}

#[test]
fn a_lossy_network_rarely_matters_to_a_leaving_address() {
    let mut acknowledged = 0;
    for seed in 0..50 {
        let mut pair = Setup::default().pair();
        pair.establish();
        pair.chaos = Some(Chaos {
            random: crypto::SeededRandom::new(seed),
            loss: 64,
            duplicate: 0,
            jitter: millis(2),
        });
        delete(&mut pair, B);
        pair.run(secs(1));
        acknowledged += usize::from(pair.hosts[A].sad.is_empty());
    }
    assert!(acknowledged >= 48, "{acknowledged} of 50 peers heard of it");
}

#[test]
fn a_request_in_flight_does_not_hold_up_the_delete() {
    let mut pair = Setup::default().pair();
    pair.establish();
    // The request that is in flight when the address leaves is lost.
    let mut lost = false;
    pair.filter = Box::new(move |packet| {
        let drop = packet.from == B && !std::mem::replace(&mut lost, true);
        if drop { Verdict::Drop } else { Verdict::Pass }
    });
    let child = pair.child(B);
    pair.command(B, Command::RekeyChild(child));
    pair.run(millis(1));
    let begin = pair.elapsed();
    delete(&mut pair, B);
    pair.run(secs(1));
    assert!(pair.hosts[A].sad.is_empty());
    assert!(
        pair.hosts[B].released[0] < begin + millis(50),
        "{:?}",
        pair.hosts[B].released
    );
    assert!(pair.hosts[B].sad.is_empty());
}

#[test]
fn an_inactive_address_neither_answers_nor_asks() {
    let mut pair = Setup::default().pair();
    let address = ip("10.0.0.2");
    pair.command(
        B,
        Command::SetActive {
            address,
            active: false,
        },
    );
    pair.acquire(A);
    pair.run(secs(1));
    assert_eq!(pair.sent(B), 0);
    assert!(
        pair.hosts[B]
            .endpoint
            .discards()
            .get(Discard::InactiveAddress)
            > 3
    );
    let (wanted, now) = (Box::new(pair.acquire_of(B)), pair.now);
    let misuse = pair.hosts[B]
        .endpoint
        .handle_command(Command::Acquire(wanted), now);
    assert_eq!(misuse, Err(ApiMisuse::InactiveAddress(address)));
    // When it becomes active, the initiator's next transmission finds it.
    pair.command(
        B,
        Command::SetActive {
            address,
            active: true,
        },
    );
    pair.run(secs(5));
    pair.agree(1);
}

#[test]
fn after_the_delete_the_old_node_is_silent_and_the_new_one_answers() {
    let mut pair = Setup::default().pair();
    pair.establish();
    delete(&mut pair, B);
    pair.run(millis(5));
    let sent = pair.sent(B);
    // Traffic asks for protection at once, while the address is still on its way.
    pair.acquire(A);
    pair.run(millis(30));
    assert_eq!(pair.sent(B), sent);
    let [_, fresh] = Setup {
        seed: 80,
        ..Setup::default()
    }
    .pair()
    .hosts;
    pair.hosts[B] = fresh;
    pair.run(millis(30));
    pair.agree(1);
}

#[test]
fn a_forgotten_address_says_nothing() {
    let mut pair = Setup::default().pair();
    pair.establish();
    pair.command(
        B,
        Command::ForgetLocalAddress {
            address: ip("10.0.0.2"),
        },
    );
    assert!(pair.hosts[B].sad.is_empty());
    assert!(pair.hosts[B].endpoint.status(pair.now).is_empty());
    pair.run(secs(1));
    assert_eq!(pair.sent(B), 0);
}

#[test]
fn a_handshake_of_a_leaving_address_fails_at_once() {
    let mut pair = Setup::default().pair();
    pair.acquire(B);
    delete(&mut pair, B);
    let failed = |event: &Event| {
        matches!(
            event,
            Event::AcquireFailed {
                error: Error::InactiveAddress,
                ..
            }
        )
    };
    assert!(pair.event(B, failed).is_some());
    assert_eq!(pair.hosts[B].released.len(), 1);
    pair.run(secs(1));
    pair.agree(0);
}

/// The survivor of a crash sees ESP that it does not know, and calls the peer.
#[test]
fn unknown_esp_makes_the_survivor_call() {
    let mut pair = Setup::default().pair();
    pair.establish();
    let [_, fresh] = Setup {
        seed: 81,
        ..Setup::default()
    }
    .pair()
    .hosts;
    pair.hosts[B] = fresh;
    let stale = pair.child(A);
    let spi = pair.spec(A).outbound_spi;
    let begin = pair.elapsed();
    for _ in 0..100 {
        let (local, remote) = (ip("10.0.0.2"), ip("10.0.0.1"));
        let acquire = Some(Box::new(pair.acquire_of(B)));
        pair.command(
            B,
            Command::InvalidSpi {
                local,
                remote,
                spi,
                acquire,
            },
        );
    }
    pair.run(millis(10));
    pair.agree(1);
    assert!(!pair.hosts[A].sad.contains_key(&stale));
    let contact = |event: &Event| {
        matches!(
            event,
            Event::IkeClosed {
                reason: Reason::InitialContact,
                ..
            }
        )
    };
    assert_eq!(pair.when(A, contact), Some(begin + millis(3)));
    assert_eq!((pair.sent(A), pair.sent(B)), (2, 2));
}

#[test]
fn unknown_esp_of_an_inactive_address_or_without_a_rule_is_nothing() {
    let mut pair = Setup::default().pair();
    let (local, remote, spi) = (ip("10.0.0.2"), ip("10.0.0.1"), 4711);
    pair.command(
        B,
        Command::InvalidSpi {
            local,
            remote,
            spi,
            acquire: None,
        },
    );
    pair.command(
        B,
        Command::SetActive {
            address: local,
            active: false,
        },
    );
    let acquire = Some(Box::new(pair.acquire_of(B)));
    pair.command(
        B,
        Command::InvalidSpi {
            local,
            remote,
            spi,
            acquire,
        },
    );
    pair.run(secs(1));
    assert_eq!(pair.sent(B), 0);
}

#[test]
fn what_exists_on_an_inactive_address_is_silent_too() {
    let mut pair = Setup::default().pair();
    pair.establish();
    let ike = pair.ike(B);
    pair.command(
        B,
        Command::SetActive {
            address: ip("10.0.0.2"),
            active: false,
        },
    );
    pair.command(B, Command::CheckLiveness(ike));
    let ike = pair.ike(A);
    pair.command(A, Command::CheckLiveness(ike));
    pair.run(secs(20));
    assert_eq!(pair.sent(B), 0);
}

#[test]
fn a_profile_without_hints_does_not_call() {
    let mut setup = Setup::default();
    setup.ike[B].hints = false;
    let mut pair = setup.pair();
    let (local, remote) = (ip("10.0.0.2"), ip("10.0.0.1"));
    let acquire = Some(Box::new(pair.acquire_of(B)));
    pair.command(
        B,
        Command::InvalidSpi {
            local,
            remote,
            spi: 4711,
            acquire,
        },
    );
    pair.run(secs(1));
    assert_eq!(pair.sent(B), 0);
}

/// INITIAL_CONTACT ends what is older than the handshake that says so, and nothing that came to be
/// meanwhile: two hosts that begin at once keep what both hold.
#[test]
fn initial_contact_of_both_at_once_ends_nothing() {
    for (first, second) in [(A, B), (B, A)] {
        for delay in 0..6 {
            let mut pair = Setup::default().pair();
            pair.acquire(first);
            pair.run(millis(delay));
            pair.acquire(second);
            pair.run(secs(1));
            for host in [A, B] {
                let ended = |event: &Event| {
                    matches!(
                        event,
                        Event::IkeClosed {
                            reason: Reason::InitialContact,
                            ..
                        }
                    )
                };
                assert!(pair.event(host, ended).is_none(), "{}", pair.story());
            }
            pair.agree(pair.hosts[A].sad.len());
        }
    }
}

#[test]
fn unknown_esp_under_an_ike_sa_is_told_there_and_not_called_for() {
    let mut pair = Setup::default().pair();
    pair.establish();
    let (child, known) = (pair.child(A), pair.spec(A).outbound_spi);
    let (local, remote) = (ip("10.0.0.2"), ip("10.0.0.1"));
    for (spi, sent) in [(known, 0), (4711, 1)] {
        let acquire = Some(Box::new(pair.acquire_of(B)));
        let spi_came = Command::InvalidSpi {
            local,
            remote,
            spi,
            acquire,
        };
        pair.command(B, spi_came);
        pair.run(millis(300));
        assert_eq!(pair.sent(B), sent);
    }
    // A does not send with it, so nothing ends.
    assert_eq!(pair.log[0].1.exchange(), 37);
    assert!(pair.hosts[A].sad.contains_key(&child));
    pair.agree(1);
}

#[test]
fn who_may_talk_from_anywhere_is_not_called() {
    let mut setup = Setup::default();
    setup.config = |config| {
        let peers = config.pad.peers().iter().cloned().map(|mut peer| {
            peer.addresses.clear();
            peer
        });
        config.pad = std::sync::Arc::new(policy::pad::Pad::new(peers.collect()));
    };
    let mut pair = setup.pair();
    let (local, remote) = (ip("10.0.0.2"), ip("10.0.0.1"));
    let acquire = Some(Box::new(pair.acquire_of(B)));
    pair.command(
        B,
        Command::InvalidSpi {
            local,
            remote,
            spi: 4711,
            acquire,
        },
    );
    pair.run(secs(1));
    assert_eq!(pair.sent(B), 0);
}
