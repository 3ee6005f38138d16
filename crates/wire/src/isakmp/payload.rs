//! Payloads and the header that they share (RFC 2408 section 3.2).

use crate::isakmp::certificate::{Certificate, CertificateRequest};
use crate::isakmp::delete::Delete;
use crate::isakmp::fragment::Fragment;
use crate::isakmp::identification::Identification;
use crate::isakmp::kinds::PayloadType;
use crate::isakmp::limits;
use crate::isakmp::nat::{NatDetection, NatNumbers, NatOriginalAddress};
use crate::isakmp::notification::Notification;
use crate::isakmp::sa::SecurityAssociation;
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;
use crate::writer::{TooLong, with_length};

/// Octets of the header before every payload.
pub(crate) const GENERIC_HEADER: usize = 4;

/// A payload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // A variant without words is documented by its type.
pub enum Payload {
    SecurityAssociation(SecurityAssociation),
    /// A public Diffie-Hellman value; whether it has the group's exact length is `crypto`'s to
    /// check (RFC 2408 section 3.7).
    KeyExchange(Vec<u8>),
    Identification(Identification),
    Certificate(Certificate),
    CertificateRequest(CertificateRequest),
    /// A hash, as long as the negotiated one, or wrapped by GSS (RFC 2408 section 3.11).
    Hash(Vec<u8>),
    /// A signature (RFC 2408 section 3.12).
    Signature(Vec<u8>),
    /// Fresh random octets, 8 to 256 when received (RFC 2408 section 3.13).
    Nonce(Vec<u8>),
    Notification(Notification),
    Delete(Delete),
    /// A constant; [`vendor`](crate::isakmp::vendor) knows some (RFC 2408 section 3.16).
    VendorId(Vec<u8>),
    NatDetection(NatDetection),
    NatOriginalAddress(NatOriginalAddress),
    /// A token of GSS (draft-ietf-ipsec-isakmp-gss-auth).
    GssToken(Vec<u8>),
    Fragment(Fragment),
    Unknown(Unknown),
}

/// A payload of a type without a meaning here; RFC 2408 section 5.3 discards a message for it, and
/// that is for its reader to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The type.
    pub kind: PayloadType,
    /// What follows the generic header.
    pub body: Vec<u8>,
}

/// What the generic header of a payload says.
pub(crate) struct Generic<'a> {
    /// The type of the payload after this one.
    pub(crate) next: PayloadType,
    /// The payload's own octets.
    pub(crate) body: &'a [u8],
}

impl<'a> Generic<'a> {
    /// Reads a generic header. Its reserved octet is zero (RFC 2408 section 5.3), which every
    /// known peer keeps to, and which finds out what was decrypted with a wrong key.
    pub(crate) fn parse(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let offset = reader.offset();
        let next = PayloadType(reader.u8()?);
        if reader.u8()? != 0 {
            return Err(Malformed::new(Reason::Reserved, offset + 1));
        }
        let length = usize::from(reader.u16()?);
        let too_short = Malformed::new(Reason::PayloadLength, offset);
        let length = length.checked_sub(GENERIC_HEADER).ok_or(too_short)?;
        let body = reader.take(length, Reason::PayloadLength)?;
        Ok(Generic { next, body })
    }
}

impl Payload {
    /// The type that announces this payload.
    pub fn kind(&self) -> PayloadType {
        match self {
            Payload::SecurityAssociation(_) => PayloadType::SA,
            Payload::KeyExchange(_) => PayloadType::KE,
            Payload::Identification(_) => PayloadType::ID,
            Payload::Certificate(_) => PayloadType::CERT,
            Payload::CertificateRequest(_) => PayloadType::CERTREQ,
            Payload::Hash(_) => PayloadType::HASH,
            Payload::Signature(_) => PayloadType::SIG,
            Payload::Nonce(_) => PayloadType::NONCE,
            Payload::Notification(_) => PayloadType::NOTIFICATION,
            Payload::Delete(_) => PayloadType::DELETE,
            Payload::VendorId(_) => PayloadType::VENDOR_ID,
            Payload::NatDetection(detection) => detection.numbers.detection(),
            Payload::NatOriginalAddress(original) => original.numbers.original_address(),
            Payload::GssToken(_) => PayloadType::GSS_TOKEN,
            Payload::Fragment(_) => PayloadType::FRAGMENT,
            Payload::Unknown(unknown) => unknown.kind,
        }
    }

