//! What a step of one ISAKMP SA means for others: another main mode, and pairs that move. No pair
//! is bound to the one that made it (RFC 2409 section 5.5), and which of two main modes was the
//! last each end sees for itself.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use policy::auth::Method;
use policy::names::PeerName;
use policy::pad::Peer;
use policy::sa::ChildId;
use policy::version::IkeVersion;

use crate::command::Acquire;
use crate::context::{Context, acquire_failed};
use crate::endpoint::addresses::released;
use crate::endpoint::slot::Slot;
use crate::endpoint::tables::Tables;
use crate::error::Error;
use crate::event::{Event, Reason};
use crate::id::{IkeSaId, Role};
use crate::limits;
use crate::output::Output;
use crate::pair::{Child, Stage as ChildStage};
use crate::path::first_path;
use crate::v1::established;
use crate::v1::informational::{pair_deleted, pair_unknown};
use crate::v1::main_mode::MainMode;
use crate::v1::main_mode::initiator::Call;
use crate::v1::methods::{self, Methods};
use crate::v1::quick::asked::supersede;
use crate::v1::sa::{Effect, Sa, Stage, Task};
use crate::v1::vendor::Situation;

/// Puts an ISAKMP SA back after a step, and sees to what the step means for others.
pub(crate) fn settle(tables: &mut Tables, mut sa: Box<Sa>, now: Instant) {
    established::pump(&mut sa, &mut tables.context(now));
    let ended = effects(tables, &mut sa, now);
    // What was confirmed has taken its place by now.
    pass_on(tables, &mut sa, now);
    let ended = ended.or(effects(tables, &mut sa, now));
    let (id, local) = (sa.id, sa.path.local.ip());
    let Some((reason, orphans)) = ended else {
        return tables.put(id, Slot::Isakmp(sa));
    };
    tables.discard_sa(id, local);
    if let Some(account) = tables.addresses.gone(local, id) {
        let event = released(local, &account);
        tables.outputs.push_back(Output::Event(event));
    }
    let ours = matches!(reason, Reason::Requested | Reason::AddressLeft);
    for orphan in orphans {
        match ours || !tables.addresses.is_active(orphan.local) {
            true => acquire_failed(orphan, Error::IkeClosed, &mut tables.context(now)),
            false => begin_anew(tables, orphan, now),
        }
    }
}

/// Sees to what a step means, and gives why the ISAKMP SA ended and what it leaves, if it did.
fn effects(tables: &mut Tables, sa: &mut Sa, now: Instant) -> Option<(Reason, Vec<Acquire>)> {
    let mut ended = None;
    for effect in std::mem::take(&mut sa.effects) {
        match effect {
            Effect::Renew(waiting) => renew(tables, sa, waiting, now),
            Effect::InitialContact => initial_contact(tables, sa, now),
            Effect::Activate(child) => at_home(tables, sa, child, activate, now),
            Effect::Confirmed(child) => at_home(tables, sa, child, gather, now),
            Effect::Deleted(spis) => of_others(tables, sa, &spis, pair_deleted, now),
            Effect::Unknown(spis) => of_others(tables, sa, &spis, pair_unknown, now),
            Effect::Ended { reason, orphans } => ended = Some((reason, orphans)),
        }
    }
    ended
}

/// Another ISAKMP SA is needed in the place of one.
fn renew(tables: &mut Tables, sa: &mut Sa, waiting: Vec<Acquire>, now: Instant) {
    let (local, remote) = (sa.path.local.ip(), sa.path.remote.ip());
    let known = tables.peers.get(&sa.peer.name).cloned();
    let Some(peer) = known.filter(|peer| peer.ike.version == IkeVersion::V1) else {
        for acquire in waiting {
            acquire_failed(acquire, Error::NoSuchPeer, &mut tables.context(now));
        }
        return;
    };
    // One that is under way will do.
    let ours = |ike: &IkeSaId| match tables.slot(*ike) {
        Some(Slot::MainMode(state)) => {
            state.role == Role::Initiator && state.peer.name == peer.name
        }
        _ => false,
    };
    let under_way = tables.between(local, remote).into_iter().find(ours);
    match under_way.and_then(|ike| tables.take(ike)) {
        Some(Slot::MainMode(mut state)) => {
            state.pending.extend(waiting);
            tables.put(state.id, Slot::MainMode(state));
        }
        _ => begin(tables, peer, (local, remote), waiting, Some(sa.id), now),
    }
}

