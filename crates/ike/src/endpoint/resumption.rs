//! A peer shows a ticket in the place of IKE_SA_INIT, and our own ticket is not taken (RFC 5723
//! section 4.3).

use std::time::Instant;

use wire::ike::{Decoded, NotifyType};

use crate::command::Acquire;
use crate::discard::Discard;
use crate::endpoint::acquire::acquire_from;
use crate::endpoint::handshake::failed;
use crate::endpoint::responder::responder_peer;
use crate::endpoint::slot::Slot;
use crate::endpoint::tables::Tables;
use crate::endpoint::way::Way;
use crate::error::Error;
use crate::id::Role;
use crate::limits;
use crate::path::Nat;
use crate::v2::init_request::InitRequest;
use crate::v2::install::notify;
use crate::v2::redirect::Origin;
use crate::v2::resume::Shown;
use crate::v2::ticket;

/// Takes an IKE_SESSION_RESUME request. A ticket that is not good is refused at once, whatever is
/// wrong with it: then the peer begins anew.
pub(crate) fn resume(
    tables: &mut Tables,
    decoded: &Decoded<'_>,
    way: Way,
    now: Instant,
) -> Result<(), Discard> {
    let request = InitRequest::check_resumption(decoded, way.back(Nat::default()))?;
    let peer = responder_peer(tables, way).ok_or(Discard::UnknownPeer)?;
    if tables.registry.ike_count() >= limits::IKE_SAS {
        return Err(Discard::SaLimit);
    }
    let keys = tables.config.tickets.as_ref();
    // A ticket must not go round a redirection: the peer begins in full, and is sent on.
    let takes = peer.ike.resumption && peer.ike.redirect.is_none();
    let opened = keys.filter(|_| takes).and_then(|keys| {
        let (name, contents) = ticket::open(keys, request.ticket()?, now)?;
        let fits = request.allows(&peer.ike.proposals, contents.suite);
        let spent = tables.tickets.is_spent(&name, keys.seconds(now));
        (fits && !spent).then_some((name, contents))
    });
    let Some((name, contents)) = opened else {
        if !tables.answers.take(now) {
            return Err(Discard::RateLimited);
        }
        let nack = notify(NotifyType::TICKET_NACK);
        request.answer_statelessly(nack, &mut tables.context(now));
        return Err(Discard::Ticket);
    };
    let shown = Shown {
        name,
        expires: contents.expires,
        holder: contents.holder,
        granter: contents.granter,
        binding: contents.binding,
        spent: false,
    };
    tables.make_room(way.remote.ip());
    let (suite, sk_d) = (contents.suite, contents.sk_d);
    let accepted = request.resume(suite, sk_d, shown, &peer, &mut tables.context(now));
    if let Some(state) = accepted {
        tables.put(state.id, Slot::HalfOpen(Box::new(state)));
    }
    Ok(())
}

/// A handshake of ours came to nothing, by no fault of what waited for it: that begins anew.
pub(crate) fn begin_again(
    tables: &mut Tables,
    way: Way,
    error: Error,
    pending: Vec<Acquire>,
    origin: Origin,
    now: Instant,
) {
    let peer = pending.first().map(|acquire| acquire.peer.clone());
    failed(
        tables,
        peer,
        Role::Initiator,
        way.local,
        way.remote,
        error,
        now,
    );
    for wanted in pending {
        acquire_from(tables, wanted, origin, now);
    }
}
