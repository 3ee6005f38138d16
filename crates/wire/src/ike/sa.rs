//! Security Association payload and its proposals (RFC 7296 section 3.3).

use crate::ike::kinds::ProtocolId;
use crate::ike::limits;
use crate::ike::transform::Transform;
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;
use crate::substructure::substructure;
use crate::writer::{TooLong, octet, with_length};
use std::fmt;

/// What a peer offers, best first; or the one proposal that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaPayload {
    /// At least one when received.
    pub proposals: Vec<Proposal>,
}

/// One way to protect: for each kind of transform that is listed, one has to be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Counts from one upwards; a response repeats the number of the chosen proposal.
    pub number: u8,
    /// What the SA protects with.
    pub protocol: ProtocolId,
    /// The sender's inbound SPI: 4 octets for ESP and AH, 8 or none for IKE.
    pub spi: Vec<u8>,
    /// The algorithms, best first within a kind.
    pub transforms: Vec<Transform>,
}

impl SaPayload {
    pub(crate) fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let mut proposals: Vec<Proposal> = Vec::new();
        let mut last = false;
        while !reader.is_empty() {
            if last {
                return reader.fail(Reason::LastSubstructure);
            }
            if proposals.len() == limits::PROPOSALS {
                return reader.fail(Reason::TooManyProposals);
            }
            let offset = reader.offset();
            let (is_last, body) = substructure(&mut reader, 2)?;
            last = is_last;
            let proposal = Proposal::parse(body)?;
            // A response holds one proposal that keeps the number it had in the request.
            let first = proposals.is_empty() && (last || proposal.number == 1);
            let follows = |previous: &Proposal| previous.number.checked_add(1);
            if !first && proposals.last().and_then(follows) != Some(proposal.number) {
                return Err(Malformed::new(Reason::ProposalNumber, offset));
            }
            proposals.push(proposal);
        }
        match (proposals.is_empty(), last) {
            (true, _) => reader.fail(Reason::NoProposal),
            (false, false) => reader.fail(Reason::LastSubstructure),
            (false, true) => Ok(SaPayload { proposals }),
        }
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let last = self.proposals.len().saturating_sub(1);
        let mut proposals = self.proposals.iter().enumerate();
        proposals.try_for_each(|(index, proposal)| proposal.emit(index == last, out))
    }
}

impl Proposal {
    /// The SPI of an ESP or AH proposal.
    pub fn spi_u32(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.spi.as_slice().try_into().ok()?))
    }

    /// The SPI of an IKE proposal in a rekey.
    pub fn spi_u64(&self) -> Option<u64> {
        Some(u64::from_be_bytes(self.spi.as_slice().try_into().ok()?))
    }

    fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let number = reader.u8()?;
        let protocol = ProtocolId(reader.u8()?);
        let spi_size = reader.u8()?;
        let count = reader.u8()?;
        let fits = match protocol {
            ProtocolId::IKE => matches!(spi_size, 0 | 8),
            ProtocolId::AH | ProtocolId::ESP => spi_size == 4,
            _ => true,
        };
        if !fits {
            return reader.fail(Reason::SpiSize);
        }
        let spi = reader
            .take(usize::from(spi_size), Reason::SubstructureLength)?
            .to_vec();
        if usize::from(count) > limits::TRANSFORMS {
            return reader.fail(Reason::TooManyTransforms);
        }
        let mut transforms = Vec::new();
        for index in 1..=count {
            let (last, body) = substructure(&mut reader, 3)?;
            if last != (index == count) {
                return reader.fail(Reason::LastSubstructure);
            }
            transforms.push(Transform::parse(body)?);
        }
        if !reader.is_empty() {
            return reader.fail(Reason::TrailingOctets);
        }
        Ok(Proposal {
            number,
            protocol,
            spi,
            transforms,
        })
    }

    fn emit(&self, last: bool, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let spi_size = octet(self.spi.len(), "an SPI")?;
        let count = octet(self.transforms.len(), "a list of transforms")?;
        let more = if last { 0 } else { 2 };
        let header = [more, 0, 0, 0, self.number, self.protocol.0, spi_size, count];
        with_length(out, &header, 2, "a proposal", |out| {
            out.extend_from_slice(&self.spi);
            let last = self.transforms.len().saturating_sub(1);
            let mut transforms = self.transforms.iter().enumerate();
            transforms.try_for_each(|(index, transform)| transform.emit(index == last, out))
        })
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.protocol)?;
        for (index, transform) in self.transforms.iter().enumerate() {
            write!(f, "{}{transform}", if index == 0 { " " } else { ", " })?;
        }
        Ok(())
    }
}
