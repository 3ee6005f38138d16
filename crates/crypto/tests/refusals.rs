//! What must be refused: bad public values, data that was changed, algorithms nobody can run.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crypto::cipher::{CbcKey, KeyError, SealError};
use crypto::{
    AuthenticationFailed, DhError, DhKeyPair, Encryption, Group, Integrity, OpeningKey, Prf,
    Random, SealingKey, SeededRandom, respond,
};

/// Every pair of algorithms that can protect a packet.
fn suites() -> Vec<(Encryption, Option<Integrity>)> {
    let mut suites = Vec::new();
    for encryption in Encryption::ALL {
        if encryption.is_aead() {
            suites.push((encryption, None));
        } else {
            suites.extend(Integrity::ALL.map(|integrity| (encryption, Some(integrity))));
        }
    }
    suites
}

fn keys(suite: (Encryption, Option<Integrity>)) -> (SealingKey, OpeningKey) {
    let (encryption, integrity) = suite;
    let mut random = SeededRandom::new(1);
    let mut key = vec![0; encryption.key_length()];
    let mut integrity_key = vec![0; integrity.map_or(0, Integrity::key_length)];
    random.fill(&mut key);
    random.fill(&mut integrity_key);
    (
        SealingKey::new(encryption, integrity, &key, &integrity_key).unwrap(),
        OpeningKey::new(encryption, integrity, &key, &integrity_key).unwrap(),
    )
}

/// What a responder is given: cut, empty or longer.
#[test]
fn a_first_value_of_another_length() {
    for group in Group::ALL {
        let other = DhKeyPair::generate(group, &mut SeededRandom::new(6)).unwrap();
        let public = other.public();
        let expected = group.public_length();
        for wrong in [&[][..], &public[1..], &[public, &[0]].concat()] {
            let received = wrong.len();
            let error = DhError::WrongLength {
                group,
                expected,
                received,
            };
            let refused = respond(group, wrong, &mut SeededRandom::new(7));
            assert_eq!(refused.map(|_| ()), Err(error));
        }
    }
}

/// FIPS 203 section 7.2: a coefficient that is not below q = 3329.
#[test]
fn an_encapsulation_key_that_is_not_reduced() {
    for group in [Group::MlKem768, Group::MlKem1024] {
        let other = DhKeyPair::generate(group, &mut SeededRandom::new(6)).unwrap();
        let mut public = other.public().to_vec();
        // The first coefficient of 12 bits becomes 3329.
        public[0] = 0x01;
        public[1] = public[1] & 0xf0 | 0x0d;
        let refused = respond(group, &public, &mut SeededRandom::new(7));
        assert_eq!(refused.map(|_| ()), Err(DhError::NotAKey { group }));
    }
}

fn agree(group: Group, peer: &[u8]) -> Result<(), DhError> {
    let pair = DhKeyPair::generate(group, &mut SeededRandom::new(5)).unwrap();
    pair.agree(peer).map(|_| ())
}

/// RFC 7296 section 3.4: one length for each group. The value is cut, empty, doubled, prefixed.
#[test]
fn a_public_value_of_another_length() {
    for group in Group::ALL {
        let other = DhKeyPair::generate(group, &mut SeededRandom::new(6)).unwrap();
        let answer = respond(group, other.public(), &mut SeededRandom::new(7)).unwrap();
        let public = answer.0.as_slice();
        let expected = group.answer_length();
        assert_eq!(agree(group, public), Ok(()));
        for wrong in [
            &[][..],
            &public[1..],
            &public[..expected - 1],
            &[&[4], public].concat(),
            &[&[0], public].concat(),
            &[public, public].concat(),
            &public[..expected / 2],
        ] {
            let received = wrong.len();
            let error = DhError::WrongLength {
                group,
                expected,
                received,
            };
            assert_eq!(agree(group, wrong), Err(error));
        }
    }
}

