//! A planned move with nothing lost: the gate closes, the members learn to the number where it
//! did, and what still comes here is passed on. No peer hears of it.

use crate::event::Event;
use crate::node::Node;
use crate::output::Output;
use crate::replication::parcel::{News, Stray};
use crate::replication::{HANDOVER, HandingOver, Handover, LINGER, Loss, Shared};
use cluster::{GroupName, NodeName};
use policy::{Bucket, ChildId};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Instant;

impl Node {
    /// Whether a member could go on with a group at once.
    pub(crate) fn can_hand_over(&self, group: &GroupName, to: &NodeName) -> bool {
        let replication = self.replication.as_ref();
        replication.is_some_and(|one| one.replicator.is_in_sync(group, to))
    }

    /// The services have stopped: nothing more is sealed or answered here. The data plane says
    /// where it stopped.
    pub(crate) fn begin_handover(&mut self, group: &GroupName, to: NodeName, now: Instant) {
        self.fall_silent(group, now);
        let Some(shared) = self.shared_mut(group) else {
            return;
        };
        let stage = Handover::Closing(now + HANDOVER);
        shared.departure = Some(HandingOver { to, stage });
        let bucket = shared.bucket;
        self.outputs.push_back(Output::CloseGate {
            bucket,
            hand_over: true,
        });
    }

    /// IKE takes nothing new for a group's addresses; what is under way there is in the copies.
    fn fall_silent(&mut self, group: &GroupName, now: Instant) {
        for address in self.addresses_of(group) {
            let active = false;
            self.tell_ike(ike::Command::SetActive { address, active }, now);
        }
    }

    /// The data plane has closed the gate of a group that is handed over.
    pub(crate) fn gate_closed(
        &mut self,
        bucket: Bucket,
        mut next: Vec<(ChildId, u64)>,
        windows: Vec<(ChildId, Vec<u8>)>,
        now: Instant,
    ) {
        let Some(replication) = &mut self.replication else {
            return;
        };
        // These are all that have moved: another group may close its gate in the same moment.
        for (group, windows) in replication.note_windows(windows) {
            let owned = replication.groups.get(&group);
            if owned.is_some_and(|shared| shared.epoch.is_some()) {
                let windows = News::Windows(windows).encode();
                replication.replicator.append(&group, windows);
            }
        }
        let of_bucket = |(_, shared): &(&GroupName, &mut Shared)| shared.bucket == bucket;
        let Some((group, shared)) = replication.groups.iter_mut().find(of_bucket) else {
            return;
        };
        let Some(departure) = &mut shared.departure else {
            return;
        };
        if !matches!(departure.stage, Handover::Closing(_)) {
            return;
        }
        shared.exact = true;
        if replication.strict {
            // What has sent nothing yet may have received.
            let named: BTreeSet<ChildId> = next.iter().map(|(child, _)| *child).collect();
            let silent = shared.pairs.keys().filter(|child| !named.contains(child));
            next.extend(silent.map(|child| (*child, 1)));
        }
        let exact = News::Exact(next).encode();
        let position = replication.replicator.append(group, exact);
        departure.stage = Handover::Storing(position, now + HANDOVER);
        let (group, to) = (group.clone(), departure.to.clone());
        self.event(Event::GateClosed { group, to });
    }

    /// After a step: a group whose last word is stored is given; its address stays for a moment.
    /// Answers whether there was one.
    pub(crate) fn conclude_handovers(&mut self, now: Instant) -> bool {
        let Some(replication) = &mut self.replication else {
            return false;
        };
        let mut given = Vec::new();
        for (group, shared) in &mut replication.groups {
            let Some(departure) = &mut shared.departure else {
                continue;
            };
            if let Handover::Storing(position, _) = departure.stage
                && replication.replicator.committed(group) >= position
            {
                departure.stage = Handover::Lingering(now + LINGER);
                given.push(group.clone());
            }
        }
        let any = !given.is_empty();
        // What it was is forgotten when the cluster gives it to the other member, which may be
        // able to take it no longer.
        for group in given {
            let _ = self.tell_cluster(cluster::Command::GroupStopped { group }, now);
        }
        any
    }

    /// The time of a handover has come: either nothing comes here any more, or the member that was
    /// to get the group does not answer.
    pub(crate) fn handover_due(&mut self, group: &GroupName, now: Instant) {
        let Some(shared) = self.shared_mut(group) else {
            return;
        };
        if shared.departure.take().is_none() {
            return;
        }
        self.shut_gate(group);
        self.handed_over(group.clone(), now);
    }

    /// The data plane passes nothing on any more.
    pub(crate) fn shut_gate(&mut self, group: &GroupName) {
        if let Some(shared) = self.shared(group) {
            self.outputs.push_back(Output::CloseGate {
                bucket: shared.bucket,
                hand_over: false,
            });
        }
    }

    /// Whether this node owns a group whose SAs have copies.
    pub(crate) fn owns(&self, group: &GroupName) -> bool {
        let shared = self.shared(group);
        shared.is_some_and(|shared| shared.epoch.is_some())
    }

    /// Whether a group was handed over just now.
    pub(crate) fn lingers(&self, group: &GroupName) -> bool {
        let shared = self.shared(group);
        let departure = shared.and_then(|shared| shared.departure.as_ref());
        departure.is_some_and(|one| matches!(one.stage, Handover::Lingering(_)))
    }

    /// Nothing of a group's SAs stays with this node. A copy comes again from their owner.
    pub(crate) fn forget_group(&mut self, group: &GroupName, now: Instant) {
        let Some(shared) = self.shared_mut(group) else {
            return;
        };
        shared.epoch = None;
        shared.adopt_at = None;
        shared.loss = Loss::None;
        shared.replace_at = None;
        shared.held.clear();
        shared.staged.clear();
        shared.kept_grants.clear();
        shared.cursors.clear();
        shared.strays.clear();
        shared.stray_octets = 0;
        shared.given.clear();
        self.fresh.remove(group);
        for address in self.addresses_of(group) {
            self.tell_ike(ike::Command::ForgetLocalAddress { address }, now);
        }
        while self.drain_ike(now) {}
        self.reset_copy(group);
    }

    /// A datagram came for a group that has just been given away.
    pub(crate) fn stray(&mut self, local: IpAddr, stray: Stray) {
        let Some(replication) = &mut self.replication else {
            return;
        };
        let Some(group) = replication.group_of(local) else {
            return;
        };
        let departure = replication
            .groups
            .get(&group)
            .and_then(|shared| shared.departure.as_ref());
        if let Some(HandingOver { to, .. }) = departure {
            let to = to.clone();
            replication.replicator.forward(&group, &to, stray.encode());
        }
    }

    /// Whether datagrams for a local address are passed on.
    pub(crate) fn passes_on(&self, local: IpAddr) -> bool {
        let Some(replication) = &self.replication else {
            return false;
        };
        let group = replication.group_of(local);
        let shared = group.and_then(|group| replication.groups.get(&group));
        shared.is_some_and(|shared| shared.departure.is_some())
    }
}
