//! The faults of a random world, one act at a time, some of them one within another.

mod attacks;
mod orders;
mod replicas;
mod witness;

use std::time::Duration;

use crate::addresses::PATHS;
use crate::dice::Dice;
use crate::frame::{FRONT, HostId, SECOND_FRONT, is_front};
use crate::network::Link;
use crate::world::World;

/// How many acts may lie one within another.
const DEPTH: u32 = 3;

/// One act: a fault and its end, an operator's order, or an attack.
pub(crate) fn act(world: &mut World, dice: &mut Dice) {
    act_within(world, dice, DEPTH);
}

fn act_within(world: &mut World, dice: &mut Dice, depth: u32) {
    let settings = world.settings();
    let acts = match (settings.replicate, settings.witness) {
        (Some(_), true) => 38,
        (Some(_), false) => 30,
        (None, _) => 20,
    };
    match dice.below(acts) {
        0 => noise(world, dice, depth),
        1 => one_way_loss(world, dice, depth),
        2 => partition(world, dice, depth),
        3 | 4 => crash(world, dice, depth),
        5 => kill(world, dice, depth),
        6 => freeze(world, dice, depth),
        7 => front_end_cut(world, dice, depth),
        8 | 9 => orders::planned_move(world, dice),
        10 | 11 => orders::rekey(world, dice),
        12 => orders::delete(world, dice),
        13 => orders::reload(world, dice),
        14 => orders::pause(world, dice),
        15 => leave(world, dice, depth),
        16 => move_with_crash(world, dice, depth),
        17 => attacks::replay(world, dice),
        18 => attacks::clear_text(world, dice),
        19 => attacks::garbage(world, dice),
        20 | 21 => replicas::link_cut(world, dice, depth),
        22 => replicas::slow_member(world, dice, depth),
        23 => replicas::back_and_forth(world, dice),
        24 | 25 => replicas::two_failovers(world, dice),
        26 => replicas::crash_amid_rekeys(world, dice),
        27 => replicas::move_amid_rekeys(world, dice),
        28 => replicas::frozen_owner(world, dice),
        29 => replicas::restart_of_the_copy(world, dice),
        30 | 31 => witness::lost(world, dice, depth),
        32 => witness::lost_to_one(world, dice, depth),
        33 => witness::lost_to_a_part(world, dice, depth),
        34 | 35 => witness::lost_with_its_owner(world, dice),
        36 => witness::everything_lost(world, dice, depth),
        _ => witness::one_after_another(world, dice),
    }
}

/// Ends every fault.
pub(crate) fn mend(world: &mut World) {
    world.set_links(Link::good());
    witness::mend(world);
    for host in hosts(world) {
        bring_up(world, host);
        if world.host(host).is_frozen() {
            world.thaw(host);
        }
    }
    orders::resume(world);
}

/// Every host.
fn hosts(world: &World) -> Vec<HostId> {
    world.settings().host_ids()
}

/// The front end's hosts.
fn fronts(world: &World) -> Vec<HostId> {
    let hosts = hosts(world).into_iter();
    hosts.filter(|host| is_front(*host)).collect()
}

/// Two members of one cluster.
fn cluster(world: &World, dice: &mut Dice) -> [HostId; 2] {
    match world.settings().front_cluster && dice.chance(400) {
        true => [FRONT, SECOND_FRONT],
        false => match world.settings().nodes()[..] {
            [one, other] => [one, other],
            ref nodes => {
                let one = *dice.pick(nodes);
                let others = world.settings().members(one);
                [one, *dice.pick(&others)]
            }
        },
    }
}

/// Another member of a host's cluster.
fn another(world: &World, dice: &mut Dice, host: HostId) -> Option<HostId> {
    match world.settings().members(host)[..] {
        [] => None,
        [other] => Some(other),
        ref others => Some(*dice.pick(others)),
    }
}

/// Time passes in the middle of an act; sometimes another one happens meanwhile.
fn meanwhile(world: &mut World, dice: &mut Dice, depth: u32, low: u64, high: u64) {
    if depth > 1 && dice.chance(300) {
        world.run(time(dice, low / 2, high / 2));
        act_within(world, dice, depth - 1);
        world.run(time(dice, low / 2, high / 2));
    } else {
        world.run(time(dice, low, high));
    }
}

