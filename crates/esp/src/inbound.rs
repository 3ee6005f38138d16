//! The way in: from an ESP datagram to packets for the host (RFC 4301 5.2, RFC 4303 3.4).

mod batch;
mod coalesce;
mod decapsulate;
mod early;
mod sa;
mod segment;
mod strict;
mod unknown;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use policy::sa::{Bucket, ChildId};
use wire::esp::Header;

use crate::counters::Counting;
use crate::discard::{Counts, Discard};
use crate::due::Due;
use crate::gate::{Gate, Gates};
use crate::replay::WindowImage;
use crate::reservation::{NotGranted, Refill};
use crate::sad::Sad;
use crate::sharing::{Claims, Sharing};

pub use batch::{InboundBatch, Write};
pub use coalesce::MAX_PIECES;
pub use early::EARLY;
pub use sa::{InboundSa, Payload};
pub use unknown::{UNKNOWN_SPI_INTERVAL, UnknownSpi};

use decapsulate::decapsulate;
use early::EarlyDatagrams;
use strict::Strict;
use unknown::UnknownSpis;

/// An ESP datagram in the receive buffer, without UDP or IP header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Outer source address.
    pub source: IpAddr,
    /// Outer destination address.
    pub destination: IpAddr,
    /// Traffic class of the outer header, for its ECN field; 0 when it is not known.
    pub traffic_class: u8,
    /// Where it is, from SPI to ICV.
    pub place: Range<usize>,
}

/// The inbound half of the data plane. It belongs to one thread: no lock is taken per packet.
///
/// `now` is everywhere the caller's monotonic clock in nanoseconds.
///
/// An SA is used while the gate of its [`Bucket`] is open. All gates but that of [`Bucket::HOST`]
/// begin closed.
pub struct Inbound {
    sad: Sad<InboundSa>,
    by_id: BTreeMap<ChildId, u32>,
    gates: Gates,
    /// SPIs of SAs whose windows have moved, each once.
    moved: Due<u32>,
    /// SPIs of SAs that ask for more numbers.
    refills: Due<u32>,
    unknown: UnknownSpis,
    early: EarlyDatagrams,
    /// Whose flows are whose, of peers that share the address of a NAT.
    claims: Option<Claims>,
    /// SAs that have begun to count.
    counting: Vec<Counting>,
    counts: Arc<Counts>,
}

impl Inbound {
    /// A way in without SAs. Dropped packets are counted in `counts`.
    #[must_use]
    pub fn new(counts: Arc<Counts>) -> Self {
        Inbound {
            sad: Sad::new(),
            by_id: BTreeMap::new(),
            gates: Gates::new(),
            moved: Due::new(),
            refills: Due::new(),
            unknown: UnknownSpis::default(),
            early: EarlyDatagrams::default(),
            claims: None,
            counting: Vec::new(),
            counts,
        }
    }

    /// Has flows of peers that share the address of a NAT kept apart, together with an
    /// [`Outbound`](crate::Outbound) that was given the same. To be called before any SA is
    /// installed.
    pub fn share(&mut self, sharing: Arc<Sharing>) {
        self.claims = Some(Claims::new(sharing));
    }

    /// Installs an SA. One with the same SPI, which only we can have chosen, is replaced, and so is
    /// one of the same pair.
    pub fn install(&mut self, sa: InboundSa) {
        let (spi, id, bucket) = (sa.spi(), sa.id(), sa.bucket());
        let strict = sa.is_strict();
        if self.by_id.get(&id).is_some_and(|other| *other != spi) {
            self.remove(id);
        }
        if let (Some(claims), Some((host, party))) = (&self.claims, sa.party()) {
            claims.sharing.join(host, party, sa.peer());
        }
        if let Some(old) = self.sad.insert(spi, sa) {
            self.gone(&old);
        }
        self.by_id.insert(id, spi);
        if !bucket.is_host() {
            self.make_room(strict);
        }
    }

    /// Removes the inbound SA of a pair. Says whether there was one.
    pub fn remove(&mut self, id: ChildId) -> bool {
        let spi = self.by_id.get(&id).copied();
        spi.is_some_and(|spi| self.remove_spi(spi))
    }

    /// Removes the SA with this SPI. Says whether there was one.
    pub fn remove_spi(&mut self, spi: u32) -> bool {
        let removed = self.sad.remove(spi);
        if let Some(sa) = &removed {
            self.gone(sa);
        }
        removed.is_some()
    }

    fn gone(&mut self, sa: &InboundSa) {
        self.by_id.remove(&sa.id());
        if let (Some(claims), Some((host, party))) = (&self.claims, sa.party()) {
            claims.sharing.leave(host, party);
        }
    }

