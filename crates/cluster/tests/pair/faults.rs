//! Crashes, freezes, partitions, loss in one direction.

use cluster::{Command, Discard, DownReason, Event, NodeState, Phase, StartReason, StopReason};

use crate::world::{Entry, Link, World, address, group, ms, node};

fn down(why: DownReason) -> impl Fn(&Entry) -> bool {
    move |entry| matches!(entry, Entry::Event(Event::NodeDown { why: is, .. }) if *is == why)
}

#[test]
fn a_crash_is_noticed_exactly_when_the_last_heartbeat_is_old_enough() {
    for offset in [0, 1, 7, 13, 19] {
        let mut world = World::running(2, 1);
        world.run(ms(offset));
        world.crash(0);
        let begun = world.time();
        world.run_until(ms(500), |world| world.owner("mail") == Some(1));
        let at = world.when(begun, 1, down(DownReason::Silence)).unwrap();
        let silence = world.events(1).find_map(|event| match event {
            Event::NodeDown { silence, .. } => *silence,
            _ => None,
        });
        assert_eq!(
            silence,
            Some(ms(100)),
            "20 ms × 5 after the last heartbeat, to the instant"
        );
        assert!(
            at - begun > ms(80) && at - begun <= ms(101),
            "{:?}",
            at - begun
        );
        let start = |entry: &Entry| matches!(entry, Entry::Start { epoch: 2, .. });
        assert_eq!(
            world.when(begun, 1, start),
            Some(at),
            "and acted upon in the same instant"
        );
    }
}

#[test]
fn a_reported_death_is_acted_upon_at_once_and_is_not_undone_by_late_heartbeats() {
    let mut world = World::running(2, 1);
    let delay = ms(15);
    world.set_links(Link {
        delay,
        ..Link::default()
    });
    world.run(ms(200));
    let begun = world.time();
    world.crash(0);
    world
        .command(1, Command::PeerDied { name: node(0) })
        .unwrap();
    assert_eq!(
        world.when(begun, 1, down(DownReason::ProcessDied)),
        Some(begun)
    );
    world.run(ms(5));
    assert_eq!(world.owner("mail"), Some(1), "2 ms after the death");
    world.run(ms(500));
    let up = |entry: &Entry| matches!(entry, Entry::Event(Event::NodeUp { .. }));
    assert_eq!(world.when(begun, 1, up), None);
    assert!(world.status(1).discards.of(cluster::Discard::DeclaredDead) > 0);
}

/// What the process that outlives node 0 would send to node 1.
fn farewell(world: &World) -> Vec<u8> {
    let farewell = world.hosts[0].member.as_ref().unwrap().farewell();
    assert_eq!(farewell.to, [address(0, 1), address(1, 1)]);
    farewell.bytes
}

#[test]
fn a_farewell_ends_one_life_at_once_and_says_nothing_about_the_next() {
    let mut world = World::running(2, 1);
    let begun = world.time();
    let last_word = farewell(&world);
    world.crash(0);
    world.give(1, address(0, 0), address(0, 1), &last_word);
    let ended = world.when(begun, 1, down(DownReason::ProcessDied));
    assert_eq!(ended, Some(begun));
    world.run(ms(5));
    assert_eq!(world.owner("mail"), Some(1), "2 ms after the death");
    world.run(ms(500));
    let up = |entry: &Entry| matches!(entry, Entry::Event(Event::NodeUp { .. }));
    assert_eq!(
        world.when(begun, 1, up),
        None,
        "not even by what was on its way"
    );
    // The next life, also one with a clock that was set back, is not touched by it.
    for incarnation in [2, u64::MAX] {
        world.boot_as(0, incarnation);
        world.run(ms(1_000));
        assert_eq!(world.status(1).nodes[1].state, NodeState::Up);
        let refused = world.status(1).discards.of(Discard::OldIncarnation);
        world.give(1, address(0, 0), address(0, 1), &last_word);
        assert_eq!(world.status(1).nodes[1].state, NodeState::Up);
        let now = world.status(1).discards.of(Discard::OldIncarnation);
        assert_eq!(now, refused + 1);
    }
}

