//! What the members of a cluster tell each other of their IKE SAs, and how one goes on with those
//! of another (RFC 6027 section 3, RFC 6311 section 3).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::command::Acquire;
use crate::endpoint::acquire::acquire;
use crate::endpoint::effects::settle;
use crate::endpoint::isakmp_effects;
use crate::endpoint::slot::Slot;
use crate::endpoint::tables::Tables;
use crate::event::Reason;
use crate::id::IkeSaId;
use crate::limits;
use crate::pair::Child;
use crate::record::{BadRecord, Directory, Record, Recorded, Takeover};
use crate::silence::Silence;
use crate::status::Movable;
use crate::v1::sa as isakmp_sa;
use crate::v1::snapshot as isakmp_snapshot;
use crate::v2::mobike;
use crate::v2::sa::{Sa, Stage};
use crate::v2::snapshot;

/// What an IKE SA is now, unless it is gone, or forsaken and so nobody else's.
pub(crate) fn record(tables: &Tables, ike: IkeSaId, now: Instant) -> Option<Record> {
    let slot = tables.slot(ike)?;
    match slot.silence()? {
        Silence::Forsaken => None,
        _ => match slot {
            Slot::Sa(sa) => Some(snapshot::write(sa, now)),
            Slot::Isakmp(sa) => Some(isakmp_snapshot::write(sa, now)),
            _ => None,
        },
    }
}

/// What a record says before its IKE SA is needed.
///
/// # Errors
/// [`BadRecord`].
pub(crate) fn inspect(record: &Record, directory: &Directory<'_>) -> Result<Recorded, BadRecord> {
    match isakmp_snapshot::is_one(record) {
        true => isakmp_snapshot::pairs(record, directory),
        false => snapshot::pairs(record, directory),
    }
}

/// The IKE SAs of local addresses, but for forsaken ones, whose names come after `after`: in order,
/// at most `count`.
pub(crate) fn following(
    tables: &Tables,
    local: &[IpAddr],
    after: Option<IkeSaId>,
    count: usize,
) -> Vec<IkeSaId> {
    let wanted = |slot: &Slot| {
        let shared = slot.silence().is_some_and(|one| one != Silence::Forsaken);
        shared && local.contains(&slot.local())
    };
    tables
        .slots_after(after)
        .filter(|(_, slot)| wanted(slot))
        .map(|(ike, _)| ike)
        .take(count)
        .collect()
}

/// The IKE SAs that may go to other addresses because this host decides so.
pub(crate) fn movable(tables: &Tables) -> Vec<Movable> {
    let movable = |(ike, slot): (IkeSaId, &Slot)| {
        let Slot::Sa(sa) = slot else { return None };
        let mobility = sa.mobility.as_ref()?;
        mobike::is_movable(sa, &tables.config).then(|| Movable {
            ike,
            local: sa.path.local.ip(),
            remote: sa.path.remote.ip(),
            others: mobility.others.clone(),
        })
    };
    tables.slots().filter_map(movable).collect()
}

/// Goes on with an IKE SA of another member. Its pairs are with ESP already.
///
/// # Errors
/// [`BadRecord`]; nothing has changed then.
pub(crate) fn adopt(
    tables: &mut Tables,
    record: &Record,
    directory: &Directory<'_>,
    takeover: Takeover,
    now: Instant,
) -> Result<IkeSaId, BadRecord> {
    let peers = std::mem::take(&mut tables.peers);
    let known = |name: &policy::PeerName| peers.get(name).map(Arc::clone);
    let ctx = &mut tables.context(now);
    if isakmp_snapshot::is_one(record) {
        let read = isakmp_snapshot::read(record, known, directory, takeover, ctx);
        tables.peers = peers;
        let sa = read?;
        let ike = sa.id;
        isakmp_effects::settle(tables, sa, now);
        return Ok(ike);
    }
    let read = snapshot::read(record, known, directory, takeover, ctx);
    tables.peers = peers;
    let sa = read?;
    let ike = sa.id;
    settle(tables, sa, now);
    Ok(ike)
}

