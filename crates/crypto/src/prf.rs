//! The pseudorandom functions of IKE and prf+ (RFC 7296 section 2.13).

use std::fmt;

use zeroize::Zeroizing;

use crate::hash;
use crate::hmac::{HmacKey, MAX_OUTPUT};
use crate::secret::Secret;
use crate::suite::Prf;

impl Prf {
    /// prf(key, parts\[0\] | parts\[1\] | ...): a secret of [`Prf::output_length`] bytes.
    ///
    /// The key may have any length; HMAC hashes what exceeds its block (RFC 2104).
    #[must_use]
    pub fn compute(self, key: &[u8], parts: &[&[u8]]) -> Secret {
        let mut output = vec![0; self.output_length()];
        HmacKey::for_prf(self, key).sign(parts, &mut output);
        Secret::new(output)
    }

    /// The hash that the PRF is made of, of the concatenated parts: IKEv1 negotiates a hash and has
    /// its HMAC as PRF (RFC 2409 section 4). It has [`Prf::output_length`] bytes.
    #[must_use]
    pub fn hash(self, parts: &[&[u8]]) -> Vec<u8> {
        hash::of_prf(self, parts)
    }
}

/// prf+(key, seed\[0\] | seed\[1\] | ...), cut to `length` bytes (RFC 7296 section 2.13).
///
/// # Errors
/// [`TooLong`] when more than 255 outputs of the PRF would be needed.
pub fn prf_plus(prf: Prf, key: &[u8], seed: &[&[u8]], length: usize) -> Result<Secret, TooLong> {
    let step = prf.output_length();
    let most = 255 * step;
    if length > most {
        return Err(TooLong {
            wanted: length,
            most,
        });
    }
    let key = HmacKey::for_prf(prf, key);
    // Allocated once: a vector that grows would leave parts of the key stream behind.
    let mut stream = Zeroizing::new(vec![0; length]);
    let mut last = Zeroizing::new([0u8; MAX_OUTPUT]);
    for (number, piece) in (1u8..=255).zip(stream.chunks_mut(step)) {
        let block = {
            let previous: &[u8] = if number == 1 { &[] } else { &last[..step] };
            let mut parts = Vec::with_capacity(seed.len() + 2);
            parts.push(previous);
            parts.extend_from_slice(seed);
            let counter = [number];
            parts.push(&counter);
            let mut block = Zeroizing::new([0u8; MAX_OUTPUT]);
            key.sign(&parts, &mut block[..step]);
            block
        };
        piece.copy_from_slice(&block[..piece.len()]);
        last = block;
    }
    Ok(Secret::new(std::mem::take(&mut *stream)))
}

/// prf+ ends after 255 outputs of the PRF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// Bytes asked for.
    pub wanted: usize,
    /// Bytes this PRF can give.
    pub most: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TooLong { wanted, most } = self;
        write!(
            f,
            "prf+ cannot give {wanted} bytes of key material, its counter ends at {most}"
        )
    }
}

impl std::error::Error for TooLong {}
