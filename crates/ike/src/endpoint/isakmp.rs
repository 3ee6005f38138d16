//! IKEv1 in the endpoint: whom a message is for, and how main modes begin and end (RFC 2409 section
//! 5).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use policy::version::IkeVersion;
use wire::isakmp::{
    ExchangeType, Flags, Header, Notification, NotifyType, Payload, PayloadType, ProtocolId,
    decode_header,
};

use crate::command::Acquire;
use crate::discard::Discard;
use crate::endpoint::handshake::{failed, failed_initiator};
use crate::endpoint::isakmp_effects::{
    alike, hand_over, is_alone, pass_on, retreat, settle, situation,
};
use crate::endpoint::slot::Slot;
use crate::endpoint::tables::Tables;
use crate::endpoint::way::Way;
use crate::error::Error;
use crate::event::{Event, Reason};
use crate::gss::{GssAnswer, GssContext};
use crate::id::{IkeSaId, Role};
use crate::limits;
use crate::output::Output;
use crate::path::Nat;
use crate::v1::established;
use crate::v1::fragments;
use crate::v1::main_mode::responder::{Caller, Refusal};
use crate::v1::main_mode::{Done, MainMode, Outcome};
use crate::v1::message::{self, Message};
use crate::v1::sa::{Sa, Stage, Task};

/// Takes a datagram of version 1.
///
/// # Errors
/// Why it was refused.
pub(crate) fn handle(
    tables: &mut Tables,
    bytes: &[u8],
    way: Way,
    now: Instant,
) -> Result<(), Discard> {
    let (header, body) = decode_header(bytes).map_err(|_| Discard::Malformed)?;
    let message = Message {
        header,
        body,
        octets: bytes,
    };
    if header.initiator_cookie == 0 {
        return Err(Discard::Malformed);
    }
    if header.responder_cookie == 0 {
        let own = IkeSaId(header.initiator_cookie);
        // What a peer says in the clear before it has a cookie of its own is about our main mode.
        return match (header.exchange, tables.slot(own)) {
            (ExchangeType::INFORMATIONAL, Some(Slot::MainMode(_))) => {
                main_mode(tables, own, &message, way, now)
            }
            (ExchangeType::MAIN_MODE, _) => begun(tables, &message, way, now),
            _ => Err(Discard::UnexpectedExchange),
        };
    }
    match own_cookie(tables, &header) {
        Some(own) if header.next_payload == PayloadType::FRAGMENT && !header.flags.encryption => {
            part(tables, own, &message, way, now)
        }
        Some(own) => dispatch(tables, own, &message, way, now),
        None => unknown(tables, &message, way, now),
    }
}

/// A part of a message: with the last of them the whole is there.
fn part(
    tables: &mut Tables,
    own: IkeSaId,
    message: &Message<'_>,
    way: Way,
    now: Instant,
) -> Result<(), Discard> {
    let whole = match tables.slot_mut(own) {
        Some(Slot::MainMode(state)) if state.peer.ike.takes_fragments() => {
            fragments::add(&mut state.fragments, message, now)?
        }
        Some(Slot::Isakmp(sa)) if sa.peer.ike.takes_fragments() => {
            fragments::add(&mut sa.fragments, message, now)?
        }
        _ => return Err(Discard::Fragmented),
    };
    let Some(whole) = whole else { return Ok(()) };
    let (header, body) = decode_header(&whole).map_err(|_| Discard::Malformed)?;
    let same = own_cookie(tables, &header) == Some(own);
    if !same || header.next_payload == PayloadType::FRAGMENT {
        return Err(Discard::Malformed);
    }
    let message = Message {
        header,
        body,
        octets: &whole,
    };
    dispatch(tables, own, &message, way, now)
}

