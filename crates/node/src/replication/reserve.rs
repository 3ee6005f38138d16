//! Blocks of sequence numbers: how many a pair gets at a time, and when it must ask again.

use std::time::{Duration, Instant};

/// Fewest numbers of a block: an idle pair burns at most so many in a takeover.
pub(crate) const MIN_BLOCK: u64 = 1 << 10;
/// Most: above a million packets in a tenth of a second the owner asks ten times a second.
pub(crate) const MAX_BLOCK: u64 = 1 << 20;
/// The ceiling of a new pair, whose first number is 1: one block.
pub(crate) const FIRST_CEILING: u64 = 1 + MIN_BLOCK;
/// A block that lasts shorter than this is too small.
const SHORT: Duration = Duration::from_millis(250);
/// One that lasts longer is too large.
const LONG: Duration = Duration::from_secs(10);
/// How much a block grows at once: a burst out of nothing reaches any rate in a few steps.
const GROWTH: u64 = 4;

/// The reservation of one direction of a pair.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reserve {
    /// The first number that may not be used, as the members in sync have stored it or soon will.
    pub(crate) ceiling: u64,
    block: u64,
    since: Instant,
}

impl Reserve {
    /// A reservation with this ceiling, whoever had it before.
    pub(crate) fn new(ceiling: u64, now: Instant) -> Self {
        Reserve {
            ceiling,
            block: MIN_BLOCK,
            since: now,
        }
    }

    /// The first block of a new pair.
    pub(crate) fn first(now: Instant) -> Self {
        Self::new(FIRST_CEILING, now)
    }

    /// Another block, for a pair that has come to `next`; `waiting`: a packet waits that needs more
    /// than is left. A request that was answered already gets nothing.
    pub(crate) fn refill(&mut self, next: u64, waiting: bool, now: Instant) -> bool {
        if next < self.refill_at() && !waiting {
            return false;
        }
        let lasted = now.saturating_duration_since(self.since);
        if lasted < SHORT {
            self.block = (self.block * GROWTH).min(MAX_BLOCK);
        } else if lasted > LONG {
            self.block = (self.block / 2).max(MIN_BLOCK);
        }
        self.since = now;
        self.ceiling = self.ceiling.max(next).saturating_add(self.block);
        true
    }

    /// The number at which the pair is to ask again: half of its block is left then.
    pub(crate) fn refill_at(&self) -> u64 {
        self.ceiling.saturating_sub(self.block / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_follow_the_rate() {
        #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
        let mut now = Instant::now();
        let mut reserve = Reserve::first(now);
        assert_eq!(reserve.ceiling, 1025);
        assert!(!reserve.refill(1, false, now), "nobody has used half of it");
        for _ in 0..6 {
            now += Duration::from_millis(1);
            assert!(reserve.refill(reserve.refill_at(), false, now));
        }
        assert_eq!(reserve.block, MAX_BLOCK);
        for _ in 0..30 {
            now += Duration::from_secs(60);
            assert!(reserve.refill(reserve.refill_at(), false, now));
        }
        assert_eq!(reserve.block, MIN_BLOCK);
        assert!(reserve.ceiling > reserve.refill_at());
    }

    #[test]
    fn a_pair_beyond_its_ceiling_gets_a_whole_block() {
        #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
        let now = Instant::now();
        let mut reserve = Reserve::new(500, now);
        assert!(reserve.refill(500, true, now));
        assert!(reserve.ceiling >= 500 + MIN_BLOCK);
    }
}
