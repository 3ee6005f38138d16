//! Proposals: which algorithms we accept, in the order of our liking (RFC 7296 section 3.3).

use std::fmt;

use crypto::suite::{Encryption, Group, Integrity, Prf};

use crate::additional::{self, Additional, AdditionalOffer};

/// Algorithms for an IKE SA. Every list is in order of preference; one of each is agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IkeProposal {
    /// Ciphers, either AEADs only or none of them: IKEv2 cannot mix them in one proposal.
    pub encryption: Vec<Encryption>,
    /// Integrity algorithms; empty exactly when the ciphers are AEADs.
    pub integrity: Vec<Integrity>,
    /// Pseudo-random functions, never empty.
    pub prf: Vec<Prf>,
    /// Diffie-Hellman groups, never empty.
    pub groups: Vec<Group>,
    /// Additional key exchanges (RFC 9370).
    pub additional: AdditionalOffer,
}

/// Algorithms for a CHILD SA pair of ESP. Every list is in order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EspProposal {
    /// Ciphers, either AEADs only or none of them.
    pub encryption: Vec<Encryption>,
    /// Integrity algorithms; empty exactly when the ciphers are AEADs.
    pub integrity: Vec<Integrity>,
    /// Groups for a Diffie-Hellman exchange of its own (perfect forward secrecy); empty for none.
    /// The first CHILD SA of an IKE SA never has one (RFC 7296 section 1.2).
    pub groups: Vec<Group>,
    /// Additional key exchanges (RFC 9370), only with `groups`.
    pub additional: AdditionalOffer,
    /// Extended sequence numbers (RFC 4303 section 2.2.1): `true` for 64 bits. Never empty.
    pub esn: Vec<bool>,
}

/// What was agreed for an IKE SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IkeSuite {
    /// The cipher.
    pub encryption: Encryption,
    /// The integrity algorithm, unless the cipher is an AEAD.
    pub integrity: Option<Integrity>,
    /// The pseudo-random function.
    pub prf: Prf,
    /// The Diffie-Hellman group.
    pub group: Group,
    /// The additional key exchanges.
    pub additional: Additional,
}

/// What was agreed for a CHILD SA pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EspSuite {
    /// The cipher.
    pub encryption: Encryption,
    /// The integrity algorithm, unless the cipher is an AEAD.
    pub integrity: Option<Integrity>,
    /// The group of the exchange of its own, if there was one.
    pub group: Option<Group>,
    /// The additional key exchanges.
    pub additional: Additional,
    /// Whether sequence numbers have 64 bits.
    pub esn: bool,
}

const AEADS: [Encryption; 3] = [
    Encryption::AesGcm16 { key_bits: 128 },
    Encryption::AesGcm16 { key_bits: 256 },
    Encryption::ChaCha20Poly1305,
];
const CBC: [Encryption; 2] = [
    Encryption::AesCbc { key_bits: 128 },
    Encryption::AesCbc { key_bits: 256 },
];
const INTEGRITY: [Integrity; 3] = [
    Integrity::HmacSha2_256_128,
    Integrity::HmacSha2_384_192,
    Integrity::HmacSha2_512_256,
];

/// Our groups by default: first the one that costs least, then what older peers have.
const GROUPS: [Group; 6] = [
    Group::Curve25519,
    Group::Ecp256,
    Group::Ecp384,
    Group::Modp3072,
    Group::Modp4096,
    Group::Modp2048,
];

/// What we propose and accept for IKE when the policy does not say.
#[must_use]
pub fn default_ike() -> Vec<IkeProposal> {
    let prf = vec![Prf::HmacSha2_256, Prf::HmacSha2_384, Prf::HmacSha2_512];
    let groups = GROUPS.to_vec();
    vec![
        IkeProposal {
            encryption: AEADS.to_vec(),
            integrity: Vec::new(),
            prf: prf.clone(),
            groups: groups.clone(),
            additional: AdditionalOffer::default(),
        },
        IkeProposal {
            encryption: CBC.to_vec(),
            integrity: INTEGRITY.to_vec(),
            prf,
            groups,
            additional: AdditionalOffer::default(),
        },
    ]
}

/// What we propose and accept for ESP when the policy does not say: the same ciphers, extended
/// sequence numbers preferred, no Diffie-Hellman exchange of its own.
#[must_use]
pub fn default_esp() -> Vec<EspProposal> {
    let esn = vec![true, false];
    vec![
        EspProposal {
            encryption: AEADS.to_vec(),
            integrity: Vec::new(),
            groups: Vec::new(),
            additional: AdditionalOffer::default(),
            esn: esn.clone(),
        },
        EspProposal {
            encryption: CBC.to_vec(),
            integrity: INTEGRITY.to_vec(),
            groups: Vec::new(),
            additional: AdditionalOffer::default(),
            esn,
        },
    ]
}

impl IkeSuite {
    /// Whether any of it is legacy: what it protects can be broken.
    #[must_use]
    pub fn is_legacy(self) -> bool {
        self.encryption.is_legacy()
            || self.integrity.is_some_and(Integrity::is_legacy)
            || self.prf.is_legacy()
            || self.group.is_legacy()
    }
}

impl EspSuite {
    /// Whether any of it is legacy: what it protects can be broken.
    #[must_use]
    pub fn is_legacy(self) -> bool {
        self.encryption.is_legacy()
            || self.integrity.is_some_and(Integrity::is_legacy)
            || self.group.is_some_and(Group::is_legacy)
    }
}

