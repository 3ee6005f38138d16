//! The world itself: hosts come up, groups find owners, packets wait, runs repeat.

use sim::scenario::cluster_random::{self, Kind, Takeover};
use sim::{Settings, World};
use std::time::{Duration, Instant};

/// A place to count from: nothing depends on which.
fn begun() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
    Instant::now()
}

fn running(settings: Settings) -> World {
    World::new(settings, 1, begun()).running()
}

#[test]
fn every_group_finds_its_preferred_owner() {
    let world = running(Settings {
        groups: 2,
        ..Settings::modern()
    });
    assert_eq!(world.owner(0), Some(1));
    assert_eq!(world.owner(1), Some(2));
    assert_eq!(world.violations(), []);
}

#[test]
fn a_planned_move_and_a_crash_give_the_group_to_the_other_node() {
    let mut world = running(Settings::modern());
    world.order_move(2, 0, 2).unwrap().unwrap();
    world.run(Duration::from_secs(2));
    assert_eq!(world.owner(0), Some(2));
    world.crash(2);
    world.run(Duration::from_secs(2));
    assert_eq!(world.owner(0), Some(1));
    assert_eq!(world.violations(), []);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let play =
        |seed| cluster_random::run(seed, Kind::of(Takeover::Renegotiate), begun(), true).world;
    for seed in [3, 4] {
        let (first, second) = (play(seed), play(seed));
        assert!(first.trace().events() > 1000);
        for (one, other) in first.trace().lines().iter().zip(second.trace().lines()) {
            assert_eq!(one, other);
        }
        assert_eq!(first.trace().digest(), second.trace().digest());
    }
    assert_ne!(play(3).trace().digest(), play(4).trace().digest());
}

/// A node hears of a new address a moment after it came up, and services may speak at once.
#[test]
fn a_group_address_is_protected_before_it_is_up() {
    let mut settings = Settings::modern();
    settings.services.services_start = Duration::ZERO;
    settings.services.notice = Duration::from_millis(100);
    settings.traffic.push = Some(Duration::from_millis(3));
    let mut world = running(settings);
    world.order_move(1, 0, 2).unwrap().unwrap();
    world.run(Duration::from_secs(2));
    assert_eq!(world.violations(), []);
}

/// Two groups are two IKE SAs, though the peer has one name: the first contact of a node that
/// has one of them says nothing about the other.
#[test]
fn first_contact_of_one_group_leaves_the_other_alone() {
    let mut world = running(Settings {
        groups: 2,
        ..Settings::modern()
    });
    world.run(Duration::from_secs(2));
    let ended: Vec<String> = world
        .events()
        .iter()
        .filter(|(_, _, event)| event.to_string().contains("INITIAL_CONTACT"))
        .map(|(at, host, event)| format!("{at:?} {host} {event}"))
        .collect();
    assert_eq!(ended, Vec::<String>::new());
}

/// A front end that is new says so to the first group; of the second it holds no SA either, but
/// then it knows one with the same name. The node finds out what is stale before its life is over.
#[test]
fn a_new_front_end_leaves_no_stale_pairs_behind() {
    let mut world = running(Settings {
        groups: 2,
        ..Settings::modern()
    });
    world.order_move(1, 1, 1).unwrap().unwrap();
    world.run(Duration::from_secs(2));
    world.kill(0);
    world.run(Duration::from_millis(100));
    world.start(0);
    world.run(Duration::from_secs(10));
    assert_eq!(
        sim::checker::disagreements(&world.ends()),
        Vec::<String>::new()
    );
    assert_eq!(world.violations(), []);
}
