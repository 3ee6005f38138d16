//! What a node keeps of the groups whose SAs survive a change of owner, as their owner and as a
//! member that could become it.

pub(crate) mod parcel;
pub(crate) mod records;
pub(crate) mod reserve;

use crate::output::Output;
use cluster::{GroupName, NodeName, Replicator};
use ike::IkeSaId;
use parcel::{Ceilings, Stray};
use policy::{Bucket, ChildId};
use records::Records;
use reserve::{FIRST_CEILING, Reserve};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// IKE SAs that are taken over at a time; the rest of the node has its turn in between.
pub(crate) const ADOPTED_AT_ONCE: usize = 64;
/// Pause between two lots of them.
pub(crate) const ADOPTION_PAUSE: Duration = Duration::from_millis(1);
/// IKE SAs in one part of a copy.
pub(crate) const CHUNK: usize = 128;
/// Pairs in one part of a copy.
pub(crate) const CHUNK_OF_PAIRS: usize = 1024;
/// Messages of IKE that wait for the members, at most; what comes then counts as lost on the way.
pub(crate) const HELD_MESSAGES: usize = 65_536;
/// How long an owner that has lost its copy waits for the member to come back, or for the witness
/// to answer, before it replaces what that member may go on with, or halts.
pub(crate) const BOUND_GRACE: Duration = Duration::from_secs(1);
/// IKE SAs that are replaced at a time, and the pause after: 500 a second.
pub(crate) const REPLACED_AT_ONCE: usize = 5;
/// See [`REPLACED_AT_ONCE`].
pub(crate) const REPLACEMENT_PAUSE: Duration = Duration::from_millis(10);
/// How long the address stays after a planned move, and what comes to it is passed on: until the
/// neighbours have heard where it is now.
pub(crate) const LINGER: Duration = Duration::from_millis(150);
/// How long the last parcel of a planned move may take.
pub(crate) const HANDOVER: Duration = Duration::from_millis(500);
/// Strays kept for a group that is about to start here, in octets.
pub(crate) const STRAYS: usize = 4 << 20;
/// Nothing but what was under way is asked of inherited peers for so long.
pub(crate) const GRACE: Duration = Duration::from_secs(30);
/// Inherited SAs are rekeyed within this time after the grace; longer where there are many.
pub(crate) const SPREAD: Duration = Duration::from_secs(60);
/// The same where inbound windows are strict and the owner before did not say where it stopped:
/// until its SAs have fresh keys, a block of what peers send is refused.
pub(crate) const STRICT_SPREAD: Duration = Duration::from_secs(1);
/// Rekeyings per second after a takeover at most.
pub(crate) const REKEYS_PER_SECOND: u64 = 500;

/// Moments kept at which changes were given: enough for a second of them.
const MOMENTS: usize = 1024;

/// Replication as this node takes part in it.
pub(crate) struct Replication {
    pub(crate) replicator: Replicator,
    /// This node.
    pub(crate) me: NodeName,
    /// Number of this node among the members, from 1: the top six bits of every epoch in an IV.
    pub(crate) number: u16,
    /// Whether a datagram is never delivered twice, at the price of a block of fresh ones.
    pub(crate) strict: bool,
    pub(crate) groups: BTreeMap<GroupName, Shared>,
    /// The bucket of every pair that is replicated, and the group that each bucket is.
    pub(crate) homes: BTreeMap<ChildId, Bucket>,
    names: BTreeMap<Bucket, GroupName>,
    /// Whether a witness decides who has copies.
    pub(crate) witness: bool,
    /// Nothing waits for the copies: see [`Node::sabotage_output_commit`](crate::Node).
    pub(crate) sabotaged: bool,
}

