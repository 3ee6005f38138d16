//! The inbound worker: from the sockets through the inbound SAs to the TUN device.

use crate::plane::order::{InboundOrder, Queue};
use crate::plane::sockets::{IKE_PORT, NATT_PORT};
use crate::plane::{Report, Sockets, nanoseconds, offload};
use esp::{Arrival, Counts, Inbound, InboundBatch};
use linux::poll::{Events, Interest, Poller};
use linux::raw::EspSocket;
use linux::tun::{MAX_SLICES, Tun};
use linux::udp::UdpSocket;
use linux::{Place, RecvBatch};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use wire::esp::{UdpEncap, classify};

/// Datagrams, or trains of them, received at once.
const SLOTS: usize = 64;
/// Receives from one socket before the others have their turn.
const BUDGET: usize = 4;
/// Unknown SPIs reported within [`UNKNOWN_WINDOW`]: a restarted node meets each of its peers once
/// a second, a flood meets this bound.
const MAX_UNKNOWN: u32 = 256;
const UNKNOWN_WINDOW: Duration = Duration::from_secs(1);
/// The token of the orders; sockets have the smaller ones.
const ORDERS: u64 = 6;

/// What the thread is given.
pub(crate) struct Worker {
    pub(crate) tun: Arc<Tun>,
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) orders: Queue<InboundOrder>,
    pub(crate) report: mpsc::Sender<Report>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) begun: Instant,
}

