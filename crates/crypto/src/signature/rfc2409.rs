//! RSA signatures of IKEv1: PKCS #1 v1.5 over a hash that is not named (RFC 2409 section 5.1).
//!
//! AWS-LC signs with the name of the hash only, so the power is computed here. The message that is
//! signed is no secret and chosen by nobody, and the time of the power depends on the lengths
//! alone: 6 ms for 2048 bits, 28 ms for 4096. No use is made of the primes, of which a fault would
//! give both away.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa;
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use spki::AlgorithmIdentifierRef;
use spki::der::asn1::{OctetStringRef, UintRef};
use spki::der::{self, Decode, Reader, SliceReader};
use zeroize::Zeroizing;

use crate::hmac::constant_time_eq;

/// The least number of octets of padding (RFC 8017 section 9.2).
const LEAST_PADDING: usize = 8;

/// A public key: both numbers without leading zeros, the exponent of at most 32 bits.
#[derive(Clone, Copy)]
pub(crate) struct RsaNumbers<'a> {
    pub(crate) modulus: &'a [u8],
    pub(crate) exponent: &'a [u8],
}

/// Whether `signature` is by this key over `hash`. What it should be is encoded anew and compared;
/// nothing of what came out of the signature is decoded.
pub(crate) fn verifies(key: RsaNumbers<'_>, hash: &[u8], signature: &[u8]) -> bool {
    // Both are as long as the modulus, whose first octet is not 0.
    if signature.len() != key.modulus.len() || signature >= key.modulus {
        return false;
    }
    let expected = encoded(hash, key.modulus.len());
    let bits = bits_of(key.exponent).unwrap_or_default();
    let found = power(signature, key.exponent, bits, key.modulus);
    match (expected, found) {
        (Some(expected), Some(found)) => constant_time_eq(&expected, &found),
        _ => false,
    }
}

/// Signs the hash. `None` when the key does not make a signature that verifies.
pub(crate) fn sign(pair: &rsa::KeyPair, key: RsaNumbers<'_>, hash: &[u8]) -> Option<Vec<u8>> {
    let der: Pkcs8V1Der<'_> = pair.as_der().ok()?;
    let exponent = private_exponent(der.as_ref()).ok()?;
    let message = encoded(hash, key.modulus.len())?;
    // All bits of the modulus, lest the time tell how many of d's are 0 at its beginning.
    let signature = power(&message, exponent, bits_of(key.modulus)?, key.modulus)?;
    verifies(key, hash, &signature).then_some(signature)
}

/// 00 01 FF ... FF 00 and the hash (RFC 8017 section 9.2, less DigestInfo).
fn encoded(hash: &[u8], length: usize) -> Option<Vec<u8>> {
    let padding = length.checked_sub(hash.len() + 3)?;
    if padding < LEAST_PADDING {
        return None;
    }
    Some([&[0, 1], &vec![0xff; padding][..], &[0], hash].concat())
}

/// base^exponent mod modulus, as long as the modulus. The time depends on the lengths of base and
/// modulus, and on `bits`, of which the exponent has no more.
fn power(base: &[u8], exponent: &[u8], bits: u32, modulus: &[u8]) -> Option<Vec<u8>> {
    let precision = bits_of(modulus)?;
    let number = |octets| BoxedUint::from_be_slice(octets, precision).ok();
    let n: Odd<BoxedUint> = Option::from(Odd::new(number(modulus)?))?;
    let parameters = BoxedMontyParams::new_vartime(n);
    let exponent = Zeroizing::new(number(exponent)?);
    let base = BoxedMontyForm::new(number(base)?, &parameters);
    let result = base.pow_bounded_exp(&exponent, bits).retrieve();
    let octets = result.to_be_bytes();
    let start = octets.len().checked_sub(modulus.len())?;
    octets.get(start..).map(<[u8]>::to_vec)
}

fn bits_of(octets: &[u8]) -> Option<u32> {
    u32::try_from(octets.len()).ok()?.checked_mul(8)
}

/// d of the RSAPrivateKey in a PKCS #8 document (RFC 5208, RFC 8017 appendix A.1.2).
fn private_exponent(pkcs8: &[u8]) -> der::Result<&[u8]> {
    let mut reader = SliceReader::new(pkcs8)?;
    let key = reader.sequence(|inner| -> der::Result<&OctetStringRef> {
        let (_version, _kind) = (
            UintRef::decode(inner)?,
            AlgorithmIdentifierRef::decode(inner)?,
        );
        <&OctetStringRef>::decode(inner)
    })?;
    let mut reader = SliceReader::new(key.as_bytes())?;
    reader.sequence(|inner| -> der::Result<&[u8]> {
        let mut number = || UintRef::decode(inner).map(|one| one.as_bytes());
        let (_version, _n, _e, d) = (number()?, number()?, number()?, number()?);
        for _prime_or_of_primes in 0..5 {
            number()?;
        }
        Ok(d)
    })
}
