//! How links between members are carried: their ticks, their messages, what each side notices.

use std::time::Duration;

use cluster::Parcel;

use crate::frame::HostId;
use crate::links::{Process, Seen};
use crate::world::{Happening, World};

/// How often a link looks at its network and its processes.
const TICK: Duration = Duration::from_millis(10);

impl World {
    /// Links live from now on, where anything is replicated.
    pub(crate) fn begin_links(&mut self) {
        if self.links.len() > 0 {
            self.later(TICK, Happening::Links);
        }
    }

    pub(crate) fn tick_links(&mut self) {
        self.later(TICK, Happening::Links);
        for link in 0..self.links.len() {
            let processes = [0, 1].map(|end| self.process(self.links.end(link, end)));
            let now = self.time();
            let seen = self
                .links
                .tick(link, processes, &self.network, now, &mut self.dice);
            for seen in seen {
                self.later(seen.after, Happening::Linked(seen));
            }
            // What a cut has held up.
            (0..2).for_each(|end| self.deliver_link(link, end));
        }
    }

    fn process(&self, host: HostId) -> Process {
        let host = &self.hosts[host];
        Process {
            life: host.life(),
            there: host.is_running() || host.is_frozen(),
            frozen: host.is_frozen(),
            powered: host.is_up(),
        }
    }

    pub(crate) fn notice_link(&mut self, seen: &Seen) {
        // What arrived before the end of the link is read before it.
        if !seen.up {
            self.deliver_link(seen.link, seen.end);
        }
        let (host, other) = (
            self.links.end(seen.link, seen.end),
            self.links.end(seen.link, 1 - seen.end),
        );
        let there = self.process(host).there;
        if self.links.notice(seen) && there {
            let word = if seen.up { "up" } else { "down" };
            let at = self.time();
            self.trace.note(at, Some(host), word.as_bytes(), || {
                format!("link to {other} is {word}")
            });
            let effects = self.hosts[host].linked(other, seen.up, self.now);
            self.carry_out(host, effects);
        }
    }

    pub(crate) fn send_link(&mut self, from: HostId, to: HostId, message: Parcel) {
        let now = self.time();
        let reported = self.reported[from];
        let sent = self.links.send(
            (from, to),
            message,
            reported,
            &self.network,
            now,
            &mut self.dice,
        );
        if let Some((after, link, end)) = sent {
            self.later(after, Happening::Message { link, end });
        }
    }

    pub(crate) fn deliver_link(&mut self, link: usize, end: usize) {
        let now = self.time();
        let arrived = self.links.arrivals(link, end, &self.network, now);
        let (to, from) = (self.links.end(link, end), self.links.end(link, 1 - end));
        for (message, reported) in arrived {
            self.checkers.told(from, to, reported);
            let octets = message.octets().len();
            let kind = message.octets().get(1).copied().unwrap_or_default();
            self.trace.note(now, Some(to), &octets.to_be_bytes(), || {
                format!("hears {octets} octets of kind {kind} over the link from {from}")
            });
            let effects = self.hosts[to].message(from, message, self.now);
            self.carry_out(to, effects);
        }
    }

    /// Everything takes so much longer at a host: its links, and its data plane's orders.
    pub fn set_slow(&mut self, host: HostId, by: Duration) {
        self.say(host, "takes another time for everything");
        if let Some(slow) = self.links.slow.get_mut(host) {
            *slow = by;
        }
        let lag = self.settings.lag + by.min(Duration::from_millis(50));
        self.hosts[host].set_lag(lag);
    }

    /// Cuts or mends the link between two members, and nothing else.
    pub fn set_link_cut(&mut self, one: HostId, other: HostId, cut: bool) {
        self.say(
            one,
            if cut {
                "loses a link"
            } else {
                "may link again"
            },
        );
        self.disturb();
        self.links.cut.retain(|pair| *pair != (one, other));
        if cut {
            self.links.cut.push((one, other));
        }
    }
}
