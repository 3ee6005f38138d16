//! `scale`: how a cluster with replication does with many SA pairs: filling a standby, memory,
//! and the takeover when the owner dies.

pub(crate) mod figures;
pub(crate) mod throughput;
pub(crate) mod world;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use linux::udp::{SocketOptions, UdpSocket};
use linux::{Family, RecvBatch};

use crate::crowd::{Crowd, Probe, Wish};
use crate::folder::{self, Scratch};
use crate::holdfast::{self, Daemon};
use crate::program::wait_for;
use crate::scale::figures::{between, moment, received, resident, worked};
use crate::scale::world::{HEARTBEATS, LINK, NODES, VIP, World};
use crate::space::{Space, ip};

/// Counts of pairs that are measured when none is named.
const COUNTS: [usize; 3] = [1, 1_000, 10_000];
/// Pairs of the run that only judges.
const FEW: usize = 200;
/// How long a member may take to own the group, or to be in sync.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two probes; and how many pairs are probed, in turn.
const PROBE: Duration = Duration::from_millis(1);
const PROBED: usize = 100;
/// Before the owner is killed, and how long is looked at what follows.
const BEFORE: Duration = Duration::from_millis(500);
const AFTER: Duration = Duration::from_secs(5);
/// Pairs that are made while the standby is in sync, at most.
const MORE: usize = 2_000;
/// How long the owner is listened to after its standby has died: a second of grace, and then what
/// the standby may go on with falls silent.
const LOSS: Duration = Duration::from_secs(4);
/// An activation that takes longer after detection fails the bench, in milliseconds.
const ACTIVATION: u64 = 50;

/// What was measured for one count.
#[derive(Default)]
struct Figures {
    count: usize,
    handshakes: Duration,
    fill: Duration,
    link: u64,
    more: f64,
    idle: u64,
    owner: u64,
    standby: u64,
    detected: Option<u64>,
    opened: Option<u64>,
    up: Option<u64>,
    answered: Option<Duration>,
    peers: (usize, usize),
    worked: [Duration; 2],
    gap: Duration,
    refill: Duration,
    loss_gap: Duration,
}

/// Measures every count and prints a table.
pub(crate) fn run(out: &Path, counts: &[&str]) -> Result<(), String> {
    let number = |text: &&str| text.parse().map_err(|_| format!("{text} is no count"));
    let mut counts: Vec<usize> = counts.iter().map(number).collect::<Result<_, _>>()?;
    if counts.is_empty() {
        counts = COUNTS.to_vec();
    }
    let folder = folder::results(out, "scale")?;
    let program = holdfast::build()?;
    let mut table = head();
    print!("{table}");
    let mut late = Vec::new();
    for count in counts {
        let scratch = Scratch::new()?;
        let logs = folder.join(count.to_string());
        std::fs::create_dir_all(&logs).map_err(|why| why.to_string())?;
        let figures = measure(count, &program, scratch.path(), &logs)?;
        let line = figures.line();
        print!("{line}");
        table += &line;
        if figures.activation().is_none_or(|took| took > ACTIVATION) {
            late.push(count.to_string());
        }
    }
    folder::write(&folder.join("table.txt"), &table)?;
    match late.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "activation took more than {ACTIVATION} ms with {} pairs",
            late.join(", ")
        )),
    }
}

/// A few pairs, without a word on how fast: that every one of them survives its owner.
pub(crate) fn survives(out: &Path) -> Result<(), String> {
    let folder = folder::results(out, "scale")?;
    let (program, scratch) = (holdfast::build()?, Scratch::new()?);
    let figures = measure(FEW, &program, scratch.path(), &folder)?;
    print!("{}{}", head(), figures.line());
    Ok(())
}

fn measure(count: usize, program: &Path, scratch: &Path, logs: &Path) -> Result<Figures, String> {
    let world = World::new()?;
    let rules = world::rules();
    let start = |index| world.start(index, program, scratch, logs, &rules);
    let mut owner = start(0)?;
    until(&mut owner, "mail is up here")?;
    let mut figures = Figures {
        count,
        idle: resident(owner.process().pid())?,
        ..Figures::default()
    };
    let mut crowd = Crowd::new(&world.front, ip(VIP)?, Wish::pings())?;
    figures.handshakes = crowd.grow(count)?;
    let (begun, before) = (Instant::now(), received(&world.nodes[1], LINK)?);
    let mut standby = start(1)?;
    until(&mut standby, "copy is in sync")?;
    figures.fill = begun.elapsed();
    figures.link = received(&world.nodes[1], LINK)? - before;
    thread::sleep(BEFORE);
    figures.owner = resident(owner.process().pid())?;
    figures.standby = resident(standby.process().pid())?;
    let more = count.min(MORE);
    let took = crowd.grow(count + more)?;
    figures.more = more as f64 / took.as_secs_f64();
    take_over(&world, owner, &mut standby, &mut crowd, &mut figures)?;
    let begun = Instant::now();
    let mut again = start(0)?;
    until(&mut again, "copy is in sync")?;
    figures.refill = begun.elapsed();
    thread::sleep(BEFORE);
    again.crash();
    figures.loss_gap = heartbeat_gap(&world.nodes[0], LOSS)?;
    Ok(figures)
}

