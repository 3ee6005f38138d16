//! Queues of packets that cannot leave yet: bounded in number, bytes and time (RFC 4301 4.1).

use std::collections::{BTreeMap, VecDeque};

use crate::offload::Offload;

/// Packets in one queue; the oldest goes first when more come.
pub const MAX_PENDING_PACKETS: usize = 64;
/// Bytes in all queues of one kind.
pub const MAX_PENDING_BYTES: usize = 4 << 20;
/// How long a packet waits at most, in nanoseconds: as long as an answer to it could be of use.
pub const MAX_PENDING_AGE: u64 = 30_000_000_000;

/// A packet that waits.
pub(crate) struct Waiting {
    pub(crate) packet: Box<[u8]>,
    pub(crate) offload: Offload,
    pub(crate) since: u64,
}

impl Waiting {
    /// A copy of a packet that begins to wait now.
    pub(crate) fn new(packet: &[u8], offload: &Offload, now: u64) -> Self {
        Waiting {
            packet: packet.into(),
            offload: *offload,
            since: now,
        }
    }
}

#[derive(Default)]
struct Queue {
    packets: VecDeque<Waiting>,
    asked: Option<u64>,
}

/// Packets that wait, by what they wait for.
pub(crate) struct Queues<K> {
    queues: BTreeMap<K, Queue>,
    /// Queues at the same time.
    limit: usize,
    /// How long until what a queue waits for is asked for again, in nanoseconds.
    interval: u64,
    bytes: usize,
}

impl<K: Ord> Queues<K> {
    /// No queues, of which there may be `limit`; what one waits for is asked for every `interval`
    /// nanoseconds.
    pub(crate) fn new(limit: usize, interval: u64) -> Self {
        Queues {
            queues: BTreeMap::new(),
            limit,
            interval,
            bytes: 0,
        }
    }

    /// Whether to ask for something now; `None` when there is no room for another queue.
    pub(crate) fn asks(&mut self, key: K, now: u64) -> Option<bool> {
        if self.queues.len() >= self.limit && !self.queues.contains_key(&key) {
            return None;
        }
        let queue = self.queues.entry(key).or_default();
        let interval = self.interval;
        let asks = queue
            .asked
            .is_none_or(|asked| now >= asked.saturating_add(interval));
        if asks {
            queue.asked = Some(now);
        }
        Some(asks)
    }

    /// Puts a packet at the end of its queue. Returns how many packets of that queue, this or older
    /// ones, found no room.
    pub(crate) fn push(&mut self, key: K, waiting: Waiting) -> u64 {
        let queue = self.queues.entry(key).or_default();
        self.bytes += waiting.packet.len();
        queue.packets.push_back(waiting);
        let mut dropped = 0;
        while queue.packets.len() > MAX_PENDING_PACKETS || self.bytes > MAX_PENDING_BYTES {
            let Some(oldest) = queue.packets.pop_front() else {
                break;
            };
            self.bytes -= oldest.packet.len();
            dropped += 1;
        }
        dropped
    }

    /// Drops what has waited too long and returns how many packets that were.
    pub(crate) fn expire(&mut self, now: u64) -> u64 {
        let mut dropped = 0;
        let mut bytes = 0;
        let interval = self.interval;
        self.queues.retain(|_, queue| {
            while let Some(oldest) = queue.packets.front() {
                if now < oldest.since.saturating_add(MAX_PENDING_AGE) {
                    break;
                }
                bytes += oldest.packet.len();
                dropped += 1;
                queue.packets.pop_front();
            }
            let asked = queue.asked.unwrap_or(0).saturating_add(interval);
            !queue.packets.is_empty() || now < asked
        });
        self.bytes -= bytes;
        dropped
    }

    /// Packets that wait.
    pub(crate) fn len(&self) -> usize {
        self.queues.values().map(|queue| queue.packets.len()).sum()
    }

    /// Whether packets wait in this queue. Costs nothing while there is no queue at all.
    #[inline]
    pub(crate) fn is_waiting(&self, key: &K) -> bool {
        !self.queues.is_empty()
            && self
                .queues
                .get(key)
                .is_some_and(|queue| !queue.packets.is_empty())
    }

    /// The packet that has waited longest in a queue.
    pub(crate) fn first(&self, key: &K) -> Option<&Waiting> {
        self.queues.get(key)?.packets.front()
    }

    /// Takes that packet out.
    pub(crate) fn pop(&mut self, key: &K) -> Option<Waiting> {
        let waiting = self.queues.get_mut(key)?.packets.pop_front()?;
        self.bytes -= waiting.packet.len();
        Some(waiting)
    }

    /// What a queue waited for may be asked for again at once.
    pub(crate) fn answered(&mut self, key: &K) {
        if let Some(queue) = self.queues.get_mut(key) {
            queue.asked = None;
        }
    }

    /// Takes out every packet of the queues that are wanted, oldest first within each.
    pub(crate) fn take(&mut self, wanted: impl Fn(&K) -> bool) -> Vec<Waiting> {
        let mut taken = Vec::new();
        self.queues.retain(|key, queue| {
            let take = wanted(key);
            if take {
                taken.extend(queue.packets.drain(..));
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