    /// This host owns a bucket from now on, in this epoch: its SAs receive. Everything that another
    /// owner has told about them was taken in before.
    pub fn open_gate(&mut self, bucket: Bucket, epoch: u16) {
        self.gates.set(bucket, Gate::Open(epoch));
    }

    /// This host does not own a bucket: what comes for its SAs is [`Discard::InboundGate`].
    pub fn close_gate(&mut self, bucket: Bucket) {
        self.gates.set(bucket, Gate::Closed);
    }

    /// This host has handed a bucket over: what still comes for its SAs is
    /// [`Discard::InboundElsewhere`], and the caller sends the datagram, untouched, to the new
    /// owner.
    pub fn hand_over_gate(&mut self, bucket: Bucket) {
        self.gates.set(bucket, Gate::Elsewhere);
    }

    /// Raises the ceiling of a strict SA, and sets the number from which on more is asked for.
    /// While the gate is closed the ceiling is only remembered: that is how a standby follows the
    /// owner.
    ///
    /// # Errors
    /// [`NotGranted`] when there is no such SA, or it is not strict.
    pub fn grant(
        &mut self,
        child: ChildId,
        ceiling: u64,
        refill_at: u64,
    ) -> Result<(), NotGranted> {
        let spi = self.by_id.get(&child);
        let sa = spi.and_then(|spi| self.sad.get_mut(*spi));
        let sa = sa.ok_or(NotGranted::UnknownSa(child))?;
        let gate = self.gates.get(sa.bucket());
        if let Gate::Open(epoch) = gate {
            sa.enter(epoch);
        }
        let strict = sa.strictness().ok_or(NotGranted::NotReserved(child))?;
        match gate {
            Gate::Open(_) => strict.grant(ceiling, refill_at),
            Gate::Closed | Gate::Elsewhere => strict.follow(ceiling),
        }
        Ok(())
    }

    /// A planned handover: the old owner has stopped, and its window was taken in with
    /// [`restore_window`](Self::restore_window). A strict SA goes on from there, whatever its
    /// ceiling was, so that nothing fresh is refused.
    ///
    /// # Errors
    /// [`NotGranted`] when there is no such SA, it is not strict, or the gate is open.
    pub fn set_exact(&mut self, child: ChildId) -> Result<(), NotGranted> {
        let spi = self.by_id.get(&child);
        let sa = spi.and_then(|spi| self.sad.get_mut(*spi));
        let sa = sa.ok_or(NotGranted::UnknownSa(child))?;
        if matches!(self.gates.get(sa.bucket()), Gate::Open(_)) {
            return Err(NotGranted::GateOpen(child));
        }
        let strict = sa.strictness().ok_or(NotGranted::NotReserved(child))?;
        strict.set_exact();
        Ok(())
    }

    /// The next strict SA that needs a higher ceiling.
    pub fn poll_refill(&mut self) -> Option<Refill> {
        while let Some(spi) = self.refills.pop() {
            let Some(sa) = self.sad.get_mut(spi) else {
                continue;
            };
            let (child, next, bucket) = (sa.id(), sa.next(), sa.bucket());
            let Some(waiting) = sa.strictness().map(Strict::ask) else {
                continue;
            };
            if matches!(self.gates.get(bucket), Gate::Open(_)) {
                return Some(Refill {
                    child,
                    next,
                    waiting,
                });
            }
        }
        None
    }

    /// Whether [`poll_refill`](Self::poll_refill) may have something.
    #[must_use]
    pub fn has_refills(&self) -> bool {
        !self.refills.is_empty()
    }

    /// Whether [`poll_windows`](Self::poll_windows) may have something.
    #[must_use]
    pub fn has_windows(&self) -> bool {
        !self.moved.is_empty()
    }

    /// Adds to `images` the windows that have moved since they were last asked for, at most `limit`
    /// of them, those that have waited longest first. The cost is that of the windows that moved.
    /// SAs of [`Bucket::HOST`] are nobody else's and never among them.
    pub fn poll_windows(&mut self, limit: usize, images: &mut Vec<(ChildId, WindowImage)>) {
        for _ in 0..limit {
            let Some(spi) = self.moved.pop() else {
                return;
            };
            if let Some(sa) = self.sad.get_mut(spi)
                && let Some(image) = sa.take_news()
            {
                images.push((sa.id(), image));
            }
        }
    }

    /// Takes in what the owner of an SA had seen. Windows never go back: what either has seen stays
    /// seen. Says whether there is such an SA.
    pub fn restore_window(&mut self, child: ChildId, image: &WindowImage) -> bool {
        let spi = self.by_id.get(&child);
        let sa = spi.and_then(|spi| self.sad.get_mut(*spi));
        sa.map(|sa| sa.restore(image)).is_some()
    }