/// A socket, by what comes through it.
enum Source<'a> {
    Ike(&'a UdpSocket),
    Natt(&'a UdpSocket),
    Esp(&'a EspSocket),
}

/// What the thread works with.
struct Work {
    inbound: Inbound,
    received: RecvBatch,
    batch: InboundBatch,
    /// Unknown SPIs reported since `window` began.
    unknown: u32,
    window: Instant,
}

impl Worker {
    /// Works until it is told to stop.
    pub(crate) fn run(self) {
        if let Err(why) = self.work() {
            let text = format!("the inbound worker ended: {why}");
            let _ = self.report.blocking_send(Report::Failed(text));
        }
    }

    fn work(&self) -> io::Result<()> {
        let poller = Poller::new()?;
        poller.add(self.orders.wake.as_ref(), ORDERS, Interest::Read)?;
        for (token, source) in (0..ORDERS).filter_map(|token| Some((token, self.source(token)?))) {
            match source {
                Source::Ike(socket) | Source::Natt(socket) => {
                    poller.add(socket, token, Interest::Read)?;
                }
                Source::Esp(socket) => poller.add(socket, token, Interest::Read)?,
            }
        }
        let mut events = Events::with_capacity(8);
        let mut work = Work {
            inbound: Inbound::new(Arc::clone(&self.counts)),
            received: RecvBatch::new(SLOTS),
            batch: InboundBatch::new(),
            unknown: 0,
            window: self.begun,
        };
        loop {
            poller.wait(&mut events, None)?;
            let _ = self.orders.wake.clear();
            if !self.obey(&mut work.inbound) {
                return Ok(());
            }
            for ready in events.iter() {
                if let Some(source) = self.source(ready.token) {
                    self.drain(&source, &mut work)?;
                }
            }
        }
    }

    fn source(&self, token: u64) -> Option<Source<'_>> {
        let sockets = &self.sockets;
        match token {
            0 => sockets.natt[0].as_ref().map(Source::Natt),
            1 => sockets.natt[1].as_ref().map(Source::Natt),
            2 => sockets.esp[0].as_ref().map(Source::Esp),
            3 => sockets.esp[1].as_ref().map(Source::Esp),
            4 => sockets.ike[0].as_ref().map(Source::Ike),
            5 => sockets.ike[1].as_ref().map(Source::Ike),
            _ => None,
        }
    }

    /// Receives from one socket while there is something, up to the budget.
    fn drain(&self, source: &Source<'_>, work: &mut Work) -> io::Result<()> {
        for _ in 0..BUDGET {
            let received = match source {
                Source::Ike(socket) | Source::Natt(socket) => socket.receive(&mut work.received),
                Source::Esp(socket) => socket.receive(&mut work.received),
            };
            match received {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // An ICMP error that belongs to an earlier send: nothing to do with receiving.
                Err(_) => continue,
            }
            // An SA is installed before the message that lets the peer use it leaves, so it is
            // installed before what has just been received was sent.
            if !self.obey(&mut work.inbound) {
                return Ok(());
            }
            for index in 0..work.received.len() {
                if let Some(place) = work.received.place(index) {
                    self.take(source, &place, work);
                }
            }
            self.write_out(work)?;
            self.report_unknown(work);
        }
        Ok(())
    }

    /// A flood of invented SPIs must not keep IKE's own messages out of the control thread.
    fn report_unknown(&self, work: &mut Work) {
        while let Some(unknown) = work.inbound.poll_unknown_spi() {
            if work.window.elapsed() >= UNKNOWN_WINDOW {
                work.window = Instant::now();
                work.unknown = 0;
            }
            if work.unknown >= MAX_UNKNOWN {
                continue;
            }
            work.unknown += 1;
            let _ = self.report.try_send(Report::UnknownSpi {
                local: unknown.destination,
                remote: unknown.source,
                spi: unknown.spi,
            });
        }
    }

    fn take(&self, source: &Source<'_>, place: &Place, work: &mut Work) {
        let segment = place.segment_size.max(1);
        let mut start = place.range.start;
        while start < place.range.end {
            let end = start.saturating_add(segment).min(place.range.end);
            let datagram = work
                .received
                .buffer_mut()
                .get(start..end)
                .unwrap_or_default();
            match source {
                Source::Ike(_) => self.ike(IKE_PORT, place, datagram),
                Source::Esp(_) => self.esp(place, start..end, work),
                Source::Natt(_) => match classify(datagram) {
                    UdpEncap::Esp(_) => self.esp(place, start..end, work),
                    UdpEncap::Ike(message) => self.ike(NATT_PORT, place, message),
                    UdpEncap::Keepalive | UdpEncap::Malformed => {}
                },
            }
            start = end;
        }
    }

    fn esp(&self, place: &Place, range: std::ops::Range<usize>, work: &mut Work) {
        let arrival = Arrival {
            source: place.remote.ip(),
            destination: place.local,
            traffic_class: 0,
            place: range,
        };
        let now = nanoseconds(self.begun);
        // Why one was refused is counted where it was refused.
        let _ = work
            .inbound
            .receive(&arrival, work.received.buffer_mut(), now, &mut work.batch);
    }

    /// A flood that the control thread cannot follow is dropped here: IKE sends again.
    fn ike(&self, port: u16, place: &Place, message: &[u8]) {
        let _ = self.report.try_send(Report::Ike {
            local: SocketAddr::new(place.local, port),
            remote: place.remote,
            bytes: message.to_vec(),
        });
    }

    fn write_out(&self, work: &mut Work) -> io::Result<()> {
        work.batch.finish();
        let buffer = &*work.received.buffer_mut();
        for write in work.batch.writes() {
            let mut slices: [&[u8]; MAX_SLICES] = [&[]; MAX_SLICES];
            let mut used = 1;
            slices[0] = write.header();
            for (slice, piece) in slices.iter_mut().skip(1).zip(write.pieces()) {
                *slice = buffer.get(piece.clone()).unwrap_or_default();
                used += 1;
            }
            let header = offload::to_kernel(write.offload());
            match self
                .tun
                .write_vectored(&header, slices.get(..used).unwrap_or_default())
            {
                Ok(_) => {}
                // The kernel does not want this packet; it has counted it.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        work.batch.clear();
        Ok(())
    }

    /// Carries out what was ordered; false when the end was.
    fn obey(&self, inbound: &mut Inbound) -> bool {
        loop {
            match self.orders.next() {
                Ok(None) => return true,
                Ok(Some(InboundOrder::Install(sa))) => inbound.install(*sa),
                Ok(Some(InboundOrder::Remove(child))) => {
                    inbound.remove(child);
                }
                Ok(Some(InboundOrder::Stop)) | Err(()) => return false,
            }
        }
    }
}
