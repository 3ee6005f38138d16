//! The data of the notifications by which an IKE SA changes its addresses (RFC 4555 section 4.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::ike::limits;
use crate::ike::notify::Notify;
use crate::ike::notify_type::NotifyType;

/// Octets of NO_NATS_ALLOWED: two addresses and two ports.
const FOUR: usize = 2 * 4 + 2 * 2;
const SIX: usize = 2 * 16 + 2 * 2;

impl Notify {
    /// ADDITIONAL_IP4_ADDRESS or ADDITIONAL_IP6_ADDRESS.
    pub fn additional_address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(four) => {
                Notify::new(NotifyType::ADDITIONAL_IP4_ADDRESS, four.octets().to_vec())
            }
            IpAddr::V6(six) => {
                Notify::new(NotifyType::ADDITIONAL_IP6_ADDRESS, six.octets().to_vec())
            }
        }
    }

    /// The address of one of these, if it has the length of its family.
    pub fn as_additional_address(&self) -> Option<IpAddr> {
        let data = self.data.as_slice();
        match self.kind {
            NotifyType::ADDITIONAL_IP4_ADDRESS => {
                Some(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).into())
            }
            NotifyType::ADDITIONAL_IP6_ADDRESS => {
                Some(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).into())
            }
            _ => None,
        }
    }

    /// The value of COOKIE2, if it has the length of one.
    pub fn as_cookie2(&self) -> Option<&[u8]> {
        let lengths = limits::COOKIE2_MIN..=limits::COOKIE2_MAX;
        let is_cookie = self.kind == NotifyType::COOKIE2;
        (is_cookie && lengths.contains(&self.data.len())).then_some(self.data.as_slice())
    }
}

/// NO_NATS_ALLOWED: where a message was sent from and to, which no NAT may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoNatsAllowed {
    /// The address and port of its sender.
    pub source: SocketAddr,
    /// Those of its receiver.
    pub destination: SocketAddr,
}

impl NoNatsAllowed {
    /// As a notification; `None` for addresses of two families.
    pub fn to_notify(self) -> Option<Notify> {
        let mut data = match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => [from.octets(), to.octets()].concat(),
            (IpAddr::V6(from), IpAddr::V6(to)) => [from.octets(), to.octets()].concat(),
            _ => return None,
        };
        data.extend_from_slice(&self.source.port().to_be_bytes());
        data.extend_from_slice(&self.destination.port().to_be_bytes());
        Some(Notify::new(NotifyType::NO_NATS_ALLOWED, data))
    }

    /// From a notification of this type and of a length of it.
    pub fn of(notify: &Notify) -> Option<Self> {
        if notify.kind != NotifyType::NO_NATS_ALLOWED {
            return None;
        }
        let data = notify.data.as_slice();
        let (ports_at, [from, to]) = match data.len() {
            FOUR => (8, [four(data, 0)?, four(data, 4)?]),
            SIX => (32, [six(data, 0)?, six(data, 16)?]),
            _ => return None,
        };
        let port = |at| Some(u16::from_be_bytes(*data.get(at..)?.first_chunk()?));
        Some(NoNatsAllowed {
            source: SocketAddr::new(from, port(ports_at)?),
            destination: SocketAddr::new(to, port(ports_at + 2)?),
        })
    }
}

fn four(data: &[u8], at: usize) -> Option<IpAddr> {
    let octets: [u8; 4] = *data.get(at..)?.first_chunk()?;
    Some(octets.into())
}

fn six(data: &[u8], at: usize) -> Option<IpAddr> {
    let octets: [u8; 16] = *data.get(at..)?.first_chunk()?;
    Some(octets.into())
}
