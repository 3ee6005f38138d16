//! The wire oracle: what nodes of a cluster may never send twice, watched as it passes.
//!
//! It sees what leaves the virtual addresses, whichever node sends it, and holds two promises of
//! a takeover: under one key no sequence number and no explicit IV comes twice (S1, [`esp`]), and
//! no IKE message ID comes twice with different content (S2, [`ike`]). A peer chooses its SPIs at
//! random, so a key is known by SPI and destination; where key tables were written, an SPI that
//! came back by chance is told apart ([`Oracle::report`]).

pub(crate) mod esp;
pub(crate) mod ike;
pub(crate) mod intervals;
pub(crate) mod keys;
mod repeat;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::addresses::{VIP, VIP6};
use crate::classify::{Ipsec, Part};
use esp::{Esp, IvLength};
use ike::{Conflict, Ike};
use keys::Generations;
use repeat::{Repeat, What};

/// So many repeats and conflicts are kept to be told; all are counted.
const KEPT: usize = 1000;
/// So many are told.
const TOLD: usize = 5;

/// Watches what leaves the virtual addresses.
#[derive(Debug)]
pub(crate) struct Oracle {
    start: SystemTime,
    esp: Esp,
    ike: Ike,
    repeats: Vec<Repeat>,
    counts: [u64; 2],
    conflicts: Vec<Conflict>,
    conflicts_seen: u64,
}

/// What the oracle saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// ESP packets from the virtual addresses, per node.
    pub packets: BTreeMap<String, u64>,
    /// Outbound SAs, known by SPI and destination.
    pub sas: u64,
    /// Different IKE messages from the virtual addresses.
    pub ike_messages: u64,
    /// Sequence numbers that came again under the same key (S1).
    pub sequence_repeats: u64,
    /// Explicit IVs that came again under the same key (S1).
    pub iv_repeats: u64,
    /// IKE messages that came again with different content (S2).
    pub ike_conflicts: u64,
    /// Packets and messages that could not be watched: above 0 the rest is a lower bound.
    pub unwatched: u64,
    /// The first repeats and conflicts, as sentences.
    pub first: Vec<String>,
}

impl Oracle {
    /// Begins to watch at `start`.
    pub(crate) fn new(start: SystemTime, iv: IvLength) -> Self {
        Self {
            start,
            esp: Esp::new(iv),
            ike: Ike::default(),
            repeats: Vec::new(),
            counts: [0; 2],
            conflicts: Vec::new(),
            conflicts_seen: 0,
        }
    }

    /// Looks at a packet that `node` put on its wire at `time`.
    pub(crate) fn packet(&mut self, node: &'static str, time: SystemTime, packet: &Ipsec<'_>) {
        if ![VIP.into(), VIP6.into()].contains(&packet.source) {
            return;
        }
        let since = time.duration_since(self.start).unwrap_or(Duration::ZERO);
        let at = since.as_micros() as u64;
        match packet.part {
            Part::Esp(bytes) => {
                let (repeats, counts) = (&mut self.repeats, &mut self.counts);
                let found = |repeat: Repeat| {
                    counts[usize::from(repeat.what == What::Iv)] += 1;
                    if repeats.len() < KEPT {
                        repeats.push(repeat);
                    }
                };
                self.esp.packet(node, at, packet.destination, bytes, found);
            }
            Part::Ike(message) => {
                let conflict = self.ike.message(node, at, packet.source, message);
                self.conflicts_seen += u64::from(conflict.is_some());
                let room = self.conflicts.len() < KEPT;
                self.conflicts.extend(conflict.filter(|_| room));
            }
        }
    }

    /// Everything so far. A repeat under an SPI that had several keys is none.
    pub(crate) fn report(&self, generations: &Generations) -> Findings {
        let mut counts = self.counts;
        let mut first = Vec::new();
        for repeat in &self.repeats {
            if generations.several(repeat.sa) {
                counts[usize::from(repeat.what == What::Iv)] -= 1;
            } else if first.len() < TOLD {
                first.push(repeat.to_string());
            }
        }
        first.extend(self.conflicts.iter().take(TOLD).map(Conflict::to_string));
        let packets = self.esp.packets.iter();
        Findings {
            packets: packets.map(|(node, n)| ((*node).to_owned(), *n)).collect(),
            sas: self.esp.sas() as u64,
            ike_messages: self.ike.messages() as u64,
            sequence_repeats: counts[0],
            iv_repeats: counts[1],
            ike_conflicts: self.conflicts_seen,
            unwatched: self.esp.unwatched + self.ike.unwatched,
            first,
        }
    }
}

impl Findings {
    /// What of the promises does not hold, as sentences.
    pub(crate) fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        let told = self.first.join("; ");
        let counted = [
            (self.sequence_repeats, "sequence numbers came twice"),
            (self.iv_repeats, "explicit IVs came twice"),
            (self.ike_conflicts, "IKE messages came twice and differed"),
        ];
        for (count, what) in counted {
            if count > 0 {
                failures.push(format!("{count} {what}: {told}"));
            }
        }
        if self.unwatched > 0 {
            let what = "packets could not be watched by the oracle, which so proves less";
            failures.push(format!("{} {what}", self.unwatched));
        }
        failures
    }

    /// Adds another run's.
    pub(crate) fn add(&mut self, other: Findings) {
        for (node, packets) in other.packets {
            *self.packets.entry(node).or_default() += packets;
        }
        self.sas += other.sas;
        self.ike_messages += other.ike_messages;
        self.sequence_repeats += other.sequence_repeats;
        self.iv_repeats += other.iv_repeats;
        self.ike_conflicts += other.ike_conflicts;
        self.unwatched += other.unwatched;
        self.first.extend(other.first);
        self.first.truncate(2 * TOLD);
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self
            .packets
            .iter()
            .map(|(node, packets)| format!("{packets} from {node}"));
        writeln!(
            f,
            "wire oracle: ESP {}, {} SAs, {} IKE messages; came twice: {} sequence numbers, {} \
             IVs, {} IKE messages that differ",
            nodes.collect::<Vec<_>>().join(" and "),
            self.sas,
            self.ike_messages,
            self.sequence_repeats,
            self.iv_repeats,
            self.ike_conflicts,
        )
    }
}

#[cfg(test)]
mod tests;
