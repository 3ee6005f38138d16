//! Is the peer still there? R-U-THERE and its answer (RFC 3706), and the use that ESP reports.

use std::time::Instant;

use policy::sa::ChildId;
use wire::isakmp::{Notification, NotifyType, Payload};

use crate::command::Usage;
use crate::context::Context;
use crate::discard::Discard;
use crate::error::Error;
use crate::event::{Doubt, Event, Reason};
use crate::limits;
use crate::pair::Stage as ChildStage;
use crate::retransmit::Retransmit;
use crate::v1::liveness::Asked;
use crate::v1::sa::{Effect, Sa, Stage, Task};

/// Takes note of what ESP saw of a pair.
pub(crate) fn used(sa: &mut Sa, id: ChildId, usage: &Usage, ctx: &mut Context<'_>) {
    let Some(child) = sa.child_mut(id) else {
        return;
    };
    if child.note(usage) && child.stage == ChildStage::Installed {
        child.stage = ChildStage::Rekeying;
        sa.tasks.push_back(Task::Rekey(id));
    }
    if usage.inbound_packets > 0 {
        // The peer has both SAs: CONNECTED, or our confirmation, may have been lost.
        sa.activate(id, ctx);
    }
    let liveness = &mut sa.liveness;
    if let Some(at) = usage.last_inbound {
        liveness.alive_at = liveness.alive_at.max(at);
        liveness.unanswered_since = liveness.unanswered_since.filter(|since| *since > at);
        if liveness.unanswered_since.is_none() {
            liveness.asked = None;
        }
    }
    if let Some(at) = usage.last_outbound.filter(|at| *at > liveness.alive_at) {
        liveness.unanswered_since.get_or_insert(at);
    }
}

/// When to ask the peer, because it has been silent while we sent, or to ask it again.
pub(crate) fn due(sa: &Sa) -> Option<Instant> {
    if !is_asked_about(sa) {
        return None;
    }
    if let Some(asked) = &sa.liveness.asked {
        return asked.retransmit.due();
    }
    let liveness = sa.peer.ike.liveness?;
    let since = sa.liveness.unanswered_since;
    let idle = !sa.exchanges.iter().any(|one| one.is_asked());
    since
        .filter(|_| idle)
        .map(|since| since + liveness.one_way_silence.min(limits::FOREVER))
}

/// Whether anything hangs on the peer's being there: pairs whose ISAKMP SA was deleted go on, and
/// the peer may have lost them.
fn is_asked_about(sa: &Sa) -> bool {
    !sa.is_silent() && matches!(sa.stage, Stage::Live | Stage::Gone)
}

/// Asks the peer. One that does not know the question, or has deleted the ISAKMP SA, is called anew
/// instead: an ISAKMP SA beside this one, which does no harm if the peer is there.
pub(crate) fn ask(sa: &mut Sa, doubt: Doubt, ctx: &mut Context<'_>) {
    if sa.liveness.asked.is_some() || !is_asked_about(sa) {
        return;
    }
    let (ike, peer) = (sa.id, sa.peer.name.clone());
    ctx.event(Event::LivenessCheck { ike, peer, doubt });
    if !sa.liveness.supported || sa.stage == Stage::Gone {
        sa.liveness.unanswered_since = None;
        sa.liveness.doubted = true;
        // Nothing else would bring another one.
        sa.renewed &= sa.stage != Stage::Gone;
        return sa.renew(Vec::new());
    }
    sa.liveness.sequence = sa.liveness.sequence.wrapping_add(1);
    sa.liveness.asked = Some(Asked {
        retransmit: Retransmit::start(&sa.peer.ike.retransmission, ctx.now),
    });
    sa.changed = true;
    send_question(sa, ctx);
}

fn send_question(sa: &mut Sa, ctx: &mut Context<'_>) {
    let data = sa.liveness.sequence.to_be_bytes().to_vec();
    let question = Notification::isakmp(sa.cookie_pair(), NotifyType::R_U_THERE, data);
    sa.inform(vec![Payload::Notification(question)], ctx);
}

/// The time of a question has come.
///
/// # Errors
/// There is no answer, and no hope for one.
pub(crate) fn fire(sa: &mut Sa, ctx: &mut Context<'_>) -> Result<(), Reason> {
    if due(sa).is_none_or(|at| at > ctx.now) {
        return Ok(());
    }
    let ladder = sa.peer.ike.retransmission.clone();
    let Some(asked) = &mut sa.liveness.asked else {
        ask(sa, Doubt::OneWaySilence, ctx);
        return Ok(());
    };
    let tries = asked.retransmit.tries();
    if !asked.retransmit.again(&ladder, ctx.now) {
        return Err(Reason::Failed(Error::Silent { tries }));
    }
    // The peer may have lost this SA and be there all the same, and could then not answer: it is
    // called beside the question, and whichever of both is answered ends the doubt.
    if asked.retransmit.tries() == limits::EARLY_MAIN_MODE && sa.peer.ike.hints {
        sa.renew(Vec::new());
    }
    send_question(sa, ctx);
    Ok(())
}

/// The peer asks.
pub(crate) fn asked(
    sa: &mut Sa,
    question: &Notification,
    ctx: &mut Context<'_>,
) -> Result<(), Discard> {
    let number = question.data_u32().ok_or(Discard::UnexpectedPayloads)?;
    if question.cookies() != Some(sa.cookie_pair()) {
        return Err(Discard::UnexpectedPayloads);
    }
    // A number that was here before is a repetition, or a replay (RFC 3706 section 7).
    if sa.liveness.answered.is_some_and(|last| number < last) {
        return Err(Discard::MessageId);
    }
    sa.changed |= sa.liveness.answered != Some(number);
    sa.liveness.answered = Some(number);
    let data = number.to_be_bytes().to_vec();
    let answer = Notification::isakmp(sa.cookie_pair(), NotifyType::R_U_THERE_ACK, data);
    sa.inform(vec![Payload::Notification(answer)], ctx);
    Ok(())
}

/// The peer answers.
pub(crate) fn answered(
    sa: &mut Sa,
    answer: &Notification,
    ctx: &mut Context<'_>,
) -> Result<(), Discard> {
    let expected = sa.liveness.asked.is_some() && answer.data_u32() == Some(sa.liveness.sequence);
    if !expected || answer.cookies() != Some(sa.cookie_pair()) {
        return Err(Discard::NoMatchingRequest);
    }
    sa.liveness.asked = None;
    sa.heard(ctx.now);
    Ok(())
}

/// An unprotected notification may come from anybody: it makes us ask, seldom, and nothing else.
pub(crate) fn hint(sa: &mut Sa, notify: NotifyType, ctx: &mut Context<'_>) -> Result<(), Discard> {
    if !sa.peer.ike.hints || !sa.is_live() {
        return Err(Discard::HintIgnored);
    }
    let recent = |at: Instant| ctx.now.saturating_duration_since(at) < limits::HINT_GAP;
    if sa.liveness.last_hint.is_some_and(recent) {
        return Err(Discard::RateLimited);
    }
    sa.liveness.last_hint = Some(ctx.now);
    ask(sa, Doubt::Notified(notify), ctx);
    Ok(())
}

impl Sa {
    /// Another ISAKMP SA is needed; what was asked for waits for it.
    pub(crate) fn renew(&mut self, waiting: Vec<crate::command::Acquire>) {
        if !self.renewed || !waiting.is_empty() {
            self.renewed = true;
            self.effects.push(Effect::Renew(waiting));
        }
    }
}
