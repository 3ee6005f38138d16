//! The user-space data plane: two threads between the TUN device and the sockets.
//!
//! One thread owns every outbound SA, the other every inbound SA; nothing is shared on the packet
//! path, so nothing is locked there. The control thread gives orders through a channel.

use crate::plane::order::{self, InboundOrder, Orders, OutboundOrder, StreamOrder};
use crate::plane::usage::{Book, Totals};
use crate::plane::{
    ChildUsage, Closed, DataPlane, Ends, KernelEvent, MAX_WAITING, Mailbox, Opened, Report,
    Settings, Sockets, Stream, inbound, outbound,
};
use esp::{Counts, Discard, InboundSa, OutboundSa, Sharing, WindowImage};
use ike::{Install, Outbound as When};
use linux::Error;
use linux::poll::Poller;
use linux::tun::{Tun, TunOptions};
use policy::{AddressRange, Bucket, ChildId, Encapsulation, RuleName, Spd};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use wire::ip::icmp::TooBig;

/// An outbound SA that waits.
struct Later {
    sa: Box<OutboundSa>,
    /// Ceiling, and where to ask for more.
    granted: Option<(u64, u64)>,
}

/// A gate that closes for a handover: what each direction has said.
#[derive(Default)]
struct Closing {
    next: Option<Vec<(ChildId, u64)>>,
    windows: Option<Vec<(ChildId, WindowImage)>>,
}

/// The control thread's side of the plane.
pub(crate) struct UserPlane {
    outbound: Orders<OutboundOrder>,
    inbound: Orders<InboundOrder>,
    threads: Vec<JoinHandle<()>>,
    counts: Arc<Counts>,
    book: Book,
    /// Outbound SAs that wait until the peer is ready for them, each with what it was granted.
    later: BTreeMap<ChildId, Later>,
    /// What the workers have said of gates that close for a handover.
    closing: BTreeMap<Bucket, Closing>,
    /// Whether inbound SAs of groups never deliver anything twice, whoever owns the group.
    strict: bool,
    sockets: Arc<Sockets>,
    device: String,
    index: u32,
}

impl UserPlane {
    /// Makes the TUN device, opens the sockets and starts the threads.
    ///
    /// # Errors
    /// A sentence: a port in use, no TUN, no permission.
    pub(crate) fn start(settings: &Settings) -> Result<Opened, Error> {
        let options = TunOptions {
            name: settings.tun.clone(),
            mtu: settings.mtu,
            multi_queue: false,
        };
        let tun = Arc::new(Tun::create(&options)?);
        let sockets = Arc::new(Sockets::open(settings.mark, false)?);
        let counts = Arc::new(Counts::new());
        let sharing = Arc::new(Sharing::new());
        let (report, reports) = mpsc::channel(MAX_WAITING);
        let (mailbox, slot) = Mailbox::new();
        let begun = Instant::now();
        let (book, counting) = Book::new(begun);
        let (outbound_orders, outbound_queue) = order::channel()?;
        let (inbound_orders, inbound_queue) = order::channel()?;
        let (device, index) = (tun.name().to_owned(), tun.index());
        let outbound = outbound::Worker {
            sabotage: settings.sabotage,
            fresh: RefCell::new(None),
            told: RefCell::default(),
            asked: Cell::new(0),
            streams: RefCell::default(),
            poller: poller()?,
            tun: Arc::clone(&tun),
            sockets: Arc::clone(&sockets),
            orders: outbound_queue,
            report: report.clone(),
            counting: counting.clone(),
            counts: Arc::clone(&counts),
            sharing: Arc::clone(&sharing),
            begun,
        };
        let inbound = inbound::Worker {
            tun,
            sockets: Arc::clone(&sockets),
            orders: inbound_queue,
            report,
            mailbox: slot,
            counting,
            counts: Arc::clone(&counts),
            sharing,
            begun,
            poller: poller()?,
        };
        let threads = vec![
            spawn("hf-outbound", move || outbound.run())?,
            spawn("hf-inbound", move || inbound.run())?,
        ];
        let plane = Self {
            outbound: outbound_orders,
            inbound: inbound_orders,
            threads,
            counts,
            book,
            later: BTreeMap::new(),
            closing: BTreeMap::new(),
            strict: settings.strict,
            sockets,
            device,
            index,
        };
        Ok(Opened {
            plane: Box::new(plane),
            reports,
            mailbox,
        })
    }
}

