//! What is done to a world: power, processes, links, operators, attackers.

use std::time::Duration;

use node::ApiMisuse;

use crate::addresses::PATHS;
use crate::configuration::{group_name, node_name};
use crate::dice::Dice;
use crate::frame::{Content, Frame, HostId};
use crate::network::Link;
use crate::world::{Happening, World};

impl World {
    /// Switches a host on.
    pub fn boot(&mut self, host: HostId) {
        self.say(host, "is switched on");
        let seed = self.dice.roll();
        self.network.forget(host);
        self.disturb();
        let effects = self.hosts[host].boot(seed, self.now);
        self.carry_out(host, effects);
    }

    /// The power of a host goes.
    pub fn crash(&mut self, host: HostId) {
        self.say(host, "crashes");
        self.disturb();
        self.hosts[host].crash();
    }

    /// The daemon of a host is killed; the kernel keeps its addresses.
    pub fn kill(&mut self, host: HostId) {
        self.say(host, "loses its daemon");
        self.disturb();
        self.hosts[host].kill();
    }

    /// The daemon of a host that is up is started again.
    pub fn start(&mut self, host: HostId) {
        self.say(host, "gets a new daemon");
        let seed = self.dice.roll();
        self.disturb();
        let effects = self.hosts[host].start(seed, self.now);
        self.carry_out(host, effects);
    }

    /// The daemon of a host is stopped.
    pub fn freeze(&mut self, host: HostId) {
        self.say(host, "is frozen");
        self.disturb();
        self.hosts[host].freeze();
    }

    /// The daemon of a host goes on.
    pub fn thaw(&mut self, host: HostId) {
        self.say(host, "is thawed");
        self.disturb();
        let effects = self.hosts[host].thaw(self.now);
        self.carry_out(host, effects);
    }

    /// Gives the node of a host a command; `None` when no node is running there.
    pub fn command(
        &mut self,
        host: HostId,
        command: node::Command,
    ) -> Option<Result<(), ApiMisuse>> {
        let (outcome, effects) = self.hosts[host].command(command, self.now);
        self.carry_out(host, effects);
        outcome
    }

    /// Orders a planned move of a group.
    pub fn order_move(
        &mut self,
        at: HostId,
        group: usize,
        to: HostId,
    ) -> Option<Result<(), ApiMisuse>> {
        self.say(at, "is told to move a group");
        let (group, to) = (group_name(group), Some(node_name(to)));
        self.command(at, node::Command::Move { group, to })
    }

    /// Makes every link like this one.
    pub fn set_links(&mut self, link: Link) {
        self.network.links_mut().for_each(|each| *each = link);
    }

    /// Cuts or mends one direction on one network.
    pub fn set_cut(&mut self, from: HostId, to: HostId, path: usize, cut: bool) {
        self.say(
            from,
            if cut {
                "is cut from another"
            } else {
                "reaches another again"
            },
        );
        self.disturb();
        self.network.link_mut(from, to, path).cut = cut;
    }

    /// Cuts or mends both directions on every network.
    pub fn set_partition(&mut self, one: HostId, other: HostId, cut: bool) {
        for path in 0..PATHS {
            self.set_cut(one, other, path, cut);
            self.set_cut(other, one, path, cut);
        }
    }

    /// A fault begins: until it ends, and for a while after, groups may have two owners or none.
    pub fn begin_fault(&mut self) {
        self.ill += 1;
        self.disturb();
    }

    /// A fault has ended.
    pub fn end_fault(&mut self) {
        self.ill = self.ill.saturating_sub(1);
        self.disturb();
    }

    /// An attacker sends datagrams again that it has recorded, from where they came.
    pub fn replay(&mut self, count: usize) {
        for _ in 0..count {
            let number = self.dice.below(self.recorded.len() as u64) as usize;
            let Some((from, frame)) = self.recorded.get(number).cloned() else {
                return;
            };
            self.transport(from, frame);
        }
    }

    /// An attacker sends a packet in clear to a host, whatever the links and addresses.
    pub fn inject_clear(&mut self, to: HostId, packet: Vec<u8>) {
        let Ok(flow) = wire::ip::Flow::of(&packet) else {
            return;
        };
        let frame = Frame {
            src: flow.src,
            dst: flow.dst,
            content: Content::Clear(packet),
        };
        self.later(Duration::from_micros(100), Happening::Arrive { to, frame });
    }

    /// An attacker sends a datagram to a host.
    pub fn inject(&mut self, to: HostId, frame: Frame) {
        self.later(Duration::from_micros(100), Happening::Arrive { to, frame });
    }

    /// The world's dice, for who decides what happens next.
    pub fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }

    pub(crate) fn disturb(&mut self) {
        self.quiet_since = self.time();
    }

    pub(crate) fn say(&mut self, host: HostId, what: &str) {
        let at = self.time();
        self.trace
            .note(at, Some(host), what.as_bytes(), || format!("*** {what}"));
    }
}
