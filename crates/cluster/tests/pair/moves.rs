//! Planned moves, joining and leaving.

use cluster::{
    ApiMisuse, Command, DownReason, Event, GroupState, MoveReason, NodeState, Output, Phase,
    Refusal, StartReason, StopReason,
};

use crate::world::{Entry, World, group, ms, node};

#[test]
fn a_cold_start_together_gives_each_group_to_its_preferred_owner_once() {
    let mut world = World::new(2, 1);
    world.boot(0);
    world.run(ms(7));
    world.boot(1);
    let took = world.run_until(ms(200), |world| {
        world.owner("mail") == Some(0) && world.owner("web") == Some(1)
    });
    assert!(
        took < ms(60),
        "both hear each other, so nobody waits for the join time: {took:?}"
    );
    world.run(ms(3_000));
    let starts = world
        .log
        .iter()
        .filter(|(_, _, entry)| matches!(entry, Entry::Start { .. }));
    assert_eq!(starts.count(), 2, "nothing moved");
    assert_eq!(world.longest_both, ms(0));
}

#[test]
fn a_node_alone_waits_for_the_join_time_and_then_serves() {
    let mut world = World::new(2, 1);
    world.boot(1);
    let took = world.run_until(ms(1_000), |world| world.owner("mail") == Some(1));
    assert_eq!(took, ms(502), "join time of 500 ms, and 2 ms to start");
    let down = Event::NodeDown {
        node: node(0),
        why: DownReason::NeverHeard,
        silence: None,
    };
    assert!(world.events(1).any(|event| *event == down));
    // The preferred owner that comes later takes nothing.
    world.boot(0);
    world.run(ms(5_000));
    assert_eq!(world.owner("mail"), Some(1));
    assert_eq!(world.group_status(0, "mail").owner, Some(node(1)));
}

#[test]
fn a_planned_move_costs_one_flight_after_the_group_has_stopped() {
    let mut world = World::running(2, 1);
    let begun = world.time();
    world.order_move(0, "mail", 1).unwrap();
    world.run_until(ms(500), |world| world.owner("mail") == Some(1));
    let stop = Entry::Stop {
        group: group("mail"),
        reason: StopReason::Move {
            to: node(1),
            reason: MoveReason::Planned,
        },
    };
    assert_eq!(
        world.when(begun, 0, |entry| *entry == stop),
        Some(begun),
        "at once"
    );
    let start = StartReason::Took(MoveReason::Planned);
    let start = Entry::Start {
        group: group("mail"),
        epoch: 2,
        reason: start,
    };
    // 3 ms to stop, 1 ms of flight, and not a heartbeat more.
    assert_eq!(
        world.when(begun, 1, |entry| *entry == start),
        Some(begun + ms(4))
    );
    assert_eq!(world.longest_both, ms(0));
    world.run(ms(50));
    let seen = world.group_status(0, "mail");
    assert_eq!(
        (seen.owner, seen.epoch, seen.state),
        (Some(node(1)), 2, GroupState::Online)
    );
}

#[test]
fn a_lost_hand_over_is_repeated_with_the_next_heartbeat() {
    let mut world = World::running(2, 1);
    world.order_move(0, "mail", 1).unwrap();
    world.run(ms(2));
    world.set_cut(0, 1, true);
    world.run(ms(2));
    let begun = world.time();
    assert_eq!(
        world.service(0, "mail").state,
        None,
        "stopped, and the message is lost"
    );
    world.set_cut(0, 1, false);
    world.run_until(ms(500), |world| world.owner("mail") == Some(1));
    assert!(
        world.time() - begun <= ms(20 + 1 + 2),
        "a heartbeat, a flight, a start"
    );
}

#[test]
fn a_move_can_be_ordered_on_any_node() {
    let mut world = World::running(2, 1);
    world.order_move(1, "mail", 1).unwrap();
    world.run_until(ms(50), |world| world.owner("mail") == Some(1));
    world.order_move(0, "mail", 0).unwrap();
    world.run_until(ms(50), |world| world.owner("mail") == Some(0));
    assert_eq!(world.group_status(1, "mail").epoch, 3);
    // The numbers of its requests begin anew with a restart.
    world.crash(1);
    world.run(ms(300));
    world.boot(1);
    world.run(ms(300));
    world.order_move(1, "mail", 1).unwrap();
    world.run_until(ms(50), |world| world.owner("mail") == Some(1));
}

