//! What a node can tell of its replication.

use crate::event::Event;
use crate::node::Node;
use crate::replication::{Loss, Shared};
use crate::status::ReplicationStatus;
use cluster::GroupName;
use policy::{ChildId, Direction};
use std::time::Instant;

impl Node {
    /// How every group stands whose SAs survive a change of owner; none where they do not. It
    /// counts IKE SAs, so it is for people who ask, and not for every packet.
    #[must_use]
    pub fn replication_status(&self, now: Instant) -> Vec<ReplicationStatus> {
        let Some(replication) = &self.replication else {
            return Vec::new();
        };
        let status = |(group, shared): (&GroupName, &Shared)| {
            let part = replication.replicator.status_of(group);
            let owns = part.as_ref().is_some_and(|part| part.owner);
            let own = match owns {
                true => self
                    .ike
                    .following(&shared.addresses, None, usize::MAX)
                    .len(),
                false => 0,
            };
            let silent = shared.loss == Loss::Silent;
            let replaces = silent || shared.replace_at.is_some();
            let addresses = shared.addresses.iter().filter(|_| replaces);
            let oldest = shared.given.front().filter(|_| owns);
            ReplicationStatus {
                group: group.clone(),
                behind: oldest.map(|(_, at)| now.saturating_duration_since(*at)),
                ike_sas: own + shared.records.len(),
                inherited: if owns { shared.records.len() } else { 0 },
                pairs: shared.pairs.len(),
                held: shared.held.len(),
                silent,
                to_replace: addresses.map(|address| self.ike.frozen(*address)).sum(),
                part,
            }
        };
        replication.groups.iter().map(status).collect()
    }

    /// The data plane has carried the first packet of a group since its gate is open.
    pub(crate) fn first_packet(&mut self, of: impl Fn(&Shared) -> bool, direction: Direction) {
        let groups = self.replication.iter().flat_map(|one| &one.groups);
        let found = groups
            .into_iter()
            .find(|(_, shared)| of(shared) && shared.epoch.is_some());
        if let Some(group) = found.map(|(group, _)| group.clone()) {
            self.event(Event::FirstPacket { group, direction });
        }
    }

    /// The pairs of a group that this node owns, each with the first sequence number that the data
    /// plane may not use yet; none if it does not own the group.
    pub fn granted(&self, group: &GroupName) -> impl Iterator<Item = (ChildId, u64)> {
        let replication = self.replication.iter();
        let shared = replication.filter_map(|one| one.groups.get(group));
        let owned = shared.filter(|shared| shared.epoch.is_some());
        owned.flat_map(|shared| {
            shared
                .pairs
                .iter()
                .map(|(child, pair)| (*child, pair.granted))
        })
    }
}
