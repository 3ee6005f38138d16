//! Key pairs: which kinds there are, and a new one of each.

use crate::error::Error;
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
    RsaKeySize,
};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// The kind of a key pair, and with it the signature that it makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256 with SHA-256 (RFC 4754): small, fast, and everybody can verify it.
    #[default]
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384,
    /// Ed25519 (RFC 8420): peers need RFC 7427.
    Ed25519,
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 3072 bits: 128 bits of strength.
    Rsa3072,
    /// RSA with 4096 bits.
    Rsa4096,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::Ed25519,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::Ed25519 => "ed25519",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
        }
    }

    /// A new key pair of this kind.
    ///
    /// # Errors
    /// [`Error::Making`] when the system has no randomness.
    pub(crate) fn generate(self) -> Result<Zeroizing<KeyPair>, Error> {
        let rsa = |size| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size);
        let pair = match self {
            Self::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            Self::EcdsaP384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
            Self::Ed25519 => return ed25519(),
            Self::Rsa2048 => rsa(RsaKeySize::_2048),
            Self::Rsa3072 => rsa(RsaKeySize::_3072),
            Self::Rsa4096 => rsa(RsaKeySize::_4096),
        };
        pair.map(Zeroizing::new).map_err(Error::making)
    }
}

/// Where an Ed25519 key begins in PKCS #8, version 1 (RFC 8410 section 7).
const ED25519: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];

/// A key in PKCS #8 without the public key, which OpenSSL before 3.5 cannot read otherwise.
fn ed25519() -> Result<Zeroizing<KeyPair>, Error> {
    let pair = KeyPair::generate_for(&PKCS_ED25519).map_err(Error::making)?;
    let pair = Zeroizing::new(pair);
    let whole = pair.serialized_der();
    let body = ED25519.len()..ED25519.len() + 32;
    let same = whole.get(5..ED25519.len()) == ED25519.get(5..);
    let seed = whole.get(body).filter(|_| same);
    let seed = seed.ok_or_else(|| Error::making("an Ed25519 key has another form"))?;
    let short = Zeroizing::new([&ED25519, seed].concat());
    let short = KeyPair::try_from(short.as_slice()).map_err(Error::making)?;
    Ok(Zeroizing::new(short))
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for KeyKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| format!("use one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}
