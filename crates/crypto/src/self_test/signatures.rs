//! Keys and signatures that OpenSSL made: each must verify, and sign so that it verifies.

use crate::hash::sha256;
use crate::secret::Secret;
use crate::self_test::{Algorithm, SelfTestError, Step};
use crate::signature::{HashAlgorithm, PrivateKey, SignatureScheme};

/// What the signatures are over.
const MESSAGE: &[u8] = b"holdfast signs this";

macro_rules! octets {
    ($name:literal) => {
        include_bytes!(concat!("signatures/", $name)).as_slice()
    };
}

const RSA: &[u8] = octets!("rsa.der");

/// A scheme, the private key and the signature.
type Answer = (SignatureScheme, &'static [u8], &'static [u8]);

const ANSWERS: [Answer; 10] = {
    use HashAlgorithm::{Sha2_256, Sha2_384, Sha2_512};
    use SignatureScheme::{Ecdsa, Ed25519, RsaPkcs1, RsaPss};
    [
        (RsaPss(Sha2_256), RSA, octets!("rsa_pss_sha256.sig")),
        (RsaPss(Sha2_384), RSA, octets!("rsa_pss_sha384.sig")),
        (RsaPss(Sha2_512), RSA, octets!("rsa_pss_sha512.sig")),
        (RsaPkcs1(Sha2_256), RSA, octets!("rsa_pkcs1_sha256.sig")),
        (RsaPkcs1(Sha2_384), RSA, octets!("rsa_pkcs1_sha384.sig")),
        (RsaPkcs1(Sha2_512), RSA, octets!("rsa_pkcs1_sha512.sig")),
        (
            Ecdsa(Sha2_256),
            octets!("p256.der"),
            octets!("p256_sha256.sig"),
        ),
        (
            Ecdsa(Sha2_384),
            octets!("p384.der"),
            octets!("p384_sha384.sig"),
        ),
        (
            Ecdsa(Sha2_512),
            octets!("p521.der"),
            octets!("p521_sha512.sig"),
        ),
        (Ed25519, octets!("ed25519.der"), octets!("ed25519.sig")),
    ]
};

/// Runs every scheme.
pub(crate) fn check() -> Result<(), SelfTestError> {
    rfc2409()?;
    for scheme in SignatureScheme::ALL {
        let fails = |step| SelfTestError {
            algorithm: Algorithm::Signature(scheme),
            step,
        };
        let answer = ANSWERS.iter().find(|(known, _, _)| *known == scheme);
        let (_, key, signature) = answer.ok_or(fails(Step::NoAnswer))?;
        let key = PrivateKey::from_der(&Secret::from_slice(key)).or(Err(fails(Step::Key)))?;
        let verifies = |message, signature| key.public().verify(scheme, message, signature).is_ok();
        let ours = key.sign(scheme, MESSAGE).or(Err(fails(Step::Sign)))?;
        if !verifies(MESSAGE, &ours) || !verifies(MESSAGE, signature) {
            return Err(fails(Step::Sign));
        }
        if verifies(b"holdfast signs that", signature) {
            return Err(fails(Step::Forgery));
        }
    }
    Ok(())
}

/// RSA without the name of a hash: there is one signature only, so ours must be OpenSSL's.
fn rfc2409() -> Result<(), SelfTestError> {
    let fails = |step| SelfTestError {
        algorithm: Algorithm::RsaOfIkeV1,
        step,
    };
    let hash = sha256(&[MESSAGE]);
    let key = PrivateKey::from_der(&Secret::from_slice(RSA)).or(Err(fails(Step::Key)))?;
    let ours = key.sign_rfc2409(&hash).or(Err(fails(Step::Sign)))?;
    if ours != octets!("rsa_rfc2409.sig") || key.public().verify_rfc2409(&hash, &ours).is_err() {
        return Err(fails(Step::Sign));
    }
    match key.public().verify_rfc2409(&[0; 32], &ours) {
        Ok(()) => Err(fails(Step::Forgery)),
        Err(_) => Ok(()),
    }
}
