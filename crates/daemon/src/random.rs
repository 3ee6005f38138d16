//! Randomness from the operating system (getrandom(2)).

use crypto::Random;

/// The operating system's generator.
pub(crate) struct OsRandom;

impl Random for OsRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        // A kernel without randomness cannot run IPsec; a key that is not random is worse than
        // a daemon that does not run.
        #[expect(clippy::expect_used, reason = "there is no safe way to go on")]
        getrandom::fill(bytes).expect("the kernel gave no randomness");
    }
}
