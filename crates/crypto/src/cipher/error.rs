//! Why a key was refused, and why data could not be sealed or opened.

use std::fmt;

use crate::suite::{Encryption, Integrity};

/// The ICV does not match, or a length cannot be authentic: the data is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticationFailed;

impl fmt::Display for AuthenticationFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the integrity check failed: the data was changed or the keys differ")
    }
}

impl std::error::Error for AuthenticationFailed {}

/// The caller broke the contract of [`crate::cipher::SealingKey::seal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealError {
    /// The IV does not have the length of the cipher's.
    WrongIv {
        /// Length of the cipher's IV, in bytes.
        expected: usize,
        /// Length of the slice given, in bytes.
        received: usize,
    },
    /// The room for the ICV does not have the ICV's length.
    WrongIcv {
        /// Length of the ICV, in bytes.
        expected: usize,
        /// Length of the slice given, in bytes.
        received: usize,
    },
    /// The plaintext was not padded to whole blocks.
    NotWholeBlocks {
        /// Length of a block, in bytes.
        block: usize,
        /// Length of the plaintext, in bytes.
        length: usize,
    },
    /// An AEAD has the high sequence number in its AAD, not behind the ciphertext.
    SuffixWithAead,
    /// The plaintext is longer than the cipher can take under one IV.
    TooLong,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SealError::WrongIv { expected, received } => {
                write!(
                    f,
                    "the IV has {received} bytes, the cipher needs {expected}"
                )
            }
            SealError::WrongIcv { expected, received } => {
                write!(
                    f,
                    "there is room for {received} bytes of ICV, it has {expected}"
                )
            }
            SealError::NotWholeBlocks { block, length } => {
                write!(
                    f,
                    "{length} bytes of plaintext are not whole blocks of {block}: pad first"
                )
            }
            SealError::SuffixWithAead => {
                f.write_str("an AEAD takes the high sequence number in its AAD, not as a suffix")
            }
            SealError::TooLong => f.write_str("the plaintext is too long for one packet"),
        }
    }
}

impl std::error::Error for SealError {}

/// Why algorithms and keys do not make a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// The cipher has no keys of this many bits, or they are not offered.
    UnknownKeyLength {
        /// The cipher asked for.
        encryption: Encryption,
    },
    /// The key material does not have [`Encryption::key_length`] bytes.
    WrongKeyLength {
        /// The cipher.
        encryption: Encryption,
        /// Bytes it needs, salt included.
        expected: usize,
        /// Bytes given.
        received: usize,
    },
    /// The integrity key does not have [`Integrity::key_length`] bytes (0 without integrity).
    WrongIntegrityKeyLength {
        /// The integrity algorithm, none for an AEAD.
        integrity: Option<Integrity>,
        /// Bytes it needs.
        expected: usize,
        /// Bytes given.
        received: usize,
    },
    /// One of the few keys of DES that are no use (RFC 2409 appendix A), or a 3DES whose keys are
    /// alike: whoever derives keys has to begin again, once in 2^52 times.
    WeakKey {
        /// The cipher.
        encryption: Encryption,
    },
    /// A cipher that does not authenticate is not run alone (RFC 8221 section 4).
    NoIntegrity {
        /// The cipher.
        encryption: Encryption,
    },
    /// An AEAD authenticates by itself; a second ICV is not defined (RFC 7296 section 3.3).
    IntegrityWithAead {
        /// The AEAD.
        encryption: Encryption,
        /// The algorithm given beside it.
        integrity: Integrity,
    },
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::UnknownKeyLength { encryption } => {
                write!(f, "{encryption} is not available: no such key length")
            }
            KeyError::WeakKey { encryption } => {
                write!(
                    f,
                    "the key is a weak one of {encryption}: negotiate another"
                )
            }
            KeyError::WrongKeyLength {
                encryption,
                expected,
                received,
            } => {
                write!(
                    f,
                    "{encryption} needs {expected} bytes of key material, not {received}"
                )
            }
            KeyError::WrongIntegrityKeyLength {
                integrity: Some(name),
                expected,
                received,
            } => {
                write!(f, "{name} needs a key of {expected} bytes, not {received}")
            }
            KeyError::WrongIntegrityKeyLength {
                integrity: None,
                received,
                ..
            } => {
                write!(
                    f,
                    "an integrity key of {received} bytes was given without an algorithm"
                )
            }
            KeyError::NoIntegrity { encryption } => {
                write!(
                    f,
                    "{encryption} does not authenticate: an integrity algorithm is missing"
                )
            }
            KeyError::IntegrityWithAead {
                encryption,
                integrity,
            } => {
                write!(
                    f,
                    "{encryption} authenticates by itself and cannot go with {integrity}"
                )
            }
        }
    }
}

impl std::error::Error for KeyError {}
