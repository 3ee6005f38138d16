//! The secret that the members share: it authenticates every heartbeat (HMAC-SHA-256, RFC 2104).

use std::fmt;

use crypto::hmac;

use crate::limits::{MAX_KEY, MIN_KEY};

/// Length of the authentication tag of a heartbeat, in bytes: the whole HMAC-SHA-256.
pub(crate) const TAG_LENGTH: usize = 32;

/// Says what is authenticated, so that a tag made for anything else never fits.
const DOMAIN: &[u8] = b"holdfast cluster heartbeat 1\0";

/// As [`DOMAIN`], for what is made of the key.
const DERIVED: &[u8] = b"holdfast cluster derived 1\0";

/// The secret shared by the members of one cluster, wiped on drop.
pub struct ClusterKey(crypto::Secret);

/// A secret of a wrong length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadKey {
    /// Its length in bytes.
    pub length: usize,
}

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BadKey { length } = self;
        write!(
            f,
            "The cluster key has {length} bytes; it needs {MIN_KEY} to {MAX_KEY}. Make one with \
             `openssl rand -hex 32` and give every node the same."
        )
    }
}

impl std::error::Error for BadKey {}

impl ClusterKey {
    /// Takes over 32 to 256 random bytes.
    ///
    /// # Errors
    /// [`BadKey`] when there are fewer or more.
    pub fn new(secret: crypto::Secret) -> Result<Self, BadKey> {
        let length = secret.len();
        if (MIN_KEY..=MAX_KEY).contains(&length) {
            Ok(Self(secret))
        } else {
            Err(BadKey { length })
        }
    }

    /// As [`ClusterKey::new`], copying the bytes: the caller wipes its own copy.
    ///
    /// # Errors
    /// [`BadKey`] when there are fewer than 32 or more than 256 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, BadKey> {
        Self::new(crypto::Secret::from_slice(bytes))
    }

    /// A secret of 32 octets for another purpose, the same on every member; nothing follows from
    /// it for the key or for a secret with another label.
    #[must_use]
    pub fn derive(&self, label: &str) -> crypto::Secret {
        let secret = hmac::sha256(self.0.as_bytes(), &[DERIVED, label.as_bytes()]);
        crypto::Secret::from_slice(&secret)
    }

    pub(crate) fn tag(&self, body: &[u8]) -> [u8; TAG_LENGTH] {
        hmac::sha256(self.0.as_bytes(), &[DOMAIN, body])
    }

    pub(crate) fn verify(&self, body: &[u8], tag: &[u8]) -> bool {
        crypto::constant_time_eq(&self.tag(body), tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_secrets() {
        assert_eq!(
            ClusterKey::from_slice(&[7; 31]).err(),
            Some(BadKey { length: 31 })
        );
        assert_eq!(
            ClusterKey::from_slice(&[7; 257]).err(),
            Some(BadKey { length: 257 })
        );
        assert!(ClusterKey::from_slice(&[7; 32]).is_ok());
    }

    #[test]
    fn secrets_of_other_purposes_differ_and_are_no_tags() {
        let key = ClusterKey::from_slice(&[7; 32]).unwrap();
        let other = ClusterKey::from_slice(&[8; 32]).unwrap();
        let one = key.derive("one");
        assert!(one.constant_time_eq(&key.derive("one")));
        assert!(!one.constant_time_eq(&key.derive("two")));
        assert!(!one.constant_time_eq(&other.derive("one")));
        assert!(!key.verify(b"one", one.as_bytes()));
    }

    #[test]
    fn a_tag_fits_its_body_and_key_only() {
        let key = ClusterKey::from_slice(&[7; 32]).unwrap();
        let other = ClusterKey::from_slice(&[8; 32]).unwrap();
        let tag = key.tag(b"body");
        assert!(key.verify(b"body", &tag));
        assert!(!key.verify(b"Body", &tag));
        assert!(!key.verify(b"body", &tag[..16]));
        assert!(!key.verify(b"body", b""));
        assert!(!other.verify(b"body", &tag));
    }
}
