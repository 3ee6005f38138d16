//! Every checker can fail: a host that breaks the promise on purpose is found out, by the checker
//! that the promise belongs to.

use sim::checker::Checker;
use sim::network::Link;
use sim::sabotage::Sabotage;
use sim::settings::Limits;
use sim::{Settings, World};
use std::time::{Duration, Instant};

use policy::timers::{ChildLifetime, IkeLifetime};

const SECOND: Duration = Duration::from_secs(1);

/// Some seconds of traffic over a network that doubles datagrams, with rekeys and a move.
fn play(settings: Settings) -> Vec<Checker> {
    #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
    let begun = Instant::now();
    let mut world = World::new(settings, 1, begun).running();
    world.run(6 * SECOND);
    let _ = world.order_move(1, 0, 2);
    world.run(6 * SECOND);
    for host in [1, 2] {
        let flow = wire::ip::Flow {
            src: world.addresses().own(0, 0),
            dst: world.addresses().group(0),
            protocol: 6,
            src_port: 40_000,
            dst_port: sim::packet::SERVICE,
        };
        let message = sim::packet::Message {
            id: 1 << 60,
            kind: sim::packet::Kind::Request,
        };
        world.inject_clear(host, message.packet(&flow, 10).expect("one family"));
    }
    let from = world.time();
    world.run(2 * SECOND);
    world.check_progress(from);
    for _ in 0..100 {
        if sim::checker::disagreements(&world.ends()).is_empty() {
            break;
        }
        world.run(SECOND / 20);
    }
    world.check_pairs();
    let mut found: Vec<Checker> = world
        .violations()
        .iter()
        .map(|found| found.checker)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn settings(sabotage: Option<Sabotage>) -> Settings {
    let link = Link {
        double: 100,
        ..Link::good()
    };
    Settings {
        sabotage,
        link,
        child: ChildLifetime::of(3 * SECOND),
        ike: IkeLifetime::of(7 * SECOND),
        limits: Limits {
            pairs: 6,
            ..Settings::modern().limits
        },
        ..Settings::modern()
    }
}

fn found(sabotage: Sabotage) -> Vec<Checker> {
    play(settings(Some(sabotage)))
}

#[test]
fn honest_hosts_break_nothing() {
    assert_eq!(play(settings(None)), []);
}

#[test]
fn a_repeated_sequence_number_is_found() {
    assert!(found(Sabotage::RepeatSequence).contains(&Checker::Unique));
}

#[test]
fn a_replay_window_that_forgets_is_found() {
    assert!(found(Sabotage::SkipReplayCheck).contains(&Checker::Delivery));
}

#[test]
fn a_protected_packet_in_clear_is_found() {
    assert!(found(Sabotage::SendClear).contains(&Checker::Clear));
}

#[test]
fn a_packet_accepted_in_clear_is_found() {
    assert_eq!(
        found(Sabotage::AcceptClear),
        [Checker::Clear, Checker::Delivery]
    );
}

#[test]
fn a_changed_packet_is_found() {
    assert!(found(Sabotage::Forge).contains(&Checker::Delivery));
}

#[test]
fn pairs_that_only_one_end_keeps_are_found() {
    let found = found(Sabotage::KeepPairs);
    assert!(found.contains(&Checker::Pairs), "{found:?}");
    assert!(found.contains(&Checker::Bounds), "{found:?}");
}

#[test]
fn traffic_that_stays_away_is_found() {
    assert!(found(Sabotage::NeverAcquire).contains(&Checker::Progress));
}

#[test]
fn an_outbound_sa_that_never_carries_traffic_is_found() {
    assert!(found(Sabotage::NeverActivate).contains(&Checker::Progress));
}

#[test]
fn a_driver_that_breaks_the_contract_is_found() {
    assert!(found(Sabotage::InventGroup).contains(&Checker::Contract));
}

#[test]
fn two_owners_are_found() {
    assert!(found(Sabotage::KeepGroups).contains(&Checker::Owner));
}

#[test]
fn a_changed_ike_message_is_found() {
    let link = Link {
        loss: 300,
        ..Link::good()
    };
    let settings = Settings {
        link,
        ..settings(Some(Sabotage::ChangeRequests))
    };
    assert!(play(settings).contains(&Checker::Messages));
}
