//! The member of a cluster that took over with what may be stale: it proposes message ids that
//! nobody can have used (RFC 6311 sections 4 and 5.1).

use wire::ike::{MessageIdSync, ReplayCounterSync};

use crate::context::Context;
use crate::error::Error;
use crate::event::{Event, Reason};
use crate::limits;
use crate::retransmit::Retransmit;
use crate::v2::recovery::Attempts;
use crate::v2::sa::Sa;
use crate::v2::stream;
use crate::v2::sync::again::ask_again;
use crate::v2::sync::peer::synchronised;
use crate::v2::sync::transmit;

/// Begins. `margin` is how many requests the member before us may have sent of which we know
/// nothing, `skip` by how much the peer is to increase the numbers of its ESP.
pub(crate) fn begin(sa: &mut Sa, margin: u32, skip: u64, ctx: &mut Context<'_>) {
    ask_again(sa, ctx);
    let announced = sa.recovery.attempts.as_ref().map_or(0, |own| own.last.send);
    let known = sa.next_request.max(announced);
    let first = known
        .saturating_add(2 * limits::WINDOW)
        .saturating_add(margin);
    let retransmit = Retransmit::start(&sa.peer.ike.retransmission, ctx.now);
    attempt(sa, first, retransmit, skip, ctx);
}

fn attempt(sa: &mut Sa, send: u32, retransmit: Retransmit, skip: u64, ctx: &mut Context<'_>) {
    let mut nonce = [0; 4];
    ctx.random.fill(&mut nonce);
    let last = MessageIdSync {
        nonce,
        send,
        receive: sa.expected_request,
    };
    let extended = sa.children.iter().any(|child| child.suite.esn);
    let counters = match (extended, u32::try_from(skip)) {
        (false, Ok(skip)) => ReplayCounterSync::Short(skip),
        _ => ReplayCounterSync::Extended(skip),
    };
    let asks = skip > 0 && sa.recovery.counters;
    let mut notifies = vec![last.to_notify()];
    notifies.extend(asks.then(|| counters.to_notify()));
    let path = sa.path;
    transmit(sa, false, notifies, &path, ctx);
    ctx.event(Event::SynchronisingMessageIds {
        ike: sa.id,
        peer: sa.peer.name.clone(),
        next_request: send,
    });
    sa.recovery.attempts = Some(Attempts {
        last,
        retransmit,
        skip,
    });
}

/// Makes the next attempt when it is due, or gives the IKE SA up: no request of ours would find
/// its place in the peer's window.
///
/// # Errors
/// Why the IKE SA must end.
pub(crate) fn fire(sa: &mut Sa, ctx: &mut Context<'_>) -> Result<(), Reason> {
    let due = |own: &Attempts| own.due().is_some_and(|at| at <= ctx.now);
    let Some(mut own) = sa.recovery.attempts.take_if(|own| due(own)) else {
        return Ok(());
    };
    if stream::is_patient(sa, ctx.now) {
        own.retransmit = Retransmit::start(&sa.peer.ike.retransmission, ctx.now);
        sa.recovery.attempts = Some(own);
        return Ok(());
    }
    let tries = own.retransmit.tries();
    if !own.retransmit.again(&sa.peer.ike.retransmission, ctx.now) {
        return Err(Reason::Failed(Error::NotSynchronised { tries }));
    }
    let next = own.last.send.max(sa.next_request).saturating_add(1);
    attempt(sa, next, own.retransmit, own.skip, ctx);
    Ok(())
}

/// The peer agreed: requests go on, ours and its own. If it took over as well, what it asked of us
/// meanwhile may be ahead of this answer.
pub(crate) fn answered(sa: &mut Sa, sync: MessageIdSync, ctx: &mut Context<'_>) {
    sa.recovery.attempts = None;
    sa.next_request = sa.next_request.max(sync.receive);
    sa.expected_request = sa.expected_request.max(sync.send);
    sa.answered = None;
    synchronised(sa, false, ctx);
}
