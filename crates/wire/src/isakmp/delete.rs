//! Delete payload (RFC 2408 section 3.15).

use crate::isakmp::kinds::ProtocolId;
use crate::isakmp::limits;
use crate::isakmp::numbers::DOI_IPSEC;
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;
use crate::writer::{TooLong, octet};

/// SAs that the sender has closed: its inbound ESP or AH SPIs, or ISAKMP SAs by their cookies.
/// An SPI may be listed twice; the second says nothing new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// The domain of interpretation: IPsec, and from some peers 0.
    pub doi: u32,
    /// Whose SPIs these are.
    pub protocol: ProtocolId,
    /// The SPIs, all of the size that fits the protocol: 16 octets for ISAKMP (initiator's cookie,
    /// responder's cookie), 4 for AH and ESP, 2 or 4 for IPCOMP. At least one when received.
    pub spis: Vec<Vec<u8>>,
}

impl Delete {
    /// One ISAKMP SA.
    pub fn isakmp(initiator_cookie: u64, responder_cookie: u64) -> Self {
        let cookies = [
            initiator_cookie.to_be_bytes(),
            responder_cookie.to_be_bytes(),
        ];
        Delete {
            doi: DOI_IPSEC,
            protocol: ProtocolId::ISAKMP,
            spis: vec![cookies.concat()],
        }
    }

    /// ESP SAs, by the sender's inbound SPIs.
    pub fn esp(spis: &[u32]) -> Self {
        Delete {
            doi: DOI_IPSEC,
            protocol: ProtocolId::ESP,
            spis: spis.iter().map(|spi| spi.to_be_bytes().to_vec()).collect(),
        }
    }

    /// The SPIs of AH or ESP.
    pub fn spis_u32(&self) -> impl Iterator<Item = u32> {
        let number = |spi: &Vec<u8>| Some(u32::from_be_bytes(spi.as_slice().try_into().ok()?));
        self.spis.iter().filter_map(number)
    }

    /// The cookies of ISAKMP SAs, initiator's and responder's.
    pub fn cookies(&self) -> impl Iterator<Item = (u64, u64)> {
        self.spis.iter().filter_map(|spi| {
            let both = u128::from_be_bytes(spi.as_slice().try_into().ok()?);
            Some(((both >> 64) as u64, both as u64))
        })
    }

    pub(crate) fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let doi = reader.u32()?;
        let protocol = ProtocolId(reader.u8()?);
        let spi_size = reader.u8()?;
        let fits = match protocol {
            ProtocolId::ISAKMP => spi_size == 16,
            ProtocolId::AH | ProtocolId::ESP => spi_size == 4,
            ProtocolId::IPCOMP => matches!(spi_size, 2 | 4),
            _ => (1..=limits::SPI).contains(&spi_size),
        };
        if !fits {
            return reader.fail(Reason::SpiSize);
        }
        let count = usize::from(reader.u16()?);
        let size = usize::from(spi_size);
        if count == 0 || reader.remaining() != count * size {
            return reader.fail(Reason::DeleteCount);
        }
        if count > limits::DELETED {
            return reader.fail(Reason::TooManySpis);
        }
        let spis = reader.rest().chunks_exact(size).map(<[u8]>::to_vec);
        Ok(Delete {
            doi,
            protocol,
            spis: spis.collect(),
        })
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let what = "a list of SPIs";
        let size = self.spis.first().map_or(0, Vec::len);
        if self.spis.iter().any(|spi| spi.len() != size) {
            return Err(TooLong { what });
        }
        let count = u16::try_from(self.spis.len()).map_err(|_| TooLong { what })?;
        out.extend_from_slice(&self.doi.to_be_bytes());
        out.extend_from_slice(&[self.protocol.0, octet(size, "an SPI")?]);
        out.extend_from_slice(&count.to_be_bytes());
        self.spis.iter().for_each(|spi| out.extend_from_slice(spi));
        Ok(())
    }
}
