//! TCP connections that stand or are no more, and the step from UDP to TCP (RFC 9329 sections 6.1
//! and 6.2).

use std::net::SocketAddr;
use std::time::Instant;

use policy::pad::Tcp;
use policy::sa::ChildId;

use crate::carrier::Carrier;
use crate::command::{Acquire, Stream};
use crate::endpoint::effects::settle;
use crate::endpoint::handshake::failed_initiator;
use crate::endpoint::slot::Slot;
use crate::endpoint::tables::Tables;
use crate::error::Error;
use crate::event::Event;
use crate::id::IkeSaId;
use crate::path::{Nat, Path};
use crate::v2::auth_sent::Purpose;
use crate::v2::init_sent::{Call, InitSent};
use crate::v2::stream;

/// Takes the news of a connection.
pub(crate) fn handle(tables: &mut Tables, news: Stream, now: Instant) {
    match news {
        Stream::Opened { ike, local, remote } => opened(tables, ike, local, remote, now),
        Stream::Heard {
            child,
            local,
            remote,
        } => heard(tables, child, local, remote, now),
        Stream::Closed { local, remote } => {
            for ike in tables.between(local.ip(), remote.ip()) {
                closed(tables, ike, local, remote, now);
            }
        }
    }
}

/// Whether an IKE SA or a handshake of ours uses a connection.
pub(crate) fn is_used(tables: &Tables, local: SocketAddr, remote: SocketAddr) -> bool {
    let uses = |ike: &IkeSaId| {
        let slot = tables.slot(*ike);
        slot.is_some_and(|slot| slot.path().runs_in(local, remote))
    };
    tables.between(local.ip(), remote.ip()).iter().any(uses)
}

/// A connection that nobody wants any more is not used, and closed by whoever opened it.
fn opened(tables: &mut Tables, ike: IkeSaId, local: SocketAddr, remote: SocketAddr, now: Instant) {
    let Some(slot) = tables.take(ike) else { return };
    let mut ctx = tables.context(now);
    let slot = match slot {
        Slot::InitSent(state) if state.purpose.path.carrier == Carrier::Udp => {
            return fall_back(tables, state.purpose, local, remote, now);
        }
        Slot::InitSent(mut state) => {
            state.connected(local, &mut ctx);
            Slot::InitSent(state)
        }
        Slot::Intermediate(mut state) => {
            state.reconnected(local, &mut ctx);
            Slot::Intermediate(state)
        }
        Slot::AuthSent(mut state) => {
            state.reconnected(local, &mut ctx);
            Slot::AuthSent(state)
        }
        Slot::Sa(mut sa) => {
            stream::reopened(&mut sa, local, &mut ctx);
            return settle(tables, sa, now);
        }
        other => other,
    };
    tables.put(ike, slot);
}

/// The peer shows by ESP which connection it uses (RFC 9329 section 6.1).
fn heard(tables: &mut Tables, child: ChildId, local: SocketAddr, remote: SocketAddr, now: Instant) {
    let home = tables.registry.home(child);
    let Some(mut sa) = home.and_then(|ike| tables.take_sa(ike)) else {
        return;
    };
    if !sa.is_silent() {
        let back = Path {
            local,
            remote,
            nat: sa.path.nat,
            carrier: Carrier::ACCEPTED,
        };
        stream::follow(&mut sa, &back, &mut tables.context(now));
    }
    settle(tables, sa, now);
}

fn closed(tables: &mut Tables, ike: IkeSaId, local: SocketAddr, remote: SocketAddr, now: Instant) {
    let Some(mut slot) = tables.take(ike) else {
        return;
    };
    match &mut slot {
        // A handshake asks for another connection when its request is due again.
        Slot::InitSent(state) => _ = state.purpose.path.disconnect(local, remote),
        Slot::Intermediate(state) => _ = state.purpose_mut().path.disconnect(local, remote),
        Slot::AuthSent(state) => _ = state.purpose_mut().path.disconnect(local, remote),
        Slot::Sa(sa) => {
            if sa.path.disconnect(local, remote) {
                stream::lose(sa, &mut tables.context(now));
            }
        }
        Slot::HalfOpen(_) | Slot::Refused(_) | Slot::MainMode(_) | Slot::Isakmp(_) => {}
    }
    tables.put(ike, slot);
}

/// Nothing has answered by UDP, and a connection stands: the handshake begins anew there, with an
/// SPI of its own.
fn fall_back(
    tables: &mut Tables,
    purpose: Purpose,
    local: SocketAddr,
    remote: SocketAddr,
    now: Instant,
) {
    tables.discard(purpose.id);
    let path = Path {
        local,
        remote,
        nat: Nat::default(),
        carrier: Carrier::OPENED,
    };
    begin(tables, Call::of(&purpose), path, purpose.pending, now);
}

/// A handshake got no answer and is given up. What passes of UDP may be first messages only, so
/// with a peer that may be called by TCP it begins anew there.
pub(crate) fn give_up(
    tables: &mut Tables,
    call: Call,
    error: Error,
    pending: Vec<Acquire>,
    now: Instant,
) {
    let path = call.path;
    let silent = matches!(error, Error::Timeout { .. }) && path.carrier == Carrier::Udp;
    match call.peer.ike.tcp {
        Tcp::Fallback(port) if silent && !pending.is_empty() => {
            let path = Path {
                local: SocketAddr::new(path.local.ip(), 0),
                remote: SocketAddr::new(path.remote.ip(), port),
                nat: Nat::default(),
                carrier: Carrier::WANTED,
            };
            begin(tables, call, path, pending, now);
        }
        _ => failed_initiator(tables, path.local, path.remote, error, pending, now),
    }
}

fn begin(tables: &mut Tables, call: Call, path: Path, pending: Vec<Acquire>, now: Instant) {
    let mut ctx = tables.context(now);
    ctx.event(Event::FellBack {
        peer: call.peer.name.clone(),
        remote: path.remote,
    });
    let (call, wanted) = (Call { path, ..call }, pending.clone());
    match InitSent::begin(call, pending, None, &mut ctx) {
        Some(state) => tables.put(state.purpose.id, Slot::InitSent(Box::new(state))),
        None => {
            let (local, remote) = (path.local, path.remote);
            failed_initiator(tables, local, remote, Error::NoSuchPeer, wanted, now);
        }
    }
}
