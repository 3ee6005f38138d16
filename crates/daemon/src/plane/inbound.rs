//! The inbound worker: from the sockets through the inbound SAs to the TUN device.

use crate::plane::mailbox::Slot;
use crate::plane::order::{InboundOrder, Queue};
use crate::plane::sockets::{IKE_PORT, NATT_PORT};
use crate::plane::stream::{Read, Readers, room};
use crate::plane::telling::Telling;
use crate::plane::usage::{Begun, Way};
use crate::plane::{Report, Sockets, nanoseconds, offload};
use esp::{Arrival, Counts, Discard, Inbound, InboundBatch, InboundSa, Sharing};
use linux::icmp::IcmpSocket;
use linux::poll::{Events, Interest, Poller};
use linux::raw::EspSocket;
use linux::tun::{MAX_SLICES, Tun};
use linux::udp::UdpSocket;
use linux::{Place, RecvBatch};
use policy::{Bucket, ChildId, Transport};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use wire::esp::{Header, Piece, UdpEncap, classify};
use wire::ip::icmp::TooBig;

/// Datagrams, or trains of them, received at once.
const SLOTS: usize = 64;
/// Receives from one socket before the others have their turn.
const BUDGET: usize = 4;
/// Unknown SPIs reported within [`UNKNOWN_WINDOW`]: a restarted node meets each of its peers once
/// a second, a flood meets this bound.
const MAX_UNKNOWN: u32 = 256;
const UNKNOWN_WINDOW: Duration = Duration::from_secs(1);
/// The token of the orders; sockets have the smaller ones.
const ORDERS: u64 = 8;
/// The token of the TCP connection of number 0.
const STREAMS: u64 = 16;
/// What routers say within [`UNKNOWN_WINDOW`] that is handed on.
const MAX_SAID: u32 = 64;

/// What the thread is given.
pub(crate) struct Worker {
    pub(crate) tun: Arc<Tun>,
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) orders: Queue<InboundOrder>,
    pub(crate) report: mpsc::Sender<Report>,
    /// For IKE messages.
    pub(crate) mailbox: Slot,
    pub(crate) counting: Begun,
    pub(crate) counts: Arc<Counts>,
    pub(crate) sharing: Arc<Sharing>,
    pub(crate) begun: Instant,
    pub(crate) poller: Poller,
}

