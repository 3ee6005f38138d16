//! Members whose ownership a witness decides.

use cluster::{Command, Event, GroupState};

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
        // One that is not waits longer, lest its owner be alive.
        let patience = if with_b { ms(400) } else { ms(6_000) };
        world.run_until(patience, |world| world.owner("mail") == Some(1));
        assert_eq!(world.entitled.last(), Some(&(1, with_b)));
    }
}

/// Has the members of `mail` written down by its owner.
fn keep(world: &mut World, owner: usize, members: &[usize]) {
    let epoch = world.group_status(owner, "mail").epoch;
    let life = |host: &usize| (node(*host), world.status(*host).incarnation);
    let keep = Command::KeepMembers {
        group: group("mail"),
        epoch,
        members: members.iter().map(life).collect(),
    };
    world.command(owner, keep).unwrap();
    world.run(ms(50));
}

/// The names that the record of `mail` has.
fn written(world: &World) -> Vec<usize> {
    let Some((_, value)) = world.witness.get(&group("mail")) else {
        return vec![];
    };
    // Behind the owner and the reason.
    let members = &value[1 + 8 + 1 + 1 + 8 + 1..];
    let holds = |host: &usize| members.contains(&node(*host).as_str().as_bytes()[0]);
    (0..3).filter(holds).collect()
}

/// Whichever comes first: what a proposal led to, or that its value stands.
const ORDERS: [(u64, u64); 3] = [(2, 3), (8, 2), (2, 20)];

#[test]
fn who_was_not_written_down_is_not_entitled_however_it_learns_that_it_owns() {
    for (answer, told) in ORDERS {
        for with_b in [false, true] {
            for planned in [false, true] {
                let mut world = running(2);
                let members = if with_b { vec![0, 1] } else { vec![0] };
                keep(&mut world, 0, &members);
                world.witness_delay = (ms(answer), ms(told));
                match planned {
                    true => world.order_move(0, "mail", 1).unwrap(),
                    false => world.crash(0),
                }
                world.run_until(ms(6_000), |world| world.owner("mail") == Some(1));
                let case = (answer, told, with_b, planned);
                assert_eq!(world.entitled.last(), Some(&(1, with_b)), "{case:?}");
            }
        }
    }
}

#[test]
fn members_are_written_down_although_the_claim_is_told_before_its_answer() {
    let mut world = running(2);
    keep(&mut world, 0, &[0, 1]);
    world.witness_delay = (ms(40), ms(2));
    world.order_move(0, "mail", 1).unwrap();
    world.run_until(ms(400), |world| world.service(1, "mail").online());
    // A copy is in sync before the old owner has its answer.
    let epoch = world.group_status(1, "mail").epoch;
    let members = vec![
        (node(0), world.status(0).incarnation),
        (node(1), world.status(1).incarnation),
    ];
    let keep = Command::KeepMembers {
        group: group("mail"),
        epoch,
        members,
    };
    world.command(1, keep).unwrap();
    world.run(ms(300));
    assert_eq!(written(&world), [0, 1]);
    // The same for one that takes over by itself.
    world.crash(1);
    world.run_until(ms(6_000), |world| world.service(0, "mail").online());
    let epoch = world.group_status(0, "mail").epoch;
    let members = vec![(node(0), world.status(0).incarnation), (node(1), 7)];
    let keep = Command::KeepMembers {
        group: group("mail"),
        epoch,
        members,
    };
    world.command(0, keep).unwrap();
    world.run(ms(300));
    assert_eq!(written(&world), [0, 1], "{}", world.story(30));
}

#[test]
fn a_late_answer_does_not_bring_back_what_was_replaced() {
    let mut world = running(2);
    keep(&mut world, 0, &[0, 1]);
    world.witness_delay = (ms(300), ms(2));
    world.order_move(0, "mail", 1).unwrap();
    world.run_until(ms(250), |world| world.service(1, "mail").online());
    // It is gone again before its old owner has the answer about the move.
    world.order_move(1, "mail", 0).unwrap();
    world.run(ms(2_000));
    assert_eq!(world.owner("mail"), Some(0), "{}", world.story(40));
    assert!(world.longest_both < ms(1), "{:?}", world.longest_both);
}

#[test]
fn a_move_of_which_nobody_knows_is_not_taken_for_one_that_failed() {
    for told in [2, 400] {
        let mut world = running(2);
        keep(&mut world, 0, &[0, 1]);
        world.witness_delay = (ms(5), ms(told));
        world.answers_lost = 1;
        world.order_move(0, "mail", 1).unwrap();
        world.run(ms(300));
        assert!(!world.service(0, "mail").online(), "{}", world.story(30));
        world.run(ms(2_000));
        assert_eq!(world.owner("mail"), Some(1), "{}", world.story(30));
        assert_eq!(world.entitled.last(), Some(&(1, true)));
    }
}

