//! What each scenario does to the cluster, in order, and what must follow each step.

mod witnessed;

use std::time::{Duration, Instant};

use crate::addresses::*;
use crate::bench::{Bench, PATIENCE, Standing};
use crate::control;
use crate::error::Error;
use crate::fault::Fault;
use crate::hosts::socket;
use crate::options::Scenario;
use crate::probe::Probe;
use crate::shape::Shape;
use crate::topology::{self, short};

/// How long nodes may take to agree on one owner once they hear each other, or the other's link
/// is lost.
const AGREE: Duration = Duration::from_secs(3);
/// A node that was frozen must have let the address go by then.
const STEP_BACK: Duration = Duration::from_secs(1);
/// How long nodes that lost each other are left alone.
const APART: Duration = Duration::from_secs(1);
/// How long a node that comes back may take to see who owns what.
const REJOIN: Duration = Duration::from_secs(5);

/// What happened in a scenario, and what did not hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    /// What was done, in order.
    pub(crate) moments: Vec<Moment>,
    /// What did not hold, as sentences.
    pub(crate) failures: Vec<String>,
}

/// Something that was done to the cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// What, in a word or two.
    pub(crate) what: &'static str,
    /// When.
    pub(crate) at: Instant,
}

impl Story {
    pub(crate) fn moment(&mut self, what: &'static str) {
        self.moments.push(Moment {
            what,
            at: Instant::now(),
        });
    }

    fn hold(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.failures.push(otherwise());
        }
    }
}

/// The stage: what the acts need.
pub(crate) struct Stage<'a> {
    pub(crate) bench: &'a Bench<'a>,
    pub(crate) lab: &'a mut Standing,
    pub(crate) probe: &'a Probe,
    pub(crate) story: &'a mut Story,
}

/// The fault with which a scenario begins, if it begins with one.
fn fault(scenario: Scenario) -> Option<Fault> {
    match scenario {
        Scenario::Protect | Scenario::PlannedMove | Scenario::MoveThird => None,
        // What comes first here happens to a standby or to the witness.
        Scenario::StandbyLoss
        | Scenario::WitnessMember
        | Scenario::WitnessLeader
        | Scenario::RecordLoss => None,
        Scenario::PowerCut | Scenario::Rejoin | Scenario::SecondCrash => Some(Fault::PowerCut),
        Scenario::ProcessKill | Scenario::Double => Some(Fault::ProcessKill),
        Scenario::LinkLoss => Some(Fault::LinkLoss),
        Scenario::Freeze => Some(Fault::Freeze),
        Scenario::Partition => Some(Fault::Partition),
        Scenario::OneWay => Some(Fault::OneWay),
        Scenario::WitnessLoss => Some(Fault::WitnessLoss),
        Scenario::Isolation => Some(Fault::Isolation),
        Scenario::Dark => Some(Fault::Dark),
    }
}