/// RFC 6989 section 2.1: 0, 1, p - 1, p and more. The primes end in 64 one bits and begin so.
#[test]
fn modp_values_outside_the_group() {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("vectors/dh_rfc3526_modp.json")).unwrap();
    for test in file["tests"].as_array().unwrap() {
        let group = Group::from_id(test["group"].as_u64().unwrap().try_into().unwrap()).unwrap();
        let digits = test["prime"].as_str().unwrap();
        let prime: Vec<u8> = (0..digits.len() / 2)
            .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let last = prime.len() - 1;
        let number = |low: u8| [&vec![0; last][..], &[low]].concat();
        let below_prime = |less: u8| [&prime[..last], &[0xff - less]].concat();
        let refused = Err(DhError::OutOfRange { group });
        assert_eq!(agree(group, &number(0)), refused, "0");
        assert_eq!(agree(group, &number(1)), refused, "1");
        assert_eq!(agree(group, &number(2)), Ok(()), "2");
        assert_eq!(agree(group, &below_prime(2)), Ok(()), "p - 2");
        assert_eq!(agree(group, &below_prime(1)), refused, "p - 1");
        assert_eq!(agree(group, &prime), refused, "p");
        assert_eq!(agree(group, &vec![0xff; prime.len()]), refused, "all ones");
    }
}

/// RFC 6989 section 2.3: coordinates below the field's prime, and the equation of the curve.
#[test]
fn ecp_values_off_the_curve() {
    for group in [Group::Ecp256, Group::Ecp384, Group::Ecp521] {
        let refused = Err(DhError::NotOnCurve { group });
        let other = DhKeyPair::generate(group, &mut SeededRandom::new(6)).unwrap();
        let public = other.public();
        let half = public.len() / 2;
        assert_eq!(agree(group, &vec![0; 2 * half]), refused, "zeros");
        assert_eq!(
            agree(group, &vec![0xff; 2 * half]),
            refused,
            "beyond the field"
        );
        let (x, y) = public.split_at(half);
        assert_eq!(agree(group, &[y, x].concat()), refused, "x and y exchanged");
        for bit in [0, 8 * half - 1, 8 * half + 8, 16 * half - 1] {
            let mut wrong = public.to_vec();
            wrong[bit / 8] ^= 0x80 >> (bit % 8);
            assert_eq!(agree(group, &wrong), refused, "bit {bit}");
        }
    }
    // x + p is the same residue as x: P-256's generator with x + p would still fit no 32 bytes,
    // but a point with x = 5 does, and must not pass under a second name.
    let prime = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
    let y = "459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc";
    let hex = |text: &str| -> Vec<u8> {
        let digits = text.as_bytes().chunks(2);
        digits
            .map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap())
            .collect()
    };
    let mut x = [0; 32];
    x[31] = 5;
    assert_eq!(
        agree(Group::Ecp256, &[&x[..], &hex(y)].concat()),
        Ok(()),
        "x = 5"
    );
    // p + 5: the lowest 96 bits of p are ones, so the sum carries into bit 96.
    let mut x = hex(prime);
    x[31] = 4;
    for byte in &mut x[20..31] {
        *byte = 0;
    }
    x[19] = 1;
    let refused = Err(DhError::NotOnCurve {
        group: Group::Ecp256,
    });
    assert_eq!(
        agree(Group::Ecp256, &[&x[..], &hex(y)].concat()),
        refused,
        "x = p + 5"
    );
}

/// RFC 7748 section 6.1, RFC 8031 section 2: the points of small order give a secret of zeros.
#[test]
fn curve25519_values_of_small_order() {
    let refused = Err(DhError::SmallOrder {
        group: Group::Curve25519,
    });
    let mut one = [0; 32];
    one[0] = 1;
    // p - 1, p and p + 1, little-endian, with and without the bit that is ignored.
    let near = |low: u8, high: u8| {
        let mut value = [0xff; 32];
        (value[0], value[31]) = (low, high);
        value
    };
    // A point of order 8.
    let eighth = [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ];
    for value in [
        [0; 32],
        one,
        eighth,
        near(0xec, 0x7f),
        near(0xed, 0x7f),
        near(0xee, 0x7f),
        near(0xec, 0xff),
        near(0xed, 0xff),
        near(0xee, 0xff),
    ] {
        assert_eq!(agree(Group::Curve25519, &value), refused, "{value:02x?}");
    }
    let mut nine = [0; 32];
    nine[0] = 9;
    assert_eq!(agree(Group::Curve25519, &nine), Ok(()));
}

