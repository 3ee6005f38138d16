//! What operators order: moves, rekeys, deletes, a new configuration, pauses.

use std::time::Duration;

use node::Command;
use policy::RuleName;

use crate::addresses::CLIENT;
use crate::configuration::{self, RULE, peer_name};
use crate::dice::Dice;
use crate::frame::{HostId, is_front};
use crate::scenario::cluster_random::plot::another;
use crate::world::World;

/// Any node may be asked; a refusal (it is on its way, the target is not ready) is no fault.
pub(crate) fn planned_move(world: &mut World, dice: &mut Dice) {
    move_now(world, dice);
    world.run(ms(dice.below(1000)));
}

/// The same without a pause after it. Answers what was moved where.
pub(crate) fn move_now(world: &mut World, dice: &mut Dice) -> Option<(usize, HostId)> {
    let group = match world.settings().front_cluster && dice.chance(300) {
        true => CLIENT,
        false => dice.below(world.settings().groups as u64) as usize,
    };
    let owner = world.owner(group)?;
    let target = another(world, dice, owner)?;
    let asked = *dice.pick(&[owner, target]);
    let _ = world.order_move(asked, group, target);
    Some((group, target))
}

/// Rekeys from one end, or from both at the same moment; there may be nothing to rekey.
pub(crate) fn rekey(world: &mut World, dice: &mut Dice) {
    for _ in 0..dice.between(1, 3) {
        rekey_now(world, dice);
        world.run(ms(dice.below(300)));
    }
}

/// Rekeys from one end, or from both at the same moment, and no pause after it.
pub(crate) fn rekey_now(world: &mut World, dice: &mut Dice) {
    let ike = dice.chance(500);
    for host in ends(world, dice) {
        let command = match ike {
            true => Command::RekeyPeer(peer_name(host)),
            false => Command::RekeyRule(RuleName::new(RULE)),
        };
        let _ = world.command(host, command);
    }
}

/// Deletes from one end, or from both at the same moment.
pub(crate) fn delete(world: &mut World, dice: &mut Dice) {
    let ike = dice.chance(500);
    for host in ends(world, dice) {
        let command = match ike {
            true => Command::DeletePeer(peer_name(host)),
            false => Command::DeleteRule(RuleName::new(RULE)),
        };
        let _ = world.command(host, command);
    }
    world.run(ms(dice.below(1000)));
}

/// The same configuration again.
pub(crate) fn reload(world: &mut World, dice: &mut Dice) {
    for host in ends(world, dice) {
        let config = Box::new(configuration::config(world.settings(), host));
        let _ = world.command(host, Command::Reload(config));
    }
    world.run(ms(dice.below(500)));
}

/// A node takes no more groups for a while.
pub(crate) fn pause(world: &mut World, dice: &mut Dice) {
    let nodes = world.settings().nodes();
    let _ = world.command(*dice.pick(&nodes), Command::Pause);
    planned_move(world, dice);
    if dice.chance(700) {
        resume(world);
    }
}

/// Every node takes groups again.
pub(crate) fn resume(world: &mut World) {
    for host in world.settings().host_ids() {
        let _ = world.command(host, Command::Resume);
    }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// From where an order comes: everywhere at the same moment, one side, or the other.
fn ends(world: &World, dice: &mut Dice) -> Vec<HostId> {
    let which = dice.below(3);
    let side = |host: &HostId| which == 0 || is_front(*host) == (which == 1);
    let hosts = world.settings().host_ids().into_iter();
    hosts.filter(side).collect()
}
