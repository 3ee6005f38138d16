//! AES-GCM (RFC 4106) and ChaCha20-Poly1305 (RFC 7634): nonce = salt | IV, 16-byte tag.
//!
//! Both run in ring. It alone has an AES-GCM kernel for VAES with AVX2 (1.6 times the speed of
//! aws-lc-rs at 1,400 bytes); with ChaCha20-Poly1305 the two are equally fast, and aws-lc-rs
//! allocates when a packet is forged.

use std::hint::black_box;

use ring::aead::{self, Aad, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};
use zeroize::Zeroize;

use crate::cipher::error::{AuthenticationFailed, KeyError, SealError};
use crate::suite::{Encryption, SALT_LENGTH};

/// A prepared AEAD key; it seals and opens.
///
/// ring does not wipe its keys. So the key lies on the heap, where nothing moves it, and is
/// overwritten before the memory is given back.
pub(crate) struct AeadKey {
    key: Box<LessSafeKey>,
    salt: [u8; SALT_LENGTH],
}

impl AeadKey {
    /// Prepares `key | salt`.
    pub(crate) fn new(encryption: Encryption, key_material: &[u8]) -> Result<Self, KeyError> {
        let algorithm = match encryption {
            Encryption::AesGcm16 { key_bits: 128 } => &aead::AES_128_GCM,
            Encryption::AesGcm16 { key_bits: 256 } => &aead::AES_256_GCM,
            Encryption::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
            _ => return Err(KeyError::UnknownKeyLength { encryption }),
        };
        let wrong = KeyError::WrongKeyLength {
            encryption,
            expected: encryption.key_length(),
            received: key_material.len(),
        };
        let (key, salt) = key_material.split_last_chunk().ok_or(wrong)?;
        let key = UnboundKey::new(algorithm, key).map_err(|_| wrong)?;
        Ok(AeadKey {
            key: Box::new(LessSafeKey::new(key)),
            salt: *salt,
        })
    }

    /// Encrypts in place. `iv` has 8 bytes and `icv` 16, which the caller has checked.
    pub(crate) fn seal(
        &self,
        iv: &[u8],
        aad: &[u8],
        in_out: &mut [u8],
        icv: &mut [u8],
    ) -> Result<(), SealError> {
        let tag = self
            .key
            .seal_in_place_separate_tag(self.nonce(iv), Aad::from(aad), in_out)
            .map_err(|_| SealError::TooLong)?;
        icv.copy_from_slice(tag.as_ref());
        Ok(())
    }

    /// Verifies and decrypts in place. `iv` has 8 bytes, which the caller has checked.
    pub(crate) fn open(
        &self,
        iv: &[u8],
        aad: &[u8],
        in_out: &mut [u8],
        icv: &[u8],
    ) -> Result<(), AuthenticationFailed> {
        let tag = Tag::try_from(icv).map_err(|_| AuthenticationFailed)?;
        self.key
            .open_in_place_separate_tag(self.nonce(iv), Aad::from(aad), tag, in_out, 0..)
            .map(|_| ())
            .map_err(|_| AuthenticationFailed)
    }

    fn nonce(&self, iv: &[u8]) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        let (salt, rest) = nonce.split_at_mut(SALT_LENGTH);
        salt.copy_from_slice(&self.salt);
        rest.copy_from_slice(iv);
        Nonce::assume_unique_for_key(nonce)
    }

    /// Puts an all-zero AES-256-GCM key, the largest of the three, in place of ours.
    fn overwrite(&mut self) {
        if let Ok(zero) = UnboundKey::new(&aead::AES_256_GCM, &[0; 32]) {
            *self.key = LessSafeKey::new(zero);
            // Without a reader the compiler could leave the write out.
            black_box(&self.key);
        }
        self.salt.zeroize();
    }
}

impl Drop for AeadKey {
    fn drop(&mut self) {
        self.overwrite();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a dropped key leaves in memory is the key of 36 zeros.
    #[test]
    fn a_dropped_key_is_overwritten() {
        let seal = |key: &AeadKey| {
            let (mut data, mut icv) = (*b"sixteen bytes...", [0; 16]);
            key.seal(&[1; 8], b"", &mut data, &mut icv).unwrap();
            (data, icv)
        };
        let largest = Encryption::AesGcm16 { key_bits: 256 };
        let zero = AeadKey::new(largest, &[0; 36]).unwrap();
        for encryption in Encryption::ALL.into_iter().filter(|known| known.is_aead()) {
            let mut key = AeadKey::new(encryption, &vec![7; encryption.key_length()]).unwrap();
            assert_ne!(seal(&key), seal(&zero), "{encryption}");
            key.overwrite();
            assert_eq!(seal(&key), seal(&zero), "{encryption}");
        }
    }
}
