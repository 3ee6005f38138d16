//! Packets that wait for their SA: bounded in number, bytes and time (RFC 4301 4.1).

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use policy::names::RuleName;
use wire::ip::Flow;

use crate::offload::Offload;

/// Packets that wait for one negotiation; the oldest goes first when more come.
pub const MAX_PENDING_PACKETS: usize = 64;
/// Bytes that wait in all.
pub const MAX_PENDING_BYTES: usize = 4 << 20;
/// Negotiations that packets wait for at the same time.
pub const MAX_NEGOTIATIONS: usize = 1024;
/// How long a packet waits at most, in nanoseconds: as long as an answer to it could be of use.
pub const MAX_PENDING_AGE: u64 = 30_000_000_000;
/// How long until a negotiation that came to nothing is asked for again, in nanoseconds.
pub const ACQUIRE_INTERVAL: u64 = 1_000_000_000;

/// The request for an SA (RFC 4301 4.4.1: what the SPD entry and the packet say).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acquire {
    /// The rule that requires protection.
    pub rule: RuleName,
    /// The packet that asked first.
    pub flow: Flow,
}

/// A packet that waits.
pub(crate) struct Waiting {
    pub(crate) packet: Box<[u8]>,
    pub(crate) offload: Offload,
    pub(crate) since: u64,
}

/// What one negotiation is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) rule: RuleName,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
}

#[derive(Default)]
struct Negotiation {
    packets: VecDeque<Waiting>,
    asked: Option<u64>,
}

/// Everything that waits.
#[derive(Default)]
pub(crate) struct Pending {
    negotiations: BTreeMap<Key, Negotiation>,
    acquires: VecDeque<Acquire>,
    bytes: usize,
}

impl Pending {
    /// Asks for the SA of a packet, unless that was done within [`ACQUIRE_INTERVAL`]. Says whether
    /// there is room for another negotiation.
    pub(crate) fn ask(&mut self, rule: &RuleName, flow: Flow, now: u64) -> bool {
        let key = key(rule, &flow);
        let known = self.negotiations.contains_key(&key);
        if !known && self.negotiations.len() >= MAX_NEGOTIATIONS {
            return false;
        }
        let negotiation = self.negotiations.entry(key).or_default();
        if negotiation
            .asked
            .is_none_or(|asked| now >= asked.saturating_add(ACQUIRE_INTERVAL))
        {
            negotiation.asked = Some(now);
            if self.acquires.len() < MAX_NEGOTIATIONS {
                self.acquires.push_back(Acquire {
                    rule: rule.clone(),
                    flow,
                });
            }
        }
        true
    }

    /// Queues a packet and asks for its SA. Returns how many packets, this or older ones, found no
    /// room.
    pub(crate) fn push(&mut self, rule: &RuleName, flow: Flow, waiting: Waiting) -> u64 {
        if !self.ask(rule, flow, waiting.since) {
            return 1;
        }
        let negotiation = self.negotiations.entry(key(rule, &flow)).or_default();
        self.bytes += waiting.packet.len();
        negotiation.packets.push_back(waiting);
        let mut dropped = 0;
        while negotiation.packets.len() > MAX_PENDING_PACKETS || self.bytes > MAX_PENDING_BYTES {
            let Some(oldest) = negotiation.packets.pop_front() else {
                break;
            };
            self.bytes -= oldest.packet.len();
            dropped += 1;
        }
        dropped
    }

    /// The next request for an SA.
    pub(crate) fn poll_acquire(&mut self) -> Option<Acquire> {
        self.acquires.pop_front()
    }

    /// Drops what has waited too long and returns how many packets that were.
    pub(crate) fn expire(&mut self, now: u64) -> u64 {
        let mut dropped = 0;
        let mut bytes = 0;
        self.negotiations.retain(|_, negotiation| {
            while let Some(oldest) = negotiation.packets.front() {
                if now < oldest.since.saturating_add(MAX_PENDING_AGE) {
                    break;
                }
                bytes += oldest.packet.len();
                dropped += 1;
                negotiation.packets.pop_front();
            }
            let asked = negotiation
                .asked
                .unwrap_or(0)
                .saturating_add(ACQUIRE_INTERVAL);
            !negotiation.packets.is_empty() || now < asked
        });
        self.bytes -= bytes;
        dropped
    }

    /// Packets that wait.
    pub(crate) fn len(&self) -> usize {
        self.negotiations
            .values()
            .map(|negotiation| negotiation.packets.len())
            .sum()
    }

    /// Takes out every packet whose negotiation is wanted, oldest first within each.
    pub(crate) fn take(&mut self, wanted: impl Fn(&Key) -> bool) -> Vec<Waiting> {
        let mut taken = Vec::new();
        self.negotiations.retain(|key, negotiation| {
            let take = wanted(key);
            if take {
                taken.extend(negotiation.packets.drain(..));
            }
            !take
        });
        self.bytes -= taken
            .iter()
            .map(|waiting| waiting.packet.len())
            .sum::<usize>();
        taken
    }
}

fn key(rule: &RuleName, flow: &Flow) -> Key {
    Key {
        rule: rule.clone(),
        source: flow.src,
        destination: flow.dst,
    }
}
