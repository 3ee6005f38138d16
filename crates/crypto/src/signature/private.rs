//! Private keys from PKCS #8 (RFC 5958), PKCS #1 (RFC 8017) and SEC 1 (RFC 5915), and what they
//! sign. AWS-LC wipes a key when it is dropped; nothing of it is kept here.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{self as lc, EcdsaKeyPair, Ed25519KeyPair, KeyPair};

use crate::secret::Secret;
use crate::signature::public::{BadPublicKey, KeyKind, PublicKey, der_of_fixed};
use crate::signature::rfc2409;
use crate::signature::scheme::{HashAlgorithm, SignatureScheme};

/// A private key. No `Debug`, no `Clone`.
pub struct PrivateKey {
    key: Key,
    public: PublicKey,
}

enum Key {
    Rsa(rsa::KeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// P-521 is signed with SHA2-512, and so on: the hash that belongs to the curve.
const CURVES: [&lc::EcdsaSigningAlgorithm; 3] = [
    &lc::ECDSA_P256_SHA256_FIXED_SIGNING,
    &lc::ECDSA_P384_SHA384_FIXED_SIGNING,
    &lc::ECDSA_P521_SHA512_FIXED_SIGNING,
];

impl PrivateKey {
    /// Reads the DER of an unencrypted private key: PKCS #8, PKCS #1 or SEC 1.
    ///
    /// # Errors
    /// [`BadPrivateKey`]: it is none of these, of another kind, or weak.
    pub fn from_der(der: &Secret) -> Result<Self, BadPrivateKey> {
        let der = der.as_bytes();
        let key = read(der).ok_or(BadPrivateKey::Malformed)?;
        let malformed = |_| BadPrivateKey::Malformed;
        let spki: PublicKeyX509Der<'_> = match &key {
            Key::Rsa(pair) => pair.public_key().as_der().map_err(malformed)?,
            Key::Ecdsa(pair) => pair.public_key().as_der().map_err(malformed)?,
            Key::Ed25519(pair) => pair.public_key().as_der().map_err(malformed)?,
        };
        let public = PublicKey::from_spki(spki.as_ref()).map_err(BadPrivateKey::Public)?;
        Ok(PrivateKey { key, public })
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// What it can sign with, the best first.
    #[must_use]
    pub fn schemes(&self) -> &'static [SignatureScheme] {
        use HashAlgorithm::{Sha2_256, Sha2_384, Sha2_512};
        use SignatureScheme::{Ecdsa, Ed25519, RsaPkcs1, RsaPss};
        match self.public.kind() {
            KeyKind::Rsa(_) => &[
                RsaPss(Sha2_256),
                RsaPss(Sha2_384),
                RsaPss(Sha2_512),
                RsaPkcs1(Sha2_256),
                RsaPkcs1(Sha2_384),
                RsaPkcs1(Sha2_512),
            ],
            KeyKind::P256 => &[Ecdsa(Sha2_256)],
            KeyKind::P384 => &[Ecdsa(Sha2_384)],
            KeyKind::P521 => &[Ecdsa(Sha2_512)],
            KeyKind::Ed25519 => &[Ed25519],
        }
    }

    /// Signs as method 14 carries it.
    ///
    /// # Errors
    /// [`SigningFailed`]: the scheme is not one of [`PrivateKey::schemes`].
    pub fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        if !self.schemes().contains(&scheme) {
            return Err(SigningFailed);
        }
        match &self.key {
            Key::Rsa(pair) => {
                let padding = padding(scheme).ok_or(SigningFailed)?;
                let mut signature = vec![0; pair.public_modulus_len()];
                let signed = pair.sign(padding, &SystemRandom::new(), message, &mut signature);
                signed.map(|()| signature).map_err(|_| SigningFailed)
            }
            Key::Ecdsa(pair) => der_of_fixed(&fixed(pair, message)?).ok_or(SigningFailed),
            Key::Ed25519(pair) => {
                let signature = pair.try_sign(message).map_err(|_| SigningFailed)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }

    /// Signs as methods 9 to 11 carry it: r and s, one behind the other (RFC 4754 section 7).
    ///
    /// # Errors
    /// [`SigningFailed`]: the key is no ECDSA key.
    pub fn sign_rfc4754(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        match &self.key {
            Key::Ecdsa(pair) => fixed(pair, message),
            Key::Rsa(_) | Key::Ed25519(_) => Err(SigningFailed),
        }
    }

    /// Signs a hash as IKEv1 carries it: PKCS #1 v1.5 without the name of the hash (RFC 2409
    /// section 5.1).
    ///
    /// # Errors
    /// [`SigningFailed`]: the key is no RSA key, or what it makes does not verify.
    pub fn sign_rfc2409(&self, hash: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        match (&self.key, self.public.rsa_numbers()) {
            (Key::Rsa(pair), Some(numbers)) => {
                rfc2409::sign(pair, numbers, hash).ok_or(SigningFailed)
            }
            _ => Err(SigningFailed),
        }
    }
}

fn read(der: &[u8]) -> Option<Key> {
    let rsa = || rsa::KeyPair::from_pkcs8(der).or_else(|_| rsa::KeyPair::from_der(der));
    let on = |curve: &&'static lc::EcdsaSigningAlgorithm| {
        let pair = EcdsaKeyPair::from_pkcs8(curve, der);
        pair.or_else(|_| EcdsaKeyPair::from_private_key_der(curve, der))
            .ok()
    };
    let ecdsa = || CURVES.iter().find_map(on).map(Key::Ecdsa);
    let edwards = || Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok();
    let edwards = || edwards().map(Key::Ed25519);
    edwards()
        .or_else(ecdsa)
        .or_else(|| rsa().ok().map(Key::Rsa))
}

fn fixed(pair: &EcdsaKeyPair, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
    let signature = pair
        .sign(&SystemRandom::new(), message)
        .map_err(|_| SigningFailed)?;
    Ok(signature.as_ref().to_vec())
}

fn padding(scheme: SignatureScheme) -> Option<&'static dyn lc::RsaEncoding> {
    use HashAlgorithm::{Sha2_256, Sha2_384, Sha2_512};
    use SignatureScheme::{RsaPkcs1, RsaPss};
    Some(match scheme {
        RsaPkcs1(Sha2_256) => &lc::RSA_PKCS1_SHA256,
        RsaPkcs1(Sha2_384) => &lc::RSA_PKCS1_SHA384,
        RsaPkcs1(Sha2_512) => &lc::RSA_PKCS1_SHA512,
        RsaPss(Sha2_256) => &lc::RSA_PSS_SHA256,
        RsaPss(Sha2_384) => &lc::RSA_PSS_SHA384,
        RsaPss(Sha2_512) => &lc::RSA_PSS_SHA512,
        _ => return None,
    })
}

/// Why octets are no private key that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadPrivateKey {
    /// It is no such key in DER, or of a kind that is not known here.
    Malformed,
    /// Its public half is refused.
    Public(BadPublicKey),
}

impl fmt::Display for BadPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadPrivateKey::Malformed => f.write_str(
                "it is no private key of a kind that is known here: unencrypted PKCS #8, PKCS #1 \
                 or SEC 1 of RSA with 2048 bits or more, P-256, P-384, P-521 or Ed25519",
            ),
            BadPrivateKey::Public(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for BadPrivateKey {}

/// The key cannot sign in this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningFailed;

impl fmt::Display for SigningFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the private key cannot sign in this way")
    }
}

impl std::error::Error for SigningFailed {}
