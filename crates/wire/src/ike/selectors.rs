//! Traffic Selector payloads, initiator's and responder's (RFC 7296 section 3.13).

use crate::ike::limits;
use crate::ike::numbers::{TS_IPV4_ADDR_RANGE, TS_IPV6_ADDR_RANGE};
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;
use crate::writer::{TooLong, octet};
use std::net::IpAddr;

/// One side's addresses, protocols and ports that an SA carries. Selectors of a type without a
/// meaning here are left out when received: that narrows what is offered, as a responder may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficSelectors(pub Vec<Selector>);

/// A range of addresses with a protocol and a range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The upper layer protocol, 0 for any.
    pub protocol: u8,
    /// The first port; for ICMP the type in the high octet and the code in the low.
    pub start_port: u16,
    /// The last port. First 65535 and last 0 mean OPAQUE: ports that cannot be seen.
    pub end_port: u16,
    /// The first address.
    pub start: IpAddr,
    /// The last address, of the same family.
    pub end: IpAddr,
}

impl Selector {
    /// Whether the ports are OPAQUE (RFC 7296 section 3.13.1).
    pub fn is_opaque(&self) -> bool {
        self.start_port == u16::MAX && self.end_port == 0
    }

    /// Reads one selector, or `None` for a type without a meaning here.
    fn parse(reader: &mut Reader<'_>) -> Result<Option<Self>, Malformed> {
        let offset = reader.offset();
        let kind = reader.u8()?;
        let protocol = reader.u8()?;
        let length = usize::from(reader.u16()?);
        let short = Malformed::new(Reason::SelectorLength, offset);
        let body = length.checked_sub(4).ok_or(short)?;
        let mut body = reader.part(body, Reason::SelectorLength)?;
        let expected = match kind {
            TS_IPV4_ADDR_RANGE => 16,
            TS_IPV6_ADDR_RANGE => 40,
            _ => return Ok(None),
        };
        if length != expected {
            return Err(short);
        }
        let (start_port, end_port) = (body.u16()?, body.u16()?);
        let (start, end) = if kind == TS_IPV4_ADDR_RANGE {
            (
                IpAddr::from(body.array::<4>()?),
                IpAddr::from(body.array::<4>()?),
            )
        } else {
            (
                IpAddr::from(body.array::<16>()?),
                IpAddr::from(body.array::<16>()?),
            )
        };
        let selector = Selector {
            protocol,
            start_port,
            end_port,
            start,
            end,
        };
        if start_port > end_port && !selector.is_opaque() {
            return Err(Malformed::new(Reason::SelectorPorts, offset + 4));
        }
        if start > end {
            return Err(Malformed::new(Reason::SelectorAddresses, offset + 8));
        }
        Ok(Some(selector))
    }

    fn emit(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let (kind, length) = match (self.start, self.end) {
            (IpAddr::V4(_), IpAddr::V4(_)) => (TS_IPV4_ADDR_RANGE, 16),
            (IpAddr::V6(_), IpAddr::V6(_)) => (TS_IPV6_ADDR_RANGE, 40),
            _ => {
                return Err(TooLong {
                    what: "a range from one address family to the other",
                });
            }
        };
        out.extend_from_slice(&[kind, self.protocol, 0, length]);
        out.extend_from_slice(&self.start_port.to_be_bytes());
        out.extend_from_slice(&self.end_port.to_be_bytes());
        for address in [self.start, self.end] {
            match address {
                IpAddr::V4(address) => out.extend_from_slice(&address.octets()),
                IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
            }
        }
        Ok(())
    }
}

impl TrafficSelectors {
    pub(crate) fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let count = reader.u8()?;
        reader.array::<3>()?;
        if usize::from(count) > limits::SELECTORS {
            return reader.fail(Reason::TooManySelectors);
        }
        let mut selectors = Vec::new();
        for _ in 0..count {
            selectors.extend(Selector::parse(&mut reader)?);
        }
        if !reader.is_empty() {
            return reader.fail(Reason::TrailingOctets);
        }
        Ok(TrafficSelectors(selectors))
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        out.extend_from_slice(&[octet(self.0.len(), "a list of traffic selectors")?, 0, 0, 0]);
        self.0.iter().try_for_each(|selector| selector.emit(out))
    }
}
