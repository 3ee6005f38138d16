//! What each pair of SAs has carried, as the kernel tells it.

use crate::plane::ChildUsage;
use crate::plane::nanoseconds;
use crate::plane::usage::{Totals, Way as Direction};
use esp::SaUsage;
use policy::ChildId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// One pair.
#[derive(Default)]
struct Account {
    /// Of the SAs that the kernel has now.
    now: [SaUsage; 2],
    /// Of those in whose place they are: an SA that stopped at its limit, or moved.
    before: [SaUsage; 2],
    pace: Option<(u64, Instant, f64)>,
}

/// All of them.
pub(crate) struct Book {
    begun: Instant,
    accounts: BTreeMap<ChildId, Account>,
    moved: BTreeSet<ChildId>,
    gone: Totals,
}

fn place(direction: Direction) -> usize {
    match direction {
        Direction::In => 0,
        Direction::Out => 1,
    }
}

impl Book {
    pub(crate) fn new(begun: Instant) -> Self {
        Book {
            begun,
            accounts: BTreeMap::new(),
            moved: BTreeSet::new(),
            gone: Totals::default(),
        }
    }

    /// An SA has carried so much since it is in the kernel, up to this number.
    pub(crate) fn note(
        &mut self,
        child: ChildId,
        direction: Direction,
        (packets, bytes): (u64, u64),
        sequence: u64,
    ) {
        let now = nanoseconds(self.begun);
        let account = self.accounts.entry(child).or_default();
        let Some(usage) = account.now.get_mut(place(direction)) else {
            return;
        };
        if packets == usage.packets {
            return;
        }
        *usage = SaUsage {
            packets,
            bytes,
            sequence,
            last_used: now,
            ..*usage
        };
        self.moved.insert(child);
    }

    /// Another SA comes in the place of one.
    pub(crate) fn turn_page(&mut self, child: ChildId, direction: Direction) {
        let Some(account) = self.accounts.get_mut(&child) else {
            return;
        };
        let at = place(direction);
        if let (Some(now), Some(before)) = (account.now.get_mut(at), account.before.get_mut(at)) {
            before.packets += now.packets;
            before.bytes += now.bytes;
            now.packets = 0;
            now.bytes = 0;
        }
    }

    /// A pair is gone; what it carried stays in the totals.
    pub(crate) fn close(&mut self, child: ChildId) {
        if let Some(account) = self.accounts.remove(&child) {
            for direction in [Direction::In, Direction::Out] {
                self.gone.add(direction, &account.usage(direction));
            }
        }
        self.moved.remove(&child);
    }

    /// Pairs that have carried something since this was asked last.
    pub(crate) fn moved(&mut self) -> Vec<(ChildId, ChildUsage)> {
        let now = Instant::now();
        let moved = std::mem::take(&mut self.moved);
        for child in &moved {
            if let Some(account) = self.accounts.get_mut(child) {
                account.keep_pace(now);
            }
        }
        let usage = |child| Some((child, self.usage_of(child)?));
        moved.into_iter().filter_map(usage).collect()
    }

    pub(crate) fn usage_of(&self, child: ChildId) -> Option<ChildUsage> {
        let account = self.accounts.get(&child)?;
        Some(ChildUsage {
            inbound: account.usage(Direction::In),
            outbound: account.usage(Direction::Out),
            begun: self.begun,
        })
    }

    /// The last number that a pair has sent from here, and how many a second it uses.
    pub(crate) fn pace_of(&self, child: ChildId) -> Option<(u64, f64)> {
        let account = self.accounts.get(&child)?;
        let sequence = account.usage(Direction::Out).sequence;
        let rate = account.pace.map_or(0.0, |(_, _, rate)| rate);
        (sequence > 0).then_some((sequence, rate))
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = self.gone;
        for account in self.accounts.values() {
            for direction in [Direction::In, Direction::Out] {
                totals.add(direction, &account.usage(direction));
            }
        }
        totals
    }
}

impl Account {
    fn usage(&self, direction: Direction) -> SaUsage {
        let at = place(direction);
        let (Some(now), Some(before)) = (self.now.get(at), self.before.get(at)) else {
            return SaUsage::default();
        };
        SaUsage {
            packets: now.packets + before.packets,
            bytes: now.bytes + before.bytes,
            ..*now
        }
    }

    fn keep_pace(&mut self, now: Instant) {
        let sequence = self.usage(Direction::Out).sequence;
        let rate = match self.pace {
            Some((before, at, rate)) => {
                let seconds = now.saturating_duration_since(at).as_secs_f64();
                match seconds > 0.0 {
                    true => sequence.saturating_sub(before) as f64 / seconds,
                    false => rate,
                }
            }
            None => 0.0,
        };
        self.pace = Some((sequence, now, rate));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_sa_carried_is_kept_when_another_takes_its_place() {
        let mut book = Book::new(Instant::now());
        let child = ChildId(7);
        book.note(child, Direction::Out, (3, 300), 3);
        assert_eq!(book.moved().len(), 1);
        book.note(child, Direction::Out, (3, 300), 3);
        assert!(book.moved().is_empty(), "nothing new");
        book.turn_page(child, Direction::Out);
        book.note(child, Direction::Out, (1, 100), 1025);
        let usage = book.usage_of(child).unwrap().outbound;
        assert_eq!((usage.packets, usage.bytes, usage.sequence), (4, 400, 1025));
        assert!(usage.last_used > 0);
        assert_eq!(book.pace_of(child).unwrap().0, 1025);
        book.close(child);
        assert!(book.usage_of(child).is_none());
        assert_eq!(book.totals().packets_out, 4);
    }
}