    /// Reads a payload's body.
    pub(crate) fn parse(kind: PayloadType, mut body: Reader<'_>) -> Result<Self, Malformed> {
        Ok(match kind {
            // They are inside an SA payload, and nowhere else (RFC 2408 section 3.1).
            PayloadType::PROPOSAL | PayloadType::TRANSFORM => {
                return body.fail(Reason::PayloadCompany);
            }
            PayloadType::SA => Payload::SecurityAssociation(SecurityAssociation::parse(body)?),
            PayloadType::KE => {
                let octets = bounded(body, 1, limits::KEY_EXCHANGE, Reason::KeyExchangeLength)?;
                Payload::KeyExchange(octets)
            }
            PayloadType::ID => Payload::Identification(Identification::parse(body)?),
            PayloadType::CERT => Payload::Certificate(Certificate::parse(body)?),
            PayloadType::CERTREQ => Payload::CertificateRequest(CertificateRequest::parse(body)?),
            PayloadType::HASH => Payload::Hash(bounded(body, 1, limits::HASH, Reason::HashLength)?),
            PayloadType::SIG => {
                Payload::Signature(bounded(body, 1, limits::HASH, Reason::HashLength)?)
            }
            PayloadType::NONCE => {
                let (least, most) = (limits::NONCE_MIN, limits::NONCE_MAX);
                Payload::Nonce(bounded(body, least, most, Reason::IsakmpNonceLength)?)
            }
            PayloadType::NOTIFICATION => Payload::Notification(Notification::parse(body)?),
            PayloadType::DELETE => Payload::Delete(Delete::parse(body)?),
            PayloadType::VENDOR_ID => Payload::VendorId(body.rest().to_vec()),
            PayloadType::NAT_D | PayloadType::NAT_D_DRAFT => Payload::NatDetection(NatDetection {
                numbers: NatNumbers::of(kind),
                hash: bounded(body, 1, limits::HASH, Reason::HashLength)?,
            }),
            PayloadType::NAT_OA | PayloadType::NAT_OA_DRAFT => {
                let numbers = NatNumbers::of(kind);
                Payload::NatOriginalAddress(NatOriginalAddress::parse(numbers, body)?)
            }
            PayloadType::GSS_TOKEN => Payload::GssToken(body.rest().to_vec()),
            PayloadType::FRAGMENT => Payload::Fragment(Fragment::parse(body)?),
            _ => Payload::Unknown(Unknown {
                kind,
                body: body.rest().to_vec(),
            }),
        })
    }

    /// Appends the payload with its generic header; `next` is the type of the one after it.
    pub(crate) fn emit(&self, next: PayloadType, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let header = [next.0, 0, 0, 0];
        with_length(out, &header, 2, "a payload", |out| self.emit_body(out))
    }

    /// The payload's octets without its generic header: `SAi_b`, `IDii_b` and the like of what we
    /// send ourselves (RFC 2409 section 5).
    ///
    /// # Errors
    /// When something does not fit the field that gives its length.
    pub fn body(&self) -> Result<Vec<u8>, TooLong> {
        let mut out = Vec::new();
        self.emit_body(&mut out)?;
        Ok(out)
    }

    fn emit_body(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        match self {
            Payload::SecurityAssociation(body) => body.emit(out)?,
            Payload::Identification(body) => body.emit(out),
            Payload::Certificate(body) => body.emit(out),
            Payload::CertificateRequest(body) => body.emit(out),
            Payload::Notification(body) => body.emit(out)?,
            Payload::Delete(body) => body.emit(out)?,
            Payload::NatOriginalAddress(body) => body.emit(out),
            Payload::Fragment(body) => body.emit(out),
            Payload::KeyExchange(octets)
            | Payload::Hash(octets)
            | Payload::Signature(octets)
            | Payload::Nonce(octets)
            | Payload::VendorId(octets)
            | Payload::NatDetection(NatDetection { hash: octets, .. })
            | Payload::GssToken(octets) => out.extend_from_slice(octets),
            Payload::Unknown(unknown) => out.extend_from_slice(&unknown.body),
        }
        Ok(())
    }
}

/// All octets of a body that is nothing else, when there are as many as there may be.
fn bounded(
    mut body: Reader<'_>,
    least: usize,
    most: usize,
    reason: Reason,
) -> Result<Vec<u8>, Malformed> {
    if !(least..=most).contains(&body.remaining()) {
        return body.fail(reason);
    }
    Ok(body.rest().to_vec())
}
