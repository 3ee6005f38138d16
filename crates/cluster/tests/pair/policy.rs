//! Pause, failback, restart thresholds, reload.

use std::time::Duration;

use cluster::{
    ApiMisuse, ClusterKey, Command, Config, ConfigError, Event, Failback, GroupConfig, GroupState,
    MoveReason, Refusal, StartReason, StopReason,
};

use crate::world::{Entry, World, config, group, ms, node};

fn with(change: fn(&mut Config)) -> World {
    let mut world = World::with(
        2,
        1,
        Box::new(move |index| {
            let mut config = config(index, 2);
            change(&mut config);
            config
        }),
    );
    world.boot(0);
    world.boot(1);
    world.run(ms(1_000));
    assert_eq!(world.owner("mail"), Some(0));
    world
}

fn reload(world: &mut World, host: usize, change: impl Fn(&mut Config)) -> Result<(), ApiMisuse> {
    let mut config = config(host, 2);
    change(&mut config);
    world.command(host, Command::Reload(Box::new(config)))
}

#[test]
fn failback_waits_until_the_preferred_node_has_been_back_for_the_hold_time() {
    let mut world = with(|config| {
        config.groups[0].failback = Failback::After(ms(2_000));
    });
    world.crash(0);
    world.run_until(ms(200), |world| world.owner("mail") == Some(1));
    world.boot(0);
    world.run(ms(1_500));
    // It goes again: the hold time begins anew.
    world.crash(0);
    world.run(ms(500));
    world.boot(0);
    let begun = world.time();
    world.run_until(ms(3_000), |world| world.owner("mail") == Some(0));
    let took = world.time() - begun;
    assert!(took >= ms(2_000) && took <= ms(2_010), "{took:?}");
    let reason = StartReason::Took(MoveReason::Failback);
    let start = Entry::Start {
        group: group("mail"),
        epoch: 3,
        reason,
    };
    assert!(world.when(begun, 0, |entry| *entry == start).is_some());
    assert_eq!(world.longest_both, ms(0));
}

#[test]
fn failback_never_undoes_a_move_by_hand() {
    let mut world = with(|config| {
        config.groups[0].failback = Failback::After(ms(100));
    });
    world.order_move(0, "mail", 1).unwrap();
    world.run(ms(10_000));
    assert_eq!(world.owner("mail"), Some(1));
}

#[test]
fn a_failed_group_is_restarted_then_moved_then_given_up_then_tried_again() {
    let mut world = with(|config| {
        config.groups[0].restart_threshold = 2;
        config.groups[0].restart_period = ms(60_000);
    });
    let begun = world.time();
    world.hosts[0].broken.push(group("mail"));
    world.hosts[1].broken.push(group("mail"));
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
    world.run(ms(1_000));
    let starts = |world: &World, host: usize| {
        let starts = world
            .log
            .iter()
            .filter(|(at, by, _)| *at >= begun && *by == host);
        starts
            .filter(|(_, _, entry)| matches!(entry, Entry::Start { .. }))
            .count()
    };
    assert_eq!(
        starts(&world, 0),
        2,
        "two restarts here, the third failure moves it"
    );
    assert_eq!(starts(&world, 1), 3, "a start and two restarts there");
    let moved = StopReason::Move {
        to: node(1),
        reason: MoveReason::Failure,
    };
    let moved = Entry::Stop {
        group: group("mail"),
        reason: moved,
    };
    assert!(world.when(begun, 0, |entry| *entry == moved).is_some());
    assert_eq!(world.group_status(1, "mail").state, GroupState::Failed);
    assert_eq!(
        world.group_status(0, "mail").state,
        GroupState::Failed,
        "both know"
    );
    let given_up = |event: &&Event| matches!(event, Event::GroupGivenUp { .. });
    assert_eq!(world.events(1).filter(given_up).count(), 1);
    world.run(ms(50_000));
    assert_eq!(
        starts(&world, 0) + starts(&world, 1),
        5,
        "and then it is quiet"
    );
    // Repaired: the first node whose failures are old enough gets it.
    world.hosts[0].broken.clear();
    world.run(ms(10_000));
    assert_eq!(world.owner("mail"), Some(0));
    assert_eq!(
        world.owner("web"),
        Some(1),
        "the other group was not touched"
    );
}