/// The owner dies, and its cable to the front is pulled, as if the machine had lost its power.
fn take_over(
    world: &World,
    owner: Daemon<'_>,
    standby: &mut Daemon<'_>,
    crowd: &mut Crowd,
    figures: &mut Figures,
) -> Result<(), String> {
    let pid = standby.process().pid();
    let step = figures.count.div_ceil(PROBED).max(1);
    let probed: Vec<usize> = (0..figures.count).step_by(step).collect();
    let over = AtomicBool::new(false);
    let (killed, at, probes) = thread::scope(|scope| {
        let probing = scope.spawn(|| crowd.probe(&probed, PROBE, || over.load(Ordering::Relaxed)));
        thread::sleep(BEFORE);
        let cut = world.cut(0);
        let (at, killed) = (figures::now(), Instant::now());
        owner.crash();
        let before = worked(pid);
        let listening = scope.spawn(|| heartbeat_gap(&world.nodes[0], AFTER));
        thread::sleep(Duration::from_secs(1));
        let first = worked(pid) - before;
        thread::sleep(AFTER.saturating_sub(killed.elapsed()));
        figures.worked = [first, worked(pid) - before];
        over.store(true, Ordering::Relaxed);
        figures.gap = listening.join().map_err(|_| "the listener failed")??;
        let probes = probing.join().map_err(|_| "the prober failed")??;
        cut.map(|()| (killed, at, probes))
    })?;
    figures.note_log(&standby.process().words(), at);
    figures.note_probes(&probes, killed, probed.len());
    match figures.peers {
        (answered, probed) if answered == probed => Ok(()),
        (answered, probed) => Err(format!(
            "after the takeover only {answered} of {probed} pairs are answered"
        )),
    }
}

/// The longest time between two heartbeats of the survivor, heard in the place of the dead one.
fn heartbeat_gap(space: &Space, time: Duration) -> Result<Duration, String> {
    let bind = || UdpSocket::bind(Family::V4, HEARTBEATS, &SocketOptions::default());
    let socket = space.run(bind)?.map_err(|why| why.to_string())?;
    let (begun, mut batch) = (Instant::now(), RecvBatch::new(16));
    let (mut last, mut longest) = (None::<Instant>, Duration::ZERO);
    while begun.elapsed() < time {
        if socket.receive(&mut batch).is_ok() {
            let now = Instant::now();
            longest = longest.max(last.map_or(Duration::ZERO, |last| now - last));
            last = Some(now);
        }
        thread::sleep(Duration::from_micros(500));
    }
    match last {
        Some(last) => Ok(longest.max(last.elapsed())),
        None => Err("the survivor sends no heartbeats".into()),
    }
}

pub(crate) fn until(daemon: &mut Daemon<'_>, text: &str) -> Result<(), String> {
    let process = daemon.process();
    let found = wait_for(PATIENCE, || process.words().contains(text));
    found.map(drop).ok_or(format!("the log never said: {text}"))
}

impl Figures {
    fn note_log(&mut self, log: &str, killed: u64) {
        let after = |text: &str| moment(log, text, killed).map(|at| between(killed, at));
        self.detected = after(&format!("cluster  {} is down", NODES[0]));
        self.opened = after("this node goes on with");
        self.up = after("mail is up here");
    }

    fn note_probes(&mut self, probes: &[Probe], killed: Instant, probed: usize) {
        let after = probes.iter().filter(|probe| probe.sent > killed);
        let answered: Vec<(usize, Instant)> = after
            .filter_map(|probe| Some((probe.peer, probe.answered?)))
            .collect();
        let first = answered.iter().map(|(_, at)| *at).min();
        self.answered = first.map(|first| first - killed);
        let mut peers: Vec<usize> = answered.iter().map(|(peer, _)| *peer).collect();
        peers.sort_unstable();
        peers.dedup();
        self.peers = (peers.len(), probed);
    }

    /// Milliseconds from detection to the first answer.
    fn activation(&self) -> Option<u64> {
        let answered = self.answered?.as_millis() as u64;
        Some(answered.saturating_sub(self.detected?))
    }

    fn line(&self) -> String {
        let per_pair = |octets: u64| octets as f64 / self.count as f64;
        let grown = |now: u64| per_pair(now.saturating_sub(self.idle)) / 1024.0;
        let millis = |at: Option<u64>| at.map_or("-".to_owned(), |at| at.to_string());
        let answered = self.answered.map(|at| at.as_millis() as u64);
        format!(
            "{:>7} {:>6.0} {:>6.0} {:>6.2} {:>6.0} {:>7.2} {:>7.2} {:>5} {:>5} {:>5} {:>6} {:>6} \
             {:>8} {:>6.2} {:>6.2} {:>5} {:>8.2} {:>7}\n",
            self.count,
            self.count as f64 / self.handshakes.as_secs_f64(),
            self.more,
            self.fill.as_secs_f64(),
            per_pair(self.link),
            grown(self.owner),
            grown(self.standby),
            millis(self.detected),
            millis(self.opened),
            millis(self.up),
            millis(answered),
            millis(self.activation()),
            format!("{}/{}", self.peers.0, self.peers.1),
            self.worked[0].as_secs_f64(),
            self.worked[1].as_secs_f64(),
            self.gap.as_millis(),
            self.refill.as_secs_f64(),
            self.loss_gap.as_millis(),
        )
    }
}

fn head() -> String {
    format!(
        "{:>7} {:>6} {:>6} {:>6} {:>6} {:>7} {:>7} {:>5} {:>5} {:>5} {:>6} {:>6} {:>8} {:>6} \
         {:>6} {:>5} {:>8} {:>7}\n",
        "pairs",
        "made/s",
        "more/s",
        "fill s",
        "B/pair",
        "own KiB",
        "sby KiB",
        "det",
        "gate",
        "up",
        "answer",
        "active",
        "probed",
        "cpu 1s",
        "cpu 5s",
        "hb ms",
        "refill s",
        "loss hb"
    )
}
