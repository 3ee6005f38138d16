//! MOBIKE: the addresses of an IKE SA and of its tunnels change, and nothing else does (RFC 4555).
//!
//! Who began decides between which addresses it is; the other side may refuse. Roles stay through
//! every rekeying. An address that moves between the members of a cluster never leaves its IKE
//! SAs: their SPIs and records belong to it. Nothing is told of our other addresses, for those of a
//! member are nothing to a peer of the cluster.

pub(crate) mod ask;
pub(crate) mod asked;
mod path;

use std::net::IpAddr;
use std::time::Instant;

use policy::pad::{Mobike, Peer};
use wire::ike::{NotifyType, Payload};

use crate::carrier::Carrier;
use crate::config::Config;
use crate::id::Role;
use crate::limits;
use crate::v2::contents::Contents;
use crate::v2::install::notify;
use crate::v2::mobility::Mobility;
use crate::v2::sa::{Exchange, Kind, Sa, Stage};

/// What an initiator says.
pub(crate) fn offer(peer: &Peer) -> Option<Payload> {
    let supported = || notify(NotifyType::MOBIKE_SUPPORTED);
    (peer.ike.mobike == Mobike::Offer).then(supported)
}

/// What a responder says: nothing that the initiator did not.
pub(crate) fn answer(sa: &Sa) -> Option<Payload> {
    let supported = |_| notify(NotifyType::MOBIKE_SUPPORTED);
    sa.mobility.as_ref().map(supported)
}

/// Takes note of what the peer says in IKE_AUTH.
pub(crate) fn agree(sa: &mut Sa, contents: &Contents<'_>) {
    let decides = sa.role == Role::Initiator;
    let may = match sa.peer.ike.mobike {
        Mobike::Never => false,
        Mobike::Accept => !decides,
        Mobike::Offer => true,
    };
    // In TCP whoever opens the connections moves by opening another (RFC 9329 section 6.1).
    let datagrams = sa.path.carrier == Carrier::Udp;
    if may && datagrams && contents.notify(NotifyType::MOBIKE_SUPPORTED).is_some() {
        sa.mobility = Some(Box::new(Mobility::new(decides)));
        note_others(sa, contents);
    }
}

/// Keeps the complete list of the peer's other addresses, if a message holds one: those that the
/// policy allows, and nothing unless we decide.
fn note_others(sa: &mut Sa, contents: &Contents<'_>) {
    let all = contents.notifies().iter();
    let told: Vec<IpAddr> = all.filter_map(|one| one.as_additional_address()).collect();
    let none = contents.notify(NotifyType::NO_ADDITIONAL_ADDRESSES);
    if told.is_empty() && none.is_none() {
        return;
    }
    let (peer, present) = (&sa.peer, sa.path.remote.ip());
    let Some(mobility) = sa.mobility.as_mut().filter(|one| one.decides) else {
        return;
    };
    let mut others: Vec<IpAddr> = Vec::new();
    for address in told {
        let is_new = address != present && !others.contains(&address);
        if is_new && peer.has_address(address) && others.len() < limits::ADDITIONAL_ADDRESSES {
            others.push(address);
        }
    }
    mobility.others = others;
}

/// Whether a local address stays with its IKE SAs: it moves between the members of a cluster.
fn is_anchored(address: IpAddr, config: &Config) -> bool {
    config.anchored.contains(&address) || config.buckets.contains_key(&address)
}

/// Whether an IKE SA of one local address may go on from another.
fn may_leave(from: IpAddr, to: IpAddr, config: &Config) -> bool {
    from == to || !is_anchored(from, config) && !is_anchored(to, config)
}

/// Whether we may move the IKE SA to other addresses.
pub(crate) fn may_move(sa: &Sa, local: IpAddr, remote: IpAddr, config: &Config) -> bool {
    let decides = sa.mobility.as_ref().is_some_and(|one| one.decides);
    decides
        && sa.is_live()
        && local.is_ipv4() == remote.is_ipv4()
        && sa.peer.has_address(remote)
        && may_leave(sa.path.local.ip(), local, config)
}

/// Whether the peer's addresses may be asked for by an operator's routes at all.
pub(crate) fn is_movable(sa: &Sa, config: &Config) -> bool {
    let (local, remote) = (sa.path.local.ip(), sa.path.remote.ip());
    may_move(sa, local, remote, config) && !is_anchored(local, config)
}

/// Whether a peer that does not answer may be on its way: it decides, and is given time to find
/// another path.
pub(crate) fn waits_for(sa: &Sa, now: Instant) -> bool {
    let decides = sa.mobility.as_ref().is_some_and(|one| !one.decides);
    decides && sa.stage == Stage::Live && now < sa.alive_at + limits::ROAMING
}

/// The addresses of an IKE SA go on with the one that takes its place, and what has not been
/// answered about them is asked again there.
pub(crate) fn hand_over(from: &mut Sa, to: &mut Sa) {
    let (Some(old), Some(new)) = (&mut from.mobility, &mut to.mobility) else {
        return;
    };
    if old.moves < new.moves {
        return;
    }
    let moves = old.moves;
    let asks =
        |one: &Exchange| matches!(one.kind, Kind::Addresses { moves: of, .. } if of == moves);
    let unanswered = from.exchanges.iter().any(asks);
    **new = old.successor();
    new.due |= unanswered;
    to.path = from.path;
}
