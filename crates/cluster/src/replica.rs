//! Replication: a group's owner keeps copies of its state at the other members, and knows at every
//! moment which of them are complete.
//!
//! The state is opaque here. The owner gives every change as a parcel and gets its **position**; a
//! change is **committed** once every member in sync has stored it, and its effects may be seen
//! outside then and not before. A member is in sync from the moment when the owner, having sent
//! everything, begins to wait for it.
//!
//! Where there is no witness, a member that was in sync and is lost may go on with its copy, and
//! nobody can know. The owner is **bound** then: nothing more is committed, until that member is
//! back, or left in good order. If it comes back as another process, what it had is **forsaken**:
//! the earlier process may have gone on with it and promised things that the new one does not know
//! of. Who took over from an owner is free: the earlier owner gets no answer any more.

mod message;
mod output;
mod owner;
mod standby;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::names::{GroupName, NodeName};
use crate::parcel::Parcel;
use message::{Kind, Message};
use output::send;
use owner::Owner;
use standby::Standby;

pub use output::{ReplicaOutput, ReplicaStatus, Standing};

/// This node's part in a group.
enum Part {
    Owner(Owner),
    Standby(Standby),
}

/// One node's part in the replication of all groups: without sockets, clock or threads.
///
/// It learns from its driver which links stand, which members live, and which groups this node
/// owns; after each call the driver takes [`poll_output`](Self::poll_output) until `None`.
pub struct Replicator {
    me: NodeName,
    /// This life of this node's process.
    incarnation: u64,
    /// Whether a witness has the members written down.
    witness: bool,
    /// Members whose link stands, and members that are heard: who is both can have copies.
    linked: BTreeSet<NodeName>,
    heard: BTreeSet<NodeName>,
    parts: BTreeMap<GroupName, Part>,
    /// The highest epoch and the owner that this node knows of.
    claims: BTreeMap<GroupName, (u64, NodeName)>,
    /// Offers that came while this node still owned the group.
    offers: BTreeMap<GroupName, (u64, NodeName)>,
    out: VecDeque<ReplicaOutput>,
}

impl Replicator {
    /// A part without links and groups. `incarnation` is another at every start of the same node;
    /// `witness` says whether one has the members written down.
    #[must_use]
    pub fn new(me: NodeName, incarnation: u64, witness: bool) -> Self {
        Self {
            me,
            incarnation,
            witness,
            linked: BTreeSet::new(),
            heard: BTreeSet::new(),
            parts: BTreeMap::new(),
            claims: BTreeMap::new(),
            offers: BTreeMap::new(),
            out: VecDeque::new(),
        }
    }

    /// The next effect.
    pub fn poll_output(&mut self) -> Option<ReplicaOutput> {
        if let Some(output) = self.out.pop_front() {
            return Some(output);
        }
        // What was taken in is acknowledged once all of it is carried out.
        for (group, part) in &mut self.parts {
            if let Part::Standby(standby) = part
                && let Some((to, message)) = standby.acknowledge(group)
            {
                return Some(send(to, &message));
            }
        }
        None
    }

    /// The link to a member stands, or stands no longer.
    pub fn set_linked(&mut self, node: &NodeName, linked: bool) {
        self.change(node, |this| match linked {
            true => this.linked.insert(node.clone()),
            false => this.linked.remove(node),
        });
    }

    /// A member's heartbeats are heard, or no longer.
    pub fn set_heard(&mut self, node: &NodeName, heard: bool) {
        self.change(node, |this| match heard {
            true => this.heard.insert(node.clone()),
            false => this.heard.remove(node),
        });
    }

    /// A member left in good order: whatever it had is no more, and it has not gone on with it, or
    /// its last heartbeat would have said so.
    pub fn set_left(&mut self, node: &NodeName) {
        for (group, part) in &mut self.parts {
            if let Part::Owner(owner) = part {
                owner.left(group, node, &mut self.out);
            }
        }
    }

    /// A member's process has ended, however. It may have gone on with what it had, and nobody
    /// remembers.
    pub fn set_ended(&mut self, node: &NodeName) {
        for (group, part) in &mut self.parts {
            if let Part::Owner(owner) = part {
                owner.ended(group, node, &mut self.out);
            }
        }
    }

