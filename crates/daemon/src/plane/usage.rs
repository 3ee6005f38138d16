//! What each pair of SAs has carried, read from counters that the workers write.

use esp::{Counting, SaCounters, SaUsage};
use policy::ChildId;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
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
    pub(crate) begun: Instant,
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
    pub(crate) fn add(&mut self, way: Way, usage: &SaUsage) {
        let (packets, bytes) = match way {
            Way::In => (&mut self.packets_in, &mut self.bytes_in),
            Way::Out => (&mut self.packets_out, &mut self.bytes_out),
        };
        *packets += usage.packets;
        *bytes += usage.bytes;
    }

    fn add_both(&mut self, usage: &ChildUsage) {
        self.add(Way::In, &usage.inbound);
        self.add(Way::Out, &usage.outbound);
    }
}

/// A pair that has carried something: one that is only held has nothing here.
struct Counters {
    /// By direction, from when it has begun to count until its SA is gone.
    inbound: Option<Arc<SaCounters>>,
    outbound: Option<Arc<SaCounters>>,
    /// Packets in and out when IKE was told last.
    told: (u64, u64),
    pace: Option<Pace>,
}

/// How fast an outbound SA uses its numbers.
struct Pace {
    /// Its last number, and when that was read.
    sequence: u64,
    at: Instant,
    /// Numbers a second before that.
    rate: f64,
}

impl Counters {
    fn usage(&self, begun: Instant) -> ChildUsage {
        let of = |counters: &Option<Arc<SaCounters>>| counters.as_deref().map(SaCounters::usage);
        ChildUsage {
            inbound: of(&self.inbound).unwrap_or_default(),
            outbound: of(&self.outbound).unwrap_or_default(),
            begun,
        }
    }

    fn keep_pace(&mut self, sequence: u64, now: Instant) {
        let rate = match &self.pace {
            Some(Pace {
                sequence: before,
                at,
                rate,
            }) => match now.saturating_duration_since(*at).as_secs_f64() {
                seconds if seconds > 0.0 => sequence.saturating_sub(*before) as f64 / seconds,
                _ => *rate,
            },
            None => 0.0,
        };
        self.pace = Some(Pace {
            sequence,
            at: now,
            rate,
        });
    }

    /// Lets go of what nobody else holds: the SA is gone, and what it carried is `gone` with it.
    /// Answers whether anything is left.
    fn let_go(&mut self, gone: &mut Totals) -> bool {
        for (way, held) in [(Way::In, &mut self.inbound), (Way::Out, &mut self.outbound)] {
            if let Some(last) = held.take_if(|held| Arc::get_mut(held).is_some()) {
                gone.add(way, &last.usage());
            }
        }
        self.inbound.is_some() || self.outbound.is_some()
    }
}

/// Which way an SA that has begun to count goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    In,
    Out,
}

/// Where a worker tells of SAs that have begun to count. Nothing is lost on the way, and it holds
/// no more than there are SAs.
pub(crate) type Begun = Sender<(Way, Counting)>;

/// The counters of every pair that has carried something, and the sums of those that are gone.
///
/// A host may hold very many pairs and use few: an SA's counters are made by its worker when it is
/// used first, and come here then.
pub(crate) struct Book {
    begun: Instant,
    counting: Receiver<(Way, Counting)>,
    pairs: BTreeMap<ChildId, Counters>,
    /// The last pair that was looked at.
    last: Option<ChildId>,
    gone: Totals,
}

impl Book {
    /// An empty one, and where the workers tell it of SAs that count. Their clock began at `begun`.
    pub(crate) fn new(begun: Instant) -> (Self, Begun) {
        let (sender, counting) = channel();
        let book = Book {
            begun,
            counting,
            pairs: BTreeMap::new(),
            last: None,
            gone: Totals::default(),
        };
        (book, sender)
    }