/// A group whose state has copies.
pub(crate) struct Shared {
    pub(crate) bucket: Bucket,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) pairs: BTreeMap<ChildId, PairState>,
    /// IKE SAs of the owner (on a member with a copy), or inherited and not yet taken over.
    pub(crate) records: Records,
    /// What may not be seen outside yet, by the position that it waits for.
    pub(crate) held: VecDeque<(u64, Output)>,
    /// What this step wants seen outside.
    pub(crate) staged: Vec<Output>,
    /// The epoch of this node's ownership.
    pub(crate) epoch: Option<u64>,
    pub(crate) loss: Loss,
    /// When the next lot of silent IKE SAs is replaced.
    pub(crate) replace_at: Option<Instant>,
    /// How far the copy for each member has come.
    pub(crate) cursors: BTreeMap<NodeName, Cursor>,
    pub(crate) strays: VecDeque<Stray>,
    pub(crate) stray_octets: usize,
    pub(crate) departure: Option<HandingOver>,
    /// Grants that came free while the gate is closed. A pair that gets one then would take it for
    /// its owner's, and begin above it, should the gate open here again.
    pub(crate) kept_grants: Vec<Output>,
    /// The owner before stopped in good order, and its windows here are exact.
    pub(crate) exact: bool,
    /// When the next lot of inherited IKE SAs is taken over.
    pub(crate) adopt_at: Option<Instant>,
    /// When the changes up to a position were given, of those that are not committed yet.
    pub(crate) given: VecDeque<(u64, Instant)>,
}

/// A pair, as far as its numbers are concerned.
pub(crate) struct PairState {
    pub(crate) ike: IkeSaId,
    pub(crate) inbound_spi: u32,
    pub(crate) active: bool,
    pub(crate) outbound: Reserve,
    /// The ceiling that the data plane has: below that of `outbound` while a grant is held back.
    pub(crate) granted: u64,
    /// Only where inbound windows are strict.
    pub(crate) inbound: Option<Box<Reserve>>,
    /// The last image of its inbound window.
    #[expect(
        clippy::box_collection,
        reason = "of very many pairs that are kept few have one"
    )]
    pub(crate) window: Option<Box<Vec<u8>>>,
    /// A member that is lost may go on with it: it gets no more numbers.
    pub(crate) bound: bool,
    /// A member that is no more may have: it gets none ever, and nobody gets a copy.
    pub(crate) forsaken: bool,
}

impl PairState {
    pub(crate) fn ceilings(&self) -> Ceilings {
        Ceilings {
            outbound: self.outbound.ceiling,
            inbound: self
                .inbound
                .as_ref()
                .map_or(FIRST_CEILING, |one| one.ceiling),
        }
    }

    /// Stages what the data plane gets once the members have stored this pair as it is now.
    pub(crate) fn stage(&self, child: ChildId, staged: &mut Vec<Output>) {
        if self.granted < self.outbound.ceiling {
            staged.push(Output::Grant {
                child,
                ceiling: self.outbound.ceiling,
                refill_at: self.outbound.refill_at(),
            });
        }
        if let Some(inbound) = &self.inbound {
            staged.push(Output::GrantInbound {
                child,
                ceiling: inbound.ceiling,
                refill_at: inbound.refill_at(),
            });
        }
        if self.active {
            staged.push(Output::Activate { child });
        }
    }

    /// Keeps the image of its inbound window.
    pub(crate) fn note_window(&mut self, image: &[u8]) {
        let window = self.window.get_or_insert_default();
        window.clear();
        window.extend_from_slice(image);
    }
}

/// What an owner does that has lost a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It has lost none.
    None,
    /// It waits until then.
    Waiting(Instant),
    /// It is silent on what it shared; what is new is its own.
    Silent,
    /// The witness has not dropped the lost member, however long that takes: until then that
    /// member may own the group, and what is negotiated anew would stand beside what it has. IKE
    /// stands still, and nothing new begins.
    Halted,
}

/// How far a copy has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// Records that are inherited and not taken over yet.
    Inherited(Option<IkeSaId>),
    /// IKE SAs.
    Live(Option<IkeSaId>),
    /// Numbers of pairs.
    Pairs(Option<ChildId>),
}

