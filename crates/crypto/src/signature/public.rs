//! Public keys from SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), and what they verify.

use std::fmt;

use aws_lc_rs::signature as lc;
use spki::der::asn1::UintRef;
use spki::der::{Decode, Encode, Reader, SliceReader};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use crate::cipher::AuthenticationFailed;
use crate::hash::sha1;
use crate::signature::rfc2409::{self, RsaNumbers};
use crate::signature::scheme::{HashAlgorithm, SignatureScheme};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// RSA keys shorter than this are refused, in bits.
const LEAST_RSA: usize = 2048;
/// RSA keys longer than this are refused: they cost more time than they are worth.
const MOST_RSA: usize = 8192;
/// Smaller public exponents make forgeries of careless padding possible.
const LEAST_EXPONENT: u32 = 65_537;
/// A SubjectPublicKeyInfo of the longest key is shorter than this, in octets.
const MOST_OCTETS: usize = 2_200;

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with a modulus of so many bits.
    Rsa(usize),
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// ECDSA on P-521.
    P521,
    /// Ed25519.
    Ed25519,
}

/// A public key that may verify signatures: strong enough, and of a kind that is known here.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    /// SubjectPublicKeyInfo, DER.
    spki: Vec<u8>,
    /// What is in its BIT STRING.
    key: Vec<u8>,
}

impl PublicKey {
    /// Reads the DER of a SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`BadPublicKey`]: it is no such key, or a weak one.
    pub fn from_spki(der: &[u8]) -> Result<Self, BadPublicKey> {
        if der.len() > MOST_OCTETS {
            return Err(BadPublicKey::Malformed);
        }
        let malformed = BadPublicKey::Malformed;
        let spki = SubjectPublicKeyInfoRef::from_der(der).or(Err(malformed.clone()))?;
        let key = spki.subject_public_key.as_bytes();
        let key = key.ok_or(BadPublicKey::Malformed)?;
        let curve = |length: usize, kind| match key {
            [4, point @ ..] if point.len() == 2 * length => Ok(kind),
            _ => Err(BadPublicKey::Malformed),
        };
        let kind = match spki.algorithm.oid {
            RSA => rsa(key)?,
            EC => match spki.algorithm.parameters_oid().or(Err(malformed))? {
                P256 => curve(32, KeyKind::P256)?,
                P384 => curve(48, KeyKind::P384)?,
                P521 => curve(66, KeyKind::P521)?,
                other => return Err(BadPublicKey::Unknown(other.to_string())),
            },
            ED25519 if key.len() == 32 => KeyKind::Ed25519,
            ED25519 => return Err(BadPublicKey::Malformed),
            other => return Err(BadPublicKey::Unknown(other.to_string())),
        };
        Ok(PublicKey {
            kind,
            spki: der.to_vec(),
            key: key.to_vec(),
        })
    }

    /// What kind of key it is.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The DER of its SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// SHA-1 of its SubjectPublicKeyInfo: how a Certificate Request names an authority (RFC 7296
    /// section 3.7). It is a name, and proves nothing.
    #[must_use]
    pub fn sha1(&self) -> [u8; 20] {
        sha1(&[&self.spki])
    }

    /// Checks a signature as method 14 carries it.
    ///
    /// # Errors
    /// [`AuthenticationFailed`]: it is not by this key over this message, or the scheme does not
    /// fit the key.
    pub fn verify(
        &self,
        scheme: SignatureScheme,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), AuthenticationFailed> {
        let algorithm = algorithm(self.kind, scheme).ok_or(AuthenticationFailed)?;
        self.check(algorithm, message, signature)
    }