impl DataPlane for UserPlane {
    fn device(&self) -> Option<(&str, u32)> {
        Some((&self.device, self.index))
    }

    fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    fn knows(&self, _: u32) -> bool {
        false
    }

    fn set_policy(&mut self, spd: Arc<Spd>) -> Result<(), Error> {
        self.outbound.give(OutboundOrder::Policy(spd));
        Ok(())
    }

    fn install(&mut self, install: &Install) -> Result<(), String> {
        let (spec, bucket) = (&install.spec, install.bucket);
        // Both are looked at before either is installed; the workers make their own.
        InboundSa::new(Arc::clone(spec), bucket).map_err(|why| why.to_string())?;
        let outbound = OutboundSa::new(Arc::clone(spec), bucket).map_err(|why| why.to_string())?;
        let spec = Arc::clone(spec);
        self.inbound.leave(InboundOrder::Install {
            spec: Arc::clone(&spec),
            bucket,
            strict: self.strict && !bucket.is_host(),
        });
        match install.outbound {
            When::Now => {
                let age = install.age;
                self.outbound
                    .leave(OutboundOrder::Install { spec, bucket, age });
            }
            When::Later => {
                let later = Later {
                    sa: Box::new(outbound),
                    granted: None,
                };
                self.later.insert(spec.id, later);
            }
        }
        Ok(())
    }

    fn rouse(&self) {
        self.inbound.rouse();
        self.outbound.rouse();
    }

    fn activate(&mut self, child: ChildId) {
        if let Some(Later { sa, granted }) = self.later.remove(&child) {
            self.outbound.give(OutboundOrder::Activate(sa));
            if let Some((ceiling, refill_at)) = granted {
                self.grant(child, ceiling, refill_at);
            }
        }
    }

    fn grant(&mut self, child: ChildId, ceiling: u64, refill_at: u64) {
        match self.later.get_mut(&child) {
            Some(later) => later.granted = Some((ceiling, refill_at)),
            None => self.outbound.give(OutboundOrder::Grant {
                child,
                ceiling,
                refill_at,
            }),
        }
    }

    fn grant_inbound(&mut self, child: ChildId, ceiling: u64, refill_at: u64) {
        self.inbound.give(InboundOrder::Grant {
            child,
            ceiling,
            refill_at,
        });
    }

    fn set_exact(&mut self, child: ChildId, next: u64) {
        self.inbound.give(InboundOrder::Exact(child));
        match self.later.get_mut(&child) {
            // It has never sent.
            Some(later) => later.granted = None,
            None => self.outbound.give(OutboundOrder::Exact { child, next }),
        }
    }

    fn restore_window(&mut self, child: ChildId, image: &[u8]) {
        if let Some((image, _)) = WindowImage::decode(image) {
            let image = Box::new(image);
            self.inbound.give(InboundOrder::Restore { child, image });
        }
    }

    fn open_gate(&mut self, bucket: Bucket, epoch: u16) {
        self.closing.remove(&bucket);
        self.inbound.give(InboundOrder::OpenGate { bucket, epoch });
        self.outbound
            .give(OutboundOrder::OpenGate { bucket, epoch });
    }

    fn close_gate(&mut self, bucket: Bucket, hand_over: bool) -> Option<Closed> {
        let tell = hand_over;
        self.outbound
            .give(OutboundOrder::CloseGate { bucket, tell });
        match hand_over {
            true => {
                self.closing.insert(bucket, Closing::default());
                self.inbound.give(InboundOrder::HandOver(bucket));
            }
            false => {
                self.closing.remove(&bucket);
                self.inbound.give(InboundOrder::CloseGate(bucket));
            }
        }
        None
    }

