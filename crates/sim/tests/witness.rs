//! Three nodes and a witness: random worlds keep every promise, and each loss does what the
//! operator's table says.
//!
//! More: `cargo run --release -p sim -- seeds 1 1000 --takeover witness`.

use sim::scenario::cluster_random::{self, Kind, Takeover};
use sim::{Settings, World};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const THIRD: usize = 4;

/// A place to count from: nothing depends on which.
fn begun() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
    Instant::now()
}

fn play(seeds: RangeInclusive<u64>) {
    for seed in seeds {
        let world = cluster_random::run(seed, Kind::of(Takeover::Witness), begun(), false).world;
        let violations: Vec<String> = world.violations().iter().map(ToString::to_string).collect();
        assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
    }
}

#[test]
fn seeds_1_to_12_break_no_promise() {
    play(1..=12);
}

/// A front end and three nodes whose copies are in sync.
fn running(seed: u64) -> World {
    let mut settings = Settings::replicated(seed.is_multiple_of(3));
    settings.witness = true;
    settings.traffic.probe = 5 * MS;
    settings.traffic.push = Some(7 * MS);
    let mut world = World::new(settings, seed, begun()).running();
    world.run(4 * SECOND);
    assert_eq!(world.differences(), Vec::<String>::new(), "seed {seed}");
    world
}

/// How many IKE SAs were established since then.
fn negotiated(world: &World, since: Duration) -> usize {
    let events = world.events().iter().filter(|(at, _, _)| *at >= since);
    let established =
        |event: &node::Event| matches!(event, node::Event::Ike(ike::Event::IkeEstablished { .. }));
    events.filter(|(_, _, event)| established(event)).count()
}

/// What nodes said since then.
fn story(world: &World, since: Duration) -> String {
    let events = world.events().iter().filter(|(at, _, _)| *at >= since);
    let line =
        |(at, host, event): &(Duration, usize, node::Event)| format!("{at:?} {host} {event}");
    events.map(line).collect::<Vec<_>>().join("\n")
}

fn gap(world: &World, since: Duration) -> Duration {
    let outage = world.delivery().longest(since - SECOND, world.time());
    outage.expect("answers before and after").gap()
}

#[test]
fn two_owners_go_in_turn_and_the_third_goes_on_with_the_same_sas() {
    for seed in 1..=6 {
        let mut world = running(seed);
        let detection = world.settings().heartbeat * world.settings().missed;
        world.begin_fault();
        for _ in 0..2 {
            let at = world.time();
            let owner = world.owner(0).unwrap();
            world.crash(owner);
            world.run(2 * SECOND);
            assert!(
                world.owner(0).is_some_and(|now| now != owner),
                "seed {seed}"
            );
            assert_eq!(negotiated(&world, at), 0, "seed {seed}");
            // Strict: a block of fresh packets may be refused until there are fresh keys.
            let strict = world.settings().replicate.is_some_and(|one| one.strict);
            let gap = gap(&world, at);
            assert!(strict || gap <= detection + 60 * MS, "seed {seed}: {gap:?}");
        }
        assert_eq!(world.violations(), [], "seed {seed}");
    }
}

#[test]
fn a_lost_witness_promotes_nobody_until_it_is_back() {
    for seed in 1..=6 {
        let mut world = running(seed);
        world.begin_fault();
        let at = world.time();
        let owner = world.owner(0).unwrap();
        world.set_witness_down(true);
        world.run(3 * SECOND);
        let while_lost = gap(&world, at);
        assert!(while_lost <= 50 * MS, "seed {seed}: {while_lost:?}");
        world.crash(owner);
        world.run(3 * SECOND);
        assert_eq!(world.owner(0), None, "seed {seed}: nobody may say so");
        world.set_witness_down(false);
        world.run(3 * SECOND);
        assert!(world.owner(0).is_some(), "seed {seed}");
        assert_eq!(negotiated(&world, at), 0, "seed {seed}: the same SAs");
        assert_eq!(world.violations(), [], "seed {seed}");
    }
}

#[test]
fn a_lost_copy_costs_nothing() {
    for seed in 1..=6 {
        let mut world = running(seed);
        world.begin_fault();
        let at = world.time();
        let owner = world.owner(0).unwrap();
        let standby = *world.settings().members(owner).first().unwrap();
        world.crash(standby);
        world.run(5 * SECOND);
        assert_eq!(world.owner(0), Some(owner), "seed {seed}");
        assert_eq!(negotiated(&world, at), 0, "seed {seed}");
        let gap = gap(&world, at);
        assert!(gap <= 50 * MS, "seed {seed}: {gap:?}");
        world.boot(standby);
        world.run(3 * SECOND);
        world.end_fault();
        world.run(SECOND);
        assert_eq!(world.differences(), Vec::<String>::new(), "seed {seed}");
        assert_eq!(world.violations(), [], "seed {seed}");
    }
}

#[test]
fn an_owner_that_is_parted_from_members_and_witness_is_followed() {
    for seed in 1..=6 {
        let mut world = running(seed);
        world.begin_fault();
        let at = world.time();
        let owner = world.owner(0).unwrap();
        for member in world.settings().members(owner) {
            world.set_partition(owner, member, true);
        }
        world.set_witness_cut(owner, true);
        world.run(3 * SECOND);
        // The one that is parted cannot know; it is bound, and the others have an owner.
        let others = world.settings().members(owner).into_iter();
        let serving = others.filter(|host| world.host(*host).serves(0)).count();
        assert_eq!(serving, 1, "seed {seed}: {}", story(&world, at));
        for member in world.settings().members(owner) {
            world.set_partition(owner, member, false);
        }
        world.set_witness_cut(owner, false);
        world.run(2 * SECOND);
        world.end_fault();
        world.run(SECOND);
        let moved = world.owner(0).is_some_and(|now| now != owner);
        assert!(moved, "seed {seed}: {}", story(&world, at));
        let negotiated = negotiated(&world, at);
        assert_eq!(negotiated, 0, "seed {seed}: {}", story(&world, at));
        assert_eq!(world.violations(), [], "seed {seed}");
    }
}

#[test]
fn when_everything_is_lost_nobody_takes_over() {
    for seed in 1..=6 {
        let mut world = running(seed);
        world.begin_fault();
        let at = world.time();
        let owner = world.owner(0).unwrap();
        // All have noticed, so that nobody asks in vain: such a wish may be found later.
        world.set_witness_down(true);
        world.run(2 * SECOND);
        for (one, other) in [(1, 2), (2, THIRD), (THIRD, 1)] {
            world.set_partition(one, other, true);
        }
        world.run(3 * SECOND);
        assert_eq!(world.owner(0), Some(owner), "seed {seed}");
        world.set_witness_down(false);
        for (one, other) in [(1, 2), (2, THIRD), (THIRD, 1)] {
            world.set_partition(one, other, false);
        }
        world.run(4 * SECOND);
        world.end_fault();
        world.run(SECOND);
        assert!(world.owner(0).is_some(), "seed {seed}");
        let negotiated = negotiated(&world, at);
        assert_eq!(negotiated, 0, "seed {seed}: {}", story(&world, at));
        assert_eq!(world.differences(), Vec::<String>::new(), "seed {seed}");
        assert_eq!(world.violations(), [], "seed {seed}");
    }
}
