//! The owner's part in replication: what changed is stored elsewhere before it is seen outside.

use crate::command::{ApiMisuse, Command};
use crate::event::Event;
use crate::node::Node;
use crate::output::Output;
use crate::replication::parcel::News;
use crate::replication::records::Kept;
use crate::replication::reserve::Reserve;
use crate::replication::{
    BOUND_GRACE, CHUNK, CHUNK_OF_PAIRS, Cursor, HELD_MESSAGES, Loss, PairState, REPLACED_AT_ONCE,
    REPLACEMENT_PAUSE,
};
use cluster::{GroupName, NodeName, Parcel, ReplicaOutput, Standing};
use ike::IkeSaId;
use policy::ChildId;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

impl Node {
    /// Holds back what would be seen outside, if it is of an address that has copies.
    pub(crate) fn stage(&mut self, local: IpAddr, output: Output) {
        let replication = self.replication.as_mut();
        let group = replication.as_ref().and_then(|one| one.group_of(local));
        match replication.zip(group) {
            Some((replication, group)) => {
                if let Some(shared) = replication.groups.get_mut(&group) {
                    shared.staged.push(output);
                }
            }
            None => self.outputs.push_back(output),
        }
    }

    /// A pair of this node's own goes to ESP: the inbound SA at once, the outbound one when the
    /// members in sync have stored it, with a first block of numbers.
    pub(crate) fn install(&mut self, mut install: Box<ike::Install>, now: Instant) {
        let spec = std::sync::Arc::clone(&install.spec);
        let home = self
            .replication
            .as_ref()
            .and_then(|one| one.group_of(spec.local));
        let Some((replication, group)) = self.replication.as_mut().zip(home) else {
            return self.outputs.push_back(Output::Install(install));
        };
        let Some(shared) = replication.groups.get_mut(&group) else {
            return self.outputs.push_back(Output::Install(install));
        };
        let pair = PairState {
            ike: IkeSaId(0),
            inbound_spi: spec.inbound_spi,
            active: install.outbound == ike::Outbound::Now,
            outbound: Reserve::first(now),
            granted: 1,
            inbound: replication.strict.then(|| Box::new(Reserve::first(now))),
            window: None,
            bound: false,
            forsaken: false,
        };
        let (child, ceilings) = (spec.id, pair.ceilings());
        pair.stage(child, &mut shared.staged);
        shared.pairs.insert(child, pair);
        replication.homes.insert(child, shared.bucket);
        install.outbound = ike::Outbound::Later;
        self.outputs.push_back(Output::Install(install));
        let news = News::Ceilings(vec![(child, ceilings)]);
        self.fresh.entry(group).or_default().push(news);
    }

    /// The peer is ready for the outbound SA of a pair.
    pub(crate) fn activate(&mut self, child: ChildId) {
        let replication = self.replication.as_mut();
        let home = replication
            .as_ref()
            .and_then(|one| one.home(child))
            .cloned();
        let shared = replication
            .zip(home)
            .and_then(|(one, group)| one.groups.get_mut(&group));
        match shared {
            Some(shared) => {
                if let Some(pair) = shared.pairs.get_mut(&child) {
                    pair.active = true;
                }
                shared.staged.push(Output::Activate { child });
            }
            None => self.outputs.push_back(Output::Activate { child }),
        }
    }

    /// A pair of this node's own is no more.
    pub(crate) fn uninstalled(&mut self, child: ChildId) {
        let Some(replication) = &mut self.replication else {
            return;
        };
        let home = replication.home(child).cloned();
        replication.homes.remove(&child);
        if let Some(shared) = home.and_then(|group| replication.groups.get_mut(&group)) {
            shared.pairs.remove(&child);
        }
    }