/// One registry: what can be named can be run, and nothing else can be named. No key length of 0
/// but ENCR_NULL's, no key length where none belongs, none missing.
#[test]
fn only_what_can_be_run_has_a_name() {
    let lengths = || [None, Some(0)].into_iter().chain((1..=1024).map(Some));
    let mut named = Vec::new();
    for id in 0..=300 {
        named.extend(lengths().filter_map(|bits| Encryption::from_id(id, bits)));
    }
    named.sort();
    let mut all = Encryption::ALL;
    all.sort();
    assert_eq!(named, all);
    for suite in suites() {
        keys(suite);
    }
    for encryption in Encryption::ALL {
        let (id, bits) = (encryption.id(), encryption.key_bits_attribute());
        assert_eq!(Encryption::from_id(id, bits), Some(encryption));
        let null = encryption == Encryption::Null;
        assert_eq!(encryption.key_length() == 0, null);
        assert_eq!(encryption.iv_length() == 0, null);
        assert_eq!(encryption.icv_length() != 0, encryption.is_aead());
    }
    let ids = 0..=u16::MAX;
    let integrity: Vec<_> = ids.clone().filter_map(Integrity::from_id).collect();
    let prf: Vec<_> = ids.clone().filter_map(Prf::from_id).collect();
    let group: Vec<_> = ids.filter_map(Group::from_id).map(Group::id).collect();
    let (mut all_integrity, mut all_prf) = (Integrity::ALL, Prf::ALL);
    all_integrity.sort_by_key(|known| known.id());
    all_prf.sort_by_key(|known| known.id());
    assert_eq!(
        (&integrity[..], &prf[..]),
        (&all_integrity[..], &all_prf[..])
    );
    assert_eq!(group, [1, 2, 5, 14, 15, 16, 19, 20, 21, 31, 36, 37]);
}

#[test]
fn what_is_legacy_is_listed() {
    let legacy = |id: &Encryption| id.is_legacy();
    let encryption: Vec<_> = Encryption::ALL.into_iter().filter(legacy).collect();
    assert_eq!(
        encryption,
        [
            Encryption::TripleDesCbc,
            Encryption::DesCbc,
            Encryption::Null
        ]
    );
    let integrity = Integrity::ALL.into_iter().filter(|id| id.is_legacy());
    assert_eq!(integrity.map(Integrity::id).collect::<Vec<_>>(), [2, 1]);
    let prf = Prf::ALL.into_iter().filter(|id| id.is_legacy());
    assert_eq!(prf.map(Prf::id).collect::<Vec<_>>(), [2, 1]);
    let groups = Group::ALL.into_iter().filter(|id| id.is_legacy());
    assert_eq!(groups.map(Group::id).collect::<Vec<_>>(), [5, 2, 1]);
}

/// DES has keys that encrypt twice to the plaintext, and 3DES with equal keys is DES.
#[test]
fn weak_keys_of_des_are_refused() {
    let integrity = Some(Integrity::HmacSha1_96);
    let weak = |encryption, key: &[u8]| {
        let error = Err(KeyError::WeakKey { encryption });
        let sealing = SealingKey::new(encryption, integrity, key, &[2; 20]).map(|_| ());
        let opening = OpeningKey::new(encryption, integrity, key, &[2; 20]).map(|_| ());
        assert_eq!((sealing, opening), (error, error));
        assert_eq!(CbcKey::new(encryption, key).map(|_| ()), error);
    };
    weak(Encryption::DesCbc, &[1; 8]);
    weak(Encryption::DesCbc, &[0xfe; 8]);
    weak(Encryption::TripleDesCbc, &[7; 24]);
    assert!(CbcKey::new(Encryption::DesCbc, &[7; 8]).is_ok());
    // What conceals nothing has no place in IKE.
    assert!(CbcKey::new(Encryption::Null, &[]).is_err());
}

#[test]
fn names_are_those_of_the_registry() {
    let names = Encryption::ALL.map(|encryption| encryption.to_string());
    assert_eq!(
        names,
        [
            "ENCR_AES_GCM_16 256",
            "ENCR_AES_GCM_16 128",
            "ENCR_CHACHA20_POLY1305",
            "ENCR_AES_CBC 256",
            "ENCR_AES_CBC 192",
            "ENCR_AES_CBC 128",
            "ENCR_3DES",
            "ENCR_DES",
            "ENCR_NULL",
        ]
    );
}

