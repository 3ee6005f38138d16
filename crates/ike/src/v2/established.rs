//! An established IKE SA at work: authenticated messages go to their handlers, and what waits is
//! sent (RFC 7296 sections 1.3 and 1.4).

pub(crate) mod begin;
pub(crate) mod child;
pub(crate) mod clock;
mod collide;
mod delete;
mod followup;
mod ike;
pub(crate) mod liveness;
mod pend;
pub(crate) mod redirect;

use wire::ike::{ExchangeType, Header, Malformed, NotifyType, Payload, PayloadType, ProtocolId};

use crate::context::Context;
use crate::discard::Discard;
use crate::error::{Error, Misbehaved};
use crate::event::Reason;
use crate::path::Path;
use crate::v2::contents::Contents;
use crate::v2::crash;
use crate::v2::followup::step;
use crate::v2::install::error_payload;
use crate::v2::mobike;
use crate::v2::sa::{Exchange, Kind, Sa};
use crate::v2::sync::{Told, member, peer};
use crate::v2::window::{Proof, Request};

/// Takes an authenticated message. `back` is where it came from, and where its answer goes.
///
/// # Errors
/// An unprotected hint that is not followed.
pub(crate) fn advance(
    sa: &mut Sa,
    header: &Header,
    proof: Proof,
    back: Path,
    ctx: &mut Context<'_>,
) -> Result<(), Discard> {
    match proof {
        Proof::Hint(notify) => liveness::hint(sa, notify, ctx.now)?,
        Proof::Lost => crash::proven(sa, ctx),
        Proof::Sync(told) => {
            sa.heard(ctx.now);
            match told {
                Told::Request { sync, counters } => peer::asked(sa, sync, counters, &back, ctx),
                Told::Answer { sync } => member::answered(sa, sync, ctx),
            }
        }
        Proof::Part => return Ok(()),
        Proof::Repeated => sa.answer_again(&back, ctx),
        Proof::Request { digest, payloads } => {
            sa.heard(ctx.now);
            request(sa, header.exchange, digest, payloads, back, ctx);
        }
        Proof::Response { payloads } => {
            sa.heard(ctx.now);
            let finished = sa.finish(header.message_id);
            let taken = finished.and_then(|one| step(sa, one, payloads, ctx));
            if let Some((exchange, payloads)) = taken {
                response(sa, exchange, payloads, ctx);
            }
        }
    }
    begin::pump(sa, ctx);
    Ok(())
}

fn request(
    sa: &mut Sa,
    exchange: ExchangeType,
    digest: [u8; 32],
    payloads: Result<Vec<Payload>, Malformed>,
    back: Path,
    ctx: &mut Context<'_>,
) {
    let octets = payloads.as_deref().unwrap_or_default();
    let request = Request {
        exchange,
        digest,
        payloads: octets,
        back,
    };
    let contents = match &payloads {
        Ok(payloads) => Contents::of(payloads),
        Err(why) => Err(Misbehaved::Malformed(*why)),
    };
    match contents {
        Ok(contents) => handle(sa, &request, &contents, ctx),
        Err(why) => {
            let error = Error::Misbehaved(why.clone());
            sa.respond(&request, &[error_payload(&error)], ctx);
            // A payload that we do not know is no reason to part (section 2.5); a message that
            // is no message is (section 2.21.3).
            if !matches!(why, Misbehaved::CriticalPayload(_)) {
                sa.end(Reason::Failed(error), true, ctx);
            }
        }
    }
}

fn handle(sa: &mut Sa, request: &Request<'_>, contents: &Contents<'_>, ctx: &mut Context<'_>) {
    note_window(sa, contents);
    crash::keep(sa, contents);
    match request.exchange {
        ExchangeType::INFORMATIONAL => return delete::informed(sa, request, contents, ctx),
        ExchangeType::IKE_FOLLOWUP_KE => return followup::asked(sa, request, contents, ctx),
        _ => {}
    }
    let about = |payload: &Payload| match payload {
        Payload::Sa(offer) => offer.proposals.first().map(|proposal| proposal.protocol),
        _ => None,
    };
    match request.payloads.iter().find_map(about) {
        Some(ProtocolId::IKE) => ike::asked(sa, request, contents, ctx),
        Some(_) => child::asked(sa, request, contents, ctx),
        None => {
            let error = Error::Misbehaved(Misbehaved::Payload(PayloadType::SA));
            sa.respond(request, &[error_payload(&error)], ctx);
            sa.end(Reason::Failed(error), true, ctx);
        }
    }
}

/// How many requests the peer takes at once (section 2.3).
pub(crate) fn note_window(sa: &mut Sa, contents: &Contents<'_>) {
    let size = contents
        .notify(NotifyType::SET_WINDOW_SIZE)
        .map(|notify| notify.data.as_slice());
    if let Some(size) = size
        .and_then(|data| data.try_into().ok())
        .map(u32::from_be_bytes)
    {
        sa.peer_window = size.max(sa.peer_window);
    }
}

fn response(
    sa: &mut Sa,
    exchange: Exchange,
    payloads: Result<Vec<Payload>, Malformed>,
    ctx: &mut Context<'_>,
) {
    let contents = match &payloads {
        Ok(payloads) => Contents::of(payloads),
        Err(why) => Err(Misbehaved::Malformed(*why)),
    };
    let (contents, fatal) = match contents {
        Ok(contents) => {
            let fatal = contents.notify(NotifyType::INVALID_SYNTAX).is_some();
            (
                contents,
                fatal.then_some(Error::Refused(NotifyType::INVALID_SYNTAX)),
            )
        }
        Err(why) => (Contents::default(), Some(Error::Misbehaved(why))),
    };
    if let Some(error) = fatal {
        // What it was to protect begins anew elsewhere.
        sa.exchanges.push(exchange);
        return sa.end(Reason::Failed(error), false, ctx);
    }
    note_window(sa, &contents);
    // What comes with a new IKE SA is of that one.
    if !matches!(exchange.kind, Kind::RekeyIke { .. } | Kind::CloneIke { .. }) {
        crash::keep(sa, &contents);
    }
    match exchange.kind {
        Kind::CreateChild { offer, tries } => child::created(sa, offer, tries, &contents, ctx),
        Kind::RekeyChild {
            old,
            offer,
            rival,
            tries,
        } => {
            child::rekeyed(sa, old, offer, rival, tries, &contents, ctx);
        }
        Kind::RekeyIke {
            offer,
            rival,
            tries,
        } => {
            ike::rekeyed(sa, *offer, rival, tries, &contents, ctx);
        }
        Kind::CloneIke { offer, tries } => ike::cloned(sa, *offer, tries, &contents, ctx),
        Kind::DeleteChild { child } => sa.remove_child(child, Reason::Rekeyed, ctx),
        Kind::DeleteIke { reason } => sa.end(reason, false, ctx),
        Kind::Redirect { to } => sa.sent_on(to, ctx),
        Kind::Liveness => mobike::ask::mapped(sa, &contents),
        Kind::Addresses { cookie, moves } => {
            mobike::ask::answered(sa, &cookie, moves, &contents, ctx);
        }
        Kind::DisownChild { .. } | Kind::Forgotten(_) => {}
    }
}

#[cfg(test)]
mod tests;
