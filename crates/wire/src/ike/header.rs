//! The header of every message (RFC 7296 section 3.1).

use crate::ike::kinds::{ExchangeType, PayloadType};
use crate::ike::limits;
use crate::ike::numbers::IKE_VERSION;
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;

const INITIATOR: u8 = 0x08;
const VERSION: u8 = 0x10;
const RESPONSE: u8 = 0x20;

/// The flags of a message; bits without a meaning are sent as zero and ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// The sender is the original initiator of the IKE SA.
    pub initiator: bool,
    /// The sender speaks a higher major version than the message's.
    pub version: bool,
    /// The message answers the request of the same message id.
    pub response: bool,
}

impl Flags {
    fn from_octet(octet: u8) -> Self {
        Flags {
            initiator: octet & INITIATOR != 0,
            version: octet & VERSION != 0,
            response: octet & RESPONSE != 0,
        }
    }

    fn to_octet(self) -> u8 {
        let bit = |set, bit| if set { bit } else { 0 };
        bit(self.initiator, INITIATOR) | bit(self.version, VERSION) | bit(self.response, RESPONSE)
    }
}

/// The 28 octets that begin a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The original initiator's SPI, never zero in a valid message.
    pub initiator_spi: u64,
    /// The original responder's SPI, zero in the first request.
    pub responder_spi: u64,
    /// The type of the first payload; the encoder fills it in.
    pub next_payload: PayloadType,
    /// Major version in the high four bits, minor in the low four.
    pub version: u8,
    /// What the message takes part in.
    pub exchange: ExchangeType,
    /// Who sends it, and whether it is a response.
    pub flags: Flags,
    /// Pairs a response with its request.
    pub message_id: u32,
    /// Octets of the whole message, header included; the encoder fills it in.
    pub length: u32,
}

impl Header {
    /// Octets of a header.
    pub const LENGTH: usize = 28;

    /// A version 2 header; first payload and length are the encoder's to fill in.
    pub fn new(
        initiator_spi: u64,
        responder_spi: u64,
        exchange: ExchangeType,
        flags: Flags,
        message_id: u32,
    ) -> Self {
        Header {
            initiator_spi,
            responder_spi,
            next_payload: PayloadType::NONE,
            version: IKE_VERSION,
            exchange,
            flags,
            message_id,
            length: 0,
        }
    }

    /// The major version.
    pub fn major_version(&self) -> u8 {
        self.version >> 4
    }

    /// Reads the header of a datagram of any major version, and holds its length against what was
    /// received: at least 28 octets, no more than came, and at most three that follow.
    pub fn parse(datagram: &[u8]) -> Result<Header, Malformed> {
        let mut reader = Reader::new(datagram, 0);
        let header = Header {
            initiator_spi: reader.u64()?,
            responder_spi: reader.u64()?,
            next_payload: PayloadType(reader.u8()?),
            version: reader.u8()?,
            exchange: ExchangeType(reader.u8()?),
            flags: Flags::from_octet(reader.u8()?),
            message_id: reader.u32()?,
            length: reader.u32()?,
        };
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        if !(Header::LENGTH..=limits::MESSAGE).contains(&length) || length > datagram.len() {
            return Err(Malformed::new(Reason::MessageLength, 24));
        }
        if datagram.len() - length > limits::TRAILING {
            return Err(Malformed::new(Reason::TrailingOctets, length));
        }
        Ok(header)
    }

    /// Appends the header as it is.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.initiator_spi.to_be_bytes());
        out.extend_from_slice(&self.responder_spi.to_be_bytes());
        let octets = [
            self.next_payload.0,
            self.version,
            self.exchange.0,
            self.flags.to_octet(),
        ];
        out.extend_from_slice(&octets);
        out.extend_from_slice(&self.message_id.to_be_bytes());
        out.extend_from_slice(&self.length.to_be_bytes());
    }
}
