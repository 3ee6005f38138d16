//! Session resumption: tickets are asked for, granted, kept and shown (RFC 5723 sections 4 and 5).

use std::sync::Arc;
use std::time::Duration;

use policy::identity::Identity;
use policy::pad::Peer;
use wire::ike::{ExchangeType, LifetimeTicket, Notify, NotifyType, Payload};

use crate::context::Context;
use crate::discard::Discard;
use crate::error::{Error, NotAuthentic};
use crate::event::{Event, Reason};
use crate::limits;
use crate::v2::contents::Contents;
use crate::v2::install::notify;
use crate::v2::sa::Sa;
use crate::v2::ticket::{self, Held, Name};

/// Asks for a ticket in IKE_AUTH.
pub(crate) fn request(peer: &Peer) -> Option<Payload> {
    peer.ike
        .resumption
        .then(|| notify(NotifyType::TICKET_REQUEST))
}

/// Grants the ticket that the peer asks for in IKE_AUTH, if we grant any.
/// What was proved may hold only `until` a moment, in seconds since 1970: then so does the ticket.
pub(crate) fn grant(
    sa: &Sa,
    contents: &Contents<'_>,
    until: Option<u64>,
    ctx: &mut Context<'_>,
) -> Option<Payload> {
    contents.notify(NotifyType::TICKET_REQUEST)?;
    let keys = ctx.config.tickets.as_ref();
    let keys = keys.filter(|_| sa.peer.ike.resumption)?;
    let now = keys.seconds(ctx.now);
    let left = until.map_or(u64::MAX, |until| until.saturating_sub(now));
    let seconds = u32::try_from(keys.lifetime.as_secs().min(left)).unwrap_or(u32::MAX);
    let ticket = ticket::Contents {
        expires: now.saturating_add(u64::from(seconds)),
        suite: sa.keys.suite(),
        sk_d: crypto::Secret::from_slice(sa.keys.sk_d()),
        holder: sa.remote_id.clone(),
        granter: sa.local_id.clone(),
        binding: sa.peer.auth.remote.binding(),
    };
    let ticket = ticket::seal(keys, &ticket, ctx.random)?;
    Some(Payload::Notify(
        LifetimeTicket { seconds, ticket }.to_notify(),
    ))
}

/// Keeps the ticket that the peer granted in IKE_AUTH, and what goes with it.
pub(crate) fn keep(sa: &mut Sa, contents: &Contents<'_>, until: Option<u64>, ctx: &Context<'_>) {
    let granted = contents.notify(NotifyType::TICKET_LT_OPAQUE);
    let Some(granted) = granted.and_then(LifetimeTicket::of) else {
        return;
    };
    if sa.peer.ike.resumption {
        let now = ctx.config.seconds(ctx.now).unwrap_or_default();
        let left = until.map_or(u64::MAX, |until| until.saturating_sub(now));
        let seconds = u64::from(granted.seconds).min(left);
        let held = Held {
            ticket: granted.ticket,
            until: ctx.after(Duration::from_secs(seconds)),
            suite: sa.keys.suite(),
            sk_d: crypto::Secret::from_slice(sa.keys.sk_d()),
            remote_id: sa.remote_id.clone(),
        };
        sa.recovery.ticket = Some(Arc::new(held));
    }
}

/// Whether an IKE SA that ended so is one to resume: it was lost, and nobody wanted it to end.
pub(crate) fn is_lost(reason: &Reason) -> bool {
    let timeout =
        |error: &Error| matches!(error, Error::Timeout { .. } | Error::NotSynchronised { .. });
    match reason {
        Reason::LostByPeer => true,
        Reason::Failed(error) => timeout(error),
        _ => false,
    }
}

/// Shows a ticket.
pub(crate) fn show(held: &Held) -> Payload {
    Payload::Notify(Notify::new(NotifyType::TICKET_OPAQUE, held.ticket.clone()))
}

