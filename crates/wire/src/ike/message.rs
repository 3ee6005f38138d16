//! Whole messages: the chain of payloads behind a header (RFC 7296 sections 3.1 and 3.2).

use crate::ike::encrypted::Encrypted;
use crate::ike::header::Header;
use crate::ike::kinds::PayloadType;
use crate::ike::limits;
use crate::ike::payload::{Generic, Payload};
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;
use crate::writer::TooLong;

/// A message whose payloads are all known: one in the clear, or one after decryption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The header as it was received or will be sent.
    pub header: Header,
    /// The payloads in their order, without the encrypted one around them.
    pub payloads: Vec<Payload>,
}

/// A datagram as far as it can be read without keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The exact octets of the message: what AUTH signs, and what `encrypted`'s ranges index.
    pub octets: &'a [u8],
    /// The header.
    pub header: Header,
    /// The payloads in the clear.
    pub payloads: Vec<Payload>,
    /// The SK or SKF payload that ends the message, if there is one.
    pub encrypted: Option<Encrypted>,
}

/// Reads a datagram, without its non-ESP marker, up to and including an undecrypted SK or SKF.
///
/// # Errors
/// The first broken rule. For an error in the payloads [`Header::parse`] still gives the header.
pub fn decode(datagram: &[u8]) -> Result<Decoded<'_>, Malformed> {
    let header = Header::parse(datagram)?;
    // The types of payloads are those of the major version: nothing is read in another's.
    if header.major_version() != 2 {
        return Err(Malformed::new(Reason::MajorVersion, 17));
    }
    let length = usize::try_from(header.length).unwrap_or(usize::MAX);
    let truncated = Malformed::new(Reason::MessageLength, 24);
    let octets = datagram.get(..length).ok_or(truncated)?;
    let chain = octets.get(Header::LENGTH..).ok_or(truncated)?;
    let mut reader = Reader::new(chain, Header::LENGTH);
    let mut payloads = Vec::new();
    let mut kind = header.next_payload;
    while kind != PayloadType::NONE {
        if payloads.len() == limits::PAYLOADS {
            return reader.fail(Reason::TooManyPayloads);
        }
        let generic = Generic::parse(&mut reader)?;
        if matches!(
            kind,
            PayloadType::ENCRYPTED | PayloadType::ENCRYPTED_FRAGMENT
        ) {
            if !reader.is_empty() {
                return reader.fail(Reason::TrailingOctets);
            }
            let encrypted = Encrypted::parse(kind, generic, payloads.is_empty())?;
            return Ok(Decoded {
                octets,
                header,
                payloads,
                encrypted: Some(encrypted),
            });
        }
        payloads.push(Payload::parse(kind, generic.critical, generic.body)?);
        kind = generic.next;
    }
    if !reader.is_empty() {
        return reader.fail(Reason::TrailingOctets);
    }
    Ok(Decoded {
        octets,
        header,
        payloads,
        encrypted: None,
    })
}

/// Reads the payloads that were inside an SK payload, padding removed; `first` is the type that
/// the SK payload's header gave.
///
/// # Errors
/// The first broken rule, its offset counted from the start of `octets`.
pub fn decode_payloads(first: PayloadType, octets: &[u8]) -> Result<Vec<Payload>, Malformed> {
    let mut reader = Reader::new(octets, 0);
    let mut payloads = Vec::new();
    let mut kind = first;
    while kind != PayloadType::NONE {
        if payloads.len() == limits::PAYLOADS {
            return reader.fail(Reason::TooManyPayloads);
        }
        if matches!(
            kind,
            PayloadType::ENCRYPTED | PayloadType::ENCRYPTED_FRAGMENT
        ) {
            return reader.fail(Reason::NestedEncryption);
        }
        let generic = Generic::parse(&mut reader)?;
        payloads.push(Payload::parse(kind, generic.critical, generic.body)?);
        kind = generic.next;
    }
    if !reader.is_empty() {
        return reader.fail(Reason::TrailingOctets);
    }
    Ok(payloads)
}

/// Writes a message in the clear; first payload and length of the header are filled in.
///
/// # Errors
/// When something does not fit the field that gives its length.
pub fn encode(header: &Header, payloads: &[Payload]) -> Result<Vec<u8>, TooLong> {
    let (first, chain) = encode_payloads(payloads)?;
    let length = Header::LENGTH + chain.len();
    if length > limits::MESSAGE {
        return Err(TooLong { what: "a message" });
    }
    let header = Header {
        next_payload: first,
        length: length as u32,
        ..*header
    };
    let mut out = Vec::with_capacity(length);
    header.emit(&mut out);
    out.extend_from_slice(&chain);
    Ok(out)
}

/// Writes a chain of payloads; with it comes the type of the first.
///
/// # Errors
/// When something does not fit the field that gives its length.
pub fn encode_payloads(payloads: &[Payload]) -> Result<(PayloadType, Vec<u8>), TooLong> {
    chain(payloads, PayloadType::NONE)
}

/// Writes a chain of payloads that goes on with one of type `last`.
pub(crate) fn chain(
    payloads: &[Payload],
    last: PayloadType,
) -> Result<(PayloadType, Vec<u8>), TooLong> {
    let mut out = Vec::new();
    for (index, payload) in payloads.iter().enumerate() {
        let next = payloads.get(index + 1).map_or(last, Payload::kind);
        payload.emit(next, &mut out)?;
    }
    Ok((payloads.first().map_or(last, Payload::kind), out))
}
