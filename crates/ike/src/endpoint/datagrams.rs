//! A datagram finds its IKE SA by our SPI, is checked, and only then moves anything (RFC 7296
//! sections 2.4, 2.6 and 2.21).

use std::time::Instant;

use policy::sa::Transport;
use wire::ike::{Decoded, ExchangeType, Malformed, NotifyType, Payload, Reason};

use crate::carrier::Carrier;
use crate::discard::Discard;
use crate::endpoint::acquire::is_alone;
use crate::endpoint::door::{self, Knock};
use crate::endpoint::effects::{decide, settle};
use crate::endpoint::elsewhere::depart;
use crate::endpoint::handshake::failed_initiator;
use crate::endpoint::isakmp;
use crate::endpoint::responder::{half_open, init};
use crate::endpoint::resumption::{begin_again, resume};
use crate::endpoint::slot::Slot;
use crate::endpoint::statuses::hold;
use crate::endpoint::tables::Tables;
use crate::endpoint::unknown::unknown;
use crate::endpoint::way::Way;
use crate::error::Error;
use crate::event::Event;
use crate::id::IkeSaId;
use crate::output::{Datagram, Output};
use crate::path::Path;
use crate::v2::auth_sent::{AuthSent, Step};
use crate::v2::crash;
use crate::v2::established::{self, liveness};
use crate::v2::init_sent::InitStep;
use crate::v2::intermediate::Onward;
use crate::v2::message::Opened;
use crate::v2::redirect::Origin;
use crate::v2::sa::{Sa, Stage};
use crate::v2::stream;
use crate::v2::window::Proof;

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
        transport,
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
    let way = Way {
        transport,
        local,
        remote,
    };
    if wire::isakmp::major_version(bytes) == Some(1) && transport == Transport::Udp {
        return isakmp::handle(tables, bytes, way, now);
    }
    // An address that leaves answers nobody any more.
    let knock = match leaving {
        true => Knock::Enter,
        false => door::knock(tables, bytes, way, now)?,
    };
    if knock == Knock::Answered {
        return Ok(());
    }
    let decoded = wire::ike::decode(bytes).map_err(version)?;
    let header = decoded.header;
    if leaving && !header.flags.response {
        // It answers nobody any more; it only waits for what it asked.
        return Err(Discard::InactiveAddress);
    }
    if header.responder_spi == 0 && !header.flags.response {
        return match header.exchange {
            ExchangeType::IKE_SA_INIT | ExchangeType::IKE_SESSION_RESUME
                if knock == Knock::Unreadable =>
            {
                Err(Discard::UnexpectedPayloads)
            }
            ExchangeType::IKE_SA_INIT => init(tables, &decoded, way, now),
            ExchangeType::IKE_SESSION_RESUME => resume(tables, &decoded, way, now),
            _ => hint_of_esp(tables, &decoded, way, now),
        };
    }
    dispatch(tables, &decoded, way, now)
}

/// Gives a message to the SPI of ours that it names.
fn dispatch(
    tables: &mut Tables,
    decoded: &Decoded<'_>,
    way: Way,
    now: Instant,
) -> Result<(), Discard> {
    let header = &decoded.header;
    let own = if header.flags.initiator {
        header.responder_spi
    } else {
        header.initiator_spi
    };
    let ike = IkeSaId(own);
    match tables.slot_mut(ike) {
        Some(Slot::InitSent(state)) => {
            let proof = state.check(decoded, way.local, way.remote)?;
            if let Some(Slot::InitSent(state)) = tables.take(ike) {
                let peer = state.purpose.peer.name.clone();
                let alone = is_alone(tables, &peer, way.local.ip(), way.remote.ip());
                let step = state.advance(proof, decoded.octets, alone, &mut tables.context(now));
                init_step(tables, ike, step, way, now);
            }
            Ok(())
        }
        Some(Slot::Intermediate(state)) => {
            let Some(opened) = state.check(decoded)? else {
                return Ok(());
            };
            if let Some(Slot::Intermediate(state)) = tables.take(ike) {
                let step = state.advance(header, &opened, &mut tables.context(now));
                let step = step.map(InitStep::Onward);
                init_step(tables, ike, step, way, now);
            }
            Ok(())
        }
        Some(Slot::AuthSent(state)) => {
            let Some(opened) = state.check(decoded)? else {
                return Ok(());
            };
            match tables.take(ike) {
                Some(Slot::AuthSent(state)) => authenticated(tables, state, opened, way, now),
                _ => Ok(()),
            }
        }
        Some(Slot::HalfOpen(_)) => half_open(tables, ike, decoded, way, now),
        Some(Slot::Refused(state)) => {
            let same = crypto::hash::sha256(&[decoded.octets]) == state.digest;
            let (path, answer) = (way.again(&state.path), state.answer.clone());
            if !same {
                return Err(Discard::NotTheSameRequest);
            }
            tables.context(now).transmit_all(&path, &answer);
            Ok(())
        }
        Some(Slot::Sa(sa)) => {
            let proof = sa.check(decoded)?;
            if matches!(proof, Proof::Part) {
                return Ok(());
            }
            match tables.take_sa(ike) {
                Some(sa) => established(tables, sa, decoded, proof, way, now),
                None => Ok(()),
            }
        }
        Some(Slot::MainMode(_) | Slot::Isakmp(_)) => Err(Discard::WrongVersion),
        None => unknown(tables, decoded, way, now),
    }
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
        tables
            .sa(*ike)
            .is_some_and(|sa| sa.child_by_outbound(spi).is_some())
    };
    let ike = tables
        .between(way.local.ip(), way.remote.ip())
        .into_iter()
        .find(sends);
    let mut sa = ike
        .and_then(|ike| tables.take_sa(ike))
        .ok_or(Discard::HintIgnored)?;
    let outcome = liveness::hint(&mut sa, NotifyType::INVALID_SPI, now);
    settle(tables, sa, now);
    outcome
}

