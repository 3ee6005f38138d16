//! An established IKE SA as octets, and back: what a survivor needs to go on as if it had always
//! been there (RFC 6027 sections 3.3 and 3.6).
//!
//! Everything that the peer can tell is in it: message ids, the last answer octet by octet, our
//! requests in flight with what is needed to finish them. What only we would notice is not: tasks
//! that wait are begun anew by the traffic or the timers that wanted them.

mod exchange;
mod followups;
mod mobility;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use policy::names::PeerName;
use policy::pad::Peer;

use crate::carrier::Lost;
use crate::context::Context;
use crate::event::Reason;
use crate::id::{IkeSaId, Role};
use crate::limits;
use crate::pair::{Child, Stage as ChildStage};
use crate::path::Path;
use crate::record::codec::{Reader, Writer};
use crate::record::{BadRecord, Directory, Record, Recorded, Takeover, child, path};
use crate::silence::Silence;
use crate::v2::fragments::Fragments;
use crate::v2::keys::Keys;
use crate::v2::mobility::Mobility;
use crate::v2::recovery::Recovery;
use crate::v2::redirect::Redirection;
use crate::v2::sa::{Answered, Kind, Sa, Stage, Task};

/// The version of the format; members of different versions do not read each other's records.
const VERSION: u8 = 7;
/// Most requests of ours in flight that are read, with room for any window.
const MAX_EXCHANGES: usize = 16;
/// Most crash tokens that are read, with room for any number that a peer may give.
const MAX_TOKENS: usize = 16;

/// Writes an IKE SA down.
pub(crate) fn write(sa: &Sa, now: Instant) -> Record {
    let mut to = Writer::new();
    to.u8(VERSION);
    head(&mut to, sa);
    to.list(&sa.children, |to, child| child::write(to, child, now));
    life(&mut to, sa, now);
    to.list(&sa.exchanges, exchange::write);
    Record(to.finish())
}

/// What comes before the children: who talks to whom, and under which names.
fn head(to: &mut Writer, sa: &Sa) {
    to.u64(sa.id.0);
    to.u64(sa.peer_spi);
    to.flag(sa.role == Role::Initiator);
    to.octets(sa.peer.name.as_str().as_bytes());
    path::write(to, &sa.path);
    to.option(sa.party, Writer::u64);
    to.option(sa.mobility.as_deref(), mobility::write);
}

fn life(to: &mut Writer, sa: &Sa, now: Instant) {
    to.identity(&sa.remote_id);
    to.identity(&sa.local_id);
    sa.keys.write(to);
    let (number, about, left) = match sa.stage {
        Stage::Live => (0, 0, Duration::ZERO),
        Stage::Undecided { old } => (1, old.0, Duration::ZERO),
        Stage::Replaced { until } => (2, 0, until.saturating_duration_since(now)),
        Stage::Closing => (3, 0, Duration::ZERO),
        Stage::Closed { until } => (4, 0, until.saturating_duration_since(now)),
    };
    to.u8(number);
    to.u64(about);
    to.duration(left);
    to.duration(now.saturating_duration_since(sa.born));
    let left = |at: Instant| at.saturating_duration_since(now);
    to.option(sa.rekey_at.map(left), Writer::duration);
    to.duration(left(sa.expire_at));
    to.u32(sa.peer_window);
    to.list(&sa.deleted_early, |to, spi| to.u32(*spi));
    to.u32(sa.next_request);
    to.u32(sa.expected_request);
    to.option(sa.answered.as_ref(), |to, answered| {
        to.octets(&answered.digest);
        to.sealed(&answered.message);
    });
    to.flag(sa.fragments.agreed);
    to.flag(sa.ppk);
    to.option(sa.family.map(|family| family.0), Writer::u64);
    to.list(&sa.recovery.tokens, |to, token| to.octets(token));
    to.flag(sa.recovery.message_ids);
    to.flag(sa.recovery.counters);
    to.option(sa.recovery.announced, Writer::u32);
    redirection(to, &sa.redirection, now);
}

/// Which IKE SA takes the place of another is not in it: what is left of that ends by itself.
fn redirection(to: &mut Writer, redirection: &Redirection, now: Instant) {
    to.flag(redirection.follows);
    to.flag(redirection.is_followed);
    to.option(redirection.home, Writer::address);
    let left = |until: Instant| until.saturating_duration_since(now);
    to.option(redirection.until.map(left), Writer::duration);
}

