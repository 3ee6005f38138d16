//! Our own requests: what waits is sent when the peer's window and what else goes on allow it
//! (RFC 7296 sections 1.3, 1.4 and 2.3).

use policy::sa::ChildId;
use wire::ike::{Delete, Nonce, Notify, NotifyType, Payload, ProtocolId};

use crypto::{DhKeyPair, Group};

use crate::context::Context;
use crate::context::acquire_failed;
use crate::error::Error;
use crate::event::{Doubt, Event, Reason};
use crate::limits;
use crate::pair::Stage as ChildStage;
use crate::v2::child::{ChildOffer, Within, key_exchange};
use crate::v2::crash;
use crate::v2::install::notify;
use crate::v2::mobike;
use crate::v2::proposal;
use crate::v2::sa::{IkeOffer, Kind, Sa, Stage, Task};
use crate::v2::secrets::Followups;

/// Starts what may start.
pub(crate) fn pump(sa: &mut Sa, ctx: &mut Context<'_>) {
    while let Some(task) = next(sa) {
        match task {
            Task::CreateChild { acquire, tries } => {
                if sa.children.len() >= limits::CHILDREN {
                    acquire_failed(*acquire, Error::Limit("children of one IKE SA"), ctx);
                } else if !sa.serves(&acquire) {
                    let offer = ChildOffer::new(*acquire, Within::CreateChildSa, None, ctx);
                    create_child(sa, offer, tries, ctx);
                }
            }
            Task::RekeyChild { child, tries } => rekey_child(sa, child, None, tries, ctx),
            Task::DeleteChild { child } => delete_child(sa, child, ctx),
            Task::DisownChild { inbound_spi } => {
                let delete = Payload::Delete(Delete::esp(vec![inbound_spi]));
                sa.request(Kind::DisownChild { inbound_spi }, &[delete], ctx);
            }
            Task::RekeyIke { tries } => rekey_ike(sa, None, tries, ctx),
            Task::CloneIke { tries } => clone_ike(sa, None, tries, ctx),
            Task::DeleteIke { reason } => {
                if !matches!(sa.stage, Stage::Replaced { .. }) {
                    sa.stage = Stage::Closing;
                }
                sa.request(
                    Kind::DeleteIke { reason },
                    &[Payload::Delete(Delete::ike())],
                    ctx,
                );
            }
            Task::Liveness(doubt) => check_liveness(sa, doubt, ctx),
            Task::TellInvalidSpi { spi } => {
                let notify = Notify::new(NotifyType::INVALID_SPI, spi.to_be_bytes().to_vec());
                sa.request(Kind::Liveness, &[Payload::Notify(notify)], ctx);
            }
            Task::GiveToken => crash::give_now(sa, ctx),
            Task::Redirect { to } => sa.send_on_now(to, ctx),
            Task::Addresses => mobike::ask::ask(sa, ctx),
        }
    }
}

/// Takes the next task that may start now out of the queue. A Delete of the IKE SA goes before all
/// others; a rekeying of it goes alone.
fn next(sa: &mut Sa) -> Option<Task> {
    let exclusive = |kind: &Kind| matches!(kind, Kind::RekeyIke { .. } | Kind::DeleteIke { .. });
    if sa.recovery.attempts.is_some() {
        // No request would find its place in the peer's window.
        return None;
    }
    if sa.is_silent() || !sa.has_room() || sa.exchanges.iter().any(|one| exclusive(&one.kind)) {
        return None;
    }
    let closes = |task: &Task| matches!(task, Task::DeleteIke { .. });
    if let Some(at) = sa.tasks.iter().position(closes) {
        return sa.tasks.remove(at);
    }
    if sa.stage != Stage::Live {
        return None;
    }
    if sa.mobility.as_ref().is_some_and(|one| one.due) {
        return Some(Task::Addresses);
    }
    // What the peer has begun and not finished comes first.
    let waits = |task: &Task| sa.pending.is_some() && creates(task);
    let at = sa.tasks.iter().position(|task| !waits(task))?;
    let alone = matches!(sa.tasks.get(at), Some(Task::RekeyIke { .. }));
    if alone && !sa.exchanges.is_empty() {
        return None;
    }
    sa.tasks.remove(at)
}

fn creates(task: &Task) -> bool {
    matches!(
        task,
        Task::CreateChild { .. }
            | Task::RekeyChild { .. }
            | Task::RekeyIke { .. }
            | Task::CloneIke { .. }
    )
}

/// Asks for a new child.
pub(crate) fn create_child(sa: &mut Sa, offer: ChildOffer, tries: u8, ctx: &mut Context<'_>) {
    let payloads = offer.payloads();
    sa.request(
        Kind::CreateChild {
            offer: Box::new(offer),
            tries,
        },
        &payloads,
        ctx,
    );
}

