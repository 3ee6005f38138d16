//! The way out: from a packet of the host to sealed datagrams (RFC 4301 5.1, RFC 4303 3.3).

mod batch;
mod database;
mod fall_back;
mod flows;
mod paths;
mod pending;
mod reserve;
mod sa;
mod segment;
mod too_large;
mod waiting;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use policy::child::Mode;
use policy::entry::Entry;
use policy::names::RuleName;
use policy::range::AddressRange;
use policy::rule::Action;
use policy::sa::{Bucket, ChildId, Encapsulation};
use policy::selector::{Direction, TrafficSelector};
use policy::spd::{Spd, Verdict};
use wire::ip::Flow;
use wire::ip::icmp::TooBig;

use crate::counters::Counting;
use crate::discard::{Counts, Discard};
use crate::offload::Offload;
use crate::reservation::{NotGranted, Refill};
use crate::sharing::Sharing;

pub use batch::{MAX_RUN_BYTES, MAX_RUN_DATAGRAMS, OutboundBatch, Path, Run};
pub use pending::{ACQUIRE_INTERVAL, Acquire, MAX_NEGOTIATIONS};
pub use sa::OutboundSa;
pub use segment::{Carried, MAX_SEGMENTS, Segments};
pub use waiting::{MAX_PENDING_AGE, MAX_PENDING_BYTES, MAX_PENDING_PACKETS};

use database::{Choice, Database};
use fall_back::{FallBack, Standing};
use flows::{Decision, FlowCache};
use paths::Paths;
use pending::Pending;
use reserve::{Admission, Reserve};
use sa::Room;
use too_large::{Fit, Told};
use waiting::Waiting;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Sealed; this many ESP datagrams are in the batch.
    Sealed(usize),
    /// Permitted in clear text; this many IP packets are in the batch.
    Clear(usize),
    /// Waits for an SA, which [`Outbound::poll_acquire`] names, or for sequence numbers of one,
    /// which [`Outbound::poll_refill`] names.
    Queued,
    /// Dropped and counted.
    Discarded(Discard),
}

/// The outbound half of the data plane. It belongs to one thread: no lock is taken per packet.
///
/// `now` is everywhere the caller's monotonic clock in nanoseconds.
///
/// An SA is used while the gate of its [`Bucket`] is open. All gates but that of [`Bucket::HOST`]
/// begin closed. What an SA of another bucket may send is reserved beforehand: the same
/// [`grant`](Self::grant) reaches the standby first and then the owner. When the standby becomes
/// the owner, it goes on at the ceiling that it has stored, so that no sequence number and no IV is
/// used twice, however the owner before it ended.
pub struct Outbound {
    spd: Arc<Spd>,
    database: Database,
    flows: FlowCache,
    pending: Pending,
    reserve: Reserve,
    fall_back: FallBack,
    /// Whose flows are whose, of peers that share the address of a NAT, and as of which change.
    sharing: Option<Arc<Sharing>>,
    changes: u64,
    paths: Paths,
    told: Told,
    /// SAs that have begun to count.
    counting: Vec<Counting>,
    counts: Arc<Counts>,
}

impl Outbound {
    /// A way out under this policy, with no SAs yet. Dropped packets are counted in `counts`.
    #[must_use]
    pub fn new(spd: Arc<Spd>, counts: Arc<Counts>) -> Self {
        Outbound {
            spd,
            database: Database::default(),
            flows: FlowCache::new(),
            pending: Pending::new(),
            reserve: Reserve::new(),
            fall_back: FallBack::default(),
            sharing: None,
            changes: 0,
            paths: Paths::default(),
            told: Told::default(),
            counting: Vec::new(),
            counts,
        }
    }