#[test]
fn a_farewell_of_a_life_that_was_never_heard_is_worth_nothing() {
    let mut world = World::new(2, 1);
    world.boot_as(0, u64::MAX - 1);
    let last_word = farewell(&world);
    world.crash(0);
    world.run(ms(5));
    world.boot(1);
    world.give(1, address(0, 0), address(0, 1), &last_word);
    world.boot(0);
    world.run(ms(1_000));
    assert_eq!(world.status(1).nodes[1].state, NodeState::Up);
    assert_eq!(world.owner("mail"), Some(0));
}

#[test]
fn a_farewell_cannot_be_made_by_who_has_another_key_or_changes_one() {
    let mut world = World::running(2, 1);
    let mut forged = farewell(&world);
    forged[10] ^= 1;
    world.give(1, address(0, 0), address(0, 1), &forged);
    assert_eq!(world.status(1).discards.of(Discard::Tag), 1);
    assert_eq!(world.status(1).nodes[1].state, NodeState::Up);
}

#[test]
fn who_stood_still_does_not_surely_own_until_it_has_heard_the_others() {
    let mut world = World::running(2, 1);
    let owns = |world: &World, host: usize| {
        let member = world.hosts[host].member.as_ref().unwrap();
        member.surely_owns(&group("mail"), world.now)
    };
    assert!(owns(&world, 0) && !owns(&world, 1));
    world.freeze(0);
    world.run(ms(500));
    assert!(!owns(&world, 0), "before anything is handled");
    assert!(owns(&world, 1));
    world.thaw_late_socket(0);
    world.run(ms(50));
    assert!(!owns(&world, 0) && owns(&world, 1));
    world.set_partition(0, 1, true);
    world.run(ms(1_000));
    assert!(
        owns(&world, 0) && owns(&world, 1),
        "without a witness nobody can know better"
    );
}

#[test]
fn a_false_report_of_death_heals() {
    let mut world = World::running(2, 1);
    let begun = world.time();
    world
        .command(1, Command::PeerDied { name: node(0) })
        .unwrap();
    world.run(ms(1_000));
    let up = |entry: &Entry| matches!(entry, Entry::Event(Event::NodeUp { .. }));
    let up = world.when(begun, 1, up).unwrap();
    assert!(
        up - begun <= ms(2),
        "the dead do not acknowledge: {:?}",
        up - begun
    );
    assert_eq!(world.owner("mail"), Some(1), "the higher epoch");
    assert_eq!(world.status(1).nodes[1].state, NodeState::Up);
    assert!(world.longest_both <= ms(5), "{:?}", world.longest_both);
}

#[test]
fn a_node_that_restarts_faster_than_it_is_missed_does_not_get_its_groups_back() {
    let mut world = World::running(2, 1);
    let begun = world.time();
    world.crash(0);
    world.run(ms(30));
    world.boot(0);
    world.run_until(ms(50), |world| world.owner("mail") == Some(1));
    assert!(world.when(begun, 1, down(DownReason::Restarted)).is_some());
    world.run(ms(2_000));
    assert_eq!(world.owner("mail"), Some(1));
    let starts = world.log.iter().filter(|(at, _, _)| *at >= begun);
    let starts = starts.filter(|(_, _, entry)| matches!(entry, Entry::Start { .. }));
    assert_eq!(starts.count(), 1);
}

#[test]
fn a_restarted_node_takes_its_group_back_if_the_other_may_not() {
    let mut world = World::running(2, 1);
    world.command(1, Command::Pause { node: None }).unwrap();
    world.crash(0);
    world.run(ms(1_000));
    assert_eq!(world.owner("mail"), None, "paused: it takes nothing");
    let unowned = Event::GroupUnowned {
        group: group("mail"),
    };
    assert!(world.events(1).any(|event| *event == unowned));
    assert_eq!(world.owner("web"), Some(1), "paused: it keeps what it has");
    world.boot(0);
    world.run_until(ms(100), |world| world.owner("mail") == Some(0));
    assert_eq!(
        world.group_status(0, "mail").epoch,
        2,
        "a new life, a new epoch"
    );
    world.crash(0);
    world.run(ms(200));
    assert_eq!(
        world.events(1).filter(|event| **event == unowned).count(),
        2,
        "said each time"
    );
}