/// A planned move on its way.
pub(crate) struct HandingOver {
    pub(crate) to: NodeName,
    pub(crate) stage: Handover,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handover {
    /// The data plane closes the gate and says where it stopped.
    Closing(Instant),
    /// The members store that; `.0` is its position.
    Storing(u64, Instant),
    /// It is given; what still comes here is passed on until then.
    Lingering(Instant),
}

impl Handover {
    /// How long this stage may take.
    pub(crate) fn until(self) -> Instant {
        match self {
            Handover::Closing(at) | Handover::Storing(_, at) | Handover::Lingering(at) => at,
        }
    }
}

impl Replication {
    /// Keeps images of windows, and sorts them by the group that each belongs to.
    pub(crate) fn note_windows(
        &mut self,
        windows: Vec<(ChildId, Vec<u8>)>,
    ) -> BTreeMap<GroupName, Vec<(ChildId, Vec<u8>)>> {
        let mut by_group: BTreeMap<GroupName, Vec<(ChildId, Vec<u8>)>> = BTreeMap::new();
        for (child, image) in windows {
            let bucket = self.homes.get(&child);
            let Some(group) = bucket.and_then(|bucket| self.names.get(bucket)) else {
                continue;
            };
            let shared = self.groups.get_mut(group);
            if let Some(pair) = shared.and_then(|shared| shared.pairs.get_mut(&child)) {
                pair.note_window(&image);
            }
            let of_group = by_group.entry(group.clone()).or_default();
            of_group.push((child, image));
        }
        by_group
    }

    pub(crate) fn new(
        me: NodeName,
        replicator: Replicator,
        number: u16,
        (strict, witness): (bool, bool),
        groups: impl IntoIterator<Item = (GroupName, Bucket, Vec<IpAddr>)>,
    ) -> Self {
        let shared = |(name, bucket, addresses)| (name, Shared::new(bucket, addresses));
        let groups: BTreeMap<GroupName, Shared> = groups.into_iter().map(shared).collect();
        let names = groups.iter().map(|(name, one)| (one.bucket, name.clone()));
        Replication {
            me,
            replicator,
            number,
            strict,
            witness,
            names: names.collect(),
            groups,
            homes: BTreeMap::new(),
            sabotaged: false,
        }
    }

    /// The group of a pair that is replicated.
    pub(crate) fn home(&self, child: ChildId) -> Option<&GroupName> {
        self.names.get(self.homes.get(&child)?)
    }

    /// The group that has a local address.
    pub(crate) fn group_of(&self, address: IpAddr) -> Option<GroupName> {
        let has = |shared: &Shared| shared.addresses.contains(&address);
        let mut groups = self.groups.iter();
        groups
            .find(|(_, shared)| has(shared))
            .map(|(name, _)| name.clone())
    }

    /// What stands in the IVs of an ownership: the member's number and ten bits of the epoch. Two
    /// members never share one, whatever they believe of each other.
    pub(crate) fn iv_epoch(&self, epoch: u64) -> u16 {
        self.number << 10 | (epoch & 0x3ff) as u16
    }

    /// The next thing that time does.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let of = |shared: &Shared| {
            let loss = match shared.loss {
                Loss::Waiting(at) => Some(at),
                Loss::None | Loss::Silent | Loss::Halted => None,
            };
            let departure = shared.departure.as_ref().map(|one| one.stage.until());
            [loss, departure, shared.adopt_at, shared.replace_at]
                .into_iter()
                .flatten()
                .min()
        };
        self.groups.values().filter_map(of).min()
    }
}

impl Shared {
    pub(crate) fn new(bucket: Bucket, addresses: Vec<IpAddr>) -> Self {
        Shared {
            bucket,
            addresses,
            pairs: BTreeMap::new(),
            records: Records::default(),
            held: VecDeque::new(),
            staged: Vec::new(),
            epoch: None,
            loss: Loss::None,
            replace_at: None,
            cursors: BTreeMap::new(),
            strays: VecDeque::new(),
            stray_octets: 0,
            departure: None,
            kept_grants: Vec::new(),
            exact: false,
            adopt_at: None,
            given: VecDeque::new(),
        }
    }

    /// Remembers when changes were given, until they are committed. Where there is no room for
    /// another moment, the last one stands for later changes too: they seem older than they are.
    pub(crate) fn note_position(&mut self, position: u64, committed: u64, now: Instant) {
        while self.given.front().is_some_and(|(at, _)| *at <= committed) {
            self.given.pop_front();
        }
        let known = self.given.back().map_or(committed, |(at, _)| *at);
        if position <= known {
            return;
        }
        let full = self.given.len() >= MOMENTS;
        match self.given.back_mut() {
            Some(last) if full => last.0 = position,
            _ => self.given.push_back((position, now)),
        }
    }

