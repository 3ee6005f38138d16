//! The way in: from an ESP datagram to packets for the host (RFC 4301 5.2, RFC 4303 3.4).

mod batch;
mod coalesce;
mod decapsulate;
mod sa;
mod segment;
mod unknown;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use policy::sa::ChildId;
use wire::esp::Header;

use crate::discard::{Counts, Discard};
use crate::sad::Sad;

pub use batch::{InboundBatch, Write};
pub use coalesce::MAX_PIECES;
pub use sa::{InboundSa, Payload};
pub use unknown::{UNKNOWN_SPI_INTERVAL, UnknownSpi};

use decapsulate::decapsulate;
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
pub struct Inbound {
    sad: Sad<InboundSa>,
    by_id: BTreeMap<ChildId, Vec<u32>>,
    unknown: UnknownSpis,
    counts: Arc<Counts>,
}

impl Inbound {
    /// A way in without SAs. Dropped packets are counted in `counts`.
    #[must_use]
    pub fn new(counts: Arc<Counts>) -> Self {
        Inbound {
            sad: Sad::new(),
            by_id: BTreeMap::new(),
            unknown: UnknownSpis::default(),
            counts,
        }
    }

    /// Installs an SA. One with the same SPI, which only we can have chosen, is replaced.
    pub fn install(&mut self, sa: InboundSa) {
        let (spi, id) = (sa.spi(), sa.id());
        if let Some(old) = self.sad.insert(spi, sa) {
            self.forget(old.id(), spi);
        }
        self.by_id.entry(id).or_default().push(spi);
    }

    /// Removes every inbound SA of a pair. Says whether there was one.
    pub fn remove(&mut self, id: ChildId) -> bool {
        let spis = self.by_id.remove(&id).unwrap_or_default();
        spis.iter().filter_map(|spi| self.sad.remove(*spi)).count() > 0
    }

    /// Removes the SA with this SPI. Says whether there was one.
    pub fn remove_spi(&mut self, spi: u32) -> bool {
        let removed = self.sad.remove(spi);
        if let Some(sa) = &removed {
            self.forget(sa.id(), spi);
        }
        removed.is_some()
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
            return Err(Discard::UnknownSpi);
        };
        let payload = sa.open(datagram, now)?;
        let inner = decapsulate(sa, datagram, payload, arrival.traffic_class)
            .inspect_err(|_| sa.count_dropped())?;
        let start = arrival.place.start;
        let place = start + inner.place.start..start + inner.place.end;
        batch.push(inner.header(), place, inner.intact, buffer);
        Ok(())
    }

    fn forget(&mut self, id: ChildId, spi: u32) {
        if let Some(spis) = self.by_id.get_mut(&id) {
            spis.retain(|other| *other != spi);
            if spis.is_empty() {
                self.by_id.remove(&id);
            }
        }
    }
}