fn bring_up(world: &mut World, host: HostId) {
    if world.host(host).is_up() {
        world.start(host);
    } else {
        world.boot(host);
    }
}

fn noise(world: &mut World, dice: &mut Dice, depth: u32) {
    let usual = world.settings().link;
    world.begin_fault();
    world.set_links(Link {
        loss: dice.between(50, 300) as u32,
        double: dice.below(100) as u32,
        corrupt: dice.below(30) as u32,
        late: dice.below(200) as u32,
        lateness: Duration::from_millis(60),
        ..usual
    });
    meanwhile(world, dice, depth, 500, 5000);
    world.set_links(usual);
    world.end_fault();
}

fn one_way_loss(world: &mut World, dice: &mut Dice, depth: u32) {
    let hosts = hosts(world);
    let from = *dice.pick(&hosts);
    let place = hosts
        .iter()
        .position(|host| *host == from)
        .unwrap_or_default();
    let steps = dice.between(1, hosts.len() as u64 - 1) as usize;
    let to = hosts[(place + steps) % hosts.len()];
    let paths: Vec<usize> = match dice.below(3) {
        0 => vec![0],
        1 => vec![1],
        _ => (0..PATHS).collect(),
    };
    world.begin_fault();
    for path in &paths {
        world.set_cut(from, to, *path, true);
    }
    meanwhile(world, dice, depth, 100, 5000);
    for path in &paths {
        world.set_cut(from, to, *path, false);
    }
    world.end_fault();
}

fn partition(world: &mut World, dice: &mut Dice, depth: u32) {
    let [one, other] = cluster(world, dice);
    world.begin_fault();
    world.set_partition(one, other, true);
    meanwhile(world, dice, depth, 100, 5000);
    world.set_partition(one, other, false);
    world.end_fault();
}

/// The front end reaches nobody, sometimes for longer than any exchange lasts.
fn front_end_cut(world: &mut World, dice: &mut Dice, depth: u32) {
    world.begin_fault();
    for front in fronts(world) {
        for node in world.settings().nodes() {
            world.set_partition(front, node, true);
        }
    }
    meanwhile(world, dice, depth, 100, 12_000);
    for front in fronts(world) {
        for node in world.settings().nodes() {
            world.set_partition(front, node, false);
        }
    }
    world.end_fault();
}

fn crash(world: &mut World, dice: &mut Dice, depth: u32) {
    let host = *dice.pick(&hosts(world));
    world.begin_fault();
    world.crash(host);
    meanwhile(world, dice, depth, 1, 6000);
    bring_up(world, host);
    world.end_fault();
}

fn kill(world: &mut World, dice: &mut Dice, depth: u32) {
    let host = *dice.pick(&hosts(world));
    world.begin_fault();
    world.kill(host);
    meanwhile(world, dice, depth, 1, 5000);
    bring_up(world, host);
    world.end_fault();
}

fn freeze(world: &mut World, dice: &mut Dice, depth: u32) {
    let host = *dice.pick(&hosts(world));
    world.begin_fault();
    world.freeze(host);
    meanwhile(world, dice, depth, 10, 4000);
    world.thaw(host);
    world.end_fault();
}

/// A node leaves in good order and comes back.
fn leave(world: &mut World, dice: &mut Dice, depth: u32) {
    let members = cluster(world, dice);
    let host = *dice.pick(&members);
    world.begin_fault();
    let _ = world.command(host, node::Command::Shutdown);
    meanwhile(world, dice, depth, 1, 3000);
    world.kill(host);
    meanwhile(world, dice, depth, 1, 1000);
    bring_up(world, host);
    world.end_fault();
}

fn move_with_crash(world: &mut World, dice: &mut Dice, depth: u32) {
    world.begin_fault();
    orders::planned_move(world, dice);
    let victim = *dice.pick(&hosts(world));
    world.crash(victim);
    meanwhile(world, dice, depth, 1, 4000);
    bring_up(world, victim);
    world.end_fault();
}

fn time(dice: &mut Dice, low: u64, high: u64) -> Duration {
    dice.time(Duration::from_millis(low), Duration::from_millis(high))
}