#[test]
fn somebody_may_insist_on_a_node_where_the_group_failed() {
    let mut world = with(|config| config.groups[0].restart_threshold = 0);
    world.hosts[0].broken.push(group("mail"));
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
    world.run(ms(100));
    assert_eq!(world.owner("mail"), Some(1));
    world.hosts[0].broken.clear();
    world.order_move(1, "mail", 0).unwrap();
    world.run(ms(100));
    assert_eq!(world.owner("mail"), Some(0));
}

#[test]
fn a_group_given_up_is_started_by_a_move_to_where_it_is() {
    let mut world = with(|config| config.groups[0].restart_threshold = 0);
    world.crash(1);
    world.run(ms(200));
    world.hosts[0].broken.push(group("mail"));
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
    world.run(ms(300));
    assert_eq!(world.group_status(0, "mail").here, GroupState::Failed);
    world.hosts[0].broken.clear();
    world.order_move(0, "mail", 0).unwrap();
    world.run(ms(5));
    assert_eq!(world.owner("mail"), Some(0));
    assert_eq!(world.group_status(0, "mail").failures, 0);
}

#[test]
fn a_failed_group_waits_for_a_node_that_can_run_it() {
    let mut world = with(|config| config.groups[0].restart_threshold = 0);
    world.crash(1);
    world.hosts[0].broken.push(group("mail"));
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
    world.run(ms(300));
    world.boot(1);
    world.run_until(ms(200), |world| world.owner("mail") == Some(1));
}

fn bar(world: &mut World, host: usize, why: Option<&str>) {
    let (group, why) = (group("mail"), why.map(str::to_owned));
    let command = Command::SetBarred { group, why };
    world.command(host, command).unwrap();
}

#[test]
fn a_barred_group_moves_at_once_without_a_restart_and_does_not_come_back() {
    let mut world = with(|_| {});
    let begun = world.time();
    bar(&mut world, 0, Some("eth1 has no carrier"));
    world.run_until(ms(20), |world| world.owner("mail") == Some(1));
    let moved = StopReason::Move {
        to: node(1),
        reason: MoveReason::Failure,
    };
    let moved = Entry::Stop {
        group: group("mail"),
        reason: moved,
    };
    assert_eq!(world.when(begun, 0, |entry| *entry == moved), Some(begun));
    let started = |entry: &Entry| matches!(entry, Entry::Start { .. });
    assert_eq!(world.when(begun, 0, started), None, "no restart");
    // Neither by hand, nor because the other is gone.
    let refused = ApiMisuse::Refused {
        group: group("mail"),
        why: Refusal::TargetBarred,
    };
    assert_eq!(world.order_move(1, "mail", 0), Err(refused));
    world.crash(1);
    world.run(ms(1_000));
    assert_eq!(world.owner("mail"), None);
    bar(&mut world, 0, None);
    world.run(ms(10));
    assert_eq!(world.owner("mail"), Some(0));
    assert_eq!(world.group_status(0, "mail").failures, 0);
}

#[test]
fn a_barred_group_stays_while_nobody_can_take_it() {
    let mut world = with(|_| {});
    bar(&mut world, 1, Some("eth1 has no carrier"));
    world.run(ms(50));
    bar(&mut world, 0, Some("eth1 has no carrier"));
    world.run(ms(1_000));
    assert_eq!(
        world.owner("mail"),
        Some(0),
        "on a dead link, as it would be there"
    );
    assert_eq!(world.owner("web"), Some(1), "the other group is not barred");
    bar(&mut world, 1, None);
    world.run_until(ms(20), |world| world.owner("mail") == Some(1));
    assert_eq!(world.longest_both, ms(0));
}

#[test]
fn reload_adds_a_group_on_both_nodes_without_two_owners() {
    let mut world = with(|_| {});
    let more = |config: &mut Config| {
        config
            .groups
            .push(GroupConfig::new(group("files"), vec![node(1)]));
    };
    reload(&mut world, 0, more).unwrap();
    world.run(ms(200));
    assert_eq!(
        world.owner("files"),
        Some(0),
        "the other node does not know it yet"
    );
    assert!(
        world
            .events(0)
            .any(|event| matches!(event, Event::ConfigDiffers { .. }))
    );
    reload(&mut world, 1, more).unwrap();
    world.run(ms(1_000));
    assert_eq!(world.owner("files"), Some(0));
    assert_eq!(world.group_status(1, "files").owner, Some(node(0)));
    assert_eq!(
        (world.owner("mail"), world.owner("web")),
        (Some(0), Some(1)),
        "nothing else"
    );
}

