//! Security Association and Proposal payloads (RFC 2408 sections 3.4 and 3.5, RFC 2407).

use crate::isakmp::kinds::ProtocolId;
use crate::isakmp::limits;
use crate::isakmp::numbers::{DOI_IPSEC, SIT_IDENTITY_ONLY};
use crate::isakmp::transform::Transform;
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;
use crate::substructure::substructure;
use crate::writer::{TooLong, octet, with_length};

/// What a peer offers, best first; or what was chosen, one transform of one proposal. Its domain of
/// interpretation is IPsec and its situation is SIT_IDENTITY_ONLY: in any other what follows would
/// have another form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityAssociation {
    /// At least one when received.
    pub proposals: Vec<Proposal>,
}

/// One protocol to protect with: one of its transforms is to be chosen. Proposals of the same
/// number belong together: all of them are taken, or none (RFC 2408 section 4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// From 0 or 1 upwards, with gaps and never downwards; an answer repeats it.
    pub number: u8,
    /// What the SA protects with.
    pub protocol: ProtocolId,
    /// The sender's inbound SPI: 4 octets for ESP and AH; without meaning for ISAKMP.
    pub spi: Vec<u8>,
    /// The suites, best first; at least one when received.
    pub transforms: Vec<Transform>,
}

impl SecurityAssociation {
    pub(crate) fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let offset = reader.offset();
        if reader.u32()? != DOI_IPSEC {
            return Err(Malformed::new(Reason::UnknownDoi, offset));
        }
        if reader.u32()? != SIT_IDENTITY_ONLY {
            return Err(Malformed::new(Reason::UnknownSituation, offset + 4));
        }
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
            let before = proposals.last().map_or(0, |before| before.number);
            if proposal.number < before {
                return Err(Malformed::new(Reason::ProposalOrder, offset));
            }
            proposals.push(proposal);
        }
        match (proposals.is_empty(), last) {
            (true, _) => reader.fail(Reason::NoProposal),
            (false, false) => reader.fail(Reason::LastSubstructure),
            (false, true) => Ok(SecurityAssociation { proposals }),
        }
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        out.extend_from_slice(&DOI_IPSEC.to_be_bytes());
        out.extend_from_slice(&SIT_IDENTITY_ONLY.to_be_bytes());
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

    fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let number = reader.u8()?;
        let protocol = ProtocolId(reader.u8()?);
        let spi_size = reader.u8()?;
        let count = reader.u8()?;
        let fits = match protocol {
            ProtocolId::AH | ProtocolId::ESP => spi_size == 4,
            // RFC 3173 section 4.1: a CPI of two octets may come in four.
            ProtocolId::IPCOMP => matches!(spi_size, 2 | 4),
            _ => spi_size <= limits::SPI,
        };
        if !fits {
            return reader.fail(Reason::SpiSize);
        }
        let spi = reader
            .take(usize::from(spi_size), Reason::SubstructureLength)?
            .to_vec();
        if count == 0 {
            return reader.fail(Reason::NoTransform);
        }
        if usize::from(count) > limits::TRANSFORMS {
            return reader.fail(Reason::TooManyTransforms);
        }
        let mut transforms = Vec::new();
        for index in 1..=count {
            let (last, body) = substructure(&mut reader, 3)?;
            if last != (index == count) {
                return reader.fail(Reason::LastSubstructure);
            }
            transforms.push(Transform::parse(protocol, body)?);
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