/// Who has the address when a scenario has ended, and the nodes that have no daemon then: the
/// others hear, and must not have the address.
pub(crate) fn end_of(scenario: Scenario) -> (&'static str, &'static [&'static str]) {
    match scenario {
        Scenario::PowerCut
        | Scenario::ProcessKill
        | Scenario::WitnessMember
        | Scenario::WitnessLeader
        | Scenario::WitnessLoss
        | Scenario::RecordLoss => (BE2, &[BE1]),
        Scenario::Protect | Scenario::Rejoin | Scenario::Dark => (BE1, &[]),
        Scenario::Double => (BE1, &[BE2]),
        Scenario::StandbyLoss => (BE1, &[BE2]),
        Scenario::MoveThird => (BE3, &[]),
        Scenario::SecondCrash => (BE3, &[BE1, BE2]),
        Scenario::PlannedMove
        | Scenario::LinkLoss
        | Scenario::Freeze
        | Scenario::Partition
        | Scenario::OneWay
        | Scenario::Isolation => (BE2, &[]),
    }
}

impl Stage<'_> {
    /// The first step: what the scenario is about.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn begin(&mut self, scenario: Scenario) -> Result<(), Error> {
        match (scenario, fault(scenario)) {
            (Scenario::PlannedMove, _) => self.planned_move(BE1, BE2),
            (Scenario::MoveThird, _) => self.planned_move(BE1, BE3),
            (Scenario::StandbyLoss, _) => self.inflict(Fault::PowerCut, BE2),
            (Scenario::WitnessMember, _) => self.witness_member(false),
            (Scenario::WitnessLeader, _) => self.witness_member(true),
            (Scenario::RecordLoss, _) => self.record_loss(),
            (_, Some(fault)) => self.inflict(fault, BE1),
            (_, None) => Ok(()),
        }?;
        // Without daemons nobody takes the address over by itself.
        if self.bench.options.plain && scenario == Scenario::PowerCut {
            topology::take_vip(BE2)?;
        }
        Ok(())
    }

    /// The other steps, to the end.
    ///
    /// # Errors
    /// When the kernel refuses, or when interrupted.
    pub(crate) fn go_on(&mut self, scenario: Scenario) -> Result<(), Error> {
        match scenario {
            Scenario::Protect => Ok(()),
            Scenario::PlannedMove | Scenario::PowerCut | Scenario::ProcessKill => self.taken(BE2),
            Scenario::WitnessMember => self.taken(BE2),
            Scenario::WitnessLeader => self.taken_by_another(),
            Scenario::MoveThird => self.taken(BE3),
            Scenario::SecondCrash => self.second_crash(),
            Scenario::StandbyLoss => self.standby_loss(),
            Scenario::WitnessLoss => self.witness_loss(),
            Scenario::Isolation => self.isolation(),
            Scenario::Dark => self.dark(),
            Scenario::RecordLoss => self.record_lost(),
            Scenario::LinkLoss => self.link_loss(),
            Scenario::Freeze => self.freeze(),
            Scenario::Partition => self.partition(),
            Scenario::OneWay => self.one_way(),
            Scenario::Rejoin => self.rejoin(),
            Scenario::Double => self.double(),
        }
    }

    /// Lets a fault happen, and notes when.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn inflict(&mut self, fault: Fault, node: &'static str) -> Result<(), Error> {
        self.story.moment(fault.name());
        self.bench.inflict(self.lab, fault, node)
    }

    /// Ends a fault.
    fn cure(&mut self, fault: Fault, node: &'static str) -> Result<(), Error> {
        self.bench.cure(self.lab, fault, node)
    }

    fn link_loss(&mut self) -> Result<(), Error> {
        if !self.alone(BE2, AGREE, "after its rival lost its link")? {
            self.story.moment("mended");
            self.cure(Fault::LinkLoss, BE1)?;
        }
        self.answers()
    }

    fn freeze(&mut self) -> Result<(), Error> {
        let since = Instant::now();
        self.taken(BE2)?;
        let left = self.bench.options.freeze.saturating_sub(since.elapsed());
        self.bench.stop.sleep(left)?;
        self.story.moment("goes on");
        self.cure(Fault::Freeze, BE1)?;
        self.alone(BE2, STEP_BACK, "after its frozen rival went on")?;
        self.answers()
    }

    fn partition(&mut self) -> Result<(), Error> {
        self.bench.stop.sleep(APART)?;
        if self.shape() == Shape::Witnessed {
            self.one(AGREE, "of the partition")?;
            self.answers()?;
        }
        self.story.moment("healed");
        self.cure(Fault::Partition, BE1)?;
        self.one(AGREE, "of the healing")?;
        self.answers()
    }

    /// Waits until exactly one node has the address.
    fn one(&mut self, time: Duration, of: &str) -> Result<(), Error> {
        let shape = self.shape();
        let one = || topology::owners(shape).is_ok_and(|owners| owners.len() == 1);
        let one = self.bench.stop.until(time, one)?;
        let what = || format!("not exactly one node had {VIP} within {time:?} {of}");
        self.story.hold(one, what);
        Ok(())
    }

    fn shape(&self) -> Shape {
        self.bench.options.shape()
    }

    fn one_way(&mut self) -> Result<(), Error> {
        self.alone(BE2, AGREE, "after it heard its rival no more")?;
        self.answers()?;
        self.story.moment("healed");
        self.cure(Fault::OneWay, BE1)?;
        self.bench.stop.sleep(APART)?;
        self.alone(BE2, AGREE, "after both heard each other again")?;
        self.answers()
    }

    fn rejoin(&mut self) -> Result<(), Error> {
        self.taken(BE2)?;
        self.cure(Fault::PowerCut, BE1)?;
        self.standby(BE1, BE2)?;
        self.planned_move(BE2, BE1)?;
        self.alone(BE1, AGREE, "after the move back")?;
        self.answers()
    }

    fn double(&mut self) -> Result<(), Error> {
        self.taken(BE2)?;
        self.cure(Fault::ProcessKill, BE1)?;
        self.standby(BE1, BE2)?;
        self.inflict(Fault::ProcessKill, BE2)?;
        self.taken(BE1)
    }

    /// The operator's command, or the same by hand without daemons.
    fn planned_move(&mut self, from: &'static str, to: &'static str) -> Result<(), Error> {
        self.story.moment("planned move");
        if self.bench.options.plain {
            topology::drop_vip(from)?;
            return topology::take_vip(to);
        }
        let refusal = move_group(from, to).err();
        let text = || {
            format!(
                "the move was refused: {}",
                refusal.as_deref().unwrap_or_default()
            )
        };
        self.story.hold(refusal.is_none(), text);
        Ok(())
    }

    /// Waits until `node` has the address and answers come again.
    ///
    /// # Errors
    /// When interrupted.
    pub(crate) fn taken(&mut self, node: &'static str) -> Result<(), Error> {
        let mut has = false;
        self.bench.stop.until(PATIENCE, || {
            has = topology::has_vip(node).unwrap_or(false);
            has
        })?;
        self.story
            .hold(has, || format!("{} did not take {VIP}", short(node)));
        self.answers()
    }

    /// Waits until `node` has the address and the other one has not; says whether that came.
    fn alone(&mut self, node: &'static str, time: Duration, when: &str) -> Result<bool, Error> {
        let (mut owners, shape) = (Vec::new(), self.shape());
        let alone = self.bench.stop.until(time, || {
            owners = topology::owners(shape).unwrap_or_default();
            owners == [node]
        })?;
        self.story.hold(alone, || {
            let owners: Vec<&str> = owners.iter().map(|node| short(node)).collect();
            let node = short(node);
            format!(
                "{node} did not have {VIP} alone within {time:?} {when}; who has it: {owners:?}"
            )
        });
        Ok(alone)
    }

    /// Waits until `node` knows that `owner` owns the group, and has no address of it; and, where
    /// there is a witness, until it reaches that, and could go on.
    fn standby(&mut self, node: &'static str, owner: &'static str) -> Result<(), Error> {
        let (owner, shape) = (short(owner), self.shape());
        let standby = self.bench.stop.until(REJOIN, || {
            control::owner(&socket(short(node)), GROUP).as_deref() == Some(owner)
                && topology::has_vip(node).is_ok_and(|has| !has)
                && (shape == Shape::Pair || could_go_on(node, owner))
        })?;
        self.story.hold(standby, || {
            let node = short(node);
            format!("{node} did not come back as a standby of {owner} within {REJOIN:?}")
        });
        Ok(())
    }

    /// Waits for an answer to the probe from now on.
    fn answers(&mut self) -> Result<(), Error> {
        let since = Instant::now();
        let fresh = || self.probe.last_answer().is_some_and(|at| at > since);
        let back = self.bench.stop.until(PATIENCE, fresh)?;
        let what = || format!("the probe had no answer within {} s", PATIENCE.as_secs());
        self.story.hold(back, what);
        Ok(())
    }
}

/// Whether `node` reaches the witness, and `owner` has it in sync.
fn could_go_on(node: &str, owner: &str) -> bool {
    let in_sync = control::replication(&socket(owner), GROUP).map(|now| now.in_sync);
    let in_sync = in_sync.is_some_and(|names| names.iter().any(|name| name == short(node)));
    in_sync && control::witnessed(&socket(short(node)))
}

/// Asks a node to move the group.
///
/// # Errors
/// Its refusal.
pub(crate) fn move_group(from: &str, to: &str) -> Result<(), String> {
    control::move_group(&socket(short(from)), GROUP, short(to), PATIENCE)
}
