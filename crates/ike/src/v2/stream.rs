//! What an IKE SA does when its TCP connection is lost, and in another one (RFC 9329 sections 6.1
//! and 6.2).
//!
//! Who began the IKE SA opens its connections, the first and those in the place of one that is
//! lost. A message that finds none is not sent; its exchange waits, and is sent once in every new
//! connection. What a standing connection has taken is never sent again by a timer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::carrier::{Carrier, Lost};
use crate::context::Context;
use crate::event::{Doubt, Event};
use crate::limits;
use crate::output::Output;
use crate::path::Path;
use crate::v2::established::liveness;
use crate::v2::sa::{Sa, Stage};

/// The connection is lost: the IKE SA stays.
pub(crate) fn lose(sa: &mut Sa, ctx: &mut Context<'_>) {
    sa.lost = Lost::now(sa.path.carrier, ctx.now);
    let (ike, peer, remote) = (sa.id, sa.peer.name.clone(), sa.path.remote);
    ctx.event(Event::StreamLost { ike, peer, remote });
    fire(sa, ctx);
}

/// Asks for another connection when that is due: at once, then ever more seldom.
pub(crate) fn fire(sa: &mut Sa, ctx: &mut Context<'_>) {
    let idle = match sa.stage {
        Stage::Closed { .. } => true,
        Stage::Replaced { .. } => sa.exchanges.is_empty(),
        _ => false,
    };
    let Some(lost) = &mut sa.lost else { return };
    if lost.retry.is_none_or(|at| at > ctx.now) {
        return;
    }
    let gap = Duration::from_secs(1 << lost.attempts.min(limits::STREAM_GAPS));
    lost.retry = Some(ctx.now + gap);
    lost.attempts = lost.attempts.saturating_add(1);
    if !idle {
        ctx.open_stream(sa.id, sa.path.local.ip(), sa.path.remote);
    }
}

/// Whether an exchange that got no answer goes on waiting: nobody could have got it.
pub(crate) fn is_patient(sa: &Sa, now: Instant) -> bool {
    let waits = |lost: &Lost| now.saturating_duration_since(lost.since) < limits::STREAM_PATIENCE;
    sa.lost.as_ref().is_some_and(waits)
}

/// A connection of ours stands, in the place of one that was lost.
pub(crate) fn reopened(sa: &mut Sa, local: SocketAddr, ctx: &mut Context<'_>) {
    if sa.path.connect(local) {
        moved(sa, ctx);
        // The peer goes on in it once it has got something that is new to it.
        if sa.stage == Stage::Live {
            liveness::ask(sa, Doubt::Reconnected);
        }
    }
}

/// The peer's last authentic message came in another connection of its own: it is the one to use
/// from now on.
pub(crate) fn follow(sa: &mut Sa, back: &Path, ctx: &mut Context<'_>) {
    let same_address = back.local.ip() == sa.path.local.ip();
    let known = sa.path.runs_in(back.local, back.remote);
    if sa.path.carrier.is_theirs() && back.carrier == Carrier::ACCEPTED && same_address && !known {
        (sa.path.local, sa.path.remote) = (back.local, back.remote);
        sa.path.carrier = back.carrier;
        moved(sa, ctx);
    }
}

/// The IKE SA has another connection: ESP goes there too, and what waits for an answer is sent in
/// it.
fn moved(sa: &mut Sa, ctx: &mut Context<'_>) {
    sa.lost = None;
    sa.changed = true;
    let (local, remote) = (sa.path.local.ip(), sa.path.remote.ip());
    let encapsulation = sa.path.encapsulation();
    for child in sa.children.iter().filter(|child| child.in_esp) {
        let child = child.id;
        ctx.outputs.push_back(Output::Redirect {
            child,
            local,
            remote,
            encapsulation,
        });
    }
    ctx.event(Event::StreamMoved {
        ike: sa.id,
        peer: sa.peer.name.clone(),
        local: sa.path.local,
        remote: sa.path.remote,
    });
    for exchange in &sa.exchanges {
        sa.repeat(exchange, ctx);
    }
}
