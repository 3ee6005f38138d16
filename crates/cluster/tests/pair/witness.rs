//! Members whose ownership a witness decides.

use cluster::{Command, Event};

use crate::world::*;

/// Three nodes that reach the witness, with every group at its preferred owner.
fn running(nodes: usize) -> World {
    let configure = move |index| cluster::Config {
        witness: true,
        ..config(index, nodes)
    };
    let mut world = World::with(nodes, 1, Box::new(configure));
    for host in 0..nodes {
        world.boot(host);
        world.reach_witness(host, true);
    }
    world.run(ms(1_500));
    assert_eq!(world.owner("mail"), Some(0), "{}", world.story(30));
    assert_eq!(world.owner("web"), Some(1));
    world
}

#[test]
fn a_crash_is_survived_by_exactly_one_of_three() {
    let mut world = running(3);
    let before = world.witness[&group("mail")].0;
    world.crash(0);
    world.run_until(ms(400), |world| world.owner("mail") == Some(1));
    world.run(ms(1_000));
    assert_eq!(world.owner("mail"), Some(1));
    assert!(world.witness[&group("mail")].0 > before);
    // The one that comes back learns from the record who owns what.
    world.boot(0);
    world.reach_witness(0, true);
    world.run(ms(2_000));
    assert_eq!(world.owner("mail"), Some(1), "{}", world.story(30));
}

#[test]
fn two_that_do_not_hear_each_other_are_not_both_owners() {
    let mut world = running(2);
    world.set_partition(0, 1, true);
    let taken = world.run_until(ms(400), |world| world.service(1, "mail").online());
    // The earlier owner hears of it from the witness.
    world.run_until(ms(50), |world| !world.service(0, "mail").online());
    assert!(taken >= ms(80), "not before the detection time");
    world.run(ms(3_000));
    let online = |host, name| world.service(host, name).online();
    for name in ["mail", "web"] {
        assert!(online(0, name) ^ online(1, name), "{}", world.story(40));
    }
    world.set_partition(0, 1, false);
    world.run(ms(3_000));
    assert!(world.owner("mail").is_some() && world.owner("web").is_some());
}

#[test]
fn without_the_witness_nobody_is_promoted_and_the_owner_stays() {
    let mut world = running(3);
    (0..3).for_each(|host| world.reach_witness(host, false));
    world.run(ms(500));
    assert_eq!(
        world.owner("mail"),
        Some(0),
        "an owner needs no witness to go on"
    );
    let told = |event: &Event| matches!(event, Event::Witness { reachable: false });
    assert!(world.events(1).any(told));
    world.crash(0);
    world.run(ms(2_000));
    assert_eq!(world.owner("mail"), None, "nobody can know");
    world.reach_witness(2, true);
    world.run_until(ms(5_000), |world| world.owner("mail").is_some());
}

#[test]
fn a_planned_move_is_written_down_first() {
    let mut world = running(3);
    world.order_move(0, "mail", 2).unwrap();
    world.run_until(ms(400), |world| world.owner("mail") == Some(2));
    world.run(ms(1_000));
    assert_eq!(world.owner("mail"), Some(2));
    // One that cannot be written down does not take place.
    world.reach_witness(2, false);
    world.run(ms(50));
    let refused = world.order_move(2, "mail", 0);
    assert!(refused.is_err_and(|why| why.to_string().contains("witness")));
    world.run(ms(3_000));
    assert_eq!(world.owner("mail"), Some(2), "{}", world.story(40));
}

#[test]
fn only_who_is_written_down_is_entitled_to_go_on() {
    for with_b in [false, true] {
        let mut world = running(2);
        let epoch = world.group_status(0, "mail").epoch;
        let mut members = vec![(node(0), world.status(0).incarnation)];
        if with_b {
            members.push((node(1), world.status(1).incarnation));
        }
        let keep = Command::KeepMembers {
            group: group("mail"),
            epoch,
            members,
        };
        world.command(0, keep).unwrap();
        world.run(ms(50));
        world.crash(0);
        world.run_until(ms(400), |world| world.owner("mail") == Some(1));
        assert_eq!(world.entitled.last(), Some(&(1, with_b)));
    }
}