/// Asks for a child in the place of another.
pub(crate) fn rekey_child(
    sa: &mut Sa,
    old: ChildId,
    group: Option<Group>,
    tries: u8,
    ctx: &mut Context<'_>,
) {
    let (peer, path) = (sa.peer.name.clone(), sa.path);
    let Some(child) = sa.child_mut(old).filter(|child| child.is_live()) else {
        return;
    };
    child.stage = ChildStage::Rekeying;
    let inbound_spi = child.inbound_spi;
    let offer = ChildOffer::new(child.again(&peer, &path), Within::CreateChildSa, group, ctx);
    let rekeyed = Notify::esp(NotifyType::REKEY_SA, inbound_spi, Vec::new());
    let mut payloads = vec![Payload::Notify(rekeyed)];
    payloads.extend(offer.payloads());
    let kind = Kind::RekeyChild {
        old,
        offer: Box::new(offer),
        rival: None,
        tries,
    };
    sa.request(kind, &payloads, ctx);
}

fn delete_child(sa: &mut Sa, id: ChildId, ctx: &mut Context<'_>) {
    let Some(child) = sa.child_mut(id) else {
        return;
    };
    child.stage = ChildStage::Deleting;
    let delete = Delete {
        protocol: ProtocolId::ESP,
        spis: vec![child.inbound_spi],
    };
    sa.request(
        Kind::DeleteChild { child: id },
        &[Payload::Delete(delete)],
        ctx,
    );
}

/// Asks for an IKE SA in the place of this one.
pub(crate) fn rekey_ike(sa: &mut Sa, group: Option<Group>, tries: u8, ctx: &mut Context<'_>) {
    let Some((offer, payloads)) = offer_ike(sa, group, ctx) else {
        return;
    };
    let kind = Kind::RekeyIke {
        offer,
        rival: None,
        tries,
    };
    sa.request(kind, &payloads, ctx);
}

/// Asks for an IKE SA beside this one (RFC 7791).
pub(crate) fn clone_ike(sa: &mut Sa, group: Option<Group>, tries: u8, ctx: &mut Context<'_>) {
    let Some((offer, offered)) = offer_ike(sa, group, ctx) else {
        return;
    };
    let mut payloads = vec![notify(NotifyType::CLONE_IKE_SA)];
    payloads.extend(offered);
    sa.request(Kind::CloneIke { offer, tries }, &payloads, ctx);
}

fn offer_ike(
    sa: &Sa,
    group: Option<Group>,
    ctx: &mut Context<'_>,
) -> Option<(Box<IkeOffer>, [Payload; 3])> {
    let first = || {
        sa.peer
            .ike
            .proposals
            .iter()
            .find_map(|one| one.groups.first().copied())
    };
    let dh = DhKeyPair::generate(group.or_else(first)?, ctx.random).ok()?;
    let offer = IkeOffer {
        new: ctx.reserve_ike(),
        nonce: ctx.nonce(),
        dh,
        followups: Followups::default(),
    };
    let payloads = [
        Payload::Sa(proposal::offer_ike(
            &sa.peer.ike.proposals,
            Some(offer.new.0),
        )),
        Payload::Nonce(Nonce(offer.nonce.clone())),
        key_exchange(&offer.dh),
    ];
    Some((Box::new(offer), payloads))
}

fn check_liveness(sa: &mut Sa, doubt: Doubt, ctx: &mut Context<'_>) {
    // A request in flight asks already.
    if sa.exchanges.is_empty() {
        let (ike, peer) = (sa.id, sa.peer.name.clone());
        ctx.event(Event::LivenessCheck { ike, peer, doubt });
        let payloads = mobike::ask::mapping(sa, ctx);
        sa.request(Kind::Liveness, &payloads, ctx);
    }
}

/// Ends a child because of this host: ESP loses it at once, unless another has taken its place and
/// its last packets may still be on their way.
pub(crate) fn close_child(sa: &mut Sa, id: ChildId, reason: Reason, ctx: &mut Context<'_>) {
    let Some(child) = sa.child_mut(id) else {
        return;
    };
    if child.stage == ChildStage::Deleting {
        return;
    }
    let replaced = std::mem::replace(&mut child.stage, ChildStage::Deleting);
    // What takes its place must send before it is gone.
    if let ChildStage::Replaced { by, .. } = replaced {
        sa.activate(by, ctx);
    }
    if !matches!(reason, Reason::Rekeyed | Reason::Redundant) {
        sa.unplug(id, reason, ctx);
    }
    sa.tasks.push_back(Task::DeleteChild { child: id });
}
