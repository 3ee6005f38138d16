//! The thread of the kernel's plane: IKE from the sockets, news from the kernel.

use crate::plane::kernel::statistics;
use crate::plane::mailbox::Slot;
use crate::plane::sockets::{IKE_PORT, NATT_PORT};
use crate::plane::{Report, Sockets};
use linux::poll::{EventFd, Events, Interest, Poller};
use linux::raw::EspSocket;
use linux::udp::{SocketOptions, UdpSocket};
use linux::xfrm::{Event, SaId, XfrmMonitor};
use linux::{Family, Place, RecvBatch};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use wire::esp::{Header, UdpEncap, classify};

/// Datagrams received at once.
const SLOTS: usize = 32;
/// Events taken before they are told: of one SA only the last.
const MAX_EVENTS: usize = 4096;
/// How often the kernel's counters are looked at.
const TICK: Duration = Duration::from_millis(200);
/// How long ESP is looked at, once some came that has no SA.
const LOOK: Duration = Duration::from_millis(400);
/// Unknown SPIs that are told for one such look.
const MAX_UNKNOWN: usize = 64;
const STOP: u64 = 0;
const NEWS: u64 = 1;
/// The first token of the sockets of IKE.
const FIRST: u64 = 2;

/// What the thread is given.
pub(crate) struct Listener {
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) monitor: XfrmMonitor,
    pub(crate) report: mpsc::Sender<Report>,
    /// For IKE messages.
    pub(crate) mailbox: Slot,
    pub(crate) wake: Arc<EventFd>,
    pub(crate) stop: Arc<AtomicBool>,
}

/// ESP is looked at for a while. All of it comes here then, beside its way through the kernel.
struct Look {
    sockets: Vec<EspSocket>,
    until: Instant,
    seen: BTreeSet<u32>,
}

impl Listener {
    /// Works until it is told to stop.
    pub(crate) fn run(mut self) {
        if let Err(why) = self.work() {
            let text = format!("the thread that listens to the kernel's IPsec ended: {why}");
            let _ = self.report.blocking_send(Report::Failed(text));
        }
    }

    fn work(&mut self) -> io::Result<()> {
        let poller = Poller::new()?;
        poller.add(self.wake.as_ref(), STOP, Interest::Read)?;
        poller.add(&self.monitor, NEWS, Interest::Read)?;
        let sockets = Arc::clone(&self.sockets);
        let ike = sockets.ike.iter().map(|socket| (IKE_PORT, socket));
        let all = ike.chain(sockets.natt.iter().map(|socket| (NATT_PORT, socket)));
        let all: Vec<(u16, &UdpSocket)> = all
            .filter_map(|(port, socket)| Some((port, socket.as_ref()?)))
            .collect();
        for ((_, socket), token) in all.iter().zip(FIRST..) {
            poller.add(*socket, token, Interest::Read)?;
        }
        let mut events = Events::with_capacity(8);
        let mut received = RecvBatch::new(SLOTS);
        let (mut without_sa, mut looked) = (statistics::without_sa(), Instant::now());
        let mut look: Option<Look> = None;
        while !self.stop.load(Ordering::Acquire) {
            poller.wait(&mut events, Some(TICK))?;
            let _ = self.wake.clear();
            // News first: what an IKE message brings about must not find the past.
            self.news()?;
            for (port, socket) in &all {
                self.ike(*port, socket, &mut received);
            }
            if let Some(open) = &mut look {
                self.look_at(open, &mut received);
            }
            look = look.filter(|open| Instant::now() < open.until);
            if looked.elapsed() >= TICK {
                looked = Instant::now();
                let now = statistics::without_sa();
                if now > without_sa && look.is_none() {
                    look = Some(Look::begin());
                }
                without_sa = now;
            }
        }
        Ok(())
    }

    /// Tells what the kernel has told; of each SA that has moved the last word only.
    fn news(&mut self) -> io::Result<()> {
        let (mut told, mut moved) = (Vec::new(), BTreeMap::<SaId, Event>::new());
        for _ in 0..MAX_EVENTS {
            match self.monitor.next_event()? {
                Some(Event::Moved(event)) => {
                    moved.insert(event.id, Event::Moved(event));
                }
                Some(event) => told.push(event),
                None => break,
            }
        }
        told.extend(moved.into_values());
        if !told.is_empty() {
            let _ = self.report.blocking_send(Report::Kernel(told));
        }
        Ok(())
    }

    fn ike(&self, port: u16, socket: &UdpSocket, received: &mut RecvBatch) {
        if socket.receive(received).is_err() {
            return;
        }
        for index in 0..received.len() {
            let Some(place) = received.place(index) else {
                continue;
            };
            for datagram in datagrams(&place, received) {
                let message = match (port, classify(&datagram)) {
                    (IKE_PORT, _) => &datagram[..],
                    (_, UdpEncap::Ike(message)) => message,
                    // The kernel takes ESP and keepalives for itself.
                    _ => continue,
                };
                let local = SocketAddr::new(place.local, port);
                self.mailbox.put(local, place.remote, message);
            }
        }
        self.mailbox.wake();
    }

    fn look_at(&self, look: &mut Look, received: &mut RecvBatch) {
        for socket in &look.sockets {
            if socket.receive(received).is_err() {
                continue;
            }
            for datagram in received.iter() {
                let Some((Header { spi, .. }, _)) = Header::parse(datagram.bytes) else {
                    continue;
                };
                if look.seen.len() < MAX_UNKNOWN && look.seen.insert(spi) {
                    let (local, remote) = (datagram.local, datagram.remote.ip());
                    let report = Report::UnknownSpi { local, remote, spi };
                    let _ = self.report.try_send(report);
                }
            }
        }
    }
}

impl Look {
    fn begin() -> Self {
        let options = SocketOptions {
            buffer: 1 << 18,
            ..SocketOptions::default()
        };
        let open = |family| EspSocket::open(family, &options).ok();
        Look {
            sockets: Family::BOTH.into_iter().filter_map(open).collect(),
            until: Instant::now() + LOOK,
            seen: BTreeSet::new(),
        }
    }
}

/// The datagrams of a train.
fn datagrams(place: &Place, received: &mut RecvBatch) -> Vec<Vec<u8>> {
    let whole = received.buffer_mut().get(place.range.clone());
    let size = place.segment_size.max(1);
    let whole = whole.unwrap_or_default();
    whole.chunks(size).map(<[u8]>::to_vec).collect()
}