    /// Sends one packet from the host, or one that `offload` says is to be cut into several.
    ///
    /// Sealed or clear, the result is in the batch; a packet without an SA is kept until
    /// [`install`](Self::install) brings one, and is never lost to the negotiation itself.
    pub fn send(
        &mut self,
        packet: &[u8],
        offload: &Offload,
        now: u64,
        batch: &mut OutboundBatch,
    ) -> Sent {
        let segments = match Segments::parse(packet, offload) {
            Ok(segments) => segments,
            Err(discard) => return self.discard(discard, 1),
        };
        let flow = segments.flow();
        self.follow_owners();
        let decision = match self.flows.get(&flow) {
            _ if segments.is_fragment() => self.decide_fragment(&flow, now),
            Some(decision) => Ok(decision),
            None => self
                .decide(&flow, now)
                .inspect(|decision| self.flows.put(flow, *decision)),
        };
        let decision = match decision {
            Ok(decision) => decision,
            Err(rule) if self.is_asked_again(&rule, &segments) => {
                self.pending.ask(&rule, flow, now);
                return clear(&segments, batch);
            }
            Err(rule) => return self.queue(&rule, flow, packet, offload, now),
        };
        match decision {
            Decision::Seal(place) => match self.seal(place, &segments, now, batch) {
                Some(sent) => sent,
                None => self.hold(place, packet, offload, now),
            },
            Decision::Clear => clear(&segments, batch),
            Decision::Block => self.discard(Discard::OutboundBlocked, 1),
            Decision::Nobody => self.discard(Discard::OutboundShared, 1),
        }
    }

    /// Has flows to peers that share the address of a NAT go to those who use them, as the
    /// [`Inbound`](crate::Inbound) knows that was given the same.
    pub fn share(&mut self, sharing: Arc<Sharing>) {
        self.sharing = Some(sharing);
    }

    /// What was decided of a flow no longer holds when it has gone from one peer to another.
    fn follow_owners(&mut self) {
        let changes = self.sharing.as_ref().map_or(0, |sharing| sharing.changes());
        if changes != self.changes {
            self.changes = changes;
            self.flows.invalidate();
        }
    }

    /// Installs an SA and sends what waited for it into the batch. Among SAs whose selectors hold
    /// a packet the youngest is used, so that a rekeyed SA takes over with this call. One of the
    /// same pair is replaced.
    pub fn install(&mut self, sa: OutboundSa, now: u64, batch: &mut OutboundBatch) {
        self.install_aged(sa, Duration::ZERO, now, batch);
    }

    /// As [`install`](Self::install), for an SA that came to be so long ago on another member of a
    /// cluster: it does not take over from younger ones, in whatever order they come.
    pub fn install_aged(
        &mut self,
        sa: OutboundSa,
        age: Duration,
        now: u64,
        batch: &mut OutboundBatch,
    ) {
        let nanoseconds = |time: u128| i64::try_from(time).unwrap_or(i64::MAX);
        let born = nanoseconds(now.into()).saturating_sub(nanoseconds(age.as_nanos()));
        let (rule, selectors) = (sa.rule().clone(), sa.selectors().clone());
        let reserved = !sa.bucket().is_host();
        let mut sa = sa;
        sa.set_path_mtu(self.paths.mtu(sa.remote()));
        self.database.insert(sa, born);
        self.flows.invalidate();
        if reserved {
            self.reserve.make_room(&self.database);
        }
        let waiting = self.pending.take(|key| {
            let holds = |side: &[TrafficSelector], address| {
                side.iter()
                    .any(|selector| selector.addresses.contains(address))
            };
            key.rule == rule
                && holds(&selectors.local, key.source)
                && holds(&selectors.remote, key.destination)
        });
        self.resend(waiting, now, batch);
    }

    /// Installs an SA in the place of another: not one packet goes without, and what waited for
    /// numbers of the old one leaves through the new one.
    pub fn replace(
        &mut self,
        old: ChildId,
        sa: OutboundSa,
        now: u64,
        batch: &mut OutboundBatch,
    ) -> bool {
        self.install(sa, now, batch);
        let waiting = self.reserve.take(old);
        let removed = self.remove(old);
        self.resend(waiting, now, batch);
        removed
    }

    /// Removes the outbound SA of a pair, and with it what waited for numbers of it. Says whether
    /// there was one.
    pub fn remove(&mut self, id: ChildId) -> bool {
        self.flows.invalidate();
        let waiting = self.reserve.take(id).len();
        self.counts
            .add_many(Discard::PendingRefused, waiting as u64);
        self.database.remove(id)
    }

