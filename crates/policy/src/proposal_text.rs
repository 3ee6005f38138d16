//! Proposals as text, in the words of strongSwan: `aes128gcm16-prfsha256-x25519-ke1_mlkem768`.

use std::fmt;
use std::str::FromStr;

use crypto::suite::{Encryption, Group, Integrity, Prf};

use crate::additional::{AdditionalOffer, MOST, NONE};
use crate::proposal::{
    EspProposal, IkeProposal, encryption_word, group_word, integrity_word, prf_word,
};
use crate::suggest;

/// More words than this are refused: there are not as many algorithms.
const MAX_WORDS: usize = 64;

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
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Encryption(Encryption),
    Integrity(Integrity),
    Prf(Prf),
    Group(Group),
    Additional(usize, Option<Group>),
    Esn(bool),
}

/// Other spellings that people know, and what they are here.
const ALIASES: [(&str, &str); 14] = [
    ("aes", "aes128"),
    ("aes128gcm128", "aes128gcm16"),
    ("aes256gcm128", "aes256gcm16"),
    ("aes128gcm", "aes128gcm16"),
    ("aes256gcm", "aes256gcm16"),
    ("sha2_256", "sha256"),
    ("sha2_384", "sha384"),
    ("sha2_512", "sha512"),
    ("curve25519", "x25519"),
    ("ecp256r1", "ecp256"),
    ("dh14", "modp2048"),
    ("dh19", "ecp256"),
    ("dh31", "x25519"),
    ("chacha20", "chacha20poly1305"),
];

/// Names that are known to be broken or too short, so that the message can say so.
const BROKEN: [&str; 15] = [
    "des", "3des", "null", "blowfish", "cast128", "md5", "sha", "sha1", "prfmd5", "prfsha1",
    "modp768", "modp1024", "modp1536", "ecp192", "aesxcbc",
];

fn known() -> impl Iterator<Item = (&'static str, Word)> {
    let encryption = Encryption::ALL
        .into_iter()
        .map(|id| (encryption_word(id), Word::Encryption(id)));
    let integrity = Integrity::ALL
        .into_iter()
        .map(|id| (integrity_word(id), Word::Integrity(id)));
    let prf = Prf::ALL.into_iter().map(|id| (prf_word(id), Word::Prf(id)));
    let groups = Group::ALL
        .into_iter()
        .map(|id| (group_word(id), Word::Group(id)));
    let esn = [("esn", Word::Esn(true)), ("noesn", Word::Esn(false))];
    encryption
        .chain(integrity)
        .chain(prf)
        .chain(groups)
        .chain(esn)
}

fn lookup(text: &str) -> Result<Word, BadProposal> {
    let lower = text.to_ascii_lowercase();
    if let Some((exchange, method)) = additional(&lower) {
        return lookup_method(method).map(|method| Word::Additional(exchange, method));
    }
    let alias = ALIASES.iter().find(|(alias, _)| *alias == lower);
    let wanted = alias.map_or(lower.as_str(), |(_, name)| name);
    if let Some((_, word)) = known().find(|(name, _)| *name == wanted) {
        return Ok(word);
    }
    let word: String = text.chars().take(40).collect();
    if BROKEN.contains(&wanted) {
        return Err(BadProposal::Broken { word });
    }
    Err(BadProposal::Unknown {
        word,
        nearest: suggest::nearest(text, known().map(|(name, _)| name)),
    })
}

/// The exchange that a word such as `ke1_mlkem768` speaks of, counted from 0, and its method.
fn additional(word: &str) -> Option<(usize, &str)> {
    let (number, method) = word.strip_prefix("ke")?.split_once('_')?;
    let number: usize = number.parse().ok()?;
    let exchange = number.checked_sub(1)?;
    (exchange < MOST).then_some((exchange, method))
}

fn lookup_method(method: &str) -> Result<Option<Group>, BadProposal> {
    if method == NONE {
        return Ok(None);
    }
    let unknown = || BadProposal::Unknown {
        word: method.chars().take(40).collect(),
        nearest: None,
    };
    if additional(method).is_some() {
        return Err(unknown());
    }
    match lookup(method)? {
        Word::Group(group) => Ok(Some(group)),
        _ => Err(unknown()),
    }
}

/// A word's algorithms by kind, each in the order of the text.
#[derive(Default)]
struct Lists {
    encryption: Vec<Encryption>,
    integrity: Vec<Integrity>,
    prf: Vec<Prf>,
    groups: Vec<Group>,
    additional: AdditionalOffer,
    esn: Vec<bool>,
}

