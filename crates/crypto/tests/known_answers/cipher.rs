//! AES-GCM (draft-mcgrew-gcm-test), ChaCha20-Poly1305 (RFC 7634), AES-CBC (RFC 3602).

use crypto::{Encryption, Integrity, OpeningKey, SealingKey};

use crate::read::{bytes, tests};

struct Sealed {
    key: Vec<u8>,
    iv: Vec<u8>,
    aad: Vec<u8>,
    plaintext: Vec<u8>,
    ciphertext: Vec<u8>,
    icv: Vec<u8>,
}

fn aead(encryption: Encryption, case: &str, sealed: &Sealed) {
    let Sealed {
        key,
        iv,
        aad,
        plaintext,
        ciphertext,
        icv,
    } = sealed;
    let mut data = plaintext.clone();
    let mut tag = vec![0; encryption.icv_length()];
    let key_pair = (
        SealingKey::new(encryption, None, key, &[]).unwrap(),
        OpeningKey::new(encryption, None, key, &[]).unwrap(),
    );
    key_pair.0.seal(iv, aad, &[], &mut data, &mut tag).unwrap();
    assert_eq!((&data, &tag), (ciphertext, icv), "seal, case {case}");
    key_pair.1.open(iv, aad, &[], &mut data, &tag).unwrap();
    assert_eq!(&data, plaintext, "open, case {case}");
}

#[test]
fn gcm_of_esp() {
    let mut run = [0, 0];
    for test in tests(include_str!("../vectors/esp_rfc4106_mcgrew.json")) {
        let key = [bytes(&test, "key"), bytes(&test, "salt")].concat();
        let key_bits = u16::try_from((key.len() - 4) * 8).unwrap();
        let Some(encryption) = Encryption::from_id(20, Some(key_bits)) else {
            assert_eq!(key_bits, 192, "only AES-192-GCM is not offered");
            continue;
        };
        run[usize::from(key_bits == 256)] += 1;
        let sealed = Sealed {
            key,
            iv: bytes(&test, "iv"),
            aad: bytes(&test, "aad"),
            plaintext: bytes(&test, "plaintext_with_trailer"),
            ciphertext: bytes(&test, "ciphertext"),
            icv: bytes(&test, "icv"),
        };
        aead(encryption, &test["case"].to_string(), &sealed);
    }
    assert!(run[0] > 0 && run[1] > 0, "{run:?}");
}

#[test]
fn chacha20_poly1305_of_esp_and_ike() {
    for test in tests(include_str!(
        "../vectors/esp_ike_rfc7634_chacha20poly1305.json"
    )) {
        let sealed = Sealed {
            key: [bytes(&test, "key"), bytes(&test, "salt")].concat(),
            iv: bytes(&test, "iv"),
            aad: bytes(&test, "aad"),
            plaintext: bytes(&test, "plaintext"),
            ciphertext: bytes(&test, "ciphertext"),
            icv: bytes(&test, "tag"),
        };
        aead(
            Encryption::ChaCha20Poly1305,
            &test["case"].to_string(),
            &sealed,
        );
    }
}

/// The RFC has no ICV: the ciphertext is compared, then the packet is opened again.
#[test]
fn cbc_of_esp() {
    let mut run = 0;
    for test in tests(include_str!("../vectors/esp_rfc3602_aes_cbc.json")) {
        let (key, iv) = (bytes(&test, "key"), bytes(&test, "iv"));
        let (plaintext, ciphertext) = if test["kind"] == "aes-cbc" {
            (bytes(&test, "plaintext"), bytes(&test, "ciphertext"))
        } else {
            // IP header, SPI and sequence number, IV, ciphertext.
            let packet = bytes(&test, "esp_ip_packet");
            assert_eq!(packet[28..44], iv);
            (bytes(&test, "pre_encryption"), packet[44..].to_vec())
        };
        let encryption = Encryption::AesCbc { key_bits: 128 };
        let integrity = Some(Integrity::HmacSha2_256_128);
        let sealing = SealingKey::new(encryption, integrity, &key, &[9; 32]).unwrap();
        let opening = OpeningKey::new(encryption, integrity, &key, &[9; 32]).unwrap();
        let (mut data, mut icv) = (plaintext.clone(), [0; 16]);
        sealing
            .seal(&iv, b"aad", b"high", &mut data, &mut icv)
            .unwrap();
        assert_eq!(data, ciphertext, "{}", test["case"]);
        let mac = crypto::hmac::sha256(&[9; 32], &[b"aad", &iv, &ciphertext, b"high"]);
        assert_eq!(
            icv,
            mac[..16],
            "the ICV covers aad | iv | ciphertext | suffix"
        );
        opening.open(&iv, b"aad", b"high", &mut data, &icv).unwrap();
        assert_eq!(data, plaintext, "{}", test["case"]);
        run += 1;
    }
    assert_eq!(run, 8);
}
