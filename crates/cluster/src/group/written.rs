//! A group whose ownership is written down by a witness before it holds.

use std::time::Duration;

use crate::claim::{Claim, Life};
use crate::group::Group;
use crate::names::NodeName;
use crate::output::{Outbox, Output};
use crate::view::View;
use crate::witness::{Ledger, Pending, Record, WitnessAnswer};

/// How long until a proposal that the witness did not answer is made again.
const RETRY: Duration = Duration::from_millis(250);

impl Group {
    /// Brings a claim into force: at once, or once the witness has it. Answers whether it holds.
    pub(crate) fn claim_for(&mut self, claim: Claim, view: &View, out: &mut Outbox) -> bool {
        let Some(reachable) = view.witness else {
            self.adopt(claim, view, out);
            return true;
        };
        let waits = self.propose_at.is_some_and(|at| view.now < at);
        if !reachable || self.ledger.pending.is_some() || waits {
            return false;
        }
        let members = claim.owner.iter().cloned().collect();
        self.propose(Record { claim, members }, true, view, out);
        false
    }

    fn propose(&mut self, record: Record, moves: bool, view: &View, out: &mut Outbox) {
        self.proposals += 1;
        self.propose_at = None;
        let tag = view.me.incarnation.wrapping_add(self.proposals);
        out.push(Output::Propose {
            group: self.config.name.clone(),
            expected: self.ledger.revision,
            value: record.encode(),
            tag,
        });
        self.ledger.pending = Some(Pending { tag, record, moves });
    }

    /// What stands at the witness. It decides: a claim that it does not have is none.
    pub(crate) fn witness_told(
        &mut self,
        revision: u64,
        value: Option<&[u8]>,
        view: &View,
        out: &mut Outbox,
    ) {
        if view.witness.is_none() || revision < self.ledger.revision {
            return;
        }
        self.ledger.revision = if value.is_some() { revision } else { 0 };
        self.ledger.record = value.and_then(Record::decode);
        let Some(record) = self.ledger.record.clone() else {
            return;
        };
        if record.claim.beats(&self.claim, &self.config) {
            self.entitled = record.members.contains(&view.me);
            self.adopt(record.claim, view, out);
        }
    }

    /// What became of a proposal.
    pub(crate) fn witnessed(
        &mut self,
        tag: u64,
        answer: WitnessAnswer,
        view: &View,
        out: &mut Outbox,
    ) {
        let Some(pending) = self.ledger.pending.take_if(|one| one.tag == tag) else {
            return;
        };
        let again = view.now + RETRY;
        match answer {
            WitnessAnswer::Done(revision) => {
                let Pending { record, moves, .. } = pending;
                let before = record.claim.epoch.saturating_sub(1);
                if moves && view.is_mine(&record.claim) {
                    self.entitled = self.ledger.entitles(&view.me, before);
                }
                self.ledger.revision = self.ledger.revision.max(revision);
                self.ledger.record = Some(record.clone());
                if moves {
                    self.ledger.wanted = None;
                    self.adopt(record.claim, view, out);
                } else {
                    if self.ledger.wanted.as_ref() == Some(&record.members) {
                        self.ledger.wanted = None;
                    }
                    self.tell_members(&record, out);
                }
            }
            WitnessAnswer::Conflict(current) => {
                let (revision, value) = current.map_or((u64::MAX, None), |(at, v)| (at, Some(v)));
                match value {
                    Some(value) => self.witness_told(revision, Some(&value), view, out),
                    None => self.ledger = Ledger::default(),
                }
                self.propose_at = Some(view.now);
            }
            WitnessAnswer::Unknown | WitnessAnswer::Unavailable => {
                self.propose_at = Some(again);
                // A move that cannot be written down does not take place.
                if pending.moves && view.is_mine(&self.claim) {
                    self.abandon(out);
                }
            }
        }
    }

    fn tell_members(&self, record: &Record, out: &mut Outbox) {
        let members = record.members.iter();
        out.push(Output::Members {
            group: self.config.name.clone(),
            epoch: record.claim.epoch,
            members: members
                .map(|life| (life.node.clone(), life.incarnation))
                .collect(),
        });
    }

    /// Who could go on with this group, to be written down.
    pub(crate) fn keep_members(&mut self, epoch: u64, members: Vec<(NodeName, u64)>) {
        if epoch == self.claim.epoch {
            let lives = members.into_iter();
            let lives = lives.map(|(node, incarnation)| Life { node, incarnation });
            self.ledger.wanted = Some(lives.collect());
        }
    }

    /// The owner has its members written down.
    pub(crate) fn write_members(&mut self, view: &View, out: &mut Outbox) {
        let Some(wanted) = &self.ledger.wanted else {
            return;
        };
        let waits = self.propose_at.is_some_and(|at| view.now < at);
        let busy = self.ledger.pending.is_some() || waits;
        if view.witness != Some(true) || busy || !view.is_mine(&self.claim) {
            return;
        }
        let record = Record {
            claim: self.claim.clone(),
            members: wanted.clone(),
        };
        self.ledger.wanted = None;
        if self.ledger.record.as_ref() == Some(&record) {
            return self.tell_members(&record, out);
        }
        self.ledger.wanted = Some(record.members.clone());
        self.propose(record, false, view, out);
    }
}
