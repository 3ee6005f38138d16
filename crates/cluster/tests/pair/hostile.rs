//! Datagrams of others: nothing that is not a fresh heartbeat of a member changes anything.

use cluster::{ClusterKey, Discard, Event, Member, NodeName, Output, Status};

use crate::world::{World, address, config, ms, node};

/// What may not change: everything but the counters.
fn state(mut status: Status) -> Status {
    status.discards = cluster::Discards::default();
    status
}

#[test]
fn what_was_heard_once_is_never_heard_again() {
    let mut world = World::new(2, 1);
    world.record = true;
    world.boot(0);
    world.boot(1);
    world.run(ms(500));
    world.crash(0);
    world.run(ms(30));
    // Everything that was ever sent to `b`, from every path, while `a` is dead.
    let before = state(world.status(1));
    let stale = world.status(1).discards.of(Discard::Stale);
    let sent: Vec<_> = world.wire.clone();
    assert!(sent.len() > 50);
    for (from, to, bytes) in sent.iter().filter(|(_, to, _)| *to == address(0, 1)) {
        world.give(1, *from, *to, bytes);
    }
    assert_eq!(state(world.status(1)), before);
    assert!(world.status(1).discards.of(Discard::Stale) > stale);
    // Their own heartbeats, sent back to them.
    let own = world.status(1).discards.of(Discard::OwnName);
    for (_, _, bytes) in sent.iter().filter(|(from, _, _)| *from == address(0, 1)) {
        world.give(1, address(0, 0), address(0, 1), bytes);
    }
    assert_eq!(state(world.status(1)), before);
    assert!(world.status(1).discards.of(Discard::OwnName) > own);
    world.run(ms(75));
    assert_eq!(
        world.owner("mail"),
        Some(1),
        "and the crash is noticed in time all the same"
    );
}

#[test]
fn heartbeats_of_an_earlier_life_are_refused() {
    let mut world = World::new(2, 1);
    world.record = true;
    world.boot(0);
    world.boot(1);
    world.run(ms(500));
    world.record = false;
    world.crash(0);
    world.run(ms(300));
    world.boot(0);
    world.run(ms(300));
    let before = state(world.status(1));
    let sent = std::mem::take(&mut world.wire);
    for (from, to, bytes) in sent.iter().filter(|(from, _, _)| *from == address(1, 0)) {
        world.give(1, *from, *to, bytes);
    }
    assert_eq!(state(world.status(1)), before);
    assert!(world.status(1).discards.of(Discard::OldIncarnation) > 10);
}

#[test]
fn other_keys_unknown_nodes_and_noise_only_count() {
    let mut world = World::running(2, 1);
    let before = state(world.status(1));
    let from = address(0, 0);
    for (name, key, why) in [
        ("a", [8; 32], Discard::Tag),
        ("stranger", [7; 32], Discard::UnknownSender),
        ("b", [7; 32], Discard::OwnName),
    ] {
        let mut config = config(2, 3);
        config.node = NodeName::new(name).unwrap();
        config.key = ClusterKey::from_slice(&key).unwrap();
        config.peers.retain(|peer| peer.name != config.node);
        config.groups.clear();
        let mut other = Member::new(config, world.now, 1).unwrap();
        let counted = world.status(1).discards.of(why);
        let Output::Transmit { bytes, .. } = other.poll_output() else {
            panic!("a member begins with a heartbeat")
        };
        world.give(1, from, address(0, 1), &bytes);
        assert_eq!(world.status(1).discards.of(why), counted + 1, "{name}");
    }
    let mut noise = Vec::new();
    for length in 0..1_400 {
        noise.push(world.random.next() as u8);
        let copy = noise.clone();
        world.give(1, from, address(0, 1), &copy);
        assert_eq!(copy.len(), length + 1);
    }
    assert_eq!(state(world.status(1)), before);
}

#[test]
fn another_process_under_the_same_name_is_reported_once() {
    let mut world = World::running(2, 1);
    let mut twin = Member::new(config(1, 2), world.now, u64::MAX).unwrap();
    for _ in 0..3 {
        world.run(ms(20));
        twin.handle_timeout(world.now);
        while let Output::Transmit { bytes, .. } = twin.poll_output() {
            world.give(1, address(0, 0), address(0, 1), &bytes);
        }
    }
    let taken = Event::NameTaken {
        from: address(0, 0),
    };
    assert_eq!(world.events(1).filter(|event| **event == taken).count(), 1);
    assert_eq!(world.status(1).nodes[1].name, node(0));
}

#[test]
fn no_earlier_life_comes_back_after_a_clock_was_set_back() {
    let mut world = World::new(2, 1);
    world.record = true;
    world.boot(0);
    world.boot(1);
    world.run(ms(500));
    world.record = false;
    world.crash(0);
    world.run(ms(300));
    world.boot_as(0, 5);
    world.run(ms(300));
    let before = state(world.status(1));
    let sent = std::mem::take(&mut world.wire);
    for (from, to, bytes) in sent.iter().filter(|(from, _, _)| *from == address(0, 0)) {
        world.give(1, *from, *to, bytes);
    }
    assert_eq!(state(world.status(1)), before);
}
