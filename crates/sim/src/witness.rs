//! A witness as etcd is one: values that change only by compare-and-swap, told to whoever reaches
//! it. What is proposed while it is out of reach may be written down later, or never.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cluster::{GroupName, WitnessAnswer};

use crate::dice::Dice;
use crate::frame::HostId;

/// How long a question or an answer takes.
const WAY: (Duration, Duration) = (Duration::from_micros(300), Duration::from_millis(6));
/// How long a question waits for its answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long a client takes to notice that the witness does not answer, or does again.
const NOTICE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(1500));
/// What was asked while nobody answered is found after so long at most, if at all.
const STRAGGLES: Duration = Duration::from_secs(3);

/// A proposal on its way.
#[derive(Clone)]
pub(crate) struct Proposal {
    pub(crate) group: GroupName,
    /// The revision that must stand; 0: nothing.
    pub(crate) expected: u64,
    pub(crate) value: Vec<u8>,
    pub(crate) tag: u64,
}

/// What a process is told.
#[derive(Clone)]
pub(crate) enum Word {
    Reachable(bool),
    Record(GroupName, u64, Vec<u8>),
    Outcome(GroupName, u64, WitnessAnswer),
}

/// What the client of a process believes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Client {
    life: (u64, u64),
    reaches: bool,
    /// When the last word comes: they keep their order.
    last: Duration,
}

/// The values, and who can ask for them.
#[derive(Default)]
pub(crate) struct Witness {
    values: BTreeMap<GroupName, (u64, Vec<u8>)>,
    revision: u64,
    clients: BTreeMap<HostId, Client>,
    /// Nobody reaches it.
    pub(crate) down: bool,
    /// These do not reach it.
    pub(crate) cut: BTreeSet<HostId>,
}

fn record((group, (revision, value)): (&GroupName, &(u64, Vec<u8>))) -> Word {
    Word::Record(group.clone(), *revision, value.clone())
}

impl Witness {
    fn is_reached(&self, host: HostId) -> bool {
        !self.down && !self.cut.contains(&host)
    }

    /// Looks at what a host's process can reach, and tells it what has changed: when, and what.
    /// `None`: there is no process.
    pub(crate) fn look(
        &mut self,
        host: HostId,
        life: Option<(u64, u64)>,
        now: Duration,
        dice: &mut Dice,
    ) -> Vec<(Duration, Word)> {
        let Some(life) = life else {
            self.clients.remove(&host);
            return Vec::new();
        };
        let reached = self.is_reached(host);
        let client = self.clients.entry(host).or_default();
        if client.life != life {
            *client = Client {
                life,
                ..Client::default()
            };
        }
        if client.reaches == reached {
            return Vec::new();
        }
        client.reaches = reached;
        let notice = dice.time(NOTICE.0, NOTICE.1);
        client.last = client.last.max(now + notice);
        let at = client.last;
        let mut words = Vec::new();
        if reached {
            // What stands comes first.
            words.extend(self.values.iter().map(|value| (at, record(value))));
        }
        words.push((at, Word::Reachable(reached)));
        words
    }

    /// How long a question or an answer is on its way.
    pub(crate) fn way(dice: &mut Dice) -> Duration {
        dice.time(WAY.0, WAY.1)
    }

    /// A proposal has come as far as its host's network lets it. What its host is told and when,
    /// and whether the proposal still wanders about, and for how long.
    pub(crate) fn propose(
        &mut self,
        host: HostId,
        proposal: &Proposal,
        now: Duration,
        dice: &mut Dice,
    ) -> (Vec<(HostId, Duration, Word)>, Option<Duration>) {
        let outcome = |answer| Word::Outcome(proposal.group.clone(), proposal.tag, answer);
        if !self.is_reached(host) {
            let wanders = dice.chance(300).then(|| dice.time(WAY.1, STRAGGLES));
            let knows = self.clients.get(&host).is_some_and(|one| !one.reaches);
            let (after, answer) = match knows && wanders.is_none() {
                true => (WAY.0, WitnessAnswer::Unavailable),
                false => (TIMEOUT, WitnessAnswer::Unknown),
            };
            return (vec![(host, now + after, outcome(answer))], wanders);
        }
        let (answer, mut words) = self.swap(proposal, now, dice);
        // The answer may be lost with the way back.
        words.push((host, now + Witness::way(dice), outcome(answer)));
        (words, None)
    }

    /// Compare and swap.
    pub(crate) fn swap(
        &mut self,
        proposal: &Proposal,
        now: Duration,
        dice: &mut Dice,
    ) -> (WitnessAnswer, Vec<(HostId, Duration, Word)>) {
        let stands = self.values.get(&proposal.group);
        if stands.map_or(0, |(revision, _)| *revision) != proposal.expected {
            return (WitnessAnswer::Conflict(stands.cloned()), Vec::new());
        }
        self.revision += 1;
        let (revision, value) = (self.revision, proposal.value.clone());
        self.values
            .insert(proposal.group.clone(), (revision, value.clone()));
        let mut words = Vec::new();
        for host in self.clients.keys().copied().collect::<Vec<_>>() {
            let told = self.told_at(host, || now + Witness::way(dice));
            let word = record((&proposal.group, &(revision, value.clone())));
            words.extend(told.map(|at| (host, at, word)));
        }
        (WitnessAnswer::Done(revision), words)
    }

    /// When the next word comes to a host that reaches the witness: not before the last one.
    fn told_at(&mut self, host: HostId, soonest: impl FnOnce() -> Duration) -> Option<Duration> {
        let reached = self.is_reached(host);
        let client = self.clients.get_mut(&host)?;
        if !client.reaches || !reached {
            return None;
        }
        client.last = client.last.max(soonest());
        Some(client.last)
    }

    /// A host whose question was not answered reads everything again, if it can.
    pub(crate) fn read_again(&mut self, host: HostId, now: Duration) -> Vec<(Duration, Word)> {
        let Some(at) = self.told_at(host, || now + WAY.1) else {
            return Vec::new();
        };
        self.values
            .iter()
            .map(|value| (at, record(value)))
            .collect()
    }

    /// Whether an answer still reaches its host; one that does not is missed in the end.
    pub(crate) fn arrives(
        &self,
        host: HostId,
        word: Word,
        now: Duration,
    ) -> Result<Word, Duration> {
        match word {
            Word::Outcome(_, _, WitnessAnswer::Done(_) | WitnessAnswer::Conflict(_))
                if !self.is_reached(host) =>
            {
                Err(now + TIMEOUT)
            }
            word => Ok(word),
        }
    }
}