    fn present(&self, node: &NodeName) -> bool {
        self.linked.contains(node) && self.heard.contains(node)
    }

    fn change(&mut self, node: &NodeName, change: impl FnOnce(&mut Self) -> bool) {
        let before = self.present(node);
        change(self);
        match (before, self.present(node)) {
            (false, true) => self.appeared(node),
            (true, false) => self.vanished(node),
            _ => {}
        }
    }

    /// Each side may see the other later than it is seen: who sees later asks.
    fn appeared(&mut self, node: &NodeName) {
        for (group, (epoch, _)) in &self.claims {
            let message = match self.parts.get(group) {
                Some(Part::Owner(owner)) => owner.offer(group),
                _ => Message::plain(Kind::Ask, group, *epoch),
            };
            self.out.push_back(send(node.clone(), &message));
        }
    }

    fn vanished(&mut self, node: &NodeName) {
        for (group, part) in &mut self.parts {
            if let Part::Owner(owner) = part {
                owner.lost(group, node, &mut self.out);
            }
        }
    }

    /// This node knows of a claim. An owner learns of its own by [`own`](Self::own).
    pub fn note_claim(&mut self, group: &GroupName, epoch: u64, owner: &NodeName) {
        let known = self.claims.get(group);
        if known.is_some_and(|(known, by)| *known > epoch || (*known == epoch && by == owner)) {
            return;
        }
        self.claims.insert(group.clone(), (epoch, owner.clone()));
        if *owner == self.me {
            return;
        }
        if let Some(Part::Owner(_)) = self.parts.get(group) {
            self.parts.remove(group);
        }
        if let Some((offered, by)) = self.offers.remove(group)
            && (offered, &by) == (epoch, owner)
            && self.present(owner)
        {
            let want = Message::want(group, epoch, self.incarnation);
            self.out.push_back(send(by, &want));
        }
    }

    /// This node owns a group from now on. Answers whether it goes on with what the earlier owner
    /// had: only if its copy was in sync in the epoch before this one. An owner that owns the
    /// group in a later epoch has missed the owners between, and what they did with its state.
    pub fn own(&mut self, group: &GroupName, epoch: u64) -> bool {
        self.claims.insert(group.clone(), (epoch, self.me.clone()));
        let inherits = match self.parts.get(group) {
            Some(Part::Owner(owner)) if owner.epoch() == epoch => return true,
            Some(Part::Owner(_)) => false,
            Some(Part::Standby(standby)) => standby.in_sync_before(epoch),
            None => false,
        };
        let me = (self.me.clone(), self.incarnation);
        let owner = Owner::new(epoch, self.witness.then_some(me));
        let others: Vec<NodeName> = self.linked.intersection(&self.heard).cloned().collect();
        for other in others {
            self.out.push_back(send(other, &owner.offer(group)));
        }
        self.out.push_back(ReplicaOutput::Standing {
            group: group.clone(),
            standing: owner.standing(),
        });
        self.parts.insert(group.clone(), Part::Owner(owner));
        inherits
    }

    /// The witness has these members written down for a group that this node owns in `epoch`.
    pub fn written(&mut self, group: &GroupName, epoch: u64, members: &[(NodeName, u64)]) {
        if let Some(Part::Owner(owner)) = self.parts.get_mut(group)
            && owner.epoch() == epoch
        {
            owner.written(group, members, &mut self.out);
        }
    }

    /// Gives a change of a group that this node owns. Answers its position; 0 if it does not.
    pub fn append(&mut self, group: &GroupName, parcel: Parcel) -> u64 {
        match self.parts.get_mut(group) {
            Some(Part::Owner(owner)) => owner.append(group, parcel, &mut self.out),
            _ => 0,
        }
    }

    /// Gives a change that nobody waits for, such as how far an inbound window has moved.
    pub fn append_loose(&mut self, group: &GroupName, parcel: &Parcel) {
        if let Some(Part::Owner(owner)) = self.parts.get(group) {
            owner.loose(group, parcel, &mut self.out);
        }
    }

