//! What somebody on the network does who has no key.

use std::net::IpAddr;
use std::time::Duration;

use wire::ip::{Flow, protocol};

use crate::dice::Dice;
use crate::frame::{Content, Frame, HostId, KeyLabel, is_front};
use crate::packet::{Kind, Message, SERVICE};
use crate::world::World;

/// Every host, or those of one side.
fn hosts(world: &World, wanted: impl Fn(HostId) -> bool) -> Vec<HostId> {
    let hosts = world.settings().host_ids().into_iter();
    hosts.filter(|host| wanted(*host)).collect()
}

/// What was on the wire comes again.
pub(crate) fn replay(world: &mut World, dice: &mut Dice) {
    for _ in 0..dice.between(1, 5) {
        world.replay(dice.between(1, 200) as usize);
        world.run(ms(dice.below(500)));
    }
}

/// Forged packets in clear, to and from the protected service.
pub(crate) fn clear_text(world: &mut World, dice: &mut Dice) {
    let addresses = world.addresses();
    for number in 0..dice.between(1, 20) {
        let flow = Flow {
            src: addresses.client(),
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
        for to in hosts(world, |host| is_front(host) == back) {
            world.inject_clear(to, packet.clone());
        }
        world.run(ms(dice.below(50)));
    }
}

/// Datagrams of the right addresses and ports with anything in them: recorded ones with other
/// octets, and octets of no sense at all.
pub(crate) fn garbage(world: &mut World, dice: &mut Dice) {
    for _ in 0..dice.between(10, 100) {
        let to = *dice.pick(&hosts(world, |_| true));
        let addresses = world.addresses();
        let group: IpAddr = addresses.group(0);
        let own = addresses.client();
        let (src, dst) = if is_front(to) {
            (group, own)
        } else {
            (own, group)
        };
        let length = dice.below(300);
        let mut bytes: Vec<u8> = (0..length).map(|_| dice.roll() as u8).collect();
        let recorded = world.recorded(dice.roll());
        let content = match dice.below(4) {
            0 => Content::Esp {
                ports: None,
                key: KeyLabel::default(),
                bytes,
            },
            1 => Content::Ike {
                src_port: 500,
                dst_port: 500,
                bytes,
            },
            kind => {
                let Some(mut frame) = recorded else { continue };
                let place = dice.below(frame.bytes().len() as u64) as usize;
                match kind {
                    2 => frame.bytes_mut().truncate(place),
                    _ => {
                        bytes.truncate(frame.bytes().len() - place);
                        let space = frame.bytes_mut().iter_mut().skip(place);
                        space.zip(bytes).for_each(|(octet, new)| *octet = new);
                    }
                }
                frame.content
            }
        };
        // A packet filter may be fed anything too, but its packets in clear are another act.
        if !matches!(content, Content::Clear(_)) {
            world.inject(to, Frame { src, dst, content });
        }
        world.run(ms(dice.below(20)));
    }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
