//! Many seeds: random faults and orders, and what must hold whatever happens.

use std::ops::Range;
use std::time::Duration;

use cluster::{Command, GroupState, Phase};

use crate::world::{Entry, Link, PATHS, World, group, ms, node};

/// The worst of a network that works: some loss, doubles, and enough delay to reorder.
fn rough(world: &mut World) -> Link {
    Link {
        cut: false,
        loss: world.random.below(15),
        double: world.random.below(20),
        delay: Duration::from_micros(100 + world.random.below(3_000)),
        jitter: Duration::from_micros(world.random.below(25_000)),
    }
}

/// A random fault or order; everything may happen, also what makes no sense.
fn act(world: &mut World) {
    let host = world.random.below(world.hosts.len() as u64) as usize;
    let other = world.random.below(world.hosts.len() as u64) as usize;
    let up = world.hosts[host].member.is_some() && !world.hosts[host].frozen;
    let name = if world.random.percent(50) {
        "mail"
    } else {
        "web"
    };
    match world.random.below(14) {
        0 => world.crash(host),
        1 | 2 if world.hosts[host].member.is_none() => world.boot(host),
        3 if up => world.freeze(host),
        4 | 5 if world.hosts[host].frozen => world.thaw(host),
        6 if host != other => world.set_cut(host, other, true),
        7 | 8 if host != other => world.set_partition(host, other, false),
        9 if up => drop(world.order_move(host, name, other)),
        10 if up => {
            let pause = world.random.percent(30);
            let node = None;
            let command = if pause {
                Command::Pause { node }
            } else {
                Command::Resume { node }
            };
            drop(world.command(host, command));
        }
        11 if up && world.service(host, name).online() => {
            let reason = "chance".to_owned();
            drop(world.command(
                host,
                Command::GroupFailed {
                    group: group(name),
                    reason,
                },
            ));
        }
        12 => {
            let link = rough(world);
            let path = world.random.below(PATHS as u64) as usize;
            world.links[host][other][path] = link;
        }
        13 if up && host != other => {
            drop(world.command(host, Command::PeerDied { name: node(other) }));
        }
        _ => {}
    }
    world.hosts[host].start_time = ms(world.random.below(30));
    world.hosts[host].stop_time = ms(world.random.below(30));
}

/// Ends all faults, and waits for as long as the worst of them may take to be got over.
fn heal(world: &mut World) {
    world.set_links(Link::default());
    for host in 0..world.hosts.len() {
        if world.hosts[host].frozen {
            world.thaw(host);
        }
        if world.hosts[host].member.is_none() {
            world.boot(host);
        }
        world.hosts[host].start_time = ms(2);
        world.hosts[host].stop_time = ms(3);
        world.command(host, Command::Resume { node: None }).unwrap();
    }
    world.both.clear();
    world.longest_both = Duration::ZERO;
    // Join time, detection, a start, a stop, and heartbeats between them.
    world.run(ms(500 + 2 * 100 + 2 * 60));
    // A heartbeat until they hear each other, and a stop that begun slow before the healing.
    let both = world.longest_both;
    assert!(
        both <= ms(20 + 1 + 30),
        "two owners for {both:?}\n{}",
        world.story(40)
    );
}

fn check_agreement(world: &World, seed: u64) {
    for name in ["mail", "web"] {
        let told = |host: usize| {
            let status = world.group_status(host, name);
            (status.owner, status.epoch, status.state)
        };
        let first = told(0);
        let all = || (0..world.hosts.len()).map(told);
        assert!(
            all().all(|each| each == first),
            "seed {seed}: {name}: {:?}\n{}",
            all().collect::<Vec<_>>(),
            world.story(40)
        );
        assert_eq!(
            first.2,
            GroupState::Online,
            "seed {seed}: {name}\n{}",
            world.story(40)
        );
        let owner = world.owner(name).map(node);
        assert_eq!(owner, first.0, "seed {seed}: {name}\n{}", world.story(40));
        let held = (0..world.hosts.len()).filter(|host| world.service(*host, name).state.is_some());
        assert_eq!(held.count(), 1, "seed {seed}: nobody else holds {name}");
    }
    for host in 0..world.hosts.len() {
        assert_eq!(world.status(host).phase, Phase::Member, "seed {seed}");
    }
}