    /// The answer to [`ReplicaOutput::Fill`]: a part of the state, and whether it was the last.
    pub fn chunk(&mut self, group: &GroupName, to: &NodeName, parcel: Option<Parcel>, last: bool) {
        if let Some(Part::Owner(owner)) = self.parts.get_mut(group) {
            owner.chunk(group, to, parcel, last, &mut self.out);
        }
    }

    /// Sends a datagram that came here to a member that should have it.
    pub fn forward(&mut self, group: &GroupName, to: &NodeName, parcel: Parcel) {
        if self.linked.contains(to) {
            let message = Message {
                parcel: Some(parcel),
                ..Message::plain(Kind::Stray, group, 0)
            };
            self.out.push_back(send(to.clone(), &message));
        }
    }

    /// The position up to which a group's changes may be seen outside.
    #[must_use]
    pub fn committed(&self, group: &GroupName) -> u64 {
        match self.parts.get(group) {
            Some(Part::Owner(owner)) => owner.committed(),
            _ => 0,
        }
    }

    /// The position of the last change of a group that this node owns.
    #[must_use]
    pub fn position(&self, group: &GroupName) -> u64 {
        match self.parts.get(group) {
            Some(Part::Owner(owner)) => owner.position(),
            _ => 0,
        }
    }

    /// Whether a member could go on with a group that this node owns.
    #[must_use]
    pub fn is_in_sync(&self, group: &GroupName, node: &NodeName) -> bool {
        match self.parts.get(group) {
            Some(Part::Owner(owner)) => owner.is_in_sync(node),
            _ => false,
        }
    }

    /// How this node stands as a group's owner; `None` if it is not.
    #[must_use]
    pub fn standing(&self, group: &GroupName) -> Option<Standing> {
        match self.parts.get(group)? {
            Part::Owner(owner) => Some(owner.standing()),
            Part::Standby(_) => None,
        }
    }

    /// What is known of every group.
    #[must_use]
    pub fn status(&self) -> Vec<ReplicaStatus> {
        let of = |(group, part): (&GroupName, &Part)| match part {
            Part::Owner(owner) => owner.status(group),
            Part::Standby(standby) => standby.status(group, &self.me),
        };
        self.parts.iter().map(of).collect()
    }

    /// Takes a message that came over the link of a member. What does not fit the state of things
    /// is passed over: it is about what is no more, or comes again.
    pub fn handle_message(&mut self, from: &NodeName, octets: &[u8]) {
        let Some(message) = Message::decode(octets) else {
            return;
        };
        if !self.present(from) && message.kind != Kind::Stray {
            return;
        }
        let Self {
            parts, claims, out, ..
        } = self;
        let group = message.group.clone();
        match message.kind {
            Kind::Stray => {
                let parcel = message.parcel.unwrap_or_else(|| Parcel::new(Vec::new()));
                out.push_back(ReplicaOutput::Stray { group, parcel });
            }
            Kind::Ask => {
                if let Some(Part::Owner(owner)) = parts.get(&group) {
                    out.push_back(send(from.clone(), &owner.offer(&group)));
                }
            }
            Kind::Want | Kind::More | Kind::Stored => {
                if let Some(Part::Owner(owner)) = parts.get_mut(&group) {
                    owner.hear(&group, from, &message, out);
                }
            }
            _ if message.epoch < claims.get(&group).map_or(0, |(epoch, _)| *epoch) => {}
            Kind::Offer => {
                if let Some(Part::Owner(_)) = parts.get(&group) {
                    self.offers.insert(group, (message.epoch, from.clone()));
                } else {
                    let want = Message::want(&group, message.epoch, self.incarnation);
                    out.push_back(send(from.clone(), &want));
                }
            }
            Kind::Begin => {
                if let Some(Part::Owner(_)) = parts.get(&group) {
                    return;
                }
                out.push_back(ReplicaOutput::Reset {
                    group: group.clone(),
                });
                let standby = Standby::begin(from.clone(), &message);
                parts.insert(group, Part::Standby(standby));
            }
            Kind::Chunk | Kind::Record | Kind::Complete | Kind::InSync | Kind::Loose => {
                if let Some(Part::Standby(standby)) = parts.get_mut(&group) {
                    standby.hear(&group, from, message, out);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
