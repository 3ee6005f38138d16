//! Who may send and up to which number: gates, grants, and packets that wait for a grant
//! (RFC 4303 3.3.3).

#[cfg(test)]
mod tests;

use policy::sa::{Bucket, ChildId};

use crate::discard::Discard;
use crate::due::Due;
use crate::gate::{Gate, Gates};
use crate::outbound::database::Database;
use crate::outbound::sa::{OutboundSa, Room};
use crate::outbound::segment::Segments;
use crate::outbound::waiting::{Queues, Waiting};
use crate::reservation::{NotGranted, REFILL_INTERVAL, Refill};

/// SAs for whose numbers packets wait at the same time: after a takeover, all that are in use wait
/// for their first grant.
const MAX_WAITING_SAS: usize = 1 << 14;

/// What becomes of a packet of an SA whose numbers are reserved.
pub(crate) enum Admission {
    /// It is sealed.
    Go,
    /// It waits for numbers, or behind others that do.
    Wait,
    /// It is dropped.
    Refuse(Discard),
}

/// Everything about SAs of other buckets than [`Bucket::HOST`].
pub(crate) struct Reserve {
    gates: Gates,
    held: Queues<ChildId>,
    refills: Due<ChildId>,
    sabotaged: bool,
}

impl Reserve {
    pub(crate) fn new() -> Self {
        Reserve {
            gates: Gates::new(),
            held: Queues::new(MAX_WAITING_SAS, REFILL_INTERVAL),
            refills: Due::new(),
            sabotaged: false,
        }
    }

    pub(crate) fn open_gate(&mut self, bucket: Bucket, epoch: u16) {
        self.gates.set(bucket, Gate::Open(epoch));
    }

    /// Returns how many packets that waited will not leave.
    pub(crate) fn close_gate(&mut self, bucket: Bucket, database: &Database) -> usize {
        self.gates.set(bucket, Gate::Closed);
        let gates = &self.gates;
        let closed = |child: &ChildId| {
            let bucket = database.find(*child).map(OutboundSa::bucket);
            bucket.is_none_or(|bucket| !matches!(gates.get(bucket), Gate::Open(_)))
        };
        self.held.take(closed).len()
    }

    pub(crate) fn sabotage(&mut self) {
        self.sabotaged = true;
    }

    /// Makes room for every SA on the list of those that ask, so that no packet has to.
    pub(crate) fn make_room(&mut self, database: &Database) {
        let listed = |child| database.find(child).is_some_and(OutboundSa::is_listed);
        self.refills.make_room(database.len(), listed);
    }

    /// Asked before a packet of this many segments is sealed.
    #[inline]
    pub(crate) fn admit(&self, sa: &mut OutboundSa, segments: usize) -> Admission {
        let Gate::Open(epoch) = self.gates.get(sa.bucket()) else {
            return Admission::Refuse(Discard::OutboundGate);
        };
        self.enter(sa, epoch);
        match sa.room(segments) {
            Room::Never => Admission::Refuse(Discard::OutboundCeiling),
            Room::Enough if !self.held.is_waiting(&sa.id()) => Admission::Go,
            Room::Enough | Room::Later => Admission::Wait,
        }
    }

    /// Told after a packet was sealed.
    #[inline]
    pub(crate) fn sealed(&mut self, sa: &mut OutboundSa) {
        if sa.nears_ceiling() {
            self.list(sa);
        }
    }

    /// Keeps a packet that was not admitted yet. Returns how many packets, this or older ones,
    /// found no room.
    pub(crate) fn hold(&mut self, sa: &mut OutboundSa, waiting: Waiting) -> u64 {
        if !self.ask(sa, waiting.since) {
            return 1;
        }
        self.held.push(sa.id(), waiting)
    }

