//! HMAC-SHA-2 (RFC 4231) and prf+, which is HKDF-Expand under another name (RFC 5869).

use crypto::hmac::HmacKey;
use crypto::prf::TooLong;
use crypto::{Integrity, Prf, constant_time_eq, prf_plus};

use crate::read::{bytes, hex, tests};

const ALGORITHMS: [(&str, Prf, Integrity); 3] = [
    ("sha256", Prf::HmacSha2_256, Integrity::HmacSha2_256_128),
    ("sha384", Prf::HmacSha2_384, Integrity::HmacSha2_384_192),
    ("sha512", Prf::HmacSha2_512, Integrity::HmacSha2_512_256),
];

#[test]
fn hmac_sha2() {
    for test in tests(include_str!("../vectors/hmac_rfc4231.json")) {
        let (key, data) = (bytes(&test, "key"), bytes(&test, "data"));
        let parts: Vec<&[u8]> = data.chunks(7).collect();
        for (field, prf, integrity) in ALGORITHMS {
            let expected = bytes(&test, field);
            let output = prf.compute(&key, &parts);
            let name = format!("{prf}, case {}", test["case"]);
            assert_eq!(output.as_bytes()[..expected.len()], expected, "{name}");
            assert_eq!(output.len(), prf.output_length());

            let icv = &output.as_bytes()[..integrity.icv_length()];
            let key = HmacKey::for_integrity(integrity, &key);
            let mut signed = vec![0; integrity.icv_length()];
            key.sign(&[&data], &mut signed);
            assert_eq!(signed, icv, "{name}");
            assert!(key.verify(&parts, icv), "{name}");
            signed[0] ^= 0x80;
            assert!(!key.verify(&parts, &signed), "{name}");
        }
    }
}

/// RFC 2202: short keys, keys of the hash's length, keys longer than its block.
#[test]
fn hmac_of_the_old_hashes() {
    let long = [0xaa; 80];
    let larger = b"Test Using Larger Than Block-Size Key - Hash Key First";
    for (prf, integrity, key, data, expected) in [
        (
            Prf::HmacMd5,
            Integrity::HmacMd5_96,
            &[0x0b; 16][..],
            &b"Hi There"[..],
            "9294727a3638bb1c13f48ef8158bfc9d",
        ),
        (
            Prf::HmacMd5,
            Integrity::HmacMd5_96,
            &long,
            larger,
            "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd",
        ),
        (
            Prf::HmacSha1,
            Integrity::HmacSha1_96,
            &[0x0b; 20],
            b"Hi There",
            "b617318655057264e28bc0b6fb378c8ef146be00",
        ),
        (
            Prf::HmacSha1,
            Integrity::HmacSha1_96,
            &long,
            larger,
            "aa4ae5e15272d00e95705637ce8a3b55ed402112",
        ),
    ] {
        let expected = hex(expected);
        assert_eq!(prf.compute(key, &[data]).as_bytes(), expected, "{prf}");
        let mut icv = [0; 12];
        assert_eq!(integrity.icv_length(), icv.len());
        HmacKey::for_integrity(integrity, key).sign(&[data], &mut icv);
        assert_eq!(icv, expected[..12], "{integrity}");
    }
}

/// RFC 5869 appendix A, cases 1 to 3: PRK, info and OKM.
#[test]
fn prf_plus_is_hkdf_expand() {
    let info_1: Vec<u8> = (0xf0..=0xf9).collect();
    let info_2: Vec<u8> = (0xb0..=0xff).collect();
    for (key, seed, output) in [
        (
            "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
            &info_1[..],
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
            &info_2,
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb\
             41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (
            "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
            &[],
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ] {
        let (key, output) = (hex(key), hex(output));
        let (head, tail) = seed.split_at(seed.len() / 3);
        let stream = prf_plus(Prf::HmacSha2_256, &key, &[head, tail], output.len()).unwrap();
        assert_eq!(stream.as_bytes(), output);
    }
}

#[test]
fn a_shorter_prf_plus_is_a_prefix_of_a_longer_one() {
    for prf in Prf::ALL {
        let whole = prf_plus(prf, b"key", &[b"seed"], 1000).unwrap();
        for length in [0, 1, prf.output_length(), prf.output_length() + 1, 999] {
            let part = prf_plus(prf, b"key", &[b"seed"], length).unwrap();
            assert_eq!(part.as_bytes(), &whole.as_bytes()[..length]);
        }
    }
}

#[test]
fn prf_plus_ends_after_255_outputs() {
    for prf in Prf::ALL {
        let most = 255 * prf.output_length();
        assert_eq!(prf_plus(prf, b"k", &[], most).unwrap().len(), most);
        let wanted = most + 1;
        assert_eq!(
            prf_plus(prf, b"k", &[], wanted).err(),
            Some(TooLong { wanted, most })
        );
    }
}

#[test]
fn comparison_needs_equal_lengths() {
    assert!(constant_time_eq(b"abc", b"abc"));
    assert!(!constant_time_eq(b"abc", b"abd"));
    assert!(!constant_time_eq(b"abc", b"ab"));
    assert!(constant_time_eq(b"", b""));
}

/// FIPS 180-4 examples.
#[test]
fn sha1_and_sha256() {
    assert_eq!(
        crypto::hash::sha1(&[]).to_vec(),
        hex("da39a3ee5e6b4b0d3255bfef95601890afd80709")
    );
    let parts: [&[u8]; 2] = [
        b"abcdbcdecdefdefgefghfghighijhijk",
        b"ijkljklmklmnlmnomnopnopq",
    ];
    assert_eq!(
        crypto::hash::sha1(&parts).to_vec(),
        hex("84983e441c3bd26ebaae4aa1f95129e5e54670f1")
    );
    assert_eq!(
        crypto::hash::sha256(&parts).to_vec(),
        hex("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
    );
}