/// What an ISAKMP SA that ended was to protect begins anew: under another one, or with another main
/// mode.
fn begin_anew(tables: &mut Tables, wanted: Acquire, now: Instant) {
    let known = tables.peers.get(&wanted.peer).cloned();
    let Some(peer) = known.filter(|peer| peer.ike.version == IkeVersion::V1) else {
        return acquire_failed(wanted, Error::NoSuchPeer, &mut tables.context(now));
    };
    let ends = (wanted.local, wanted.remote);
    let of_peer = |ike: &IkeSaId| match tables.slot(*ike) {
        Some(Slot::Isakmp(sa)) => sa.is_live() && sa.peer.name == peer.name,
        Some(Slot::MainMode(state)) => {
            state.role == Role::Initiator && state.peer.name == peer.name
        }
        _ => false,
    };
    let found = tables.between(ends.0, ends.1).into_iter().find(of_peer);
    match found.and_then(|ike| tables.take(ike)) {
        Some(Slot::Isakmp(mut sa)) => {
            sa.tasks.push_back(Task::Create(Box::new(wanted)));
            settle(tables, sa, now);
        }
        Some(Slot::MainMode(mut state)) => {
            state.pending.push(wanted);
            tables.put(state.id, Slot::MainMode(state));
        }
        _ => begin(tables, peer, ends, vec![wanted], None, now),
    }
}

/// Begins a main mode for what waits, in the place of an ISAKMP SA or of none.
pub(crate) fn begin(
    tables: &mut Tables,
    peer: Arc<Peer>,
    ends: (IpAddr, IpAddr),
    pending: Vec<Acquire>,
    replaces: Option<IkeSaId>,
    now: Instant,
) {
    let methods = Methods::of(&peer, tables.config.seconds(now));
    for (method, why) in methods.left_out {
        tables.context(now).event(left_out(&peer, method, why));
    }
    let call = to_call(tables, peer, ends, replaces, methods.usable);
    send_first(tables, call, pending, now);
}

/// Begins anew with the ways to authenticate that are left, when one cannot be used here.
pub(crate) fn retreat(
    tables: &mut Tables,
    state: MainMode,
    (unusable, error): (Method, Error),
    others: Vec<Method>,
    now: Instant,
) {
    let event = left_out(&state.peer, unusable, error.to_string());
    tables.context(now).event(event);
    let ends = (state.path.local.ip(), state.path.remote.ip());
    let call = to_call(tables, state.peer, ends, state.replaces, others);
    send_first(tables, call, state.pending, now);
}

fn left_out(peer: &Peer, method: Method, why: String) -> Event {
    Event::MethodLeftOut {
        peer: peer.name.clone(),
        method: methods::word(peer, method),
        why,
    }
}

fn to_call(
    tables: &Tables,
    peer: Arc<Peer>,
    (local, remote): (IpAddr, IpAddr),
    replaces: Option<IkeSaId>,
    methods: Vec<Method>,
) -> Call {
    let mut situation = situation(tables, &peer, local, remote);
    situation.initial_contact &= replaces.is_none();
    Call {
        situation,
        path: first_path(&peer.ike, local, remote),
        peer,
        replaces,
        methods,
    }
}

fn send_first(tables: &mut Tables, call: Call, pending: Vec<Acquire>, now: Instant) {
    match MainMode::begin(call, pending, &mut tables.context(now)) {
        Ok(state) => tables.put(state.id, Slot::MainMode(Box::new(state))),
        Err((error, pending)) => {
            for acquire in pending {
                acquire_failed(acquire, error.clone(), &mut tables.context(now));
            }
        }
    }
}

pub(crate) fn situation(tables: &Tables, peer: &Peer, local: IpAddr, remote: IpAddr) -> Situation {
    Situation {
        initial_contact: is_alone(tables, &peer.name, local, remote),
        in_cluster: tables.config.anchored.contains(&local)
            || tables.config.buckets.contains_key(&local),
    }
}