#[test]
fn keys_that_do_not_fit() {
    let gcm = Encryption::AesGcm16 { key_bits: 128 };
    let cbc = Encryption::AesCbc { key_bits: 128 };
    let hmac = Integrity::HmacSha2_256_128;
    let try_new = |encryption, integrity, key: usize, integrity_key: usize| {
        let (key, integrity_key) = (vec![1; key], vec![2; integrity_key]);
        let sealing = SealingKey::new(encryption, integrity, &key, &integrity_key).map(|_| ());
        let opening = OpeningKey::new(encryption, integrity, &key, &integrity_key).map(|_| ());
        assert_eq!(sealing, opening);
        sealing
    };
    for key_bits in [0, 8, 64, 192, 512, u16::MAX] {
        let encryption = Encryption::AesGcm16 { key_bits };
        let length = encryption.key_length();
        let error = KeyError::UnknownKeyLength { encryption };
        assert_eq!(try_new(encryption, None, length, 0), Err(error));
    }
    for received in [0, 16, 19, 21, 36] {
        let error = KeyError::WrongKeyLength {
            encryption: gcm,
            expected: 20,
            received,
        };
        assert_eq!(try_new(gcm, None, received, 0), Err(error));
    }
    let error = KeyError::IntegrityWithAead {
        encryption: gcm,
        integrity: hmac,
    };
    assert_eq!(try_new(gcm, Some(hmac), 20, 32), Err(error));
    assert_eq!(
        try_new(cbc, None, 16, 0),
        Err(KeyError::NoIntegrity { encryption: cbc })
    );
    for received in [0, 20, 31, 33] {
        let integrity = Some(hmac);
        let error = KeyError::WrongIntegrityKeyLength {
            integrity,
            expected: 32,
            received,
        };
        assert_eq!(try_new(cbc, integrity, 16, received), Err(error));
    }
    let error = KeyError::WrongIntegrityKeyLength {
        integrity: None,
        expected: 0,
        received: 32,
    };
    assert_eq!(try_new(gcm, None, 20, 32), Err(error));
}

#[test]
fn every_length_opens_again_and_nothing_changed_does() {
    for suite in suites() {
        let (sealing, opening) = keys(suite);
        let block = suite.0.block_length();
        let suffix: &[u8] = if suite.0.is_aead() {
            &[]
        } else {
            &[0, 0, 0, 1]
        };
        for length in (0..200)
            .chain([1400, 9000])
            .filter(|length| length % block == 0)
        {
            let plaintext: Vec<u8> = (0..length).map(|at| (at * 7 % 251) as u8).collect();
            let mut data = plaintext.clone();
            let mut iv = vec![0; suite.0.iv_length()];
            let mut icv = vec![0; sealing.icv_length()];
            sealing.write_iv(length as u64, &mut iv).unwrap();
            sealing
                .seal(&iv, b"12345678", suffix, &mut data, &mut icv)
                .unwrap();
            let concealed = suite.0 != Encryption::Null && length > 0;
            assert_eq!(data != plaintext, concealed);
            // One bit changed anywhere: IV, AAD, ciphertext, ICV, suffix.
            let sealed = [&iv[..], b"12345678", &data, &icv, suffix];
            for (field, bytes) in sealed.iter().enumerate() {
                for at in [0, bytes.len() / 2, bytes.len().saturating_sub(1)] {
                    let mut changed = sealed.map(<[u8]>::to_vec);
                    let Some(byte) = changed[field].get_mut(at) else {
                        continue;
                    };
                    *byte ^= 1 << (length % 8);
                    let [iv, aad, data, icv, suffix] = &mut changed;
                    assert_eq!(
                        opening.open(iv, aad, suffix, data, icv),
                        Err(AuthenticationFailed),
                        "{suite:?}, {length} bytes, field {field}, byte {at}"
                    );
                }
            }
            opening
                .open(&iv, b"12345678", suffix, &mut data, &icv)
                .unwrap();
            assert_eq!(data, plaintext, "{suite:?}, {length} bytes");
        }
    }
}