    /// The next SA that has begun to count, with its counters: each once. One that is never used
    /// has none.
    pub fn poll_counting(&mut self) -> Option<Counting> {
        self.counting.pop()
    }

    /// The SA with this SPI.
    #[must_use]
    pub fn sa(&self, spi: u32) -> Option<&InboundSa> {
        self.sad.get(spi)
    }

    /// How many SAs are installed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sad.len()
    }

    /// Whether no SA is installed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sad.is_empty()
    }

    /// Takes in one ESP datagram: verifies and decrypts it where it lies in `buffer`, checks what
    /// was inside against the SA's selectors and adds it to the batch, joined with what it
    /// continues. The buffer must stay as it is until the batch has been written out.
    ///
    /// # Errors
    /// The [`Discard`] that applies; it is counted already.
    pub fn receive(
        &mut self,
        arrival: &Arrival,
        buffer: &mut [u8],
        now: u64,
        batch: &mut InboundBatch,
    ) -> Result<(), Discard> {
        let taken = self.take_in(arrival, buffer, now, batch);
        taken.inspect_err(|discard| self.counts.add(*discard))
    }

    /// The next SPI that a datagram asked for and no SA has. The same one is reported once per
    /// [`UNKNOWN_SPI_INTERVAL`].
    pub fn poll_unknown_spi(&mut self) -> Option<UnknownSpi> {
        self.unknown.poll()
    }

    /// The next datagram that came shortly before its SA was installed and was refused for that,
    /// to be [received](Self::receive) once more. To be asked for after an SA was installed.
    pub fn poll_early(&mut self, now: u64) -> Option<(Arrival, Vec<u8>)> {
        let sad = &self.sad;
        self.early.poll(now, |spi| sad.get(spi).is_some())
    }

    fn take_in(
        &mut self,
        arrival: &Arrival,
        buffer: &mut [u8],
        now: u64,
        batch: &mut InboundBatch,
    ) -> Result<(), Discard> {
        let datagram = buffer
            .get_mut(arrival.place.clone())
            .ok_or(Discard::InboundShort)?;
        let (header, _) = Header::parse(datagram).ok_or(Discard::InboundShort)?;
        let Some(sa) = self.sad.get_mut(header.spi) else {
            let Arrival {
                source,
                destination,
                ..
            } = *arrival;
            self.unknown.note(
                UnknownSpi {
                    spi: header.spi,
                    source,
                    destination,
                },
                now,
            );
            self.early.keep(header.spi, arrival, datagram, now);
            return Err(Discard::UnknownSpi);
        };
        if !sa.bucket().is_host() {
            match self.gates.get(sa.bucket()) {
                Gate::Open(epoch) => sa.enter(epoch),
                Gate::Closed => return Err(Discard::InboundGate),
                Gate::Elsewhere => return Err(Discard::InboundElsewhere),
            }
        }
        let opened = sa.open(datagram, now);
        if !sa.bucket().is_host() {
            note(sa, now, &mut self.moved, &mut self.refills);
        }
        if let Some(counters) = sa.begins() {
            let child = sa.id();
            self.counting.push(Counting { child, counters });
        }
        let payload = opened?;
        let inner = decapsulate(sa, datagram, payload, arrival.traffic_class)
            .inspect_err(|_| sa.count_dropped())?;
        if let (Some(claims), Some((_, party))) = (&mut self.claims, sa.party())
            && !claims.claim(&inner.flow, party, inner.brief, now)
        {
            sa.count_dropped();
            return Err(Discard::InboundShared);
        }
        let start = arrival.place.start;
        let place = start + inner.place.start..start + inner.place.end;
        batch.push(inner.header(), place, inner.intact, buffer);
        Ok(())
    }

    /// Makes room for every SA on the lists, so that no packet has to.
    fn make_room(&mut self, strict: bool) {
        let sad = &self.sad;
        let on = |spi, listed: fn(&InboundSa) -> bool| sad.get(spi).is_some_and(listed);
        self.moved
            .make_room(sad.len(), |spi| on(spi, InboundSa::is_listed));
        if strict {
            self.refills
                .make_room(sad.len(), |spi| on(spi, InboundSa::is_asking));
        }
    }
}

/// Puts an SA that has just been used on the lists on which it belongs.
fn note(sa: &mut InboundSa, now: u64, moved: &mut Due<u32>, refills: &mut Due<u32>) {
    let spi = sa.spi();
    if sa.is_news() {
        moved.push(spi);
    }
    let highest = sa.window().highest();
    if let Some(strict) = sa.strictness()
        && strict.asks(highest, now)
    {
        refills.push(spi);
    }
}