    /// Checks an ECDSA signature as methods 9 to 11 carry it: r and s, one behind the other, with
    /// the hash that belongs to the curve (RFC 4754 section 7).
    ///
    /// # Errors
    /// [`AuthenticationFailed`]: as [`PublicKey::verify`].
    pub fn verify_rfc4754(
        &self,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), AuthenticationFailed> {
        let algorithm: &'static dyn lc::VerificationAlgorithm = match self.kind {
            KeyKind::P256 => &lc::ECDSA_P256_SHA256_FIXED,
            KeyKind::P384 => &lc::ECDSA_P384_SHA384_FIXED,
            KeyKind::P521 => &lc::ECDSA_P521_SHA512_FIXED,
            KeyKind::Rsa(_) | KeyKind::Ed25519 => return Err(AuthenticationFailed),
        };
        self.check(algorithm, message, signature)
    }

    /// Checks an RSA signature of IKEv1 over a hash: PKCS #1 v1.5 without the name of the hash
    /// (RFC 2409 section 5.1).
    ///
    /// # Errors
    /// [`AuthenticationFailed`]: as [`PublicKey::verify`], or the key is no RSA key.
    pub fn verify_rfc2409(
        &self,
        hash: &[u8],
        signature: &[u8],
    ) -> Result<(), AuthenticationFailed> {
        let numbers = self.rsa_numbers().ok_or(AuthenticationFailed)?;
        match rfc2409::verifies(numbers, hash, signature) {
            true => Ok(()),
            false => Err(AuthenticationFailed),
        }
    }

    /// The two numbers of an RSA key.
    pub(crate) fn rsa_numbers(&self) -> Option<RsaNumbers<'_>> {
        match self.kind {
            KeyKind::Rsa(_) => read_rsa(&self.key).ok(),
            _ => None,
        }
    }

    fn check(
        &self,
        algorithm: &'static dyn lc::VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), AuthenticationFailed> {
        let key = lc::UnparsedPublicKey::new(algorithm, &self.key);
        let verified = key.verify(message, signature);
        verified.map_err(|_| AuthenticationFailed)
    }
}

/// The modulus and the exponent of an RSAPublicKey (RFC 8017 appendix A.1.1).
fn read_rsa(key: &[u8]) -> spki::der::Result<RsaNumbers<'_>> {
    let mut reader = SliceReader::new(key)?;
    let numbers = reader.sequence(|inner| -> spki::der::Result<RsaNumbers<'_>> {
        Ok(RsaNumbers {
            modulus: UintRef::decode(inner)?.as_bytes(),
            exponent: UintRef::decode(inner)?.as_bytes(),
        })
    })?;
    reader.finish()?;
    Ok(numbers)
}

/// Checks the two numbers of an RSA key.
fn rsa(key: &[u8]) -> Result<KeyKind, BadPublicKey> {
    let RsaNumbers { modulus, exponent } = read_rsa(key).or(Err(BadPublicKey::Malformed))?;
    let (Some(first), Some(last)) = (modulus.first(), modulus.last()) else {
        return Err(BadPublicKey::Malformed);
    };
    let bits = (8 * modulus.len()).saturating_sub(first.leading_zeros() as usize);
    if !(LEAST_RSA..=MOST_RSA).contains(&bits) {
        return Err(BadPublicKey::RsaSize(bits));
    }
    // More octets than 4 is more than any exponent that is in use.
    let value = match exponent {
        octets if octets.len() <= 4 => octets
            .iter()
            .fold(0u32, |value, octet| value << 8 | u32::from(*octet)),
        _ => return Err(BadPublicKey::RsaExponent),
    };
    match value >= LEAST_EXPONENT && value % 2 == 1 && last % 2 == 1 {
        true => Ok(KeyKind::Rsa(bits)),
        false => Err(BadPublicKey::RsaExponent),
    }
}

