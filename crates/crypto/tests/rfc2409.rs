//! RSA signatures without the name of a hash, as IKEv1 has them: forgeries (Wycheproof), what
//! OpenSSL and strongSwan made, and keys of odd sizes.

use crypto::signature::{PrivateKey, PublicKey};
use crypto::{AuthenticationFailed, Prf, Secret};
use wycheproof::TestResult;
use wycheproof::rsa_pkcs1_verify::{TestFlag, TestName, TestSet};

/// What stands before a hash that is named (RFC 8017 section 9.2, note 1), less its length.
const SHA2: [u8; 13] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04,
];

/// The name and the hash, as a signature that names its hash has them.
fn named(prf: Prf, message: &[u8]) -> Vec<u8> {
    let hash = prf.hash(&[message]);
    let (length, arc) = match prf {
        Prf::HmacSha2_256 => (32, 1),
        Prf::HmacSha2_384 => (48, 2),
        _ => (64, 3),
    };
    let mut name = SHA2.to_vec();
    name[1] = 17 + length;
    [&name[..], &[2, arc, 5, 0, 4, length], &hash].concat()
}

#[test]
fn what_is_no_signature_of_these_octets_is_refused() {
    let (mut refused, mut accepted) = (0, 0);
    for (name, prf) in [
        (TestName::Rsa2048Sha256, Prf::HmacSha2_256),
        (TestName::Rsa2048Sha384, Prf::HmacSha2_384),
        (TestName::Rsa4096Sha512, Prf::HmacSha2_512),
        (TestName::Rsa8192Sha256, Prf::HmacSha2_256),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let Ok(key) = PublicKey::from_spki(&group.der) else {
                let small = |test: &wycheproof::rsa_pkcs1_verify::Test| {
                    test.flags.contains(&TestFlag::SmallPublicKey)
                };
                assert!(group.tests.iter().all(small));
                continue;
            };
            for test in &group.tests {
                let verified = key.verify_rfc2409(&named(prf, &test.msg), &test.sig);
                match test.result {
                    TestResult::Valid => assert_eq!(verified, Ok(()), "{}", test.comment),
                    // Such as a hash whose name lacks its NULL: other octets than these.
                    TestResult::Invalid | TestResult::Acceptable => {
                        assert_eq!(verified, Err(AuthenticationFailed), "{}", test.comment);
                    }
                }
                accepted += usize::from(verified.is_ok());
                refused += usize::from(verified.is_err());
            }
        }
    }
    assert!(refused > 800 && accepted > 20, "{refused} {accepted}");
}

/// HASH_I of a Main Mode with 3DES and MD5.
const HASH_I: [u8; 16] = [
    0x0c, 0xeb, 0x60, 0x21, 0xf2, 0x36, 0x34, 0x6f, 0x86, 0x95, 0xe9, 0xc6, 0x24, 0x58, 0xac, 0x3f,
];

#[test]
fn what_strongswan_signed_verifies() {
    let key = PublicKey::from_spki(include_bytes!("keys/strongswan.spki")).unwrap();
    let signature = include_bytes!("keys/strongswan.sig");
    assert_eq!(key.verify_rfc2409(&HASH_I, signature), Ok(()));
    for bit in 0..HASH_I.len() * 8 {
        let mut other = HASH_I;
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(key.verify_rfc2409(&other, signature).is_err());
    }
    for length in 0..signature.len() {
        assert!(key.verify_rfc2409(&HASH_I, &signature[..length]).is_err());
    }
    let longer = [&[0], &signature[..]].concat();
    assert!(key.verify_rfc2409(&HASH_I, &longer).is_err());
    assert!(key.verify_rfc2409(&HASH_I, &[0xff; 256]).is_err());
    assert!(key.verify_rfc2409(&[], signature).is_err());
}

#[test]
fn a_modulus_may_end_within_an_octet() {
    let der = include_bytes!("keys/rsa2052.der");
    let key = PrivateKey::from_der(&Secret::from_slice(der)).unwrap();
    let hash = Prf::HmacSha2_256.hash(&[b"holdfast signs this"]);
    // There is one signature only, whoever makes it.
    let signature = key.sign_rfc2409(&hash).unwrap();
    assert_eq!(signature, include_bytes!("keys/rsa2052.sig"));
    assert_eq!(key.public().verify_rfc2409(&hash, &signature), Ok(()));
}

#[test]
fn a_hash_must_leave_room_for_padding_and_the_key_must_be_rsa() {
    let der = include_bytes!("../src/self_test/signatures/rsa.der");
    let key = PrivateKey::from_der(&Secret::from_slice(der)).unwrap();
    for length in [0, 16, 20, 64, 245] {
        let hash = vec![7; length];
        let signature = key.sign_rfc2409(&hash).unwrap();
        assert_eq!(key.public().verify_rfc2409(&hash, &signature), Ok(()));
    }
    assert!(key.sign_rfc2409(&[7; 246]).is_err());
    let der = include_bytes!("../src/self_test/signatures/p256.der");
    let key = PrivateKey::from_der(&Secret::from_slice(der)).unwrap();
    assert!(key.sign_rfc2409(&[7; 32]).is_err());
    assert!(key.public().verify_rfc2409(&[7; 32], &[7; 64]).is_err());
}
