//! What operators order: moves, rekeys, deletes, a new configuration, pauses.

use std::time::Duration;

use node::Command;
use policy::RuleName;

use crate::configuration::{self, RULE, peer_name};
use crate::dice::Dice;
use crate::frame::{FRONT, HostId};
use crate::world::World;

const NODES: [HostId; 2] = [1, 2];
/// From where an order may come: everywhere at the same moment, one side, or the other.
const ENDS: [&[HostId]; 3] = [&[FRONT, 1, 2], &[FRONT], &[1, 2]];

/// Any node may be asked; a refusal (it is on its way, the target is not ready) is no fault.
pub(crate) fn planned_move(world: &mut World, dice: &mut Dice) {
    let group = dice.below(world.settings().groups as u64) as usize;
    if let Some(owner) = world.owner(group).filter(|owner| *owner != FRONT) {
        let target = NODES.len() + 1 - owner;
        let _ = world.order_move(*dice.pick(&NODES), group, target);
    }
    world.run(ms(dice.below(1000)));
}

/// Rekeys from one end, or from both at the same moment; there may be nothing to rekey.
pub(crate) fn rekey(world: &mut World, dice: &mut Dice) {
    for _ in 0..dice.between(1, 3) {
        let ike = dice.chance(500);
        for host in *dice.pick(&ENDS) {
            let command = match ike {
                true => Command::RekeyPeer(peer_name(*host)),
                false => Command::RekeyRule(RuleName::new(RULE)),
            };
            let _ = world.command(*host, command);
        }
        world.run(ms(dice.below(300)));
    }
}

/// Deletes from one end, or from both at the same moment.
pub(crate) fn delete(world: &mut World, dice: &mut Dice) {
    let ike = dice.chance(500);
    for host in *dice.pick(&ENDS) {
        let command = match ike {
            true => Command::DeletePeer(peer_name(*host)),
            false => Command::DeleteRule(RuleName::new(RULE)),
        };
        let _ = world.command(*host, command);
    }
    world.run(ms(dice.below(1000)));
}

/// The same configuration again.
pub(crate) fn reload(world: &mut World, dice: &mut Dice) {
    for host in *dice.pick(&ENDS) {
        let config = Box::new(configuration::config(world.settings(), *host));
        let _ = world.command(*host, Command::Reload(config));
    }
    world.run(ms(dice.below(500)));
}

/// A node takes no more groups for a while.
pub(crate) fn pause(world: &mut World, dice: &mut Dice) {
    let _ = world.command(*dice.pick(&NODES), Command::Pause);
    planned_move(world, dice);
    if dice.chance(700) {
        resume(world);
    }
}

/// Both nodes take groups again.
pub(crate) fn resume(world: &mut World) {
    for host in NODES {
        let _ = world.command(host, Command::Resume);
    }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
