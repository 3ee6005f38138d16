//! The data of REDIRECT and REDIRECTED_FROM: another gateway (RFC 5685 section 8).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ike::notify::Notify;
use crate::ike::notify_type::NotifyType;

const IPV4: u8 = 1;
const IPV6: u8 = 2;
const FQDN: u8 = 3;

/// A gateway, as these notifications name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// By its address.
    Address(IpAddr),
    /// By its name, which may be anything.
    Name(Vec<u8>),
}

/// A gateway, and in an answer to IKE_SA_INIT the initiator's nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Where to go, or whence the initiator was sent.
    pub gateway: Gateway,
    /// Ni; nothing but in an answer to IKE_SA_INIT.
    pub nonce: Vec<u8>,
}

impl Redirect {
    /// The data of a notification; `None` for a name of more than 255 octets.
    fn data(&self) -> Option<Vec<u8>> {
        let (kind, identity) = match &self.gateway {
            Gateway::Address(IpAddr::V4(address)) => (IPV4, address.octets().to_vec()),
            Gateway::Address(IpAddr::V6(address)) => (IPV6, address.octets().to_vec()),
            Gateway::Name(name) => (FQDN, name.clone()),
        };
        let length = u8::try_from(identity.len()).ok()?;
        Some([&[kind, length], &*identity, &*self.nonce].concat())
    }

    /// As REDIRECT.
    pub fn to_notify(&self) -> Option<Notify> {
        Some(Notify::new(NotifyType::REDIRECT, self.data()?))
    }

    /// As REDIRECTED_FROM.
    pub fn to_origin(&self) -> Option<Notify> {
        Some(Notify::new(NotifyType::REDIRECTED_FROM, self.data()?))
    }

    /// From a notification of either type.
    pub fn of(notify: &Notify) -> Option<Self> {
        let kinds = [NotifyType::REDIRECT, NotifyType::REDIRECTED_FROM];
        let [kind, length, rest @ ..] = notify.data.as_slice() else {
            return None;
        };
        let (identity, nonce) = rest.split_at_checked(usize::from(*length))?;
        let gateway = match *kind {
            IPV4 => Gateway::Address(Ipv4Addr::from(<[u8; 4]>::try_from(identity).ok()?).into()),
            IPV6 => Gateway::Address(Ipv6Addr::from(<[u8; 16]>::try_from(identity).ok()?).into()),
            FQDN if !identity.is_empty() => Gateway::Name(identity.to_vec()),
            _ => return None,
        };
        let nonce = nonce.to_vec();
        let known = kinds.contains(&notify.kind);
        known.then_some(Redirect { gateway, nonce })
    }
}
