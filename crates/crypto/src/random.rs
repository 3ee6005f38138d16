//! The seam for randomness: the caller brings the generator.

use zeroize::Zeroizing;

use crate::hmac;

/// A source of random bytes. The operating system's lives in the daemon; the simulator and the
/// tests use [`SeededRandom`].
pub trait Random {
    /// Fills the whole slice. A source that cannot deliver must stop the program, not return.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// A generator that always gives the same bytes for the same seed: HMAC-SHA-256 of a counter.
///
/// **Never for production**: who knows the seed knows every key. It exists so that a simulation
/// or a test can be run again from its seed.
pub struct SeededRandom {
    key: Zeroizing<[u8; 32]>,
    counter: u64,
    block: Zeroizing<[u8; 32]>,
    used: usize,
}

impl SeededRandom {
    /// The generator of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let key = hmac::sha256(b"holdfast seeded random", &[&seed.to_be_bytes()]);
        SeededRandom {
            key: Zeroizing::new(key),
            counter: 0,
            block: Zeroizing::new([0; 32]),
            used: 32,
        }
    }

    fn refill(&mut self) {
        *self.block = hmac::sha256(&*self.key, &[&self.counter.to_be_bytes()]);
        self.counter = self.counter.wrapping_add(1);
        self.used = 0;
    }
}

impl Random for SeededRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.used >= self.block.len() {
                self.refill();
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }
}