/// Looks at an answer to a ticket that we showed: the peer's nonce, or nothing if it does not take
/// the ticket. Nobody signed it: a false refusal costs a full handshake.
///
/// # Errors
/// It is neither.
pub(crate) fn check_answer(contents: &Contents<'_>) -> Result<Option<Vec<u8>>, Discard> {
    let refused = contents.notify(NotifyType::TICKET_NACK).is_some();
    if refused || contents.error().is_some() {
        return Ok(None);
    }
    let nonce = contents.nonce().map_err(|_| Discard::UnexpectedPayloads)?;
    Ok(Some(nonce.to_vec()))
}

/// What a responder must hold a peer to that shows a ticket.
pub(crate) struct Shown {
    pub(crate) name: Name,
    pub(crate) expires: u64,
    pub(crate) holder: Identity,
    pub(crate) granter: Identity,
    pub(crate) binding: [u8; 32],
    /// It has served before.
    pub(crate) spent: bool,
}

impl Shown {
    /// Whether the ticket is good for this peer and for us.
    pub(crate) fn fits(&self, peer: &Peer, said: &Identity, ours: &Identity) -> Result<(), Error> {
        if *said != self.holder {
            let (expected, said) = (self.holder.to_string(), said.to_string());
            return Err(Error::NotAuthentic(NotAuthentic::Identity {
                expected,
                said,
            }));
        }
        let same = crypto::constant_time_eq(&peer.auth.remote.binding(), &self.binding);
        match same && *ours == self.granter && peer.ike.resumption && !self.spent {
            true => Ok(()),
            false => Err(Error::NotAuthentic(NotAuthentic::Ticket)),
        }
    }
}

/// Tells of an IKE SA that was resumed.
pub(crate) fn announce(sa: &Sa, ctx: &mut Context<'_>) {
    let (ike, peer) = (sa.id, sa.peer.name.clone());
    ctx.event(Event::IkeResumed { ike, peer });
}

/// How the first exchange of a handshake is called.
pub(crate) fn first_exchange(resumes: bool) -> ExchangeType {
    match resumes {
        true => ExchangeType::IKE_SESSION_RESUME,
        false => ExchangeType::IKE_SA_INIT,
    }
}

/// How often a ticket is shown before a full handshake is tried instead.
pub(crate) fn is_patient(tries: usize) -> bool {
    tries < limits::RESUME_TRIES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::Secret;
    use policy::auth::Auth;
    use policy::pad::IkeTemplate;

    fn peer(key: &[u8]) -> Peer {
        Peer {
            name: "peer".into(),
            addresses: Vec::new(),
            local_id: Identity::Any,
            remote_id: Identity::Any,
            auth: Auth::psk(Secret::from_slice(key)),
            alternatives: Vec::new(),
            ike: IkeTemplate::modern(),
        }
    }

    #[test]
    fn a_ticket_is_for_one_holder_of_one_granter_under_one_key_once() {
        let id = |text: &str| Identity::Fqdn(text.to_owned());
        let shown = |spent| Shown {
            name: [1; 32],
            expires: 5,
            holder: id("holder"),
            granter: id("granter"),
            binding: peer(b"key").auth.remote.binding(),
            spent,
        };
        let ticket = Err(Error::NotAuthentic(NotAuthentic::Ticket));
        let fits = |peer: &Peer, said, ours, spent| shown(spent).fits(peer, &id(said), &id(ours));
        let good = peer(b"key");
        assert_eq!(fits(&good, "holder", "granter", false), Ok(()));
        assert_eq!(fits(&good, "holder", "granter", true), ticket);
        assert_eq!(fits(&good, "holder", "another", false), ticket);
        assert_eq!(fits(&peer(b"another"), "holder", "granter", false), ticket);
        let mut without = peer(b"key");
        without.ike.resumption = false;
        assert_eq!(fits(&without, "holder", "granter", false), ticket);
        let identity = fits(&good, "another", "granter", false);
        let expected = NotAuthentic::Identity {
            expected: "holder".to_owned(),
            said: "another".to_owned(),
        };
        assert_eq!(identity, Err(Error::NotAuthentic(expected)));
    }
}
