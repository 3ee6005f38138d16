//! Chains of payloads and whole messages (RFC 2408 sections 3.1 and 3.2).

use crate::isakmp::header::{Flags, Header};
use crate::isakmp::kinds::PayloadType;
use crate::isakmp::limits;
use crate::isakmp::payload::{GENERIC_HEADER, Generic, Payload};
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;
use crate::writer::TooLong;

/// The payloads of a message, with the octets that hashes cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain<'a> {
    /// All payloads with their headers as they were received, without padding.
    pub octets: &'a [u8],
    /// The payloads in their order.
    pub payloads: Vec<Located<'a>>,
}

/// A payload and where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<'a> {
    /// What it says.
    pub payload: Payload,
    /// Where its generic header begins, in octets from the start of the chain.
    pub offset: usize,
    /// Its octets after the generic header as they were received: `SAi_b` and `IDii_b` of RFC 2409
    /// section 5.
    pub body: &'a [u8],
}

impl<'a> Chain<'a> {
    /// The octets of all payloads behind the one of that index, headers included: after 0, what
    /// HASH(1) of quick mode and of an informational exchange covers (RFC 2409 section 5.5).
    pub fn after(&self, index: usize) -> &'a [u8] {
        let payload = self.payloads.get(index);
        let start = payload.map_or(usize::MAX, |payload| payload.end());
        self.octets.get(start..).unwrap_or_default()
    }

    /// The payloads of one type.
    pub fn all(&self, kind: PayloadType) -> impl Iterator<Item = &Located<'a>> {
        self.payloads
            .iter()
            .filter(move |located| located.payload.kind() == kind)
    }
}

impl Located<'_> {
    /// Where the payload ends, in octets from the start of the chain.
    pub fn end(&self) -> usize {
        self.offset + GENERIC_HEADER + self.body.len()
    }
}

/// Reads the payloads of a body; `first` is the type that the header gave. After decryption the
/// body is `padded`: up to 255 octets of whatever content may follow the last payload (RFC 2409
/// appendix B says that they are zero, and peers send otherwise).
///
/// # Errors
/// The first broken rule, its offset counted from the start of `octets`.
pub fn decode_payloads(
    first: PayloadType,
    octets: &[u8],
    padded: bool,
) -> Result<Chain<'_>, Malformed> {
    let mut reader = Reader::new(octets, 0);
    let mut payloads = Vec::new();
    let mut kind = first;
    while kind != PayloadType::NONE {
        if payloads.len() == limits::PAYLOADS {
            return reader.fail(Reason::TooManyPayloads);
        }
        let offset = reader.offset();
        let Generic { next, body } = Generic::parse(&mut reader)?;
        // A fragment is a message by itself, and never encrypted.
        let alone = !padded && payloads.is_empty() && next == PayloadType::NONE;
        if kind == PayloadType::FRAGMENT && !alone {
            return Err(Malformed::new(Reason::PayloadCompany, offset));
        }
        payloads.push(Located {
            payload: Payload::parse(kind, Reader::new(body, offset + GENERIC_HEADER))?,
            offset,
            body,
        });
        kind = next;
    }
    let tolerated = if padded { limits::PADDING } else { 0 };
    if reader.remaining() > tolerated {
        return reader.fail(Reason::TrailingOctets);
    }
    let chain = octets.get(..reader.offset()).unwrap_or_default();
    Ok(Chain {
        octets: chain,
        payloads,
    })
}

/// Writes a message in the clear; first payload and length of the header are filled in.
///
/// # Errors
/// When something does not fit the field that gives its length.
pub fn encode(header: &Header, payloads: &[Payload]) -> Result<Vec<u8>, TooLong> {
    let (first, chain) = encode_payloads(payloads)?;
    whole(header, header.flags, first, &chain)
}

/// Writes a message around `ciphertext`, a padded chain after encryption; the header's length is
/// filled in, its first payload is `first`, and its encryption flag is set.
///
/// # Errors
/// When all of it is longer than a message may be.
pub fn encode_encrypted(
    header: &Header,
    first: PayloadType,
    ciphertext: &[u8],
) -> Result<Vec<u8>, TooLong> {
    let flags = Flags {
        encryption: true,
        ..header.flags
    };
    whole(header, flags, first, ciphertext)
}

/// Writes a chain of payloads, without padding; with it comes the type of the first.
///
/// # Errors
/// When something does not fit the field that gives its length.
pub fn encode_payloads(payloads: &[Payload]) -> Result<(PayloadType, Vec<u8>), TooLong> {
    let mut out = Vec::new();
    for (index, payload) in payloads.iter().enumerate() {
        let next = payloads.get(index + 1);
        payload.emit(next.map_or(PayloadType::NONE, Payload::kind), &mut out)?;
    }
    let first = payloads.first();
    Ok((first.map_or(PayloadType::NONE, Payload::kind), out))
}

fn whole(
    header: &Header,
    flags: Flags,
    first: PayloadType,
    body: &[u8],
) -> Result<Vec<u8>, TooLong> {
    let length = Header::LENGTH + body.len();
    if length > limits::MESSAGE {
        return Err(TooLong { what: "a message" });
    }
    let header = Header {
        next_payload: first,
        length: length as u32,
        flags,
        ..*header
    };
    let mut out = Vec::with_capacity(length);
    header.emit(&mut out);
    out.extend_from_slice(body);
    Ok(out)
}
