//! How messages are encrypted: CBC, with an IV that is chained from message to message
//! (RFC 2409 appendix B).

use crypto::cipher::{CbcKey, KeyError};
use crypto::{Encryption, Prf};

/// The longest block of any cipher, in octets.
const MOST_BLOCK: usize = 16;

/// The IV of the next message of an exchange: a block of what both sides know.
///
/// It is a value. What [`Cipher::decrypt`] returns becomes the IV only once the message has proved
/// authentic: a forged one must not move it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Iv {
    block: [u8; MOST_BLOCK],
    length: usize,
}

impl Iv {
    /// The IV of the first encrypted message of phase 1: hash(g^xi | g^xr).
    pub(crate) fn of_phase_1(suite: (Encryption, Prf), g_xi: &[u8], g_xr: &[u8]) -> Self {
        let (encryption, hash) = suite;
        Iv::first(&hash.hash(&[g_xi, g_xr]), encryption.block_length())
    }

    /// The IV of the first message of a phase 2 or Informational exchange:
    /// hash(the last block of phase 1 | M-ID). `self` is the IV after phase 1.
    pub(crate) fn of_exchange(&self, hash: Prf, message_id: u32) -> Self {
        let parts = [self.octets(), &message_id.to_be_bytes()];
        Iv::first(&hash.hash(&parts), self.length)
    }

    /// The IV after this ciphertext, which is whole blocks: the last of them.
    fn after(ciphertext: &[u8], length: usize) -> Self {
        let start = ciphertext.len().saturating_sub(length);
        Iv::first(ciphertext.get(start..).unwrap_or_default(), length)
    }

    fn first(octets: &[u8], length: usize) -> Self {
        let mut block = [0; MOST_BLOCK];
        for (to, from) in block.iter_mut().take(length).zip(octets) {
            *to = *from;
        }
        Iv { block, length }
    }

    /// One that another member of the cluster had.
    pub(crate) fn from_octets(octets: &[u8]) -> Option<Self> {
        let length = octets.len();
        matches!(length, 8 | 16).then(|| Iv::first(octets, length))
    }

    /// Its octets: as many as a block of the cipher has.
    pub(crate) fn octets(&self) -> &[u8] {
        self.block.get(..self.length).unwrap_or_default()
    }
}

/// The key of an ISAKMP SA, which both sides encrypt with.
pub(crate) struct Cipher(CbcKey);

/// A body that cannot have been encrypted: it is empty, or not whole blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotWholeBlocks;

impl Cipher {
    /// Prepares the key.
    ///
    /// # Errors
    /// [`KeyError`]: the cipher has no CBC mode, or its key another length.
    pub(crate) fn new(encryption: Encryption, key: &[u8]) -> Result<Self, KeyError> {
        CbcKey::new(encryption, key).map(Cipher)
    }

    /// Pads the body with zeros to whole blocks, as few as will do, encrypts it, and tells the IV
    /// after it. The length in the message's header counts the padding (RFC 2409 appendix B).
    pub(crate) fn encrypt(&self, iv: &Iv, body: &mut Vec<u8>) -> Iv {
        let block = self.0.encryption().block_length();
        // A body has at least one payload; without any it would leave the IV without a successor.
        body.resize(body.len().next_multiple_of(block).max(block), 0);
        let done = self.0.encrypt(iv.octets(), body);
        debug_assert!(done.is_ok(), "an IV of another cipher: {iv:?}");
        Iv::after(body, block)
    }

    /// Decrypts the body of a message in place and tells the IV after it, if the message is
    /// authentic, which the caller finds out next. Payloads say themselves where they end: what
    /// follows the last one is padding, a whole block of it where the sender so likes.
    ///
    /// # Errors
    /// [`NotWholeBlocks`]; nothing is changed.
    pub(crate) fn decrypt(&self, iv: &Iv, body: &mut [u8]) -> Result<Iv, NotWholeBlocks> {
        let block = self.0.encryption().block_length();
        if body.is_empty() || !body.len().is_multiple_of(block) {
            return Err(NotWholeBlocks);
        }
        let next = Iv::after(body, block);
        let done = self.0.decrypt(iv.octets(), body);
        done.map(|()| next).or(Err(NotWholeBlocks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AES: Encryption = Encryption::AesCbc { key_bits: 128 };

    fn cipher() -> Cipher {
        Cipher::new(AES, &[7; 16]).unwrap()
    }

    fn start() -> Iv {
        Iv::of_phase_1((AES, Prf::HmacSha2_256), b"g^xi", b"g^xr")
    }

    #[test]
    fn both_sides_follow_the_same_ivs() {
        let (cipher, mut ours, mut theirs) = (cipher(), start(), start());
        for length in 1..70 {
            let text: Vec<u8> = (0..length).collect();
            let mut body = text.clone();
            ours = cipher.encrypt(&ours, &mut body);
            assert!(body.len().is_multiple_of(16) && body.len() < text.len() + 16);
            assert_eq!(ours.octets(), &body[body.len() - 16..]);
            theirs = cipher.decrypt(&theirs, &mut body).unwrap();
            assert_eq!(body[..text.len()], text);
            assert!(body[text.len()..].iter().all(|octet| *octet == 0));
            assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn every_odd_length_is_refused_and_changes_nothing() {
        let cipher = cipher();
        for length in (0..70).filter(|length| length % 16 != 0 || *length == 0) {
            let mut body = vec![9; length];
            assert_eq!(cipher.decrypt(&start(), &mut body), Err(NotWholeBlocks));
            assert_eq!(body, vec![9; length]);
        }
    }

    #[test]
    fn an_exchange_has_an_iv_of_its_own() {
        let phase_1 = start();
        let of = |id| phase_1.of_exchange(Prf::HmacSha2_256, id);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        let known = Prf::HmacSha2_256.hash(&[phase_1.octets(), &[0, 0, 0, 1]]);
        assert_eq!(of(1).octets(), &known[..16]);
    }

    #[test]
    fn an_aead_has_no_such_key() {
        assert!(Cipher::new(Encryption::ChaCha20Poly1305, &[0; 36]).is_err());
        assert!(Cipher::new(AES, &[0; 15]).is_err());
    }
}
