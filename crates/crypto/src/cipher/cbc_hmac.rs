//! AES in CBC mode (RFC 3602); the HMAC beside it is the caller's.

use cbc::cipher::{
    Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit,
    KeyInit, consts::U16,
};

use crate::cipher::error::{AuthenticationFailed, KeyError, SealError};
use crate::suite::Encryption;

const BLOCK: usize = 16;

/// The encrypting half of a key.
pub(crate) enum CbcEncryptor {
    Aes128(aes::Aes128Enc),
    Aes192(aes::Aes192Enc),
    Aes256(aes::Aes256Enc),
}

/// The decrypting half of a key.
pub(crate) enum CbcDecryptor {
    Aes128(aes::Aes128Dec),
    Aes192(aes::Aes192Dec),
    Aes256(aes::Aes256Dec),
}

impl CbcEncryptor {
    /// Prepares the key for encryption.
    pub(crate) fn new(encryption: Encryption, key: &[u8]) -> Result<Self, KeyError> {
        match encryption {
            Encryption::AesCbc { key_bits: 128 } => prepare(encryption, key).map(Self::Aes128),
            Encryption::AesCbc { key_bits: 192 } => prepare(encryption, key).map(Self::Aes192),
            Encryption::AesCbc { key_bits: 256 } => prepare(encryption, key).map(Self::Aes256),
            _ => Err(KeyError::UnknownKeyLength { encryption }),
        }
    }

    /// Encrypts whole blocks in place. Nothing is changed on an error.
    pub(crate) fn encrypt(&self, iv: &[u8], in_out: &mut [u8]) -> Result<(), SealError> {
        let wrong = SealError::WrongIv {
            expected: BLOCK,
            received: iv.len(),
        };
        let iv: &[u8; BLOCK] = iv.try_into().map_err(|_| wrong)?;
        let length = in_out.len();
        let (blocks, rest) = Array::slice_as_chunks_mut(in_out);
        if !rest.is_empty() {
            return Err(SealError::NotWholeBlocks {
                block: BLOCK,
                length,
            });
        }
        match self {
            Self::Aes128(key) => encrypt(key, iv, blocks),
            Self::Aes192(key) => encrypt(key, iv, blocks),
            Self::Aes256(key) => encrypt(key, iv, blocks),
        }
        Ok(())
    }
}

impl CbcDecryptor {
    /// Prepares the key for decryption.
    pub(crate) fn new(encryption: Encryption, key: &[u8]) -> Result<Self, KeyError> {
        match encryption {
            Encryption::AesCbc { key_bits: 128 } => prepare(encryption, key).map(Self::Aes128),
            Encryption::AesCbc { key_bits: 192 } => prepare(encryption, key).map(Self::Aes192),
            Encryption::AesCbc { key_bits: 256 } => prepare(encryption, key).map(Self::Aes256),
            _ => Err(KeyError::UnknownKeyLength { encryption }),
        }
    }

    /// Decrypts whole blocks in place, after the ICV was verified.
    pub(crate) fn decrypt(&self, iv: &[u8], in_out: &mut [u8]) -> Result<(), AuthenticationFailed> {
        let iv: &[u8; BLOCK] = iv.try_into().map_err(|_| AuthenticationFailed)?;
        let (blocks, rest) = Array::slice_as_chunks_mut(in_out);
        if !rest.is_empty() {
            return Err(AuthenticationFailed);
        }
        match self {
            Self::Aes128(key) => decrypt(key, iv, blocks),
            Self::Aes192(key) => decrypt(key, iv, blocks),
            Self::Aes256(key) => decrypt(key, iv, blocks),
        }
        Ok(())
    }
}

fn prepare<K: KeyInit>(encryption: Encryption, key: &[u8]) -> Result<K, KeyError> {
    let (expected, received) = (encryption.key_length(), key.len());
    K::new_from_slice(key).map_err(|_| KeyError::WrongKeyLength {
        encryption,
        expected,
        received,
    })
}

fn encrypt<K>(key: &K, iv: &[u8; BLOCK], blocks: &mut [Array<u8, U16>])
where
    K: BlockCipherEncrypt<BlockSize = U16>,
{
    cbc::Encryptor::inner_iv_init(key, &Array::from(*iv)).encrypt_blocks(blocks);
}

fn decrypt<K>(key: &K, iv: &[u8; BLOCK], blocks: &mut [Array<u8, U16>])
where
    K: BlockCipherDecrypt<BlockSize = U16>,
{
    cbc::Decryptor::inner_iv_init(key, &Array::from(*iv)).decrypt_blocks(blocks);
}