    /// This host owns a bucket from now on, in this epoch: its SAs send, first those at hand that
    /// another host has used, from the ceilings that are stored. From now on grants are this
    /// owner's: whatever another owner was granted must have been stored before.
    ///
    /// The cost does not depend on the number of SAs.
    pub fn open_gate(&mut self, bucket: Bucket, epoch: u16) {
        self.reserve.open_gate(bucket, epoch);
    }

    /// This host does not own a bucket any more: packets that its SAs would seal are dropped as
    /// [`Discard::OutboundGate`], and so is what waits for numbers of theirs.
    pub fn close_gate(&mut self, bucket: Bucket) {
        let dropped = self.reserve.close_gate(bucket, &self.database);
        self.counts.add_many(Discard::OutboundGate, dropped as u64);
    }

    /// Lets an SA use the sequence numbers below `ceiling`, and ask for more from number
    /// `refill_at` on. Ceilings are raised, never lowered, and end where the counter does. What
    /// waited for the numbers goes into the batch.
    ///
    /// While the gate is closed the ceiling is only remembered: that is how a standby follows the
    /// owner.
    ///
    /// # Errors
    /// [`NotGranted`] when there is no such SA, its numbers are not reserved, or the owner would go
    /// further ahead than its receiver could follow ([`MAX_AHEAD`](crate::reservation::MAX_AHEAD)).
    pub fn grant(
        &mut self,
        child: ChildId,
        ceiling: u64,
        refill_at: u64,
        now: u64,
        batch: &mut OutboundBatch,
    ) -> Result<(), NotGranted> {
        let sa = self.database.find_mut(child);
        let sa = sa.ok_or(NotGranted::UnknownSa(child))?;
        self.reserve.grant(sa, ceiling, refill_at)?;
        while let Some(waiting) = self.reserve.release(sa, now) {
            let Ok(segments) = Segments::parse(&waiting.packet, &waiting.offload) else {
                continue;
            };
            let count = segments.count();
            let sealed = match sa.room(count) {
                Room::Enough => seal(sa, &segments, now, batch),
                _ => Err((Discard::OutboundCeiling, count)),
            };
            if let Err((discard, packets)) = sealed {
                self.counts.add_many(discard, packets as u64);
            }
            self.reserve.sealed(sa);
        }
        note(sa, &mut self.counting);
        Ok(())
    }

    /// A planned handover tells where the old owner stopped: its next sequence number, from
    /// [`next_of`](Self::next_of) there. This is where the SA goes on here, even if the stored
    /// ceiling is higher, so that no number is lost.
    ///
    /// # Errors
    /// [`NotGranted`] when there is no such SA, its numbers are not reserved, or the gate is open.
    pub fn set_exact(&mut self, child: ChildId, next: u64) -> Result<(), NotGranted> {
        let sa = self.database.find_mut(child);
        let sa = sa.ok_or(NotGranted::UnknownSa(child))?;
        self.reserve.set_exact(sa, next)
    }

    /// Where the SAs of a bucket have stopped, for a planned handover: the next sequence number of
    /// each that has used any, or may have. While the gate is open nothing has stopped and the list
    /// is empty; an SA that is not in it goes on from its ceiling.
    #[must_use]
    pub fn next_of(&self, bucket: Bucket) -> Vec<(ChildId, u64)> {
        self.reserve.next_of(bucket, &self.database)
    }

    /// The next SA that needs more sequence numbers: because packets wait for them (asked for again
    /// every [`REFILL_INTERVAL`](crate::reservation::REFILL_INTERVAL) while more come), or because
    /// it has reached `refill_at` (asked for once per grant).
    pub fn poll_refill(&mut self) -> Option<Refill> {
        self.reserve.poll_refill(&mut self.database)
    }

    /// The next SA that has begun to count, with its counters: each once. One that is never used
    /// has none.
    pub fn poll_counting(&mut self) -> Option<Counting> {
        self.counting.pop()
    }