#[test]
fn reload_removes_a_group_after_it_has_stopped() {
    let mut world = with(|_| {});
    let less = |config: &mut Config| {
        config.groups.remove(0);
    };
    reload(&mut world, 1, less).unwrap();
    world.run(ms(100));
    assert_eq!(world.owner("mail"), Some(0), "the other node does not mind");
    let begun = world.time();
    reload(&mut world, 0, less).unwrap();
    let stop = Entry::Stop {
        group: group("mail"),
        reason: StopReason::Removed,
    };
    assert_eq!(world.when(begun, 0, |entry| *entry == stop), Some(begun));
    world.run(ms(100));
    assert_eq!(world.status(0).groups.len(), 1);
    assert_eq!(world.owner("mail"), None);
}

#[test]
fn a_reload_that_is_wrong_changes_nothing() {
    let mut world = with(|_| {});
    let before = world.status(0);
    let wrong = reload(&mut world, 0, |config| config.missed = 1);
    assert_eq!(wrong, Err(ApiMisuse::Config(ConfigError::Missed(1))));
    let other = reload(&mut world, 0, |config| {
        config.node = node(2);
        config.groups.clear();
    });
    assert_eq!(other, Err(ApiMisuse::OtherNode(node(2))));
    assert_eq!(world.status(0), before);
}

#[test]
fn timing_and_preference_can_be_changed_while_groups_run() {
    let mut world = with(|_| {});
    let faster = |config: &mut Config| {
        config.heartbeat = ms(10);
        config.missed = 3;
        config.groups[0].preferred_owners.reverse();
    };
    reload(&mut world, 0, faster).unwrap();
    reload(&mut world, 1, faster).unwrap();
    world.run(ms(1_000));
    assert_eq!(
        (world.owner("mail"), world.owner("web")),
        (Some(0), Some(1))
    );
    world.crash(0);
    let took = world.run_until(ms(100), |world| world.owner("mail") == Some(1));
    assert!(took <= ms(31 + 2), "{took:?}");
}

#[test]
fn the_key_is_changed_in_three_reloads_without_a_silence() {
    let mut world = with(|_| {});
    let key = |fill: u8| ClusterKey::from_slice(&[fill; 32]).unwrap();
    let steps: [&dyn Fn(&mut Config); 3] = [
        &|config| config.also_accept.push(key(9)),
        &|config| {
            config.also_accept.push(key(7));
            config.key = key(9);
        },
        &|config| config.key = key(9),
    ];
    let begun = world.time();
    for step in steps {
        for host in [0, 1] {
            reload(&mut world, host, step).unwrap();
            world.run(ms(500));
        }
    }
    let down = |entry: &Entry| matches!(entry, Entry::Event(Event::NodeDown { .. }));
    assert_eq!(world.when(begun, 0, down), None);
    assert_eq!(world.when(begun, 1, down), None);
    assert_eq!(world.status(0).discards.of(cluster::Discard::Tag), 0);
}