fn random_faults(seeds: Range<u64>) {
    for seed in seeds {
        let nodes = 2 + usize::from(seed % 5 == 0);
        let mut world = World::new(nodes, seed);
        (0..nodes).for_each(|host| world.boot(host));
        world.run(ms(100));
        for _ in 0..2 {
            for _ in 0..world.random.below(12) {
                act(&mut world);
                let pause = world.random.below(250);
                world.run(ms(pause));
            }
            heal(&mut world);
            check_agreement(&world, seed);
            // And it stays so.
            let entries = world.log.len();
            world.run(ms(300));
            assert_eq!(
                world.log.len(),
                entries,
                "seed {seed}: not quiet\n{}",
                world.story(10)
            );
        }
    }
}

/// A network that works (every message arrives within a few milliseconds, though some are lost
/// or doubled): planned moves and crashes never make two owners that overlap, and epochs grow.
fn moves_and_crashes(seeds: Range<u64>) {
    for seed in seeds {
        let mut world = World::new(2, seed);
        let link = Link {
            cut: false,
            loss: world.random.below(10),
            double: world.random.below(20),
            delay: Duration::from_micros(100 + world.random.below(2_000)),
            jitter: Duration::from_micros(world.random.below(3_000)),
        };
        world.set_links(link);
        world.boot(0);
        world.boot(1);
        world.run(ms(700));
        for _ in 0..6 {
            let host = world.random.below(2) as usize;
            let to = world.random.below(2) as usize;
            let name = if world.random.percent(50) {
                "mail"
            } else {
                "web"
            };
            if world.random.percent(70) {
                drop(world.order_move(host, name, to));
            } else {
                world.crash(host);
                let begun = world.time();
                // Detection, the flights of what was on its way, the start.
                world.run(ms(100 + 5 + 2));
                for name in ["mail", "web"] {
                    let owner = world.owner(name);
                    let late = world.time() - begun;
                    assert_eq!(
                        owner,
                        Some(1 - host),
                        "seed {seed} {late:?}\n{}",
                        world.story(30)
                    );
                }
                world.boot(host);
            }
            let pause = 150 + world.random.below(200);
            world.run(ms(pause));
        }
        assert_eq!(
            world.longest_both,
            ms(0),
            "seed {seed}\n{}",
            world.story(30)
        );
        check_epochs(&world, seed);
    }
}

/// Each new ownership of a group has a higher epoch than any before it.
fn check_epochs(world: &World, seed: u64) {
    for name in ["mail", "web"] {
        let mut last = 0;
        for (_, _, entry) in &world.log {
            let Entry::Start {
                group: is,
                epoch,
                reason,
            } = entry
            else {
                continue;
            };
            if *is != group(name) {
                continue;
            }
            if matches!(reason, cluster::StartReason::Took(_)) {
                assert!(*epoch > last, "seed {seed}: {name}\n{}", world.story(30));
            }
            last = last.max(*epoch);
        }
    }
}

/// Freezes: while a node sleeps the other takes over, and when it wakes it lets go within a
/// question and an answer; nobody stays owner beside another for the detection time.
fn freezes(seeds: Range<u64>) {
    for seed in seeds {
        let mut world = World::new(2, seed);
        world.boot(0);
        world.boot(1);
        world.run(ms(700));
        for _ in 0..3 {
            let host = world.random.below(2) as usize;
            let asleep = world.random.below(600);
            let awake = 300 + world.random.below(300);
            world.freeze(host);
            world.run(ms(asleep));
            let slept = world.longest_both;
            world.both.clear();
            world.longest_both = Duration::ZERO;
            world.thaw(host);
            world.run(ms(awake));
            assert!(
                world.longest_both <= ms(30),
                "seed {seed} {:?} {slept:?}",
                world.longest_both
            );
            check_agreement(&world, seed);
        }
        check_epochs(&world, seed);
    }
}

#[test]
fn whatever_happened_a_healed_cluster_has_one_owner_for_each_group() {
    random_faults(0..60);
}

#[test]
fn in_a_network_that_works_there_are_never_two_owners() {
    moves_and_crashes(0..60);
}

#[test]
fn a_thawed_owner_lets_go_within_the_detection_time() {
    freezes(0..60);
}

#[test]
#[ignore = "minutes: cargo test --release -p cluster --test pair -- --ignored"]
fn many_more_seeds() {
    random_faults(60..20_000);
    moves_and_crashes(60..10_000);
    freezes(60..10_000);
}