    /// What may be seen outside now that everything up to `committed` is stored.
    pub(crate) fn release(&mut self, committed: u64) -> Vec<Output> {
        let mut free = Vec::new();
        let silent = self.loss == Loss::Silent;
        while let Some((position, _)) = self.held.front() {
            if *position > committed && !silent {
                break;
            }
            free.extend(self.held.pop_front().map(|(_, output)| output));
        }
        if self.departure.is_some() {
            let grant = |one: &mut Output| {
                matches!(one, Output::Grant { .. } | Output::GrantInbound { .. })
            };
            self.kept_grants.extend(free.extract_if(.., grant));
        }
        free
    }

    /// What waits for the members is never seen. The answer is the opening of the gate, if that
    /// waited too.
    pub(crate) fn drop_held(&mut self) -> Option<Output> {
        let held = self.held.drain(..).map(|(_, output)| output);
        let mut all = held.chain(self.staged.drain(..));
        all.find(|output| matches!(output, Output::OpenGate { .. }))
    }

    /// What [`drop_held`](Self::drop_held) may have taken from pairs that may be used again.
    pub(crate) fn give_again(&mut self) {
        let usable = self.pairs.iter().filter(|(_, pair)| !pair.forsaken);
        usable.for_each(|(child, pair)| pair.stage(*child, &mut self.staged));
    }

    /// Keeps a datagram for a moment, unless there are too many.
    pub(crate) fn keep_stray(&mut self, stray: Stray) {
        let length = match &stray {
            Stray::Esp { bytes, .. } | Stray::Ike { bytes, .. } => bytes.len(),
        };
        if self.stray_octets + length <= STRAYS {
            self.stray_octets += length;
            self.strays.push_back(stray);
        }
    }

    /// Those of these children, which records had, that are in none of them any longer: they have
    /// not moved to an IKE SA whose record is as it was.
    pub(crate) fn orphans(
        &self,
        had: Vec<ChildId>,
        touched: &BTreeSet<IkeSaId>,
        present: &BTreeSet<ChildId>,
    ) -> Vec<ChildId> {
        let gone = |child: &ChildId| {
            let home = self.pairs.get(child).map(|pair| pair.ike);
            home.is_some_and(|ike| touched.contains(&ike)) && !present.contains(child)
        };
        had.into_iter().filter(gone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The age of the oldest change that is not committed.
    fn age(shared: &Shared, now: Instant) -> Option<Duration> {
        let oldest = shared.given.front();
        oldest.map(|(_, at)| now.saturating_duration_since(*at))
    }

    #[test]
    fn a_change_is_as_old_as_it_is_until_it_is_committed() {
        #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut shared = Shared::new(Bucket(1), Vec::new());
        shared.note_position(0, 0, at(0));
        assert_eq!(age(&shared, at(5)), None, "nothing was given");
        shared.note_position(3, 0, at(10));
        shared.note_position(3, 0, at(20));
        shared.note_position(4, 0, at(30));
        assert_eq!(age(&shared, at(40)), Some(Duration::from_millis(30)));
        shared.note_position(4, 3, at(50));
        assert_eq!(age(&shared, at(50)), Some(Duration::from_millis(20)));
        shared.note_position(4, 4, at(60));
        assert_eq!(age(&shared, at(60)), None);
    }

    #[test]
    fn what_is_kept_of_changes_is_bounded_and_the_oldest_is_right() {
        #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
        let begun = Instant::now();
        let mut shared = Shared::new(Bucket(1), Vec::new());
        let many = 3 * MOMENTS as u64;
        for position in 1..=many {
            shared.note_position(position, 0, begun + Duration::from_millis(position));
        }
        assert_eq!(shared.given.len(), MOMENTS);
        assert_eq!(
            age(&shared, begun + Duration::from_millis(2)),
            Some(Duration::from_millis(1))
        );
        shared.note_position(many, many - 1, begun);
        assert_eq!(shared.given.len(), 1, "the last stands for all after it");
        shared.note_position(many, many, begun);
        assert!(shared.given.is_empty());
    }
}
