//! Proposals as text, in the words of strongSwan: `aes128gcm16-prfsha256-x25519-ke1_mlkem768`.

use std::str::FromStr;

use crypto::suite::{Encryption, Group, Integrity, Prf};

use crate::additional::{AdditionalOffer, MOST, NONE};
use crate::bad_proposal::{BadProposal, MAX_WORDS, Missing, Needless};
use crate::proposal::{
    EspProposal, IkeProposal, encryption_word, group_word, integrity_word, prf_of, prf_word,
};
use crate::suggest;
use crate::version::IkeVersion;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Encryption(Encryption),
    Integrity(Integrity),
    Prf(Prf),
    Group(Group),
    Additional(usize, Option<Group>),
    Esn(bool),
}

impl Word {
    fn is_legacy(self) -> bool {
        match self {
            Word::Encryption(id) => id.is_legacy(),
            Word::Integrity(id) => id.is_legacy(),
            Word::Prf(id) => id.is_legacy(),
            Word::Group(id) => id.is_legacy(),
            Word::Additional(..) | Word::Esn(_) => false,
        }
    }
}

/// Other spellings that people know, and what they are here.
const ALIASES: [(&str, &str); 19] = [
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
    ("sha", "sha1"),
    ("des3", "3des"),
    ("dh1", "modp768"),
    ("dh2", "modp1024"),
    ("dh5", "modp1536"),
    ("dh14", "modp2048"),
    ("dh19", "ecp256"),
    ("dh31", "x25519"),
    ("chacha20", "chacha20poly1305"),
];

/// Names that are known to be broken or too short, so that the message can say so.
const BROKEN: [&str; 4] = ["blowfish", "cast128", "ecp192", "aesxcbc"];

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
    // Nobody is led to an algorithm that can be broken.
    let sound = known().filter(|(_, word)| !word.is_legacy());
    Err(BadProposal::Unknown {
        word,
        nearest: suggest::nearest(text, sound.map(|(name, _)| name)),
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

impl FromStr for IkeProposal {
    type Err = BadProposal;

    /// Reads a proposal that a peer of IKEv2 may have.
    fn from_str(text: &str) -> Result<Self, BadProposal> {
        IkeProposal::read(text)?.admitted(IkeVersion::V2, None)
    }
}

impl IkeProposal {
    /// Reads a proposal for IKE. A hash such as `sha256` is the integrity algorithm, and the
    /// pseudo-random function too where none is named; with an AEAD it is only the latter.
    /// Whether a peer may have it, [`IkeProposal::admitted`] says.
    ///
    /// # Errors
    /// [`BadProposal`]: a word that is not known, or words that do not go together.
    pub fn read(text: &str) -> Result<Self, BadProposal> {
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

    /// Reads a proposal that a peer of IKEv2 may have.
    fn from_str(text: &str) -> Result<Self, BadProposal> {
        EspProposal::read(text)?.admitted(IkeVersion::V2, None)
    }
}

impl EspProposal {
    /// Reads a proposal for ESP. Without `esn` or `noesn` both are accepted, `esn` preferred.
    /// Whether a peer may have it, [`EspProposal::admitted`] says.
    ///
    /// # Errors
    /// [`BadProposal`]: a word that is not known, or words that do not go together.
    pub fn read(text: &str) -> Result<Self, BadProposal> {
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
