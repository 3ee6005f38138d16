//! Statistics of one SA, read by one thread while another writes them (RFC 4301 4.4.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use policy::sa::ChildId;

/// What one SA has carried. Written by the thread that owns the SA, read by any.
#[derive(Debug, Default)]
pub struct SaCounters {
    packets: AtomicU64,
    bytes: AtomicU64,
    last_used: AtomicU64,
    sequence: AtomicU64,
    replay_drops: AtomicU64,
    authentication_failures: AtomicU64,
    other_drops: AtomicU64,
}

/// One direction of a pair that has begun to count.
#[derive(Debug)]
pub struct Counting {
    /// The pair.
    pub child: ChildId,
    /// What is counted. Whoever else holds it is the SA: when nobody does, the SA is gone.
    pub counters: Arc<SaCounters>,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SaUsage {
    /// Packets sealed, or opened and accepted.
    pub packets: u64,
    /// Their bytes, as ESP datagrams from SPI to ICV.
    pub bytes: u64,
    /// When the last of them passed: nanoseconds of the caller's monotonic clock; 0 for never.
    pub last_used: u64,
    /// Outbound: the last sequence number used. Inbound: the highest accepted.
    pub sequence: u64,
    /// Inbound: packets that the replay window refused.
    pub replay_drops: u64,
    /// Inbound: packets whose ICV was wrong.
    pub authentication_failures: u64,
    /// Packets dropped after that: padding, selectors, form; outbound: the ceiling.
    pub other_drops: u64,
}

impl SaCounters {
    /// Reads all of them.
    #[must_use]
    pub fn usage(&self) -> SaUsage {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SaUsage {
            packets: read(&self.packets),
            bytes: read(&self.bytes),
            last_used: read(&self.last_used),
            sequence: read(&self.sequence),
            replay_drops: read(&self.replay_drops),
            authentication_failures: read(&self.authentication_failures),
            other_drops: read(&self.other_drops),
        }
    }

    /// Packets that passed, with the time and the sequence number after them.
    pub(crate) fn passed(&self, packets: u64, bytes: u64, sequence: u64, now: u64) {
        add(&self.packets, packets);
        add(&self.bytes, bytes);
        self.sequence.store(sequence, Ordering::Relaxed);
        self.last_used.store(now, Ordering::Relaxed);
    }

    /// One packet that the replay window refused.
    pub(crate) fn replayed(&self) {
        add(&self.replay_drops, 1);
    }

    /// One packet whose ICV was wrong.
    pub(crate) fn unauthentic(&self) {
        add(&self.authentication_failures, 1);
    }

    /// Packets dropped for any other reason.
    pub(crate) fn dropped(&self, packets: u64) {
        add(&self.other_drops, packets);
    }
}

/// There is one writer, so a load and a store are enough: no locked instruction per packet.
fn add(counter: &AtomicU64, amount: u64) {
    let value = counter.load(Ordering::Relaxed);
    counter.store(value.wrapping_add(amount), Ordering::Relaxed);
}
