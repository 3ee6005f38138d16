//! What befalls copies: links that go, members that lag, failovers in a row, restarts.

use std::time::Duration;

use crate::addresses::CLIENT;
use crate::dice::Dice;
use crate::frame::HostId;
use crate::scenario::cluster_random::plot::{another, bring_up, cluster, meanwhile, orders, time};
use crate::world::World;

/// The members hear each other, and cannot tell each other anything.
pub(crate) fn link_cut(world: &mut World, dice: &mut Dice, depth: u32) {
    let [one, other] = cluster(world, dice);
    world.begin_fault();
    world.set_link_cut(one, other, true);
    meanwhile(world, dice, depth, 50, 6000);
    world.set_link_cut(one, other, false);
    world.end_fault();
}

/// A member takes its time for everything but heartbeats.
pub(crate) fn slow_member(world: &mut World, dice: &mut Dice, depth: u32) {
    let members = cluster(world, dice);
    let host = *dice.pick(&members);
    let by = time(dice, 1, 300);
    world.begin_fault();
    world.set_slow(host, by);
    meanwhile(world, dice, depth, 100, 4000);
    world.set_slow(host, Duration::ZERO);
    world.end_fault();
}

/// Groups go to and fro, faster than copies follow.
pub(crate) fn back_and_forth(world: &mut World, dice: &mut Dice) {
    for _ in 0..dice.between(2, 6) {
        orders::move_now(world, dice);
        world.run(time(dice, 0, 700));
    }
}

/// Who owns something now, of one cluster.
pub(crate) fn owner(world: &World, dice: &mut Dice) -> Option<HostId> {
    let group = match world.settings().front_cluster && dice.chance(400) {
        true => CLIENT,
        false => 0,
    };
    world.owner(group)
}

/// The same, and another member of its cluster.
pub(crate) fn owner_and_another(world: &World, dice: &mut Dice) -> Option<(HostId, HostId)> {
    let owner = owner(world, dice)?;
    Some((owner, another(world, dice, owner)?))
}

/// The owner goes, and soon after it is back its heir.
pub(crate) fn two_failovers(world: &mut World, dice: &mut Dice) {
    let Some((first, second)) = owner_and_another(world, dice) else {
        return;
    };
    world.begin_fault();
    world.crash(first);
    world.run(time(dice, 50, 1500));
    bring_up(world, first);
    world.run(time(dice, 0, 2500));
    world.crash(second);
    world.run(time(dice, 50, 2000));
    bring_up(world, second);
    world.end_fault();
}

/// The owner goes within the exchanges of a rekey.
pub(crate) fn crash_amid_rekeys(world: &mut World, dice: &mut Dice) {
    let Some(owner) = owner(world, dice) else {
        return;
    };
    world.begin_fault();
    for _ in 0..dice.between(1, 3) {
        orders::rekey_now(world, dice);
        world.run(Duration::from_micros(dice.below(6000)));
    }
    match dice.below(3) {
        0 => world.kill(owner),
        1 => world.freeze(owner),
        _ => world.crash(owner),
    }
    world.run(time(dice, 20, 3000));
    if world.host(owner).is_frozen() {
        world.thaw(owner);
    }
    bring_up(world, owner);
    world.end_fault();
}

/// A group moves within the exchanges of a rekey.
pub(crate) fn move_amid_rekeys(world: &mut World, dice: &mut Dice) {
    for _ in 0..dice.between(1, 3) {
        orders::rekey_now(world, dice);
        world.run(Duration::from_micros(dice.below(6000)));
        orders::move_now(world, dice);
        world.run(Duration::from_micros(dice.below(20_000)));
        orders::rekey_now(world, dice);
        world.run(time(dice, 0, 600));
    }
}

/// The owner stops for longer than it takes to lose its groups, sometimes when it has just been
/// told to give them away, and goes on as if nothing had been.
pub(crate) fn frozen_owner(world: &mut World, dice: &mut Dice) {
    let Some(owner) = owner(world, dice) else {
        return;
    };
    world.begin_fault();
    if dice.chance(400) {
        orders::move_now(world, dice);
        world.run(Duration::from_micros(dice.below(60_000)));
    }
    world.freeze(owner);
    world.run(time(dice, 20, 3000));
    world.thaw(owner);
    world.run(time(dice, 0, 500));
    world.end_fault();
}

/// Who keeps the copy is a new process, and the owner goes before, while or after it is filled.
pub(crate) fn restart_of_the_copy(world: &mut World, dice: &mut Dice) {
    let Some((owner, other)) = owner_and_another(world, dice) else {
        return;
    };
    world.begin_fault();
    world.kill(other);
    world.run(time(dice, 1, 800));
    bring_up(world, other);
    world.run(time(dice, 0, 1500));
    if dice.chance(600) {
        world.crash(owner);
        world.run(time(dice, 1, 1500));
        bring_up(world, owner);
    }
    world.end_fault();
}