    /// Asks for numbers that something waits for, unless that was done within [`REFILL_INTERVAL`].
    /// Says whether there is room for another SA that waits.
    fn ask(&mut self, sa: &mut OutboundSa, now: u64) -> bool {
        let asks = self.held.asks(sa.id(), now);
        if asks == Some(true) {
            self.list(sa);
        }
        asks.is_some()
    }

    /// While the gate is closed the ceiling is only remembered.
    pub(crate) fn grant(
        &mut self,
        sa: &mut OutboundSa,
        ceiling: u64,
        refill_at: u64,
    ) -> Result<(), NotGranted> {
        if sa.bucket().is_host() {
            return Err(NotGranted::NotReserved(sa.id()));
        }
        let Gate::Open(epoch) = self.gates.get(sa.bucket()) else {
            sa.follow(ceiling);
            return Ok(());
        };
        // First the takeover: where it goes on is the ceiling of before.
        self.enter(sa, epoch);
        sa.grant(ceiling, refill_at)?;
        self.held.answered(&sa.id());
        Ok(())
    }

    pub(crate) fn set_exact(&self, sa: &mut OutboundSa, next: u64) -> Result<(), NotGranted> {
        if sa.bucket().is_host() {
            return Err(NotGranted::NotReserved(sa.id()));
        }
        if matches!(self.gates.get(sa.bucket()), Gate::Open(_)) {
            return Err(NotGranted::GateOpen(sa.id()));
        }
        sa.set_exact(next);
        Ok(())
    }

    /// Takes out the packet that has waited longest for numbers of this SA, if they are there now,
    /// or never will be. What must wait on asks.
    pub(crate) fn release(&mut self, sa: &mut OutboundSa, now: u64) -> Option<Waiting> {
        let first = self.held.first(&sa.id())?;
        let segments = Segments::parse(&first.packet, &first.offload);
        match sa.room(segments.map_or(0, |segments| segments.count())) {
            Room::Enough | Room::Never => self.held.pop(&sa.id()),
            Room::Later => {
                self.ask(sa, now);
                None
            }
        }
    }

    /// Takes out what waits for numbers of an SA.
    pub(crate) fn take(&mut self, id: ChildId) -> Vec<Waiting> {
        match self.held.is_waiting(&id) {
            true => self.held.take(|child| *child == id),
            false => Vec::new(),
        }
    }

    /// Takes out everything that waits.
    pub(crate) fn take_all(&mut self) -> Vec<Waiting> {
        self.held.take(|_| true)
    }

    /// Drops what has waited too long and returns how many packets that were.
    pub(crate) fn expire(&mut self, now: u64) -> u64 {
        self.held.expire(now)
    }

    /// Packets that wait.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn poll_refill(&mut self, database: &mut Database) -> Option<Refill> {
        while let Some(child) = self.refills.pop() {
            let Some(sa) = database.find_mut(child) else {
                continue;
            };
            sa.unlist();
            if matches!(self.gates.get(sa.bucket()), Gate::Open(_)) {
                return Some(Refill {
                    child,
                    next: sa.next(),
                    waiting: self.held.is_waiting(&child),
                });
            }
        }
        None
    }

    /// The exact next number of the SAs of a bucket whose gate is closed.
    pub(crate) fn next_of(&self, bucket: Bucket, database: &Database) -> Vec<(ChildId, u64)> {
        if matches!(self.gates.get(bucket), Gate::Open(_)) {
            return Vec::new();
        }
        let last_epoch = self.gates.last_epoch(bucket);
        let ours = database.iter().filter(|sa| sa.bucket() == bucket);
        let exact = ours.map(|sa| (sa.id(), sa.first_unused(last_epoch)));
        exact.filter(|(_, next)| *next > 1).collect()
    }

    fn enter(&self, sa: &mut OutboundSa, epoch: u16) {
        match self.sabotaged {
            true => sa.ignore_reservation(),
            false => sa.enter(epoch),
        }
    }

    fn list(&mut self, sa: &mut OutboundSa) {
        if sa.list() {
            self.refills.push(sa.id());
        }
    }
}
