//! A datagram finds its IKE SA by our SPI, is checked, and only then moves anything (RFC 7296
//! sections 2.4, 2.6 and 2.21).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use policy::pad::{Claim, NoPeer, Peer};
use wire::ike::{
    Decoded, ExchangeType, Flags, Header, Malformed, Notify, NotifyType, Payload, PayloadType,
    Reason,
};

use crate::config::Cookies;
use crate::discard::Discard;
use crate::endpoint::acquire::is_alone;
use crate::endpoint::effects::{decide, initial_contact, settle};
use crate::endpoint::handshake::{failed, failed_initiator};
use crate::endpoint::slot::{Refused, Slot};
use crate::endpoint::tables::Tables;
use crate::error::{Error, Misbehaved};
use crate::event::Event;
use crate::id::{IkeSaId, Role};
use crate::limits;
use crate::output::{Datagram, Output};
use crate::v2::auth_sent::Step;
use crate::v2::established::{self, liveness};
use crate::v2::half_open::{Claimed, InitRequest, Outcome, stateless_answer};
use crate::v2::init_sent::InitStep;
use crate::v2::install::error_payload;
use crate::v2::nat::{Nat, Path};
use crate::v2::sa::{Proof, Sa, Stage};

/// Where a datagram came from and to.
#[derive(Clone, Copy)]
struct Way {
    local: SocketAddr,
    remote: SocketAddr,
}

/// Takes a datagram.
///
/// # Errors
/// Why it was refused.
pub(crate) fn handle(
    tables: &mut Tables,
    datagram: Datagram<'_>,
    now: Instant,
) -> Result<(), Discard> {
    let Datagram {
        local,
        remote,
        bytes,
    } = datagram;
    let leaving = tables.addresses.is_leaving(local.ip());
    if !tables.addresses.is_active(local.ip()) && !leaving {
        return Err(Discard::InactiveAddress);
    }
    let version = |why: Malformed| match why.reason {
        Reason::MajorVersion => Discard::WrongVersion,
        _ => Discard::Malformed,
    };
    let decoded = wire::ike::decode(bytes).map_err(version)?;
    let header = decoded.header;
    if leaving && !header.flags.response {
        // It answers nobody any more; it only waits for what it asked.
        return Err(Discard::InactiveAddress);
    }
    let way = Way { local, remote };
    if header.responder_spi == 0 && !header.flags.response {
        return match header.exchange {
            ExchangeType::IKE_SA_INIT => init(tables, &decoded, way, now),
            _ => hint_of_esp(tables, &decoded, way, now),
        };
    }
    let own = if header.flags.initiator {
        header.responder_spi
    } else {
        header.initiator_spi
    };
    let ike = IkeSaId(own);
    match tables.slot(ike) {
        Some(Slot::InitSent(state)) => {
            let proof = state.check(&decoded, local, remote)?;
            if let Some(Slot::InitSent(state)) = tables.take(ike) {
                let peer = state.purpose.peer.name.clone();
                let alone = is_alone(tables, &peer, local.ip(), remote.ip());
                let step = state.advance(proof, decoded.octets, alone, &mut tables.context(now));
                init_step(tables, ike, step, way, now);
            }
            Ok(())
        }
        Some(Slot::AuthSent(state)) => {
            let proof = state.check(&decoded)?;
            if let Some(Slot::AuthSent(state)) = tables.take(ike) {
                let step = state.advance(&proof, &mut tables.context(now));
                auth_step(tables, ike, step, way, now);
            }
            Ok(())
        }
        Some(Slot::HalfOpen(_)) => half_open(tables, ike, &decoded, way, now),
        Some(Slot::Refused(state)) => {
            let same = crypto::hash::sha256(&[decoded.octets]) == state.digest;
            let (path, answer) = (state.path, state.answer.clone());
            if !same {
                return Err(Discard::NotTheSameRequest);
            }
            tables.context(now).transmit(&path, answer);
            Ok(())
        }
        Some(Slot::Sa(sa)) => {
            let proof = sa.check(&decoded)?;
            match tables.take_sa(ike) {
                Some(sa) => established(tables, sa, &decoded, proof, way, now),
                None => Ok(()),
            }
        }
        None => unknown(tables, &header, way, now),
    }
}

/// A message for an IKE SA that does not exist: its sender should hear of that (section 2.21.4).
fn unknown(tables: &mut Tables, header: &Header, way: Way, now: Instant) -> Result<(), Discard> {
    if header.flags.response || header.exchange == ExchangeType::IKE_SA_INIT {
        return Err(Discard::UnknownSpi);
    }
    if tables
        .config
        .pad
        .find_by_address(way.remote.ip())
        .is_empty()
    {
        return Err(Discard::UnknownPeer);
    }
    if !tables.answers.take(now) {
        return Err(Discard::RateLimited);
    }
    let flags = Flags {
        initiator: !header.flags.initiator,
        version: false,
        response: true,
    };
    let answer = Header::new(
        header.initiator_spi,
        header.responder_spi,
        header.exchange,
        flags,
        header.message_id,
    );
    let payload = Payload::Notify(Notify::new(NotifyType::INVALID_IKE_SPI, Vec::new()));
    if let Ok(bytes) = wire::ike::encode(&answer, &[payload]) {
        let path = Path {
            local: way.local,
            remote: way.remote,
            nat: Nat::default(),
        };
        tables.context(now).transmit(&path, bytes);
    }
    Err(Discard::UnknownSpi)
}