#[test]
fn a_move_that_is_under_way_is_not_given_up() {
    for dies in [false, true] {
        let mut world = running(3);
        keep(&mut world, 0, &[0, 1]);
        world.witness_delay = (ms(400), ms(300));
        world.order_move(0, "mail", 1).unwrap();
        world.run(ms(20));
        match dies {
            true => world.crash(1),
            false => world.reach_witness(0, false),
        }
        world.run(ms(250));
        assert_eq!(world.service(0, "mail").state, None, "{}", world.story(20));
        world.witness_delay = (ms(2), ms(3));
        world.reach_witness(0, true);
        // Nobody was in sync with the one that died.
        let owner = Some(if dies { 0 } else { 1 });
        world.run_until(ms(8_000), |world| world.owner("mail") == owner);
    }
}

#[test]
fn a_member_that_was_dropped_does_not_take_the_group_from_an_owner_that_lives() {
    let mut world = running(3);
    keep(&mut world, 0, &[0]);
    world.set_partition(0, 1, true);
    world.set_partition(0, 2, true);
    world.run(ms(10_000));
    assert_eq!(world.service(0, "mail").state, Some(GroupState::Online));
    assert!(!world.service(1, "mail").online(), "{}", world.story(40));
    // Nobody with the SAs is left: in the end one begins without them.
    world.crash(0);
    world.run_until(ms(6_000), |world| world.owner("mail") == Some(1));
    assert_eq!(world.entitled.last(), Some(&(1, false)));
}

#[test]
fn a_member_with_a_copy_comes_before_a_preferred_one_without() {
    let mut world = running(3);
    keep(&mut world, 0, &[0, 2]);
    world.crash(0);
    world.run_until(ms(400), |world| world.owner("mail") == Some(2));
    assert_eq!(world.entitled.last(), Some(&(2, true)));
}

#[test]
fn a_member_that_does_not_reach_the_witness_is_not_waited_for() {
    let mut world = running(3);
    keep(&mut world, 0, &[0, 1, 2]);
    world.reach_witness(1, false);
    world.run(ms(100));
    let refused = world.order_move(0, "mail", 1);
    assert!(refused.is_err_and(|why| why.to_string().contains("witness")));
    world.crash(0);
    world.run_until(ms(400), |world| world.owner("mail") == Some(2));
}

#[test]
fn who_is_preferred_comes_first_although_the_witness_came_late() {
    let configure = move |index| cluster::Config {
        witness: true,
        ..config(index, 3)
    };
    let mut world = World::with(3, 1, Box::new(configure));
    (0..3).for_each(|host| world.boot(host));
    world.run(ms(5_000));
    for host in [2, 1, 0] {
        world.reach_witness(host, true);
        world.run(ms(30));
    }
    world.run(ms(2_000));
    assert_eq!(world.owner("mail"), Some(0), "{}", world.story(30));
}

#[test]
fn a_record_that_was_lost_is_written_again_by_its_owner_alone() {
    let mut world = running(3);
    keep(&mut world, 0, &[0, 1, 2]);
    world.remove_record(&group("mail"));
    world.run(ms(500));
    assert_eq!(written(&world), [0, 1, 2], "{}", world.story(30));
    world.crash(0);
    world.run_until(ms(400), |world| world.owner("mail") == Some(1));
    assert_eq!(world.entitled.last(), Some(&(1, true)));
    // A member that could go on, and is not heard, may have done so.
    keep(&mut world, 1, &[1, 2]);
    world.set_partition(1, 2, true);
    world.reach_witness(2, false);
    world.run(ms(20));
    world.remove_record(&group("mail"));
    world.run(ms(2_000));
    assert_eq!(written(&world), [] as [usize; 0], "{}", world.story(30));
    world.set_partition(1, 2, false);
    world.run(ms(1_000));
    assert_eq!(written(&world), [1, 2], "{}", world.story(30));
}

#[test]
fn nobody_waits_for_a_life_that_is_over() {
    let mut world = running(3);
    keep(&mut world, 0, &[0, 1]);
    (0..3).for_each(|host| world.crash(host));
    world.run(ms(100));
    for host in 0..3 {
        world.boot(host);
        world.reach_witness(host, true);
    }
    let taken = world.run_until(ms(2_000), |world| world.owner("mail") == Some(0));
    assert!(taken < ms(1_500), "{taken:?}: {}", world.story(40));
    assert_eq!(world.entitled.last(), Some(&(0, false)));
}

#[test]
fn a_record_that_nobody_may_write_again_is_begun_anew_by_a_move() {
    let mut world = running(3);
    keep(&mut world, 0, &[0, 2]);
    world.crash(2);
    world.run(ms(20));
    world.remove_record(&group("mail"));
    world.run(ms(2_000));
    assert!(!world.witness.contains_key(&group("mail")));
    assert_eq!(world.owner("mail"), Some(0));
    world.order_move(0, "mail", 1).unwrap();
    world.run_until(ms(400), |world| world.owner("mail") == Some(1));
    assert!(world.witness.contains_key(&group("mail")));
    assert_eq!(world.entitled.last(), Some(&(1, false)));
}
