//! The news of a handshake that failed, and of what it was to protect.

use std::net::SocketAddr;
use std::time::Instant;

use policy::names::PeerName;

use crate::command::Acquire;
use crate::context::acquire_failed;
use crate::endpoint::slot::Slot;
use crate::endpoint::tables::Tables;
use crate::error::Error;
use crate::event::Event;
use crate::id::{IkeSaId, Role};

/// Tells of a handshake that failed.
pub(crate) fn failed(
    tables: &mut Tables,
    peer: Option<PeerName>,
    role: Role,
    local: SocketAddr,
    remote: SocketAddr,
    error: Error,
    now: Instant,
) {
    let event = Event::HandshakeFailed {
        peer,
        role,
        local,
        remote,
        error,
    };
    tables.context(now).event(event);
}

/// Ends a handshake without a word to the peer, and gives back what was to be protected.
pub(crate) fn abandon(tables: &mut Tables, ike: IkeSaId, slot: Slot, now: Instant) -> Vec<Acquire> {
    let pending = match slot {
        Slot::InitSent(state) => state.purpose.pending,
        Slot::Intermediate(state) => state.into_purpose().pending,
        Slot::AuthSent(state) => state.into_pending(&mut tables.context(now)),
        Slot::MainMode(state) => state.pending,
        _ => Vec::new(),
    };
    tables.discard(ike);
    pending
}

/// Tells of an own handshake that failed, and of each request that waited for it.
pub(crate) fn failed_initiator(
    tables: &mut Tables,
    local: SocketAddr,
    remote: SocketAddr,
    error: Error,
    pending: Vec<Acquire>,
    now: Instant,
) {
    let peer = pending.first().map(|acquire| acquire.peer.clone());
    failed(
        tables,
        peer,
        Role::Initiator,
        local,
        remote,
        error.clone(),
        now,
    );
    for acquire in pending {
        acquire_failed(acquire, error.clone(), &mut tables.context(now));
    }
}