    /// Switches the reservation off, to prove that a test which should find repeated numbers can
    /// find them: nothing else may call this. From now on ceilings are not enforced, an SA goes on
    /// at its own number after a takeover whatever the owner before it has sent, and the epoch in
    /// its IV is always 0, as a naive implementation would have it.
    pub fn sabotage_reservation(&mut self) {
        self.reserve.sabotage();
    }

    /// Sets the first sequence number that an SA of [`Bucket::HOST`] may not use. Says whether
    /// there is such an SA.
    pub fn set_ceiling(&mut self, id: ChildId, ceiling: u64) -> bool {
        let sa = self.database.find_mut(id);
        let sa = sa.filter(|sa| sa.bucket().is_host());
        sa.map(|sa| sa.set_ceiling(ceiling)).is_some()
    }

    /// Sends what an SA seals between other addresses, or in another encapsulation, from now on.
    /// Says whether there is such an SA.
    pub fn redirect(
        &mut self,
        id: ChildId,
        (local, remote): (IpAddr, IpAddr),
        encapsulation: Encapsulation,
    ) -> bool {
        let mtu = self.paths.mtu(remote);
        let Some(sa) = self.database.find_mut(id) else {
            return false;
        };
        sa.redirect(local, remote, encapsulation);
        sa.set_path_mtu(mtu);
        true
    }

    /// A router says that a packet of ours does not fit. It is believed if the SPI is one that we
    /// send to that peer, the MTU is smaller than what is known and every path takes it, and such
    /// words are few. Says whether it was; from then on, and for ten minutes, packets are cut or
    /// their senders told.
    pub fn too_big(&mut self, said: &TooBig, now: u64) -> bool {
        let ours = |sa: &OutboundSa| sa.spi() == said.spi && sa.remote() == said.remote;
        let believed = self.paths.may_listen(now)
            && self.database.iter().any(ours)
            && self.set_path_mtu(said.remote, said.mtu, now);
        if !believed {
            self.counts.add(Discard::PathMtuRefused);
        }
        believed
    }

    /// Packets of at most this size pass to a peer, as this host's own link says. Says whether
    /// that is news.
    pub fn set_path_mtu(&mut self, remote: IpAddr, mtu: u32, now: u64) -> bool {
        let lower = self.paths.lower(remote, mtu, now);
        if lower {
            self.tell_sas(remote);
        }
        lower
    }

    /// The paths that are known to take less than the link, with their MTUs.
    pub fn paths(&self) -> impl Iterator<Item = (IpAddr, u16)> {
        self.paths.iter()
    }

    /// The hosts of transport mode behind those paths, as this host sees them, with the same MTUs.
    #[must_use]
    pub fn narrow_hosts(&self) -> BTreeMap<IpAddr, u16> {
        let transport = |sa: &&OutboundSa| sa.mode() == Mode::Transport;
        let narrow = |sa: &OutboundSa| Some((sa.host(), self.paths.mtu(sa.remote())?));
        match self.paths.iter().next() {
            None => BTreeMap::new(),
            Some(_) => self
                .database
                .iter()
                .filter(transport)
                .filter_map(narrow)
                .collect(),
        }
    }

    /// The next packet for the host: it tells a sender that its packets are too large.
    pub fn poll_told(&mut self) -> Option<Vec<u8>> {
        self.told.poll()
    }

    fn tell_sas(&mut self, remote: IpAddr) {
        let mtu = self.paths.mtu(remote);
        let of_path = |sa: &&mut OutboundSa| sa.remote() == remote;
        for sa in self.database.iter_mut().filter(of_path) {
            sa.set_path_mtu(mtu);
        }
    }

    /// Leaves out so many sequence numbers of an SA, because the peer may take them for replays
    /// (RFC 6311 section 5.2). Says whether there is such an SA.
    pub fn skip(&mut self, id: ChildId, delta: u64) -> bool {
        let sa = self.database.find_mut(id);
        sa.map(|sa| sa.advance_to(sa.next().saturating_add(delta)))
            .is_some()
    }

