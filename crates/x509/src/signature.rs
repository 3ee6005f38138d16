//! What certificates and what is said of them may be signed with (RFC 5280 section 4.1.1.2).

use der::{Decode, Encode};
use rustls_pki_types::SignatureVerificationAlgorithm;
use webpki::aws_lc_rs;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoRef};

/// SHA-1 is not among them, and no key that is weak today.
pub(crate) const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    aws_lc_rs::ECDSA_P256_SHA256,
    aws_lc_rs::ECDSA_P256_SHA384,
    aws_lc_rs::ECDSA_P256_SHA512,
    aws_lc_rs::ECDSA_P384_SHA256,
    aws_lc_rs::ECDSA_P384_SHA384,
    aws_lc_rs::ECDSA_P384_SHA512,
    aws_lc_rs::ECDSA_P521_SHA256,
    aws_lc_rs::ECDSA_P521_SHA384,
    aws_lc_rs::ECDSA_P521_SHA512,
    aws_lc_rs::RSA_PKCS1_2048_8192_SHA256,
    aws_lc_rs::RSA_PKCS1_2048_8192_SHA384,
    aws_lc_rs::RSA_PKCS1_2048_8192_SHA512,
    aws_lc_rs::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    aws_lc_rs::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    aws_lc_rs::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    aws_lc_rs::ED25519,
];

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsigned {
    /// Its kind is not accepted.
    Algorithm,
    /// It is not by this key over these octets.
    Wrong,
}

/// Whether the key of a SubjectPublicKeyInfo signed these octets.
pub(crate) fn verify(
    spki: &[u8],
    algorithm: &AlgorithmIdentifierOwned,
    octets: &[u8],
    signature: &[u8],
) -> Result<(), Unsigned> {
    let spki = SubjectPublicKeyInfoRef::from_der(spki).map_err(|_| Unsigned::Algorithm)?;
    let key = spki.subject_public_key.as_bytes();
    let (key, of_key) = key
        .zip(contents(&spki.algorithm))
        .ok_or(Unsigned::Algorithm)?;
    let of_signature = contents(algorithm).ok_or(Unsigned::Algorithm)?;
    let mut refused = Unsigned::Algorithm;
    for known in ALGORITHMS {
        let (on, by) = (known.signature_alg_id(), known.public_key_alg_id());
        if on.as_ref() != of_signature || by.as_ref() != of_key {
            continue;
        }
        if known.verify_signature(key, octets, signature).is_ok() {
            return Ok(());
        }
        refused = Unsigned::Wrong;
    }
    Err(refused)
}

/// What is inside of the SEQUENCE of an AlgorithmIdentifier.
fn contents(algorithm: &impl Encode) -> Option<Vec<u8>> {
    let der = algorithm.to_der().ok()?;
    let any = der::asn1::AnyRef::from_der(&der).ok()?;
    Some(any.value().to_vec())
}
