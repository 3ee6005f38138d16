//! AES in CBC mode (RFC 3602); what authenticates beside it is the caller's.

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext,
    UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;

use crate::cipher::error::{AuthenticationFailed, KeyError, SealError};
use crate::suite::Encryption;

const BLOCK: usize = 16;

/// The encrypting half of a key; the library wipes it when it is dropped.
pub(crate) struct CbcEncryptor(EncryptingKey);

/// The decrypting half of a key; the library wipes it when it is dropped.
pub(crate) struct CbcDecryptor(DecryptingKey);

impl CbcEncryptor {
    /// Prepares the key for encryption.
    pub(crate) fn new(encryption: Encryption, key: &[u8]) -> Result<Self, KeyError> {
        EncryptingKey::cbc(unbound(encryption, key)?)
            .map(CbcEncryptor)
            .map_err(|_| KeyError::UnknownKeyLength { encryption })
    }

    /// Encrypts whole blocks in place. Nothing is changed on an error.
    pub(crate) fn encrypt(&self, iv: &[u8], in_out: &mut [u8]) -> Result<(), SealError> {
        let wrong = SealError::WrongIv {
            expected: BLOCK,
            received: iv.len(),
        };
        let iv: &[u8; BLOCK] = iv.try_into().map_err(|_| wrong)?;
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        let length = in_out.len();
        self.0
            .less_safe_encrypt(in_out, context)
            .map(|_| ())
            .map_err(|_| SealError::NotWholeBlocks {
                block: BLOCK,
                length,
            })
    }
}

impl CbcDecryptor {
    /// Prepares the key for decryption.
    pub(crate) fn new(encryption: Encryption, key: &[u8]) -> Result<Self, KeyError> {
        DecryptingKey::cbc(unbound(encryption, key)?)
            .map(CbcDecryptor)
            .map_err(|_| KeyError::UnknownKeyLength { encryption })
    }

    /// Decrypts whole blocks in place, after the ICV was verified.
    pub(crate) fn decrypt(&self, iv: &[u8], in_out: &mut [u8]) -> Result<(), AuthenticationFailed> {
        let iv: &[u8; BLOCK] = iv.try_into().map_err(|_| AuthenticationFailed)?;
        let context = DecryptionContext::Iv128(FixedLength::from(iv));
        self.0
            .decrypt(in_out, context)
            .map(|_| ())
            .map_err(|_| AuthenticationFailed)
    }
}

/// A key for both directions of CBC and nothing beside it: IKEv1 encrypts with one key, and what
/// authenticates is inside (RFC 2409 appendix B). Nothing else may run a cipher in this way.
pub struct CbcKey {
    encryption: Encryption,
    encryptor: CbcEncryptor,
    decryptor: CbcDecryptor,
}

impl CbcKey {
    /// Prepares the key, [`Encryption::key_length`] bytes.
    ///
    /// # Errors
    /// [`KeyError`] when the cipher has no CBC mode here, or the key another length.
    pub fn new(encryption: Encryption, key: &[u8]) -> Result<Self, KeyError> {
        Ok(CbcKey {
            encryption,
            encryptor: CbcEncryptor::new(encryption, key)?,
            decryptor: CbcDecryptor::new(encryption, key)?,
        })
    }

    /// The cipher.
    #[must_use]
    pub fn encryption(&self) -> Encryption {
        self.encryption
    }

    /// Encrypts whole blocks in place.
    ///
    /// # Errors
    /// [`SealError`] when the IV is no block, or the data no whole blocks; nothing is changed.
    pub fn encrypt(&self, iv: &[u8], in_out: &mut [u8]) -> Result<(), SealError> {
        self.encryptor.encrypt(iv, in_out)
    }

    /// Decrypts whole blocks in place. What comes out is **not** authentic.
    ///
    /// # Errors
    /// [`AuthenticationFailed`] when the IV is no block, or the data no whole blocks.
    pub fn decrypt(&self, iv: &[u8], in_out: &mut [u8]) -> Result<(), AuthenticationFailed> {
        self.decryptor.decrypt(iv, in_out)
    }
}

fn unbound(encryption: Encryption, key: &[u8]) -> Result<UnboundCipherKey, KeyError> {
    let algorithm = match encryption {
        Encryption::AesCbc { key_bits: 128 } => &AES_128,
        Encryption::AesCbc { key_bits: 192 } => &AES_192,
        Encryption::AesCbc { key_bits: 256 } => &AES_256,
        _ => return Err(KeyError::UnknownKeyLength { encryption }),
    };
    let (expected, received) = (encryption.key_length(), key.len());
    UnboundCipherKey::new(algorithm, key).map_err(|_| KeyError::WrongKeyLength {
        encryption,
        expected,
        received,
    })
}
