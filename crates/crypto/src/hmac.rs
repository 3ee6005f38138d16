//! HMAC-SHA-2 with the key prepared once (RFC 2104, RFC 4868).

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;

use crate::suite::{Integrity, Prf};

/// Longest output of any HMAC here, in bytes (SHA-512).
pub const MAX_OUTPUT: usize = 64;

/// An HMAC key with both pads already hashed.
pub struct HmacKey(hmac::Key);

impl HmacKey {
    /// The key of an integrity algorithm.
    #[must_use]
    pub fn for_integrity(integrity: Integrity, key: &[u8]) -> Self {
        let algorithm = match integrity {
            Integrity::HmacSha2_256_128 => hmac::HMAC_SHA256,
            Integrity::HmacSha2_384_192 => hmac::HMAC_SHA384,
            Integrity::HmacSha2_512_256 => hmac::HMAC_SHA512,
        };
        HmacKey(hmac::Key::new(algorithm, key))
    }

    /// The key of a PRF.
    #[must_use]
    pub fn for_prf(prf: Prf, key: &[u8]) -> Self {
        let algorithm = match prf {
            Prf::HmacSha2_256 => hmac::HMAC_SHA256,
            Prf::HmacSha2_384 => hmac::HMAC_SHA384,
            Prf::HmacSha2_512 => hmac::HMAC_SHA512,
        };
        HmacKey(hmac::Key::new(algorithm, key))
    }

    /// Writes the HMAC of the concatenated parts, cut to `output.len()` bytes.
    ///
    /// An `output` longer than the hash keeps its bytes beyond the hash.
    pub fn sign(&self, parts: &[&[u8]], output: &mut [u8]) {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        let tag = context.sign();
        for (to, from) in output.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
    }

    /// Whether `icv` is the HMAC of the parts cut to its own length, in constant time.
    ///
    /// The caller checks that `icv` has the length the algorithm prescribes: an empty one matches.
    #[must_use]
    pub fn verify(&self, parts: &[&[u8]], icv: &[u8]) -> bool {
        let mut expected = [0; MAX_OUTPUT];
        self.sign(parts, &mut expected);
        expected
            .get(..icv.len())
            .is_some_and(|expected| constant_time_eq(expected, icv))
    }
}

/// HMAC-SHA-256 of the concatenated parts.
#[must_use]
pub fn sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut output = [0; 32];
    HmacKey::for_prf(Prf::HmacSha2_256, key).sign(parts, &mut output);
    output
}

/// Whether two byte strings are equal, in time that depends on their lengths only.
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