#[test]
fn a_resumed_node_takes_what_nobody_owns() {
    let mut world = World::running(2, 1);
    world.command(1, Command::Pause { node: None }).unwrap();
    world.crash(0);
    world.run(ms(1_000));
    world.command(1, Command::Resume { node: None }).unwrap();
    world.run(ms(3));
    assert_eq!(world.owner("mail"), Some(1));
}

#[test]
fn a_group_nobody_may_take_can_be_taken_by_hand() {
    let mut world = World::running(2, 1);
    world.command(1, Command::Pause { node: None }).unwrap();
    world.crash(0);
    world.run(ms(1_000));
    world.order_move(1, "mail", 1).unwrap();
    world.run(ms(3));
    assert_eq!(world.owner("mail"), Some(1));
}

#[test]
fn after_a_partition_the_higher_epoch_wins_and_announces_again() {
    let mut world = World::running(2, 1);
    world.set_partition(0, 1, true);
    world.run(ms(1_000));
    for name in ["mail", "web"] {
        assert!(world.service(0, name).online() && world.service(1, name).online());
    }
    let healed = world.time();
    world.set_partition(0, 1, false);
    world.run_until(ms(100), |world| {
        world.owner("mail") == Some(1) && world.owner("web") == Some(0)
    });
    let lost = |entry: &Entry| {
        matches!(
            entry,
            Entry::Stop {
                reason: StopReason::Lost { .. },
                ..
            }
        )
    };
    assert!(
        world.when(healed, 0, lost).unwrap() - healed <= ms(21),
        "with the first heartbeat"
    );
    world.run(ms(50));
    let stop = Entry::Stop {
        group: group("mail"),
        reason: StopReason::Lost {
            to: Some(node(1)),
            epoch: 2,
        },
    };
    assert!(world.when(healed, 0, |entry| *entry == stop).is_some());
    let reason = StartReason::Reassert;
    let again = Entry::Start {
        group: group("mail"),
        epoch: 2,
        reason,
    };
    let announced = world.when(healed, 1, |entry| *entry == again).unwrap();
    let stopped = world.when(healed, 0, |entry| *entry == stop).unwrap();
    assert_eq!(
        announced,
        stopped + ms(3 + 1),
        "when the loser has let go, and said so"
    );
    assert!(
        world
            .events(1)
            .any(|event| matches!(event, Event::Conflict { .. }))
    );
}

#[test]
fn two_isolated_cold_starts_meet_and_the_preferred_owner_wins() {
    let mut world = World::new(2, 1);
    world.set_partition(0, 1, true);
    world.boot(0);
    world.run(ms(333));
    world.boot(1);
    world.run(ms(2_000));
    assert!(world.service(0, "mail").online() && world.service(1, "mail").online());
    world.set_partition(0, 1, false);
    world.run(ms(100));
    assert_eq!(
        world.owner("mail"),
        Some(0),
        "equal epochs: `mail` prefers `a`"
    );
    assert_eq!(
        world.owner("web"),
        Some(1),
        "equal epochs: `web` prefers `b`"
    );
}

#[test]
fn a_lost_path_is_reported_and_moves_nothing() {
    let mut world = World::running(2, 1);
    let begun = world.time();
    world.links[0][1][0].cut = true;
    world.run(ms(1_000));
    let path = |entry: &Entry| matches!(entry, Entry::Event(Event::Path { up: false, .. }));
    let at = world.when(begun, 1, path).unwrap();
    assert!(at - begun <= ms(201), "{:?}", at - begun);
    assert_eq!(world.owner("mail"), Some(0));
    let paths = &world.status(1).nodes[1].paths;
    assert!(!paths[0].up && paths[1].up);
    world.links[0][1][0].cut = false;
    world.run(ms(50));
    assert!(world.status(1).nodes[1].paths[0].up);
}

