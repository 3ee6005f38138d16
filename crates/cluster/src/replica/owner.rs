//! The owner's side: who has a copy, how far, and what is committed.

use std::collections::{BTreeMap, VecDeque};

use crate::names::{GroupName, NodeName};
use crate::parcel::Parcel;
use crate::replica::message::{Kind, Message};
use crate::replica::output::{ReplicaOutput, ReplicaStatus, Standing, send};

/// How far a member's copy has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Parts of the state are on their way.
    Filling,
    /// All of it is sent; from here on nothing is committed without this member.
    Joining,
    /// It could go on.
    InSync,
}

struct Copy {
    /// Which life of the member keeps it.
    life: u64,
    fill: u32,
    stage: Stage,
    stored: u64,
}

/// What a group's owner knows.
pub(crate) struct Owner {
    epoch: u64,
    position: u64,
    committed: u64,
    fills: u32,
    copies: BTreeMap<NodeName, Copy>,
    /// Members that were in sync, are lost, and may go on with what they have; each with the life
    /// that may. Another life of the same member knows nothing of what that one has done.
    bound: BTreeMap<NodeName, u64>,
}

impl Owner {
    pub(crate) fn new(epoch: u64) -> Self {
        Self {
            epoch,
            position: 0,
            committed: 0,
            fills: 0,
            copies: BTreeMap::new(),
            bound: BTreeMap::new(),
        }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn committed(&self) -> u64 {
        self.committed
    }

    pub(crate) fn is_in_sync(&self, node: &NodeName) -> bool {
        let copy = self.copies.get(node);
        copy.is_some_and(|copy| copy.stage == Stage::InSync)
    }

    pub(crate) fn standing(&self) -> Standing {
        if !self.bound.is_empty() {
            return Standing::Bound(self.bound.keys().cloned().collect());
        }
        match self.at(Stage::InSync) {
            guards if guards.is_empty() => Standing::Alone,
            guards => Standing::Guarded(guards),
        }
    }

    fn at(&self, stage: Stage) -> Vec<NodeName> {
        let copies = self.copies.iter().filter(|(_, copy)| copy.stage == stage);
        copies.map(|(node, _)| node.clone()).collect()
    }

    pub(crate) fn status(&self, group: &GroupName) -> ReplicaStatus {
        let mut filling = self.at(Stage::Filling);
        filling.extend(self.at(Stage::Joining));
        ReplicaStatus {
            group: group.clone(),
            owner: true,
            of: None,
            in_sync: self.at(Stage::InSync),
            filling,
            bound: self.bound.keys().cloned().collect(),
            position: self.position,
            committed: self.committed,
        }
    }

    pub(crate) fn offer(&self, group: &GroupName) -> Message {
        self.message(Kind::Offer, group, 0)
    }

    fn message(&self, kind: Kind, group: &GroupName, fill: u32) -> Message {
        Message {
            kind,
            group: group.clone(),
            epoch: self.epoch,
            fill,
            position: self.position,
            parcel: None,
        }
    }

    pub(crate) fn append(
        &mut self,
        group: &GroupName,
        parcel: Parcel,
        out: &mut VecDeque<ReplicaOutput>,
    ) -> u64 {
        self.position += 1;
        for (node, copy) in &self.copies {
            let message = Message {
                parcel: Some(parcel.clone()),
                ..self.message(Kind::Record, group, copy.fill)
            };
            out.push_back(send(node.clone(), &message));
        }
        self.commit(group, out);
        self.position
    }

    pub(crate) fn loose(
        &self,
        group: &GroupName,
        parcel: &Parcel,
        out: &mut VecDeque<ReplicaOutput>,
    ) {
        for (node, copy) in &self.copies {
            let message = Message {
                parcel: Some(parcel.clone()),
                ..self.message(Kind::Loose, group, copy.fill)
            };
            out.push_back(send(node.clone(), &message));
        }
    }

    pub(crate) fn chunk(
        &mut self,
        group: &GroupName,
        to: &NodeName,
        parcel: Option<Parcel>,
        last: bool,
        out: &mut VecDeque<ReplicaOutput>,
    ) {
        let Some(copy) = self.copies.get_mut(to) else {
            return;
        };
        let fill = copy.fill;
        if last && copy.stage == Stage::Filling {
            copy.stage = Stage::Joining;
        }
        if parcel.is_some() {
            let message = Message {
                parcel,
                ..self.message(Kind::Chunk, group, fill)
            };
            out.push_back(send(to.clone(), &message));
        }
        if last {
            let message = self.message(Kind::Complete, group, fill);
            out.push_back(send(to.clone(), &message));
        }
    }

    /// A member that lives is not heard, or its link is down.
    pub(crate) fn lost(
        &mut self,
        group: &GroupName,
        node: &NodeName,
        out: &mut VecDeque<ReplicaOutput>,
    ) {
        let before = self.standing();
        match self.copies.remove(node) {
            Some(copy) if copy.stage == Stage::InSync => {
                self.bound.insert(node.clone(), copy.life);
            }
            _ => {}
        }
        self.settle(group, &before, out);
    }

    /// A member left in good order: its copy is no more, and it has not gone on with it.
    pub(crate) fn left(
        &mut self,
        group: &GroupName,
        node: &NodeName,
        out: &mut VecDeque<ReplicaOutput>,
    ) {
        let before = self.standing();
        self.copies.remove(node);
        self.bound.remove(node);
        self.settle(group, &before, out);
    }

    /// The life of a member that was in sync has ended. Before that it may have gone on with its
    /// copy, and no later life remembers: what it had is forsaken, and nobody else gets it.
    pub(crate) fn ended(
        &mut self,
        group: &GroupName,
        node: &NodeName,
        out: &mut VecDeque<ReplicaOutput>,
    ) {
        let before = self.standing();
        let copy = self.copies.remove(node);
        let was_in_sync = copy.is_some_and(|copy| copy.stage == Stage::InSync);
        if self.bound.remove(node).is_some() || was_in_sync {
            out.push_back(ReplicaOutput::Forsake {
                group: group.clone(),
            });
        }
        self.settle(group, &before, out);
    }

    pub(crate) fn hear(
        &mut self,
        group: &GroupName,
        from: &NodeName,
        message: &Message,
        out: &mut VecDeque<ReplicaOutput>,
    ) {
        if message.epoch != self.epoch {
            return;
        }
        if message.kind == Kind::Want {
            return self.begin(group, from, message.position, out);
        }
        let before = self.standing();
        let committed = self.committed;
        let Some(copy) = self.copies.get_mut(from) else {
            return;
        };
        if copy.fill != message.fill {
            return;
        }
        if message.kind == Kind::More {
            if copy.stage == Stage::Filling {
                out.push_back(ReplicaOutput::Fill {
                    group: group.clone(),
                    to: from.clone(),
                    first: false,
                });
            }
            return;
        }
        copy.stored = copy.stored.max(message.position);
        if copy.stage == Stage::Joining && copy.stored >= committed {
            copy.stage = Stage::InSync;
            let fill = copy.fill;
            self.bound.remove(from);
            let message = self.message(Kind::InSync, group, fill);
            out.push_back(send(from.clone(), &message));
        }
        self.settle(group, &before, out);
    }

    /// A copy begins anew. One that was in sync stays bound until it is so again: what the member
    /// has is void as soon as it hears of it, and the owner cannot know when that is.
    fn begin(
        &mut self,
        group: &GroupName,
        to: &NodeName,
        life: u64,
        out: &mut VecDeque<ReplicaOutput>,
    ) {
        let in_sync = |copy: &&Copy| copy.stage == Stage::InSync;
        let old = self.copies.get(to).filter(in_sync).map(|copy| copy.life);
        let known = old.or(self.bound.get(to).copied());
        if known.is_some_and(|known| known != life) {
            self.ended(group, to, out);
        }
        let before = self.standing();
        self.fills += 1;
        let fill = self.fills;
        let copy = Copy {
            life,
            fill,
            stage: Stage::Filling,
            stored: 0,
        };
        if let Some(old) = self.copies.insert(to.clone(), copy)
            && old.stage == Stage::InSync
        {
            self.bound.insert(to.clone(), life);
        }
        let message = self.message(Kind::Begin, group, fill);
        out.push_back(send(to.clone(), &message));
        out.push_back(ReplicaOutput::Fill {
            group: group.clone(),
            to: to.clone(),
            first: true,
        });
        self.settle(group, &before, out);
    }

    fn settle(&mut self, group: &GroupName, before: &Standing, out: &mut VecDeque<ReplicaOutput>) {
        let standing = self.standing();
        if standing != *before {
            out.push_back(ReplicaOutput::Standing {
                group: group.clone(),
                standing,
            });
        }
        self.commit(group, out);
    }

    fn commit(&mut self, group: &GroupName, out: &mut VecDeque<ReplicaOutput>) {
        if !self.bound.is_empty() {
            return;
        }
        let waited = self.copies.values().filter(|c| c.stage != Stage::Filling);
        let stored = waited.map(|copy| copy.stored).min();
        let committed = stored.unwrap_or(self.position).max(self.committed);
        if committed > self.committed {
            self.committed = committed;
            out.push_back(ReplicaOutput::Committed {
                group: group.clone(),
                position: committed,
            });
        }
    }
}