/// Every IKE SA of a local address falls silent, or may speak again: then one that was to be
/// replaced, and has no successor yet, lives on. One that is forsaken never speaks again.
pub(crate) fn silence(tables: &mut Tables, address: IpAddr, silence: Silence) {
    for ike in tables.silence(address, silence) {
        if let Some(mut sa) = tables.take_sa(ike) {
            if !has_live(tables, &sa) {
                sa.stage = Stage::Live;
                sa.changed = true;
            }
            tables.put(ike, Slot::Sa(sa));
        } else if let Some(mut sa) = tables.take_isakmp(ike) {
            sa.stage = isakmp_sa::Stage::Live;
            sa.changed = true;
            tables.put(ike, Slot::Isakmp(sa));
        }
    }
}

/// Whether there is another IKE SA between the same addresses that is not on its way out.
fn has_live(tables: &Tables, sa: &Sa) -> bool {
    let lives = |other: &Sa| other.stage == Stage::Live && !other.is_silent();
    let between = tables.between(sa.path.local.ip(), sa.path.remote.ip());
    let mut others = between.into_iter().filter(|ike| *ike != sa.id);
    others.any(|ike| tables.sa(ike).is_some_and(lives))
}

/// Begins anew, with fresh keys, what the frozen IKE SAs of an address protect; at most `count` of
/// them. One that was to be deleted just ends, as it cannot ask its peer any more.
pub(crate) fn replace_frozen(tables: &mut Tables, address: IpAddr, count: usize, now: Instant) {
    let all = tables.unreplaced(address).into_iter().flatten();
    for ike in all.take(count).copied().collect::<Vec<_>>() {
        if let Some(sa) = tables.take_isakmp(ike) {
            replace_isakmp(tables, sa, now);
            continue;
        }
        let Some(mut sa) = tables.take_sa(ike) else {
            continue;
        };
        let wanted = match sa.stage {
            Stage::Closing => Vec::new(),
            _ => wanted(&sa),
        };
        sa.stage = Stage::Replaced {
            until: now + limits::SILENT_LIFE,
        };
        tables.put(ike, Slot::Sa(sa));
        wanted.into_iter().for_each(|one| acquire(tables, one, now));
    }
}

/// As for an IKE SA. What it protects is asked for under another main mode.
fn replace_isakmp(tables: &mut Tables, mut sa: Box<isakmp_sa::Sa>, now: Instant) {
    let closing = sa.stage == isakmp_sa::Stage::Closing;
    let live = sa
        .children
        .iter()
        .filter(|child| child.is_live() && !closing);
    let again = live.map(|child| child.again(&sa.peer.name, &sa.path));
    let wanted: Vec<Acquire> = again.collect();
    sa.stage = isakmp_sa::Stage::Replaced {
        until: now + limits::SILENT_LIFE,
    };
    tables.put(sa.id, Slot::Isakmp(sa));
    wanted.into_iter().for_each(|one| acquire(tables, one, now));
}

fn wanted(sa: &Sa) -> Vec<Acquire> {
    let live = sa.children.iter().filter(|child| child.is_live());
    live.map(|child: &Child| child.again(&sa.peer.name, &sa.path))
        .collect()
}

/// Forgets an IKE SA without a word.
pub(crate) fn forget(tables: &mut Tables, ike: IkeSaId, now: Instant) {
    if let Some(mut sa) = tables.take_sa(ike) {
        sa.end(Reason::AddressLeft, false, &mut tables.context(now));
        settle(tables, sa, now);
    } else if let Some(mut sa) = tables.take_isakmp(ike) {
        sa.end(Reason::AddressLeft, &mut tables.context(now));
        isakmp_effects::settle(tables, sa, now);
    }
}

/// Forgets every silent IKE SA of a local address without a word.
pub(crate) fn forget_silent(tables: &mut Tables, address: IpAddr, now: Instant) {
    let silent = |ike: &IkeSaId| {
        let silence = tables.slot(*ike).and_then(Slot::silence);
        silence.is_some_and(|silence| silence != Silence::None)
    };
    let all = of_address(tables, address).into_iter();
    let silent: Vec<IkeSaId> = all.filter(silent).collect();
    silent.into_iter().for_each(|ike| forget(tables, ike, now));
}

fn of_address(tables: &Tables, address: IpAddr) -> Vec<IkeSaId> {
    let of_address = |slot: &Slot| slot.local() == address;
    let slots = tables.slots().filter(|(_, slot)| of_address(slot));
    slots.map(|(ike, _)| ike).collect()
}
