//! After each step of an IKE SA: what it means for other IKE SAs and for the endpoint (RFC 7296
//! sections 2.4, 2.8.2 and 2.18).

use std::time::Instant;

use crate::command::Acquire;
use crate::context::Context;
use crate::context::acquire_failed;
use crate::endpoint::acquire::acquire;
use crate::endpoint::addresses::released;
use crate::endpoint::elsewhere::depart;
use crate::endpoint::slot::Slot;
use crate::endpoint::tables::Tables;
use crate::error::Error;
use crate::event::{Doubt, Event, Reason};
use crate::id::{IkeSaId, Role};
use crate::limits;
use crate::output::Output;
use crate::v2::established::begin::pump;
use crate::v2::established::liveness;
use crate::v2::mobike;
use crate::v2::resume;
use crate::v2::sa::{Effect, Sa, Stage, Task};
use crate::v2::start::export;

/// Puts an IKE SA back after a step, and sees to what the step means for others.
pub(crate) fn settle(tables: &mut Tables, mut sa: Box<Sa>, now: Instant) {
    let (id, local, remote) = (sa.id, sa.path.local.ip(), sa.path.remote.ip());
    let (mut ended, mut orphans, mut moved) = (None, Vec::new(), None);
    for effect in std::mem::take(&mut sa.effects) {
        match effect {
            Effect::Rekeyed { new, rival } => rekeyed(tables, &mut sa, new, rival, now),
            Effect::Cloned { new } => cloned(tables, &sa, new, now),
            Effect::Undecided { new } => {
                export(&new.keys, new.spis(), &mut tables.context(now));
                tables.put(new.id, Slot::Sa(new));
            }
            Effect::RivalStands { rival } => stand(tables, &mut sa, rival, now),
            Effect::Elsewhere(to) => moved = Some(to),
            Effect::InvalidSpi { spi } => invalid_spi(tables, &sa, spi, now),
            Effect::Ended {
                reason,
                orphans: acquires,
            } => {
                if resume::is_lost(&reason) {
                    tables.tickets.keep(&mut sa, now);
                }
                ended = Some(reason);
                orphans = acquires;
                // The policy knows where to begin anew.
                let homeward = orphans.iter_mut().filter(|one| one.remote == remote);
                homeward.for_each(|one| one.remote = sa.redirection.home.unwrap_or(remote));
            }
        }
    }
    let replaced = sa.has_replaced();
    if ended.is_none() || matches!(sa.stage, Stage::Closed { .. }) {
        pump(&mut sa, &mut tables.context(now));
        tables.put(id, Slot::Sa(sa));
    } else {
        tables.discard_sa(id, local);
    }
    if let Some(there) = moved.and_then(|moved| depart(tables, moved, now)) {
        settle(tables, there, now);
    }
    if let Some(mut old) = replaced.and_then(|old| tables.take_sa(old)) {
        old.leave_behind();
        settle(tables, old, now);
    }
    if let Some(reason) = ended {
        if let Some(account) = tables.addresses.gone(local, id) {
            tables
                .outputs
                .push_back(Output::Event(released(local, &account)));
        }
        adopt(tables, &reason, orphans, now);
    }
}

/// What an IKE SA that ended was to protect begins anew, unless we ended it ourselves.
fn adopt(tables: &mut Tables, reason: &Reason, orphans: Vec<Acquire>, now: Instant) {
    let ours = matches!(reason, Reason::Requested | Reason::AddressLeft);
    for orphan in orphans {
        if ours || !tables.addresses.is_active(orphan.local) {
            acquire_failed(orphan, Error::IkeClosed, &mut tables.context(now));
        } else {
            acquire(tables, orphan, now);
        }
    }
}

/// An IKE SA was replaced; if both sides did it at once, one of the two is redundant.
fn rekeyed(
    tables: &mut Tables,
    old: &mut Sa,
    mut new: Box<Sa>,
    rival: Option<(IkeSaId, bool)>,
    now: Instant,
) {
    export(&new.keys, new.spis(), &mut tables.context(now));
    let open = |sa: &Sa| matches!(sa.stage, Stage::Undecided { .. } | Stage::Live);
    let rival = rival.and_then(|(id, wins)| Some((tables.take_sa(id)?, wins)));
    match rival {
        Some((mut rival, true)) if open(&rival) => {
            rival.stage = Stage::Live;
            rival.changed = true;
            inherit(old, &mut rival, &mut tables.context(now));
            new.stage = Stage::Closing;
            new.tasks.push_back(Task::DeleteIke {
                reason: Reason::Redundant,
            });
            settle(tables, rival, now);
        }
        Some((mut rival, _)) => {
            // Its children, if it has any already, go where all go.
            hand_over(&mut rival, &mut new, &mut tables.context(now));
            rival.stage = match rival.stage {
                closed @ Stage::Closed { .. } => closed,
                _ => Stage::Replaced {
                    until: now + limits::REPLACED_LIFE,
                },
            };
            rival.changed = true;
            tables.put(rival.id, Slot::Sa(rival));
            succeed(old, &mut new, &mut tables.context(now));
        }
        None => succeed(old, &mut new, &mut tables.context(now)),
    }
    pump(&mut new, &mut tables.context(now));
    tables.put(new.id, Slot::Sa(new));
}

/// Another IKE SA came to be beside one, which goes on as it was.
fn cloned(tables: &mut Tables, first: &Sa, mut new: Box<Sa>, now: Instant) {
    let mut ctx = tables.context(now);
    export(&new.keys, new.spis(), &mut ctx);
    let (ike, clone, peer) = (first.id, new.id, new.peer.name.clone());
    ctx.event(Event::IkeCloned { ike, clone, peer });
    pump(&mut new, &mut ctx);
    tables.put(new.id, Slot::Sa(new));
}

