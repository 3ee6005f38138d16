//! Traffic wants protection: on an IKE SA that exists, on a handshake under way, or on a new one.

use std::net::IpAddr;
use std::time::Instant;

use policy::names::PeerName;
use policy::version::IkeVersion;

use crate::command::Acquire;
use crate::context::acquire_failed;
use crate::endpoint::isakmp;
use crate::endpoint::isakmp_effects;
use crate::endpoint::slot::Slot;
use crate::endpoint::tables::Tables;
use crate::error::Error;
use crate::id::{IkeSaId, Role};
use crate::limits;
use crate::path::first_path;
use crate::v2::established::begin::pump;
use crate::v2::init_sent::{Call, InitSent};
use crate::v2::redirect::{self, Origin};
use crate::v2::sa::{Sa, Stage, Task};

/// Sees to it that traffic will be protected, or tells why not.
pub(crate) fn acquire(tables: &mut Tables, wanted: Acquire, now: Instant) {
    acquire_from(tables, wanted, Origin::default(), now);
}

/// As [`acquire`], with a new handshake that comes from somewhere.
pub(crate) fn acquire_from(tables: &mut Tables, wanted: Acquire, origin: Origin, now: Instant) {
    let ends = (wanted.local, wanted.remote);
    match usable_besides(tables, &wanted.peer, ends, origin.replaces) {
        Some(ike) => join(tables, alike(tables, ike, &wanted), wanted, now),
        None => begin(tables, wanted, origin, now),
    }
}

/// An IKE SA or own handshake that can carry a request: an IKE SA before a handshake, the youngest
/// of several. It may be with another gateway, to which this one sent us.
pub(crate) fn usable(
    tables: &Tables,
    peer: &PeerName,
    local: IpAddr,
    remote: IpAddr,
) -> Option<IkeSaId> {
    usable_besides(tables, peer, (local, remote), None)
}

/// As [`usable`], but for one that is on its way out.
pub(crate) fn usable_besides(
    tables: &Tables,
    peer: &PeerName,
    (local, remote): (IpAddr, IpAddr),
    besides: Option<IkeSaId>,
) -> Option<IkeSaId> {
    let rank = |slot: &Slot| match slot {
        // One that is about to be decided on will take over what waits on the old one.
        // Of clones one that has children.
        Slot::Sa(sa) if sa.is_live() => Some((1, sa.birth, !sa.children.is_empty())),
        Slot::Isakmp(sa) if sa.is_live() => Some((1, sa.birth, !sa.children.is_empty())),
        Slot::InitSent(_) | Slot::Intermediate(_) | Slot::AuthSent(_) => Some((0, 0, false)),
        Slot::MainMode(state) if state.role == Role::Initiator => Some((0, 0, false)),
        _ => None,
    };
    let sent = tables.sent_from(local, remote);
    let all = tables.between(local, remote).into_iter().chain(sent);
    let others = all.filter(|ike| Some(*ike) != besides);
    let candidates = others.filter_map(|ike| {
        let slot = tables.slot(ike)?;
        Some((rank(slot).filter(|_| slot.peer() == Some(peer))?, ike))
    });
    candidates.max().map(|(_, ike)| ike)
}

/// Of clones of an IKE SA between the same addresses the one that serves a request already, if it
/// does not itself.
fn alike(tables: &Tables, ike: IkeSaId, wanted: &Acquire) -> IkeSaId {
    let Some(first) = tables.sa(ike) else {
        return ike;
    };
    let ends = |sa: &Sa| (sa.path.local.ip(), sa.path.remote.ip());
    let serves = |sa: &Sa| sa.is_live() && ends(sa) == ends(first) && sa.serves(wanted);
    let family = first.family.into_iter();
    let mut others = family.flat_map(|family| tables.registry.family(family));
    let found = others.find(|other| tables.sa(*other).is_some_and(serves));
    found.filter(|_| !first.serves(wanted)).unwrap_or(ike)
}

