//! Sealing and opening of IKE payloads and ESP packets, in place and without allocation
//! (RFC 4106, RFC 5282, RFC 7634, RFC 3602 with RFC 4868; RFC 2451, RFC 2405 and RFC 2410 for old
//! peers).

mod aead;
mod cbc;
mod error;

pub use cbc::CbcKey;
pub use error::{AuthenticationFailed, KeyError, SealError};

use crate::cipher::aead::AeadKey;
use crate::cipher::cbc::{CbcDecryptor, CbcEncryptor};
use crate::hmac::HmacKey;
use crate::suite::{Encryption, Integrity};

/// Length of the longest IV of any cipher, in bytes, for buffers on the stack.
pub const MAX_IV_LENGTH: usize = 16;

/// Length of the longest ICV of any pair of algorithms, in bytes.
pub const MAX_ICV_LENGTH: usize = 32;

/// A key for one direction that protects data.
///
/// It is prepared once; [`SealingKey::seal`] neither allocates nor locks. **An IV must never be
/// used twice with one key**: with an AEAD that gives the key stream and the authentication away.
pub struct SealingKey {
    encryption: Encryption,
    icv_length: u8,
    inner: Sealer,
}

enum Sealer {
    Aead(AeadKey),
    Cbc(Box<(CbcEncryptor, HmacKey)>),
}

impl SealingKey {
    /// Prepares a key. `key_material` is the encryption key, followed by the salt for an AEAD,
    /// [`Encryption::key_length`] bytes in all; `integrity_key` is empty for an AEAD.
    ///
    /// # Errors
    /// [`KeyError`] when the algorithms do not go together or a key has the wrong length.
    pub fn new(
        encryption: Encryption,
        integrity: Option<Integrity>,
        key_material: &[u8],
        integrity_key: &[u8],
    ) -> Result<Self, KeyError> {
        let inner = match check(encryption, integrity, key_material, integrity_key)? {
            None => Sealer::Aead(AeadKey::new(encryption, key_material)?),
            Some(integrity) => Sealer::Cbc(Box::new((
                CbcEncryptor::new(encryption, key_material)?,
                HmacKey::for_integrity(integrity, integrity_key),
            ))),
        };
        let icv_length = encryption.icv_length_with(integrity);
        Ok(SealingKey {
            encryption,
            icv_length: icv_length as u8,
            inner,
        })
    }

    /// The cipher.
    #[must_use]
    pub fn encryption(&self) -> Encryption {
        self.encryption
    }

    /// Length of the ICV that [`SealingKey::seal`] writes, in bytes.
    #[must_use]
    pub fn icv_length(&self) -> usize {
        self.icv_length.into()
    }

    /// Encrypts `in_out` in place and writes the ICV.
    ///
    /// `in_out` is the plaintext with its padding and trailer. With an AEAD the ICV covers `aad`
    /// and the ciphertext. With CBC it covers `aad | iv | ciphertext | mac_suffix`, where
    /// `mac_suffix` is the high half of an extended sequence number (RFC 4303 section 2.2.1);
    /// an AEAD has it inside `aad` (RFC 4106 section 5), so there `mac_suffix` must be empty.
    ///
    /// # Errors
    /// [`SealError`] for a length that breaks the contract; `in_out` is then unchanged.
    pub fn seal(
        &self,
        iv: &[u8],
        aad: &[u8],
        mac_suffix: &[u8],
        in_out: &mut [u8],
        icv: &mut [u8],
    ) -> Result<(), SealError> {
        self.check(iv, in_out.len(), icv.len())?;
        match &self.inner {
            Sealer::Aead(_) if !mac_suffix.is_empty() => Err(SealError::SuffixWithAead),
            Sealer::Aead(key) => key.seal(iv, aad, in_out, icv),
            Sealer::Cbc(keys) => {
                let (cipher, mac) = &**keys;
                cipher.encrypt(iv, in_out)?;
                mac.sign(&[aad, iv, in_out, mac_suffix], icv);
                Ok(())
            }
        }
    }

    /// Writes the IV of the packet with this number, [`Encryption::iv_length`] bytes.
    ///
    /// An AEAD takes the number itself (RFC 4106 section 3.1). CBC takes the encryption of the
    /// number under the same key, which nobody can predict without the key and which never
    /// repeats (NIST SP 800-38A appendix C; RFC 3602 section 3).
    ///
    /// # Errors
    /// [`SealError::WrongIv`] when `iv` has another length.
    pub fn write_iv(&self, number: u64, iv: &mut [u8]) -> Result<(), SealError> {
        self.check_iv(iv)?;
        iv.fill(0);
        if let Some(last) = iv.last_chunk_mut() {
            *last = number.to_be_bytes();
        }
        match &self.inner {
            Sealer::Aead(_) => Ok(()),
            // One block in CBC mode with an IV of zeros is the block cipher itself.
            Sealer::Cbc(keys) => {
                let zeros = [0; MAX_IV_LENGTH];
                let zeros = zeros.get(..iv.len()).unwrap_or(&zeros);
                keys.0.encrypt(zeros, iv)
            }
        }
    }