#[test]
fn what_is_no_configuration_is_refused_with_the_first_reason() {
    type Case = (&'static str, fn(&mut Config));
    let cases: [Case; 14] = [
        ("out of range: use 1 ms", |config| config.heartbeat = ms(0)),
        ("missed heartbeats", |config| config.missed = 101),
        ("join time of 99ms", |config| config.join = Some(ms(99))),
        ("at most 6 hours", |config| {
            config.join = Some(Duration::MAX)
        }),
        ("at most 30 days", |config| {
            config.groups[0].restart_period = Duration::MAX
        }),
        ("failback hold time", |config| {
            config.groups[0].failback = Failback::After(Duration::MAX);
        }),
        ("named twice", |config| {
            config.peers[0].name = config.node.clone()
        }),
        ("needs 1 to", |config| config.peers[0].addresses.clear()),
        ("The address 10.0.0.2:4510", |config| {
            config.peers[0].addresses[1] = config.peers[0].addresses[0];
        }),
        ("is named twice", |config| {
            config.groups[1].name = group("mail")
        }),
        ("restart threshold", |config| {
            config.groups[0].restart_threshold = 1_001
        }),
        ("no node of the cluster", |config| {
            config.groups[0].preferred_owners.push(node(2))
        }),
        ("preferred owner `a` twice", |config| {
            config.groups[0].preferred_owners.push(node(0))
        }),
        ("more than the 1232", |config| {
            let groups = (0..40).map(|index| group(&format!("a-group-of-some-length-{index}")));
            config.groups = groups.map(|name| GroupConfig::new(name, vec![])).collect();
        }),
    ];
    for (text, change) in cases {
        let mut config = config(0, 2);
        config.validate().unwrap();
        change(&mut config);
        let error = config.validate().expect_err(text).to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn a_failed_group_whose_heir_dies_is_given_up_where_it_is() {
    let mut world = with(|config| config.groups[0].restart_threshold = 0);
    world.freeze(0);
    world.run(ms(50));
    world.crash(1);
    world.run(ms(100));
    // Thawed this node still takes the other for alive, and waits for its answer.
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
    world.run(ms(300));
    assert_eq!(
        world.group_status(0, "mail").here,
        GroupState::Failed,
        "{}",
        world.story(20)
    );
    assert_eq!(world.owner("web"), Some(0));
    let stop = |entry: &Entry| matches!(entry, Entry::Stop { .. });
    let failed = Entry::Stop {
        group: group("mail"),
        reason: StopReason::Failed,
    };
    assert_eq!(
        world.when(begun, 0, stop),
        world.when(begun, 0, |entry| *entry == failed),
        "it is not sent to the dead"
    );
}

#[test]
fn failback_never_goes_to_a_less_preferred_node() {
    let mut world = with(|config| {
        config.groups[0].failback = Failback::After(ms(100));
    });
    world.crash(1);
    world.run(ms(300));
    world.boot(1);
    world.run(ms(3_000));
    assert_eq!(world.owner("mail"), Some(0));
}

#[test]
fn a_group_that_comes_back_while_it_stops_is_started_again() {
    let mut world = with(|_| {});
    world.hosts[0].stop_time = ms(50);
    let less = |config: &mut Config| {
        config.groups.remove(0);
    };
    reload(&mut world, 0, less).unwrap();
    world.run(ms(40));
    assert_eq!(
        world.service(1, "mail").state,
        None,
        "it still holds the addresses here"
    );
    reload(&mut world, 0, |_| {}).unwrap();
    world.run(ms(100));
    assert_eq!(world.owner("mail"), Some(0));
    // Once it has stopped, a node that still has the group takes it.
    reload(&mut world, 0, less).unwrap();
    world.run(ms(55));
    assert_eq!(world.owner("mail"), Some(1));
    assert_eq!(world.longest_both, ms(0));
}

#[test]
fn groups_that_leave_never_make_a_heartbeat_too_long() {
    let groups = |prefix: &str| -> Vec<GroupConfig> {
        let names = (0..25).map(|index| group(&format!("{prefix}-group-{index}")));
        names
            .map(|name| GroupConfig::new(name, vec![node(0)]))
            .collect()
    };
    let mut world = World::with(
        2,
        1,
        Box::new(move |index| {
            let mut config = config(index, 2);
            config.groups = groups("old");
            config
        }),
    );
    world.boot(0);
    world.boot(1);
    world.run(ms(500));
    world.hosts[0].stop_time = ms(1_000);
    let begun = world.time();
    reload(&mut world, 0, |config| config.groups = groups("new")).unwrap();
    world.run(ms(2_000));
    let down = |entry: &Entry| matches!(entry, Entry::Event(Event::NodeDown { .. }));
    assert_eq!(world.when(begun, 1, down), None);
    assert_eq!(world.status(1).discards.of(cluster::Discard::Length), 0);
}

#[test]
fn with_one_path_there_is_nothing_to_say_of_paths() {
    let world = with(|config| {
        config.peers[0].addresses.truncate(1);
    });
    let path = |event: &&Event| matches!(event, Event::Path { .. });
    assert_eq!(world.events(0).filter(path).count(), 0);
}