/// An unprotected N(INVALID_SPI): somebody says that ESP of ours means nothing to it (section 1.5).
fn hint_of_esp(
    tables: &mut Tables,
    decoded: &Decoded<'_>,
    way: Way,
    now: Instant,
) -> Result<(), Discard> {
    let spi = decoded.payloads.iter().find_map(|payload| match payload {
        Payload::Notify(notify) if notify.kind == NotifyType::INVALID_SPI => notify
            .data
            .as_slice()
            .try_into()
            .ok()
            .map(u32::from_be_bytes),
        _ => None,
    });
    let spi = spi.ok_or(Discard::UnknownSpi)?;
    if !tables.hints.take(now) {
        return Err(Discard::RateLimited);
    }
    let sends = |ike: &IkeSaId| {
        tables.sa(*ike).is_some_and(|sa| {
            sa.path.local.ip() == way.local.ip() && sa.child_by_outbound(spi).is_some()
        })
    };
    let ike = tables.with_remote(way.remote.ip()).into_iter().find(sends);
    let mut sa = ike
        .and_then(|ike| tables.take_sa(ike))
        .ok_or(Discard::HintIgnored)?;
    let outcome = liveness::hint(&mut sa, NotifyType::INVALID_SPI, now);
    settle(tables, sa, now);
    outcome
}

