//! Unkeyed hashes (FIPS 180-4): SHA-1 for NAT detection (RFC 7296 section 2.23), SHA-256, and those
//! that IKEv1 negotiates, with MD5 (RFC 1321).

use aws_lc_rs::digest;
use md5::{Digest, Md5};

use crate::suite::Prf;

/// SHA-1 of the concatenated parts. Not for signatures or key derivation.
#[must_use]
pub fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    digest_of(&digest::SHA1_FOR_LEGACY_USE_ONLY, parts)
}

/// SHA-256 of the concatenated parts.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    digest_of(&digest::SHA256, parts)
}

/// MD5 of the concatenated parts (RFC 1321). For peers that have nothing else.
#[must_use]
pub fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// The hash whose HMAC a PRF is.
pub(crate) fn of_prf(prf: Prf, parts: &[&[u8]]) -> Vec<u8> {
    match prf {
        Prf::HmacSha2_256 => digest_of::<32>(&digest::SHA256, parts).to_vec(),
        Prf::HmacSha2_384 => digest_of::<48>(&digest::SHA384, parts).to_vec(),
        Prf::HmacSha2_512 => digest_of::<64>(&digest::SHA512, parts).to_vec(),
        Prf::HmacSha1 => sha1(parts).to_vec(),
        Prf::HmacMd5 => md5(parts).to_vec(),
    }
}

fn digest_of<const N: usize>(algorithm: &'static digest::Algorithm, parts: &[&[u8]]) -> [u8; N] {
    let mut context = digest::Context::new(algorithm);
    for part in parts {
        context.update(part);
    }
    let mut output = [0; N];
    output.copy_from_slice(context.finish().as_ref());
    output
}