#[test]
fn an_owner_that_is_not_heard_is_replaced_and_steps_back_at_once() {
    let mut world = World::running(2, 1);
    let begun = world.time();
    world.set_cut(0, 1, true);
    world.run(ms(500));
    assert_eq!(world.owner("mail"), Some(1));
    let lost = |entry: &Entry| {
        matches!(
            entry,
            Entry::Stop {
                reason: StopReason::Lost { .. },
                ..
            }
        )
    };
    let lost = world.when(begun, 0, lost).unwrap();
    let taken = world
        .when(begun, 1, |entry| matches!(entry, Entry::Start { .. }))
        .unwrap();
    assert_eq!(
        lost,
        taken + ms(1),
        "one flight after the other has taken over"
    );
    assert!(world.longest_both <= ms(3));
    // It stays like that: `a` hears that `b` is well.
    world.run(ms(3_000));
    assert_eq!(
        (world.owner("mail"), world.owner("web")),
        (Some(1), Some(1))
    );
    world.set_cut(0, 1, false);
    world.run(ms(1_000));
    assert_eq!(
        (world.owner("mail"), world.owner("web")),
        (Some(1), Some(1))
    );
}

#[test]
fn a_standby_that_is_not_heard_moves_nothing() {
    let mut world = World::running(2, 1);
    world.order_move(0, "web", 0).unwrap();
    world.run(ms(100));
    assert_eq!(world.owner("web"), Some(0));
    let begun = world.time();
    world.set_cut(1, 0, true);
    world.run(ms(3_000));
    assert_eq!(
        (world.owner("mail"), world.owner("web")),
        (Some(0), Some(0))
    );
    let start = |entry: &Entry| matches!(entry, Entry::Start { .. });
    assert_eq!(world.when(begun, 1, start), None);
    let deaf = Event::Hearing {
        node: node(0),
        hears_us: false,
    };
    assert!(world.events(1).any(|event| *event == deaf));
}

#[test]
fn of_two_owners_the_one_that_hears_the_other_gives_way() {
    let mut world = World::running(2, 1);
    world.set_partition(0, 1, true);
    world.run(ms(500));
    // Half of the partition heals: `b`, in the higher epoch for `mail`, hears `a` and cannot be
    // heard; only `b` can end it.
    world.set_cut(0, 1, false);
    world.run(ms(1_000));
    assert_eq!(
        (world.owner("mail"), world.owner("web")),
        (Some(0), Some(0))
    );
    // The other half heals: nothing moves any more, and both agree.
    let healed = world.time();
    world.set_cut(1, 0, false);
    world.run(ms(1_000));
    assert_eq!(
        (world.owner("mail"), world.owner("web")),
        (Some(0), Some(0))
    );
    let stop = |entry: &Entry| matches!(entry, Entry::Stop { .. });
    assert_eq!(world.when(healed, 0, stop), None);
    assert_eq!(world.when(healed, 1, stop), None);
    for name in ["mail", "web"] {
        let (a, b) = (world.group_status(0, name), world.group_status(1, name));
        assert_eq!((a.owner, a.epoch), (b.owner, b.epoch));
        assert_eq!(
            world.service(0, name).epoch,
            a.epoch,
            "the driver knows the epoch"
        );
    }
}

#[test]
fn a_frozen_owner_steps_back_as_soon_as_it_has_asked() {
    for frozen in [150, 1_000, 10_000] {
        let mut world = World::running(2, 1);
        world.freeze(0);
        world.run(ms(frozen));
        assert!(world.service(1, "mail").online());
        let begun = world.time();
        world.thaw(0);
        world.run_until(ms(100), |world| world.owner("mail") == Some(1));
        let thawed = |entry: &Entry| matches!(entry, Entry::Event(Event::Thawed { .. }));
        assert_eq!(
            world.when(begun, 0, thawed),
            Some(begun),
            "{}",
            world.story(30)
        );
        let lost = |entry: &Entry| {
            matches!(
                entry,
                Entry::Stop {
                    reason: StopReason::Lost { .. },
                    ..
                }
            )
        };
        let lost = world.when(begun, 0, lost).unwrap();
        assert!(
            lost - begun <= ms(2),
            "one question, one answer: {:?}",
            lost - begun
        );
        world.run(ms(2_000));
        assert_eq!(
            (world.owner("mail"), world.owner("web")),
            (Some(1), Some(1))
        );
        assert_eq!(world.status(0).phase, Phase::Member);
    }
}

