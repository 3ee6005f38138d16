//! A peer is sent to another gateway, or sends us to one: before there is any state for it, when it
//! has proved who it is, or at any time later (RFC 5685).

use std::net::IpAddr;
use std::time::Instant;

use policy::child::Mode;
use policy::names::PeerName;
use policy::pad::{IkeTemplate, Peer};
use wire::ike::{Gateway, Notify, NotifyType, Payload, Redirect};

use crate::command::Acquire;
use crate::context::Context;
use crate::error::RedirectRefusal;
use crate::event::Event;
use crate::id::IkeSaId;
use crate::v2::contents::Contents;

/// Where a handshake comes from, when no packet began it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Origin {
    /// The gateways that were called before.
    pub(crate) before: Option<Before>,
    /// The IKE SA whose place it takes.
    pub(crate) replaces: Option<IkeSaId>,
    /// It is the second attempt, because the first was spoiled by a cookie.
    pub(crate) again: bool,
}

/// The gateways that were called before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    /// The one that the policy names.
    pub(crate) home: IpAddr,
    /// The one that sent us on.
    pub(crate) last: IpAddr,
}

/// What an IKE SA knows of redirection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Redirection {
    /// The peer may send us on: we said so.
    pub(crate) follows: bool,
    /// We may send the peer on: it said so.
    pub(crate) is_followed: bool,
    /// The gateway that the policy names, if the peer is not there.
    pub(crate) home: Option<IpAddr>,
    /// The IKE SA with the gateway that sent us here, until this one has taken its place.
    pub(crate) replaces: Option<IkeSaId>,
    /// The peer was sent on, and is deleted here if it is still there by then.
    pub(crate) until: Option<Instant>,
}

/// What an initiator said of redirection in its first message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// It follows.
    follows: bool,
    /// Who sent it here.
    from: Option<Gateway>,
}

impl Heard {
    /// Reads a first message. Who was sent here knows what that means, and need not say so again.
    pub(crate) fn of(request: &Contents<'_>) -> Self {
        let origin = request.notify(NotifyType::REDIRECTED_FROM);
        let says = origin.or_else(|| request.notify(NotifyType::REDIRECT_SUPPORTED));
        Heard {
            follows: says.is_some(),
            from: origin.and_then(Redirect::of).map(|origin| origin.gateway),
        }
    }

    /// What the IKE SA with it begins with.
    pub(crate) fn begin(&self) -> Redirection {
        Redirection {
            is_followed: self.follows,
            ..Redirection::default()
        }
    }

    /// Where this initiator is sent on to by who is at `local`. Nowhere if it does not know what
    /// that means, is there already, or comes from there: two gateways that send it to each other
    /// would keep it busy for ever.
    pub(crate) fn elsewhere(&self, ike: &IkeTemplate, local: IpAddr) -> Option<IpAddr> {
        let to = ike.redirect.filter(|to| self.follows && *to != local)?;
        (self.from != Some(Gateway::Address(to))).then_some(to)
    }
}

/// The payload that sends a peer on; `nonce` only in an answer to IKE_SA_INIT.
pub(crate) fn sends(to: IpAddr, nonce: Vec<u8>) -> Option<Payload> {
    let gateway = Gateway::Address(to);
    let notify = Redirect { gateway, nonce }.to_notify()?;
    Some(Payload::Notify(notify))
}

/// Whether we follow a peer for these requests. Transport mode is with the host itself, and so is
/// not what another gateway could give.
pub(crate) fn follows(peer: &Peer, wanted: &[Acquire]) -> bool {
    !peer.ike.follow.is_empty() && wanted.iter().all(is_movable)
}

/// Whether another gateway can give what a request asks for.
pub(crate) fn is_movable(wanted: &Acquire) -> bool {
    wanted.child.mode == Mode::Tunnel
}

/// What our first message says, if we follow: whence we come, or that we would go.
pub(crate) fn announce(origin: &Origin) -> Option<Payload> {
    let Some(before) = origin.before else {
        let kind = NotifyType::REDIRECT_SUPPORTED;
        return Some(Payload::Notify(Notify::new(kind, Vec::new())));
    };
    let (gateway, nonce) = (Gateway::Address(before.last), Vec::new());
    let notify = Redirect { gateway, nonce }.to_origin()?;
    Some(Payload::Notify(notify))
}

/// A gateway as text.
fn text(gateway: &Gateway) -> String {
    match gateway {
        Gateway::Address(address) => address.to_string(),
        Gateway::Name(name) => String::from_utf8_lossy(name).escape_debug().to_string(),
    }
}

/// A redirection that is not followed: the gateway as text, and why.
pub(crate) type NotFollowed = (String, RedirectRefusal);