/// Lengths from outside: never a panic, never a success, and CBC data stays as it was.
#[test]
fn opening_takes_any_lengths() {
    for suite in suites() {
        let (sealing, opening) = keys(suite);
        let (iv_length, icv_length) = (suite.0.iv_length(), sealing.icv_length());
        let (iv, mut data, mut icv) = (vec![0; iv_length], vec![3; 32], vec![0; icv_length]);
        sealing.seal(&iv, &[], &[], &mut data, &mut icv).unwrap();
        let shorter_iv = iv_length.checked_sub(1).unwrap_or(8);
        for (iv_length, length, icv_length) in [
            (iv_length + 1, 32, icv_length),
            (shorter_iv, 32, icv_length),
            (shorter_iv / 2, 32, icv_length),
            (iv_length, 31, icv_length),
            (iv_length, 16, icv_length),
            (iv_length, 0, icv_length),
            (iv_length, 32, icv_length - 1),
            (iv_length, 32, icv_length + 1),
            (iv_length, 32, 0),
        ] {
            let resized = |bytes: &[u8], length| {
                let mut bytes = bytes.to_vec();
                bytes.resize(length, 0);
                bytes
            };
            let (iv, icv) = (resized(&iv, iv_length), resized(&icv, icv_length));
            let mut cut = resized(&data, length);
            let opened = opening.open(&iv, &[], &[], &mut cut, &icv);
            assert_eq!(opened, Err(AuthenticationFailed), "{suite:?}");
            assert!(suite.0.is_aead() || cut == resized(&data, length));
        }
        opening.open(&iv, &[], &[], &mut data, &icv).unwrap();
        assert_eq!(data, [3; 32]);
    }
}

#[test]
fn sealing_names_the_broken_contract() {
    for suite in suites() {
        let (sealing, opening) = keys(suite);
        let (iv_length, expected) = (suite.0.iv_length(), sealing.icv_length());
        let seal = |iv: usize, suffix: &[u8], length: usize, icv: usize| {
            let mut data = vec![5; length];
            let sealed = sealing.seal(&vec![0; iv], &[], suffix, &mut data, &mut vec![0; icv]);
            assert!(
                sealed.is_ok() || data == vec![5; length],
                "unchanged on an error"
            );
            sealed
        };
        for iv in [0, iv_length.saturating_sub(1), iv_length + 1, 24] {
            if iv == iv_length {
                continue;
            }
            let error = SealError::WrongIv {
                expected: iv_length,
                received: iv,
            };
            assert_eq!(seal(iv, &[], 32, expected), Err(error));
            assert_eq!(sealing.write_iv(1, &mut vec![0; iv]), Err(error));
        }
        for icv in [0, expected - 1, expected + 1] {
            let error = SealError::WrongIcv {
                expected,
                received: icv,
            };
            assert_eq!(seal(iv_length, &[], 32, icv), Err(error));
        }
        if suite.0.is_aead() {
            assert_eq!(
                seal(iv_length, &[0; 4], 32, expected),
                Err(SealError::SuffixWithAead)
            );
            let opened = opening.open(&[0; 8], &[], &[0; 4], &mut [0; 32], &[0; 16]);
            assert_eq!(opened, Err(AuthenticationFailed));
        } else if suite.0 != Encryption::Null {
            let block = suite.0.block_length();
            let error = SealError::NotWholeBlocks { block, length: 33 };
            assert_eq!(seal(iv_length, &[], 33, expected), Err(error));
        }
    }
}

/// An AEAD takes the number; CBC takes something that does not show the number nor repeats.
#[test]
fn ivs_do_not_repeat() {
    for suite in suites() {
        if suite.0 == Encryption::Null {
            continue;
        }
        let (sealing, _) = keys(suite);
        assert!(suite.0.iv_length() <= crypto::cipher::MAX_IV_LENGTH);
        assert!(sealing.icv_length() <= crypto::cipher::MAX_ICV_LENGTH);
        let mut seen = std::collections::BTreeSet::new();
        for number in (0..2000).chain([u64::MAX - 1, u64::MAX]) {
            let mut iv = vec![0xaa; suite.0.iv_length()];
            sealing.write_iv(number, &mut iv).unwrap();
            assert_eq!(iv.ends_with(&number.to_be_bytes()), suite.0.is_aead());
            assert!(seen.insert(iv));
        }
    }
}

/// Keys move to the thread that uses them, and may be shared.
#[test]
fn keys_can_be_used_by_any_thread() {
    fn shared<T: Send + Sync>() {}
    shared::<SealingKey>();
    shared::<OpeningKey>();
    shared::<DhKeyPair>();
    shared::<crypto::Secret>();
}