fn read_redirection(from: &mut Reader<'_>, now: Instant) -> Option<Redirection> {
    Some(Redirection {
        follows: from.flag()?,
        is_followed: from.flag()?,
        home: from.option(Reader::address)?,
        replaces: None,
        until: from
            .option(Reader::duration)?
            .map(|left| now + left.min(limits::FOREVER)),
    })
}

/// What comes before the children.
struct Head {
    id: IkeSaId,
    peer_spi: u64,
    role: Role,
    peer: PeerName,
    path: Path,
    party: Option<u64>,
    mobility: Option<Box<Mobility>>,
}

impl Head {
    /// Where ESP goes.
    fn esp_path(&self) -> Path {
        let waits = self.mobility.as_ref().and_then(|one| one.proven);
        waits.unwrap_or(self.path)
    }

    fn read(from: &mut Reader<'_>, directory: &Directory<'_>) -> Result<Self, BadRecord> {
        let malformed = BadRecord::Malformed;
        let version = from.u8().ok_or(malformed.clone())?;
        if version != VERSION {
            return Err(malformed);
        }
        let read = |from: &mut Reader<'_>| {
            let (id, peer_spi, initiator) = (from.u64()?, from.u64()?, from.flag()?);
            let role = if initiator {
                Role::Initiator
            } else {
                Role::Responder
            };
            let name = from.text()?.to_owned();
            let path = path::read(from)?;
            let party = from.option(Reader::u64)?;
            let mobility = from.option(mobility::read)?;
            Some((IkeSaId(id), peer_spi, role, name, (path, party, mobility)))
        };
        let (id, peer_spi, role, name, (path, party, mobility)) = read(from).ok_or(malformed)?;
        let peer = directory
            .pad
            .find_by_name(&PeerName::new(&name))
            .map(|peer| peer.name.clone())
            .ok_or(BadRecord::UnknownPeer(name))?;
        Ok(Head {
            id,
            peer_spi,
            role,
            peer,
            path,
            party,
            mobility,
        })
    }
}

/// The IKE SA that a record is of, and the pairs that ESP must have, without the rest.
///
/// # Errors
/// [`BadRecord`].
pub(crate) fn pairs(record: &Record, directory: &Directory<'_>) -> Result<Recorded, BadRecord> {
    let mut from = Reader::new(record.octets());
    let head = Head::read(&mut from, directory)?;
    let path = (&head.esp_path(), head.party);
    let children = child::read_all(&mut from, &head.peer, path, directory)?;
    Ok(Recorded::new(head.id, &head.path, children))
}

/// Makes the IKE SA of a record, on the member that goes on with it.
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
    let path = (&head.esp_path(), head.party);
    let children = child::read_all(&mut from, &head.peer, path, directory)?;
    let mut sa = rest(&mut from, head, known, ctx.now).ok_or(BadRecord::Malformed)?;
    sa.exchanges = exchange::read_all(&mut from, &sa, directory, ctx.now)?;
    if !from.is_empty() {
        return Err(BadRecord::Malformed);
    }
    claim(&sa, &children, ctx)?;
    sa.birth = ctx.registry.next_birth();
    sa.children = children
        .into_iter()
        .map(|one| one.revive(takeover, ctx))
        .collect::<Vec<Child>>();
    sa.keys.take_over(takeover.epoch);
    resume(&mut sa, takeover, ctx);
    Ok(sa)
}