#[test]
fn a_thawed_owner_does_not_trust_what_lay_in_its_socket() {
    let mut world = World::running(2, 1);
    // What `b` sent before it noticed: it says that `a` owns `mail`.
    world.freeze(0);
    world.run(ms(1_000));
    world.set_partition(0, 1, true);
    let begun = world.time();
    world.thaw(0);
    assert_eq!(world.status(0).phase, Phase::Verifying);
    world.run(ms(90));
    assert_eq!(
        world.status(0).phase,
        Phase::Verifying,
        "nobody has answered"
    );
    world.run(ms(20));
    assert_eq!(
        world.status(0).phase,
        Phase::Member,
        "and the wait is bounded"
    );
    assert!(world.when(begun, 0, down(DownReason::Silence)).is_some());
}

#[test]
fn a_frozen_standby_does_not_take_over_when_it_thaws() {
    let mut world = World::running(2, 1);
    world.order_move(0, "web", 0).unwrap();
    world.run(ms(100));
    world.freeze(1);
    world.run(ms(5_000));
    let begun = world.time();
    world.thaw_late_socket(1);
    world.run(ms(2_000));
    let verified = |entry: &Entry| matches!(entry, Entry::Event(Event::Verified { .. }));
    let verified = world.when(begun, 1, verified).unwrap();
    assert!(
        verified - begun <= ms(2),
        "a question, and its answer at once"
    );
    assert_eq!(
        (world.owner("mail"), world.owner("web")),
        (Some(0), Some(0))
    );
    assert_eq!(
        world.when(begun, 1, |entry| matches!(entry, Entry::Start { .. })),
        None
    );
    assert_eq!(world.when(begun, 1, down(DownReason::Silence)), None);
}

#[test]
fn both_frozen_and_thawed_go_on_as_before() {
    let mut world = World::running(2, 1);
    let begun = world.time();
    world.freeze(0);
    world.freeze(1);
    world.run(ms(5_000));
    world.thaw(1);
    world.run(ms(3));
    world.thaw(0);
    world.run(ms(2_000));
    assert_eq!(
        (world.owner("mail"), world.owner("web")),
        (Some(0), Some(1))
    );
    let moved = |entry: &Entry| matches!(entry, Entry::Start { .. } | Entry::Stop { .. });
    assert_eq!(world.when(begun, 0, moved), None);
    assert_eq!(world.when(begun, 1, moved), None);
    assert!(
        world
            .events(0)
            .any(|event| matches!(event, Event::Verified { .. }))
    );
}

#[test]
fn a_peer_that_died_while_this_node_was_frozen_is_replaced() {
    let mut world = World::running(2, 1);
    world.freeze(0);
    world.run(ms(50));
    world.crash(1);
    world.run(ms(1_000));
    let begun = world.time();
    world.thaw(0);
    world.run_until(ms(500), |world| world.owner("web") == Some(0));
    assert!(
        world.time() - begun <= ms(102),
        "{:?}",
        world.time() - begun
    );
    assert_eq!(world.owner("mail"), Some(0));
}

#[test]
fn a_short_delay_of_the_driver_is_no_silence_of_the_others() {
    let mut world = World::running(2, 1);
    // 90 ms: less than the detection time, but what the other sent is still unread when the
    // timer is handled.
    let begun = world.time();
    for _ in 0..20 {
        world.freeze(1);
        world.run(ms(90));
        world.thaw_late_socket(1);
        world.run(ms(30));
    }
    assert_eq!(world.when(begun, 1, down(DownReason::Silence)), None);
}

#[test]
fn a_second_failover_right_after_the_first() {
    let mut world = World::running(2, 1);
    world.crash(0);
    world.run_until(ms(200), |world| world.owner("mail") == Some(1));
    world.boot(0);
    world.run(ms(60));
    world.crash(1);
    let took = world.run_until(ms(500), |world| {
        world.owner("mail") == Some(0) && world.owner("web") == Some(0)
    });
    assert!(took <= ms(101 + 2), "{took:?}");
    assert_eq!(world.group_status(0, "mail").epoch, 3);
}

#[test]
fn a_clock_set_back_does_not_ban_a_node() {
    let mut world = World::running(2, 1);
    world.crash(0);
    world.run(ms(300));
    world.boot_as(0, 5);
    world.run(ms(200));
    assert_eq!(world.status(1).nodes[1].state, NodeState::Up);
    assert_eq!(world.owner("mail"), Some(1));
    world.crash(1);
    world.run_until(ms(200), |world| world.owner("mail") == Some(0));
}

