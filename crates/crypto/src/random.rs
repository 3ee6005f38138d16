//! The seam for randomness: the caller brings the generator.

use zeroize::Zeroizing;

use crate::hmac::HmacKey;
use crate::suite::Prf;

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
    key: HmacKey,
    counter: u64,
    block: Zeroizing<[u8; 32]>,
    used: usize,
}

impl SeededRandom {
    /// The generator of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        SeededRandom {
            key: HmacKey::for_prf(Prf::HmacSha2_256, &seed.to_be_bytes()),
            counter: 0,
            block: Zeroizing::new([0; 32]),
            used: 32,
        }
    }

    fn refill(&mut self) {
        self.key
            .sign(&[&self.counter.to_be_bytes()], &mut *self.block);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(random: &mut dyn Random, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        random.fill(&mut bytes);
        bytes
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_however_they_are_asked_for() {
        let all = bytes(&mut SeededRandom::new(7), 100);
        let mut random = SeededRandom::new(7);
        let pieces = [1, 31, 0, 33, 35]
            .map(|length| bytes(&mut random, length))
            .concat();
        assert_eq!(all, pieces);
        assert_ne!(all, bytes(&mut SeededRandom::new(8), 100));
    }

    #[test]
    fn blocks_do_not_repeat() {
        let all = bytes(&mut SeededRandom::new(1), 32 * 1000);
        let blocks: std::collections::BTreeSet<_> = all.chunks(32).collect();
        assert_eq!(blocks.len(), 1000);
    }

    /// Simulations recorded by seed must stay what they were. Computed with Python's hmac.
    #[test]
    fn the_stream_is_fixed() {
        let block = bytes(&mut SeededRandom::new(1), 32);
        assert_eq!(block[..8], [0x46, 0xe9, 0xbf, 0xd8, 0xfe, 0x39, 0xf7, 0x15]);
        assert_eq!(
            block[24..],
            [0x04, 0xc1, 0x96, 0xb9, 0x04, 0x35, 0x05, 0x5a]
        );
    }
}