/// What a peer says that does not believe our AUTH.
const UNBELIEVED: Error = Error::Refused(NotifyType::AUTHENTICATION_FAILED);

fn onward(next: Onward) -> Slot {
    match next {
        Onward::Intermediate(state) => Slot::Intermediate(state),
        Onward::Authenticating(state) => Slot::AuthSent(state),
    }
}

fn init_step(tables: &mut Tables, ike: IkeSaId, step: Step<InitStep>, way: Way, now: Instant) {
    match step {
        Step::Next(next) => {
            let slot = match *next {
                InitStep::Waiting(state) => Slot::InitSent(state),
                InitStep::Onward(next) => onward(next),
                InitStep::Elsewhere(moved) => {
                    tables.discard(ike);
                    if let Some(there) = depart(tables, moved, now) {
                        settle(tables, there, now);
                    }
                    return;
                }
            };
            tables.put(ike, slot);
        }
        Step::Failed { error, pending } => {
            tables.discard(ike);
            failed_initiator(tables, way.local, way.remote, error, pending, now);
        }
    }
}

/// The peer has answered who it is.
///
/// # Errors
/// It must be asked whether its certificate still holds, and too much has been asked already.
pub(crate) fn authenticated(
    tables: &mut Tables,
    state: Box<AuthSent>,
    opened: Opened,
    way: Way,
    now: Instant,
) -> Result<(), Discard> {
    let ike = state.begun().purpose.id;
    let after = After {
        resumes: state.resumes(),
        again: state.again(),
    };
    match state.advance(&opened, &mut tables.context(now)) {
        Ok(step) => {
            auth_step(tables, ike, step, after, way, now);
            Ok(())
        }
        Err((state, inquiry)) => {
            let slot = Slot::AuthSent(state);
            hold(tables, ike, slot, opened, &inquiry, now)
        }
    }
}

/// What a failed IKE_AUTH leads to.
struct After {
    /// A full handshake: the peer had taken a ticket.
    resumes: bool,
    /// Another handshake, if the peer does not believe our AUTH.
    again: Option<Origin>,
}

fn auth_step(
    tables: &mut Tables,
    ike: IkeSaId,
    step: Step<Sa>,
    After { resumes, again }: After,
    way: Way,
    now: Instant,
) {
    match step {
        Step::Next(sa) => {
            tables.tickets.forget(&sa);
            settle(tables, sa, now);
        }
        Step::Failed { error, pending } if resumes => {
            tables.discard(ike);
            let origin = Origin::default();
            begin_again(tables, way, error, pending, origin, now);
        }
        Step::Failed { error, pending } => match again.filter(|_| error == UNBELIEVED) {
            Some(origin) => {
                tables.discard(ike);
                begin_again(tables, way, error, pending, origin, now);
            }
            None => {
                tables.discard(ike);
                failed_initiator(tables, way.local, way.remote, error, pending, now);
            }
        },
    }
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
    let authentic = !matches!(proof, Proof::Repeated | Proof::Hint(_) | Proof::Lost);
    if authentic {
        follow(tables, &mut sa, way, now);
    }
    // A repeated answer goes where the peer is known to be, or behind its NAT, or to where it has
    // moved: it cannot say so before it has the answer.
    let (local, nat) = (way.local, sa.path.nat);
    let may_move = sa.mobility.is_some() && sa.peer.has_address(way.remote.ip());
    let datagram = way.transport == Transport::Udp && sa.path.carrier == Carrier::Udp;
    let known = matches!(proof, Proof::Repeated) && !nat.remote && !may_move && datagram;
    let remote = if known { sa.path.remote } else { way.remote };
    let back = Path {
        local,
        remote,
        ..way.back(nat)
    };
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

/// A peer behind a NAT is where its last authenticated message came from (section 2.23), unless it
/// can say itself where it is (RFC 4555 section 3.8), and so is one that opens TCP connections (RFC
/// 9329 section 6.1).
fn follow(tables: &mut Tables, sa: &mut Sa, way: Way, now: Instant) {
    let nat = sa.path.nat;
    if way.transport == Transport::Tcp || sa.path.carrier != Carrier::Udp {
        return stream::follow(sa, &way.back(nat), &mut tables.context(now));
    }
    let says_itself = sa.mobility.is_some();
    if !nat.remote || nat.local || says_itself || sa.path.remote == way.remote {
        return;
    }
    if sa.path.remote.ip() != way.remote.ip() {
        crash::give_soon(sa, &tables.config);
    }
    sa.path.remote = way.remote;
    sa.changed = true;
    let redirects = sa.redirects().collect::<Vec<Output>>();
    tables.outputs.extend(redirects);
    let (ike, peer) = (sa.id, sa.peer.name.clone());
    let moved = Event::PeerMoved {
        ike,
        peer,
        remote: way.remote,
    };
    tables.outputs.push_back(Output::Event(moved));
}
