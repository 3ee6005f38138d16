//! A group whose ownership is written down by a witness before it holds.

use std::time::{Duration, Instant};

use crate::claim::{Claim, Life};
use crate::group::Group;
use crate::limits::{OUTSIDER, SIGN_OF_LIFE};
use crate::names::NodeName;
use crate::output::{Outbox, Output};
use crate::view::View;
use crate::witness::{Pending, Record, WitnessAnswer};

/// How long until a proposal that the witness did not answer is made again.
const RETRY: Duration = Duration::from_millis(250);

impl Group {
    /// Brings a claim into force: at once, or once the witness has it. Answers whether it holds.
    pub(crate) fn claim_for(&mut self, claim: Claim, view: &View, out: &mut Outbox) -> bool {
        let Some(reachable) = view.witness else {
            self.adopt(claim, view, out);
            return true;
        };
        if !reachable || !self.may_propose(view) {
            return false;
        }
        // With what it begins is written down with the claim: whoever reads it knows.
        let before = claim.epoch.saturating_sub(1);
        let heir = claim.owner.iter();
        let heir = heir.filter(|life| self.ledger.entitles(life, before));
        let members = heir.cloned().collect();
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
        let expected = self.ledger.revision;
        self.ledger.pending = Some(Pending {
            tag,
            record,
            moves,
            expected,
        });
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
        match value {
            Some(value) => self.stands(revision, Record::decode(value), view, out),
            None => self.ledger.gone(view.sequence),
        }
    }

    /// This stands now, unless something later is known to stand.
    fn stands(&mut self, revision: u64, record: Option<Record>, view: &View, out: &mut Outbox) {
        if !self.ledger.stands(revision, record, view.now) {
            return;
        }
        let Some(record) = self.ledger.record.clone() else {
            return;
        };
        if record.claim.beats(&self.claim, &self.config) {
            self.entitled = record.members.contains(&view.me);
            self.ledger.wanted = None;
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
                let late = revision < self.ledger.revision;
                self.stands(revision, Some(record.clone()), view, out);
                if !moves && !late {
                    self.ledger
                        .wanted
                        .take_if(|wanted| *wanted == record.members);
                    self.tell_members(&record, out);
                }
            }
            WitnessAnswer::Conflict(current) => {
                match current {
                    Some((revision, value)) => {
                        self.witness_told(revision, Some(&value), view, out);
                    }
                    None => self.ledger.gone(view.sequence),
                }
                self.propose_at = Some(view.now);
            }
            WitnessAnswer::Unknown => {
                self.propose_at = Some(again);
                // It may have been given away: until that is known, it is nobody's here.
                if pending.moves && view.is_mine(&self.claim) {
                    self.ledger.doubt = Some(pending.expected);
                }
            }
            WitnessAnswer::Unavailable => {
                self.propose_at = Some(again);
                // A move that cannot be written down does not take place.
                if pending.moves && view.is_mine(&self.claim) && !self.ledger.in_doubt() {
                    self.abandon(out);
                }
            }
        }
    }

    /// Whether a move that this owner wants no longer may still take place. Where its answer is
    /// lost, what stands is written once more: after that it cannot.
    pub(crate) fn in_doubt(&mut self, view: &View, out: &mut Outbox) -> bool {
        if self.ledger.pending.as_ref().is_some_and(|one| one.moves) {
            return true;
        }
        let doubt = self.ledger.in_doubt();
        if doubt && self.may_propose(view) {
            self.write_again(view, out);
        }
        doubt
    }

    fn may_propose(&self, view: &View) -> bool {
        let waits = self.propose_at.is_some_and(|at| view.now < at);
        view.witness == Some(true) && self.ledger.pending.is_none() && !waits
    }

    /// Writes what stands, as this owner knows it, once more.
    fn write_again(&mut self, view: &View, out: &mut Outbox) {
        if let Some(record) = self.ledger.record.clone() {
            self.propose(record, false, view, out);
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

    /// The owner has written down what must be: its members; the whole, if it was lost; and a
    /// sign of life, for those that do not hear it.
    pub(crate) fn write_record(&mut self, view: &View, out: &mut Outbox) {
        let mine = view.is_mine(&self.claim);
        let missed = view.peers.iter().any(|peer| !peer.up());
        if !mine || !missed {
            self.sign_at = None;
        }
        if !mine || !self.may_propose(view) {
            return;
        }
        if let Some((lost, sequence)) = &self.ledger.lost {
            if self.nobody_went_on(lost, *sequence, view) {
                let (claim, members) = (self.claim.clone(), lost.members.clone());
                self.propose(Record { claim, members }, false, view, out);
            }
            return;
        }
        self.write_members(view, out);
        if missed && self.ledger.pending.is_none() && self.ledger.record.is_some() {
            let at = *self.sign_at.get_or_insert(view.now + SIGN_OF_LIFE);
            if view.now >= at {
                self.sign_at = Some(view.now + SIGN_OF_LIFE);
                self.write_again(view, out);
            }
        }
    }

    /// Whether this owner may write a record anew that was lost: everybody who could have gone on
    /// lives, and has heard and answered since that this node is the owner.
    fn nobody_went_on(&self, lost: &Record, sequence: u64, view: &View) -> bool {
        let agrees = |life: &Life| {
            let peer = view.peer(&life.node);
            let peer = peer.filter(|peer| peer.up() && peer.life() == *life);
            let report = peer
                .filter(|peer| peer.acknowledged(sequence + 1))
                .and_then(|peer| peer.report(&self.config.name));
            report.is_some_and(|report| report.claim == self.claim)
        };
        let others = lost.members.iter().filter(|life| **life != view.me);
        lost.claim == self.claim && !view.unsettled() && others.into_iter().all(agrees)
    }

    fn write_members(&mut self, view: &View, out: &mut Outbox) {
        let Some(wanted) = &self.ledger.wanted else {
            return;
        };
        let record = Record {
            claim: self.claim.clone(),
            members: wanted.clone(),
        };
        if self.ledger.record.as_ref() == Some(&record) {
            self.ledger.wanted = None;
            return self.tell_members(&record, out);
        }
        self.propose(record, false, view, out);
    }

    /// Those that the record of the present claim names: they come before all others, unless
    /// another life of the same node is known, so that they are no more.
    fn named(&self, view: &View) -> Vec<&Life> {
        let record = self.ledger.record.as_ref();
        let record = record.filter(|one| view.witness.is_some() && one.claim == self.claim);
        let members = record.into_iter().flat_map(|record| &record.members);
        members.filter(|life| !view.is_over(life)).collect()
    }

    /// The node that should take the group, which nobody owns.
    pub(crate) fn heir(&self, view: &View) -> Option<Life> {
        let named = self.named(view);
        let may = |life: &Life| named.is_empty() || named.contains(&life);
        view.heir(&self.claim, &self.config, self.able(), may)
    }

    /// When this node takes the group, which nobody owns, although another should. One that the
    /// record does not name waits until its owner cannot be alive.
    pub(crate) fn end_of_patience(&self, since: Instant, view: &View) -> Instant {
        let named = self.named(view);
        let patience = view.end_of_patience(since);
        match named.is_empty() || named.contains(&&view.me) {
            true => patience,
            false => {
                let stood = self.ledger.since.unwrap_or(since).max(since);
                view.end_of_patience(stood + OUTSIDER).max(patience)
            }
        }
    }
}
