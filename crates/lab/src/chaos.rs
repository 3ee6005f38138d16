//! Chaos: a lab that stands while fault after fault happens to it, watched by the oracle.

mod report;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::acts::{Moment, move_group};
use crate::addresses::*;
use crate::bench::{Bench, Purpose, Standing};
use crate::control;
use crate::error::{Error, file};
use crate::fault::Fault;
use crate::ground::Ground;
use crate::hosts::socket;
use crate::leftovers;
use crate::options::Options;
use crate::probe::{Probe, Seen};
use crate::progress::Progress;
use crate::random::Random;
use crate::run::refuse;
use crate::shape::Shape;
use crate::statistics::milliseconds;
use crate::topology::{self, short};
use crate::verdict;
pub use report::{ChaosReport, FaultReport, KindReport};

/// How long a fault lasts at least, and how much longer it may last, in milliseconds.
const LASTS: (u64, u64) = (50, 600);
/// What cuts nodes off from their witness may last longer by so many times: an owner has numbers
/// for a second.
const LONGER: u32 = 4;
/// How long the nodes may take to be one cluster again after a fault has ended.
const RECOVERY: Duration = Duration::from_secs(10);
/// How long a move may be refused: the fault before may have left a node that is not heard yet,
/// and then it is right to refuse.
const ORDER: Duration = Duration::from_secs(2);
/// Quiet time between a recovery and the next fault, and before the first and after the last.
const QUIET: Duration = Duration::from_millis(100);
/// Of so many faults one happens to the node that does not own the address.
const STANDBY: u64 = 5;
/// Time between two probes over IPv6, beside those over IPv4 that are judged.
const SIX: Duration = Duration::from_millis(5);
/// So many faults without recovery end it: the rest would only repeat the first.
const ENOUGH: usize = 3;
/// Progress is told each so many faults.
const TOLD: u32 = 50;

/// How much happens, and what decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chaos {
    /// How many faults.
    pub faults: u32,
    /// Decides which, to whom, and for how long. When each node answers is not decided by it.
    pub seed: u64,
}

/// Something to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Fault(Fault),
    Move,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Fault(fault) => fault.name(),
            Kind::Move => "planned move",
        }
    }
}

/// What happened so far.
#[derive(Default)]
struct Diary {
    moments: Vec<Moment>,
    /// Of each: to which node, and until when.
    faults: Vec<(&'static str, Instant)>,
    /// From the end of each fault to one cluster again; none when it did not come in time.
    recoveries: Vec<Option<Duration>>,
    failures: Vec<String>,
}

/// Builds the lab once and lets faults of all kinds happen to it one after the other, with
/// traffic both ways all the while; after each the nodes must become one cluster again, and over
/// all of it the wire oracle must find nothing. The report is also written as `chaos.json`.
///
/// # Errors
/// When the lab could not be built or measured; what did not hold is in the report.
pub fn chaos(options: &Options, chaos: Chaos) -> Result<ChaosReport, Error> {
    if options.plain {
        let text = "chaos is about the daemons, which --plain does without; leave one of them out";
        return Err(Error::Usage(text.into()));
    }
    refuse(options)?;
    if !options.has_mail() {
        let text = "chaos probes over IPv6 too, which a foreign front end has not; leave it out";
        return Err(Error::Usage(text.into()));
    }
    let ground = Ground::prepare(options)?;
    let folder = ground.out.join("chaos");
    let start = Instant::now();
    let built = ground.bench.build(Purpose::Chaos, &folder);
    let result = built.and_then(|lab| watch(&ground.bench, lab, chaos, &ground.progress));
    let removed = leftovers::remove();
    let mut report = result?;
    removed?;
    report.duration_s = start.elapsed().as_secs_f64();
    let path = folder.join("chaos.json");
    let json = serde_json::to_string_pretty(&report).unwrap_or_default();
    fs::write(&path, json + "\n").map_err(file(&path))?;
    ground
        .progress
        .say(format!("logs and chaos.json are in {}", folder.display()));
    Ok(report)
}

fn watch(
    bench: &Bench<'_>,
    mut lab: Standing,
    chaos: Chaos,
    progress: &Progress,
) -> Result<ChaosReport, Error> {
    bench.answered()?;
    let probe = bench.probe()?;
    let six = bench.probe_of(FE_BACK6.into(), VIP6.into(), SIX)?;
    bench.stop.sleep(QUIET)?;
    let mut random = Random::new(chaos.seed);
    let mut diary = Diary::default();
    for number in 1..=chaos.faults {
        one(bench, &mut lab, &probe, &mut random, &mut diary)?;
        bench.stop.sleep(QUIET)?;
        let failed = diary.failures.len();
        if number % TOLD == 0 {
            progress.say(format!(
                "{number} of {} faults, {failed} failures",
                chaos.faults
            ));
        }
        if failed >= ENOUGH {
            break;
        }
    }
    let (seen, six) = (probe.stop(), six.stop());
    finish(lab, diary, chaos, (&seen, &six))
}

/// What can happen to a cluster of this shape.
fn kinds(shape: Shape) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Fault::ANYWHERE.map(Kind::Fault).to_vec();
    kinds.push(Kind::Move);
    if shape == Shape::Witnessed {
        kinds.extend(Fault::WITNESSED.map(Kind::Fault));
        kinds.extend(Fault::MEMBERS.map(Kind::Fault));
    }
    kinds
}

