//! The outbound worker: from the TUN device through the outbound SAs to the sockets.

use crate::plane::order::{OutboundOrder, Queue, StreamOrder};
use crate::plane::sockets::Outer;
use crate::plane::stream::{Ends, Writers};
use crate::plane::usage::{Begun, Way};
use crate::plane::{Report, Sockets, nanoseconds, offload};
use esp::{Counts, Discard, Offload, Outbound, OutboundBatch, OutboundSa, Path, Sharing};
use linux::poll::{Events, Interest, Poller};
use linux::tun::{MAX_READ, Tun, VirtioNetHeader};
use policy::{Bucket, Encapsulation, Spd};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const TUN: u64 = 0;
const ORDERS: u64 = 1;
/// Room in TCP connections that had none.
const STREAMS: u64 = 2;
/// Packets read before orders are looked at again.
const BUDGET: usize = 64;
/// A batch is sent when this much is in it: one super-packet of the largest size and a bit.
const BATCH_BYTES: usize = 128 * 1024;
/// How often what waits too long is dropped.
const TICK: Duration = Duration::from_secs(1);
/// How long a bucket that is handed over may still send, once nothing new comes in: what its
/// services were about to answer is answered.
const LAST_WORDS: Duration = Duration::from_millis(5);

/// How long after one question about a link another is asked, in nanoseconds.
const ASK_AGAIN: u64 = 20_000_000;

/// Addresses of which the first packet is told after a gate was opened: more than groups have.
const MAX_FRESH: usize = 64;

/// What the thread is given.
pub(crate) struct Worker {
    pub(crate) tun: Arc<Tun>,
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) orders: Queue<OutboundOrder>,
    pub(crate) report: mpsc::Sender<Report>,
    pub(crate) counting: Begun,
    pub(crate) counts: Arc<Counts>,
    pub(crate) sharing: Arc<Sharing>,
    pub(crate) begun: Instant,
    pub(crate) sabotage: bool,
    /// The paths that were told last, and the hosts behind them.
    pub(crate) told: RefCell<(BTreeMap<IpAddr, u16>, BTreeMap<IpAddr, u16>)>,
    /// The TCP connections.
    pub(crate) streams: RefCell<Writers>,
    pub(crate) poller: Poller,
    /// When it was last asked what a link takes.
    pub(crate) asked: Cell<u64>,
    /// Since a gate was opened: the addresses from which something was sealed.
    pub(crate) fresh: RefCell<Option<Vec<IpAddr>>>,
}

impl Worker {
    /// Works until it is told to stop.
    pub(crate) fn run(self) {
        if let Err(why) = self.work() {
            let text = format!("the outbound worker ended: {why}");
            let _ = self.report.blocking_send(Report::Failed(text));
        }
    }

    fn work(&self) -> io::Result<()> {
        let poller = &self.poller;
        poller.add(self.tun.as_ref(), TUN, Interest::Read)?;
        poller.add(self.orders.wake.as_ref(), ORDERS, Interest::Read)?;
        let mut events = Events::with_capacity(16);
        let mut outbound = Outbound::new(Arc::new(Spd::default()), Arc::clone(&self.counts));
        outbound.share(Arc::clone(&self.sharing));
        if self.sabotage {
            outbound.sabotage_reservation();
        }
        let mut batch = OutboundBatch::new(BATCH_BYTES);
        let mut buffer = vec![0; MAX_READ];
        let mut tick = self.begun;
        let mut closing: Vec<(Instant, Bucket)> = Vec::new();
        loop {
            let next = closing.iter().map(|(at, _)| *at).min();
            let wait = next.map_or(TICK, |at| at.saturating_duration_since(Instant::now()));
            poller.wait(&mut events, Some(wait.min(TICK)))?;
            let _ = self.orders.wake.clear();
            if events.iter().any(|ready| ready.token == STREAMS) {
                self.streams.borrow_mut().flush(poller, STREAMS);
            }
            if !self.obey(&mut outbound, &mut batch, &mut closing) {
                return Ok(());
            }
            for (_, bucket) in closing.extract_if(.., |(at, _)| *at <= Instant::now()) {
                self.close_gate(&mut outbound, bucket, &mut batch);
            }
            self.flush(&mut batch);
            self.carry(&mut outbound, &mut batch, &mut buffer)?;
            self.tell_senders(&mut outbound);
            while let Some(counting) = outbound.poll_counting() {
                let _ = self.counting.send((Way::Out, counting));
            }
            while let Some(refill) = outbound.poll_refill() {
                // When nobody listens, it is asked for again while packets wait.
                let _ = self.report.try_send(Report::Refill(refill));
            }
            while let Some(acquire) = outbound.poll_acquire() {
                let report = Report::Acquire {
                    rule: acquire.rule,
                    flow: acquire.flow,
                };
                // When nobody listens, the packets time out, as the next ones will ask again.
                let _ = self.report.try_send(report);
            }
            if tick.elapsed() >= TICK {
                tick = Instant::now();
                outbound.handle_timeout(nanoseconds(self.begun));
                self.tell_paths(&outbound);
            }
        }
    }

