//! NAT detection and original address payloads (RFC 3947 sections 3.2 and 5.2, and its drafts).

use crate::isakmp::kinds::PayloadType;
use crate::isakmp::numbers;
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;
use std::net::IpAddr;

/// Which numbers are used for the same payloads and modes: it follows from the vendor ID that both
/// sides sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatNumbers {
    /// Those of RFC 3947.
    Rfc3947,
    /// Those of draft-ietf-ipsec-nat-t-ike-02 and -03, which Windows 2003 knows alone.
    Draft,
}

/// A hash of cookies, an address and a port (RFC 3947 section 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatDetection {
    /// Which type number it has.
    pub numbers: NatNumbers,
    /// The hash, as long as the negotiated one.
    pub hash: Vec<u8>,
}

/// The address that an end has before any NAT (RFC 3947 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatOriginalAddress {
    /// Which type number it has.
    pub numbers: NatNumbers,
    /// The address.
    pub address: IpAddr,
}

impl NatNumbers {
    /// The numbers that a payload type is of.
    pub(crate) fn of(kind: PayloadType) -> Self {
        match kind {
            PayloadType::NAT_D_DRAFT | PayloadType::NAT_OA_DRAFT => NatNumbers::Draft,
            _ => NatNumbers::Rfc3947,
        }
    }

    /// The type of NAT detection payloads.
    pub fn detection(self) -> PayloadType {
        match self {
            NatNumbers::Rfc3947 => PayloadType::NAT_D,
            NatNumbers::Draft => PayloadType::NAT_D_DRAFT,
        }
    }

    /// The type of NAT original address payloads.
    pub fn original_address(self) -> PayloadType {
        match self {
            NatNumbers::Rfc3947 => PayloadType::NAT_OA,
            NatNumbers::Draft => PayloadType::NAT_OA_DRAFT,
        }
    }

    /// The encapsulation mode of transport mode in UDP.
    pub fn transport(self) -> u16 {
        match self {
            NatNumbers::Rfc3947 => numbers::ENCAPSULATION_UDP_TRANSPORT,
            NatNumbers::Draft => numbers::ENCAPSULATION_UDP_TRANSPORT_DRAFT,
        }
    }

    /// The encapsulation mode of tunnel mode in UDP.
    pub fn tunnel(self) -> u16 {
        match self {
            NatNumbers::Rfc3947 => numbers::ENCAPSULATION_UDP_TUNNEL,
            NatNumbers::Draft => numbers::ENCAPSULATION_UDP_TUNNEL_DRAFT,
        }
    }
}

impl NatOriginalAddress {
    pub(crate) fn parse(numbers: NatNumbers, mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let kind = reader.u8()?;
        reader.array::<3>()?;
        let address = match (kind, reader.remaining()) {
            (numbers::ID_IPV4_ADDR, 4) => IpAddr::from(reader.array::<4>()?),
            (numbers::ID_IPV6_ADDR, 16) => IpAddr::from(reader.array::<16>()?),
            _ => return reader.fail(Reason::AddressLength),
        };
        Ok(NatOriginalAddress { numbers, address })
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) {
        match self.address {
            IpAddr::V4(address) => {
                out.extend_from_slice(&[numbers::ID_IPV4_ADDR, 0, 0, 0]);
                out.extend_from_slice(&address.octets());
            }
            IpAddr::V6(address) => {
                out.extend_from_slice(&[numbers::ID_IPV6_ADDR, 0, 0, 0]);
                out.extend_from_slice(&address.octets());
            }
        }
    }
}