/// Which of the two cookies is ours: no flag says who sent a message.
fn own_cookie(tables: &Tables, header: &Header) -> Option<IkeSaId> {
    let (initiator, responder) = (header.initiator_cookie, header.responder_cookie);
    let fits = |own: u64, theirs: u64, role: Role| {
        let ike = IkeSaId(own);
        let fits = match tables.slot(ike)? {
            Slot::MainMode(state) => {
                // An initiator learns the other cookie from the first answer.
                let known = state.peer_cookie == theirs || state.peer_cookie == 0;
                state.role == role && known
            }
            Slot::Isakmp(sa) => {
                sa.role == role && sa.peer_cookie == theirs && sa.stage != Stage::Gone
            }
            _ => false,
        };
        fits.then_some(ike)
    };
    let begun = fits(initiator, responder, Role::Initiator);
    begun.or_else(|| fits(responder, initiator, Role::Responder))
}

fn dispatch(
    tables: &mut Tables,
    own: IkeSaId,
    message: &Message<'_>,
    way: Way,
    now: Instant,
) -> Result<(), Discard> {
    match tables.slot(own) {
        Some(Slot::MainMode(_)) => main_mode(tables, own, message, way, now),
        Some(Slot::Isakmp(_)) => {
            let Some(mut sa) = tables.take_isakmp(own) else {
                return Err(Discard::UnknownSpi);
            };
            let outcome = established::handle(&mut sa, message, &mut tables.context(now));
            if outcome.is_ok() && message.header.flags.encryption {
                follow(tables, &mut sa, way.remote);
            }
            settle(tables, sa, now);
            outcome
        }
        _ => Err(Discard::UnknownSpi),
    }
}

/// A peer behind a NAT is where its last authentic message came from.
fn follow(tables: &mut Tables, sa: &mut Sa, remote: SocketAddr) {
    if !sa.path.nat.remote || sa.path.nat.local || sa.path.remote == remote {
        return;
    }
    sa.path.remote = remote;
    sa.changed = true;
    tables.outputs.extend(sa.redirects());
    let (ike, peer) = (sa.id, sa.peer.name.clone());
    let moved = Event::PeerMoved { ike, peer, remote };
    tables.outputs.push_back(Output::Event(moved));
}

/// The first message of a main mode.
fn begun(
    tables: &mut Tables,
    message: &Message<'_>,
    way: Way,
    now: Instant,
) -> Result<(), Discard> {
    let (local, from) = (way.local, way.remote.ip());
    let nearest = tables
        .config
        .pad
        .nearest(from)
        .ok_or(Discard::UnknownPeer)?;
    let peer = tables.peers.get(&nearest.name).cloned();
    let peer = peer.ok_or(Discard::UnknownPeer)?;
    if peer.ike.version != IkeVersion::V1 {
        return Err(Discard::WrongVersion);
    }
    if tables.addresses.is_leaving(local.ip()) {
        return Err(Discard::InactiveAddress);
    }
    let cookie = message.header.initiator_cookie;
    if let Some(known) = tables.half_opens.of_request(cookie, from) {
        return main_mode(tables, known, message, way, now);
    }
    if tables.registry.ike_count() >= limits::IKE_SAS {
        return Err(Discard::SaLimit);
    }
    let caller = Caller {
        situation: situation(tables, &peer, local.ip(), from),
        path: way.back(Nat::default()),
        peer: Arc::clone(&peer),
    };
    match MainMode::respond(message, caller, &mut tables.context(now)) {
        Ok(state) => {
            tables.make_room(from);
            tables.put(state.id, Slot::MainMode(Box::new(state)));
            Ok(())
        }
        Err(Refusal::Discard(discard)) => Err(discard),
        Err(Refusal::Error(error)) => {
            let kind = match error {
                Error::NotAuthentic(_) => NotifyType::AUTHENTICATION_FAILED,
                _ => NotifyType::NO_PROPOSAL_CHOSEN,
            };
            refuse(tables, message, kind, way, now)?;
            let peer = Some(peer.name.clone());
            if tables.news.take(now) {
                failed(tables, peer, Role::Responder, local, way.remote, error, now);
            }
            Ok(())
        }
    }
}