/// Where a peer at `from` sends us. Only the gateways of the policy are followed: an answer to
/// IKE_SA_INIT comes from whoever has seen our nonce, and even who has proved to be the peer is not
/// asked where else it may be (section 10).
///
/// # Errors
/// It is not followed.
pub(crate) fn judge(
    peer: &Peer,
    (local, from): (IpAddr, IpAddr),
    notify: &Notify,
) -> Result<IpAddr, NotFollowed> {
    let Some(Redirect { gateway, .. }) = Redirect::of(notify) else {
        return Err(("?".to_owned(), RedirectRefusal::Malformed));
    };
    let is_it = |known: &&policy::pad::KnownGateway| match &gateway {
        Gateway::Address(address) => *address == known.address,
        Gateway::Name(name) => {
            let known = known.name.as_deref();
            known.is_some_and(|known| known.as_bytes().eq_ignore_ascii_case(name))
        }
    };
    let refused = |why| Err((text(&gateway), why));
    match peer.ike.follow.iter().find(is_it).map(|one| one.address) {
        Some(to) if to == local => refused(RedirectRefusal::Ourselves),
        Some(to) if to == from => refused(RedirectRefusal::Itself),
        Some(to) if peer.has_address(to) => Ok(to),
        _ => refused(RedirectRefusal::Unknown),
    }
}

/// What begins anew at another gateway.
pub(crate) struct Elsewhere {
    pub(crate) peer: PeerName,
    pub(crate) local: IpAddr,
    pub(crate) to: IpAddr,
    pub(crate) origin: Origin,
    pub(crate) wanted: Vec<Acquire>,
}

/// Tells that a redirection is not followed.
pub(crate) fn not_followed(
    peer: &PeerName,
    from: IpAddr,
    (gateway, why): NotFollowed,
    ctx: &mut Context<'_>,
) {
    ctx.event(Event::RedirectRefused {
        peer: peer.clone(),
        from,
        gateway,
        why,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::Secret;
    use policy::AddressRange;
    use policy::auth::Auth;
    use policy::identity::Identity;
    use policy::pad::KnownGateway;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn peer(gateways: &[(&str, Option<&str>)]) -> Peer {
        let mut ike = IkeTemplate::modern();
        let known = |(address, name): &(&str, Option<&str>)| KnownGateway {
            address: ip(address),
            name: name.map(str::to_owned),
        };
        ike.follow = gateways.iter().map(known).collect();
        Peer {
            name: "peer".into(),
            addresses: vec![
                AddressRange::host(ip("192.0.2.1")),
                AddressRange::host(ip("192.0.2.2")),
                AddressRange::host(ip("2001:db8::2")),
            ],
            local_id: Identity::Any,
            remote_id: Identity::Any,
            auth: Auth::psk(Secret::from_slice(b"key")),
            alternatives: Vec::new(),
            ike,
        }
    }

    fn told(gateway: Gateway) -> Notify {
        let nonce = vec![7; 32];
        Redirect { gateway, nonce }.to_notify().unwrap()
    }

    #[test]
    fn only_the_gateways_of_the_policy_are_followed() {
        let known = [
            ("192.0.2.1", None),
            ("192.0.2.2", Some("gw.example")),
            ("2001:db8::2", None),
            ("203.0.113.9", None),
            ("192.0.2.9", Some("us.example")),
        ];
        let peer = peer(&known);
        let (local, from) = (ip("192.0.2.9"), ip("192.0.2.1"));
        let to = |gateway| judge(&peer, (local, from), &told(gateway)).map_err(|why| why.1);
        let address = |text: &str| Gateway::Address(ip(text));
        let name = |text: &str| Gateway::Name(text.as_bytes().to_vec());
        assert_eq!(to(address("192.0.2.2")), Ok(ip("192.0.2.2")));
        assert_eq!(to(address("2001:db8::2")), Ok(ip("2001:db8::2")));
        assert_eq!(to(name("GW.example")), Ok(ip("192.0.2.2")));
        let unknown = Err(RedirectRefusal::Unknown);
        assert_eq!(to(name("gw2.example")), unknown);
        assert_eq!(to(address("198.51.100.1")), unknown);
        // In the list, but no address of the peer.
        assert_eq!(to(address("203.0.113.9")), unknown);
        assert_eq!(to(address("192.0.2.1")), Err(RedirectRefusal::Itself));
        assert_eq!(to(address("192.0.2.9")), Err(RedirectRefusal::Ourselves));
        assert_eq!(to(name("us.example")), Err(RedirectRefusal::Ourselves));
        let odd = Notify::new(NotifyType::REDIRECT, vec![9, 1, 0]);
        let odd = judge(&peer, (local, from), &odd).map_err(|why| why.1);
        assert_eq!(odd, Err(RedirectRefusal::Malformed));
    }

    #[test]
    fn a_name_of_the_peer_is_shown_without_its_tricks() {
        let why = judge(
            &peer(&[]),
            (ip("::1"), ip("::2")),
            &told(Gateway::Name(b"a\x1b[2J".into())),
        );
        assert_eq!(why.unwrap_err().0, "a\\u{1b}[2J");
    }
}
