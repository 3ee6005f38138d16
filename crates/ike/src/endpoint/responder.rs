//! The responder's side of a handshake: limits, half-open state, and the PAD's word (RFC 7296
//! sections 2.6 and 2.21.2).

use std::sync::Arc;
use std::time::Instant;

use policy::pad::{Claim, NoPeer, Peer};
use policy::version::IkeVersion;
use wire::ike::{Decoded, PayloadType};

use crate::discard::Discard;
use crate::endpoint::effects::{doubt_older, initial_contact, settle};
use crate::endpoint::handshake::failed;
use crate::endpoint::slot::{Refused, Slot};
use crate::endpoint::statuses::hold;
use crate::endpoint::tables::Tables;
use crate::endpoint::way::Way;
use crate::error::{Error, Misbehaved};
use crate::event::Event;
use crate::id::{IkeSaId, Role};
use crate::limits;
use crate::path::Nat;
use crate::v2::half_open::{Claimed, Due, HalfOpen, Outcome};
use crate::v2::init_request::{InitRequest, stateless_answer};
use crate::v2::install::error_payload;
use crate::v2::message::Opened;

/// Takes the first message of a handshake.
pub(crate) fn init(
    tables: &mut Tables,
    decoded: &Decoded<'_>,
    way: Way,
    now: Instant,
) -> Result<(), Discard> {
    if let Some(kind) = wire::ike::unsupported_critical(&decoded.payloads) {
        return refuse_critical(tables, decoded, kind, way, now);
    }
    let request = InitRequest::check(decoded, way.back(Nat::default()))?;
    let from = way.remote.ip();
    let peer = responder_peer(tables, way).ok_or(Discard::UnknownPeer)?;
    if peer.ike.version != IkeVersion::V2 {
        return Err(Discard::WrongVersion);
    }
    if tables.registry.ike_count() >= limits::IKE_SAS {
        return Err(Discard::SaLimit);
    }
    // Who may be any of several peers is sent on when it has said which.
    let agree = |tables: &Tables| {
        let candidates = tables.config.pad.find_by_address(from);
        candidates
            .iter()
            .all(|one| one.ike.redirect == peer.ike.redirect)
    };
    let elsewhere = request.elsewhere(&peer).filter(|_| agree(tables));
    if let Some((gateway, payload)) = elsewhere {
        let mut ctx = tables.context(now);
        request.answer_statelessly(payload, &mut ctx);
        if tables.news.take(now) {
            tables.context(now).event(Event::HandshakeRedirected {
                peer: peer.name.clone(),
                remote: way.remote,
                gateway,
            });
        }
        return Ok(());
    }
    match request.choose(&peer.ike.proposals) {
        Err((answer, error)) => {
            request.answer_statelessly(answer, &mut tables.context(now));
            if let Some(error) = error.filter(|_| tables.news.take(now)) {
                let peer = Some(peer.name.clone());
                failed(
                    tables,
                    peer,
                    Role::Responder,
                    way.local,
                    way.remote,
                    error,
                    now,
                );
            }
        }
        Ok(choice) => {
            tables.make_room(from);
            let accepted = request.accept(&choice, &peer, &mut tables.context(now));
            let state = accepted.ok_or(Discard::KeyExchange)?;
            tables.put(state.id, Slot::HalfOpen(Box::new(state)));
        }
    }
    Ok(())
}

/// A first message with a payload that may not be skipped and is unknown (section 2.5).
fn refuse_critical(
    tables: &mut Tables,
    decoded: &Decoded<'_>,
    kind: PayloadType,
    way: Way,
    now: Instant,
) -> Result<(), Discard> {
    let peer = responder_peer(tables, way)
        .ok_or(Discard::UnknownPeer)?
        .name
        .clone();
    if !tables.answers.take(now) {
        return Err(Discard::RateLimited);
    }
    let error = Error::Misbehaved(Misbehaved::CriticalPayload(kind));
    let path = way.back(Nat::default());
    let answer = stateless_answer(&decoded.header, error_payload(&error));
    // Nobody who has not proved an address is answered with more than it sent.
    if let Some(bytes) = answer.filter(|bytes| bytes.len() <= decoded.octets.len()) {
        tables.context(now).transmit(&path, bytes);
    }
    if tables.news.take(now) {
        failed(
            tables,
            Some(peer),
            Role::Responder,
            way.local,
            way.remote,
            error,
            now,
        );
    }
    Err(Discard::UnexpectedPayloads)
}

