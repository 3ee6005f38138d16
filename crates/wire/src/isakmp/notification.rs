//! Notification payload (RFC 2408 section 3.14, RFC 2407 section 4.6.3).

use crate::isakmp::kinds::ProtocolId;
use crate::isakmp::limits;
use crate::isakmp::notify_type::NotifyType;
use crate::isakmp::numbers::DOI_IPSEC;
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;
use crate::writer::{TooLong, octet};

/// An error or a piece of status, about an ISAKMP SA or another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The domain of interpretation: IPsec, and from some peers 0.
    pub doi: u32,
    /// The protocol of `spi`.
    pub protocol: ProtocolId,
    /// The SA that is spoken of: both cookies or nothing for ISAKMP, 4 octets or nothing for ESP
    /// and AH. Windows has 8 octets there, of which the first 4 are a message ID ([MS-IKEE] section
    /// 2.2.6).
    pub spi: Vec<u8>,
    /// What is said.
    pub kind: NotifyType,
    /// What belongs to it.
    pub data: Vec<u8>,
}

impl Notification {
    /// A notification about the message itself, without an SPI.
    pub fn new(protocol: ProtocolId, kind: NotifyType, data: Vec<u8>) -> Self {
        Notification {
            doi: DOI_IPSEC,
            protocol,
            spi: Vec::new(),
            kind,
            data,
        }
    }

    /// A notification about an ISAKMP SA: INITIAL-CONTACT, R-U-THERE and its answer.
    pub fn isakmp(cookies: (u64, u64), kind: NotifyType, data: Vec<u8>) -> Self {
        Notification {
            spi: [cookies.0.to_be_bytes(), cookies.1.to_be_bytes()].concat(),
            ..Notification::new(ProtocolId::ISAKMP, kind, data)
        }
    }

    /// A notification about an ESP SA.
    pub fn esp(spi: u32, kind: NotifyType, data: Vec<u8>) -> Self {
        Notification {
            spi: spi.to_be_bytes().to_vec(),
            ..Notification::new(ProtocolId::ESP, kind, data)
        }
    }

    /// The SPI when it is of ESP or AH.
    pub fn spi_u32(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.spi.as_slice().try_into().ok()?))
    }

    /// The SPI when it is both cookies, initiator's and responder's.
    pub fn cookies(&self) -> Option<(u64, u64)> {
        let both = u128::from_be_bytes(self.spi.as_slice().try_into().ok()?);
        Some(((both >> 64) as u64, both as u64))
    }

    /// Data of four octets: the sequence number of R-U-THERE, or REPLAY-STATUS's answer.
    pub fn data_u32(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.data.as_slice().try_into().ok()?))
    }

    pub(crate) fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let doi = reader.u32()?;
        let protocol = ProtocolId(reader.u8()?);
        let spi_size = reader.u8()?;
        let fits = match protocol {
            ProtocolId::AH | ProtocolId::ESP => matches!(spi_size, 0 | 4 | 8),
            _ => spi_size <= limits::SPI,
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
        Ok(Notification {
            doi,
            protocol,
            spi,
            kind,
            data: reader.rest().to_vec(),
        })
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        out.extend_from_slice(&self.doi.to_be_bytes());
        out.extend_from_slice(&[self.protocol.0, octet(self.spi.len(), "an SPI")?]);
        out.extend_from_slice(&self.kind.0.to_be_bytes());
        out.extend_from_slice(&self.spi);
        out.extend_from_slice(&self.data);
        Ok(())
    }
}
