//! AES, 3DES and DES in CBC mode (RFC 3602, RFC 2451, RFC 2405), and ENCR_NULL (RFC 2410), which is
//! none; what authenticates beside it is the caller's.

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, Algorithm, DecryptingKey, DecryptionContext, EncryptingKey,
    EncryptionContext, UnboundCipherKey,
};
#[expect(
    deprecated,
    reason = "peers of the generation of Windows 2003 have nothing else"
)]
use aws_lc_rs::cipher::{DES_EDE3_FOR_LEGACY_USE_ONLY, DES_FOR_LEGACY_USE_ONLY};
use aws_lc_rs::iv::FixedLength;

use crate::cipher::error::{AuthenticationFailed, KeyError, SealError};
use crate::suite::Encryption;

/// The encrypting half of a key, none for ENCR_NULL; the library wipes it when it is dropped.
pub(crate) struct CbcEncryptor {
    encryption: Encryption,
    key: Option<EncryptingKey>,
}

/// The decrypting half of a key, none for ENCR_NULL; the library wipes it when it is dropped.
pub(crate) struct CbcDecryptor(Option<DecryptingKey>);

impl CbcEncryptor {
    /// Prepares the key for encryption.
    pub(crate) fn new(encryption: Encryption, key: &[u8]) -> Result<Self, KeyError> {
        let weak = KeyError::WeakKey { encryption };
        let key = unbound(encryption, key)?.map(EncryptingKey::cbc);
        let key = key.transpose().or(Err(weak))?;
        Ok(CbcEncryptor { encryption, key })
    }

    /// Encrypts whole blocks in place. Nothing is changed on an error.
    pub(crate) fn encrypt(&self, iv: &[u8], in_out: &mut [u8]) -> Result<(), SealError> {
        let wrong = SealError::WrongIv {
            expected: self.encryption.iv_length(),
            received: iv.len(),
        };
        let Some(key) = &self.key else {
            return if iv.is_empty() { Ok(()) } else { Err(wrong) };
        };
        let context = match self.encryption.iv_length() {
            8 => EncryptionContext::Iv64(FixedLength::from(octets(iv).ok_or(wrong)?)),
            _ => EncryptionContext::Iv128(FixedLength::from(octets(iv).ok_or(wrong)?)),
        };
        let length = in_out.len();
        let block = self.encryption.block_length();
        key.less_safe_encrypt(in_out, context)
            .map(|_| ())
            .map_err(|_| SealError::NotWholeBlocks { block, length })
    }
}

impl CbcDecryptor {
    /// Prepares the key for decryption.
    pub(crate) fn new(encryption: Encryption, key: &[u8]) -> Result<Self, KeyError> {
        let weak = KeyError::WeakKey { encryption };
        let key = unbound(encryption, key)?.map(DecryptingKey::cbc);
        Ok(CbcDecryptor(key.transpose().or(Err(weak))?))
    }

    /// Decrypts whole blocks in place, after the ICV was verified.
    pub(crate) fn decrypt(&self, iv: &[u8], in_out: &mut [u8]) -> Result<(), AuthenticationFailed> {
        let context = match (&self.0, iv.len()) {
            (None, 0) => return Ok(()),
            (Some(_), 8) => octets(iv)
                .map(FixedLength::from)
                .map(DecryptionContext::Iv64),
            (Some(_), 16) => octets(iv)
                .map(FixedLength::from)
                .map(DecryptionContext::Iv128),
            _ => None,
        };
        // A key refuses the IV of another cipher.
        let (key, context) = self.0.as_ref().zip(context).ok_or(AuthenticationFailed)?;
        key.decrypt(in_out, context)
            .map(|_| ())
            .map_err(|_| AuthenticationFailed)
    }
}

fn octets<const N: usize>(iv: &[u8]) -> Option<&[u8; N]> {
    iv.try_into().ok()
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
        if encryption == Encryption::Null {
            return Err(KeyError::UnknownKeyLength { encryption });
        }
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

/// The key for the library; none for ENCR_NULL.
fn unbound(encryption: Encryption, key: &[u8]) -> Result<Option<UnboundCipherKey>, KeyError> {
    let (expected, received) = (encryption.key_length(), key.len());
    let wrong = KeyError::WrongKeyLength {
        encryption,
        expected,
        received,
    };
    if encryption == Encryption::Null {
        return if key.is_empty() { Ok(None) } else { Err(wrong) };
    }
    let algorithm = algorithm(encryption).ok_or(KeyError::UnknownKeyLength { encryption })?;
    let key = UnboundCipherKey::new(algorithm, key);
    key.map(Some).or(Err(wrong))
}

#[expect(
    deprecated,
    reason = "peers of the generation of Windows 2003 have nothing else"
)]
fn algorithm(encryption: Encryption) -> Option<&'static Algorithm> {
    match encryption {
        Encryption::AesCbc { key_bits: 128 } => Some(&AES_128),
        Encryption::AesCbc { key_bits: 192 } => Some(&AES_192),
        Encryption::AesCbc { key_bits: 256 } => Some(&AES_256),
        Encryption::TripleDesCbc => Some(&DES_EDE3_FOR_LEGACY_USE_ONLY),
        Encryption::DesCbc => Some(&DES_FOR_LEGACY_USE_ONLY),
        _ => None,
    }
}
