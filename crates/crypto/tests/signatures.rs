//! Signatures that careless verifiers have accepted (Wycheproof), and keys of every kind.

use crypto::signature::{HashAlgorithm, KeyKind, PrivateKey, PublicKey, SignatureScheme};
use crypto::{AuthenticationFailed, Secret};
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use HashAlgorithm::{Sha2_256, Sha2_384, Sha2_512};

/// Checks one signature, and counts it.
fn judge(
    key: &PublicKey,
    scheme: SignatureScheme,
    (message, signature): (&[u8], &[u8]),
    expected: TestResult,
    what: &str,
) -> usize {
    let verified = key.verify(scheme, message, signature);
    match expected {
        TestResult::Valid => assert_eq!(verified, Ok(()), "{scheme}: {what}"),
        TestResult::Invalid => assert_eq!(verified, Err(AuthenticationFailed), "{scheme}: {what}"),
        // Such as PKCS #1 padding whose hash lacks its NULL: refused as well.
        TestResult::Acceptable => assert!(scheme != SignatureScheme::Ed25519),
    }
    usize::from(expected == TestResult::Invalid)
}

#[test]
fn forged_rsa_pkcs1_signatures_are_refused() {
    use rsa_pkcs1_verify::{TestName, TestSet};
    let mut refused = 0;
    for (name, hash) in [
        (TestName::Rsa2048Sha256, Sha2_256),
        (TestName::Rsa2048Sha384, Sha2_384),
        (TestName::Rsa2048Sha512, Sha2_512),
        (TestName::Rsa4096Sha256, Sha2_256),
        (TestName::Rsa8192Sha512, Sha2_512),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let Ok(key) = PublicKey::from_spki(&group.der) else {
                assert!(group.tests.iter().all(|test| {
                    test.result != TestResult::Valid
                        || test
                            .flags
                            .contains(&rsa_pkcs1_verify::TestFlag::SmallPublicKey)
                }));
                continue;
            };
            let scheme = SignatureScheme::RsaPkcs1(hash);
            for test in &group.tests {
                let pair = (&test.msg[..], &test.sig[..]);
                refused += judge(&key, scheme, pair, test.result, &test.comment);
            }
        }
    }
    assert!(refused > 1_000, "{refused}");
}

#[test]
fn rsa_pss_has_a_salt_of_the_hash_length_and_no_other() {
    use rsa_pss_verify::{TestName, TestSet};
    let mut refused = 0;
    for (name, hash) in [
        (TestName::RsaPss2048Sha256Mgf1SaltLen32, Sha2_256),
        (TestName::RsaPss4096Sha512Mgf1SaltLen64, Sha2_512),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_spki(&group.der).unwrap();
            for test in &group.tests {
                let pair = (&test.msg[..], &test.sig[..]);
                let scheme = SignatureScheme::RsaPss(hash);
                refused += judge(&key, scheme, pair, test.result, &test.comment);
            }
        }
    }
    assert!(refused > 50, "{refused}");
    for group in TestSet::load(TestName::RsaPss2048Sha256Mgf1SaltLen0)
        .unwrap()
        .test_groups
    {
        let key = PublicKey::from_spki(&group.der).unwrap();
        let without_salt = |test: &&rsa_pss_verify::Test| test.result == TestResult::Valid;
        for test in group.tests.iter().filter(without_salt) {
            let verified = key.verify(SignatureScheme::RsaPss(Sha2_256), &test.msg, &test.sig);
            assert_eq!(verified, Err(AuthenticationFailed));
        }
    }
}

#[test]
fn forged_ecdsa_and_ed25519_signatures_are_refused() {
    use ecdsa::TestName;
    let mut refused = 0;
    for (name, hash) in [
        (TestName::EcdsaSecp256r1Sha256, Sha2_256),
        (TestName::EcdsaSecp384r1Sha384, Sha2_384),
        (TestName::EcdsaSecp521r1Sha512, Sha2_512),
    ] {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_spki(&group.der).unwrap();
            for test in &group.tests {
                let pair = (&test.msg[..], &test.sig[..]);
                let scheme = SignatureScheme::Ecdsa(hash);
                refused += judge(&key, scheme, pair, test.result, &test.comment);
            }
        }
    }
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519)
        .unwrap()
        .test_groups
    {
        let key = PublicKey::from_spki(&group.der).unwrap();
        for test in &group.tests {
            let pair = (&test.msg[..], &test.sig[..]);
            refused += judge(
                &key,
                SignatureScheme::Ed25519,
                pair,
                test.result,
                &test.comment,
            );
        }
    }
    assert!(refused > 500, "{refused}");
}

#[allow(clippy::unwrap_used)]
fn key(der: &[u8]) -> PrivateKey {
    PrivateKey::from_der(&Secret::from_slice(der)).unwrap()
}

#[test]
fn a_key_signs_with_its_own_schemes_only_and_in_both_forms() {
    let keys: [(&[u8], KeyKind); 5] = [
        (
            include_bytes!("../src/self_test/signatures/rsa.der"),
            KeyKind::Rsa(2048),
        ),
        (
            include_bytes!("../src/self_test/signatures/p256.der"),
            KeyKind::P256,
        ),
        (
            include_bytes!("../src/self_test/signatures/p384.der"),
            KeyKind::P384,
        ),
        (
            include_bytes!("../src/self_test/signatures/p521.der"),
            KeyKind::P521,
        ),
        (
            include_bytes!("../src/self_test/signatures/ed25519.der"),
            KeyKind::Ed25519,
        ),
    ];
    for (der, kind) in keys {
        let key = key(der);
        assert_eq!(key.public().kind(), kind);
        for scheme in SignatureScheme::ALL {
            let signed = key.sign(scheme, b"message");
            assert_eq!(
                signed.is_ok(),
                key.schemes().contains(&scheme),
                "{kind}, {scheme}"
            );
            if let Ok(signature) = signed {
                assert_eq!(key.public().verify(scheme, b"message", &signature), Ok(()));
                assert!(key.public().verify(scheme, b"massage", &signature).is_err());
                assert!(key.public().verify_rfc4754(b"message", &signature).is_err());
            }
        }
        if let Ok(fixed) = key.sign_rfc4754(b"message") {
            assert_eq!(key.public().verify_rfc4754(b"message", &fixed), Ok(()));
            assert!(key.public().verify_rfc4754(b"massage", &fixed).is_err());
        }
        let again = PublicKey::from_spki(key.public().spki()).unwrap();
        assert!(again == *key.public());
        // No prefix of a key is one, and none makes the reader panic.
        for length in 0..der.len() {
            assert!(PrivateKey::from_der(&Secret::from_slice(&der[..length])).is_err());
        }
        let spki = key.public().spki();
        for length in 0..spki.len() {
            assert!(PublicKey::from_spki(&spki[..length]).is_err());
        }
    }
}

#[test]
fn weak_rsa_keys_are_refused_with_the_reason() {
    let spki = key(include_bytes!("../src/self_test/signatures/rsa.der"))
        .public()
        .spki()
        .to_vec();
    // The exponent is the last number: 65537.
    let (rest, exponent) = spki.split_at(spki.len() - 3);
    assert_eq!(exponent, [1, 0, 1]);
    for weak in [[0, 0, 3], [1, 0, 0], [0, 255, 255]] {
        let error = PublicKey::from_spki(&[rest, &weak[..]].concat()).unwrap_err();
        assert!(error.to_string().contains("public"), "{error}");
    }
    let short = include_bytes!("keys/rsa1024.spki");
    let error = PublicKey::from_spki(short).unwrap_err().to_string();
    assert!(error.contains("1024 bits"), "{error}");
}
