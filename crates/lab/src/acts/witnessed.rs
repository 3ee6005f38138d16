//! What happens to three nodes and the witness that decides between them.

use std::time::{Duration, Instant};

use crate::acts::{AGREE, Stage};
use crate::addresses::*;
use crate::control;
use crate::error::Error;
use crate::etcd;
use crate::fault::Fault;
use crate::hosts::socket;
use crate::topology::{self, short};

/// How long nodes are left without their witness.
const WITHOUT: Duration = Duration::from_secs(2);
/// How long everything is dark: longer than what was asked of etcd before may wait for an answer.
const DARK: Duration = Duration::from_secs(3);
/// How long etcd may take to be one again: an election, and the nodes' next attempt to connect.
const ETCD_BACK: Duration = Duration::from_secs(10);
/// How long the set of those that could go on may take to be written down.
const WRITTEN: Duration = Duration::from_secs(3);

impl Stage<'_> {
    /// A member of the witness is killed, and at the same moment the active node.
    pub(crate) fn witness_member(&mut self, leads: bool) -> Result<(), Error> {
        let leader = etcd::leader();
        self.story
            .hold(leader.is_some(), || "no member of the witness leads".into());
        let mut members = WITNESSES.into_iter();
        let member = members.find(|member| (Some(*member) == leader) == leads);
        self.inflict(Fault::MemberKill, member.unwrap_or(WITNESSES[0]))?;
        self.inflict(Fault::PowerCut, BE1)
    }

    /// The third node goes on with what the second one had from the first.
    pub(crate) fn second_crash(&mut self) -> Result<(), Error> {
        self.taken(BE2)?;
        self.in_sync(BE2, &["be3"])?;
        self.inflict(Fault::PowerCut, BE2)?;
        self.taken(BE3)
    }

    /// The owner goes on, and the witness has it and the standby that is left.
    pub(crate) fn standby_loss(&mut self) -> Result<(), Error> {
        self.in_sync(BE1, &["be3"])?;
        self.written(&["be1", "be3"])?;
        self.answers()?;
        self.alone(BE1, AGREE, "after a standby was lost").map(drop)
    }

    /// Traffic passes without the witness, and nobody is promoted.
    pub(crate) fn witness_loss(&mut self) -> Result<(), Error> {
        self.bench.stop.sleep(WITHOUT)?;
        self.answers()?;
        self.alone(BE1, AGREE, "without the witness")?;
        self.inflict(Fault::PowerCut, BE1)?;
        self.nobody_else(WITHOUT, &[BE1])?;
        self.story.moment("witness back");
        self.cure(Fault::WitnessLoss, BE1)?;
        self.taken_by_another()
    }

    /// Waits until one of the others has what be1 had: whichever reaches the witness first.
    pub(crate) fn taken_by_another(&mut self) -> Result<(), Error> {
        let shape = self.shape();
        let taken = || topology::owners(shape).is_ok_and(|owners| owners.iter().any(|o| *o != BE1));
        let taken = self.bench.stop.until(ETCD_BACK, taken)?;
        self.story.hold(taken, || {
            format!("nobody took {VIP} within {ETCD_BACK:?}, with the witness back")
        });
        self.answers()
    }

    /// A member that reaches the witness goes on; the one that reaches nobody lets go at the end.
    pub(crate) fn isolation(&mut self) -> Result<(), Error> {
        self.taken(BE2)?;
        self.bench.stop.sleep(WITHOUT)?;
        self.story.moment("healed");
        self.cure(Fault::Isolation, BE1)?;
        self.alone(BE2, ETCD_BACK, "after its rival was back")?;
        self.answers()
    }

    /// Nobody is promoted, and the owner uses what it was granted. All is well at the end.
    pub(crate) fn dark(&mut self) -> Result<(), Error> {
        self.nobody_else(DARK, &[BE1])?;
        let bound = control::replication(&socket("be1"), GROUP);
        let bound = bound.is_some_and(|now| now.state == "bound");
        self.story.hold(bound, || {
            "be1 was not bound, with nobody to store what it does".into()
        });
        self.story.moment("all back");
        self.cure(Fault::Dark, BE1)?;
        self.one(ETCD_BACK, "of the healing")?;
        self.answers()
    }

    /// The witness has lost what it knew; the owner, which still is, must write it again.
    pub(crate) fn record_loss(&mut self) -> Result<(), Error> {
        self.story
            .hold(etcd::forget(), || "there was no record to remove".into());
        self.story.moment("record removed");
        Ok(())
    }

    /// It is written again, and then a crash is like any other.
    pub(crate) fn record_lost(&mut self) -> Result<(), Error> {
        self.written(&["be1", "be2", "be3"])?;
        self.in_sync(BE1, &["be2", "be3"])?;
        self.inflict(Fault::PowerCut, BE1)?;
        self.taken(BE2)
    }

    /// Waits until exactly these could go on with what `owner` has.
    pub(crate) fn in_sync(&mut self, owner: &str, wanted: &[&str]) -> Result<(), Error> {
        let mut seen = Vec::new();
        let done = self.bench.stop.until(WRITTEN, || {
            let now = control::replication(&socket(short(owner)), GROUP);
            seen = now.map_or_else(Vec::new, |now| now.in_sync);
            seen == wanted
        })?;
        let owner = short(owner);
        self.story.hold(done, || {
            format!("within {WRITTEN:?}, {wanted:?} were not in sync with {owner}, but {seen:?}")
        });
        Ok(())
    }

    /// Waits until the witness has exactly these members written down.
    fn written(&mut self, wanted: &[&str]) -> Result<(), Error> {
        let mut seen = None;
        let done = self.bench.stop.until(WRITTEN, || {
            seen = etcd::named(&["be1", "be2", "be3"]);
            seen.as_deref() == Some(wanted)
        })?;
        self.story.hold(done, || {
            format!("within {WRITTEN:?}, the witness did not have {wanted:?} down, but {seen:?}")
        });
        Ok(())
    }

    /// Sees to it for `time` that no node has the address but perhaps these.
    fn nobody_else(&mut self, time: Duration, but: &[&str]) -> Result<(), Error> {
        let (shape, since) = (self.shape(), Instant::now());
        let mut odd = Vec::new();
        let broken = self.bench.stop.until(time, || {
            odd = topology::owners(shape).unwrap_or_default();
            odd.retain(|owner| !but.contains(owner));
            !odd.is_empty()
        })?;
        self.story.hold(!broken, || {
            let after = since.elapsed().as_millis();
            format!("{odd:?} took {VIP} after {after} ms, and nobody could agree to that")
        });
        Ok(())
    }
}