#[test]
fn a_request_that_is_lost_is_repeated_and_carried_out_once() {
    let mut world = World::running(2, 1);
    world.set_cut(1, 0, true);
    world.order_move(1, "mail", 1).unwrap();
    world.run(ms(50));
    assert_eq!(world.owner("mail"), Some(0));
    world.set_cut(1, 0, false);
    world.run_until(ms(50), |world| world.owner("mail") == Some(1));
    world.order_move(1, "mail", 0).unwrap();
    world.run(ms(1_000));
    assert_eq!(
        world.owner("mail"),
        Some(0),
        "the old request is not carried out again"
    );
}

#[test]
fn what_cannot_be_done_is_refused_with_the_reason() {
    let mut world = World::running(2, 1);
    let refused = |why| {
        Err(ApiMisuse::Refused {
            group: group("mail"),
            why,
        })
    };
    assert_eq!(
        world.order_move(0, "mail", 0),
        refused(Refusal::AlreadyThere)
    );
    assert_eq!(
        world.order_move(0, "nothing", 1),
        Err(ApiMisuse::UnknownGroup(group("nothing")))
    );
    assert_eq!(
        world.order_move(0, "mail", 2),
        Err(ApiMisuse::UnknownNode(node(2)))
    );
    world.order_move(0, "mail", 1).unwrap();
    assert_eq!(world.order_move(0, "mail", 1), refused(Refusal::Moving));
    world.run(ms(100));
    world
        .command(
            0,
            Command::Pause {
                node: Some(node(1)),
            },
        )
        .unwrap();
    world.run(ms(50));
    assert!(
        world.status(0).nodes[1].paused,
        "a pause may be asked for on another node"
    );
    // `mail` and `web` are at `b` now, which is paused; `a` is not.
    world.order_move(0, "web", 1).unwrap();
    world.run(ms(50));
    let sentence = "b refuses to move web to b: the group is there already.";
    assert!(world.events(0).any(|event| event.to_string() == sentence));
    world.order_move(1, "web", 0).unwrap();
    world.run(ms(50));
    let why = Refusal::TargetPaused;
    let refused = Err(ApiMisuse::Refused {
        group: group("web"),
        why,
    });
    assert_eq!(world.order_move(0, "web", 1), refused);
    world.crash(1);
    world.run(ms(200));
    let why = Refusal::TargetDown;
    assert_eq!(
        world.order_move(0, "web", 1),
        Err(ApiMisuse::Refused {
            group: group("web"),
            why
        })
    );
    let pause = Command::Pause {
        node: Some(node(1)),
    };
    assert_eq!(world.command(0, pause), Err(ApiMisuse::NodeDown(node(1))));
    let pause = Command::Pause {
        node: Some(node(2)),
    };
    assert_eq!(
        world.command(0, pause),
        Err(ApiMisuse::UnknownNode(node(2)))
    );
}

#[test]
fn a_target_that_dies_while_the_group_stops_leaves_it_where_it_is() {
    let mut world = World::running(2, 1);
    world.hosts[0].stop_time = ms(400);
    world.order_move(0, "mail", 1).unwrap();
    world.run(ms(100));
    world.crash(1);
    world.run(ms(500));
    assert_eq!(world.owner("mail"), Some(0));
    let abandoned = Event::MoveAbandoned {
        group: group("mail"),
        to: node(1),
    };
    assert!(world.events(0).any(|event| *event == abandoned));
    assert_eq!(world.owner("web"), Some(0), "and what it owned is taken");
}

#[test]
fn a_target_that_dies_on_the_way_loses_the_group_again() {
    let mut world = World::running(2, 1);
    world.order_move(0, "mail", 1).unwrap();
    world.run(ms(3));
    world.crash(1);
    world.run(ms(200));
    assert_eq!(world.owner("mail"), Some(0));
    assert_eq!(world.group_status(0, "mail").epoch, 3);
}

