//! The faults of a random world, one act at a time.

use std::time::Duration;

use node::Command;
use policy::RuleName;
use wire::ip::{Flow, protocol};

use crate::addresses::PATHS;
use crate::configuration::{RULE, peer_name};
use crate::dice::Dice;
use crate::frame::{FRONT, HostId};
use crate::network::Link;
use crate::packet::{Kind, Message, SERVICE};
use crate::world::World;

const NODES: [HostId; 2] = [1, 2];
const HOSTS: [HostId; 3] = [FRONT, 1, 2];

/// One act: a fault and its end, an operator's order, or an attack.
pub(crate) fn act(world: &mut World, dice: &mut Dice) {
    match dice.below(16) {
        0 => noise(world, dice),
        1 => one_way_loss(world, dice),
        2 => partition(world, dice),
        3 | 4 => crash(world, dice),
        5 => kill(world, dice),
        6 => freeze(world, dice),
        7 | 8 => planned_move(world, dice),
        9 => move_with_crash(world, dice),
        10 | 11 => rekey(world, dice),
        12 => delete(world, dice),
        13 => replay(world, dice),
        14 => inject(world, dice),
        _ => front_end_cut(world, dice),
    }
}

/// Ends every fault.
pub(crate) fn mend(world: &mut World) {
    world.set_links(Link::good());
    for host in HOSTS {
        if !world.host(host).is_up() {
            world.boot(host);
        }
        world.start(host);
        if world.host(host).is_frozen() {
            world.thaw(host);
        }
    }
    world.set_ill(false);
}

fn noise(world: &mut World, dice: &mut Dice) {
    let usual = world.settings().link;
    world.set_ill(true);
    world.set_links(Link {
        loss: dice.between(50, 300) as u32,
        double: dice.below(100) as u32,
        corrupt: dice.below(30) as u32,
        late: dice.below(200) as u32,
        lateness: Duration::from_millis(60),
        ..usual
    });
    world.run(time(dice, 500, 5000));
    world.set_links(usual);
    world.set_ill(false);
}

fn one_way_loss(world: &mut World, dice: &mut Dice) {
    let from = *dice.pick(&HOSTS);
    let to = (from + dice.between(1, 2) as usize) % HOSTS.len();
    let paths: Vec<usize> = match dice.below(3) {
        0 => vec![0],
        1 => vec![1],
        _ => (0..PATHS).collect(),
    };
    world.set_ill(true);
    for path in &paths {
        world.set_cut(from, to, *path, true);
    }
    world.run(time(dice, 100, 5000));
    for path in &paths {
        world.set_cut(from, to, *path, false);
    }
    world.set_ill(false);
}

fn partition(world: &mut World, dice: &mut Dice) {
    world.set_ill(true);
    world.set_partition(1, 2, true);
    world.run(time(dice, 100, 5000));
    world.set_partition(1, 2, false);
    world.set_ill(false);
}

/// The front end reaches nobody, sometimes for longer than any exchange lasts.
fn front_end_cut(world: &mut World, dice: &mut Dice) {
    world.set_ill(true);
    for node in NODES {
        world.set_partition(FRONT, node, true);
    }
    world.run(time(dice, 100, 12_000));
    for node in NODES {
        world.set_partition(FRONT, node, false);
    }
    world.set_ill(false);
}

fn crash(world: &mut World, dice: &mut Dice) {
    let host = *dice.pick(&HOSTS);
    world.set_ill(true);
    world.crash(host);
    world.run(time(dice, 1, 6000));
    world.boot(host);
    world.set_ill(false);
}

fn kill(world: &mut World, dice: &mut Dice) {
    let host = *dice.pick(&HOSTS);
    world.set_ill(true);
    world.kill(host);
    world.run(time(dice, 1, 5000));
    world.start(host);
    world.set_ill(false);
}

fn freeze(world: &mut World, dice: &mut Dice) {
    let host = *dice.pick(&HOSTS);
    world.set_ill(true);
    world.freeze(host);
    world.run(time(dice, 10, 4000));
    world.thaw(host);
    world.set_ill(false);
}

/// Who owns a group moves it; a refusal (it is on its way, the target is not ready) is no fault.
fn planned_move(world: &mut World, dice: &mut Dice) {
    let group = dice.below(world.settings().groups as u64) as usize;
    if let Some(owner) = world.owner(group).filter(|owner| *owner != FRONT) {
        let target = NODES.len() + 1 - owner;
        let _ = world.order_move(*dice.pick(&NODES), group, target);
    }
    world.run(time(dice, 0, 1000));
}

fn move_with_crash(world: &mut World, dice: &mut Dice) {
    world.set_ill(true);
    planned_move(world, dice);
    let victim = *dice.pick(&HOSTS);
    world.crash(victim);
    world.run(time(dice, 1, 4000));
    world.boot(victim);
    world.set_ill(false);
}

/// Rekeys from one end, or from both at the same moment; there may be nothing to rekey.
fn rekey(world: &mut World, dice: &mut Dice) {
    for _ in 0..dice.between(1, 3) {
        let ends = *dice.pick(&[&HOSTS[..], &HOSTS[..1], &HOSTS[1..]]);
        let ike = dice.chance(500);
        for host in ends {
            let command = match ike {
                true => Command::RekeyPeer(peer_name(*host)),
                false => Command::RekeyRule(RuleName::new(RULE)),
            };
            let _ = world.command(*host, command);
        }
        world.run(time(dice, 0, 300));
    }
}

/// Deletes from one end, or from both at the same moment.
fn delete(world: &mut World, dice: &mut Dice) {
    let ends = *dice.pick(&[&HOSTS[..], &HOSTS[..1], &HOSTS[1..]]);
    let ike = dice.chance(500);
    for host in ends {
        let command = match ike {
            true => Command::DeletePeer(peer_name(*host)),
            false => Command::DeleteRule(RuleName::new(RULE)),
        };
        let _ = world.command(*host, command);
    }
    world.run(time(dice, 0, 1000));
}

fn replay(world: &mut World, dice: &mut Dice) {
    for _ in 0..dice.between(1, 5) {
        world.replay(dice.between(1, 200) as usize);
        world.run(time(dice, 0, 500));
    }
}

/// Forged packets in clear, to and from the protected service.
fn inject(world: &mut World, dice: &mut Dice) {
    let addresses = world.addresses();
    for number in 0..dice.between(1, 20) {
        let flow = Flow {
            src: addresses.own(FRONT, 0),
            dst: addresses.group(0),
            protocol: protocol::TCP,
            src_port: 40_000,
            dst_port: SERVICE,
        };
        let back = dice.chance(500);
        let flow = if back { flow.reversed() } else { flow };
        let message = Message {
            id: u64::MAX - number,
            kind: Kind::Request,
        };
        let Some(packet) = message.packet(&flow, 10) else {
            continue;
        };
        for to in if back { &HOSTS[..1] } else { &HOSTS[1..] } {
            world.inject_clear(*to, packet.clone());
        }
        world.run(time(dice, 0, 50));
    }
}

fn time(dice: &mut Dice, low: u64, high: u64) -> Duration {
    dice.time(Duration::from_millis(low), Duration::from_millis(high))
}