    /// The outbound SA of a pair.
    #[must_use]
    pub fn sa(&self, id: ChildId) -> Option<&OutboundSa> {
        self.database.find(id)
    }

    /// How many SAs are installed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.database.len()
    }

    /// Whether no SA is installed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.database.len() == 0
    }

    /// How many packets wait for an SA or for sequence numbers.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len() + self.reserve.len()
    }

    /// Puts another policy into force. What waits is judged again, but never leaves in clear text
    /// just because no rule is about it any more: it waited to be protected, and an address that
    /// has left this host takes its rules with it.
    pub fn set_policy(&mut self, spd: Arc<Spd>, now: u64, batch: &mut OutboundBatch) {
        self.spd = spd;
        self.flows.invalidate();
        let mut waiting = self.reserve.take_all();
        waiting.extend(self.pending.take(|_| true));
        let count = waiting.len();
        waiting.retain(|waiting| self.is_ruled(&waiting.packet));
        let refused = count - waiting.len();
        self.counts
            .add_many(Discard::PendingRefused, refused as u64);
        self.resend(waiting, now, batch);
    }

    /// A negotiation came to nothing; it was for what goes to `remote`, whether that is the peer
    /// itself or lies behind it. Under a rule that may fall back this goes in clear text; from
    /// `until` on packets ask for an SA again, and do not wait for it. Under one that may not, and
    /// where `until` is over, what waits is dropped, and nothing more goes in clear text.
    pub fn negotiation_failed(
        &mut self,
        rule: &RuleName,
        remote: &[AddressRange],
        until: u64,
        now: u64,
        batch: &mut OutboundBatch,
    ) {
        let goes_there = |to: IpAddr| remote.iter().any(|range| range.contains(to));
        let waiting = self
            .pending
            .take(|key| key.rule == *rule && goes_there(key.destination));
        if self.is_optional(rule) && until > now {
            for range in remote {
                self.fall_back.insert(rule, *range, until);
            }
            self.flows.invalidate();
            self.resend(waiting, now, batch);
        } else {
            for range in remote {
                self.fall_back.remove(rule, *range);
            }
            self.flows.invalidate();
            self.counts
                .add_many(Discard::PendingRefused, waiting.len() as u64);
        }
    }

    /// The next SA that packets wait for. Each rule and pair of hosts is asked for once per
    /// [`ACQUIRE_INTERVAL`].
    pub fn poll_acquire(&mut self) -> Option<Acquire> {
        self.pending.poll_acquire()
    }

    /// Drops what has waited too long and ends what was permitted for a time. To be called about
    /// once a second.
    pub fn handle_timeout(&mut self, now: u64) {
        let expired = self.pending.expire(now) + self.reserve.expire(now);
        self.counts.add_many(Discard::PendingExpired, expired);
        if self.fall_back.expire(now) {
            self.flows.invalidate();
        }
        for remote in self.paths.expire(now) {
            self.tell_sas(remote);
        }
    }

    /// What the policy and the SAs make of a flow; the rule if it must wait for an SA.
    fn decide(&self, flow: &Flow, now: u64) -> Result<Decision, RuleName> {
        let found = match self.spd.lookup(flow, Direction::Outbound) {
            Verdict::Exempt(_) | Verdict::NoRule => return Ok(Decision::Clear),
            Verdict::Rule(found) => found,
        };
        let name = &found.rule.name;
        match &found.rule.action {
            Action::Exempt | Action::Permit => Ok(Decision::Clear),
            Action::Block => Ok(Decision::Block),
            Action::Negotiate(_) if found.entry.dormant => Ok(Decision::Block),
            Action::Negotiate(negotiate) => match self.select(name, flow, now) {
                Choice::Sa(place) => Ok(Decision::Seal(place)),
                Choice::Nobody => Ok(Decision::Nobody),
                // Only the peer begins, and until it does nothing changes.
                Choice::None if negotiate.passive => Ok(Decision::Clear),
                Choice::None if !negotiate.may_fall_back() => Err(name.clone()),
                Choice::None => match self.fall_back.standing(name, flow.dst) {
                    Some(Standing::Settled) => Ok(Decision::Clear),
                    _ => Err(name.clone()),
                },
            },
        }
    }

    fn select(&self, rule: &RuleName, flow: &Flow, now: u64) -> Choice {
        let owner = || self.sharing.as_ref()?.owner(flow, now);
        self.database.select(rule, flow, owner)
    }

    /// A fragment other than the first has no ports. It passes in clear text only if no rule that
    /// blocks or protects could be about the packet it belongs to (RFC 4301 7).
    fn decide_fragment(&self, flow: &Flow, now: u64) -> Result<Decision, RuleName> {
        let decision = self.decide(flow, now)?;
        let could_be = |entry: &Entry| {
            let selectors = [&entry.pair.local, &entry.pair.remote];
            let protocol =
                |selector: &TrafficSelector| [0, flow.protocol].contains(&selector.protocol);
            selectors.into_iter().all(protocol)
                && entry.pair.local.addresses.contains(flow.src)
                && entry.pair.remote.addresses.contains(flow.dst)
                && self
                    .spd
                    .rule_of(entry)
                    .is_some_and(|rule| !matches!(rule.action, Action::Exempt | Action::Permit))
        };
        match decision {
            Decision::Clear if self.spd.entries().iter().any(could_be) => Ok(Decision::Block),
            decision => Ok(decision),
        }
    }

    fn is_ruled(&self, packet: &[u8]) -> bool {
        let flow = Flow::of(packet);
        flow.is_ok_and(|flow| self.spd.lookup(&flow, Direction::Outbound).rule().is_some())
    }

    /// A peer that did not speak IPsec is asked again without a gap in what it is told meanwhile.
    fn is_asked_again(&self, rule: &RuleName, segments: &Segments<'_>) -> bool {
        self.fall_back.standing(rule, segments.flow().dst) == Some(Standing::AskAgain)
            && !segments.is_fragment()
            && self.is_optional(rule)
    }

    fn is_optional(&self, name: &RuleName) -> bool {
        let rule = self.spd.rules().iter().find(|rule| rule.name == *name);
        rule.is_some_and(|rule| {
            matches!(&rule.action, Action::Negotiate(negotiate) if negotiate.may_fall_back())
        })
    }

    fn queue(
        &mut self,
        rule: &RuleName,
        flow: Flow,
        packet: &[u8],
        offload: &Offload,
        now: u64,
    ) -> Sent {
        let waiting = Waiting::new(packet, offload, now);
        let dropped = self.pending.push(rule, flow, waiting);
        self.counts.add_many(Discard::PendingOverflow, dropped);
        Sent::Queued
    }

    fn resend(&mut self, waiting: Vec<Waiting>, now: u64, batch: &mut OutboundBatch) {
        for waiting in waiting {
            self.send(&waiting.packet, &waiting.offload, now, batch);
        }
    }

    /// `None` when the packet must wait for sequence numbers.
    fn seal(
        &mut self,
        place: usize,
        segments: &Segments<'_>,
        now: u64,
        batch: &mut OutboundBatch,
    ) -> Option<Sent> {
        let Some(sa) = self.database.get_mut(place) else {
            return Some(self.discard(Discard::OutboundBlocked, 1));
        };
        let fitted = match fitted(sa, segments) {
            Ok(fitted) => fitted,
            Err(mtu) => {
                self.told.tell(segments.octets(), mtu, now);
                return Some(self.discard(Discard::OutboundTooLarge, segments.count()));
            }
        };
        let segments = match &fitted {
            Some((smaller, mtu)) => {
                if let Some(mtu) = mtu {
                    self.told.tell(segments.octets(), *mtu, now);
                }
                smaller
            }
            None => segments,
        };
        let reserved = !sa.bucket().is_host();
        if reserved {
            match self.reserve.admit(sa, segments.count()) {
                Admission::Go => {}
                Admission::Wait => return None,
                Admission::Refuse(discard) => return Some(self.discard(discard, segments.count())),
            }
        }
        let sealed = seal(sa, segments, now, batch);
        note(sa, &mut self.counting);
        if reserved {
            self.reserve.sealed(sa);
        }
        Some(match sealed {
            Ok(datagrams) => Sent::Sealed(datagrams),
            Err((discard, packets)) => self.discard(discard, packets),
        })
    }

    /// Keeps a packet until its SA has numbers for it.
    fn hold(&mut self, place: usize, packet: &[u8], offload: &Offload, now: u64) -> Sent {
        let Some(sa) = self.database.get_mut(place) else {
            return self.discard(Discard::OutboundBlocked, 1);
        };
        let dropped = self.reserve.hold(sa, Waiting::new(packet, offload, now));
        self.counts.add_many(Discard::PendingOverflow, dropped);
        Sent::Queued
    }

    fn discard(&self, discard: Discard, packets: usize) -> Sent {
        self.counts.add_many(discard, packets as u64);
        Sent::Discarded(discard)
    }
}

