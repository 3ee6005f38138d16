//! Packets that wait for their SA, and the requests for it (RFC 4301 4.1).

use std::collections::VecDeque;
use std::net::IpAddr;

use policy::names::RuleName;
use wire::ip::Flow;

use crate::outbound::waiting::{Queues, Waiting};

/// Negotiations that packets wait for at the same time.
pub const MAX_NEGOTIATIONS: usize = 1024;
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

/// What one negotiation is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) rule: RuleName,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
}

/// Everything that waits.
pub(crate) struct Pending {
    negotiations: Queues<Key>,
    acquires: VecDeque<Acquire>,
}

impl Pending {
    /// Nothing waits.
    pub(crate) fn new() -> Self {
        Pending {
            negotiations: Queues::new(MAX_NEGOTIATIONS, ACQUIRE_INTERVAL),
            acquires: VecDeque::new(),
        }
    }

    /// Asks for the SA of a packet, unless that was done within [`ACQUIRE_INTERVAL`]. Says whether
    /// there is room for another negotiation.
    pub(crate) fn ask(&mut self, rule: &RuleName, flow: Flow, now: u64) -> bool {
        let asks = self.negotiations.asks(key(rule, &flow), now);
        if asks == Some(true) && self.acquires.len() < MAX_NEGOTIATIONS {
            self.acquires.push_back(Acquire {
                rule: rule.clone(),
                flow,
            });
        }
        asks.is_some()
    }

    /// Queues a packet and asks for its SA. Returns how many packets, this or older ones, found no
    /// room.
    pub(crate) fn push(&mut self, rule: &RuleName, flow: Flow, waiting: Waiting) -> u64 {
        if !self.ask(rule, flow, waiting.since) {
            return 1;
        }
        self.negotiations.push(key(rule, &flow), waiting)
    }

    /// The next request for an SA.
    pub(crate) fn poll_acquire(&mut self) -> Option<Acquire> {
        self.acquires.pop_front()
    }

    /// Drops what has waited too long and returns how many packets that were.
    pub(crate) fn expire(&mut self, now: u64) -> u64 {
        self.negotiations.expire(now)
    }

    /// Packets that wait.
    pub(crate) fn len(&self) -> usize {
        self.negotiations.len()
    }

    /// Takes out every packet whose negotiation is wanted, oldest first within each.
    pub(crate) fn take(&mut self, wanted: impl Fn(&Key) -> bool) -> Vec<Waiting> {
        self.negotiations.take(wanted)
    }
}

fn key(rule: &RuleName, flow: &Flow) -> Key {
    Key {
        rule: rule.clone(),
        source: flow.src,
        destination: flow.dst,
    }
}
