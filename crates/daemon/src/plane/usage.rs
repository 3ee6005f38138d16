//! What each pair of SAs has carried, read from counters that the workers write.

use esp::{SaCounters, SaUsage};
use policy::{ChildId, SaSpec};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Pairs that are looked at in one turn, so that a host with very many does nothing else for less
/// than a few milliseconds. With a turn each 200 ms, 100,000 of them take 2.6 s.
const LOOKED_AT: usize = 8192;

/// The counters of both directions at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChildUsage {
    /// Opened.
    pub(crate) inbound: SaUsage,
    /// Sealed.
    pub(crate) outbound: SaUsage,
    begun: Instant,
}

impl ChildUsage {
    /// When the last valid packet came in.
    pub(crate) fn last_inbound(&self) -> Option<Instant> {
        self.moment(self.inbound.last_used)
    }

    /// When the last packet went out.
    pub(crate) fn last_outbound(&self) -> Option<Instant> {
        self.moment(self.outbound.last_used)
    }

    fn moment(&self, nanoseconds: u64) -> Option<Instant> {
        (nanoseconds > 0).then(|| self.begun + Duration::from_nanos(nanoseconds))
    }

    /// As IKE wants to know it.
    pub(crate) fn for_ike(&self) -> ike::Usage {
        ike::Usage {
            inbound_bytes: self.inbound.bytes,
            inbound_packets: self.inbound.packets,
            outbound_bytes: self.outbound.bytes,
            outbound_packets: self.outbound.packets.max(self.outbound.sequence),
            last_inbound: self.last_inbound(),
            last_outbound: self.last_outbound(),
        }
    }
}

/// Packets and bytes of all SAs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) packets_in: u64,
    pub(crate) bytes_in: u64,
    pub(crate) packets_out: u64,
    pub(crate) bytes_out: u64,
}

impl Totals {
    fn add(&mut self, usage: &ChildUsage) {
        self.packets_in += usage.inbound.packets;
        self.bytes_in += usage.inbound.bytes;
        self.packets_out += usage.outbound.packets;
        self.bytes_out += usage.outbound.bytes;
    }
}

struct Counters {
    inbound: Arc<SaCounters>,
    outbound: Arc<SaCounters>,
    begun: Instant,
    /// Packets in and out when IKE was told last.
    told: (u64, u64),
    /// The outbound sequence number then, when that was, and numbers a second before it.
    pace: (u64, Instant, f64),
}

impl Counters {
    fn usage(&self) -> ChildUsage {
        let (inbound, outbound) = (self.inbound.usage(), self.outbound.usage());
        ChildUsage {
            inbound,
            outbound,
            begun: self.begun,
        }
    }

    fn keep_pace(&mut self, sequence: u64, now: Instant) {
        let (before, at, _) = self.pace;
        let seconds = now.saturating_duration_since(at).as_secs_f64();
        if seconds > 0.0 {
            let rate = sequence.saturating_sub(before) as f64 / seconds;
            self.pace = (sequence, now, rate);
        }
    }
}

/// The counters of every pair that is installed, and the sums of those that were.
#[derive(Default)]
pub(crate) struct Book {
    pairs: BTreeMap<ChildId, Counters>,
    /// The last pair that was looked at.
    last: Option<ChildId>,
    gone: Totals,
}

impl Book {
    pub(crate) fn enter(
        &mut self,
        spec: &SaSpec,
        inbound: Arc<SaCounters>,
        outbound: Arc<SaCounters>,
        begun: Instant,
    ) {
        self.pairs.insert(
            spec.id,
            Counters {
                inbound,
                outbound,
                begun,
                told: (0, 0),
                pace: (0, Instant::now(), 0.0),
            },
        );
    }

    pub(crate) fn strike(&mut self, child: ChildId) {
        if let Some(counters) = self.pairs.remove(&child) {
            self.gone.add(&counters.usage());
        }
    }

    /// Those of the next pairs in turn that have carried something since they were looked at last.
    pub(crate) fn moved(&mut self) -> Vec<(ChildId, ChildUsage)> {
        let mut moved = Vec::new();
        let now = Instant::now();
        let after = self.last.take().map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.pairs.range_mut((after, Bound::Unbounded));
        for (index, (child, counters)) in next.take(LOOKED_AT).enumerate() {
            if index + 1 == LOOKED_AT {
                self.last = Some(*child);
            }
            let usage = counters.usage();
            counters.keep_pace(usage.outbound.sequence, now);
            let packets = (usage.inbound.packets, usage.outbound.packets);
            if packets != counters.told {
                counters.told = packets;
                moved.push((*child, usage));
            }
        }
        moved
    }

    pub(crate) fn usage_of(&self, child: ChildId) -> Option<ChildUsage> {
        self.pairs.get(&child).map(Counters::usage)
    }

    /// The last sequence number that a pair has sent from here, and how many a second it uses;
    /// `None` if it has sent none.
    pub(crate) fn pace_of(&self, child: ChildId) -> Option<(u64, f64)> {
        let counters = self.pairs.get(&child)?;
        let sequence = counters.outbound.usage().sequence;
        (sequence > 0).then_some((sequence, counters.pace.2))
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = self.gone;
        self.pairs
            .values()
            .for_each(|counters| totals.add(&counters.usage()));
        totals
    }
}