/// A socket, by what comes through it.
enum Source<'a> {
    Ike(&'a UdpSocket),
    Natt(&'a UdpSocket),
    Esp(&'a EspSocket),
    Icmp(&'a IcmpSocket),
}

/// What opens packets, and what comes of them.
struct Core {
    inbound: Inbound,
    batch: InboundBatch,
    /// Buckets that are handed over: what comes for them is passed on.
    passing: [bool; Bucket::COUNT],
    /// Buckets whose gate is open and of which nothing was opened since; whether there is any.
    fresh: [bool; Bucket::COUNT],
    any_fresh: bool,
}

/// What the thread works with.
struct Work {
    core: Core,
    received: RecvBatch,
    /// Unknown SPIs reported since `window` began.
    unknown: u32,
    window: Instant,
    /// What routers have said since `heard`.
    said: u32,
    heard: Instant,
    /// Packets that were another peer's, when refusals were last told.
    refused: u64,
    /// The TCP connections, and where their octets are read.
    streams: Readers,
    /// In which of them the last packet of a pair came.
    came_in: BTreeMap<ChildId, u64>,
    octets: Vec<u8>,
    /// Whether the control thread has not been told of IKE messages yet.
    mail: bool,
    telling: Telling,
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
        let poller = &self.poller;
        poller.add(self.orders.wake.as_ref(), ORDERS, Interest::Read)?;
        for (token, source) in (0..ORDERS).filter_map(|token| Some((token, self.source(token)?))) {
            match source {
                Source::Ike(socket) | Source::Natt(socket) => {
                    poller.add(socket, token, Interest::Read)?;
                }
                Source::Esp(socket) => poller.add(socket, token, Interest::Read)?,
                Source::Icmp(socket) => poller.add(socket, token, Interest::Read)?,
            }
        }
        let mut events = Events::with_capacity(64);
        let mut inbound = Inbound::new(Arc::clone(&self.counts));
        inbound.share(Arc::clone(&self.sharing));
        let mut work = Work {
            core: Core {
                inbound,
                batch: InboundBatch::new(),
                passing: [false; Bucket::COUNT],
                fresh: [false; Bucket::COUNT],
                any_fresh: false,
            },
            received: RecvBatch::new(SLOTS),
            unknown: 0,
            window: self.begun,
            said: 0,
            heard: self.begun,
            refused: 0,
            streams: Readers::default(),
            came_in: BTreeMap::new(),
            octets: Vec::new(),
            mail: false,
            telling: Telling::new(self.begun),
        };
        loop {
            poller.wait(&mut events, work.telling.wait(&work.core.inbound))?;
            let _ = self.orders.wake.clear();
            if !self.obey(&mut work)? {
                return Ok(());
            }
            for ready in events.iter() {
                if let Some(number) = ready.token.checked_sub(STREAMS) {
                    self.drain_stream(number, &mut work)?;
                } else if let Some(source) = self.source(ready.token) {
                    self.drain(&source, &mut work)?;
                }
            }
            self.tell(&mut work);
        }
    }

    /// Tells of SAs that have begun to count, of windows that have moved, and of strict SAs that
    /// need higher ceilings.
    fn tell(&self, work: &mut Work) {
        while let Some(counting) = work.core.inbound.poll_counting() {
            let _ = self.counting.send((Way::In, counting));
        }
        work.telling.tell(&mut work.core.inbound, &self.report);
        let refused = self.counts.get(Discard::InboundShared);
        if std::mem::replace(&mut work.refused, refused) != refused {
            while let Some(refusal) = self.sharing.poll_refusal() {
                let _ = self.report.try_send(Report::Refused(refusal));
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
            6 => sockets.icmp[0].as_ref().map(Source::Icmp),
            7 => sockets.icmp[1].as_ref().map(Source::Icmp),
            _ => None,
        }
    }

    /// Receives from one socket while there is something, up to the budget.
    fn drain(&self, source: &Source<'_>, work: &mut Work) -> io::Result<()> {
        for _ in 0..BUDGET {
            let received = match source {
                Source::Ike(socket) | Source::Natt(socket) => socket.receive(&mut work.received),
                Source::Esp(socket) => socket.receive(&mut work.received),
                Source::Icmp(socket) => socket.receive(&mut work.received),
            };
            match received {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // An ICMP error that belongs to an earlier send: nothing to do with receiving.
                Err(_) => continue,
            }
            // An SA is installed before the message that lets the peer use it leaves, so it is
            // installed before what has just been received was sent.
            if !self.obey(work)? {
                return Ok(());
            }
            for index in 0..work.received.len() {
                if let Some(place) = work.received.place(index) {
                    self.take(source, &place, work);
                }
            }
            if std::mem::take(&mut work.mail) {
                self.mailbox.wake();
            }
            self.write_out(work)?;
            self.report_unknown(work);
        }
        Ok(())
    }

    /// Hands on what a router says, which the outbound worker may believe.
    fn too_big(&self, said: TooBig, work: &mut Work) {
        if work.heard.elapsed() >= UNKNOWN_WINDOW {
            (work.heard, work.said) = (Instant::now(), 0);
        }
        work.said = work.said.saturating_add(1);
        if work.said <= MAX_SAID {
            let _ = self.report.try_send(Report::TooBig(said));
        }
    }

    /// A flood of invented SPIs must not keep IKE's own messages out of the control thread.
    fn report_unknown(&self, work: &mut Work) {
        while let Some(unknown) = work.core.inbound.poll_unknown_spi() {
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
                Source::Ike(_) => {
                    work.mail = true;
                    self.ike(IKE_PORT, place, datagram);
                }
                Source::Esp(_) => self.esp_in_datagram(place, start..end, work),
                Source::Icmp(_) => {
                    if let Some(said) = TooBig::parse(place.local.is_ipv6(), datagram) {
                        self.too_big(said, work);
                    }
                }
                Source::Natt(_) => match classify(datagram) {
                    UdpEncap::Esp(_) => self.esp_in_datagram(place, start..end, work),
                    UdpEncap::Ike(message) => {
                        work.mail = true;
                        self.ike(NATT_PORT, place, message);
                    }
                    UdpEncap::Keepalive | UdpEncap::Malformed => {}
                },
            }
            start = end;
        }
    }

    fn esp_in_datagram(&self, place: &Place, range: std::ops::Range<usize>, work: &mut Work) {
        let arrival = Arrival {
            source: place.remote.ip(),
            destination: place.local,
            traffic_class: place.traffic_class,
            place: range,
        };
        self.esp(arrival, work.received.buffer_mut(), &mut work.core);
    }

    /// Opens a packet; whether it was valid.
    fn esp(&self, arrival: Arrival, buffer: &mut [u8], core: &mut Core) -> bool {
        let now = nanoseconds(self.begun);
        if passes(&core.passing, buffer.get(arrival.place.clone())) {
            let bytes = buffer.get(arrival.place).unwrap_or_default().to_vec();
            let (source, destination) = (arrival.source, arrival.destination);
            // More than the link can take is lost, as on any other way.
            let _ = self.report.try_send(Report::Stray {
                source,
                destination,
                bytes,
            });
            return false;
        }
        let bucket = bucket_of(buffer.get(arrival.place.clone()));
        // Why one was refused is counted where it was refused.
        let taken = core.inbound.receive(&arrival, buffer, now, &mut core.batch);
        if core.any_fresh && taken.is_ok() {
            self.first_opened(bucket, core);
        }
        taken.is_ok()
    }

    /// A packet of an SA came in this TCP connection; whether the one before did too.
    fn heard(&self, number: u64, spi: Option<u32>, work: &mut Work) {
        let sa = spi.and_then(|spi| work.core.inbound.sa(spi));
        let Some(child) = sa.map(InboundSa::id) else {
            return;
        };
        if work.came_in.get(&child) != Some(&number) {
            let report = Report::StreamHeard { number, child };
            if self.report.try_send(report).is_ok() {
                work.came_in.insert(child, number);
            }
        }
    }

    /// Reads from one TCP connection while there is something, up to the budget. The octets are
    /// read to where those of all connections are, so that a silent one keeps nothing.
    fn drain_stream(&self, number: u64, work: &mut Work) -> io::Result<()> {
        let Some(mut read) = work.streams.take(number) else {
            return Ok(());
        };
        let mut octets = std::mem::take(&mut work.octets);
        if octets.is_empty() {
            octets = room();
        }
        let drained = self.drain_into(&mut read, &mut octets, work);
        work.octets = octets;
        if read.stream.has_ended() {
            let _ = self.report.try_send(Report::StreamEnded(number));
        }
        work.streams.put(read, &self.poller);
        drained
    }

    fn drain_into(&self, read: &mut Read, octets: &mut [u8], work: &mut Work) -> io::Result<()> {
        for _ in 0..BUDGET {
            let length = match read.fill(octets) {
                Ok(Some(length)) => length,
                Ok(None) => return Ok(()),
                Err(_) => {
                    read.stream.end();
                    return Ok(());
                }
            };
            // As for datagrams: what was ordered before it was sent is in force before it is read.
            if !self.obey(work)? {
                return Ok(());
            }
            let octets = octets.get_mut(..length).unwrap_or_default();
            if !self.take_stream(read, octets, work) {
                read.stream.end();
            }
            if std::mem::take(&mut work.mail) {
                self.mailbox.wake();
            }
            self.write(&mut work.core.batch, octets)?;
            self.report_unknown(work);
            if read.stream.has_ended() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes the messages that have come in full, and keeps the rest. Says whether the connection
    /// may go on: not if nobody can tell where its next message begins.
    fn take_stream(&self, read: &mut Read, octets: &mut [u8], work: &mut Work) -> bool {
        let ends = read.stream.ends;
        let mut at = 0;
        loop {
            let rest = octets.get(at..).unwrap_or_default();
            let message = match read.framing.next(rest) {
                Ok(Piece::Prefix(length)) => {
                    at += length;
                    continue;
                }
                Ok(Piece::Message(message)) => at + message.start..at + message.end,
                Ok(Piece::Part(_)) => {
                    read.keep(rest);
                    return true;
                }
                Err(_) => return false,
            };
            at = message.end;
            match classify(octets.get(message.clone()).unwrap_or_default()) {
                UdpEncap::Ike(bytes) => {
                    work.mail = true;
                    let (local, remote) = (ends.local, ends.remote);
                    if !self.mailbox.put_by(Transport::Tcp, local, remote, bytes) {
                        return false;
                    }
                }
                UdpEncap::Esp(packet) => {
                    let spi = Header::parse(packet).map(|(header, _)| header.spi);
                    let arrival = Arrival {
                        source: ends.remote.ip(),
                        destination: ends.local.ip(),
                        traffic_class: 0,
                        place: message,
                    };
                    if self.esp(arrival, octets, &mut work.core) {
                        self.heard(read.stream.number, spi, work);
                    }
                }
                UdpEncap::Keepalive => {}
                UdpEncap::Malformed => return false,
            }
        }
    }

    /// A packet of this bucket was opened; whether it is the first since the gate was.
    fn first_opened(&self, bucket: Option<Bucket>, core: &mut Core) {
        if let Some(bucket) = bucket
            && core.fresh[usize::from(bucket.0)]
        {
            set(&mut core.fresh, bucket, false);
            core.any_fresh = core.fresh.contains(&true);
            let _ = self.report.try_send(Report::FirstOpened(bucket));
        }
    }

    /// Takes in what came shortly before the SA that was just installed.
    fn take_early(&self, work: &mut Work) -> io::Result<()> {
        let now = nanoseconds(self.begun);
        while let Some((arrival, bytes)) = work.core.inbound.poll_early(now) {
            self.inject(&arrival, bytes, work)?;
        }
        Ok(())
    }

    /// Takes in a datagram that came to another member, or before its SA.
    fn inject(&self, arrival: &Arrival, mut bytes: Vec<u8>, work: &mut Work) -> io::Result<()> {
        let now = nanoseconds(self.begun);
        let mut batch = InboundBatch::new();
        let bucket = bucket_of(Some(&bytes));
        let taken = work
            .core
            .inbound
            .receive(arrival, &mut bytes, now, &mut batch);
        if taken.is_ok() {
            self.first_opened(bucket, &mut work.core);
        }
        self.write(&mut batch, &bytes)
    }

    fn ike(&self, port: u16, place: &Place, message: &[u8]) {
        let local = SocketAddr::new(place.local, port);
        self.mailbox.put(local, place.remote, message);
    }

    fn write_out(&self, work: &mut Work) -> io::Result<()> {
        self.write(&mut work.core.batch, work.received.buffer_mut())
    }

    fn write(&self, batch: &mut InboundBatch, buffer: &[u8]) -> io::Result<()> {
        batch.finish();
        for write in batch.writes() {
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
        batch.clear();
        Ok(())
    }

    /// What comes for the bucket is passed on from now on, and its windows are told.
    fn hand_over(&self, bucket: Bucket, core: &mut Core) {
        core.inbound.hand_over_gate(bucket);
        set(&mut core.passing, bucket, true);
        let mut windows = Vec::new();
        core.inbound.poll_windows(usize::MAX, &mut windows);
        let _ = self
            .report
            .blocking_send(Report::Passing { bucket, windows });
    }

    /// Carries out what was ordered; false when the end was.
    fn obey(&self, work: &mut Work) -> io::Result<bool> {
        loop {
            let inbound = &mut work.core.inbound;
            match self.orders.next() {
                Ok(None) => return Ok(true),
                Ok(Some(InboundOrder::Install {
                    spec,
                    bucket,
                    strict,
                })) => {
                    // Its keys fit: that was seen before the order was given.
                    if let Ok(sa) = InboundSa::new(spec, bucket) {
                        inbound.install(if strict { sa.strict() } else { sa });
                    }
                    self.take_early(work)?;
                }
                Ok(Some(InboundOrder::Remove(child))) => {
                    inbound.remove(child);
                    work.came_in.remove(&child);
                }
                Ok(Some(InboundOrder::Grant {
                    child,
                    ceiling,
                    refill_at,
                })) => {
                    // What is refused belongs to a pair that has just gone.
                    let _ = inbound.grant(child, ceiling, refill_at);
                }
                Ok(Some(InboundOrder::Exact(child))) => {
                    // Only a strict SA wants to know.
                    let _ = inbound.set_exact(child);
                }
                Ok(Some(InboundOrder::Restore { child, image })) => {
                    inbound.restore_window(child, &image);
                }
                Ok(Some(InboundOrder::OpenGate { bucket, epoch })) => {
                    inbound.open_gate(bucket, epoch);
                    set(&mut work.core.passing, bucket, false);
                    set(&mut work.core.fresh, bucket, true);
                    work.core.any_fresh = true;
                }
                Ok(Some(InboundOrder::CloseGate(bucket))) => {
                    inbound.close_gate(bucket);
                    set(&mut work.core.passing, bucket, false);
                }
                Ok(Some(InboundOrder::HandOver(bucket))) => self.hand_over(bucket, &mut work.core),
                Ok(Some(InboundOrder::Inject {
                    source,
                    destination,
                    bytes,
                })) => {
                    let arrival = Arrival {
                        source,
                        destination,
                        traffic_class: 0,
                        place: 0..bytes.len(),
                    };
                    self.inject(&arrival, bytes, work)?;
                }
                Ok(Some(InboundOrder::Connect(stream))) => {
                    work.streams.add(stream, &self.poller, STREAMS);
                }
                Ok(Some(InboundOrder::Disconnect(number))) => {
                    work.streams.remove(number, &self.poller);
                }
                Ok(Some(InboundOrder::Stop)) | Err(()) => return Ok(false),
            }
        }
    }
}

fn set(buckets: &mut [bool; Bucket::COUNT], bucket: Bucket, to: bool) {
    buckets[usize::from(bucket.0)] = to;
}

/// The bucket of a datagram: the top octet of an SPI of a group is its bucket, so that this is
/// known of SAs which are no longer here as well.
fn bucket_of(datagram: Option<&[u8]>) -> Option<Bucket> {
    datagram?.first().map(|octet| Bucket(*octet))
}

/// Whether a datagram is for a bucket that is handed over.
fn passes(passing: &[bool; Bucket::COUNT], datagram: Option<&[u8]>) -> bool {
    bucket_of(datagram).is_some_and(|bucket| passing[usize::from(bucket.0)])
}