/// Says in the clear that a message leads to nothing, with no more octets than it had.
fn refuse(
    tables: &mut Tables,
    message: &Message<'_>,
    kind: NotifyType,
    way: Way,
    now: Instant,
) -> Result<(), Discard> {
    if !tables.answers.take(now) {
        return Err(Discard::RateLimited);
    }
    let (initiator, responder) = (
        message.header.initiator_cookie,
        message.header.responder_cookie,
    );
    let exchange = ExchangeType::INFORMATIONAL;
    let header = Header::new(initiator, responder, exchange, Flags::default(), 0);
    let one = Notification::new(ProtocolId::ISAKMP, kind, Vec::new());
    let bytes = message::clear(&header, &[Payload::Notification(one)]);
    if bytes.len() <= message.octets.len() {
        let path = way.back(Nat::default());
        tables.context(now).transmit(&path, bytes);
    }
    Ok(())
}

/// A message of an ISAKMP SA that nobody here knows: a configured peer hears of it, as a hint.
fn unknown(
    tables: &mut Tables,
    message: &Message<'_>,
    way: Way,
    now: Instant,
) -> Result<(), Discard> {
    let nearest = tables.config.pad.nearest(way.remote.ip());
    let peer = nearest.ok_or(Discard::UnknownPeer)?;
    let hints = peer.ike.version == IkeVersion::V1 && peer.ike.hints;
    if hints && message.header.flags.encryption {
        refuse(tables, message, NotifyType::INVALID_COOKIE, way, now)?;
    }
    Err(Discard::UnknownSpi)
}

fn main_mode(
    tables: &mut Tables,
    ike: IkeSaId,
    message: &Message<'_>,
    way: Way,
    now: Instant,
) -> Result<(), Discard> {
    let Some(Slot::MainMode(state)) = tables.take(ike) else {
        return Err(Discard::UnknownSpi);
    };
    let alone = match state.replaces {
        Some(_) => false,
        None => is_alone(tables, &state.peer.name, way.local.ip(), way.remote.ip()),
    };
    let back = way.back(Nat::default());
    let outcome = state.handle(message, back, alone, &mut tables.context(now));
    conclude(tables, ike, outcome, now)
}

/// A step of a security context was taken, or failed: its main mode goes on, if it still waits.
pub(crate) fn gss_answered(
    tables: &mut Tables,
    context: GssContext,
    answer: Result<GssAnswer, String>,
    now: Instant,
) {
    let Some(ike) = tables.contexts.owner(context) else {
        return;
    };
    let state = match tables.take(ike) {
        Some(Slot::MainMode(state)) => state,
        Some(other) => return tables.put(ike, other),
        None => return,
    };
    let outcome = state.gss_answered(answer, &mut tables.context(now));
    if let Err(discard) = conclude(tables, ike, outcome, now) {
        tables.discards.count(discard);
    }
}

/// What a step of a main mode came to.
fn conclude(
    tables: &mut Tables,
    ike: IkeSaId,
    outcome: Outcome,
    now: Instant,
) -> Result<(), Discard> {
    match outcome {
        Outcome::Waits(state) => tables.put(ike, Slot::MainMode(state)),
        Outcome::Discarded(state, discard) => {
            tables.put(ike, Slot::MainMode(state));
            return Err(discard);
        }
        Outcome::Failed(state, error) => fail(tables, *state, error, now),
        Outcome::Established { sa, done } => establish(tables, sa, done, now),
    }
    Ok(())
}