fn algorithm(
    kind: KeyKind,
    scheme: SignatureScheme,
) -> Option<&'static dyn lc::VerificationAlgorithm> {
    use HashAlgorithm::{Sha2_256, Sha2_384, Sha2_512};
    Some(match (kind, scheme) {
        (KeyKind::Rsa(_), SignatureScheme::RsaPkcs1(hash)) => match hash {
            Sha2_256 => &lc::RSA_PKCS1_2048_8192_SHA256,
            Sha2_384 => &lc::RSA_PKCS1_2048_8192_SHA384,
            Sha2_512 => &lc::RSA_PKCS1_2048_8192_SHA512,
        },
        (KeyKind::Rsa(_), SignatureScheme::RsaPss(hash)) => match hash {
            Sha2_256 => &lc::RSA_PSS_2048_8192_SHA256,
            Sha2_384 => &lc::RSA_PSS_2048_8192_SHA384,
            Sha2_512 => &lc::RSA_PSS_2048_8192_SHA512,
        },
        (KeyKind::P256, SignatureScheme::Ecdsa(hash)) => match hash {
            Sha2_256 => &lc::ECDSA_P256_SHA256_ASN1,
            Sha2_384 => &lc::ECDSA_P256_SHA384_ASN1,
            Sha2_512 => &lc::ECDSA_P256_SHA512_ASN1,
        },
        (KeyKind::P384, SignatureScheme::Ecdsa(hash)) => match hash {
            Sha2_256 => &lc::ECDSA_P384_SHA256_ASN1,
            Sha2_384 => &lc::ECDSA_P384_SHA384_ASN1,
            Sha2_512 => &lc::ECDSA_P384_SHA512_ASN1,
        },
        (KeyKind::P521, SignatureScheme::Ecdsa(hash)) => match hash {
            Sha2_256 => &lc::ECDSA_P521_SHA256_ASN1,
            Sha2_384 => &lc::ECDSA_P521_SHA384_ASN1,
            Sha2_512 => &lc::ECDSA_P521_SHA512_ASN1,
        },
        (KeyKind::Ed25519, SignatureScheme::Ed25519) => &lc::ED25519,
        _ => return None,
    })
}

/// Why octets are no public key that may verify anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadPublicKey {
    /// It is no SubjectPublicKeyInfo in DER.
    Malformed,
    /// An algorithm or curve that is not known here, by its object identifier.
    Unknown(String),
    /// RSA of too few or too many bits.
    RsaSize(usize),
    /// RSA with numbers that no sound key has.
    RsaExponent,
}

impl fmt::Display for BadPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadPublicKey::Malformed => f.write_str("the public key is malformed"),
            BadPublicKey::Unknown(oid) => write!(
                f,
                "the public key is of a kind that is not known here ({oid}): it must be RSA, \
                 P-256, P-384, P-521 or Ed25519"
            ),
            BadPublicKey::RsaSize(bits) => write!(
                f,
                "the RSA key has {bits} bits: it must have {LEAST_RSA} to {MOST_RSA}"
            ),
            BadPublicKey::RsaExponent => write!(
                f,
                "the RSA key has a public exponent that is not an odd number from \
                 {LEAST_EXPONENT} up to 32 bits, or an even modulus"
            ),
        }
    }
}

impl std::error::Error for BadPublicKey {}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyKind::Rsa(bits) => write!(f, "RSA of {bits} bits"),
            KeyKind::P256 => f.write_str("ECDSA P-256"),
            KeyKind::P384 => f.write_str("ECDSA P-384"),
            KeyKind::P521 => f.write_str("ECDSA P-521"),
            KeyKind::Ed25519 => f.write_str("Ed25519"),
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, ", self.kind)?;
        self.sha1()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// The DER of r and s, from both in a row (RFC 5480 section 2.2.3). `None` when that cannot be.
pub(crate) fn der_of_fixed(fixed: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = fixed.split_at_checked(fixed.len() / 2)?;
    let number = |octets: &[u8]| UintRef::new(octets).and_then(|one| one.to_der()).ok();
    let body = [number(r)?, number(s)?].concat();
    let any = spki::der::asn1::AnyRef::new(spki::der::Tag::Sequence, &body).ok()?;
    any.to_der().ok()
}
