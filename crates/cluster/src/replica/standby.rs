//! The side of a member that keeps a copy.

use std::collections::VecDeque;

use crate::names::{GroupName, NodeName};
use crate::parcel::Parcel;
use crate::replica::message::{Kind, Message};
use crate::replica::output::{ReplicaOutput, ReplicaStatus};

/// What a member with a copy knows.
pub(crate) struct Standby {
    owner: NodeName,
    epoch: u64,
    fill: u32,
    in_sync: bool,
    stored: u64,
    /// What was taken in and not yet acknowledged: changes, and a chunk.
    owes: (bool, bool),
}

impl Standby {
    pub(crate) fn begin(owner: NodeName, message: &Message) -> Self {
        Self {
            owner,
            epoch: message.epoch,
            fill: message.fill,
            in_sync: false,
            stored: 0,
            owes: (false, false),
        }
    }

    /// Whether this member could go on in `epoch`: its copy was in sync in the one before.
    pub(crate) fn in_sync_before(&self, epoch: u64) -> bool {
        self.in_sync && self.epoch.checked_add(1) == Some(epoch)
    }

    pub(crate) fn status(&self, group: &GroupName, me: &NodeName) -> ReplicaStatus {
        let own = |yes: bool| yes.then(|| me.clone()).into_iter().collect();
        ReplicaStatus {
            group: group.clone(),
            owner: false,
            of: Some(self.owner.clone()),
            in_sync: own(self.in_sync),
            filling: own(!self.in_sync),
            bound: Vec::new(),
            position: self.stored,
            committed: self.stored,
        }
    }

    pub(crate) fn hear(
        &mut self,
        group: &GroupName,
        from: &NodeName,
        message: Message,
        out: &mut VecDeque<ReplicaOutput>,
    ) {
        if *from != self.owner || message.epoch != self.epoch || message.fill != self.fill {
            return;
        }
        let apply = |parcel: Option<Parcel>| {
            parcel.map(|parcel| ReplicaOutput::Apply {
                group: group.clone(),
                parcel,
            })
        };
        match message.kind {
            Kind::Chunk => {
                out.extend(apply(message.parcel));
                self.owes.1 = true;
            }
            Kind::Record => {
                out.extend(apply(message.parcel));
                self.stored = message.position;
                self.owes.0 = true;
            }
            Kind::Loose => out.extend(apply(message.parcel)),
            Kind::Complete => {
                self.stored = message.position;
                self.owes.0 = true;
            }
            Kind::InSync => {
                self.in_sync = true;
                out.push_back(ReplicaOutput::Copy {
                    group: group.clone(),
                    owner: self.owner.clone(),
                    in_sync: true,
                });
            }
            _ => {}
        }
    }

    /// The next acknowledgement that is due.
    pub(crate) fn acknowledge(&mut self, group: &GroupName) -> Option<(NodeName, Message)> {
        let kind = match &mut self.owes {
            (changes @ true, _) => {
                *changes = false;
                Kind::Stored
            }
            (_, chunk @ true) => {
                *chunk = false;
                Kind::More
            }
            _ => return None,
        };
        let message = Message {
            kind,
            group: group.clone(),
            epoch: self.epoch,
            fill: self.fill,
            position: self.stored,
            parcel: None,
        };
        Some((self.owner.clone(), message))
    }
}