/// The new IKE SA stands. Who initiated it deletes the old one.
fn succeed(old: &mut Sa, new: &mut Sa, ctx: &mut Context<'_>) {
    inherit(old, new, ctx);
    if new.role == Role::Initiator {
        old.tasks.push_back(Task::DeleteIke {
            reason: Reason::Rekeyed,
        });
    }
}

/// The peer's replacement stands, whatever became of ours.
fn stand(tables: &mut Tables, old: &mut Sa, rival: IkeSaId, now: Instant) {
    let Some(mut rival) = tables.take_sa(rival) else {
        return;
    };
    if matches!(rival.stage, Stage::Undecided { .. }) {
        rival.stage = Stage::Live;
        rival.changed = true;
    }
    inherit(old, &mut rival, &mut tables.context(now));
    settle(tables, rival, now);
}

/// The peer uses the IKE SA that it made, so it has decided: its children come over now.
pub(crate) fn decide(tables: &mut Tables, sa: &mut Sa, now: Instant) {
    let Stage::Undecided { old } = sa.stage else {
        return;
    };
    sa.stage = Stage::Live;
    sa.changed = true;
    if let Some(mut old) = tables.take_sa(old) {
        inherit(&mut old, sa, &mut tables.context(now));
        tables.put(old.id, Slot::Sa(old));
    }
}

/// One IKE SA takes the place of another.
fn inherit(from: &mut Sa, to: &mut Sa, ctx: &mut Context<'_>) {
    hand_over(from, to, ctx);
    let (old, new, peer) = (from.id, to.id, to.peer.name.clone());
    ctx.event(Event::IkeRekeyed { old, new, peer });
}

/// The peer says in one IKE SA that it does not know ESP of another that it has with us.
fn invalid_spi(tables: &mut Tables, told: &Sa, spi: u32, now: Instant) {
    for ike in alike(tables, told) {
        let sends = |sa: &Sa| !sa.is_silent() && sa.child_by_outbound(spi).is_some();
        if !tables.sa(ike).is_some_and(sends) {
            continue;
        }
        if let Some(mut sa) = tables.take_sa(ike) {
            liveness::told_invalid_spi(&mut sa, spi, &mut tables.context(now));
            settle(tables, sa, now);
        }
    }
}

/// Children and waiting requests move from one IKE SA to another; who keeps a copy learns of both
/// in one step.
fn hand_over(from: &mut Sa, to: &mut Sa, ctx: &mut Context<'_>) {
    (from.changed, to.changed) = (true, true);
    mobike::hand_over(from, to);
    to.children.reserve_exact(from.children.len());
    for child in std::mem::take(&mut from.children) {
        ctx.registry.settle(child.id, to.id);
        to.children.push(child);
    }
    to.tasks.extend(std::mem::take(&mut from.tasks));
    to.delayed.append(&mut from.delayed);
    to.childless_since = ctx.now;
    to.unanswered_since = to.unanswered_since.or(from.unanswered_since);
}

/// The peer holds no older IKE SA with us: neither shall we (section 2.4). That is said of one
/// pair of addresses: the nodes of a cluster share a name, and each knows only the SAs of the
/// addresses that it has itself.
pub(crate) fn initial_contact(tables: &mut Tables, new: IkeSaId, begun: u64, now: Instant) {
    for ike in older(tables, new, begun) {
        if let Some(mut sa) = tables.take_sa(ike) {
            sa.end(Reason::InitialContact, false, &mut tables.context(now));
            settle(tables, sa, now);
        }
    }
}

/// The peer makes another IKE SA and does not say that it holds no older one. Perhaps it has only
/// forgotten them, for it may hold one between other addresses: those that nobody uses any more
/// would stay until the end of their life.
pub(crate) fn doubt_older(tables: &mut Tables, new: IkeSaId, begun: u64, now: Instant) {
    for ike in older(tables, new, begun) {
        if let Some(mut sa) = tables.take_sa(ike) {
            if sa.stage == Stage::Live && sa.peer.ike.liveness.is_some() {
                liveness::ask(&mut sa, Doubt::AnotherSa);
                pump(&mut sa, &mut tables.context(now));
            }
            settle(tables, sa, now);
        }
    }
}

/// IKE SAs of the same identities and addresses that came to be before a handshake began.
fn older(tables: &Tables, new: IkeSaId, begun: u64) -> Vec<IkeSaId> {
    let Some(sa) = tables.sa(new) else {
        return Vec::new();
    };
    let mut older = alike(tables, sa);
    older.retain(|ike| {
        let is_older = |sa: &Sa| sa.birth < begun && !matches!(sa.stage, Stage::Closed { .. });
        tables.sa(*ike).is_some_and(is_older)
    });
    older
}

/// The other IKE SAs of the same identities and addresses.
fn alike(tables: &Tables, sa: &Sa) -> Vec<IkeSaId> {
    let addresses = |sa: &Sa| (sa.path.local.ip(), sa.path.remote.ip());
    let (local_id, between) = (&sa.local_id, addresses(sa));
    let same = |other: &Sa| other.local_id == *local_id && addresses(other) == between;
    let is_alike = |ike: &IkeSaId| *ike != sa.id && tables.sa(*ike).is_some_and(same);
    let known = tables.with_identity(&sa.remote_id);
    known.into_iter().filter(is_alike).collect()
}
