//! Notify payload (RFC 7296 section 3.10).

use crate::ike::kinds::ProtocolId;
use crate::ike::limits;
use crate::ike::notify_type::NotifyType;
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;
use crate::writer::{TooLong, octet};

/// An error or a piece of status, about the IKE SA or, with an SPI, about another SA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// The protocol of `spi`; without meaning when that is empty.
    pub protocol: ProtocolId,
    /// The SA that is spoken of: 4 octets for ESP and AH, empty for this IKE SA.
    pub spi: Vec<u8>,
    /// What is said.
    pub kind: NotifyType,
    /// What belongs to it.
    pub data: Vec<u8>,
}

impl Notify {
    /// A notification about the IKE SA or the message itself, without an SPI.
    pub fn new(kind: NotifyType, data: Vec<u8>) -> Self {
        Notify {
            protocol: ProtocolId::NONE,
            spi: Vec::new(),
            kind,
            data,
        }
    }

    /// A notification about an ESP SA.
    pub fn esp(kind: NotifyType, spi: u32, data: Vec<u8>) -> Self {
        Notify {
            protocol: ProtocolId::ESP,
            spi: spi.to_be_bytes().to_vec(),
            kind,
            data,
        }
    }

    /// The SPI when it is of ESP or AH.
    pub fn spi_u32(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.spi.as_slice().try_into().ok()?))
    }

    /// Data of two octets: the group that INVALID_KE_PAYLOAD asks for.
    pub fn data_u16(&self) -> Option<u16> {
        Some(u16::from_be_bytes(self.data.as_slice().try_into().ok()?))
    }

    /// Data of four octets: the size that SET_WINDOW_SIZE gives, or AUTH_LIFETIME's seconds.
    pub fn data_u32(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.data.as_slice().try_into().ok()?))
    }

    pub(crate) fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let protocol = ProtocolId(reader.u8()?);
        let spi_size = reader.u8()?;
        let fits = match protocol {
            _ if spi_size == 0 => true,
            ProtocolId::NONE => false,
            ProtocolId::IKE => spi_size == 8,
            ProtocolId::AH | ProtocolId::ESP => spi_size == 4,
            _ => true,
        };
        if !fits {
            return reader.fail(Reason::SpiSize);
        }
        let kind = NotifyType(reader.u16()?);
        let spi = reader
            .take(usize::from(spi_size), Reason::Truncated)?
            .to_vec();
        if reader.remaining() > limits::NOTIFY_DATA {
            return reader.fail(Reason::NotifyLength);
        }
        Ok(Notify {
            protocol,
            spi,
            kind,
            data: reader.rest().to_vec(),
        })
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        out.extend_from_slice(&[self.protocol.0, octet(self.spi.len(), "an SPI")?]);
        out.extend_from_slice(&self.kind.0.to_be_bytes());
        out.extend_from_slice(&self.spi);
        out.extend_from_slice(&self.data);
        Ok(())
    }
}
