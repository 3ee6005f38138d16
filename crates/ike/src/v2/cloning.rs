//! An IKE SA is cloned: another one comes to be beside it, without children, which may go to other
//! addresses alone (RFC 7791).
//!
//! What both sides agreed on for the first holds for its clones. Each is rekeyed and deleted alone.

use policy::pad::Peer;
use wire::ike::{NotifyType, Payload};

use crate::context::Context;
use crate::limits;
use crate::v2::contents::Contents;
use crate::v2::install::notify;
use crate::v2::sa::{Effect, Exchange, Kind, Sa, Task};

/// What an initiator says.
pub(crate) fn offer(peer: &Peer) -> Option<Payload> {
    (peer.ike.clones > 0).then(|| notify(NotifyType::CLONE_IKE_SA_SUPPORTED))
}

/// What a responder says: nothing that the initiator did not.
pub(crate) fn answer(sa: &Sa) -> Option<Payload> {
    sa.family
        .map(|_| notify(NotifyType::CLONE_IKE_SA_SUPPORTED))
}

/// Takes note of what the peer says in IKE_AUTH.
pub(crate) fn agree(sa: &mut Sa, contents: &Contents<'_>) {
    let says = contents.notify(NotifyType::CLONE_IKE_SA_SUPPORTED);
    if sa.peer.ike.clones > 0 && says.is_some() {
        sa.family = Some(sa.id);
    }
}

/// Whether a request that looks like a rekeying of the IKE SA replaces nothing.
pub(crate) fn is_meant(contents: &Contents<'_>) -> bool {
    contents.notify(NotifyType::CLONE_IKE_SA).is_some()
}

/// Whether there may be one more of its kind.
pub(crate) fn has_room(sa: &Sa, ctx: &Context<'_>) -> bool {
    let others = |family| ctx.registry.family(family).filter(|ike| *ike != sa.id);
    let is_below = |family| others(family).count() < usize::from(sa.peer.ike.clones);
    sa.family.is_some_and(is_below) && ctx.registry.ike_count() < limits::IKE_SAS
}

/// Whether a request of ours for a clone waits or is in flight.
pub(crate) fn is_under_way(sa: &Sa) -> bool {
    let task = |task: &Task| matches!(task, Task::CloneIke { .. });
    let flies = |one: &Exchange| matches!(one.kind, Kind::CloneIke { .. });
    sa.tasks.iter().any(task)
        || sa.delayed.iter().any(|one| task(&one.1))
        || sa.exchanges.iter().any(flies)
}

/// A clone came to be. What is there once stays with the first: its ticket, and the place of
/// another IKE SA that it is about to take.
pub(crate) fn push(sa: &mut Sa, mut new: Sa) {
    new.recovery.ticket = None;
    new.redirection.replaces = None;
    sa.effects.push(Effect::Cloned { new: Box::new(new) });
}
