//! The anti-replay window, with and without extended numbers (RFC 4303 3.4.3, App. A; RFC 6479).

mod image;

#[cfg(test)]
mod tests;

pub use image::WindowImage;

use image::WORD_BITS;

/// Smallest window kept, in packets: RFC 4303 requires 32, one word of the ring holds 64.
pub const MIN_WINDOW: u32 = 64;
/// Largest window kept, in packets: 4 KiB of bits for one SA.
pub const MAX_WINDOW: u32 = 1 << 15;

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
///
/// The ring is made when the first number is recorded: an SA that a standby only holds has none.
pub struct ReplayWindow {
    esn: bool,
    size: u32,
    highest: u64,
    ring: Box<[u64]>,
}

impl ReplayWindow {
    /// A window of `size` packets, taken into [`MIN_WINDOW`]`..=`[`MAX_WINDOW`] and rounded up to a
    /// multiple of 64; `esn` says whether the SA uses 64-bit numbers.
    #[must_use]
    pub fn new(size: u32, esn: bool) -> Self {
        ReplayWindow {
            esn,
            size: size
                .clamp(MIN_WINDOW, MAX_WINDOW)
                .next_multiple_of(u64::BITS),
            highest: 0,
            ring: Box::default(),
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
        self.size.into()
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
        let (low, size) = (u64::from(low), self.size());
        let high = if top_low >= size - 1 {
            if low + size > top_low {
                top_high
            } else {
                top_high + 1
            }
        } else if low >= (top_low + (1 << 32)) - (size - 1) {
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
        if self.highest - sequence >= self.size() {
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
        if self.ring.is_empty() {
            self.make_ring();
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
        self.restore(&WindowImage::all_seen(sequence));
    }

    /// What has been seen, for another holder of the SA.
    #[must_use]
    pub fn image(&self) -> WindowImage {
        WindowImage::new(self.highest, |block| self.word(block))
    }

    /// Takes in what another holder of the SA had seen. Never goes back: what either has seen, or
    /// counted as too old, is refused from now on.
    pub fn restore(&mut self, image: &WindowImage) {
        if self.ring.is_empty() {
            self.make_ring();
        }
        let highest = self.highest.max(image.highest());
        let blocks = (0..=highest / WORD_BITS).rev();
        // Downwards, and no block twice: what is written was read, or belongs to no block any more.
        for block in blocks.take(self.ring.len()) {
            let merged = self.word(block) | image.word(block);
            let place = self.index(block);
            if let Some(bits) = self.ring.get_mut(place) {
                *bits = merged;
            }
        }
        self.highest = highest;
    }

    /// The bits of one block of 64 numbers.
    fn word(&self, block: u64) -> u64 {
        match (self.highest / WORD_BITS).checked_sub(block) {
            Some(age) if age < self.ring.len() as u64 => {
                let word = self.ring.get(self.index(block));
                word.copied().unwrap_or(u64::MAX)
            }
            Some(_) if !self.ring.is_empty() => u64::MAX,
            _ => 0,
        }
    }

    #[cold]
    fn make_ring(&mut self) {
        let words = (self.size / u64::BITS + 1).next_power_of_two();
        self.ring = vec![0; words as usize].into_boxed_slice();
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