/// One fault: it happens, lasts, ends, and the nodes become one cluster again.
fn one(
    bench: &Bench<'_>,
    lab: &mut Standing,
    probe: &Probe,
    random: &mut Random,
    diary: &mut Diary,
) -> Result<(), Error> {
    let shape = bench.options.shape();
    let kind = random.pick(&kinds(shape)).unwrap_or(Kind::Move);
    let standby = random.below(STANDBY) == 0 && kind != Kind::Move;
    let owner = topology::owners(shape)?.first().copied().unwrap_or(BE1);
    let others: Vec<_> = shape.others(owner).collect();
    let other = match others.as_slice() {
        &[other] => other,
        many => random.pick(many).unwrap_or(BE2),
    };
    let node = match kind {
        Kind::Fault(fault) if Fault::MEMBERS.contains(&fault) => {
            random.pick(shape.witnesses()).unwrap_or(owner)
        }
        _ if standby => other,
        _ => owner,
    };
    let mut lasts = Duration::from_millis(LASTS.0 + random.below(LASTS.1));
    if matches!(kind, Kind::Fault(fault) if Fault::WITNESSED.contains(&fault)) {
        lasts *= LONGER;
    }
    diary.moments.push(Moment {
        what: kind.name(),
        at: Instant::now(),
    });
    let number = diary.moments.len();
    let told = format!("fault {number}, {} at {}", kind.name(), short(node));
    match kind {
        Kind::Fault(fault) => {
            bench.inflict(lab, fault, node)?;
            // Somebody who asks to stop finds no lab that is frozen: it is taken down anyway.
            bench.stop.sleep(lasts)?;
            bench.cure(lab, fault, node)?;
        }
        Kind::Move => {
            let mut refused = None;
            let ordered = bench.stop.until(ORDER, || {
                refused = move_group(node, other).err();
                if refused.is_some() {
                    thread::sleep(Duration::from_millis(20));
                }
                refused.is_none()
            })?;
            if let Some(why) = refused.filter(|_| !ordered) {
                let failure = format!("{told}: the move is refused for {ORDER:?}: {why}");
                diary.failures.push(failure);
            }
        }
    }
    let end = Instant::now();
    diary.faults.push((node, end));
    let mut odd = None;
    let recovered = bench.stop.until(RECOVERY, || {
        odd = apart(shape, probe, end);
        odd.is_none()
    })?;
    diary.recoveries.push(recovered.then(|| end.elapsed()));
    if let Some(odd) = odd.filter(|_| !recovered) {
        let failure = format!("{told} for {lasts:?}: no recovery within {RECOVERY:?}: {odd}");
        diary.failures.push(failure);
    }
    Ok(())
}

/// Why the nodes are not one cluster that serves, if they are not.
fn apart(shape: Shape, probe: &Probe, since: Instant) -> Option<String> {
    let owners = topology::owners(shape).unwrap_or_default();
    let &[owner] = owners.as_slice() else {
        return Some(format!("{VIP} is on {owners:?}"));
    };
    for node in shape.hosts() {
        let seen = control::owner(&socket(short(node)), GROUP);
        if seen.as_deref() != Some(short(owner)) {
            // An answer that fails comes at once: do not ask all the time.
            thread::sleep(Duration::from_millis(5));
            return Some(format!("{} takes {seen:?} for the owner", short(node)));
        }
    }
    if shape == Shape::Witnessed
        && let Some(odd) = unwitnessed(shape, owner)
    {
        thread::sleep(Duration::from_millis(5));
        return Some(odd);
    }
    match probe.last_answer().is_some_and(|at| at > since) {
        true => None,
        false => Some("the probe has no answer".into()),
    }
}

/// Why not every node could go on, if the owner died now.
fn unwitnessed(shape: Shape, owner: &str) -> Option<String> {
    let mut nodes = shape.hosts().map(short);
    if let Some(node) = nodes.find(|node| !control::witnessed(&socket(node))) {
        return Some(format!("{node} does not reach the witness"));
    }
    let in_sync = control::replication(&socket(short(owner)), GROUP);
    let in_sync = in_sync.map_or_else(Vec::new, |now| now.in_sync);
    let others = shape.others(owner).count();
    (in_sync.len() < others).then(|| format!("only {in_sync:?} could go on"))
}

fn finish(
    mut lab: Standing,
    diary: Diary,
    chaos: Chaos,
    (seen, six): (&Seen, &Seen),
) -> Result<ChaosReport, Error> {
    let generations = lab.generations();
    drop(lab.hosts);
    let counts = lab.captures.stop()?;
    let findings = lab
        .captures
        .sight(|sight| sight.oracle.report(&generations));
    let mut failures = diary.failures;
    failures.extend(findings.failures());
    failures.extend(verdict::in_clear(&counts));
    if counts.dropped > 0 {
        let text = "packets were missed by the captures, so the oracle proves less";
        failures.push(format!("{} {text}", counts.dropped));
    }
    let mut report = ChaosReport::new((chaos.faults, chaos.seed));
    let gaps = verdict::gaps(&diary.moments, seen);
    let (start, _) = lab.captures.start_time();
    let faults = diary.moments.iter().zip(diary.faults);
    let each = faults.map(|(moment, (node, end))| FaultReport {
        node: short(node).to_owned(),
        at_ms: milliseconds(moment.at.saturating_duration_since(start)),
        lasted_ms: milliseconds(end.saturating_duration_since(moment.at)),
        ..FaultReport::default()
    });
    for ((after, fault), recovery) in gaps.iter().zip(each).zip(diary.recoveries) {
        report.add(after, fault, recovery);
    }
    report.probes_sent = seen.sent + six.sent;
    report.probes_lost = seen.lost + six.lost;
    report.clear_packets = counts.clear;
    report.esp_packets = counts.esp;
    report.ike_messages = counts.ike.len() as u64;
    report.oracle = findings;
    report.ok = failures.is_empty();
    report.failures = failures;
    Ok(report)
}