fn rest(from: &mut Reader<'_>, head: Head, peer: Arc<Peer>, now: Instant) -> Option<Box<Sa>> {
    let (remote_id, local_id) = (from.identity()?, from.identity()?);
    let keys = Keys::read(from)?;
    let stage = read_stage(from, now)?;
    let (age, rekey_in) = (from.duration()?, from.option(Reader::duration)?);
    let after = |left: Duration| now + left.min(limits::FOREVER);
    let expire_at = after(from.duration()?);
    let peer_window = from.u32()?;
    let deleted_early = from.list(limits::DELETED_EARLY, Reader::u32)?;
    let (next_request, expected_request) = (from.u32()?, from.u32()?);
    let answered = from.option(answered)?;
    // What is here of a message comes again as a whole.
    let fragments = Fragments::new(from.flag()?);
    let (ppk, family) = (from.flag()?, from.option(Reader::u64)?.map(IkeSaId));
    let recovery = recovery(from)?;
    let redirection = read_redirection(from, now)?;
    Some(Box::new(Sa {
        id: head.id,
        peer_spi: head.peer_spi,
        role: head.role,
        peer,
        remote_id,
        local_id,
        path: head.path,
        party: head.party,
        mobility: head.mobility,
        keys,
        stage,
        birth: 0,
        born: now.checked_sub(age).unwrap_or(now),
        rekey_at: rekey_in.map(after),
        expire_at,
        childless_since: now,
        keepalive_at: None,
        lost: Lost::now(head.path.carrier, now),
        children: Vec::new(),
        exchanges: Vec::new(),
        tasks: VecDeque::new(),
        delayed: Vec::new(),
        peer_window,
        alive_at: now,
        unanswered_since: None,
        last_hint: None,
        deleted_early,
        effects: Vec::new(),
        next_request,
        expected_request,
        answered,
        fragments,
        ppk,
        family,
        pending: None,
        recovery,
        changed: false,
        silence: Silence::None,
        redirection,
    }))
}

fn read_stage(from: &mut Reader<'_>, now: Instant) -> Option<Stage> {
    let (number, about) = (from.u8()?, from.u64()?);
    let until = now + from.duration()?.min(limits::FOREVER);
    match number {
        0 => Some(Stage::Live),
        1 => Some(Stage::Undecided {
            old: IkeSaId(about),
        }),
        2 => Some(Stage::Replaced { until }),
        3 => Some(Stage::Closing),
        4 => Some(Stage::Closed { until }),
        _ => None,
    }
}

/// The last answer.
fn answered(from: &mut Reader<'_>) -> Option<Answered> {
    Some(Answered {
        digest: from.octets()?.try_into().ok()?,
        message: from.sealed()?,
    })
}

/// A ticket stays with the member that got it: another one begins with a whole handshake.
fn recovery(from: &mut Reader<'_>) -> Option<Recovery> {
    Some(Recovery {
        tokens: from.list(MAX_TOKENS, |from| from.octets().map(<[u8]>::to_vec))?,
        message_ids: from.flag()?,
        counters: from.flag()?,
        announced: from.option(Reader::u32)?,
        ..Recovery::default()
    })
}

/// Takes the numbers of the IKE SA and of all that belongs to it, or none of them.
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
        match &one.kind {
            Kind::CreateChild { offer, .. } | Kind::RekeyChild { offer, .. } => {
                ctx.registry.claim_esp(offer.inbound_spi);
            }
            Kind::RekeyIke { offer, .. } | Kind::CloneIke { offer, .. } => {
                ctx.registry.claim_ike(offer.new);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Begins again what the other member was about to do, and keeps quiet for a while otherwise.
fn resume(sa: &mut Sa, takeover: Takeover, ctx: &mut Context<'_>) {
    sa.rearm_keepalive(ctx.now);
    if sa.stage == Stage::Closing && sa.exchanges.is_empty() {
        let reason = Reason::Requested;
        sa.tasks.push_back(Task::DeleteIke { reason });
    }
    if sa.stage != Stage::Live {
        return;
    }
    let quiet = takeover.quiet_until(sa.expire_at, ctx);
    let flies = |kind: &Kind| matches!(kind, Kind::RekeyIke { .. });
    if !sa.exchanges.iter().any(|one| flies(&one.kind)) {
        sa.rekey_at = Some(sa.rekey_at.unwrap_or(quiet).max(quiet));
    }
    for child in &mut sa.children {
        let about = |kind: &Kind| match kind {
            Kind::DeleteChild { child: old } | Kind::RekeyChild { old, .. } => *old == child.id,
            _ => false,
        };
        match child.stage {
            _ if sa.exchanges.iter().any(|one| about(&one.kind)) => {}
            ChildStage::Deleting => sa.tasks.push_back(Task::DeleteChild { child: child.id }),
            ChildStage::Rekeying => child.stage = ChildStage::Installed,
            _ => {}
        }
    }
}
