//! Payloads and the header that they share (RFC 7296 section 3.2).

use crate::ike::auth::AuthPayload;
use crate::ike::certificate::{Cert, CertReq};
use crate::ike::configuration::Configuration;
use crate::ike::delete::Delete;
use crate::ike::identification::Identification;
use crate::ike::key_exchange::KePayload;
use crate::ike::kinds::PayloadType;
use crate::ike::nonce::Nonce;
use crate::ike::notify::Notify;
use crate::ike::sa::SaPayload;
use crate::ike::selectors::TrafficSelectors;
use crate::ike::vendor::VendorId;
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;
use crate::writer::{TooLong, with_length};

/// The flag of a payload that must not be skipped by who does not know it.
const CRITICAL: u8 = 0x80;

/// Octets of the header before every payload.
pub(crate) const GENERIC_HEADER: usize = 4;

/// A payload other than the encrypted ones.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // Each variant is documented by its type.
pub enum Payload {
    Sa(SaPayload),
    Ke(KePayload),
    IdInitiator(Identification),
    IdResponder(Identification),
    Cert(Cert),
    CertReq(CertReq),
    Auth(AuthPayload),
    Nonce(Nonce),
    Notify(Notify),
    Delete(Delete),
    VendorId(VendorId),
    TsInitiator(TrafficSelectors),
    TsResponder(TrafficSelectors),
    Configuration(Configuration),
    /// An EAP message, undecoded (RFC 7296 section 3.16).
    Eap(Vec<u8>),
    /// Keys that solve a puzzle (RFC 8019 section 8.2).
    PuzzleSolution(Vec<u8>),
    Unknown(Unknown),
}

/// A payload of a type without a meaning here. When it is critical, the whole message is refused
/// with UNSUPPORTED_CRITICAL_PAYLOAD; otherwise it is skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The type.
    pub kind: PayloadType,
    /// Whether it may not be skipped.
    pub critical: bool,
    /// What follows the generic header.
    pub body: Vec<u8>,
}

/// The first payload that is critical and unknown, if there is one.
pub fn unsupported_critical(payloads: &[Payload]) -> Option<PayloadType> {
    payloads.iter().find_map(|payload| match payload {
        Payload::Unknown(unknown) if unknown.critical => Some(unknown.kind),
        _ => None,
    })
}

/// What the generic header of a payload says.
pub(crate) struct Generic<'a> {
    /// The type of the payload after this one.
    pub(crate) next: PayloadType,
    pub(crate) critical: bool,
    /// What follows the generic header.
    pub(crate) body: Reader<'a>,
}

impl<'a> Generic<'a> {
    pub(crate) fn parse(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let offset = reader.offset();
        let next = PayloadType(reader.u8()?);
        let critical = reader.u8()? & CRITICAL != 0;
        let length = usize::from(reader.u16()?);
        let too_short = Malformed::new(Reason::PayloadLength, offset);
        let length = length.checked_sub(GENERIC_HEADER).ok_or(too_short)?;
        let body = reader.part(length, Reason::PayloadLength)?;
        Ok(Generic {
            next,
            critical,
            body,
        })
    }
}

impl Payload {
    /// The type that announces this payload.
    pub fn kind(&self) -> PayloadType {
        match self {
            Payload::Sa(_) => PayloadType::SA,
            Payload::Ke(_) => PayloadType::KE,
            Payload::IdInitiator(_) => PayloadType::ID_INITIATOR,
            Payload::IdResponder(_) => PayloadType::ID_RESPONDER,
            Payload::Cert(_) => PayloadType::CERT,
            Payload::CertReq(_) => PayloadType::CERTREQ,
            Payload::Auth(_) => PayloadType::AUTH,
            Payload::Nonce(_) => PayloadType::NONCE,
            Payload::Notify(_) => PayloadType::NOTIFY,
            Payload::Delete(_) => PayloadType::DELETE,
            Payload::VendorId(_) => PayloadType::VENDOR_ID,
            Payload::TsInitiator(_) => PayloadType::TS_INITIATOR,
            Payload::TsResponder(_) => PayloadType::TS_RESPONDER,
            Payload::Configuration(_) => PayloadType::CONFIGURATION,
            Payload::Eap(_) => PayloadType::EAP,
            Payload::PuzzleSolution(_) => PayloadType::PUZZLE_SOLUTION,
            Payload::Unknown(unknown) => unknown.kind,
        }
    }

    /// Reads a payload's body. The critical flag means something for unknown types alone.
    pub(crate) fn parse(
        kind: PayloadType,
        critical: bool,
        mut body: Reader<'_>,
    ) -> Result<Self, Malformed> {
        Ok(match kind {
            PayloadType::SA => Payload::Sa(SaPayload::parse(body)?),
            PayloadType::KE => Payload::Ke(KePayload::parse(body)?),
            PayloadType::ID_INITIATOR => Payload::IdInitiator(Identification::parse(body)?),
            PayloadType::ID_RESPONDER => Payload::IdResponder(Identification::parse(body)?),
            PayloadType::CERT => Payload::Cert(Cert::parse(body)?),
            PayloadType::CERTREQ => Payload::CertReq(CertReq::parse(body)?),
            PayloadType::AUTH => Payload::Auth(AuthPayload::parse(body)?),
            PayloadType::NONCE => Payload::Nonce(Nonce::parse(body)?),
            PayloadType::NOTIFY => Payload::Notify(Notify::parse(body)?),
            PayloadType::DELETE => Payload::Delete(Delete::parse(body)?),
            PayloadType::VENDOR_ID => Payload::VendorId(VendorId::parse(body)),
            PayloadType::TS_INITIATOR => Payload::TsInitiator(TrafficSelectors::parse(body)?),
            PayloadType::TS_RESPONDER => Payload::TsResponder(TrafficSelectors::parse(body)?),
            PayloadType::CONFIGURATION => Payload::Configuration(Configuration::parse(body)?),
            PayloadType::EAP => Payload::Eap(body.rest().to_vec()),
            PayloadType::PUZZLE_SOLUTION => Payload::PuzzleSolution(body.rest().to_vec()),
            _ => Payload::Unknown(Unknown {
                kind,
                critical,
                body: body.rest().to_vec(),
            }),
        })
    }

    /// Appends the payload with its generic header; `next` is the type of the one after it.
    pub(crate) fn emit(&self, next: PayloadType, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let critical = matches!(self, Payload::Unknown(unknown) if unknown.critical);
        let header = [next.0, if critical { CRITICAL } else { 0 }, 0, 0];
        with_length(out, &header, 2, "a payload", |out| self.emit_body(out))
    }

    fn emit_body(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        match self {
            Payload::Sa(body) => body.emit(out)?,
            Payload::Ke(body) => body.emit(out),
            Payload::IdInitiator(body) | Payload::IdResponder(body) => body.emit(out),
            Payload::Cert(body) => body.emit(out),
            Payload::CertReq(body) => body.emit(out),
            Payload::Auth(body) => body.emit(out),
            Payload::Nonce(Nonce(octets)) | Payload::VendorId(VendorId(octets)) => {
                out.extend_from_slice(octets);
            }
            Payload::Notify(body) => body.emit(out)?,
            Payload::Delete(body) => body.emit(out)?,
            Payload::TsInitiator(body) | Payload::TsResponder(body) => body.emit(out)?,
            Payload::Configuration(body) => body.emit(out)?,
            Payload::Eap(octets) | Payload::PuzzleSolution(octets) => out.extend_from_slice(octets),
            Payload::Unknown(unknown) => out.extend_from_slice(&unknown.body),
        }
        Ok(())
    }
}