fn join(tables: &mut Tables, ike: IkeSaId, wanted: Acquire, now: Instant) {
    let Some(mut slot) = tables.take(ike) else {
        return;
    };
    let refused = match &mut slot {
        Slot::Sa(sa) => join_sa(tables, sa, wanted, now),
        Slot::Isakmp(sa) => isakmp::join(sa, wanted),
        Slot::MainMode(state) => add(&mut state.pending, wanted),
        Slot::InitSent(state) => add(&mut state.purpose.pending, wanted),
        Slot::Intermediate(state) => add(&mut state.purpose_mut().pending, wanted),
        Slot::AuthSent(state) if state.asks_for(&wanted) => None,
        Slot::AuthSent(state) => add(&mut state.purpose_mut().pending, wanted),
        Slot::HalfOpen(_) | Slot::Refused(_) => None,
    };
    match slot {
        Slot::Isakmp(sa) => isakmp_effects::settle(tables, sa, now),
        slot => tables.put(ike, slot),
    }
    if let Some(refused) = refused {
        let error = Error::Limit("requests that wait for one peer");
        acquire_failed(refused, error, &mut tables.context(now));
    }
}

fn join_sa(tables: &mut Tables, sa: &mut Sa, wanted: Acquire, now: Instant) -> Option<Acquire> {
    if sa.serves(&wanted) {
        return None;
    }
    if sa.tasks.len() >= limits::QUEUE {
        return Some(wanted);
    }
    sa.queue(Task::CreateChild {
        acquire: Box::new(wanted),
        tries: 0,
    });
    pump(sa, &mut tables.context(now));
    None
}

fn add(pending: &mut Vec<Acquire>, wanted: Acquire) -> Option<Acquire> {
    let same = |one: &Acquire| one.rule == wanted.rule && one.selectors == wanted.selectors;
    if pending.iter().any(same) {
        None
    } else if pending.len() >= limits::QUEUE {
        Some(wanted)
    } else {
        pending.push(wanted);
        None
    }
}

fn begin(tables: &mut Tables, wanted: Acquire, origin: Origin, now: Instant) {
    let (local, remote) = (wanted.local, wanted.remote);
    let peer = tables
        .peers
        .get(&wanted.peer)
        .filter(|peer| peer.has_address(remote))
        .cloned();
    let full = tables.registry.ike_count() >= limits::IKE_SAS;
    let ticket = peer
        .as_ref()
        .and_then(|peer| tables.tickets.take(peer, local, remote, now));
    let may = origin.before.is_some() || tables.redirects.may(&wanted.peer, local, now);
    let mut ctx = tables.context(now);
    let Some(peer) = peer else {
        return acquire_failed(wanted, Error::NoSuchPeer, &mut ctx);
    };
    if full {
        return acquire_failed(wanted, Error::Limit("IKE SAs"), &mut ctx);
    }
    if peer.ike.version == IkeVersion::V1 {
        return isakmp_effects::begin(tables, peer, (local, remote), vec![wanted], None, now);
    }
    let (failed, pending) = (wanted.clone(), vec![wanted]);
    let path = first_path(&peer.ike, local, remote);
    let call = Call {
        follows: may && redirect::follows(&peer, &pending),
        peer,
        path,
        origin,
    };
    match InitSent::begin(call, pending, ticket, &mut ctx) {
        Some(state) => tables.put(state.purpose.id, Slot::InitSent(Box::new(state))),
        None => acquire_failed(failed, Error::NoSuchPeer, &mut ctx),
    }
}

/// Whether we hold no other IKE SA with a peer, so that INITIAL_CONTACT is true. Of an address that
/// other members of a cluster may have it is never said (RFC 7296 section 2.4).
pub(crate) fn is_alone(tables: &Tables, peer: &PeerName, local: IpAddr, remote: IpAddr) -> bool {
    let holds = |ike: &IkeSaId| {
        let same = |sa: &Sa| {
            let ended = matches!(sa.stage, Stage::Closing | Stage::Closed { .. });
            sa.peer.name == *peer && sa.path.local.ip() == local && !ended
        };
        tables.sa(*ike).is_some_and(same)
    };
    let by_identity = tables
        .peers
        .get(peer)
        .map(|peer| tables.with_identity(&peer.remote_id));
    let replicated = tables.config.buckets.contains_key(&local);
    !replicated
        && !tables
            .between(local, remote)
            .iter()
            .chain(by_identity.iter().flatten())
            .any(holds)
}
