//! Unkeyed hashes (FIPS 180-4): SHA-1 for NAT detection only (RFC 7296 section 2.23), SHA-256.

use aws_lc_rs::digest;

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

fn digest_of<const N: usize>(algorithm: &'static digest::Algorithm, parts: &[&[u8]]) -> [u8; N] {
    let mut context = digest::Context::new(algorithm);
    for part in parts {
        context.update(part);
    }
    let mut output = [0; N];
    output.copy_from_slice(context.finish().as_ref());
    output
}
