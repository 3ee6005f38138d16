//! Messages of an exchange: in the clear, encrypted, and opened again (RFC 2409 sections 5, 5.7).

use crypto::Secret;
use wire::isakmp::{
    Chain, ExchangeType, Flags, Header, Payload, PayloadType, decode_payloads, encode,
    encode_encrypted, encode_payloads,
};

use crate::discard::Discard;
use crate::v1::cipher::Iv;
use crate::v1::keys::{Cookies, Keys, is_hash};

/// A message that came in, as far as its header tells.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) header: Header,
    /// What follows the header.
    pub(crate) body: &'a [u8],
    /// All of it.
    pub(crate) octets: &'a [u8],
}

impl<'a> Message<'a> {
    /// By what it is known when it comes again.
    pub(crate) fn digest(&self) -> [u8; 32] {
        crypto::hash::sha256(&[self.octets])
    }

    /// The payloads of a message that is not encrypted.
    pub(crate) fn clear(&self) -> Result<Chain<'a>, Discard> {
        if self.header.flags.encryption {
            return Err(Discard::UnexpectedExchange);
        }
        let chain = decode_payloads(self.header.next_payload, self.body, false);
        chain.map_err(|_| Discard::Malformed)
    }

    /// Decrypts the message with the IV that its exchange is at.
    ///
    /// # Errors
    /// It is not encrypted, or cannot have been.
    pub(crate) fn open(&self, keys: &Keys, iv: &Iv) -> Result<Opened, Discard> {
        if !self.header.flags.encryption {
            return Err(Discard::NotEncrypted);
        }
        let mut octets = self.body.to_vec();
        let next = keys.cipher().decrypt(iv, &mut octets);
        Ok(Opened {
            next: next.map_err(|_| Discard::Malformed)?,
            first: self.header.next_payload,
            octets,
        })
    }
}

/// A message that was decrypted. Nothing of it is true before its hash is checked.
pub(crate) struct Opened {
    octets: Vec<u8>,
    first: PayloadType,
    /// The IV after it.
    pub(crate) next: Iv,
}

impl Opened {
    /// Its payloads. What a wrong key made of it is most often none.
    pub(crate) fn chain(&self) -> Result<Chain<'_>, Discard> {
        let chain = decode_payloads(self.first, &self.octets, true);
        chain.map_err(|_| Discard::AuthenticationFailed)
    }
}

/// Checks the hash that the payloads begin with; `expected` makes it of the octets that follow it.
///
/// # Errors
/// There is none, or another.
pub(crate) fn authenticate(
    chain: &Chain<'_>,
    expected: impl FnOnce(&[u8]) -> Secret,
) -> Result<(), Discard> {
    let first = chain.payloads.first().map(|one| &one.payload);
    match first {
        Some(Payload::Hash(hash)) if is_hash(&expected(chain.after(0)), hash) => Ok(()),
        _ => Err(Discard::AuthenticationFailed),
    }
}

/// What a message of ours begins with.
pub(crate) fn header(
    cookies: Cookies,
    exchange: ExchangeType,
    message_id: u32,
    flags: Flags,
) -> Header {
    let (initiator, responder) = (cookies.initiator, cookies.responder);
    Header::new(
        u64::from_be_bytes(initiator),
        u64::from_be_bytes(responder),
        exchange,
        flags,
        message_id,
    )
}

/// A message in the clear.
pub(crate) fn clear(header: &Header, payloads: &[Payload]) -> Vec<u8> {
    encode(header, payloads).unwrap_or_default()
}

/// Encrypts a message, and tells the IV after it.
pub(crate) fn seal(keys: &Keys, iv: &Iv, header: &Header, payloads: &[Payload]) -> (Vec<u8>, Iv) {
    let Ok((first, mut body)) = encode_payloads(payloads) else {
        return (Vec::new(), *iv);
    };
    let next = keys.cipher().encrypt(iv, &mut body);
    let message = encode_encrypted(header, first, &body).unwrap_or_default();
    (message, next)
}

/// Encrypts a message that begins with a hash of what follows in it; `hash` makes it.
pub(crate) fn seal_hashed(
    keys: &Keys,
    iv: &Iv,
    header: &Header,
    payloads: Vec<Payload>,
    hash: impl FnOnce(&[u8]) -> Secret,
) -> (Vec<u8>, Iv) {
    let Ok((_, octets)) = encode_payloads(&payloads) else {
        return (Vec::new(), *iv);
    };
    let hash = Payload::Hash(hash(&octets).as_bytes().to_vec());
    let all: Vec<Payload> = std::iter::once(hash).chain(payloads).collect();
    seal(keys, iv, header, &all)
}