    /// After a step: what changed goes to the members, and what was staged waits for that.
    pub(crate) fn replicate(&mut self, now: Instant) {
        let Some(replication) = &mut self.replication else {
            return;
        };
        let mut changes: BTreeMap<GroupName, Vec<IkeSaId>> = BTreeMap::new();
        for (ike, local) in self.ike.take_changes() {
            let group = replication.group_of(local);
            // What this node forgets when it has given a group away is no news for its heir.
            let owned = |group: &GroupName| {
                let shared = replication.groups.get(group);
                shared.is_some_and(|shared| shared.epoch.is_some())
            };
            if let Some(group) = group.filter(owned) {
                changes.entry(group).or_default().push(ike);
            }
        }
        for (group, changed) in changes {
            let record = |ike: IkeSaId| (ike, self.ike.record(ike, now));
            let records: Vec<_> = changed.into_iter().map(record).collect();
            if let Some(shared) = replication.groups.get_mut(&group) {
                for (ike, record) in &records {
                    if record.is_none() {
                        shared.records.remove(*ike);
                    }
                }
            }
            let parcel = News::Records(records).encode();
            replication.replicator.append(&group, parcel);
        }
        for (group, news) in std::mem::take(&mut self.fresh) {
            for news in news {
                replication.replicator.append(&group, news.encode());
            }
        }
        for (group, shared) in &mut replication.groups {
            let position = replication.replicator.position(group);
            let staged = std::mem::take(&mut shared.staged);
            // Of a group that another member owns nothing is said.
            if shared.epoch.is_none() {
                continue;
            }
            for output in staged {
                let message = matches!(output, Output::TransmitIke { .. });
                if !message || shared.held.len() < HELD_MESSAGES {
                    shared.held.push_back((position, output));
                }
            }
            let committed = match replication.sabotaged {
                true => u64::MAX,
                false => replication.replicator.committed(group),
            };
            // What waited until this node lost the group, or stood still, is not said any more.
            let member = self.cluster.as_ref();
            let speaks = member.is_some_and(|member| member.surely_owns(group, now));
            shared.note_position(position, committed, now);
            for output in shared.release(committed) {
                if let Output::Grant { child, ceiling, .. } = &output
                    && let Some(pair) = shared.pairs.get_mut(child)
                {
                    pair.granted = *ceiling;
                }
                if speaks || !matches!(output, Output::TransmitIke { .. }) {
                    self.outputs.push_back(output);
                }
            }
        }
    }

    /// The data plane asks for more numbers.
    pub(crate) fn refill(&mut self, child: ChildId, next: u64, waiting: bool, now: Instant) {
        let Some(replication) = &mut self.replication else {
            return;
        };
        let Some(group) = replication.home(child).cloned() else {
            return;
        };
        let Some(shared) = replication.groups.get_mut(&group) else {
            return;
        };
        let Some(pair) = shared.pairs.get_mut(&child) else {
            return;
        };
        if pair.bound || pair.forsaken || shared.epoch.is_none() {
            return;
        }
        if waiting && !replication.witness && matches!(shared.loss, Loss::Waiting(_)) {
            // Nobody can store another block: this traffic needs keys that only this node has.
            shared.loss = Loss::Waiting(now);
            return;
        }
        if !pair.outbound.refill(next, waiting, now) {
            return;
        }
        let (ceiling, refill_at) = (pair.outbound.ceiling, pair.outbound.refill_at());
        let ceilings = pair.ceilings();
        shared.staged.push(Output::Grant {
            child,
            ceiling,
            refill_at,
        });
        let news = News::Ceilings(vec![(child, ceilings)]);
        self.fresh.entry(group).or_default().push(news);
    }

    /// The data plane may soon not deliver what comes in, because nobody has stored so high a
    /// number.
    pub(crate) fn refill_inbound(&mut self, child: ChildId, highest: u64, now: Instant) {
        let Some(replication) = &mut self.replication else {
            return;
        };
        let Some(group) = replication.home(child).cloned() else {
            return;
        };
        let Some(shared) = replication.groups.get_mut(&group) else {
            return;
        };
        let usable = |pair: &&mut PairState| !pair.bound && !pair.forsaken;
        let Some(pair) = shared.pairs.get_mut(&child).filter(usable) else {
            return;
        };
        let Some(inbound) = &mut pair.inbound else {
            return;
        };
        if shared.epoch.is_none() || !inbound.refill(highest, true, now) {
            return;
        }
        let (ceiling, refill_at) = (inbound.ceiling, inbound.refill_at());
        let ceilings = pair.ceilings();
        shared.staged.push(Output::GrantInbound {
            child,
            ceiling,
            refill_at,
        });
        let news = News::Ceilings(vec![(child, ceilings)]);
        self.fresh.entry(group).or_default().push(news);
    }

    /// Inbound windows of pairs have moved.
    pub(crate) fn windows_moved(&mut self, windows: Vec<(ChildId, Vec<u8>)>) {
        let Some(replication) = &mut self.replication else {
            return;
        };
        for (group, windows) in replication.note_windows(windows) {
            let parcel = News::Windows(windows).encode();
            replication.replicator.append_loose(&group, &parcel);
        }
    }

