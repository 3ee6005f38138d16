//! A known answer for every algorithm that can be negotiated, to be asked for at start.

mod answers;
mod hex;
mod signatures;

use std::fmt;

use zeroize::Zeroize;

use crate::cipher::{OpeningKey, SealingKey};
use crate::dh::{DhKeyPair, respond};
use crate::hash;
use crate::hmac::{HmacKey, MAX_OUTPUT};
use crate::prf::prf_plus;
use crate::random::Random;
use crate::self_test::answers::{DhAnswer, Expected, SealAnswer};
use crate::signature::SignatureScheme;
use crate::suite::{Encryption, Group, Integrity, Prf};

/// Runs every algorithm of [`crate::suite`] and [`crate::signature`] on data with a published
/// answer, both ways, and checks that changed data is refused.
///
/// It takes some 30 milliseconds, most of it for the MODP groups and RSA.
///
/// # Errors
/// [`SelfTestError`] names the first algorithm that did not give its answer: this build must not
/// run on this machine.
pub fn self_test() -> Result<(), SelfTestError> {
    hashes()?;
    for encryption in Encryption::ALL {
        seal_and_open(encryption)?;
    }
    for integrity in Integrity::ALL {
        integrity_check(integrity)?;
    }
    for prf in Prf::ALL {
        key_derivation(prf)?;
    }
    for group in Group::ALL {
        key_exchange(group)?;
    }
    signatures::check()
}

fn hashes() -> Result<(), SelfTestError> {
    let fails = |hash| SelfTestError {
        algorithm: Algorithm::Hash(hash),
        step: Step::Hash,
    };
    if hash::sha1(&[b"a", b"bc"]) != answers::SHA1_ABC {
        return Err(fails("SHA-1"));
    }
    if hash::md5(&[b"a", b"bc"]) != answers::MD5_ABC {
        return Err(fails("MD5"));
    }
    if hash::sha256(&[b"a", b"bc"]) != answers::SHA256_ABC {
        return Err(fails("SHA-256"));
    }
    Ok(())
}

fn seal_and_open(encryption: Encryption) -> Result<(), SelfTestError> {
    let fails = |step| SelfTestError {
        algorithm: Algorithm::Encryption(encryption),
        step,
    };
    let answer = answers::seal(encryption).ok_or(fails(Step::NoAnswer))?;
    let SealAnswer {
        key,
        iv,
        aad,
        plaintext,
        ciphertext,
        icv,
    } = answer;
    // Where CBC needs an integrity algorithm, any will do: each has its own known answer.
    let integrity = (!encryption.is_aead()).then_some(Integrity::HmacSha2_256_128);
    let integrity_key = [0; 32];
    let integrity_key = &integrity_key[..integrity.map_or(0, Integrity::key_length)];
    let sealing =
        SealingKey::new(encryption, integrity, key, integrity_key).or(Err(fails(Step::Key)))?;
    let opening =
        OpeningKey::new(encryption, integrity, key, integrity_key).or(Err(fails(Step::Key)))?;

    let mut data = plaintext.to_vec();
    let mut tag = [0; 16];
    sealing
        .seal(iv, aad, &[], &mut data, &mut tag)
        .or(Err(fails(Step::Seal)))?;
    if data != *ciphertext || (encryption.is_aead() && tag != *icv) {
        return Err(fails(Step::Seal));
    }
    let mut wrong_tag = tag;
    wrong_tag[15] ^= 1;
    if opening
        .open(iv, aad, &[], &mut ciphertext.to_vec(), &wrong_tag)
        .is_ok()
    {
        return Err(fails(Step::Forgery));
    }
    opening
        .open(iv, aad, &[], &mut data, &tag)
        .or(Err(fails(Step::Open)))?;
    if data == *plaintext {
        Ok(())
    } else {
        Err(fails(Step::Open))
    }
}

fn integrity_check(integrity: Integrity) -> Result<(), SelfTestError> {
    let fails = |step| SelfTestError {
        algorithm: Algorithm::Integrity(integrity),
        step,
    };
    let key = HmacKey::for_integrity(integrity, answers::HMAC_KEY);
    let expected = answers::hmac(integrity.key_length()).ok_or(fails(Step::NoAnswer))?;
    let icv = &expected[..integrity.icv_length()];
    let mut output = [0; MAX_OUTPUT];
    let output = &mut output[..integrity.icv_length()];
    key.sign(&answers::HMAC_DATA, output);
    if output != icv || !key.verify(&answers::HMAC_DATA, icv) {
        return Err(fails(Step::Seal));
    }
    output[0] ^= 1;
    if key.verify(&answers::HMAC_DATA, output) {
        Err(fails(Step::Forgery))
    } else {
        Ok(())
    }
}

