//! How the witness is asked, and what it tells whom.

use std::time::Duration;

use cluster::WitnessAnswer;
use node::Command;

use crate::frame::HostId;
use crate::witness::{Proposal, Witness, Word};
use crate::world::{Happening, World};

/// How often clients look whether they reach it.
const TICK: Duration = Duration::from_millis(20);

impl World {
    /// The witness is there from now on, if there is one.
    pub(crate) fn begin_witness(&mut self) {
        if self.settings.witness {
            self.later(TICK, Happening::Witness);
        }
    }

    pub(crate) fn tick_witness(&mut self) {
        self.later(TICK, Happening::Witness);
        self.look_at_witness();
    }

    /// Every client looks whether it reaches the witness.
    fn look_at_witness(&mut self) {
        let members = self.settings.host_ids().into_iter();
        let members = members.filter(|host| !self.settings.groups_of(*host).is_empty());
        for host in members.collect::<Vec<_>>() {
            let one = &self.hosts[host];
            let there = one.is_running() || one.is_frozen();
            let life = there.then(|| one.life());
            let now = self.time();
            let words = self.witness.look(host, life, now, &mut self.dice);
            let words = words.into_iter().map(|(at, word)| (host, at, word));
            self.tell_later(words.collect());
        }
    }

    fn tell_later(&mut self, words: Vec<(HostId, Duration, Word)>) {
        for (host, at, word) in words {
            let life = self.hosts[host].life();
            let after = at.saturating_sub(self.time());
            self.later(after, Happening::Told { host, life, word });
        }
    }

    /// A node asks the witness for a change.
    pub(crate) fn ask_witness(&mut self, host: HostId, proposal: Proposal) {
        let after = Witness::way(&mut self.dice);
        self.later(after, Happening::Proposed { host, proposal });
    }

    pub(crate) fn proposed(&mut self, host: HostId, proposal: Proposal) {
        let now = self.time();
        let (words, wanders) = self.witness.propose(host, &proposal, now, &mut self.dice);
        self.tell_later(words);
        if let Some(after) = wanders {
            self.later(after, Happening::Straggler(proposal));
        }
    }

    /// A proposal that nobody waits for any more is found.
    pub(crate) fn straggler(&mut self, proposal: &Proposal) {
        let now = self.time();
        let (_, words) = self.witness.swap(proposal, now, &mut self.dice);
        self.tell_later(words);
    }

    pub(crate) fn told(&mut self, host: HostId, life: (u64, u64), word: Word) {
        if self.hosts[host].life() != life {
            return;
        }
        let now = self.time();
        let command = match self.witness.arrives(host, word.clone(), now) {
            Ok(Word::Reachable(reachable)) => Command::WitnessReachable(reachable),
            Ok(Word::Record(group, revision, value)) => Command::WitnessRecord {
                group,
                revision,
                value: Some(value),
            },
            Ok(Word::Outcome(group, tag, answer)) => Command::Witnessed { group, tag, answer },
            Err(at) => {
                if let Word::Outcome(group, tag, _) = word {
                    let word = Word::Outcome(group, tag, WitnessAnswer::Unknown);
                    self.tell_later(vec![(host, at, word)]);
                }
                return;
            }
        };
        if let Command::Witnessed {
            answer: WitnessAnswer::Unknown,
            ..
        } = command
        {
            let words = self.witness.read_again(host, now).into_iter();
            self.tell_later(words.map(|(at, word)| (host, at, word)).collect());
        }
        let what = match &command {
            Command::WitnessReachable(true) => "reaches the witness".to_owned(),
            Command::WitnessReachable(false) => "does not reach the witness".to_owned(),
            Command::WitnessRecord {
                group, revision, ..
            } => format!("reads of {group} at the witness, revision {revision}"),
            Command::Witnessed { group, answer, .. } => match answer {
                WitnessAnswer::Done(revision) => format!("has {group} written, {revision}"),
                WitnessAnswer::Conflict(_) => format!("comes too late for {group}"),
                WitnessAnswer::Unknown => format!("hears nothing about {group}"),
                WitnessAnswer::Unavailable => format!("cannot ask about {group}"),
            },
            _ => String::new(),
        };
        self.trace
            .note(now, Some(host), what.as_bytes(), || what.clone());
        let effects = self.hosts[host].witness_says(command, self.now);
        self.carry_out(host, effects);
    }

    /// Nobody reaches the witness, or everybody does again.
    pub fn set_witness_down(&mut self, down: bool) {
        self.say(
            0,
            if down {
                "no witness"
            } else {
                "the witness is back"
            },
        );
        self.disturb();
        self.witness.down = down;
        self.look_at_witness();
    }

    /// A host reaches the witness, or does not.
    pub fn set_witness_cut(&mut self, host: HostId, cut: bool) {
        self.say(
            host,
            if cut {
                "loses the witness"
            } else {
                "may ask again"
            },
        );
        self.disturb();
        match cut {
            true => self.witness.cut.insert(host),
            false => self.witness.cut.remove(&host),
        };
        self.look_at_witness();
    }
}