#[test]
fn three_nodes_agree_on_the_heir() {
    let mut world = World::running(3, 1);
    world.crash(0);
    world.run(ms(500));
    assert_eq!(
        world.owner("mail"),
        Some(1),
        "the next in the order of preference"
    );
    world.crash(1);
    let took = world.run_until(ms(500), |world| {
        world.owner("mail") == Some(2) && world.owner("web") == Some(2)
    });
    assert!(took <= ms(103), "{took:?}");
    world.boot(0);
    world.boot(1);
    world.run(ms(1_000));
    assert_eq!(
        (world.owner("mail"), world.owner("web")),
        (Some(2), Some(2))
    );
    assert_eq!(world.longest_both, ms(0));
}

#[test]
fn what_fails_while_a_thawed_owner_asks_is_not_started_again_before_the_answer() {
    let mut world = World::running(2, 1);
    world.freeze(0);
    world.set_partition(0, 1, true);
    world.run(ms(1_000));
    let begun = world.time();
    world.thaw(0);
    let reason = "the check failed".to_owned();
    world
        .command(
            0,
            Command::GroupFailed {
                group: group("mail"),
                reason,
            },
        )
        .unwrap();
    world.run(ms(50));
    let stop = |entry: &Entry| matches!(entry, Entry::Stop { .. });
    assert_eq!(world.when(begun, 0, stop), None);
    world.set_partition(0, 1, false);
    world.run(ms(50));
    let lost = |entry: &Entry| {
        matches!(
            entry,
            Entry::Stop {
                reason: StopReason::Lost { .. },
                ..
            }
        )
    };
    assert!(world.when(begun, 0, lost).is_some());
    assert_eq!(
        world.when(begun, 0, |entry| matches!(entry, Entry::Start { .. })),
        None
    );
}

#[test]
fn what_stopped_in_a_freeze_is_not_started_again_before_the_answer() {
    let mut world = World::running(2, 1);
    world.hosts[0].stop_time = ms(50);
    let reason = "the check failed".to_owned();
    world
        .command(
            0,
            Command::GroupFailed {
                group: group("mail"),
                reason,
            },
        )
        .unwrap();
    world.run(ms(10));
    world.freeze(0);
    // Nothing in its socket tells that it has lost the group.
    world.set_partition(0, 1, true);
    world.run(ms(1_000));
    world.set_partition(0, 1, false);
    let begun = world.time();
    world.thaw(0);
    world.run(ms(500));
    assert_eq!(
        world.when(begun, 0, |entry| matches!(entry, Entry::Start { .. })),
        None
    );
    assert_eq!(world.owner("mail"), Some(1));
    assert_eq!(world.longest_both, ms(0));
}

#[test]
fn two_nodes_that_ask_do_not_answer_each_other_for_ever() {
    let mut world = World::new(3, 1);
    world.boot(0);
    world.boot(1);
    world.run(ms(450));
    assert_eq!(
        world.status(0).phase,
        Phase::Joining,
        "the third may still come"
    );
    let sent = world.status(0).sent;
    assert!(
        sent <= 2 * 450 / 20 + 5,
        "a heartbeat and an answer in each interval: {sent}"
    );
}

#[test]
fn a_healed_partition_is_settled_with_the_first_heartbeat_of_either() {
    for offset in 0..20 {
        let mut world = World::new(2, 1);
        world.boot(0);
        world.run(ms(10));
        world.boot(1);
        world.run(ms(1_000));
        world.order_move(1, "web", 0).unwrap();
        world.run(ms(100));
        world.set_partition(0, 1, true);
        world.run(ms(1_000 + offset));
        world.set_partition(0, 1, false);
        let took = world.run_until(ms(100), |world| {
            world.owner("mail") == Some(1) && world.owner("web") == Some(1)
        });
        // Their heartbeats are 10 ms apart; then a flight, an answer and its flight, a stop.
        assert!(took <= ms(10 + 1 + 1 + 3), "{took:?}");
    }
}
