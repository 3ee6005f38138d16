//! Why a text is no proposal, or none that a peer may have.

use std::fmt;

/// More words than this are refused: there are not as many algorithms.
pub(crate) const MAX_WORDS: usize = 64;

/// What a text cannot be a proposal for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadProposal {
    /// There is nothing.
    Empty,
    /// There are too many words.
    TooLong,
    /// A word that means nothing here.
    Unknown {
        /// The word.
        word: String,
        /// The one that was probably meant.
        nearest: Option<&'static str>,
    },
    /// An algorithm that exists and must not be used any more.
    Broken {
        /// The word.
        word: String,
    },
    /// An algorithm for peers that have nothing better.
    Legacy {
        /// The word.
        word: String,
    },
    /// The same word twice.
    Twice {
        /// The word.
        word: String,
    },
    /// AEADs and other ciphers in one proposal (RFC 7296 section 3.3).
    Mixed,
    /// Something has to be named.
    Missing(Missing),
    /// Something must not be named.
    Needless {
        /// The word.
        word: String,
        /// Why not.
        reason: Needless,
    },
}

/// What a proposal lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A cipher.
    Encryption,
    /// An integrity algorithm for a cipher that is no AEAD.
    Integrity,
    /// A pseudo-random function.
    Prf,
    /// A Diffie-Hellman group.
    Group,
}

/// Why a word does not belong into a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needless {
    /// The ciphers authenticate by themselves.
    IntegrityWithAead,
    /// ESP derives no keys.
    PrfInEsp,
    /// IKE has no sequence numbers of this kind.
    EsnInIke,
    /// IKE itself is always encrypted.
    NullInIke,
    /// IKEv1 encrypts its own messages in CBC mode (RFC 2409 appendix B).
    AeadInIkeV1,
    /// IKEv1 negotiates a hash, whose HMAC is its PRF (RFC 2409 section 4).
    PrfInIkeV1,
    /// IKEv1 has no number for it.
    NotInIkeV1,
    /// IKEv1 has it by RFC 4304 only.
    EsnInIkeV1,
}

impl BadProposal {
    pub(crate) fn legacy(word: &str) -> Self {
        let word = word.to_owned();
        BadProposal::Legacy { word }
    }
}

impl fmt::Display for BadProposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadProposal::Empty => f.write_str("a proposal names at least a cipher"),
            BadProposal::TooLong => write!(f, "a proposal has at most {MAX_WORDS} words"),
            BadProposal::Unknown {
                word,
                nearest: Some(nearest),
            } => {
                write!(
                    f,
                    "there is no algorithm `{word}`; did you mean `{nearest}`?"
                )
            }
            BadProposal::Unknown {
                word,
                nearest: None,
            } => {
                write!(f, "there is no algorithm `{word}`")
            }
            BadProposal::Broken { word } => write!(
                f,
                "`{word}` is not offered, because it can be broken; use for example \
                 `aes128gcm16`, `aes256-sha256` or `x25519`"
            ),
            BadProposal::Legacy { word } => write!(
                f,
                "`{word}` is not offered, because it can be broken; use for example \
                 `aes128gcm16`, `aes256-sha256` or `x25519`. Only a peer that has nothing better, \
                 with `legacy = \"windows2003\"`, may have it"
            ),
            BadProposal::Twice { word } => write!(f, "`{word}` is named twice"),
            BadProposal::Mixed => f.write_str(
                "ciphers that authenticate by themselves and others cannot be in one proposal; \
                 make two of it",
            ),
            BadProposal::Missing(missing) => write!(f, "{missing}"),
            BadProposal::Needless { word, reason } => {
                write!(f, "`{word}` does not belong here: {reason}")
            }
        }
    }
}

impl std::error::Error for BadProposal {}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Missing::Encryption => "no cipher is named; add for example `aes128gcm16`",
            Missing::Integrity => "the cipher needs an integrity algorithm; add `sha256`",
            Missing::Prf => "no pseudo-random function is named; add `prfsha256`",
            Missing::Group => "no Diffie-Hellman group is named; add for example `x25519`",
        })
    }
}

impl fmt::Display for Needless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Needless::IntegrityWithAead => "the cipher authenticates by itself; leave it out",
            Needless::PrfInEsp => "ESP has no pseudo-random function; leave it out",
            Needless::EsnInIke => "sequence numbers are a matter of ESP; leave it out",
            Needless::NullInIke => "IKE itself is always encrypted; keep it for ESP",
            Needless::AeadInIkeV1 => {
                "IKEv1 encrypts its own messages with CBC only; use for example \
                 `aes256-sha256-modp2048`, and keep it for ESP"
            }
            Needless::PrfInIkeV1 => {
                "the hash of IKEv1 is its pseudo-random function too; leave it out"
            }
            Needless::NotInIkeV1 => {
                "IKEv1 has no number for it; leave it out, or use a peer of IKEv2"
            }
            Needless::EsnInIkeV1 => {
                "IKEv1 has sequence numbers of 32 bits; write `noesn` or leave it out"
            }
        })
    }
}