/// Whose proposals answer an IKE_SA_INIT from this address.
pub(crate) fn responder_peer(tables: &Tables, way: Way) -> Option<Arc<Peer>> {
    let nearest = tables.config.pad.nearest(way.remote.ip())?;
    tables.peers.get(&nearest.name).cloned()
}

/// Takes a message for a half-open responder.
pub(crate) fn half_open(
    tables: &mut Tables,
    ike: IkeSaId,
    decoded: &Decoded<'_>,
    way: Way,
    now: Instant,
) -> Result<(), Discard> {
    let Some(Slot::HalfOpen(state)) = tables.slot_mut(ike) else {
        return Ok(());
    };
    let path = way.again(&state.path);
    let (opened, intermediate) = match state.check(decoded)? {
        Due::Part => return Ok(()),
        Due::Repeated(answer) => {
            tables.context(now).transmit_all(&path, &answer);
            return Ok(());
        }
        Due::Intermediate(opened) => (opened, true),
        Due::Auth(opened) => (opened, false),
    };
    let Some(Slot::HalfOpen(mut state)) = tables.take(ike) else {
        return Ok(());
    };
    if !intermediate {
        return authenticate(tables, state, opened, way, now);
    }
    let (header, back) = (&decoded.header, way.back(state.path.nat));
    let left = (state.until, state.birth);
    match state.intermediate(header, &opened, back, &mut tables.context(now)) {
        None => tables.put(ike, Slot::HalfOpen(state)),
        Some(outcome) => conclude(tables, ike, outcome, left, way, now),
    }
    Ok(())
}

/// The peer says who it is.
///
/// # Errors
/// It must be asked whether its certificate still holds, and too much has been asked already.
pub(crate) fn authenticate(
    tables: &mut Tables,
    mut state: Box<HalfOpen>,
    opened: Opened,
    way: Way,
    now: Instant,
) -> Result<(), Discard> {
    let (ike, left) = (state.id, (state.until, state.birth));
    let seconds = tables.config.tickets.as_ref().map(|keys| keys.seconds(now));
    // Two handshakes may have begun with one ticket: the first to prove itself has it.
    let ticket = state.shown.as_mut().map(|shown| {
        shown.spent = tables
            .tickets
            .is_spent(&shown.name, seconds.unwrap_or(u64::MAX));
        (shown.name, shown.expires)
    });
    let found = state
        .claimed(&opened)
        .map(|claimed| find(tables, &claimed, way));
    let back = way.back(state.path.nat);
    let outcome = state.advance(&opened, found, back, &mut tables.context(now));
    if let Outcome::Unsettled(state, inquiry) = outcome {
        return hold(tables, ike, Slot::HalfOpen(state), opened, &inquiry, now);
    }
    if let (Outcome::Established(..), Some((name, expires))) = (&outcome, ticket) {
        tables.tickets.spend(name, expires);
    }
    conclude(tables, ike, outcome, left, way, now);
    Ok(())
}

/// The handshake is over. `left` is until when its end is remembered, and when it began.
fn conclude(
    tables: &mut Tables,
    ike: IkeSaId,
    outcome: Outcome,
    left: (Instant, u64),
    way: Way,
    now: Instant,
) {
    let ((until, birth), Way { local, remote, .. }) = (left, way);
    match outcome {
        Outcome::Established(sa, contact) => {
            tables.tickets.forget(&sa);
            settle(tables, sa, now);
            match contact {
                true => initial_contact(tables, ike, birth, now),
                false => doubt_older(tables, ike, birth, now),
            }
        }
        Outcome::Unsettled(state, _) => tables.put(ike, Slot::HalfOpen(state)),
        Outcome::Refused {
            error,
            digest,
            answer,
        } => {
            let refused = Refused {
                path: way.back(Nat::default()),
                digest,
                answer,
                until,
                birth,
            };
            tables.put(ike, Slot::Refused(Box::new(refused)));
            if tables.news.take(now) {
                let role = Role::Responder;
                failed(tables, None, role, local, remote, error, now);
            }
        }
    }
}

/// Asks the PAD whether a claim can be true.
fn find(tables: &Tables, claimed: &Claimed, way: Way) -> Result<Arc<Peer>, Box<NoPeer>> {
    let (local, remote) = (way.local.ip(), way.remote.ip());
    let (remote_id, local_id) = (&claimed.remote, claimed.local.as_ref());
    let peer = tables.config.pad.find(&Claim {
        local,
        remote,
        remote_id,
        local_id,
    })?;
    let known = tables.peers.get(&peer.name).cloned();
    let gone = || NoPeer {
        remote,
        remote_id: remote_id.clone(),
        candidates: Vec::new(),
    };
    known.ok_or_else(|| Box::new(gone()))
}
