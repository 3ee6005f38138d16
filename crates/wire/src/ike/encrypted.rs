//! Encrypted payloads: SK (RFC 7296 section 3.14) and SKF (RFC 7383 section 2.5), without keys.

use crate::ike::header::Header;
use crate::ike::kinds::PayloadType;
use crate::ike::limits;
use crate::ike::payload::{GENERIC_HEADER, Generic};
use crate::malformed::{Malformed, Reason};
use crate::writer::TooLong;
use std::ops::Range;

/// Octets of the numbers that an SKF payload has before its IV (RFC 7383 section 2.5).
const FRAGMENT_NUMBERS: usize = 4;

/// Which piece of a fragmented message an SKF payload holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Counts from one.
    pub number: u16,
    /// How many pieces the message has.
    pub total: u16,
}

/// An SK or SKF payload as found; ranges index the message's octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encrypted {
    /// The type of the first payload inside.
    pub first: PayloadType,
    /// For an SKF payload, which piece it is.
    pub fragment: Option<Fragment>,
    /// IV, ciphertext and ICV.
    pub body: Range<usize>,
}

/// The lengths of an algorithm, in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Of the IV: 8 for AES-GCM and ChaCha20-Poly1305, 16 for AES-CBC.
    pub iv: usize,
    /// Of the integrity check value.
    pub icv: usize,
    /// Of a block that the ciphertext must be a multiple of; 1 for none.
    pub block: usize,
}

impl Layout {
    /// Octets of a message of one SK payload around `inner` octets of payloads.
    #[must_use]
    pub fn message(self, inner: usize) -> usize {
        let ciphertext = (inner + 1).next_multiple_of(self.block.max(1));
        Header::LENGTH + GENERIC_HEADER + self.iv + ciphertext + self.icv
    }

    /// How many octets of payloads a message of one SKF payload holds that has at most `limit`
    /// octets; 0 when nothing fits.
    #[must_use]
    pub fn piece(self, limit: usize) -> usize {
        let around = Header::LENGTH + GENERIC_HEADER + FRAGMENT_NUMBERS + self.iv + self.icv;
        let room = limit.saturating_sub(around);
        (room - room % self.block.max(1)).saturating_sub(1)
    }
}

/// Where the parts of an encrypted payload are in the message's octets; they follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Header and everything up to the IV: associated data. With a MAC of its own, the MAC covers
    /// all octets from the start up to the ICV.
    pub aad: Range<usize>,
    /// The IV.
    pub iv: Range<usize>,
    /// The ciphertext: payloads, padding and its length.
    pub ciphertext: Range<usize>,
    /// The integrity check value.
    pub icv: Range<usize>,
}

/// A message that waits to be sealed in place: plaintext where the ciphertext will be, and zeros
/// where IV and ICV will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protected {
    /// The message.
    pub octets: Vec<u8>,
    /// What is where in it.
    pub parts: Parts,
}

impl Encrypted {
    /// Reads what follows the generic header. `alone`: no payload in the clear came before.
    pub(crate) fn parse(
        kind: PayloadType,
        generic: Generic<'_>,
        alone: bool,
    ) -> Result<Self, Malformed> {
        let mut body = generic.body;
        let mut fragment = None;
        if kind == PayloadType::ENCRYPTED_FRAGMENT {
            let offset = body.offset();
            let (number, total) = (body.u16()?, body.u16()?);
            if number == 0 || number > total || total > limits::FRAGMENTS {
                return Err(Malformed::new(Reason::FragmentNumber, offset));
            }
            if number > 1 && !alone {
                return Err(Malformed::new(Reason::FragmentCompany, offset));
            }
            fragment = Some(Fragment { number, total });
        }
        let start = body.offset();
        Ok(Encrypted {
            first: generic.next,
            fragment,
            body: start..start + body.remaining(),
        })
    }

    /// Finds the parts for an algorithm's lengths.
    ///
    /// # Errors
    /// When IV, ICV and one octet of padding length do not fit, or blocks are not whole.
    pub fn parts(&self, layout: Layout) -> Result<Parts, Malformed> {
        let bad = Malformed::new(Reason::EncryptedLength, self.body.start);
        let ciphertext = self
            .body
            .len()
            .checked_sub(layout.iv + layout.icv)
            .ok_or(bad)?;
        if ciphertext == 0 || ciphertext % layout.block.max(1) != 0 {
            return Err(bad);
        }
        Ok(Parts::at(self.body.start, ciphertext, layout))
    }
}

impl Parts {
    fn at(start: usize, ciphertext: usize, layout: Layout) -> Self {
        let text = start + layout.iv;
        let icv = text + ciphertext;
        Parts {
            aad: 0..start,
            iv: start..text,
            ciphertext: text..icv,
            icv: icv..icv + layout.icv,
        }
    }
}

/// Removes the padding from decrypted octets; its content has no meaning.
///
/// # Errors
/// When the padding is longer than what holds it.
pub fn unpad(plaintext: &[u8]) -> Result<&[u8], Malformed> {
    let bad = Malformed::new(Reason::Padding, plaintext.len().saturating_sub(1));
    let (&padding, rest) = plaintext.split_last().ok_or(bad)?;
    let end = rest.len().checked_sub(usize::from(padding)).ok_or(bad)?;
    rest.get(..end).ok_or(bad)
}

/// Writes a message of one SK payload, or of one SKF payload, around `inner`, ready to be sealed.
/// `first` is the type of the first payload inside; first payload and length of the header are
/// filled in.
///
/// # Errors
/// When the message is over 65,535 octets.
pub fn encode_protected(
    header: &Header,
    first: PayloadType,
    fragment: Option<Fragment>,
    inner: &[u8],
    layout: Layout,
) -> Result<Protected, TooLong> {
    let kind = match fragment {
        Some(_) => PayloadType::ENCRYPTED_FRAGMENT,
        None => PayloadType::ENCRYPTED,
    };
    let numbers = fragment.map_or(0, |_| FRAGMENT_NUMBERS);
    let ciphertext = (inner.len() + 1).next_multiple_of(layout.block.max(1));
    let padding = ciphertext - inner.len() - 1;
    let start = Header::LENGTH + GENERIC_HEADER + numbers;
    let parts = Parts::at(start, ciphertext, layout);
    let total = parts.icv.end;
    let too_long = TooLong {
        what: "a protected message",
    };
    let padding = u8::try_from(padding).map_err(|_| too_long)?;
    if total > limits::MESSAGE {
        return Err(too_long);
    }
    let length = ((total - Header::LENGTH) as u16).to_be_bytes();

    let mut octets = Vec::with_capacity(total);
    Header {
        next_payload: kind,
        length: total as u32,
        ..*header
    }
    .emit(&mut octets);
    octets.extend_from_slice(&[first.0, 0, length[0], length[1]]);
    if let Some(Fragment { number, total }) = fragment {
        octets.extend_from_slice(&number.to_be_bytes());
        octets.extend_from_slice(&total.to_be_bytes());
    }
    octets.resize(parts.ciphertext.start, 0);
    octets.extend_from_slice(inner);
    octets.resize(parts.ciphertext.end - 1, 0);
    octets.push(padding);
    octets.resize(total, 0);
    Ok(Protected { octets, parts })
}