/// Notes an SA that has just begun to count.
#[inline]
fn note(sa: &mut OutboundSa, counting: &mut Vec<Counting>) {
    if let Some(counters) = sa.begins() {
        let child = sa.id();
        counting.push(Counting { child, counters });
    }
}

/// A packet in smaller pieces, and what its sender is told of that; `None` when it fits as it is.
/// The error is the size of what would fit.
#[inline]
fn fitted<'a>(
    sa: &OutboundSa,
    segments: &Segments<'a>,
) -> Result<Option<(Segments<'a>, Option<u16>)>, u16> {
    let skip = match sa.mode() {
        Mode::Transport => segments.ip_header(),
        Mode::Tunnel => 0,
    };
    let longest = segments.whole().length(0).saturating_sub(skip);
    match too_large::fit(sa, segments, longest) {
        Fit::Whole | Fit::Outside => Ok(None),
        Fit::Not(mtu) => Err(mtu),
        Fit::Cut(most) => {
            let mtu = (most + skip).min(65_535) as u16;
            let told = segments.can_be_cut().then_some(mtu);
            let smaller = segments.smaller(most, skip).ok_or(mtu)?;
            Ok(Some((smaller, told)))
        }
    }
}

/// Seals every segment straight into the batch. On an error, says how many were left out.
fn seal(
    sa: &mut OutboundSa,
    segments: &Segments<'_>,
    now: u64,
    batch: &mut OutboundBatch,
) -> Result<usize, (Discard, usize)> {
    let count = segments.count();
    let carried = match sa.mode() {
        Mode::Transport => segments
            .behind_ip_header()
            .map_err(|discard| (discard, count))?,
        Mode::Tunnel => segments.whole(),
    };
    // What is larger than its path passes only in fragments.
    let whole = carried.length(0) <= sa.longest();
    let path = sa.path().with_header(
        sa.traffic_class(carried.traffic_class()),
        whole && sa.sets_dont_fragment(segments.dont_fragment()),
    );
    let offset = sa.payload_offset();
    let mut bytes = 0;
    for number in 0..count {
        let payload = carried.length(number);
        let length = sa.sealed_length(payload);
        let room = batch.room(length);
        let sealed = match room.get_mut(offset..offset + payload) {
            Some(space) if length <= MAX_RUN_BYTES => {
                carried.write(number, space);
                sa.seal(room, payload, carried.next_header())
            }
            _ => Err(Discard::OutboundTooLong),
        };
        if let Err(discard) = sealed {
            sa.count(number as u64, bytes, now);
            sa.count_dropped((count - number) as u64);
            return Err((discard, count - number));
        }
        batch.commit(path, length);
        bytes += length as u64;
    }
    sa.count(count as u64, bytes, now);
    Ok(count)
}

/// Writes every segment into the batch as it is: whole packets with complete checksums.
fn clear(segments: &Segments<'_>, batch: &mut OutboundBatch) -> Sent {
    let carried = segments.whole();
    let path = Path::Clear {
        destination: segments.flow().dst,
    };
    for number in 0..segments.count() {
        let length = carried.length(number);
        carried.write(number, batch.room(length));
        batch.commit(path, length);
    }
    Sent::Clear(segments.count())
}
