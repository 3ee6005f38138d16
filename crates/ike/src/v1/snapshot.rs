//! An ISAKMP SA as octets, and back: what a survivor needs to go on as if it had always been there.
//!
//! SKEYID_d and SKEYID_a, the IV after phase 1, the message ids that the peer has used, the numbers
//! of R-U-THERE, the last message of main mode octet by octet, and every exchange that is not over,
//! with its IV and what is needed to finish it.

mod exchange;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use policy::names::PeerName;
use policy::pad::Peer;
use policy::sa::ChildId;

use crate::context::Context;
use crate::event::Reason;
use crate::id::{IkeSaId, Role};
use crate::limits;
use crate::pair::{Child, Stage as ChildStage};
use crate::path::Path;
use crate::record::codec::{Reader, Writer};
use crate::record::{BadRecord, Directory, Record, Recorded, Takeover, child, path};
use crate::silence::Silence;
use crate::v1::cipher::Iv;
use crate::v1::exchange::Kind;
use crate::v1::keys::Keys;
use crate::v1::liveness::Liveness;
use crate::v1::sa::{Concluded, Sa, Stage};
use crate::v1::vendor::Vendor;

/// The version of the format. Those of IKEv2 have the top bit clear.
const VERSION: u8 = 0x82;

/// Whether a record is of an ISAKMP SA.
pub(crate) fn is_one(record: &Record) -> bool {
    record
        .octets()
        .first()
        .is_some_and(|first| first & 0x80 != 0)
}

/// Writes an ISAKMP SA down.
pub(crate) fn write(sa: &Sa, now: Instant) -> Record {
    let mut to = Writer::new();
    to.u8(VERSION);
    to.u64(sa.id.0);
    to.u64(sa.peer_cookie);
    to.flag(sa.role == Role::Initiator);
    to.octets(sa.peer.name.as_str().as_bytes());
    path::write(&mut to, &sa.path);
    to.option(sa.party, Writer::u64);
    to.list(&sa.children, |to, child| child::write(to, child, now));
    life(&mut to, sa, now);
    to.list(&sa.exchanges, |to, one| exchange::write(to, one, now));
    Record(to.finish())
}

fn life(to: &mut Writer, sa: &Sa, now: Instant) {
    to.identity(&sa.remote_id);
    sa.keys.write(to);
    to.octets(sa.phase_1.octets());
    sa.vendor.write(to);
    to.option(sa.concluded.as_ref(), |to, concluded| {
        to.octets(&concluded.digest);
        to.sealed(&concluded.answer);
    });
    let left = |at: Instant| at.saturating_duration_since(now);
    let (number, rest) = match sa.stage {
        Stage::Live => (0, Duration::ZERO),
        Stage::Replaced { until } => (1, left(until)),
        Stage::Closing => (2, Duration::ZERO),
        Stage::Gone => (3, Duration::ZERO),
    };
    to.u8(number);
    to.duration(rest);
    to.duration(now.saturating_duration_since(sa.born));
    to.option(sa.rekey_at.map(left), Writer::duration);
    to.duration(left(sa.expire_at));
    let used: Vec<u32> = sa.used.iter().copied().collect();
    to.list(&used, |to, id| to.u32(*id));
    to.u32(sa.quick_modes);
    to.u32(sa.liveness.sequence);
    to.option(sa.liveness.answered, Writer::u32);
    to.list(&sa.children, |to, child| {
        to.u64(child.id.0);
        to.option(child.most_bytes, Writer::u64);
    });
}

/// What comes before the pairs.
struct Head {
    id: IkeSaId,
    peer_cookie: u64,
    role: Role,
    peer: PeerName,
    path: Path,
    party: Option<u64>,
}

impl Head {
    fn read(from: &mut Reader<'_>, directory: &Directory<'_>) -> Result<Self, BadRecord> {
        let read = |from: &mut Reader<'_>| {
            let version = from.u8()?;
            let (id, peer_cookie, initiator) = (from.u64()?, from.u64()?, from.flag()?);
            let role = match initiator {
                true => Role::Initiator,
                false => Role::Responder,
            };
            let name = from.text()?.to_owned();
            let (path, party) = (path::read(from)?, from.option(Reader::u64)?);
            (version == VERSION).then_some((IkeSaId(id), peer_cookie, role, name, (path, party)))
        };
        let (id, peer_cookie, role, name, (path, party)) =
            read(from).ok_or(BadRecord::Malformed)?;
        let known = directory.pad.find_by_name(&PeerName::new(&name));
        let peer = known.map(|peer| peer.name.clone());
        Ok(Head {
            id,
            peer_cookie,
            role,
            peer: peer.ok_or(BadRecord::UnknownPeer(name))?,
            path,
            party,
        })
    }
}

/// The ISAKMP SA that a record is of, and the pairs that ESP must have, without the rest.
///
/// # Errors
/// [`BadRecord`].
pub(crate) fn pairs(record: &Record, directory: &Directory<'_>) -> Result<Recorded, BadRecord> {
    let mut from = Reader::new(record.octets());
    let head = Head::read(&mut from, directory)?;
    let children = child::read_all(&mut from, &head.peer, (&head.path, head.party), directory)?;
    Ok(Recorded::new(head.id, &head.path, children))
}

