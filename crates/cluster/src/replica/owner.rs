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
    fill: u32,
    /// The process that has it.
    instance: u64,
    stage: Stage,
    stored: u64,
}

/// A member that was in sync and is lost.
struct Lost {
    instance: u64,
    /// It was not heard either, so that it may have become the owner.
    silent: bool,
}

/// What a group's owner knows.
pub(crate) struct Owner {
    epoch: u64,
    position: u64,
    committed: u64,
    fills: u32,
    copies: BTreeMap<NodeName, Copy>,
    /// Members that were in sync, are lost, and may go on with what they have.
    bound: BTreeMap<NodeName, Lost>,
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
            Some(copy) if copy.stage == Stage::InSync => self.bind(node, copy.instance),
            _ => {}
        }
        self.settle(group, &before, out);
    }

    fn bind(&mut self, node: &NodeName, instance: u64) {
        let silent = false;
        self.bound.insert(node.clone(), Lost { instance, silent });
    }

    /// A member is not heard, and nobody knows why.
    pub(crate) fn silent(&mut self, node: &NodeName) {
        if let Some(lost) = self.bound.get_mut(node) {
            lost.silent = true;
        }
    }

    /// The process that was lost is no more.
    fn unbind(&mut self, group: &GroupName, node: &NodeName, out: &mut VecDeque<ReplicaOutput>) {
        if self.bound.remove(node).is_some_and(|lost| lost.silent) {
            let group = group.clone();
            out.push_back(ReplicaOutput::Used { group });
        }
    }

    /// A member's copy is known to be no more.
    pub(crate) fn ended(
        &mut self,
        group: &GroupName,
        node: &NodeName,
        out: &mut VecDeque<ReplicaOutput>,
    ) {
        let before = self.standing();
        self.copies.remove(node);
        self.unbind(group, node, out);
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
        instance: u64,
        out: &mut VecDeque<ReplicaOutput>,
    ) {
        let before = self.standing();
        self.fills += 1;
        let fill = self.fills;
        let copy = Copy {
            fill,
            instance,
            stage: Stage::Filling,
            stored: 0,
        };
        if let Some(old) = self.copies.insert(to.clone(), copy)
            && old.stage == Stage::InSync
        {
            self.bind(to, old.instance);
        }
        let other = |lost: &Lost| lost.instance != instance;
        if self.bound.get(to).is_some_and(other) {
            self.unbind(group, to, out);
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
