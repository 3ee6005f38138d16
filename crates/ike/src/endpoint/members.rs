//! What the members of a cluster tell each other of their IKE SAs, and how one goes on with those
//! of another (RFC 6027 section 3, RFC 6311 section 3).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::command::Acquire;
use crate::endpoint::acquire::acquire;
use crate::endpoint::effects::settle;
use crate::endpoint::slot::Slot;
use crate::endpoint::tables::Tables;
use crate::event::Reason;
use crate::id::IkeSaId;
use crate::record::{BadRecord, Directory, Record, Recorded, Takeover};
use crate::v2::pair::Child;
use crate::v2::sa::{Sa, Silence, Stage};
use crate::v2::snapshot;

/// What an IKE SA is now, unless it is gone, or forsaken and so nobody else's.
pub(crate) fn record(tables: &Tables, ike: IkeSaId, now: Instant) -> Option<Record> {
    let sa = tables.sa(ike);
    let shared = sa.filter(|sa| sa.silence != Silence::Forsaken);
    shared.map(|sa| snapshot::write(sa, now))
}

/// What a record says before its IKE SA is needed.
///
/// # Errors
/// [`BadRecord`].
pub(crate) fn inspect(record: &Record, directory: &Directory<'_>) -> Result<Recorded, BadRecord> {
    snapshot::pairs(record, directory)
}

/// The IKE SAs of local addresses, but for forsaken ones, whose names come after `after`: in order,
/// at most `count`.
pub(crate) fn following(
    tables: &Tables,
    local: &[IpAddr],
    after: Option<IkeSaId>,
    count: usize,
) -> Vec<IkeSaId> {
    let wanted = |slot: &Slot| match slot {
        Slot::Sa(sa) => local.contains(&sa.path.local.ip()) && sa.silence != Silence::Forsaken,
        _ => false,
    };
    tables
        .slots_after(after)
        .filter(|(_, slot)| wanted(slot))
        .map(|(ike, _)| ike)
        .take(count)
        .collect()
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
    let read = snapshot::read(record, known, directory, takeover, &mut tables.context(now));
    tables.peers = peers;
    let sa = read?;
    let ike = sa.id;
    settle(tables, sa, now);
    Ok(ike)
}

/// Begins anew, with fresh keys, what the frozen IKE SAs of an address protect; at most `count` of
/// them.
pub(crate) fn replace_frozen(tables: &mut Tables, address: IpAddr, count: usize, now: Instant) {
    let all = tables.unreplaced(address).into_iter().flatten();
    for ike in all.take(count).copied().collect::<Vec<_>>() {
        let Some(mut sa) = tables.take_sa(ike) else {
            continue;
        };
        // It stays, silent, until its life is over: what the peer still sends to it comes in.
        sa.stage = Stage::Replaced {
            until: sa.expire_at,
        };
        sa.changed = true;
        let wanted = wanted(&sa);
        tables.put(ike, Slot::Sa(sa));
        wanted.into_iter().for_each(|one| acquire(tables, one, now));
    }
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
    }
}