    fn stopped(
        &mut self,
        bucket: Bucket,
        next: Option<Vec<(ChildId, u64)>>,
        windows: Option<Vec<(ChildId, WindowImage)>>,
    ) -> Option<Closed> {
        let closing = self.closing.get_mut(&bucket)?;
        closing.next = next.or(closing.next.take());
        closing.windows = windows.or(closing.windows.take());
        let both = closing.next.is_some() && closing.windows.is_some();
        if !both {
            return None;
        }
        let closing = self.closing.remove(&bucket)?;
        Some(Closed {
            bucket,
            next: closing.next?,
            windows: closing.windows?,
        })
    }

    fn inject(&mut self, source: IpAddr, destination: IpAddr, bytes: Vec<u8>) {
        self.inbound.give(InboundOrder::Inject {
            source,
            destination,
            bytes,
        });
    }

    fn redirect(
        &mut self,
        child: ChildId,
        between: (IpAddr, IpAddr),
        encapsulation: Encapsulation,
    ) {
        if let Some(later) = self.later.get_mut(&child) {
            later.sa.redirect(between.0, between.1, encapsulation);
            return;
        }
        self.outbound.give(OutboundOrder::Redirect {
            child,
            between,
            encapsulation,
        });
    }

    fn skip(&mut self, child: ChildId, delta: u64) {
        match self.later.get_mut(&child) {
            Some(Later { sa, .. }) => sa.advance_to(sa.next().saturating_add(delta)),
            None => self.outbound.give(OutboundOrder::Skip { child, delta }),
        }
    }

    fn too_big(&self, said: TooBig) {
        self.outbound.give(OutboundOrder::TooBig(said));
    }

    fn set_path_mtu(&self, remote: IpAddr, mtu: u32) {
        self.outbound.give(OutboundOrder::PathMtu { remote, mtu });
    }

    fn remove(&mut self, child: ChildId) {
        self.later.remove(&child);
        self.outbound.give(OutboundOrder::Remove(child));
        self.inbound.give(InboundOrder::Remove(child));
    }

    fn negotiation_failed(&mut self, rule: RuleName, remote: Vec<AddressRange>, clear: Duration) {
        self.outbound.give(OutboundOrder::Failed {
            rule,
            remote,
            clear,
        });
    }

    fn connect(&mut self, stream: &Arc<Stream>) {
        self.inbound.give(InboundOrder::Connect(Arc::clone(stream)));
        let order = StreamOrder::Connect(Arc::clone(stream));
        self.outbound.give(OutboundOrder::Stream(order));
    }

    fn disconnect(&mut self, stream: &Stream) {
        let (ends, number) = (stream.ends, stream.number);
        self.inbound.give(InboundOrder::Disconnect(number));
        let order = StreamOrder::Disconnect { ends, number };
        self.outbound.give(OutboundOrder::Stream(order));
    }

    fn send_in_stream(&mut self, ends: Ends, message: Vec<u8>) {
        let order = StreamOrder::Ike { ends, message };
        self.outbound.give(OutboundOrder::Stream(order));
    }

    fn settle(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn take_in(&mut self, _: Vec<KernelEvent>) -> Vec<Report> {
        Vec::new()
    }

    fn moved(&mut self) -> Vec<(ChildId, ChildUsage)> {
        self.book.moved()
    }

    fn catch_up(&mut self) {
        self.book.catch_up();
    }

    fn usage_of(&self, child: ChildId) -> Option<ChildUsage> {
        self.book.usage_of(child)
    }

    fn pace_of(&self, child: ChildId) -> Option<(u64, f64)> {
        self.book.pace_of(child)
    }

    fn totals(&self) -> Totals {
        self.book.totals()
    }

    fn discards(&self) -> Vec<(String, u64)> {
        let counted = Discard::ALL
            .iter()
            .map(|discard| (discard.name().to_owned(), self.counts.get(*discard)));
        counted.filter(|(_, count)| *count > 0).collect()
    }

    fn stop(mut self: Box<Self>) {
        self.outbound.give(OutboundOrder::Stop);
        self.inbound.give(InboundOrder::Stop);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn poller() -> Result<Poller, Error> {
    Poller::new().map_err(|why| Error::other("make a poller for a worker", why.to_string()))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|why| Error::other("start a thread of the data plane", why.to_string()))
}