#[test]
fn shutdown_hands_everything_over_and_then_leaves() {
    let mut world = World::running(2, 1);
    let begun = world.time();
    world.command(0, Command::Shutdown).unwrap();
    assert_eq!(world.command(0, Command::Shutdown), Err(ApiMisuse::Leaving));
    let took = world.run_until(ms(500), |world| world.status(0).phase == Phase::Left);
    assert_eq!(
        world.when(begun, 0, |e| *e == Entry::Event(Event::Left)),
        Some(begun + took)
    );
    assert!(
        took <= ms(3 + 1 + 1 + 1 + 1),
        "stop, hand over, know, say farewell: {took:?}"
    );
    let wait = world.hosts[0].member.as_mut().unwrap().poll_output();
    assert_eq!(wait, Output::Wait(None));
    assert_eq!(world.owner("mail"), Some(1));
    let left = |entry: &Entry| {
        matches!(
            entry,
            Entry::Event(Event::NodeDown {
                why: DownReason::Left,
                ..
            })
        )
    };
    assert!(
        world.when(begun, 1, left).unwrap() <= begun + took,
        "known without any silence"
    );
    let reason = StopReason::Move {
        to: node(1),
        reason: MoveReason::Shutdown,
    };
    let stop = Entry::Stop {
        group: group("mail"),
        reason,
    };
    assert!(world.when(begun, 0, |entry| *entry == stop).is_some());
    // It comes back, and is given nothing by itself.
    world.crash(0);
    world.boot(0);
    world.run(ms(1_000));
    assert_eq!(world.owner("mail"), Some(1));
    assert_eq!(world.status(1).nodes[1].state, NodeState::Up);
}

#[test]
fn shutdown_of_the_last_node_stops_the_groups() {
    let mut world = World::running(2, 1);
    world.crash(1);
    world.run(ms(300));
    let begun = world.time();
    world.command(0, Command::Shutdown).unwrap();
    world.run_until(ms(100), |world| world.status(0).phase == Phase::Left);
    for name in ["mail", "web"] {
        let stop = Entry::Stop {
            group: group(name),
            reason: StopReason::Shutdown,
        };
        assert!(world.when(begun, 0, |entry| *entry == stop).is_some());
        assert_eq!(world.service(0, name).state, None);
    }
}

#[test]
fn two_nodes_that_shut_down_at_once_both_come_to_an_end() {
    let mut world = World::running(2, 1);
    world.command(0, Command::Shutdown).unwrap();
    world.command(1, Command::Shutdown).unwrap();
    let left = |world: &World, host| world.status(host).phase == Phase::Left;
    let took = world.run_until(ms(1_000), |world| left(world, 0) && left(world, 1));
    assert!(took <= ms(220), "{took:?}");
    for name in ["mail", "web"] {
        assert_eq!(world.service(0, name).state, None);
        assert_eq!(world.service(1, name).state, None);
    }
}

#[test]
fn timings_of_windows_server_are_in_reach() {
    let mut world = World::with(
        2,
        1,
        Box::new(|index| {
            let mut config = crate::world::config(index, 2);
            config.heartbeat = ms(1_200);
            config.missed = 6;
            config
        }),
    );
    world.boot(0);
    world.boot(1);
    world.run_until(ms(30_000), |world| world.owner("mail") == Some(0));
    world.run(ms(5_000));
    let begun = world.time();
    world.crash(0);
    world.run_until(ms(10_000), |world| world.owner("mail") == Some(1));
    let took = world.time() - begun;
    assert!(
        took > ms(5 * 1_200) && took <= ms(6 * 1_200 + 4),
        "{took:?}"
    );
}

#[test]
fn a_request_whose_answer_is_lost_is_not_carried_out_again() {
    let mut world = World::running(2, 1);
    world.order_move(1, "mail", 1).unwrap();
    // The order arrives, the answer and the hand-over are lost for a while.
    world.set_cut(0, 1, true);
    world.run(ms(60));
    assert_eq!(world.owner("mail"), None);
    world.set_cut(0, 1, false);
    world.run(ms(100));
    assert_eq!(world.owner("mail"), Some(1));
    let refused = |event: &&Event| matches!(event, Event::RequestRefused { .. });
    assert_eq!(world.events(1).filter(refused).count(), 0);
}

#[test]
fn a_node_that_is_not_heard_leaves_all_the_same() {
    let mut world = World::running(2, 1);
    world.order_move(0, "mail", 1).unwrap();
    world.run(ms(100));
    world.set_cut(0, 1, true);
    world.run(ms(10));
    world.command(0, Command::Shutdown).unwrap();
    let took = world.run_until(ms(500), |world| world.status(0).phase == Phase::Left);
    assert!(took <= ms(100), "{took:?}");
}