fn key_derivation(prf: Prf) -> Result<(), SelfTestError> {
    let fails = |step| SelfTestError {
        algorithm: Algorithm::Prf(prf),
        step,
    };
    let expected = answers::hmac(prf.output_length()).ok_or(fails(Step::NoAnswer))?;
    if prf
        .compute(answers::HMAC_KEY, &answers::HMAC_DATA)
        .as_bytes()
        != expected
    {
        return Err(fails(Step::Derive));
    }
    let length = prf.output_length() * 255;
    let stream = prf_plus(prf, b"key", &[b"se", b"ed"], length).or(Err(fails(Step::Derive)))?;
    let digest = hash::sha256(&[stream.as_bytes()]);
    if digest == answers::prf_plus(prf) {
        Ok(())
    } else {
        Err(fails(Step::Derive))
    }
}

fn key_exchange(group: Group) -> Result<(), SelfTestError> {
    let fails = |step| SelfTestError {
        algorithm: Algorithm::Group(group),
        step,
    };
    let DhAnswer {
        private,
        public,
        peer,
        shared,
    } = answers::dh(group);
    let pair = DhKeyPair::generate(group, &mut Fixed(private)).or(Err(fails(Step::Key)))?;
    if !public.is(pair.public()) {
        return Err(fails(Step::Key));
    }
    // Without a peer's value the exchange is run with our own: g^(x*x).
    let own = pair.public().to_vec();
    let (value, known) = match peer {
        Some(message) if group.is_kem() => {
            let answered = respond(group, &own, &mut Fixed(message));
            let (ciphertext, secret) = answered.or(Err(fails(Step::Agree)))?;
            (ciphertext, shared.is(secret.as_bytes()))
        }
        Some(peer) => (peer.to_vec(), true),
        None => (own, true),
    };
    let secret = pair.agree(&value).or(Err(fails(Step::Agree)))?;
    if known && shared.is(secret.as_bytes()) {
        Ok(())
    } else {
        Err(fails(Step::Agree))
    }
}

impl Expected {
    fn is(&self, value: &[u8]) -> bool {
        match self {
            Expected::Value(expected) => *expected == value,
            Expected::Sha256(expected) => *expected == hash::sha256(&[value]),
        }
    }
}

/// A generator that gives a private key from the book.
struct Fixed(&'static [u8]);

impl Random for Fixed {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.zeroize();
        for (to, from) in bytes.iter_mut().zip(self.0) {
            *to = *from;
        }
    }
}

/// An algorithm did not give its known answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfTestError {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// What it failed at.
    pub step: Step,
}

/// The algorithm under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// An encryption algorithm.
    Encryption(Encryption),
    /// An integrity algorithm.
    Integrity(Integrity),
    /// A pseudorandom function.
    Prf(Prf),
    /// A Diffie-Hellman group.
    Group(Group),
    /// A signature scheme.
    Signature(SignatureScheme),
    /// RSA signatures of IKEv1, which do not name their hash.
    RsaOfIkeV1,
    /// A hash, by name.
    Hash(&'static str),
}

/// What was being tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// No known answer is recorded for the algorithm, so it must not be offered.
    NoAnswer,
    /// A key could not be prepared, or the public value is not the known one.
    Key,
    /// The ciphertext or the ICV is not the known one.
    Seal,
    /// Sealed data could not be opened to the known plaintext.
    Open,
    /// Data with a changed ICV was accepted.
    Forgery,
    /// The output of the PRF or of prf+ is not the known one.
    Derive,
    /// The shared secret is not the known one.
    Agree,
    /// What it signed does not verify, or what was signed elsewhere does not.
    Sign,
    /// The hash is not the known one.
    Hash,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Algorithm::Encryption(encryption) => encryption.fmt(f),
            Algorithm::Integrity(integrity) => integrity.fmt(f),
            Algorithm::Prf(prf) => prf.fmt(f),
            Algorithm::Group(group) => group.fmt(f),
            Algorithm::Signature(scheme) => scheme.fmt(f),
            Algorithm::RsaOfIkeV1 => f.write_str("RSA PKCS #1 v1.5 of IKEv1"),
            Algorithm::Hash(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for SelfTestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.step {
            Step::NoAnswer => "there is no known answer to test it with",
            Step::Key => "it did not make the known key",
            Step::Seal => "it did not give the known output",
            Step::Open => "it did not open what it had sealed",
            Step::Forgery => "it accepted forged data",
            Step::Derive => "it did not derive the known key material",
            Step::Agree => "it did not agree on the known secret",
            Step::Sign => "it did not verify a known signature, or one of its own",
            Step::Hash => "it did not give the known hash",
        };
        let algorithm = self.algorithm;
        write!(
            f,
            "the self-test of {algorithm} failed: {what}; the program or the processor is faulty, \
             so do not use it"
        )
    }
}

impl std::error::Error for SelfTestError {}
