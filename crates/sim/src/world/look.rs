//! What is seen of a world, by checkers and by tests.

use std::time::Duration;

use crate::checker::{Checker, Delivery, Ends, Holders, disagreements, incomplete};
use crate::frame::{Frame, HostId};
use crate::host::Host;
use crate::trace::Trace;
use crate::world::{OnWire, World};

impl World {
    /// A host.
    #[must_use]
    pub fn host(&self, host: HostId) -> &Host {
        &self.hosts[host]
    }

    /// Every host, the front end first.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The one host where the services of a group run.
    #[must_use]
    pub fn owner(&self, group: usize) -> Option<HostId> {
        let mut serving = (0..self.hosts.len()).filter(|host| self.hosts[*host].serves(group));
        let first = serving.next();
        if serving.next().is_some() {
            None
        } else {
            first
        }
    }

    /// What the applications sent and got.
    #[must_use]
    pub fn delivery(&self) -> &Delivery {
        self.checkers.delivery()
    }

    /// The datagrams on the wire since they are captured.
    #[must_use]
    pub fn wire(&self) -> &[OnWire] {
        self.wire.as_deref().unwrap_or_default()
    }

    /// One of the datagrams that an attacker has recorded.
    #[must_use]
    pub fn recorded(&self, number: u64) -> Option<Frame> {
        let place = number.checked_rem(self.recorded.len() as u64)? as usize;
        self.recorded.get(place).map(|(_, frame)| frame.clone())
    }

    /// What nodes said happened.
    #[must_use]
    pub fn events(&self) -> &[(Duration, HostId, node::Event)] {
        &self.events
    }

    /// What happened, in order.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The pairs of every host.
    #[must_use]
    pub fn ends(&self) -> Ends {
        self.hosts.iter().map(Host::pairs).collect()
    }

    /// The copies of every host.
    #[must_use]
    pub fn copies(&self) -> Ends {
        self.hosts.iter().map(Host::copies).collect()
    }

    /// What the two ends, or an owner and who keeps its copy, do not hold both.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        let mut found = disagreements(&self.ends());
        if self.settings.replicate.is_some() {
            found.extend(incomplete(
                &self.ends(),
                &self.copies(),
                &self.settings.clusters(),
            ));
        }
        found
    }

    /// After quiet: both ends must hold the same pairs, and every member a copy.
    pub fn check_pairs(&mut self) {
        let at = self.time();
        for what in self.differences() {
            self.checkers.note(at, Checker::Pairs, Some(what));
        }
    }

    /// After quiet: every request since `from` must have been answered, except those of the last
    /// moments, which may be on their way.
    pub fn check_progress(&mut self, from: Duration) {
        let at = self.time();
        let (requests, answers) = self
            .delivery()
            .requests(from, at.saturating_sub(Duration::from_millis(200)));
        let what = (requests == 0 || answers < requests)
            .then(|| format!("of {requests} requests since {from:?} {answers} were answered"));
        self.checkers.note(at, Checker::Progress, what);
    }

    pub(crate) fn look_at_owners(&mut self) {
        let at = self.time();
        if self.ill > 0 {
            self.quiet_since = at;
        }
        let hosts = || {
            self.hosts
                .iter()
                .enumerate()
                .filter(|(_, host)| host.is_up())
        };
        let holders = |group: usize| {
            let address = self.settings.addresses().group(group);
            Holders {
                group,
                addresses: hosts()
                    .filter(|(_, host)| host.has(address))
                    .map(|(id, _)| id)
                    .collect(),
                services: hosts()
                    .filter(|(_, host)| host.serves(group))
                    .map(|(id, _)| id)
                    .collect(),
            }
        };
        let front = self.settings.groups_of(crate::frame::FRONT);
        let groups = (0..self.settings.groups).chain(front);
        let all: Vec<Holders> = groups.map(holders).collect();
        self.checkers.owners(at, self.quiet_since, &all);
    }

    pub(crate) fn look_at_bounds(&mut self) {
        let (at, limits) = (self.time(), self.settings.limits);
        for (id, host) in self.hosts.iter().enumerate() {
            let (pairs, pending) = host.load();
            let status = host
                .node()
                .map(|node| node.ike().status(self.now))
                .unwrap_or_default();
            let queued = status.iter().map(|sa| sa.queued).max().unwrap_or(0);
            let (held, strays) = host.node().map(node::Node::waiting).unwrap_or_default();
            let checks = [
                (pairs, limits.pairs, "SA pairs"),
                (pending, limits.pending, "waiting packets"),
                (status.len(), limits.ike_sas, "IKE SAs"),
                (queued, limits.queued, "waiting requests of one IKE SA"),
                (held, limits.held, "effects that wait for a copy"),
                (strays, limits.strays, "octets of strays"),
            ];
            for (count, limit, name) in checks {
                let what = format!("host {id} has {count} {name}, more than {limit}");
                self.checkers
                    .note(at, Checker::Bounds, (count > limit).then_some(what));
            }
        }
    }
}