    /// Reads packets while there are any, up to the budget, and sends what comes of them.
    fn carry(
        &self,
        outbound: &mut Outbound,
        batch: &mut OutboundBatch,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        for _ in 0..BUDGET {
            let length = match self.tun.read(buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let read = buffer.get(..length).unwrap_or_default();
            let decoded = VirtioNetHeader::decode(read)
                .and_then(|(header, packet)| Some((offload::from_kernel(&header)?, packet)));
            let Some((offload, packet)) = decoded else {
                self.counts.add(Discard::OutboundOffload);
                continue;
            };
            outbound.send(packet, &offload, nanoseconds(self.begun), batch);
            if batch.is_full() {
                self.flush(batch);
            }
        }
        self.flush(batch);
        Ok(())
    }

    /// Carries out what was ordered; false when the end was.
    fn obey(
        &self,
        outbound: &mut Outbound,
        batch: &mut OutboundBatch,
        closing: &mut Vec<(Instant, Bucket)>,
    ) -> bool {
        loop {
            let now = nanoseconds(self.begun);
            match self.orders.next() {
                Ok(None) => return true,
                Ok(Some(OutboundOrder::Stop)) | Err(()) => return false,
                Ok(Some(OutboundOrder::Install { spec, bucket, age })) => {
                    // Its keys fit: that was seen before the order was given.
                    if let Ok(sa) = OutboundSa::new(spec, bucket) {
                        outbound.install_aged(sa, age, now, batch);
                    }
                }
                Ok(Some(OutboundOrder::Activate(sa))) => outbound.install(*sa, now, batch),
                Ok(Some(OutboundOrder::Remove(child))) => {
                    outbound.remove(child);
                }
                Ok(Some(OutboundOrder::Redirect {
                    child,
                    between,
                    encapsulation,
                })) => {
                    outbound.redirect(child, between, encapsulation);
                }
                Ok(Some(OutboundOrder::Grant {
                    child,
                    ceiling,
                    refill_at,
                })) => {
                    // What is refused belongs to a pair that has just gone.
                    let _ = outbound.grant(child, ceiling, refill_at, now, batch);
                }
                Ok(Some(OutboundOrder::Exact { child, next })) => {
                    let _ = outbound.set_exact(child, next);
                }
                Ok(Some(OutboundOrder::OpenGate { bucket, epoch })) => {
                    closing.retain(|(_, other)| *other != bucket);
                    outbound.open_gate(bucket, epoch);
                    self.fresh.replace(Some(Vec::new()));
                }
                Ok(Some(OutboundOrder::CloseGate { bucket, tell: true })) => {
                    closing.push((Instant::now() + LAST_WORDS, bucket));
                }
                Ok(Some(OutboundOrder::CloseGate { bucket, .. })) => {
                    closing.retain(|(_, other)| *other != bucket);
                    outbound.close_gate(bucket);
                }
                Ok(Some(OutboundOrder::Skip { child, delta })) => {
                    outbound.skip(child, delta);
                }
                Ok(Some(OutboundOrder::TooBig(said))) => {
                    let news = outbound.too_big(&said, now);
                    self.path_changed(news, said.remote, said.mtu, outbound);
                }
                Ok(Some(OutboundOrder::PathMtu { remote, mtu })) => {
                    let news = outbound.set_path_mtu(remote, mtu, now);
                    self.path_changed(news, remote, mtu, outbound);
                }
                Ok(Some(OutboundOrder::Policy(spd))) => outbound.set_policy(spd, now, batch),
                Ok(Some(OutboundOrder::Failed {
                    rule,
                    remote,
                    clear,
                })) => {
                    let until = after(now, clear);
                    outbound.negotiation_failed(&rule, &remote, until, now, batch);
                }
                Ok(Some(OutboundOrder::Stream(order))) => self.obey_stream(order),
            }
        }
    }

    /// Carries out what was ordered about a TCP connection.
    fn obey_stream(&self, order: StreamOrder) {
        let mut streams = self.streams.borrow_mut();
        match order {
            StreamOrder::Connect(stream) => streams.add(stream, &self.poller, STREAMS),
            StreamOrder::Disconnect { ends, number } => {
                streams.remove(ends, number, &self.poller);
            }
            StreamOrder::Ike { ends, message } => {
                streams.send_ike(ends, &message, &self.poller, STREAMS);
            }
        }
    }

    /// What was sealed before leaves before the word that nothing more does.
    fn close_gate(&self, outbound: &mut Outbound, bucket: Bucket, batch: &mut OutboundBatch) {
        outbound.close_gate(bucket);
        self.flush(batch);
        let next = outbound.next_of(bucket);
        let _ = self.report.blocking_send(Report::Stopped { bucket, next });
    }

    /// Asks what the link takes, but not for each datagram that did not fit.
    fn too_long(&self, remote: IpAddr) {
        let now = nanoseconds(self.begun);
        if now >= self.asked.get().saturating_add(ASK_AGAIN) {
            self.asked.set(now);
            let _ = self.report.try_send(Report::TooLong { remote });
        }
    }

    fn path_changed(&self, is_news: bool, remote: IpAddr, mtu: u32, outbound: &Outbound) {
        if is_news {
            let _ = self.report.try_send(Report::Path { remote, mtu });
            self.tell_paths(outbound);
        }
    }

    /// Tells of the paths that take less than their link, when these are others than before, or
    /// other hosts are behind them.
    fn tell_paths(&self, outbound: &Outbound) {
        let known: BTreeMap<IpAddr, u16> = outbound.paths().collect();
        let told = (known, outbound.narrow_hosts());
        if *self.told.borrow() == told {
            return;
        }
        let (known, hosts) = told.clone();
        if self.report.try_send(Report::Paths { known, hosts }).is_ok() {
            *self.told.borrow_mut() = told;
        }
    }

    /// Hands the host what its senders are told.
    fn tell_senders(&self, outbound: &mut Outbound) {
        let header = offload::to_kernel(&Offload::NONE);
        while let Some(packet) = outbound.poll_told() {
            // One that is lost is told again.
            let _ = self.tun.write_vectored(&header, &[&packet]);
        }
    }

    /// Tells of the first packet from each address since a gate was opened.
    fn first_sealed(&self, path: &Path) {
        let mut fresh = self.fresh.borrow_mut();
        if let (Some(seen), Path::Esp { local, .. }) = (&mut *fresh, path)
            && !seen.contains(local)
        {
            seen.push(*local);
            let _ = self.report.try_send(Report::FirstSealed(*local));
            if seen.len() == MAX_FRESH {
                *fresh = None;
            }
        }
    }

    /// A stream that is full takes no more, as a link would, and cuts what it takes by itself.
    fn send_in_stream(&self, ends: Ends, bytes: &[u8], size: usize) -> bool {
        let mut streams = self.streams.borrow_mut();
        let dropped = streams.send_esp(ends, bytes, size, &self.poller, STREAMS);
        self.counts.add_many(Discard::OutboundStream, dropped);
        true
    }

    fn flush(&self, batch: &mut OutboundBatch) {
        for (run, bytes) in batch.runs() {
            self.first_sealed(&run.path);
            match run.path {
                Path::Esp {
                    local,
                    remote,
                    encapsulation,
                    traffic_class,
                    dont_fragment,
                } => {
                    let outer = Outer {
                        traffic_class,
                        dont_fragment,
                    };
                    let (sockets, size) = (&self.sockets, run.segment_size);
                    let fits = match encapsulation {
                        Encapsulation::None => sockets.send_esp(local, remote, bytes, size, outer),
                        Encapsulation::Udp { remote_port, .. } => {
                            let to = SocketAddr::new(remote, remote_port);
                            sockets.send_esp_in_udp(local, to, bytes, size, outer)
                        }
                        Encapsulation::Tcp {
                            local_port,
                            remote_port,
                        } => {
                            let local = SocketAddr::new(local, local_port);
                            let remote = SocketAddr::new(remote, remote_port);
                            self.send_in_stream(Ends { local, remote }, bytes, size)
                        }
                    };
                    if !fits {
                        self.too_long(remote);
                    }
                }
                Path::Clear { destination } => {
                    for packet in bytes.chunks(run.segment_size.max(1)) {
                        self.sockets.send_clear(destination, packet);
                    }
                }
            }
        }
        batch.clear();
    }
}

/// The moment after a time, on the plane's clock.
fn after(now: u64, time: Duration) -> u64 {
    let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    now.saturating_add(time)
}