#[test]
fn answers_of_the_driver_that_nobody_asked_for_change_nothing() {
    let mut world = World::running(2, 1);
    let state = |world: &World| (world.group_status(0, "mail"), world.group_status(0, "web"));
    let before = state(&world);
    for name in ["mail", "web"] {
        let group = group(name);
        world
            .command(
                0,
                Command::GroupStopped {
                    group: group.clone(),
                },
            )
            .unwrap();
        world
            .command(
                0,
                Command::GroupStarted {
                    group: group.clone(),
                },
            )
            .unwrap();
    }
    let reason = "chance".to_owned();
    world
        .command(
            0,
            Command::GroupFailed {
                group: group("web"),
                reason,
            },
        )
        .unwrap();
    assert_eq!(state(&world), before);
    let unknown = group("files");
    let refused = Err(ApiMisuse::UnknownGroup(unknown.clone()));
    assert_eq!(
        world.command(0, Command::GroupStopped { group: unknown }),
        refused
    );
}

#[test]
fn nodes_that_were_told_different_preferences_still_serve() {
    let mut world = World::with(
        2,
        1,
        Box::new(|index| {
            let mut config = crate::world::config(index, 2);
            // Each thinks that the other is preferred for everything.
            for group in &mut config.groups {
                group.preferred_owners = vec![node(1 - index), node(index)];
            }
            config
        }),
    );
    world.boot(0);
    world.boot(1);
    world.run(ms(600));
    assert_eq!(
        (world.owner("mail"), world.owner("web")),
        (Some(0), Some(0))
    );
    // Both own everything in equal epochs, and each yields to the other.
    world.set_partition(0, 1, true);
    world.crash(0);
    world.crash(1);
    world.boot(0);
    world.boot(1);
    world.run(ms(700));
    world.set_partition(0, 1, false);
    world.run(ms(1_000));
    for name in ["mail", "web"] {
        assert_eq!(world.owner(name), Some(0), "{}", world.story(20));
        assert_eq!(world.group_status(1, name).owner, Some(node(0)));
    }
}

#[test]
fn a_node_that_still_listens_is_given_nothing() {
    let mut world = World::new(3, 1);
    world.boot(0);
    world.run(ms(1_000));
    world.boot(1);
    world.run(ms(100));
    assert_eq!(
        world.status(1).phase,
        Phase::Joining,
        "the third may still come"
    );
    let why = Refusal::Unsettled;
    let refused = Err(ApiMisuse::Refused {
        group: group("mail"),
        why,
    });
    assert_eq!(world.order_move(0, "mail", 1), refused);
    world.run(ms(500));
    world.order_move(0, "mail", 1).unwrap();
    world.run_until(ms(50), |world| world.owner("mail") == Some(1));
}

#[test]
fn a_node_leaves_although_the_receiver_never_heard_of_it() {
    let mut world = World::running(2, 1);
    world.command(0, Command::Shutdown).unwrap();
    world.run(ms(2));
    world.set_cut(0, 1, true);
    world.command(1, Command::Pause { node: None }).unwrap();
    let took = world.run_until(ms(500), |world| world.status(0).phase == Phase::Left);
    assert!(took <= ms(230), "a silence, and the farewells: {took:?}");
    assert_eq!(
        world.owner("mail"),
        None,
        "the one is gone, the other paused"
    );
    world.command(1, Command::Resume { node: None }).unwrap();
    world.run(ms(5));
    assert_eq!(world.owner("mail"), Some(1));
}

#[test]
fn a_request_to_a_node_that_dies_is_given_up() {
    let mut world = World::running(2, 1);
    world.crash(0);
    world.order_move(1, "mail", 1).unwrap();
    world.run(ms(300));
    let why = Refusal::Leaving;
    let refused =
        |event: &&Event| matches!(event, Event::RequestRefused { why: is, .. } if *is == why);
    assert_eq!(world.events(1).filter(refused).count(), 1);
    // It does not stand in the way of the next.
    world.boot(0);
    world.run(ms(300));
    world
        .command(
            1,
            Command::Pause {
                node: Some(node(0)),
            },
        )
        .unwrap();
    world.run(ms(50));
    assert!(world.status(0).nodes[0].paused);
}