/// A main mode comes to nothing.
fn fail(tables: &mut Tables, state: MainMode, error: Error, now: Instant) {
    let (local, remote) = (state.path.local, state.path.remote);
    tables.discard(state.id);
    if let Some((unusable, others)) = state.others() {
        return retreat(tables, state, (unusable, error), others, now);
    }
    if state.role == Role::Responder {
        if tables.news.take(now) {
            let peer = Some(state.peer.name.clone());
            failed(tables, peer, Role::Responder, local, remote, error, now);
        }
        return;
    }
    if let Some(mut old) = state.replaces.and_then(|old| tables.take_isakmp(old)) {
        // What is there goes on, and tries again half-way to its end.
        old.renewed = false;
        old.rekey_later(now);
        let half = old.expire_at.saturating_duration_since(now) / 2;
        old.rekey_at = (half > limits::HINT_GAP).then_some(now + half);
        settle(tables, old, now);
    }
    match state.pending.is_empty() {
        true => {
            let peer = Some(state.peer.name.clone());
            failed(tables, peer, Role::Initiator, local, remote, error, now);
        }
        false => failed_initiator(tables, local, remote, error, state.pending, now),
    }
}

/// Both sides know each other: what older ISAKMP SAs had goes on under the new one.
fn establish(tables: &mut Tables, mut sa: Box<Sa>, done: Done, now: Instant) {
    for ike in alike(tables, &sa) {
        let Some(mut old) = tables.take_isakmp(ike) else {
            continue;
        };
        if done.contact && old.birth < done.begun {
            old.end(Reason::InitialContact, &mut tables.context(now));
            settle(tables, old, now);
            continue;
        }
        // Another member may go on with what is silent, and must find its pairs there.
        if old.is_silent() {
            settle(tables, old, now);
            continue;
        }
        let forgotten = sa.vendor.initial_contact && old.birth < done.begun;
        hand_over(tables, &mut old, &mut sa, forgotten, now);
        let ours = done.replaces == Some(ike);
        match old.stage {
            // Nothing is left of it.
            Stage::Gone => old.end(Reason::Rekeyed, &mut tables.context(now)),
            Stage::Live if ours => {
                old.stage = Stage::Replaced {
                    until: now + limits::QUICK_REPLACED_LIFE,
                };
                let (old, new, peer) = (old.id, sa.id, sa.peer.name.clone());
                let rekeyed = Event::IkeRekeyed { old, new, peer };
                tables.context(now).event(rekeyed);
            }
            _ => {}
        }
        settle(tables, old, now);
    }
    let waiting = done.pending.into_iter();
    sa.tasks
        .extend(waiting.map(|one| Task::Create(Box::new(one))));
    settle(tables, sa, now);
}

/// The time of a slot has come.
pub(crate) fn fire_main_mode(tables: &mut Tables, mut state: Box<MainMode>, now: Instant) {
    match state.fire(&mut tables.context(now)) {
        Ok(()) => tables.put(state.id, Slot::MainMode(state)),
        Err(error) => fail(tables, *state, error, now),
    }
}

/// As [`fire_main_mode`], of an ISAKMP SA.
pub(crate) fn fire(tables: &mut Tables, mut sa: Box<Sa>, now: Instant) {
    if matches!(sa.stage, Stage::Replaced { until } if until <= now) && !sa.is_silent() {
        established::wind_up(&mut sa, &mut tables.context(now));
        pass_on(tables, &mut sa, now);
    }
    established::fire(&mut sa, &mut tables.context(now));
    settle(tables, sa, now);
}

/// A request joins an ISAKMP SA; what it has no room for comes back.
pub(crate) fn join(sa: &mut Sa, wanted: Acquire) -> Option<Acquire> {
    if sa.serves(&wanted) {
        return None;
    }
    let same = |task: &Task| match task {
        Task::Create(one) => one.rule == wanted.rule && one.flow == wanted.flow,
        Task::Rekey(_) => false,
    };
    if sa.tasks.iter().any(same) {
        return None;
    }
    if sa.tasks.len() >= limits::QUEUE {
        return Some(wanted);
    }
    sa.tasks.push_back(Task::Create(Box::new(wanted)));
    None
}
