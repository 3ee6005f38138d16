//! What time does to an established IKE SA (RFC 7296 sections 2.1, 2.4 and 2.8).

use std::time::{Duration, Instant};

use crate::carrier::Carrier;
use crate::context::Context;
use crate::error::Error;
use crate::event::{Doubt, Reason};
use crate::limits;
use crate::output::Output;
use crate::pair::{self, Stage as ChildStage};
use crate::retransmit::Retransmit;
use crate::timer::Timer;
use crate::v2::established::begin::close_child;
use crate::v2::established::{liveness, pend};
use crate::v2::mobike;
use crate::v2::recovery::Attempts;
use crate::v2::sa::{Sa, Stage, Task};
use crate::v2::stream;
use crate::v2::sync::member;

/// The next deadline.
pub(crate) fn due(sa: &Sa) -> Option<(Instant, Timer)> {
    if let Stage::Closed { until } = sa.stage {
        return Some((until, Timer::Expire));
    }
    if sa.is_silent() {
        let end = match sa.stage {
            Stage::Replaced { until } => until.min(sa.expire_at),
            _ => sa.expire_at,
        };
        return Some((end, Timer::Lifetime));
    }
    let named = |at: Option<Instant>, timer| at.map(|at| (at, timer));
    let exchanges = sa.exchanges.iter().filter_map(|one| one.retransmit.due());
    let attempts = sa.recovery.attempts.as_ref().and_then(Attempts::due);
    let replaced = match sa.stage {
        Stage::Replaced { until } if sa.exchanges.is_empty() => Some(until),
        _ => None,
    };
    let live = Some(()).filter(|()| sa.stage == Stage::Live);
    let own = [
        named(exchanges.min(), Timer::Retransmit),
        named(attempts, Timer::Retransmit),
        named(replaced, Timer::Expire),
        named(sa.pending.as_ref().map(|one| one.until), Timer::Expire),
        named(sa.delayed.iter().map(|one| one.0).min(), Timer::Retry),
        named(live.and(sa.rekey_at), Timer::RekeyIke),
        named(live.map(|()| sa.expire_at), Timer::Lifetime),
        named(live.and(sa.redirection.until), Timer::Lifetime),
        named(live.and(sa.keepalive_at), Timer::NatKeepalive),
        named(sa.lost.and_then(|lost| lost.retry), Timer::Retry),
        named(liveness::due(sa), Timer::Liveness),
    ];
    let children = sa.children.iter().filter_map(|child| child.due());
    own.into_iter().flatten().chain(children).min()
}

/// When an IKE SA without a child has been so for too long.
pub(crate) fn childless_due(sa: &Sa, most: Duration) -> Option<Instant> {
    let quiet = sa.is_live()
        && sa.children.is_empty()
        && sa.exchanges.is_empty()
        && sa.tasks.is_empty()
        && sa.delayed.is_empty();
    quiet.then(|| sa.childless_since + most.min(limits::FOREVER))
}

/// Does what is due.
pub(crate) fn fire(sa: &mut Sa, ctx: &mut Context<'_>) {
    let now = ctx.now;
    if matches!(sa.stage, Stage::Closed { .. }) {
        return;
    }
    if sa.is_silent() {
        if sa.expire_at <= now {
            sa.end(Reason::Lifetime, false, ctx);
        } else if matches!(sa.stage, Stage::Replaced { until } if until <= now) {
            sa.end(Reason::Rekeyed, false, ctx);
        }
        return;
    }
    if let Err(reason) = retransmit(sa, ctx) {
        return sa.end(reason, false, ctx);
    }
    if let Err(reason) = member::fire(sa, ctx) {
        return sa.lose(reason, ctx);
    }
    if matches!(sa.stage, Stage::Replaced { until } if until <= now && sa.exchanges.is_empty()) {
        return match sa.children.is_empty() {
            true => sa.end(Reason::Rekeyed, false, ctx),
            // It was silent when it was replaced, and its peer knows nothing of that.
            false => close(sa, Reason::Rekeyed),
        };
    }
    stream::fire(sa, ctx);
    pend::expire(sa, now, ctx);
    sa.wake(now);
    children(sa, ctx);
    if sa.stage != Stage::Live {
        return;
    }
    if sa.expire_at <= now {
        return close(sa, Reason::Lifetime);
    }
    if sa.redirection.until.is_some_and(|at| at <= now) {
        return close(sa, Reason::Redirected);
    }
    if childless_due(sa, ctx.config.childless).is_some_and(|at| at <= now) {
        return close(sa, Reason::Childless);
    }
    if sa.rekey_at.is_some_and(|at| at <= now) {
        sa.rekey_soon();
    }
    if liveness::due(sa).is_some_and(|at| at <= now) {
        liveness::ask(sa, Doubt::OneWaySilence);
    }
    if sa.keepalive_at.is_some_and(|at| at <= now) {
        let (local, remote) = (sa.path.local, sa.path.remote);
        ctx.outputs.push_back(Output::Keepalive { local, remote });
        sa.rearm_keepalive(now);
    }
}

fn close(sa: &mut Sa, reason: Reason) {
    sa.stage = Stage::Closing;
    sa.tasks.push_back(Task::DeleteIke { reason });
}

/// Sends again what is due; the error is the end of the IKE SA.
fn retransmit(sa: &mut Sa, ctx: &mut Context<'_>) -> Result<(), Reason> {
    let (peer, datagrams) = (sa.peer.clone(), sa.path.carrier == Carrier::Udp);
    let patient = stream::is_patient(sa, ctx.now);
    let waits = mobike::waits_for(sa, ctx.now);
    for index in 0..sa.exchanges.len() {
        let Some(exchange) = sa.exchanges.get_mut(index) else {
            break;
        };
        if exchange.retransmit.due().is_none_or(|due| due > ctx.now) {
            continue;
        }
        let tries = exchange.retransmit.tries();
        let again = exchange.retransmit.again(&peer.ike.retransmission, ctx.now);
        if !again && patient {
            exchange.retransmit = Retransmit::start(&peer.ike.retransmission, ctx.now);
        } else if !again && waits {
            exchange.retransmit.persist(limits::ROAMING_REPEAT, ctx.now);
        } else if !again {
            let exchange = exchange.kind.exchange();
            return Err(Reason::Failed(Error::Timeout { exchange, tries }));
        }
        // What a connection has taken is not sent in it again (RFC 9329 section 6.2).
        if let Some(exchange) = sa.exchanges.get(index).filter(|_| datagrams) {
            sa.repeat(exchange, ctx);
            if exchange.retransmit.tries() == limits::SILENT_PATH {
                mobike::ask::look_around(sa, ctx);
            }
        }
    }
    Ok(())
}

fn children(sa: &mut Sa, ctx: &mut Context<'_>) {
    for (id, timer, stage) in pair::due(&sa.children, ctx.now) {
        match (timer, stage) {
            (Timer::RekeyChild, _) => {
                if let Some(child) = sa.child_mut(id) {
                    child.stage = ChildStage::Rekeying;
                }
                sa.tasks.push_back(Task::RekeyChild {
                    child: id,
                    tries: 0,
                });
            }
            (Timer::Idle, _) => close_child(sa, id, Reason::Idle, ctx),
            (_, ChildStage::Replaced { by, .. }) => {
                sa.activate(by, ctx);
                close_child(sa, id, Reason::Rekeyed, ctx);
            }
            _ => close_child(sa, id, Reason::Lifetime, ctx),
        }
    }
}