impl fmt::Display for IkeSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", IkeProposal::from(*self))
    }
}

impl fmt::Display for EspSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", EspProposal::from(*self))
    }
}

impl From<IkeSuite> for IkeProposal {
    fn from(suite: IkeSuite) -> Self {
        IkeProposal {
            encryption: vec![suite.encryption],
            integrity: suite.integrity.into_iter().collect(),
            prf: vec![suite.prf],
            groups: vec![suite.group],
            additional: suite.additional.into(),
        }
    }
}

impl From<EspSuite> for EspProposal {
    fn from(suite: EspSuite) -> Self {
        EspProposal {
            encryption: vec![suite.encryption],
            integrity: suite.integrity.into_iter().collect(),
            groups: suite.group.into_iter().collect(),
            additional: suite.additional.into(),
            esn: vec![suite.esn],
        }
    }
}

impl fmt::Display for IkeProposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Words::new(f);
        self.encryption
            .iter()
            .try_for_each(|id| words.word(encryption_word(*id)))?;
        self.integrity
            .iter()
            .try_for_each(|id| words.word(integrity_word(*id)))?;
        self.prf
            .iter()
            .try_for_each(|id| words.word(prf_word(*id)))?;
        self.groups
            .iter()
            .try_for_each(|id| words.word(group_word(*id)))?;
        words.additional(&self.additional)
    }
}

impl fmt::Display for EspProposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Words::new(f);
        self.encryption
            .iter()
            .try_for_each(|id| words.word(encryption_word(*id)))?;
        self.integrity
            .iter()
            .try_for_each(|id| words.word(integrity_word(*id)))?;
        self.groups
            .iter()
            .try_for_each(|id| words.word(group_word(*id)))?;
        words.additional(&self.additional)?;
        let esn = |wanted: &bool| if *wanted { "esn" } else { "noesn" };
        self.esn
            .iter()
            .try_for_each(|wanted| words.word(esn(wanted)))
    }
}

/// Joins words with hyphens.
struct Words<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    first: bool,
}

impl<'a, 'b> Words<'a, 'b> {
    fn new(f: &'a mut fmt::Formatter<'b>) -> Self {
        Words { f, first: true }
    }

    fn additional(&mut self, offer: &AdditionalOffer) -> fmt::Result {
        for (choices, number) in offer.choices().zip(1..) {
            for choice in choices {
                let method = choice.map_or(additional::NONE, group_word);
                self.word(&format!("ke{number}_{method}"))?;
            }
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> fmt::Result {
        if !self.first {
            self.f.write_str("-")?;
        }
        self.first = false;
        self.f.write_str(word)
    }
}

/// The word for a cipher in a proposal's text.
#[must_use]
pub fn encryption_word(id: Encryption) -> &'static str {
    match id {
        Encryption::AesGcm16 { key_bits: 128 } => "aes128gcm16",
        Encryption::AesGcm16 { .. } => "aes256gcm16",
        Encryption::ChaCha20Poly1305 => "chacha20poly1305",
        Encryption::AesCbc { key_bits: 128 } => "aes128",
        Encryption::AesCbc { key_bits: 192 } => "aes192",
        Encryption::AesCbc { .. } => "aes256",
        Encryption::TripleDesCbc => "3des",
        Encryption::DesCbc => "des",
        Encryption::Null => "null",
    }
}

/// The word for an integrity algorithm.
#[must_use]
pub fn integrity_word(id: Integrity) -> &'static str {
    match id {
        Integrity::HmacSha2_256_128 => "sha256",
        Integrity::HmacSha2_384_192 => "sha384",
        Integrity::HmacSha2_512_256 => "sha512",
        Integrity::HmacSha1_96 => "sha1",
        Integrity::HmacMd5_96 => "md5",
    }
}

/// The word for a pseudo-random function.
#[must_use]
pub fn prf_word(id: Prf) -> &'static str {
    match id {
        Prf::HmacSha2_256 => "prfsha256",
        Prf::HmacSha2_384 => "prfsha384",
        Prf::HmacSha2_512 => "prfsha512",
        Prf::HmacSha1 => "prfsha1",
        Prf::HmacMd5 => "prfmd5",
    }
}

/// The pseudo-random function that is made of the same hash as an integrity algorithm.
#[must_use]
pub fn prf_of(integrity: Integrity) -> Prf {
    match integrity {
        Integrity::HmacSha2_256_128 => Prf::HmacSha2_256,
        Integrity::HmacSha2_384_192 => Prf::HmacSha2_384,
        Integrity::HmacSha2_512_256 => Prf::HmacSha2_512,
        Integrity::HmacSha1_96 => Prf::HmacSha1,
        Integrity::HmacMd5_96 => Prf::HmacMd5,
    }
}

/// The word for a Diffie-Hellman group.
#[must_use]
pub fn group_word(id: Group) -> &'static str {
    match id {
        Group::Modp2048 => "modp2048",
        Group::Modp3072 => "modp3072",
        Group::Modp4096 => "modp4096",
        Group::Ecp256 => "ecp256",
        Group::Ecp384 => "ecp384",
        Group::Ecp521 => "ecp521",
        Group::Curve25519 => "x25519",
        Group::MlKem768 => "mlkem768",
        Group::MlKem1024 => "mlkem1024",
        Group::Modp1536 => "modp1536",
        Group::Modp1024 => "modp1024",
        Group::Modp768 => "modp768",
    }
}