    /// What the replicator wants done; answers whether there was something.
    pub(crate) fn drain_replicator(&mut self, now: Instant) -> bool {
        let output = match &mut self.replication {
            Some(replication) => replication.replicator.poll_output(),
            None => None,
        };
        let Some(output) = output else { return false };
        match output {
            ReplicaOutput::Send { to, message } => {
                self.outputs.push_back(Output::TransmitLink { to, message });
            }
            ReplicaOutput::Fill { group, to, first } => self.fill(&group, &to, first, now),
            ReplicaOutput::Reset { group } => self.reset_copy(&group),
            ReplicaOutput::Apply { group, parcel } => self.apply(&group, &parcel, now),
            // What is held is looked at after every step.
            ReplicaOutput::Committed { .. } => {}
            ReplicaOutput::Members {
                group,
                epoch,
                members,
            } => {
                let command = cluster::Command::KeepMembers {
                    group,
                    epoch,
                    members,
                };
                let _ = self.tell_cluster(command, now);
            }
            ReplicaOutput::Forsake { group } => self.forsake(&group, now),
            ReplicaOutput::Standing { group, standing } => self.standing(group, standing, now),
            ReplicaOutput::Copy {
                group,
                owner,
                in_sync,
            } => self.event(Event::Copy {
                group,
                owner,
                in_sync,
            }),
            ReplicaOutput::Stray { group, parcel } => self.stray_came(&group, &parcel, now),
        }
        true
    }

    /// The next part of a copy: what is inherited and not taken over yet, then the IKE SAs, then
    /// the numbers of the pairs. What changes meanwhile is sent as a change.
    fn fill(&mut self, group: &GroupName, to: &NodeName, first: bool, now: Instant) {
        let Some(replication) = &mut self.replication else {
            return;
        };
        let Some(shared) = replication.groups.get_mut(group) else {
            return;
        };
        let cursor = match shared.cursors.get(to) {
            Some(cursor) if !first => *cursor,
            _ => Cursor::Inherited(None),
        };
        let (news, next) = match cursor {
            Cursor::Inherited(after) => {
                let range = shared.records.after(after, CHUNK);
                let copy = |kept: &Kept| Some(ike::Record::from_octets(kept.record.octets()));
                let records: Vec<_> = range.map(|(ike, kept)| (ike, copy(kept))).collect();
                let next = match records.last() {
                    Some((ike, _)) if records.len() == CHUNK => Cursor::Inherited(Some(*ike)),
                    _ => Cursor::Live(None),
                };
                (News::Records(records), Some(next))
            }
            Cursor::Live(after) => {
                let all = self.ike.following(&shared.addresses, after, CHUNK);
                let next = match all.last() {
                    Some(ike) if all.len() == CHUNK => Cursor::Live(Some(*ike)),
                    _ => Cursor::Pairs(None),
                };
                let record = |ike| (ike, self.ike.record(ike, now));
                let records = all.into_iter().map(record).collect();
                (News::Records(records), Some(next))
            }
            Cursor::Pairs(after) => {
                let pairs: Vec<_> = shared
                    .pairs
                    .range(range_after(after))
                    .filter(|(_, pair)| !pair.forsaken)
                    .take(CHUNK_OF_PAIRS)
                    .collect();
                let ceilings = pairs.iter().map(|(child, pair)| (**child, pair.ceilings()));
                let news = News::Ceilings(ceilings.collect());
                let window = |pair: &PairState| Some(pair.window.as_deref()?.clone());
                let windows = pairs.iter().map(|(child, pair)| (**child, window(pair)));
                let windows = windows.filter_map(|(child, window)| Some((child, window?)));
                let windows = News::Windows(windows.collect()).encode();
                replication.replicator.append_loose(group, &windows);
                let next = pairs.last().map(|(child, _)| Cursor::Pairs(Some(**child)));
                (news, next.filter(|_| pairs.len() == CHUNK_OF_PAIRS))
            }
        };
        match next {
            Some(next) => {
                shared.cursors.insert(to.clone(), next);
            }
            None => {
                shared.cursors.remove(to);
            }
        }
        let (parcel, last) = (Some(news.encode()), next.is_none());
        replication.replicator.chunk(group, to, parcel, last);
    }

