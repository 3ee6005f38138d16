//! What befalls the witness, alone and together with what befalls the members.

use std::time::Duration;

use crate::dice::Dice;
use crate::frame::HostId;
use crate::scenario::cluster_random::plot::replicas::{owner, owner_and_another};
use crate::scenario::cluster_random::plot::{bring_up, cluster, meanwhile, time};
use crate::world::World;

/// Everybody reaches the witness again.
pub(crate) fn mend(world: &mut World) {
    if world.settings().witness {
        world.set_witness_down(false);
        for host in world.settings().host_ids() {
            world.set_witness_cut(host, false);
        }
    }
}

/// Nobody reaches the witness for a while.
pub(crate) fn lost(world: &mut World, dice: &mut Dice, depth: u32) {
    world.begin_fault();
    world.set_witness_down(true);
    meanwhile(world, dice, depth, 10, 6000);
    world.set_witness_down(false);
    world.end_fault();
}

/// One host does not.
pub(crate) fn lost_to_one(world: &mut World, dice: &mut Dice, depth: u32) {
    let host = *dice.pick(&world.settings().host_ids());
    world.begin_fault();
    world.set_witness_cut(host, true);
    meanwhile(world, dice, depth, 10, 6000);
    world.set_witness_cut(host, false);
    world.end_fault();
}

/// A member neither hears another nor reaches the witness.
pub(crate) fn lost_to_a_part(world: &mut World, dice: &mut Dice, depth: u32) {
    let [one, other] = cluster(world, dice);
    world.begin_fault();
    world.set_witness_cut(one, true);
    part(world, one, Some(other), true);
    meanwhile(world, dice, depth, 10, 5000);
    part(world, one, Some(other), false);
    world.set_witness_cut(one, false);
    world.end_fault();
}

/// Parts a member from one other, or from all.
fn part(world: &mut World, one: HostId, other: Option<HostId>, cut: bool) {
    for member in world.settings().members(one) {
        if other.is_none_or(|other| other == member) {
            world.set_partition(one, member, cut);
        }
    }
}

/// The owner goes while nobody can say who is to follow.
pub(crate) fn lost_with_its_owner(world: &mut World, dice: &mut Dice) {
    let Some(owner) = owner(world, dice) else {
        return;
    };
    world.begin_fault();
    world.set_witness_down(true);
    world.run(time(dice, 0, 2500));
    world.crash(owner);
    world.run(time(dice, 10, 3000));
    world.set_witness_down(false);
    world.run(time(dice, 0, 2500));
    bring_up(world, owner);
    world.end_fault();
}

/// No member hears another, and none reaches the witness.
pub(crate) fn everything_lost(world: &mut World, dice: &mut Dice, depth: u32) {
    let members = world.settings().nodes();
    let cut = |world: &mut World, cut: bool| {
        members.iter().for_each(|one| part(world, *one, None, cut));
    };
    world.begin_fault();
    cut(world, true);
    world.run(time(dice, 0, 200));
    world.set_witness_down(true);
    meanwhile(world, dice, depth, 10, 5000);
    let first = dice.chance(500);
    if first {
        world.set_witness_down(false);
        world.run(time(dice, 0, 1500));
    }
    cut(world, false);
    world.run(time(dice, 0, 500));
    world.set_witness_down(false);
    world.end_fault();
}

/// Owners go one after another, each as soon as it owns something.
pub(crate) fn one_after_another(world: &mut World, dice: &mut Dice) {
    let Some((first, second)) = owner_and_another(world, dice) else {
        return;
    };
    world.begin_fault();
    world.crash(first);
    world.run(time(dice, 50, 800));
    world.crash(second);
    world.run(Duration::from_millis(dice.between(100, 3000)));
    bring_up(world, first);
    world.run(time(dice, 0, 500));
    bring_up(world, second);
    world.end_fault();
}