/// Whether we have no ISAKMP SA with a peer, so that INITIAL-CONTACT is true. Of an address that
/// other members of a cluster may have it is never said.
pub(crate) fn is_alone(tables: &Tables, peer: &PeerName, local: IpAddr, remote: IpAddr) -> bool {
    let holds = |ike: &IkeSaId| {
        let sa = tables.isakmp(*ike);
        sa.is_some_and(|sa| sa.peer.name == *peer && sa.stage != Stage::Closing)
    };
    let replicated = tables.config.buckets.contains_key(&local);
    !replicated && !tables.between(local, remote).iter().any(holds)
}

/// The peer holds no older SAs with us: neither shall we.
fn initial_contact(tables: &mut Tables, sa: &Sa, now: Instant) {
    for ike in alike(tables, sa) {
        let older = tables
            .isakmp(ike)
            .is_some_and(|other| other.birth < sa.birth);
        if let Some(mut old) = older.then(|| tables.take_isakmp(ike)).flatten() {
            old.end(Reason::InitialContact, &mut tables.context(now));
            settle(tables, old, now);
        }
    }
}

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
    let mut room = limits::RECORDED_CHILDREN.saturating_sub(to.children.len());
    let fits = |_: &Child| {
        let fits = room > 0;
        room = room.saturating_sub(1);
        fits
    };
    for child in from.part_with(fits) {
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

/// A step of one pair under the ISAKMP SA that has it by now.
fn at_home(
    tables: &mut Tables,
    sa: &mut Sa,
    child: ChildId,
    step: fn(&mut Tables, &mut Sa, ChildId, Instant),
    now: Instant,
) {
    if sa.child(child).is_some() {
        return step(tables, sa, child, now);
    }
    let home = tables.registry.home(child);
    let has = |ike: &IkeSaId| {
        let sa = tables.isakmp(*ike);
        sa.is_some_and(|sa| !sa.is_silent() && sa.child(child).is_some())
    };
    if let Some(mut home) = home.filter(has).and_then(|ike| tables.take_isakmp(ike)) {
        step(tables, &mut home, child, now);
        settle(tables, home, now);
    }
}

/// A pair may send.
fn activate(tables: &mut Tables, sa: &mut Sa, child: ChildId, now: Instant) {
    sa.activate(child, &mut tables.context(now));
}

/// What an ISAKMP SA still has that is on its way out goes over to one that stays.
pub(crate) fn pass_on(tables: &mut Tables, sa: &mut Sa, now: Instant) {
    let bound = sa.children.iter().all(|child| !sa.is_loose(child));
    if sa.stage == Stage::Live || sa.is_silent() || (bound && sa.tasks.is_empty()) {
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
fn gather(tables: &mut Tables, sa: &mut Sa, new: ChildId, now: Instant) {
    for ike in alike(tables, sa) {
        let Some(like) = sa.child(new) else { return };
        let same = |child: &Child| {
            child.stage == ChildStage::Installed
                && child.rule == like.rule
                && child.spec.selectors == like.spec.selectors
        };
        let has = |other: &Sa| !other.is_silent() && other.children.iter().any(same);
        if !tables.isakmp(ike).is_some_and(has) {
            continue;
        }
        let Some(mut other) = tables.take_isakmp(ike) else {
            continue;
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

/// The peer says something of pairs that other ISAKMP SAs with it have. What is silent another
/// member may go on with: it is left as it is.
fn of_others(
    tables: &mut Tables,
    told: &Sa,
    spis: &BTreeSet<u32>,
    step: fn(&mut Sa, u32, &mut Context<'_>) -> bool,
    now: Instant,
) {
    for ike in alike(tables, told) {
        let other = tables.isakmp(ike).filter(|other| !other.is_silent());
        let children = other.into_iter().flat_map(|other| &other.children);
        let theirs = children.map(|child| child.outbound_spi);
        let named: Vec<u32> = theirs.filter(|spi| spis.contains(spi)).collect();
        if named.is_empty() {
            continue;
        }
        if let Some(mut other) = tables.take_isakmp(ike) {
            for spi in named {
                step(&mut other, spi, &mut tables.context(now));
            }
            settle(tables, other, now);
        }
    }
}
