//! The numbers by which this daemon knows what is its own in the kernel: SAs by their reqid,
//! policies by their index; each begins with `H`.

use std::collections::BTreeSet;

/// The first octet of all of them.
const OURS: u32 = 0x48;
/// The reqids of lines of the policy, which no SA has: what meets one finds none, and asks.
const LINES: u32 = 0x4880_0000;
/// The reqid of SAs that only try out what the kernel can.
pub(crate) const PROBE: u32 = 0x4800_0000;

/// Whether a reqid or an index is ours.
pub(crate) fn is_ours(number: u32) -> bool {
    number >> 24 == OURS
}

/// The reqid of a line of the policy.
pub(crate) fn of_line(place: usize) -> u32 {
    LINES
        + u32::try_from(place)
            .unwrap_or(u32::MAX)
            .min(LINES - PROBE - 1)
}

/// Whether a reqid is one of a line.
pub(crate) fn is_line(reqid: u32) -> bool {
    is_ours(reqid) && reqid >= LINES
}

/// Gives out the reqids of SAs.
pub(crate) struct Numbers {
    last: u32,
    used: BTreeSet<u32>,
}

impl Numbers {
    pub(crate) fn new() -> Self {
        Numbers {
            last: PROBE,
            used: BTreeSet::new(),
        }
    }

    /// One that is not in use; `None` when eight million are.
    pub(crate) fn take(&mut self) -> Option<u32> {
        let room = LINES - PROBE - 1;
        for _ in 0..=self.used.len() {
            self.last = PROBE + 1 + (self.last - PROBE) % room;
            if self.used.insert(self.last) {
                return Some(self.last);
            }
        }
        None
    }

    /// Whether somebody has it.
    pub(crate) fn has(&self, number: u32) -> bool {
        self.used.contains(&number)
    }

    /// Gives one back.
    pub(crate) fn give_back(&mut self, number: u32) {
        self.used.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ours_and_never_twice() {
        let mut numbers = Numbers::new();
        let first: Vec<u32> = (0..3).filter_map(|_| numbers.take()).collect();
        assert_eq!(first, [0x4800_0001, 0x4800_0002, 0x4800_0003]);
        numbers.give_back(0x4800_0002);
        numbers.last = LINES - 1;
        assert_eq!(
            numbers.take(),
            Some(0x4800_0002),
            "round, and past what is used"
        );
        assert!(is_ours(of_line(usize::MAX)) && is_line(of_line(0)) && !is_line(0x4800_0001));
        assert!(!is_ours(0x4700_0001) && !is_line(0xc900_0000));
    }
}