    fn check_iv(&self, iv: &[u8]) -> Result<(), SealError> {
        let (expected, received) = (self.encryption.iv_length(), iv.len());
        if expected == received {
            Ok(())
        } else {
            Err(SealError::WrongIv { expected, received })
        }
    }

    fn check(&self, iv: &[u8], length: usize, icv: usize) -> Result<(), SealError> {
        self.check_iv(iv)?;
        let (expected, received) = (self.icv_length(), icv);
        if expected != received {
            return Err(SealError::WrongIcv { expected, received });
        }
        let block = self.encryption.block_length();
        if !length.is_multiple_of(block) {
            return Err(SealError::NotWholeBlocks { block, length });
        }
        Ok(())
    }
}

/// A key for one direction that verifies and decrypts.
pub struct OpeningKey {
    encryption: Encryption,
    icv_length: u8,
    inner: Opener,
}

enum Opener {
    Aead(AeadKey),
    Cbc(Box<(CbcDecryptor, HmacKey)>),
}

impl OpeningKey {
    /// Prepares a key; the arguments are those of [`SealingKey::new`].
    ///
    /// # Errors
    /// [`KeyError`] when the algorithms do not go together or a key has the wrong length.
    pub fn new(
        encryption: Encryption,
        integrity: Option<Integrity>,
        key_material: &[u8],
        integrity_key: &[u8],
    ) -> Result<Self, KeyError> {
        let inner = match check(encryption, integrity, key_material, integrity_key)? {
            None => Opener::Aead(AeadKey::new(encryption, key_material)?),
            Some(integrity) => Opener::Cbc(Box::new((
                CbcDecryptor::new(encryption, key_material)?,
                HmacKey::for_integrity(integrity, integrity_key),
            ))),
        };
        let icv_length = encryption.icv_length_with(integrity);
        Ok(OpeningKey {
            encryption,
            icv_length: icv_length as u8,
            inner,
        })
    }

    /// The cipher.
    #[must_use]
    pub fn encryption(&self) -> Encryption {
        self.encryption
    }

    /// Length of the ICV that [`OpeningKey::open`] expects, in bytes.
    #[must_use]
    pub fn icv_length(&self) -> usize {
        self.icv_length.into()
    }

    /// Verifies the ICV in constant time and decrypts `in_out` in place; the arguments are those
    /// of [`SealingKey::seal`].
    ///
    /// # Errors
    /// [`AuthenticationFailed`] when the data is not what the peer sealed, lengths included: data
    /// from the network cannot cause any other error. `in_out` then holds nothing of use.
    pub fn open(
        &self,
        iv: &[u8],
        aad: &[u8],
        mac_suffix: &[u8],
        in_out: &mut [u8],
        icv: &[u8],
    ) -> Result<(), AuthenticationFailed> {
        if iv.len() != self.encryption.iv_length()
            || icv.len() != self.icv_length()
            || !in_out.len().is_multiple_of(self.encryption.block_length())
        {
            return Err(AuthenticationFailed);
        }
        match &self.inner {
            Opener::Aead(_) if !mac_suffix.is_empty() => Err(AuthenticationFailed),
            Opener::Aead(key) => key.open(iv, aad, in_out, icv),
            Opener::Cbc(keys) => {
                let (cipher, mac) = &**keys;
                if !mac.verify(&[aad, iv, in_out, mac_suffix], icv) {
                    return Err(AuthenticationFailed);
                }
                cipher.decrypt(iv, in_out)
            }
        }
    }
}

/// Checks that the arguments of [`SealingKey::new`] and [`OpeningKey::new`] go together, without
/// the work and the memory of preparing a key.
///
/// # Errors
/// [`KeyError`] when they would fail.
pub fn check_keys(
    encryption: Encryption,
    integrity: Option<Integrity>,
    key_material: &[u8],
    integrity_key: &[u8],
) -> Result<(), KeyError> {
    check(encryption, integrity, key_material, integrity_key).map(|_| ())
}

/// The integrity algorithm that CBC must have and an AEAD must not, once all lengths are right.
fn check(
    encryption: Encryption,
    integrity: Option<Integrity>,
    key_material: &[u8],
    integrity_key: &[u8],
) -> Result<Option<Integrity>, KeyError> {
    if !Encryption::ALL.contains(&encryption) {
        return Err(KeyError::UnknownKeyLength { encryption });
    }
    let (expected, received) = (encryption.key_length(), key_material.len());
    if expected != received {
        return Err(KeyError::WrongKeyLength {
            encryption,
            expected,
            received,
        });
    }
    match integrity {
        Some(integrity) if encryption.is_aead() => {
            return Err(KeyError::IntegrityWithAead {
                encryption,
                integrity,
            });
        }
        None if !encryption.is_aead() => return Err(KeyError::NoIntegrity { encryption }),
        _ => {}
    }
    let expected = integrity.map_or(0, Integrity::key_length);
    let received = integrity_key.len();
    if expected != received {
        return Err(KeyError::WrongIntegrityKeyLength {
            integrity,
            expected,
            received,
        });
    }
    Ok(integrity)
}