    /// Takes in what the workers have told since.
    pub(crate) fn catch_up(&mut self) {
        while let Ok((way, Counting { child, counters })) = self.counting.try_recv() {
            let pair = self.pairs.entry(child).or_insert(Counters {
                inbound: None,
                outbound: None,
                told: (0, 0),
                pace: None,
            });
            let before = match way {
                Way::In => pair.inbound.replace(counters),
                Way::Out => pair.outbound.replace(counters),
            };
            // An SA in whose place another one of the same pair was installed.
            if let Some(before) = before {
                self.gone.add(way, &before.usage());
            }
        }
    }

    /// Those of the next pairs in turn that have carried something since they were looked at last.
    pub(crate) fn moved(&mut self) -> Vec<(ChildId, ChildUsage)> {
        self.catch_up();
        let (mut moved, mut ended) = (Vec::new(), Vec::new());
        let now = Instant::now();
        let after = self.last.take().map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.pairs.range_mut((after, Bound::Unbounded));
        for (index, (child, counters)) in next.take(LOOKED_AT).enumerate() {
            if index + 1 == LOOKED_AT {
                self.last = Some(*child);
            }
            let usage = counters.usage(self.begun);
            counters.keep_pace(usage.outbound.sequence, now);
            let packets = (usage.inbound.packets, usage.outbound.packets);
            if packets != counters.told {
                counters.told = packets;
                moved.push((*child, usage));
            }
            if !counters.let_go(&mut self.gone) {
                ended.push(*child);
            }
        }
        for child in ended {
            self.pairs.remove(&child);
        }
        moved
    }

    /// What a pair has carried; `None` if nothing, or if it is not there.
    pub(crate) fn usage_of(&self, child: ChildId) -> Option<ChildUsage> {
        let counters = self.pairs.get(&child)?;
        Some(counters.usage(self.begun))
    }

    /// The last sequence number that a pair has sent from here, and how many a second it uses;
    /// `None` if it has sent none.
    pub(crate) fn pace_of(&self, child: ChildId) -> Option<(u64, f64)> {
        let counters = self.pairs.get(&child)?;
        let sequence = counters.outbound.as_ref()?.usage().sequence;
        let rate = counters.pace.as_ref().map_or(0.0, |pace| pace.rate);
        (sequence > 0).then_some((sequence, rate))
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = self.gone;
        self.pairs
            .values()
            .for_each(|counters| totals.add_both(&counters.usage(self.begun)));
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(begun: &Begun, way: Way, child: u64) -> Arc<SaCounters> {
        let counters = Arc::<SaCounters>::default();
        let counting = Counting {
            child: ChildId(child),
            counters: Arc::clone(&counters),
        };
        begun.send((way, counting)).unwrap();
        counters
    }

    #[test]
    fn a_pair_is_in_the_book_from_its_first_packet_until_its_sas_are_gone() {
        let (mut book, begun) = Book::new(Instant::now());
        let inbound = tell(&begun, Way::In, 7);
        assert!(book.usage_of(ChildId(7)).is_none());
        book.catch_up();
        assert!(book.usage_of(ChildId(7)).is_some());
        assert_eq!(book.pace_of(ChildId(7)), None, "it has sent nothing");
        let outbound = tell(&begun, Way::Out, 7);
        assert!(book.moved().is_empty(), "nothing is counted yet");
        drop(inbound);
        book.moved();
        assert!(book.usage_of(ChildId(7)).is_some(), "one way is still here");
        drop(outbound);
        book.moved();
        assert!(book.usage_of(ChildId(7)).is_none());
    }

    #[test]
    fn of_very_many_pairs_a_part_is_looked_at_in_turn() {
        let (mut book, begun) = Book::new(Instant::now());
        let pairs = LOOKED_AT as u64 + 1;
        for child in 1..=pairs {
            drop(tell(&begun, Way::In, child));
        }
        book.moved();
        assert_eq!(book.pairs.len(), 1, "the last one has its turn next");
        book.moved();
        assert!(book.pairs.is_empty());
    }
}
