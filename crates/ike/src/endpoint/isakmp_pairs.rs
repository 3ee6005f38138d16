//! Pairs between the ISAKMP SAs of one peer. No pair is bound to the one that made it (RFC 2409
//! section 5.5), and which of two main modes was the last each end sees for itself.

use std::time::Instant;

use policy::sa::ChildId;

use crate::context::Context;
use crate::endpoint::isakmp::settle;
use crate::endpoint::tables::Tables;
use crate::event::Reason;
use crate::id::IkeSaId;
use crate::pair::{Child, Stage as ChildStage};
use crate::v1::quick::asked::supersede;
use crate::v1::sa::{Sa, Stage, Task};

/// Other ISAKMP SAs with the same peer between the same addresses.
pub(crate) fn alike(tables: &Tables, sa: &Sa) -> Vec<IkeSaId> {
    let between = tables.between(sa.path.local.ip(), sa.path.remote.ip());
    // Several hosts may be one peer of the policy, and behind one NAT.
    let same = |other: &Sa| {
        other.peer.name == sa.peer.name
            && other.remote_id == sa.remote_id
            && other.party == sa.party
    };
    let same = |ike: &IkeSaId| *ike != sa.id && tables.isakmp(*ike).is_some_and(same);
    between.into_iter().filter(same).collect()
}

/// Pairs and what waits move from one ISAKMP SA to another of the same peer. Where the peer was in
/// doubt it may have lost them, and each is made anew. So too where it said Vid-Initial-Contact
/// ([MS-IKEE] section 3.5): that it had no main mode with us, and perhaps no pair. Nothing
/// authenticates a vendor ID, so that it ends nothing.
pub(crate) fn hand_over(
    tables: &mut Tables,
    from: &mut Sa,
    to: &mut Sa,
    forgotten: bool,
    now: Instant,
) {
    let in_doubt = from.liveness.is_in_doubt() || forgotten;
    if in_doubt {
        // What is under way there may wait for nobody.
        let orphans = from.abandon(&mut tables.context(now)).into_iter();
        to.tasks
            .extend(orphans.map(|one| Task::Create(Box::new(one))));
    }
    to.liveness.doubted |= in_doubt;
    (from.changed, to.changed) = (true, true);
    for child in from.part_with(|_| true) {
        tables.registry.settle(child.id, to.id);
        if child.is_live() && in_doubt {
            to.tasks.push_back(Task::Rekey(child.id));
        }
        to.children.push(child);
    }
    to.tasks.append(&mut from.tasks);
    to.childless_since = now;
    from.childless_since = now;
}

/// A pair that has moved may send.
pub(crate) fn activate(tables: &mut Tables, child: ChildId, now: Instant) {
    let home = tables.registry.home(child);
    let has = |ike: &IkeSaId| {
        let sa = tables.isakmp(*ike);
        sa.is_some_and(|sa| !sa.is_silent() && sa.child(child).is_some())
    };
    if let Some(mut home) = home.filter(has).and_then(|ike| tables.take_isakmp(ike)) {
        home.activate(child, &mut tables.context(now));
        settle(tables, home, now);
    }
}

/// What an ISAKMP SA still has that is on its way out goes over to one that stays.
pub(crate) fn pass_on(tables: &mut Tables, sa: &mut Sa, now: Instant) {
    let loose = sa.children.iter().any(|child| sa.is_loose(child));
    if sa.stage == Stage::Live || sa.is_silent() || !loose {
        return;
    }
    let stays = |ike: &IkeSaId| tables.isakmp(*ike).is_some_and(Sa::is_live);
    let newest = |ike: &IkeSaId| tables.isakmp(*ike).map(|sa| sa.birth);
    let others = alike(tables, sa).into_iter().filter(stays);
    if let Some(mut to) = others
        .max_by_key(newest)
        .and_then(|ike| tables.take_isakmp(ike))
    {
        hand_over(tables, sa, &mut to, false, now);
        settle(tables, to, now);
        if sa.stage == Stage::Gone {
            sa.end(Reason::Rekeyed, &mut tables.context(now));
        }
    }
}

/// A pair is confirmed. What it takes the place of moves to its ISAKMP SA: else its end would begin
/// when the peer deletes it, and packets be on their way with it.
pub(crate) fn gather(tables: &mut Tables, sa: &mut Sa, new: ChildId, now: Instant) {
    for ike in alike(tables, sa) {
        let Some(like) = sa.child(new) else { return };
        let speaks = tables.isakmp(ike).is_some_and(|other| !other.is_silent());
        let Some(mut other) = speaks.then(|| tables.take_isakmp(ike)).flatten() else {
            continue;
        };
        let same = |child: &Child| {
            child.stage == ChildStage::Installed
                && child.rule == like.rule
                && child.spec.selectors == like.spec.selectors
        };
        for child in other.part_with(same) {
            tables.registry.settle(child.id, sa.id);
            sa.children.push(child);
            (other.changed, other.childless_since) = (true, now);
        }
        if other.stage == Stage::Gone && other.children.is_empty() {
            other.end(Reason::Rekeyed, &mut tables.context(now));
        }
        settle(tables, other, now);
    }
    sa.children.sort_by_key(|child| child.id);
    supersede(sa, new, now);
}

/// The peer says something of a pair that another ISAKMP SA with it has. What is silent another
/// member may go on with: it is left as it is.
pub(crate) fn of_another(
    tables: &mut Tables,
    told: &Sa,
    spi: u32,
    step: fn(&mut Sa, u32, &mut Context<'_>) -> bool,
    now: Instant,
) {
    let has = |sa: &Sa| !sa.is_silent() && sa.child_by_outbound(spi).is_some();
    let found = alike(tables, told)
        .into_iter()
        .find(|ike| tables.isakmp(*ike).is_some_and(has));
    if let Some(mut other) = found.and_then(|ike| tables.take_isakmp(ike)) {
        step(&mut other, spi, &mut tables.context(now));
        settle(tables, other, now);
    }
}
