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
    /// It has all of it, and the witness is asked to write it down among the members.
    Confirming,
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
    /// This node and its life, where a witness has the members written down.
    witness: Option<(NodeName, u64)>,
    /// The members that the witness was asked to write down last.
    asked: Vec<(NodeName, u64)>,
}

impl Owner {
    pub(crate) fn new(epoch: u64, witness: Option<(NodeName, u64)>) -> Self {
        Self {
            // Who promotes itself, or is given the group, is written down alone.
            asked: witness.iter().cloned().collect(),
            witness,
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
        filling.extend(self.at(Stage::Confirming));
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
        self.lose(node);
        self.settle(group, &before, out);
    }

    /// One that is, or may be, written down among the members binds this owner.
    fn lose(&mut self, node: &NodeName) {
        if let Some(copy) = self.copies.remove(node)
            && matches!(copy.stage, Stage::Confirming | Stage::InSync)
        {
            self.bound.insert(node.clone(), copy.life);
        }
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
    /// copy, and no later life remembers. A witness would have it written down; without one, what
    /// it had is forsaken, and nobody else gets it.
    pub(crate) fn ended(
        &mut self,
        group: &GroupName,
        node: &NodeName,
        out: &mut VecDeque<ReplicaOutput>,
    ) {
        let before = self.standing();
        self.lose(node);
        if self.witness.is_none() && self.bound.remove(node).is_some() {
            out.push_back(ReplicaOutput::Forsake {
                group: group.clone(),
            });
        }
        self.settle(group, &before, out);
    }

    /// The witness has these members written down.
    pub(crate) fn written(
        &mut self,
        group: &GroupName,
        members: &[(NodeName, u64)],
        out: &mut VecDeque<ReplicaOutput>,
    ) {
        let before = self.standing();
        self.bound
            .retain(|node, life| members.contains(&(node.clone(), *life)));
        let mut joined = Vec::new();
        for (node, copy) in &mut self.copies {
            let is_written = members.contains(&(node.clone(), copy.life));
            if copy.stage == Stage::Confirming && is_written {
                copy.stage = Stage::InSync;
                // The same life, written down all the while, has everything again.
                if self.bound.get(node) == Some(&copy.life) {
                    self.bound.remove(node);
                }
                joined.push((node.clone(), copy.fill));
            }
        }
        for (node, fill) in joined {
            let message = self.message(Kind::InSync, group, fill);
            out.push_back(send(node, &message));
        }
        self.settle(group, &before, out);
    }

    /// Has the members written down, if they are not those that were asked for last.
    fn write_down(&mut self, group: &GroupName, out: &mut VecDeque<ReplicaOutput>) {
        let Some(me) = &self.witness else { return };
        let counts = |copy: &Copy| matches!(copy.stage, Stage::Confirming | Stage::InSync);
        let copies = self.copies.iter().filter(|(_, copy)| counts(copy));
        let copies = copies.map(|(node, copy)| (node.clone(), copy.life));
        let members: Vec<_> = std::iter::once(me.clone()).chain(copies).collect();
        if members != self.asked {
            self.asked.clone_from(&members);
            out.push_back(ReplicaOutput::Members {
                group: group.clone(),
                epoch: self.epoch,
                members,
            });
        }
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
            match self.witness {
                Some(_) => copy.stage = Stage::Confirming,
                None => {
                    copy.stage = Stage::InSync;
                    let fill = copy.fill;
                    self.bound.remove(from);
                    let message = self.message(Kind::InSync, group, fill);
                    out.push_back(send(from.clone(), &message));
                }
            }
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
        let known = self.copies.get(to).map(|copy| copy.life);
        let known = self.bound.get(to).copied().or(known);
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
        self.lose(to);
        self.copies.insert(to.clone(), copy);
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
        self.write_down(group, out);
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
