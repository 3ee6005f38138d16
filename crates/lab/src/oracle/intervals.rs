//! A set of numbers that mostly follow each other: runs instead of numbers, so it stays small.

use std::collections::BTreeMap;

/// Numbers, each with roughly when it was put in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intervals {
    /// First number of a run, to the rest of it; runs neither overlap nor touch.
    runs: BTreeMap<u128, Run>,
}

/// A run of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The last number.
    last: u128,
    /// The earliest and the latest time at which a number of it came, in microseconds.
    pub(crate) times: (u64, u64),
}

impl Intervals {
    /// Puts a number in that came at `at`, in microseconds.
    ///
    /// # Errors
    /// The run that has the number already.
    pub(crate) fn insert(&mut self, number: u128, at: u64) -> Result<(), Run> {
        if let Some(run) = self.find(number) {
            return Err(run);
        }
        let mut first = number;
        let mut run = Run {
            last: number,
            times: (at, at),
        };
        let mut join = |other: Run| {
            run.last = run.last.max(other.last);
            run.times.0 = run.times.0.min(other.times.0);
            run.times.1 = run.times.1.max(other.times.1);
        };
        let before = self.runs.range(..number).next_back();
        if let Some((&start, &other)) = before.filter(|(_, run)| run.last + 1 == number) {
            first = start;
            join(other);
        }
        let after = number.checked_add(1);
        if let Some(other) = after.and_then(|after| self.runs.remove(&after)) {
            join(other);
        }
        self.runs.insert(first, run);
        Ok(())
    }

    /// The run that has a number.
    pub(crate) fn find(&self, number: u128) -> Option<Run> {
        let (_, run) = self.runs.range(..=number).next_back()?;
        (run.last >= number).then_some(*run)
    }

    /// How many runs there are: what the set costs.
    pub(crate) fn len(&self) -> usize {
        self.runs.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_million_numbers_in_a_row_are_one_run() {
        let mut set = Intervals::default();
        for number in 0..1_000_000 {
            set.insert(number, number as u64).unwrap();
        }
        assert_eq!(set.len(), 1);
        let times = (0, 999_999);
        assert_eq!(set.insert(77, 2_000_000).unwrap_err().times, times);
    }

    #[test]
    fn it_agrees_with_a_plain_set_in_any_order() {
        let (mut set, mut plain) = (Intervals::default(), BTreeSet::new());
        let mut state = 1u64;
        for at in 0..20_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let number = u128::from(state >> 50);
            assert_eq!(set.insert(number, at).is_ok(), plain.insert(number));
        }
        for number in 0..1 << 14 {
            assert_eq!(set.find(number).is_some(), plain.contains(&number));
        }
        let runs = plain
            .iter()
            .filter(|n| **n == 0 || !plain.contains(&(**n - 1)));
        assert_eq!(set.len(), runs.count());
    }

    #[test]
    fn the_ends_of_the_range() {
        let mut set = Intervals::default();
        for number in [u128::MAX, 0, u128::MAX - 1, 1] {
            set.insert(number, 0).unwrap();
        }
        assert_eq!(set.len(), 2);
        assert!(set.insert(u128::MAX, 0).is_err() && set.insert(0, 0).is_err());
    }
}
