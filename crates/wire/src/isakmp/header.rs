//! The header of every message (RFC 2408 section 3.1).

use crate::isakmp::kinds::{ExchangeType, PayloadType};
use crate::isakmp::limits;
use crate::isakmp::numbers::ISAKMP_VERSION;
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;

const ENCRYPTION: u8 = 0x01;
const COMMIT: u8 = 0x02;
const AUTHENTICATION_ONLY: u8 = 0x04;

/// The flags of a message; bits without a meaning are sent as zero and ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// All that follows the header is encrypted.
    pub encryption: bool,
    /// The sender wants to be told before the SA is used.
    pub commit: bool,
    /// The message is authenticated and not encrypted.
    pub authentication_only: bool,
}

impl Flags {
    /// The flags of a message that is encrypted.
    pub const ENCRYPTED: Flags = Flags {
        encryption: true,
        commit: false,
        authentication_only: false,
    };

    fn from_octet(octet: u8) -> Self {
        Flags {
            encryption: octet & ENCRYPTION != 0,
            commit: octet & COMMIT != 0,
            authentication_only: octet & AUTHENTICATION_ONLY != 0,
        }
    }

    fn to_octet(self) -> u8 {
        let bit = |set, bit| if set { bit } else { 0 };
        bit(self.encryption, ENCRYPTION)
            | bit(self.commit, COMMIT)
            | bit(self.authentication_only, AUTHENTICATION_ONLY)
    }
}

/// The 28 octets that begin a message of version 1.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The initiator's cookie, never zero in a valid message.
    pub initiator_cookie: u64,
    /// The responder's cookie, zero in the first message.
    pub responder_cookie: u64,
    /// The type of the first payload; the encoder fills it in.
    pub next_payload: PayloadType,
    /// What the message takes part in.
    pub exchange: ExchangeType,
    /// How it is protected.
    pub flags: Flags,
    /// Zero in phase 1; random, and the name of the exchange, from then on.
    pub message_id: u32,
    /// Octets of the whole message, header included; the encoder fills it in.
    pub length: u32,
}

impl Header {
    /// Octets of a header.
    pub const LENGTH: usize = 28;

    /// A header; first payload and length are the encoder's to fill in.
    pub fn new(
        initiator_cookie: u64,
        responder_cookie: u64,
        exchange: ExchangeType,
        flags: Flags,
        message_id: u32,
    ) -> Self {
        Header {
            initiator_cookie,
            responder_cookie,
            next_payload: PayloadType::NONE,
            exchange,
            flags,
            message_id,
            length: 0,
        }
    }

    /// Appends the header as it is.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.initiator_cookie.to_be_bytes());
        out.extend_from_slice(&self.responder_cookie.to_be_bytes());
        let octets = [
            self.next_payload.0,
            ISAKMP_VERSION,
            self.exchange.0,
            self.flags.to_octet(),
        ];
        out.extend_from_slice(&octets);
        out.extend_from_slice(&self.message_id.to_be_bytes());
        out.extend_from_slice(&self.length.to_be_bytes());
    }
}

/// The major version that a datagram (without its non-ESP marker) says: 1 for this module, 2 for
/// [`ike`](crate::ike). `None` when it is too short for a header of either.
pub fn major_version(datagram: &[u8]) -> Option<u8> {
    let header = datagram.first_chunk::<{ Header::LENGTH }>()?;
    Some(header[17] >> 4)
}

/// Reads the header of a datagram, without its non-ESP marker, and gives what follows it: as many
/// octets as the header's length says, encrypted if [`Flags::encryption`] is set.
///
/// # Errors
/// The first broken rule: version 1.0 (RFC 2408 section 3.1: a higher minor version is not
/// accepted), a length of at least 28 octets and no more than came, at most three that follow.
pub fn decode_header(datagram: &[u8]) -> Result<(Header, &[u8]), Malformed> {
    let mut reader = Reader::new(datagram, 0);
    let (initiator_cookie, responder_cookie) = (reader.u64()?, reader.u64()?);
    let next_payload = PayloadType(reader.u8()?);
    let version = reader.u8()?;
    let header = Header {
        initiator_cookie,
        responder_cookie,
        next_payload,
        exchange: ExchangeType(reader.u8()?),
        flags: Flags::from_octet(reader.u8()?),
        message_id: reader.u32()?,
        length: reader.u32()?,
    };
    if version != ISAKMP_VERSION {
        return Err(Malformed::new(Reason::IsakmpVersion, 17));
    }
    let refused = Malformed::new(Reason::MessageLength, 24);
    let length = usize::try_from(header.length).map_err(|_| refused)?;
    if length > limits::MESSAGE {
        return Err(refused);
    }
    let body = datagram.get(Header::LENGTH..length).ok_or(refused)?;
    if datagram.len() - length > limits::TRAILING {
        return Err(Malformed::new(Reason::TrailingOctets, length));
    }
    Ok((header, body))
}