fn init(tables: &mut Tables, decoded: &Decoded<'_>, way: Way, now: Instant) -> Result<(), Discard> {
    if let Some(kind) = wire::ike::unsupported_critical(&decoded.payloads) {
        return refuse_critical(tables, decoded, kind, way, now);
    }
    let request = InitRequest::check(decoded, way.local, way.remote)?;
    let (spi, from) = (decoded.header.initiator_spi, way.remote.ip());
    if let Some(Slot::HalfOpen(state)) = tables
        .half_opens
        .of_request(spi, from)
        .and_then(|ike| tables.slot_mut(ike))
        && state.is_repeated(decoded.octets)
    {
        let again = state.repeated();
        tables.context(now).transmit(&again.0, again.1);
        return Ok(());
    }
    let peer = responder_peer(tables, way).ok_or(Discard::UnknownPeer)?;
    let required = cookies_required(tables);
    if required {
        let good = request
            .cookie()
            .is_some_and(|cookie| tables.cookies.verify(request.claim(), cookie));
        if !good {
            let data = tables
                .cookies
                .make(request.claim(), now, &mut *tables.random);
            let cookie = Payload::Notify(Notify::new(NotifyType::COOKIE, data));
            request.answer_statelessly(cookie, &mut tables.context(now));
            return Err(Discard::Cookie);
        }
    }
    if tables.half_opens.count_of(from) >= tables.config.half_open_per_source {
        return Err(Discard::HalfOpenLimit);
    }
    if tables.registry.ike_count() >= limits::IKE_SAS {
        return Err(Discard::SaLimit);
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
            make_room(tables);
            if let Some(state) = request.accept(&choice, &peer, &mut tables.context(now)) {
                tables.put(state.id, Slot::HalfOpen(Box::new(state)));
            }
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
    let peer = responder_peer(tables, way).ok_or(Discard::UnknownPeer)?.name.clone();
    if !tables.answers.take(now) {
        return Err(Discard::RateLimited);
    }
    let error = Error::Misbehaved(Misbehaved::CriticalPayload(kind));
    let path = Path { local: way.local, remote: way.remote, nat: Nat::default() };
    let spi = decoded.header.initiator_spi;
    if let Some(bytes) = stateless_answer(spi, error_payload(&error)) {
        tables.context(now).transmit(&path, bytes);
    }
    if tables.news.take(now) {
        failed(tables, Some(peer), Role::Responder, way.local, way.remote, error, now);
    }
    Err(Discard::UnexpectedPayloads)
}

/// The oldest half-open responder gives way to a new one.
fn make_room(tables: &mut Tables) {
    while tables.half_opens.count() >= tables.config.half_open.max(1) {
        let Some(oldest) = tables.half_opens.oldest() else {
            return;
        };
        tables.take(oldest);
        tables.discard(oldest);
    }
}

/// Whether cookies are asked for now; tells when that changes.
fn cookies_required(tables: &mut Tables) -> bool {
    let required = match tables.config.cookies {
        Cookies::Always => true,
        Cookies::From(count) => tables.half_opens.count() >= count,
    };
    if required != tables.cookies_required {
        tables.cookies_required = required;
        tables
            .outputs
            .push_back(Output::Event(Event::CookiesRequired(required)));
    }
    required
}

/// Whose proposals answer an IKE_SA_INIT from this address.
fn responder_peer(tables: &Tables, way: Way) -> Option<Arc<Peer>> {
    let name = &tables
        .config
        .pad
        .find_by_address(way.remote.ip())
        .first()?
        .name;
    tables.peers.get(name).cloned()
}

fn init_step(tables: &mut Tables, ike: IkeSaId, step: Step<InitStep>, way: Way, now: Instant) {
    match step {
        Step::Next(next) => {
            let slot = match *next {
                InitStep::Waiting(state) => Slot::InitSent(Box::new(state)),
                InitStep::Authenticating(state) => Slot::AuthSent(Box::new(state)),
            };
            tables.put(ike, slot);
        }
        Step::Failed { error, pending } => {
            tables.discard(ike);
            failed_initiator(tables, way.local, way.remote, error, pending, now);
        }
    }
}

fn auth_step(tables: &mut Tables, ike: IkeSaId, step: Step<Sa>, way: Way, now: Instant) {
    match step {
        Step::Next(sa) => settle(tables, sa, now),
        Step::Failed { error, pending } => {
            tables.discard(ike);
            failed_initiator(tables, way.local, way.remote, error, pending, now);
        }
    }
}

fn half_open(
    tables: &mut Tables,
    ike: IkeSaId,
    decoded: &Decoded<'_>,
    way: Way,
    now: Instant,
) -> Result<(), Discard> {
    let Some(Slot::HalfOpen(state)) = tables.slot_mut(ike) else {
        return Ok(());
    };
    let payloads = state.check(decoded)?;
    let Some(Slot::HalfOpen(state)) = tables.take(ike) else {
        return Ok(());
    };
    let (birth, until) = (state.birth, state.until);
    let found = state
        .claimed(&payloads)
        .map(|claimed| find(tables, &claimed, way));
    let back = (way.local, way.remote);
    match state.advance(decoded, &payloads, found, back, &mut tables.context(now)) {
        Outcome::Established(sa, contact) => {
            settle(tables, sa, now);
            if contact {
                initial_contact(tables, ike, birth, now);
            }
        }
        Outcome::Refused {
            error,
            digest,
            answer,
        } => {
            let path = Path {
                local: way.local,
                remote: way.remote,
                nat: Nat::default(),
            };
            let refused = Refused {
                path,
                digest,
                answer,
                until,
                birth,
            };
            tables.put(ike, Slot::Refused(Box::new(refused)));
            if tables.news.take(now) {
                failed(
                    tables,
                    None,
                    Role::Responder,
                    way.local,
                    way.remote,
                    error,
                    now,
                );
            }
        }
    }
    Ok(())
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

fn established(
    tables: &mut Tables,
    mut sa: Box<Sa>,
    decoded: &Decoded<'_>,
    proof: Proof,
    way: Way,
    now: Instant,
) -> Result<(), Discard> {
    let closes = |payload: &Payload| matches!(payload, Payload::Delete(one) if one.spis.is_empty());
    let uses = match &proof {
        Proof::Request {
            payloads: Ok(payloads),
            ..
        } => !payloads.iter().any(closes),
        _ => false,
    };
    if uses && matches!(sa.stage, Stage::Undecided { .. }) {
        decide(tables, &mut sa, now);
    }
    if matches!(proof, Proof::Request { .. } | Proof::Response { .. }) {
        follow(tables, &mut sa, way);
    }
    // A repeated answer goes where the peer is known to be, or behind its NAT.
    let (local, nat) = (way.local, sa.path.nat);
    let known = matches!(proof, Proof::Repeated) && !nat.remote;
    let remote = if known { sa.path.remote } else { way.remote };
    let back = Path { local, remote, nat };
    let outcome = established::advance(
        &mut sa,
        &decoded.header,
        proof,
        back,
        &mut tables.context(now),
    );
    settle(tables, sa, now);
    outcome
}

/// A peer behind a NAT is where its last authenticated message came from (section 2.23).
fn follow(tables: &mut Tables, sa: &mut Sa, way: Way) {
    let nat = sa.path.nat;
    if !nat.remote || nat.local || sa.path.remote == way.remote {
        return;
    }
    sa.path.remote = way.remote;
    let (remote, encapsulation) = (way.remote.ip(), sa.path.encapsulation());
    for child in sa.children.iter().filter(|child| child.in_esp) {
        let child = child.id;
        tables.outputs.push_back(Output::Redirect {
            child,
            remote,
            encapsulation,
        });
    }
    let (ike, peer) = (sa.id, sa.peer.name.clone());
    let moved = Event::PeerMoved {
        ike,
        peer,
        remote: way.remote,
    };
    tables.outputs.push_back(Output::Event(moved));
}
