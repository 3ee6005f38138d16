//! INFORMATIONAL: Deletes of children and of the IKE SA, and notifications (RFC 7296 sections 1.4
//! and 2.25).

use std::collections::BTreeSet;

use policy::sa::ChildId;
use wire::ike::{Delete, NotifyType, Payload, ProtocolId, ReplayCounterSync};

use crate::context::Context;
use crate::error::Error;
use crate::event::Reason;
use crate::limits;
use crate::pair::Stage as ChildStage;
use crate::v2::collision::{Answer, Asked, answer};
use crate::v2::contents::Contents;
use crate::v2::established::collide::{doing_to_closed, doing_to_ike};
use crate::v2::established::liveness::told_invalid_spi;
use crate::v2::established::redirect;
use crate::v2::mobike;
use crate::v2::sa::{Effect, Kind, Sa, Stage};
use crate::v2::sync;
use crate::v2::window::Request;

/// The peer informs us.
pub(crate) fn informed(
    sa: &mut Sa,
    request: &Request<'_>,
    contents: &Contents<'_>,
    ctx: &mut Context<'_>,
) {
    let deletes_ike = |delete: &&&Delete| delete.protocol == ProtocolId::IKE;
    if contents.deletes().iter().any(|delete| deletes_ike(&delete)) {
        sa.respond(request, &[], ctx);
        return close_ike(sa, ctx);
    }
    if contents.notify(NotifyType::AUTHENTICATION_FAILED).is_some() {
        sa.respond(request, &[], ctx);
        let why = Error::Refused(NotifyType::AUTHENTICATION_FAILED);
        return sa.end(Reason::Failed(why), true, ctx);
    }
    redirect::informed(sa, contents, ctx);
    let esp = contents
        .deletes()
        .iter()
        .filter(|delete| delete.protocol == ProtocolId::ESP);
    // Doubled SPIs, in one payload or in two, say nothing new.
    let spis: BTreeSet<u32> = esp.flat_map(|delete| delete.spis.iter().copied()).collect();
    let (mut ours, mut gone) = (Vec::new(), Vec::new());
    for spi in spis {
        let child = sa.child_by_outbound(spi);
        let verdict = answer(Asked::CloseChild, doing_to_closed(child));
        let Some(child) = child else {
            // It may be the child of an answer that is still on its way to us.
            if sa.is_creating() && sa.deleted_early.len() < limits::DELETED_EARLY {
                sa.deleted_early.push(spi);
            }
            continue;
        };
        gone.push((child.id, child.stage));
        if verdict == Answer::WithDelete {
            ours.push(child.inbound_spi);
        }
    }
    // What takes the place of a child must send before the child is gone.
    gone.iter()
        .for_each(|(id, stage)| succeed(sa, *id, *stage, ctx));
    let mut payloads = mobike::asked::answer(sa, request, contents, ctx);
    if !ours.is_empty() {
        payloads.insert(0, Payload::Delete(Delete::esp(ours)));
    }
    sa.respond(request, &payloads, ctx);
    for (id, stage) in gone {
        sa.remove_child(id, why(stage), ctx);
    }
    let counters = contents.notify(NotifyType::IPSEC_REPLAY_COUNTER_SYNC);
    if let Some(counters) = counters.and_then(ReplayCounterSync::of)
        && sa.recovery.counters
    {
        sync::peer::skip(sa, counters, ctx);
    }
    let useless = contents
        .notify(NotifyType::INVALID_SPI)
        .map(|notify| notify.data.as_slice());
    if let Some(spi) = useless.and_then(|data| data.try_into().ok()) {
        told_invalid_spi(sa, u32::from_be_bytes(spi), ctx);
    }
}

fn why(stage: ChildStage) -> Reason {
    match stage {
        ChildStage::Replaced { .. } => Reason::Rekeyed,
        ChildStage::Deleting => Reason::Requested,
        ChildStage::Installed | ChildStage::Rekeying => Reason::ByPeer,
    }
}

/// Lets the successor of a child that goes carry the traffic.
fn succeed(sa: &mut Sa, id: ChildId, stage: ChildStage, ctx: &mut Context<'_>) {
    let rival = sa
        .exchanges
        .iter()
        .find_map(|exchange| match &exchange.kind {
            Kind::RekeyChild {
                old,
                rival: Some(rival),
                ..
            } if *old == id => Some(rival.id),
            _ => None,
        });
    match stage {
        ChildStage::Replaced { by, .. } => sa.activate(by, ctx),
        _ => rival.into_iter().for_each(|rival| sa.activate(rival, ctx)),
    }
}

/// The peer closes the IKE SA.
fn close_ike(sa: &mut Sa, ctx: &mut Context<'_>) {
    let verdict = answer(Asked::CloseIke, doing_to_ike(sa));
    let rival = sa
        .exchanges
        .iter()
        .find_map(|exchange| match &exchange.kind {
            Kind::RekeyIke {
                rival: Some(rival), ..
            } => Some(rival.id),
            _ => None,
        });
    let own = sa
        .exchanges
        .iter()
        .find_map(|exchange| match &exchange.kind {
            Kind::DeleteIke { reason } => Some(reason.clone()),
            _ => None,
        });
    let forgets = verdict == Answer::AsUsualAndForget;
    if let Some(rival) = rival.filter(|_| forgets) {
        // The peer did not notice that both were rekeying: its replacement stands.
        sa.forget_own_rekeying(ctx);
        sa.effects.push(Effect::RivalStands { rival });
        sa.stage = Stage::Closed {
            until: ctx.now + limits::CLOSED_LIFE,
        };
        return sa.effects.push(Effect::Ended {
            reason: Reason::Rekeyed,
            orphans: Vec::new(),
        });
    }
    let reason = match sa.stage {
        Stage::Replaced { .. } => Reason::Rekeyed,
        Stage::Undecided { .. } => Reason::Redundant,
        _ => own.filter(|_| forgets).unwrap_or(Reason::ByPeer),
    };
    sa.end(reason, true, ctx);
}
