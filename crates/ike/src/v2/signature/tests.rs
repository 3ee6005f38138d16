//! Signatures that verify, and all those that must not.

use super::*;
use crypto::Secret;
use wire::ike::numbers::HASH_SHA2_512;

macro_rules! key {
    ($name:literal) => {
        include_bytes!(concat!(
            "../../../../crypto/src/self_test/signatures/",
            $name
        ))
        .as_slice()
    };
}

const KEYS: [&[u8]; 5] = [
    key!("rsa.der"),
    key!("p256.der"),
    key!("p384.der"),
    key!("p521.der"),
    key!("ed25519.der"),
];

fn credential(der: &[u8], pkcs1: bool) -> Credential {
    Credential {
        key: PrivateKey::from_der(&Secret::from_slice(der)).unwrap(),
        certificates: Vec::new(),
        pkcs1,
    }
}

fn all() -> Vec<u16> {
    match hashes() {
        Payload::Notify(notify) => hashes_of(&notify),
        _ => Vec::new(),
    }
}

#[test]
fn what_is_signed_verifies_and_no_changed_bit_of_it_does() {
    assert_eq!(all(), [2, 3, 4, 5]);
    for der in KEYS {
        let own = credential(der, false);
        let key = own.key.public();
        let auth = sign(&own, Some(&all()), b"octets").unwrap();
        assert_eq!(auth.method, 14);
        assert_eq!(verify(key, &auth, b"octets"), Ok(()));
        assert!(verify(key, &auth, b"octet").is_err());
        for bit in 0..auth.data.len() * 8 {
            let mut changed = auth.clone();
            changed.data[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(key, &changed, b"octets").is_err(), "{bit}");
        }
        for length in 0..auth.data.len() {
            let short = AuthPayload {
                method: auth.method,
                data: auth.data[..length].to_vec(),
            };
            assert!(verify(key, &short, b"octets").is_err());
        }
    }
}

#[test]
fn pkcs1_is_signed_where_it_is_wanted_and_pss_elsewhere() {
    let identifier = |pkcs1| {
        let own = credential(KEYS[0], pkcs1);
        let data = sign(&own, Some(&[HASH_SHA2_512]), b"octets").unwrap().data;
        SignatureScheme::from_algorithm_identifier(&data[1..=usize::from(data[0])])
    };
    let hash = HashAlgorithm::Sha2_512;
    assert_eq!(identifier(false), Some(SignatureScheme::RsaPss(hash)));
    assert_eq!(identifier(true), Some(SignatureScheme::RsaPkcs1(hash)));
}

#[test]
fn a_peer_without_rfc_7427_gets_ecdsa_by_its_old_methods_and_nothing_else() {
    let methods = [None, Some(9), Some(10), Some(11), None];
    for (der, method) in KEYS.into_iter().zip(methods) {
        let own = credential(der, false);
        match (sign(&own, None, b"octets"), method) {
            (Ok(auth), Some(method)) => {
                assert_eq!(auth.method, method);
                assert_eq!(verify(own.key.public(), &auth, b"octets"), Ok(()));
                let other = AuthPayload {
                    method: 20 - method,
                    ..auth
                };
                let verified = verify(own.key.public(), &other, b"octets");
                assert_eq!(verified.is_ok(), method == 10);
            }
            (Err(NotAuthentic::CannotSign { why }), None) => {
                assert!(why.contains("does not know RFC 7427"), "{why}");
            }
            (other, _) => panic!("{other:?}"),
        }
        let no_hash = sign(&own, Some(&[1]), b"octets");
        assert!(matches!(no_hash, Err(NotAuthentic::CannotSign { .. })));
    }
    let sha1 = AuthPayload {
        method: AUTH_METHOD_RSA_SIGNATURE,
        data: vec![0; 256],
    };
    let why = verify(credential(KEYS[0], false).key.public(), &sha1, b"octets");
    assert!(why.unwrap_err().contains("SHA-1"));
}
