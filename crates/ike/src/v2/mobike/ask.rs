//! We ask: the peer is told of other addresses, or has to answer from its own (RFC 4555 sections
//! 3.5, 3.7 and 3.8).

use std::net::{IpAddr, SocketAddr};

use wire::ike::{NoNatsAllowed, Notify, NotifyType, Payload};

use crate::context::Context;
use crate::error::{Error, Misbehaved};
use crate::event::{Event, Reason};
use crate::limits;
use crate::path::Path;
use crate::v2::contents::Contents;
use crate::v2::install::notify;
use crate::v2::mobike::{note_others, path};
use crate::v2::nat;
use crate::v2::sa::{Kind, Sa, Stage, Task};

/// Goes on between other addresses, and tells the peer.
pub(crate) fn relocate(sa: &mut Sa, local: IpAddr, remote: IpAddr, ctx: &mut Context<'_>) {
    let mut path = sa.path;
    path.local.set_ip(local);
    let before = path.remote.ip();
    if before != remote {
        // Its NAT's port was one of the other address.
        path.remote = SocketAddr::new(remote, path.local.port());
        if let Some(mobility) = &mut sa.mobility {
            mobility.others.retain(|other| *other != remote);
            mobility.others.truncate(limits::ADDITIONAL_ADDRESSES - 1);
            mobility.others.push(before);
        }
    }
    path::go(sa, path, ctx);
}

/// The peer does not answer where it is. If we decide, whoever knows the host's routes is asked for
/// another path: each of the peer's addresses comes twice, then the ladder goes on to its end.
pub(crate) fn look_around(sa: &mut Sa, ctx: &mut Context<'_>) {
    let Some(mobility) = sa.mobility.as_mut().filter(|one| one.decides) else {
        return;
    };
    if mobility.searches < 2 * (mobility.others.len() + 1) {
        mobility.searches += 1;
        let (ike, peer) = (sa.id, sa.peer.name.clone());
        ctx.event(Event::PathSilent { ike, peer });
    }
}

/// Asks about the addresses as they are now: who decides tells of them, and the other has the peer
/// prove that it is there.
pub(crate) fn ask(sa: &mut Sa, ctx: &mut Context<'_>) {
    let Some(mobility) = &mut sa.mobility else {
        return;
    };
    mobility.due = false;
    let (decides, moves) = (mobility.decides, mobility.moves);
    let mut cookie = [0; 16];
    ctx.random.fill(&mut cookie);
    let mut payloads = Vec::new();
    if decides {
        payloads.push(notify(NotifyType::UPDATE_SA_ADDRESSES));
        payloads.extend(about_nats(sa, ctx));
    }
    let cookie2 = Notify::new(NotifyType::COOKIE2, cookie.to_vec());
    payloads.push(Payload::Notify(cookie2));
    sa.request(Kind::Addresses { cookie, moves }, &payloads, ctx);
}

/// What shows a NAT on the way; where both sides do not know how to pass one, none may be there.
fn about_nats(sa: &Sa, ctx: &mut Context<'_>) -> Vec<Payload> {
    let Path {
        local, remote, nat, ..
    } = sa.path;
    if nat.supported {
        return nat::payloads(sa.spis(), local, remote, nat.forced, ctx.random).to_vec();
    }
    let allowed = NoNatsAllowed {
        source: local,
        destination: remote,
    };
    allowed
        .to_notify()
        .map(Payload::Notify)
        .into_iter()
        .collect()
}

/// The peer answered.
pub(crate) fn answered(
    sa: &mut Sa,
    cookie: &[u8],
    of: u32,
    contents: &Contents<'_>,
    ctx: &mut Context<'_>,
) {
    let returned = contents.notify(NotifyType::COOKIE2);
    if returned.is_none_or(|notify| notify.data != cookie) {
        return close(sa, Error::Misbehaved(Misbehaved::Cookie2));
    }
    note_others(sa, contents);
    let Some(mobility) = sa.mobility.as_mut().filter(|one| one.moves == of) else {
        // The addresses are others again, and the next question is about those.
        return;
    };
    if !mobility.decides {
        return path::prove(sa, ctx);
    }
    let refused = [
        NotifyType::UNEXPECTED_NAT_DETECTED,
        NotifyType::UNACCEPTABLE_ADDRESSES,
    ];
    if let Some(why) = refused
        .into_iter()
        .find(|kind| contents.notify(*kind).is_some())
    {
        return refuse(sa, why, ctx);
    }
    mobility.nats = 0;
    mobility.seen = seen(contents);
    agreed(sa, contents, ctx);
}

/// The peer follows us.
fn agreed(sa: &mut Sa, contents: &Contents<'_>, ctx: &mut Context<'_>) {
    let Path {
        local, remote, nat, ..
    } = sa.path;
    if nat.supported && nat::has_hashes(contents) {
        sa.path.nat = nat::detect(contents, sa.spis(), local, remote, nat.forced);
        sa.rearm_keepalive(ctx.now);
    }
    path::prove(sa, ctx);
    if sa.path.nat != nat {
        path::steer(sa, ctx);
    }
    ctx.event(Event::Moved {
        ike: sa.id,
        peer: sa.peer.name.clone(),
        local,
        remote,
    });
}

/// The peer does not follow us. A NAT may have been there for a moment; otherwise what this IKE SA
/// protects begins anew, from addresses that a handshake finds.
fn refuse(sa: &mut Sa, why: NotifyType, ctx: &mut Context<'_>) {
    ctx.event(Event::MoveRefused {
        ike: sa.id,
        peer: sa.peer.name.clone(),
        local: sa.path.local,
        remote: sa.path.remote,
        by_peer: true,
        why,
    });
    let again = sa.mobility.as_mut().filter(|one| {
        why == NotifyType::UNEXPECTED_NAT_DETECTED && one.nats < limits::UNEXPECTED_NATS
    });
    match again {
        Some(mobility) => {
            mobility.nats += 1;
            mobility.due = true;
        }
        None => sa.lose(Reason::Failed(Error::Refused(why)), ctx),
    }
}

/// A peer that answers what it cannot have seen is not to be talked to any more (section 3.7).
fn close(sa: &mut Sa, error: Error) {
    if sa.stage == Stage::Live {
        sa.stage = Stage::Closing;
        let reason = Reason::Failed(error);
        sa.tasks.push_back(Task::DeleteIke { reason });
    }
}

/// What a liveness check asks besides, if we decide: how a NAT maps our address.
pub(crate) fn mapping(sa: &Sa, ctx: &mut Context<'_>) -> Vec<Payload> {
    let decides = sa.mobility.as_ref().is_some_and(|one| one.decides);
    match decides && sa.path.nat.supported {
        true => about_nats(sa, ctx),
        false => Vec::new(),
    }
}

/// A NAT maps our address to another than before: the peer is told, by a message that comes from
/// there.
pub(crate) fn mapped(sa: &mut Sa, contents: &Contents<'_>) {
    let Some(mobility) = sa.mobility.as_mut().filter(|one| one.decides) else {
        return;
    };
    let Some(now) = seen(contents) else {
        return;
    };
    let before = mobility.seen.replace(now);
    if before.is_some() && before != mobility.seen {
        mobility.moves = mobility.moves.wrapping_add(1);
        mobility.due = true;
    }
}

/// Our address as the peer sees it.
fn seen(contents: &Contents<'_>) -> Option<Vec<u8>> {
    let hash = contents.notify(NotifyType::NAT_DETECTION_DESTINATION_IP);
    hash.map(|notify| notify.data.clone())
}
