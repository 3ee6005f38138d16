//! Identification payload: who a peer is, or the traffic of an SA (RFC 2407 section 4.6.2).

use crate::isakmp::limits;
use crate::isakmp::numbers;
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;
use std::net::IpAddr;

/// In phase 1, who a peer says it is: nothing is true of it before the hash or signature is
/// verified. In quick mode, the traffic of one end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identification {
    /// The type, an `ID_` number of [`numbers`].
    pub kind: u8,
    /// The upper layer protocol, 0 for any; in phase 1 0, or 17 with port 500.
    pub protocol: u8,
    /// The port, 0 for any.
    pub port: u16,
    /// The identity as that type writes it; addresses have their exact length when received.
    pub data: Vec<u8>,
}

impl Identification {
    /// An identity of phase 1: any protocol and port.
    pub fn new(kind: u8, data: Vec<u8>) -> Self {
        Identification {
            kind,
            protocol: 0,
            port: 0,
            data,
        }
    }

    /// A single address, with the traffic that is meant.
    pub fn address(address: IpAddr, protocol: u8, port: u16) -> Self {
        let (kind, data) = match address {
            IpAddr::V4(address) => (numbers::ID_IPV4_ADDR, address.octets().to_vec()),
            IpAddr::V6(address) => (numbers::ID_IPV6_ADDR, address.octets().to_vec()),
        };
        Identification {
            kind,
            protocol,
            port,
            data,
        }
    }

    /// All addresses that share the first `prefix` bits of `address`. `None` when it has fewer.
    pub fn subnet(address: IpAddr, prefix: u8, protocol: u8, port: u16) -> Option<Self> {
        let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
        let free = u32::from(bits.checked_sub(prefix)?);
        let mask = u128::MAX.checked_shl(free).unwrap_or(0);
        let (kind, data) = match address {
            IpAddr::V4(address) => {
                let mask = mask as u32;
                let base = (u32::from(address) & mask).to_be_bytes();
                let data = [base, mask.to_be_bytes()].concat();
                (numbers::ID_IPV4_ADDR_SUBNET, data)
            }
            IpAddr::V6(address) => {
                let base = (u128::from(address) & mask).to_be_bytes();
                let data = [base, mask.to_be_bytes()].concat();
                (numbers::ID_IPV6_ADDR_SUBNET, data)
            }
        };
        Some(Identification {
            kind,
            protocol,
            port,
            data,
        })
    }

    /// The first and the last address of an identity that is an address, a subnet or a range.
    /// `None` for a name, and for a subnet whose mask has gaps.
    pub fn addresses(&self) -> Option<(IpAddr, IpAddr)> {
        match self.kind {
            numbers::ID_IPV4_ADDR | numbers::ID_IPV6_ADDR => {
                let address = address(&self.data)?;
                Some((address, address))
            }
            numbers::ID_IPV4_ADDR_RANGE | numbers::ID_IPV6_ADDR_RANGE => {
                let (first, last) = halves(&self.data);
                Some((address(first)?, address(last)?))
            }
            numbers::ID_IPV4_ADDR_SUBNET | numbers::ID_IPV6_ADDR_SUBNET => {
                let (base, mask) = halves(&self.data);
                subnet(address(base)?, address(mask)?)
            }
            _ => None,
        }
    }

    pub(crate) fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let kind = reader.u8()?;
        let protocol = reader.u8()?;
        let port = reader.u16()?;
        let length = reader.remaining();
        let expected = match kind {
            numbers::ID_IPV4_ADDR => 4,
            numbers::ID_IPV4_ADDR_SUBNET | numbers::ID_IPV4_ADDR_RANGE => 8,
            numbers::ID_IPV6_ADDR => 16,
            numbers::ID_IPV6_ADDR_SUBNET | numbers::ID_IPV6_ADDR_RANGE => 32,
            _ if length > limits::IDENTIFICATION => {
                return reader.fail(Reason::IdentificationLength);
            }
            _ => length,
        };
        if length != expected {
            return reader.fail(Reason::AddressLength);
        }
        let is_range = matches!(
            kind,
            numbers::ID_IPV4_ADDR_RANGE | numbers::ID_IPV6_ADDR_RANGE
        );
        let offset = reader.offset();
        let data = reader.rest().to_vec();
        let (first, last) = halves(&data);
        if is_range && first > last {
            return Err(Malformed::new(Reason::IdentificationRange, offset));
        }
        Ok(Identification {
            kind,
            protocol,
            port,
            data,
        })
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.kind, self.protocol]);
        out.extend_from_slice(&self.port.to_be_bytes());
        out.extend_from_slice(&self.data);
    }
}

/// The two equal parts of a subnet or range.
fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    data.split_at(data.len() / 2)
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => Some(v4(u32::from_be_bytes(octets.try_into().ok()?))),
        16 => Some(v6(u128::from_be_bytes(octets.try_into().ok()?))),
        _ => None,
    }
}

/// The first and the last address that differ from `base` where the mask has no bits; `None` for a
/// mask with gaps.
fn subnet(base: IpAddr, mask: IpAddr) -> Option<(IpAddr, IpAddr)> {
    match (base, mask) {
        (IpAddr::V4(base), IpAddr::V4(mask)) => {
            let (first, free) = (u32::from(base) & u32::from(mask), !u32::from(mask));
            let is_whole = free & free.wrapping_add(1) == 0;
            is_whole.then_some((v4(first), v4(first | free)))
        }
        (IpAddr::V6(base), IpAddr::V6(mask)) => {
            let (first, free) = (u128::from(base) & u128::from(mask), !u128::from(mask));
            let is_whole = free & free.wrapping_add(1) == 0;
            is_whole.then_some((v6(first), v6(first | free)))
        }
        _ => None,
    }
}

fn v4(bits: u32) -> IpAddr {
    IpAddr::from(bits.to_be_bytes())
}

fn v6(bits: u128) -> IpAddr {
    IpAddr::from(bits.to_be_bytes())
}
