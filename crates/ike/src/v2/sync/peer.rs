//! The peer of a cluster: another member has taken over, and says from where message ids and ESP's
//! numbers go on (RFC 6311 sections 5.1 and 5.2).

use policy::sa::ChildId;
use wire::ike::{MessageIdSync, ReplayCounterSync};

use crate::context::Context;
use crate::event::Event;
use crate::limits;
use crate::output::Output;
use crate::pair::Stage as ChildStage;
use crate::path::Path;
use crate::v2::sa::{Sa, Task};
use crate::v2::sync::again::ask_again;
use crate::v2::sync::transmit;

/// Goes on from where the cluster says, and tells it from where we do. What was in flight is asked
/// again, and the answer to the cluster's last request is forgotten.
pub(crate) fn asked(
    sa: &mut Sa,
    sync: MessageIdSync,
    counters: Option<ReplayCounterSync>,
    back: &Path,
    ctx: &mut Context<'_>,
) {
    ask_again(sa, ctx);
    sa.recovery.announced = Some(sync.send);
    sa.expected_request = sync.send;
    sa.answered = None;
    // If we took over as well, what we have announced counts.
    let ours = sa.recovery.attempts.as_ref().map_or(0, |own| own.last.send);
    sa.next_request = sa.next_request.max(ours).max(sync.receive);
    let answer = MessageIdSync {
        nonce: sync.nonce,
        send: sa.next_request,
        receive: sa.expected_request,
    };
    transmit(sa, true, vec![answer.to_notify()], back, ctx);
    synchronised(sa, true, ctx);
    if let Some(counters) = counters {
        skip(sa, counters, ctx);
    }
}

/// Tells that both sides agree on message ids again.
pub(crate) fn synchronised(sa: &Sa, by_peer: bool, ctx: &mut Context<'_>) {
    ctx.event(Event::MessageIdsSynchronised {
        ike: sa.id,
        peer: sa.peer.name.clone(),
        by_peer,
        next_request: sa.next_request,
        expected_request: sa.expected_request,
    });
}

/// Our outgoing ESP of every child goes on with higher numbers. With extended numbers a receiver
/// guesses the upper half, and a child that would skip too many is rekeyed instead: its successor
/// begins at 1 on both sides.
pub(crate) fn skip(sa: &mut Sa, counters: ReplayCounterSync, ctx: &mut Context<'_>) {
    let delta = counters.delta();
    if delta == 0 {
        return;
    }
    let mut rekeyed: Vec<ChildId> = Vec::new();
    for child in sa.children.iter_mut().filter(|child| child.in_esp) {
        let skipped = child.skipped.saturating_add(delta);
        if skipped <= limits::SKIPPED {
            child.skipped = skipped;
            let child = child.id;
            ctx.outputs.push_back(Output::SkipSequence { child, delta });
        } else if child.stage == ChildStage::Installed {
            child.stage = ChildStage::Rekeying;
            rekeyed.push(child.id);
        }
    }
    let peer = sa.peer.name.clone();
    ctx.event(Event::SequenceSkipped {
        ike: sa.id,
        peer,
        delta,
        rekeyed: rekeyed.len(),
    });
    for child in rekeyed {
        sa.queue(Task::RekeyChild { child, tries: 0 });
    }
}