impl Lists {
    fn read(text: &str) -> Result<Self, BadProposal> {
        if text.trim().is_empty() {
            return Err(BadProposal::Empty);
        }
        let mut lists = Lists::default();
        for (index, text) in text.trim().split('-').enumerate() {
            if index >= MAX_WORDS {
                return Err(BadProposal::TooLong);
            }
            let added = match lookup(text)? {
                Word::Encryption(id) => push(&mut lists.encryption, id),
                Word::Integrity(id) => push(&mut lists.integrity, id),
                Word::Prf(id) => push(&mut lists.prf, id),
                Word::Group(id) => push(&mut lists.groups, id),
                Word::Additional(exchange, method) => lists.additional.add(exchange, method),
                Word::Esn(wanted) => push(&mut lists.esn, wanted),
            };
            if !added {
                return Err(BadProposal::Twice {
                    word: text.to_owned(),
                });
            }
        }
        Ok(lists)
    }

    /// Whether the ciphers are AEADs.
    fn is_aead(&self) -> Result<bool, BadProposal> {
        let aeads = self.encryption.iter().filter(|id| id.is_aead()).count();
        match self.encryption.len() {
            0 => Err(BadProposal::Missing(Missing::Encryption)),
            all if aeads == all => Ok(true),
            _ if aeads == 0 => Ok(false),
            _ => Err(BadProposal::Mixed),
        }
    }
}

fn push<T: PartialEq>(list: &mut Vec<T>, item: T) -> bool {
    let new = !list.contains(&item);
    if new {
        list.push(item);
    }
    new
}

fn prf_of(integrity: Integrity) -> Prf {
    match integrity {
        Integrity::HmacSha2_256_128 => Prf::HmacSha2_256,
        Integrity::HmacSha2_384_192 => Prf::HmacSha2_384,
        Integrity::HmacSha2_512_256 => Prf::HmacSha2_512,
    }
}

impl FromStr for IkeProposal {
    type Err = BadProposal;

    /// Reads a proposal for IKE. A hash such as `sha256` is the integrity algorithm, and the
    /// pseudo-random function too where none is named; with an AEAD it is only the latter.
    fn from_str(text: &str) -> Result<Self, BadProposal> {
        let mut lists = Lists::read(text)?;
        let aead = lists.is_aead()?;
        if let Some(esn) = lists.esn.first() {
            let word = if *esn { "esn" } else { "noesn" }.to_owned();
            return Err(BadProposal::Needless {
                word,
                reason: Needless::EsnInIke,
            });
        }
        match (aead, lists.prf.is_empty(), lists.integrity.first()) {
            (_, true, None) if aead => return Err(BadProposal::Missing(Missing::Prf)),
            (_, true, _) => lists.prf = lists.integrity.iter().copied().map(prf_of).collect(),
            (true, false, Some(id)) => {
                let word = integrity_word(*id).to_owned();
                let reason = Needless::IntegrityWithAead;
                return Err(BadProposal::Needless { word, reason });
            }
            _ => {}
        }
        match aead {
            true => lists.integrity.clear(),
            false if lists.integrity.is_empty() => {
                return Err(BadProposal::Missing(Missing::Integrity));
            }
            false => {}
        }
        if lists.groups.is_empty() {
            return Err(BadProposal::Missing(Missing::Group));
        }
        let Lists {
            encryption,
            integrity,
            prf,
            groups,
            additional,
            ..
        } = lists;
        Ok(IkeProposal {
            encryption,
            integrity,
            prf,
            groups,
            additional,
        })
    }
}

impl FromStr for EspProposal {
    type Err = BadProposal;

    /// Reads a proposal for ESP. Without `esn` or `noesn` both are accepted, `esn` preferred.
    fn from_str(text: &str) -> Result<Self, BadProposal> {
        let Lists {
            encryption,
            integrity,
            prf,
            groups,
            additional,
            mut esn,
        } = {
            let lists = Lists::read(text)?;
            match (lists.is_aead()?, lists.integrity.first()) {
                (true, Some(id)) => {
                    let word = integrity_word(*id).to_owned();
                    let reason = Needless::IntegrityWithAead;
                    return Err(BadProposal::Needless { word, reason });
                }
                (false, None) => return Err(BadProposal::Missing(Missing::Integrity)),
                _ => lists,
            }
        };
        if let Some(id) = prf.first() {
            let word = prf_word(*id).to_owned();
            return Err(BadProposal::Needless {
                word,
                reason: Needless::PrfInEsp,
            });
        }
        if groups.is_empty() && additional.is_wanted() {
            return Err(BadProposal::Missing(Missing::Group));
        }
        if esn.is_empty() {
            esn = vec![true, false];
        }
        Ok(EspProposal {
            encryption,
            integrity,
            groups,
            additional,
            esn,
        })
    }
}

#[cfg(test)]
mod tests;
