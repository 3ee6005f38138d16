//! Delete payload (RFC 7296 section 3.11).

use crate::ike::kinds::ProtocolId;
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;
use crate::writer::TooLong;

/// SAs that the sender has closed: its inbound ESP or AH SPIs, or the IKE SA of the message.
/// An SPI may be listed twice; the second says nothing new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// Whose SPIs these are.
    pub protocol: ProtocolId,
    /// The SPIs; none when the protocol is IKE.
    pub spis: Vec<u32>,
}

impl Delete {
    /// The IKE SA of the message, and with it all its children.
    pub fn ike() -> Self {
        Delete {
            protocol: ProtocolId::IKE,
            spis: Vec::new(),
        }
    }

    /// ESP SAs, by the sender's inbound SPIs.
    pub fn esp(spis: Vec<u32>) -> Self {
        Delete {
            protocol: ProtocolId::ESP,
            spis,
        }
    }

    pub(crate) fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let protocol = ProtocolId(reader.u8()?);
        let spi_size = reader.u8()?;
        let count = reader.u16()?;
        let expected = if protocol == ProtocolId::IKE { 0 } else { 4 };
        if spi_size != expected {
            return reader.fail(Reason::SpiSize);
        }
        let held = reader.remaining();
        if held != usize::from(count) * 4 || (expected == 0 && count != 0) {
            return reader.fail(Reason::DeleteCount);
        }
        let mut spis = Vec::with_capacity(held / 4);
        while !reader.is_empty() {
            spis.push(reader.u32()?);
        }
        Ok(Delete { protocol, spis })
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let too_long = TooLong {
            what: "a list of SPIs",
        };
        let count = u16::try_from(self.spis.len()).map_err(|_| too_long)?;
        let spi_size = if self.protocol == ProtocolId::IKE {
            0
        } else {
            4
        };
        out.extend_from_slice(&[self.protocol.0, spi_size]);
        out.extend_from_slice(&count.to_be_bytes());
        self.spis
            .iter()
            .for_each(|spi| out.extend_from_slice(&spi.to_be_bytes()));
        Ok(())
    }
}
