//! HMAC with the key prepared once (RFC 2104, RFC 4868; with the old hashes RFC 2403, RFC 2404).

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::suite::{Integrity, Prf};

/// Longest output of any HMAC here, in bytes (SHA-512).
pub const MAX_OUTPUT: usize = 64;

/// An HMAC key with both pads already hashed, wiped on drop.
pub struct HmacKey(State);

enum State {
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
    Sha1(Hmac<Sha1>),
    Md5(Hmac<Md5>),
}

impl HmacKey {
    /// The key of an integrity algorithm.
    #[must_use]
    pub fn for_integrity(integrity: Integrity, key: &[u8]) -> Self {
        HmacKey(match integrity {
            Integrity::HmacSha2_256_128 => State::Sha256(prepare(key)),
            Integrity::HmacSha2_384_192 => State::Sha384(prepare(key)),
            Integrity::HmacSha2_512_256 => State::Sha512(prepare(key)),
            Integrity::HmacSha1_96 => State::Sha1(prepare(key)),
            Integrity::HmacMd5_96 => State::Md5(prepare(key)),
        })
    }

    /// The key of a PRF.
    #[must_use]
    pub fn for_prf(prf: Prf, key: &[u8]) -> Self {
        HmacKey(match prf {
            Prf::HmacSha2_256 => State::Sha256(prepare(key)),
            Prf::HmacSha2_384 => State::Sha384(prepare(key)),
            Prf::HmacSha2_512 => State::Sha512(prepare(key)),
            Prf::HmacSha1 => State::Sha1(prepare(key)),
            Prf::HmacMd5 => State::Md5(prepare(key)),
        })
    }

    /// Writes the HMAC of the concatenated parts, cut to `output.len()` bytes.
    ///
    /// An `output` longer than the hash keeps its bytes beyond the hash.
    pub fn sign(&self, parts: &[&[u8]], output: &mut [u8]) {
        match &self.0 {
            State::Sha256(key) => sign(key, parts, output),
            State::Sha384(key) => sign(key, parts, output),
            State::Sha512(key) => sign(key, parts, output),
            State::Sha1(key) => sign(key, parts, output),
            State::Md5(key) => sign(key, parts, output),
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

fn prepare<M: Mac + KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).expect("HMAC takes a key of any length (RFC 2104)")
}

fn sign<M: Mac + Clone>(key: &M, parts: &[&[u8]], output: &mut [u8]) {
    let mut mac = key.clone();
    for part in parts {
        mac.update(part);
    }
    let mut tag = mac.finalize().into_bytes();
    for (to, from) in output.iter_mut().zip(&tag) {
        *to = *from;
    }
    tag.as_mut_slice().zeroize();
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
