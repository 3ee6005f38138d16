//! The anti-replay window, with and without extended numbers (RFC 4303 3.4.3, App. A; RFC 6479).

#[cfg(test)]
mod tests;

/// Smallest window kept, in packets: RFC 4303 requires 32, one word of the ring holds 64.
pub const MIN_WINDOW: u32 = 64;
/// Largest window kept, in packets: 4 KiB of bits for one SA.
pub const MAX_WINDOW: u32 = 1 << 15;

const WORD_BITS: u64 = 64;

/// Why the window refused a sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Zero is never sent: counters start at 1.
    Zero,
    /// Older than the window's left edge.
    TooOld,
    /// Received before.
    Seen,
}

/// The sliding window of one inbound SA.
///
/// The bits live in a ring that is one word longer than the window, so that moving forward clears
/// whole words and never shifts (RFC 6479). [`infer`](Self::infer) and [`check`](Self::check) are
/// asked before the ICV is verified and change nothing; [`accept`](Self::accept) is called after.
pub struct ReplayWindow {
    esn: bool,
    size: u64,
    highest: u64,
    ring: Box<[u64]>,
}

impl ReplayWindow {
    /// A window of `size` packets, taken into [`MIN_WINDOW`]`..=`[`MAX_WINDOW`] and rounded up to a
    /// multiple of 64; `esn` says whether the SA uses 64-bit numbers.
    #[must_use]
    pub fn new(size: u32, esn: bool) -> Self {
        let size = u64::from(size.clamp(MIN_WINDOW, MAX_WINDOW)).next_multiple_of(WORD_BITS);
        let words = (size / WORD_BITS + 1).next_power_of_two();
        let ring = vec![0; usize::try_from(words).unwrap_or(usize::MAX)].into_boxed_slice();
        ReplayWindow {
            esn,
            size,
            highest: 0,
            ring,
        }
    }

    /// The highest sequence number accepted so far; 0 before the first.
    #[must_use]
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// The number of packets the window covers.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The full sequence number that the 32 bits of a packet stand for (RFC 4303 App. A2.2).
    ///
    /// Without extended numbers that is the number itself. With them the high half is the one that
    /// puts the packet inside the window, or else ahead of it: case A when the window lies within
    /// one 2^32 subspace, case B when it spans two.
    ///
    /// # Errors
    /// [`Refused::TooOld`] when the number would lie before the first or after the last subspace.
    pub fn infer(&self, low: u32) -> Result<u64, Refused> {
        if !self.esn {
            return Ok(u64::from(low));
        }
        let top_high = self.highest >> 32;
        let top_low = self.highest & 0xffff_ffff;
        let low = u64::from(low);
        let high = if top_low >= self.size - 1 {
            if low + self.size > top_low {
                top_high
            } else {
                top_high + 1
            }
        } else if low >= (top_low + (1 << 32)) - (self.size - 1) {
            top_high.checked_sub(1).ok_or(Refused::TooOld)?
        } else {
            top_high
        };
        if high > u64::from(u32::MAX) {
            Err(Refused::TooOld)
        } else {
            Ok(high << 32 | low)
        }
    }

    /// Whether this number could still be accepted.
    ///
    /// # Errors
    /// [`Refused`] when it is zero, older than the window, or was received before.
    pub fn check(&self, sequence: u64) -> Result<(), Refused> {
        if sequence == 0 {
            return Err(Refused::Zero);
        }
        if sequence > self.highest {
            return Ok(());
        }
        if self.highest - sequence >= self.size {
            return Err(Refused::TooOld);
        }
        let (word, bit) = self.place(sequence);
        match self.ring.get(word) {
            Some(bits) if bits & bit == 0 => Ok(()),
            _ => Err(Refused::Seen),
        }
    }

    /// Records a number whose packet was authentic. A number that [`check`](Self::check) refuses
    /// changes nothing.
    pub fn accept(&mut self, sequence: u64) {
        if self.check(sequence).is_err() {
            return;
        }
        if sequence > self.highest {
            let from = self.highest / WORD_BITS;
            let steps = (sequence / WORD_BITS - from).min(self.ring.len() as u64);
            for step in 1..=steps {
                let word = self.index(from + step);
                if let Some(bits) = self.ring.get_mut(word) {
                    *bits = 0;
                }
            }
            self.highest = sequence;
        }
        let (word, bit) = self.place(sequence);
        if let Some(bits) = self.ring.get_mut(word) {
            *bits |= bit;
        }
    }

    /// Refuses every number up to and including this one from now on: for a holder of the SA who
    /// takes over from another and does not know exactly what that one received. Never goes back.
    pub fn set_floor(&mut self, sequence: u64) {
        if sequence >= self.highest {
            self.highest = sequence;
            self.ring.fill(u64::MAX);
            let word = self.index(sequence / WORD_BITS);
            if let Some(bits) = self.ring.get_mut(word) {
                *bits = u64::MAX >> (WORD_BITS - 1 - sequence % WORD_BITS);
            }
        }
    }

    fn place(&self, sequence: u64) -> (usize, u64) {
        (
            self.index(sequence / WORD_BITS),
            1 << (sequence % WORD_BITS),
        )
    }

    /// The ring is a power of two long, so that the remainder is a mask.
    fn index(&self, word: u64) -> usize {
        (word as usize) & (self.ring.len() - 1)
    }
}
