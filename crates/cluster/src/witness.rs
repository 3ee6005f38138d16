//! What is written down about a group where all members can read it and none can change it unseen:
//! who owns it, in which epoch, and who could go on with its state.
//!
//! ```text
//! version 1 | epoch 8 | owner | incarnation 8 | reason 1
//! members 1 | n × { node | incarnation 8 }
//! ```
//! Members are **lives** of nodes, not nodes: a process that was started again knows nothing of
//! what the one before it has promised.

use std::time::Instant;

use crate::claim::{Claim, Life};
use crate::codec::{Reader, put, put_name};
use crate::limits::MAX_PEERS;
use crate::reason::MoveReason;

const VERSION: u8 = 1;

/// The record of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) claim: Claim,
    /// Who could go on with the group's state: the owner among them, unless it has just begun
    /// without what the owner before it had.
    pub(crate) members: Vec<Life>,
}

impl Record {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut to = vec![VERSION];
        put(&mut to, self.claim.epoch);
        let owner = self.claim.owner.as_ref();
        put_name(&mut to, owner.map_or("", |life| life.node.as_str()));
        put(&mut to, owner.map_or(0, |life| life.incarnation));
        to.push(self.claim.reason.number());
        to.push(self.members.len() as u8);
        for life in &self.members {
            put_name(&mut to, life.node.as_str());
            put(&mut to, life.incarnation);
        }
        to
    }

    /// Reads a record; `None` when it is none.
    pub(crate) fn decode(octets: &[u8]) -> Option<Self> {
        let mut from = Reader::new(octets);
        if from.byte()? != VERSION {
            return None;
        }
        let epoch = from.number()?;
        let life = |from: &mut Reader<'_>| {
            Some(Life {
                node: from.node()?,
                incarnation: from.number()?,
            })
        };
        let owner = life(&mut from)?;
        let reason = MoveReason::from_number(from.byte()?)?;
        let count = from.count(MAX_PEERS + 1)?;
        let members = (0..count)
            .map(|_| life(&mut from))
            .collect::<Option<Vec<_>>>()?;
        let claim = Claim {
            epoch,
            owner: Some(owner),
            reason,
        };
        from.is_empty().then_some(Self { claim, members })
    }
}

/// What this node knows of a group's record, and what it wants to be there.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The revision that was read last; 0: there is no record.
    pub(crate) revision: u64,
    pub(crate) record: Option<Record>,
    /// When this node learned of it.
    pub(crate) since: Option<Instant>,
    /// The record that was removed without another in its place, and the latest heartbeat that
    /// this node had sent when it learned of that.
    pub(crate) lost: Option<(Record, u64)>,
    /// The proposal under way.
    pub(crate) pending: Option<Pending>,
    /// The revision at which a move was proposed of which nobody knows whether it took place.
    pub(crate) doubt: Option<u64>,
    /// The members that this owner wants to be there.
    pub(crate) wanted: Option<Vec<Life>>,
}

/// A proposal under way.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) tag: u64,
    pub(crate) record: Record,
    /// Whether it is about the owner, and not only about the members.
    pub(crate) moves: bool,
    /// The revision that must still stand.
    pub(crate) expected: u64,
}

/// What became of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WitnessAnswer {
    /// It is written down, in this revision.
    Done(u64),
    /// Something else stands there by now: revision and octets, or nothing.
    Conflict(Option<(u64, Vec<u8>)>),
    /// It may have been written down or not; what stands there will be told.
    Unknown,
    /// The witness cannot be reached, and nothing was written.
    Unavailable,
}

impl Ledger {
    /// Whether this life could go on with what the owner of the record had.
    pub(crate) fn entitles(&self, life: &Life, epoch: u64) -> bool {
        let record = self.record.as_ref();
        record.is_some_and(|one| one.claim.epoch == epoch && one.members.contains(life))
    }

    /// Whether a move may still take place that was proposed at the revision that stands.
    pub(crate) fn in_doubt(&self) -> bool {
        self.doubt == Some(self.revision)
    }

    /// This stands now. What is older than what is known changes nothing; whether it is not.
    pub(crate) fn stands(&mut self, revision: u64, record: Option<Record>, now: Instant) -> bool {
        if revision < self.revision {
            return false;
        }
        if revision > self.revision {
            self.since = Some(now);
        }
        self.revision = revision;
        self.record = record;
        self.lost = None;
        true
    }

    /// Nothing stands any more.
    pub(crate) fn gone(&mut self, sequence: u64) {
        self.revision = 0;
        self.since = None;
        if let Some(record) = self.record.take() {
            self.lost = Some((record, sequence));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::NodeName;
    use proptest::prelude::*;

    fn life(name: &str, incarnation: u64) -> Life {
        Life {
            node: NodeName::new(name).unwrap(),
            incarnation,
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(epoch: u64, lives in prop::collection::vec(1u64.., 1..16)) {
            let members: Vec<Life> = lives.iter().map(|one| life("be1", *one)).collect();
            let claim = Claim {
                epoch,
                owner: members.first().cloned(),
                reason: MoveReason::NodeDown,
            };
            let record = Record { claim, members };
            prop_assert_eq!(Record::decode(&record.encode()), Some(record));
        }

        #[test]
        fn nothing_else_is_read_with_harm(octets in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Record::decode(&octets);
        }
    }
}