/// Makes the ISAKMP SA of a record, on the member that goes on with it.
///
/// # Errors
/// [`BadRecord`]; nothing has changed then.
pub(crate) fn read(
    record: &Record,
    peer: impl FnOnce(&PeerName) -> Option<Arc<Peer>>,
    directory: &Directory<'_>,
    takeover: Takeover,
    ctx: &mut Context<'_>,
) -> Result<Box<Sa>, BadRecord> {
    let mut from = Reader::new(record.octets());
    let head = Head::read(&mut from, directory)?;
    let known = peer(&head.peer).ok_or(BadRecord::UnknownPeer(head.peer.to_string()))?;
    let place = (&head.path, head.party);
    let children = child::read_all(&mut from, &head.peer, place, directory)?;
    let (mut sa, limits) = rest(&mut from, head, known, ctx).ok_or(BadRecord::Malformed)?;
    sa.exchanges = exchange::read_all(&mut from, &sa, directory, ctx.now)?;
    if !from.is_empty() {
        return Err(BadRecord::Malformed);
    }
    claim(&sa, &children, ctx)?;
    sa.birth = ctx.registry.next_birth();
    let fast = sa.is_fast();
    sa.children = children
        .into_iter()
        .map(|one| {
            let mut child = one.revive(takeover, ctx);
            let limit = limits.iter().find(|(id, _)| *id == child.id);
            child.most_bytes = limit.and_then(|(_, most)| *most);
            if fast {
                child.idle = child.idle.map(|idle| idle.min(limits::FAST_FAILOVER_IDLE));
            }
            child
        })
        .collect::<Vec<Child>>();
    resume(&mut sa, takeover, ctx);
    Ok(sa)
}

type Limits = Vec<(ChildId, Option<u64>)>;

fn rest(
    from: &mut Reader<'_>,
    head: Head,
    peer: Arc<Peer>,
    ctx: &mut Context<'_>,
) -> Option<(Box<Sa>, Limits)> {
    let now = ctx.now;
    let (remote_id, keys) = (from.identity()?, Keys::read(from)?);
    let phase_1 = Iv::from_octets(from.octets()?)?;
    let vendor = Vendor::read(from)?;
    let concluded = from.option(|from| {
        Some(Concluded {
            digest: from.octets()?.try_into().ok()?,
            answer: from.sealed()?,
        })
    })?;
    let after = |left: Duration| now + left.min(limits::FOREVER);
    let (number, left) = (from.u8()?, from.duration()?);
    let stage = match number {
        0 => Stage::Live,
        1 => Stage::Replaced { until: after(left) },
        2 => Stage::Closing,
        3 => Stage::Gone,
        _ => return None,
    };
    let (age, rekey_in) = (from.duration()?, from.option(Reader::duration)?);
    let expire_at = after(from.duration()?);
    let used: BTreeSet<u32> = from
        .list(limits::MESSAGE_IDS, Reader::u32)?
        .into_iter()
        .collect();
    let quick_modes = from.u32()?;
    let mut liveness = Liveness::new(&vendor, ctx);
    liveness.sequence = from.u32()?;
    liveness.answered = from.option(Reader::u32)?;
    let most = from.list(limits::RECORDED_CHILDREN, |from| {
        Some((ChildId(from.u64()?), from.option(Reader::u64)?))
    })?;
    let sa = Box::new(Sa {
        id: head.id,
        peer_cookie: head.peer_cookie,
        role: head.role,
        peer,
        remote_id,
        path: head.path,
        party: head.party,
        keys,
        phase_1,
        vendor,
        fragments: None,
        concluded,
        stage,
        birth: 0,
        born: now.checked_sub(age).unwrap_or(now),
        rekey_at: rekey_in.map(after),
        expire_at,
        childless_since: now,
        keepalive_at: None,
        children: Vec::new(),
        exchanges: Vec::new(),
        tasks: VecDeque::new(),
        used,
        quick_modes,
        liveness,
        effects: Vec::new(),
        changed: false,
        silence: Silence::None,
        renewed: false,
        closing: (stage == Stage::Closing).then_some(Reason::Requested),
    });
    Some((sa, most))
}

/// Takes the numbers of the ISAKMP SA and of all that belongs to it, or none of them.
fn claim(sa: &Sa, children: &[child::Written], ctx: &mut Context<'_>) -> Result<(), BadRecord> {
    let taken = children
        .iter()
        .find(|one| ctx.registry.home(one.spec.id).is_some());
    if let Some(one) = taken {
        return Err(BadRecord::Taken(one.spec.id));
    }
    for one in children {
        ctx.registry.settle(one.spec.id, sa.id);
        ctx.registry.claim_esp(one.spec.inbound_spi);
    }
    ctx.registry.claim_ike(sa.id);
    for one in &sa.exchanges {
        if let Kind::Asked(offer) = &one.kind {
            ctx.registry.claim_esp(offer.inbound_spi);
        }
    }
    Ok(())
}

/// Begins again what the other member was about to do, and keeps quiet for a while otherwise.
fn resume(sa: &mut Sa, takeover: Takeover, ctx: &mut Context<'_>) {
    sa.rearm_keepalive(ctx.now);
    if sa.stage == Stage::Live {
        let quiet = takeover.quiet_until(sa.expire_at, ctx);
        sa.rekey_at = Some(sa.rekey_at.unwrap_or(quiet).max(quiet));
    }
    let replaced: Vec<ChildId> = sa
        .exchanges
        .iter()
        .filter_map(|one| match &one.kind {
            Kind::Asked(offer) => offer.replaces,
            _ => None,
        })
        .collect();
    for child in &mut sa.children {
        if child.stage == ChildStage::Rekeying && !replaced.contains(&child.id) {
            child.stage = ChildStage::Installed;
        }
    }
}