    /// Another member could go on with what this owner has, or may have begun to.
    pub(crate) fn standing(&mut self, group: GroupName, standing: Standing, now: Instant) {
        let Some(shared) = self.shared_mut(&group) else {
            return;
        };
        match &standing {
            Standing::Bound(_) if shared.loss == Loss::None => {
                shared.loss = Loss::Waiting(now + BOUND_GRACE);
            }
            Standing::Bound(_) => {}
            _ => {
                let before = std::mem::replace(&mut shared.loss, Loss::None);
                let (silent, halted) = (before == Loss::Silent, before == Loss::Halted);
                if silent {
                    // Nothing else binds a pair, and there may be very many.
                    let pairs = shared.pairs.values_mut();
                    pairs.for_each(|pair| pair.bound = false);
                    shared.give_again();
                }
                let addresses = shared.addresses.clone();
                for address in addresses.into_iter().filter(|_| silent || halted) {
                    let frozen = false;
                    self.tell_ike(ike::Command::Freeze { address, frozen }, now);
                    if halted {
                        let active = true;
                        self.tell_ike(ike::Command::SetActive { address, active }, now);
                    }
                }
            }
        }
        self.event(Event::Standing { group, standing });
    }

    /// The lost member has not come back: what it may go on with falls silent, and is replaced on
    /// keys that it has never seen. Where there is a witness, it knows who owns the group by now:
    /// until it answers nothing is replaced either, for the peers may be another's.
    pub(crate) fn fall_silent_on_copies(&mut self, group: &GroupName, now: Instant) {
        let replication = self.replication.as_ref();
        match replication.is_some_and(|one| one.witness) {
            true => self.halt(group, now),
            false => self.replace_copied(group, Loss::Silent, now),
        }
    }

    /// IKE stands still, so that no exchange is given up meanwhile.
    fn halt(&mut self, group: &GroupName, now: Instant) {
        self.adopt_all(group, now);
        while self.drain_ike(now) {}
        let Some(shared) = self.shared_mut(group) else {
            return;
        };
        shared.loss = Loss::Halted;
        for address in shared.addresses.clone() {
            let (active, frozen) = (false, true);
            self.tell_ike(ike::Command::SetActive { address, active }, now);
            self.tell_ike(ike::Command::Freeze { address, frozen }, now);
        }
        let group = group.clone();
        self.event(Event::Halted { group });
    }

    /// What a member had that is no more is used within its numbers, and replaced.
    fn forsake(&mut self, group: &GroupName, now: Instant) {
        self.replace_copied(group, Loss::None, now);
    }

    /// Everything so far falls silent: until the lost member is back, or for good where there is
    /// none to wait for. It is replaced from now on.
    fn replace_copied(&mut self, group: &GroupName, loss: Loss, now: Instant) {
        self.adopt_all(group, now);
        // What IKE has just begun on these SAs, in the same moment, is not sent either.
        while self.drain_ike(now) {}
        let Some(shared) = self.shared_mut(group) else {
            return;
        };
        // What could not be stored is not sent: its exchange begins again, or its peer asks
        // again, should the member come back.
        let opening = shared.drop_held();
        let bound = loss == Loss::Silent;
        for pair in shared.pairs.values_mut() {
            match bound {
                true => pair.bound = true,
                false => pair.forsaken = true,
            }
        }
        shared.loss = loss;
        shared.replace_at = Some(now);
        for address in shared.addresses.clone() {
            let frozen = true;
            let silence = match bound {
                true => ike::Command::Freeze { address, frozen },
                false => ike::Command::Forsake { address },
            };
            self.tell_ike(silence, now);
        }
        if let Some(opening) = opening {
            self.give_up_told(group, now);
            self.outputs.push_back(opening);
        }
        let group = group.clone();
        self.event(Event::Replacing { group });
    }

    /// A member was told where this owner stopped, and is lost before it has heard that the owner
    /// goes on: it may begin at those very numbers. No packet more is sealed on what it has.
    pub(crate) fn give_up_told(&mut self, group: &GroupName, now: Instant) {
        let Some(shared) = self.shared_mut(group) else {
            return;
        };
        let mut ends = Vec::new();
        for (child, pair) in &mut shared.pairs {
            if pair.bound || pair.forsaken {
                pair.forsaken = true;
                ends.push(Output::Remove {
                    child: *child,
                    inbound_spi: pair.inbound_spi,
                });
            }
        }
        let addresses = shared.addresses.clone();
        for address in addresses.into_iter().filter(|_| !ends.is_empty()) {
            self.tell_ike(ike::Command::ForsakeFrozen { address }, now);
        }
        self.outputs.extend(ends);
    }

    /// Replaces some of what is silent.
    pub(crate) fn replace_some(&mut self, group: &GroupName, now: Instant) {
        let Some(shared) = self.shared(group) else {
            return;
        };
        let mut left = 0;
        for address in shared.addresses.clone() {
            left += self.ike.frozen(address);
            let count = REPLACED_AT_ONCE;
            self.tell_ike(ike::Command::ReplaceFrozen { address, count }, now);
        }
        if let Some(shared) = self.shared_mut(group) {
            let more = left > REPLACED_AT_ONCE;
            shared.replace_at = more.then_some(now + REPLACEMENT_PAUSE);
        }
    }

