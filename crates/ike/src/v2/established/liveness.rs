//! Is the peer still there? One-way silence, hints, and the use that ESP reports (RFC 7296
//! section 2.4).

use std::time::Instant;

use policy::sa::ChildId;
use wire::ike::NotifyType;

use crate::command::Usage;
use crate::context::Context;
use crate::discard::Discard;
use crate::error::Error;
use crate::event::{Doubt, Reason};
use crate::limits;
use crate::pair::Stage as ChildStage;
use crate::v2::established::begin::close_child;
use crate::v2::sa::{Effect, Kind, Sa, Stage, Task};

/// Takes note of what ESP saw of a child.
pub(crate) fn used(sa: &mut Sa, id: ChildId, usage: &Usage, ctx: &mut Context<'_>) {
    let Some(child) = sa.child_mut(id) else {
        return;
    };
    let worn = child.note(usage) && child.stage == ChildStage::Installed;
    if worn {
        child.stage = ChildStage::Rekeying;
        sa.queue(Task::RekeyChild {
            child: id,
            tries: 0,
        });
    }
    if usage.inbound_packets > 0 {
        sa.activate(id, ctx);
    }
    if let Some(at) = usage.last_inbound {
        sa.alive_at = sa.alive_at.max(at);
        sa.unanswered_since = sa.unanswered_since.filter(|since| *since > at);
    }
    if let Some(at) = usage.last_outbound.filter(|at| *at > sa.alive_at) {
        sa.unanswered_since.get_or_insert(at);
    }
}

/// When to ask the peer, because it has been silent while we sent.
pub(crate) fn due(sa: &Sa) -> Option<Instant> {
    let liveness = sa.peer.ike.liveness?;
    let asks = sa
        .tasks
        .iter()
        .any(|task| matches!(task, Task::Liveness(_)));
    let idle = sa.stage == Stage::Live && sa.exchanges.is_empty() && !asks;
    sa.unanswered_since
        .filter(|_| idle)
        .map(|since| since + liveness.one_way_silence.min(limits::FOREVER))
}

/// Asks the peer.
pub(crate) fn ask(sa: &mut Sa, doubt: Doubt) {
    let asks = |task: &Task| matches!(task, Task::Liveness(_));
    let flies = sa
        .exchanges
        .iter()
        .any(|one| matches!(one.kind, Kind::Liveness));
    if !flies && !sa.tasks.iter().any(asks) {
        sa.queue(Task::Liveness(doubt));
    }
}

/// The peer sends ESP that this host does not know: it is told, unless that may be the ESP of a
/// child whose making is under way (section 1.5).
pub(crate) fn tell_invalid_spi(sa: &mut Sa, spi: u32) {
    let tells = |task: &Task| matches!(task, Task::TellInvalidSpi { .. });
    let known = sa.children.iter().any(|child| child.inbound_spi == spi);
    if !known && !sa.is_creating() && !sa.tasks.iter().any(tells) {
        sa.queue(Task::TellInvalidSpi { spi });
    }
}

/// The peer does not know ESP that we send: the pair is of no use. A young one is left alone, for
/// its packets may have overtaken the message that made it. One of another IKE SA is as useless:
/// its peer has lost that IKE SA, and can say so in this one only.
pub(crate) fn told_invalid_spi(sa: &mut Sa, spi: u32, ctx: &mut Context<'_>) {
    let Some(child) = sa.child_by_outbound(spi) else {
        return sa.effects.push(Effect::InvalidSpi { spi });
    };
    let old = ctx.now.saturating_duration_since(child.born) >= limits::HINT_GAP;
    if child.is_live() && old {
        let (id, why) = (child.id, Error::Refused(NotifyType::INVALID_SPI));
        close_child(sa, id, Reason::Failed(why), ctx);
    }
}

/// An unprotected notification may come from anybody: it makes us ask, seldom, and nothing else.
pub(crate) fn hint(sa: &mut Sa, notify: NotifyType, now: Instant) -> Result<(), Discard> {
    if !sa.peer.ike.hints || sa.stage != Stage::Live {
        return Err(Discard::HintIgnored);
    }
    let recent = |at: Instant| now.saturating_duration_since(at) < limits::HINT_GAP;
    if sa.last_hint.is_some_and(recent) {
        return Err(Discard::RateLimited);
    }
    sa.last_hint = Some(now);
    ask(sa, Doubt::Hint(notify));
    Ok(())
}