    /// The witness has the members of a group written down.
    pub(crate) fn members_written(
        &mut self,
        group: &GroupName,
        epoch: u64,
        members: &[(NodeName, u64)],
    ) {
        if let Some(replication) = &mut self.replication {
            replication.replicator.written(group, epoch, members);
        }
    }

    /// What links and data plane tell.
    pub(crate) fn replication_command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Linked { node, up } => self.linked(&node, up),
            Command::LinkMessage { from, message } => self.link_message(&from, &message),
            Command::Refill {
                child,
                next,
                waiting,
            } => self.refill(child, next, waiting, now),
            Command::RefillInbound { child, highest } => self.refill_inbound(child, highest, now),
            Command::Windows(windows) => self.windows_moved(windows),
            Command::GateClosed {
                bucket,
                next,
                windows,
            } => self.gate_closed(bucket, next, windows, now),
            Command::Stray(stray) => self.stray(stray.local(), stray),
            _ => {}
        }
    }

    /// What the witness tells the cluster's member.
    pub(crate) fn witness_says(&mut self, command: Command, now: Instant) -> Result<(), ApiMisuse> {
        match command {
            Command::WitnessReachable(reachable) => {
                self.tell_cluster(cluster::Command::WitnessReachable(reachable), now)
            }
            Command::WitnessRecord {
                group,
                revision,
                value,
            } => {
                let command = cluster::Command::WitnessRecord {
                    group,
                    revision,
                    value,
                };
                self.tell_cluster(command, now)
            }
            Command::Witnessed { group, tag, answer } => {
                self.tell_cluster(cluster::Command::Witnessed { group, tag, answer }, now)
            }
            _ => Ok(()),
        }
    }

    /// A link to a member stands, or stands no longer.
    pub(crate) fn linked(&mut self, node: &NodeName, up: bool) {
        if let Some(replication) = &mut self.replication {
            replication.replicator.set_linked(node, up);
        }
    }

    /// A member says something over its link.
    pub(crate) fn link_message(&mut self, from: &NodeName, message: &Parcel) {
        if let Some(replication) = &mut self.replication {
            let replicator = &mut replication.replicator;
            replicator.handle_message(from, message.octets());
        }
    }

    /// Lets everything be seen outside before the members have stored it, to prove that a test
    /// which should find that can find it: nothing else may call this.
    pub fn sabotage_output_commit(&mut self) {
        if let Some(replication) = &mut self.replication {
            replication.sabotaged = true;
        }
    }

    /// Effects that wait until the members have stored what they follow from, and octets of stray
    /// datagrams that wait for a group.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        let groups = self.replication.iter().flat_map(|one| one.groups.values());
        groups.fold((0, 0), |(held, strays), shared| {
            (held + shared.held.len(), strays + shared.stray_octets)
        })
    }

    /// What a cluster event means for the copies.
    pub(crate) fn member_event(&mut self, event: &cluster::Event, now: Instant) {
        if let cluster::Event::GroupMoved { group, to, .. } = event
            && self.owns(group)
            && self.replication.as_ref().is_some_and(|one| one.me != *to)
        {
            // It may have stopped, or be about to, and then nobody says so again. What still comes
            // to a group that was handed over is passed on for a while.
            if !self.lingers(group) {
                self.shut_gate(group);
            }
            self.forget_group(group, now);
        }
        let Some(replication) = &mut self.replication else {
            return;
        };
        let replicator = &mut replication.replicator;
        match event {
            cluster::Event::NodeUp { node } => replicator.set_heard(node, true),
            cluster::Event::NodeDown { node, why, .. } => {
                replicator.set_heard(node, false);
                match why {
                    cluster::DownReason::Left => replicator.set_left(node),
                    // Before it died it may have gone on with what it had.
                    cluster::DownReason::Restarted | cluster::DownReason::ProcessDied => {
                        replicator.set_ended(node)
                    }
                    _ => {}
                }
            }
            cluster::Event::GroupMoved {
                group, to, epoch, ..
            } => replicator.note_claim(group, *epoch, to),
            _ => {}
        }
    }
}

fn range_after<T>(after: Option<T>) -> (std::ops::Bound<T>, std::ops::Bound<T>) {
    let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
    (from, std::ops::Bound::Unbounded)
}
