//! The user-space data plane: two threads between the TUN device and the sockets.
//!
//! One thread owns every outbound SA, the other every inbound SA; nothing is shared on the packet
//! path, so nothing is locked there. The control thread gives orders through a channel.

mod inbound;
mod mailbox;
mod offload;
mod order;
mod outbound;
mod sockets;
mod telling;
mod usage;

use esp::{Counts, Discard, InboundSa, OutboundSa, Refill, Refusal, Sharing, WindowImage};
use ike::{Install, Outbound as When};
use linux::tun::{Tun, TunOptions};
use linux::{Error, Family};
use mailbox::Mailbox;
use order::{InboundOrder, Orders, OutboundOrder};
use policy::{AddressRange, Bucket, ChildId, Encapsulation, RuleName, Spd};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use usage::Book;
use wire::ip::Flow;

pub(crate) use sockets::{IKE_PORT, Sockets};
pub(crate) use usage::ChildUsage;

/// Reports that may wait for the control thread; what more there is of a flood is dropped.
const MAX_WAITING: usize = 4096;

/// What the plane tells the control thread.
pub(crate) enum Report {
    /// A packet waits for an SA.
    Acquire {
        /// The rule.
        rule: RuleName,
        /// The packet.
        flow: Flow,
    },
    /// ESP for an SA that is not here.
    UnknownSpi {
        /// Our address.
        local: IpAddr,
        /// Whence it came.
        remote: IpAddr,
        /// The SPI.
        spi: u32,
    },
    /// An outbound SA needs more sequence numbers.
    Refill(Refill),
    /// An inbound SA comes near the highest number that it may deliver.
    RefillInbound(Refill),
    /// Inbound windows have moved.
    Windows(Vec<(ChildId, WindowImage)>),
    /// The first packet from this address is sealed since a gate was opened.
    FirstSealed(IpAddr),
    /// The first packet of this bucket is opened since its gate was.
    FirstOpened(Bucket),
    /// The gate of a bucket is closed on the way out: where its SAs have stopped.
    Stopped {
        /// The bucket.
        bucket: Bucket,
        /// The next number of each.
        next: Vec<(ChildId, u64)>,
    },
    /// The gate of a bucket is closed on the way in: what its windows have come to.
    Passing {
        /// The bucket.
        bucket: Bucket,
        /// Those that have moved since they were told last.
        windows: Vec<(ChildId, WindowImage)>,
    },
    /// ESP for a bucket that is handed over.
    Stray {
        /// Whence it came.
        source: IpAddr,
        /// Our address.
        destination: IpAddr,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// A flow that came in is another peer's.
    Refused(Refusal),
    /// A worker had to end: the plane is dead.
    Failed(String),
}

/// What a plane is to be.
pub(crate) struct Settings {
    /// The TUN device's name.
    pub(crate) tun: String,
    /// The MTU of protected routes, in bytes.
    pub(crate) mtu: u32,
    /// The mark of the daemon's own packets.
    pub(crate) mark: u32,
    /// Whether inbound SAs of groups are strict.
    pub(crate) strict: bool,
    /// A test's wish, see [`crate::Options::sabotage_reservation`].
    pub(crate) sabotage: bool,
}

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

/// Where both directions of a bucket have stopped.
pub(crate) struct Closed {
    pub(crate) bucket: Bucket,
    pub(crate) next: Vec<(ChildId, u64)>,
    pub(crate) windows: Vec<(ChildId, WindowImage)>,
}

/// The control thread's side of the plane.
pub(crate) struct Plane {
    /// IKE messages that came in.
    pub(crate) mailbox: Mailbox,
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

impl Plane {
    /// Makes the TUN device, opens the sockets and starts the threads.
    ///
    /// # Errors
    /// A sentence: a port in use, no TUN, no permission.
    pub(crate) fn start(settings: &Settings) -> Result<(Self, mpsc::Receiver<Report>), Error> {
        let options = TunOptions {
            name: settings.tun.clone(),
            mtu: settings.mtu,
            multi_queue: false,
        };
        let tun = Arc::new(Tun::create(&options)?);
        let sockets = Arc::new(Sockets::open(settings.mark)?);
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
        };
        let threads = vec![
            spawn("hf-outbound", move || outbound.run())?,
            spawn("hf-inbound", move || inbound.run())?,
        ];
        let plane = Self {
            mailbox,
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
        Ok((plane, reports))
    }

    /// The TUN device's name.
    pub(crate) fn device(&self) -> &str {
        &self.device
    }

    /// The TUN device's interface index.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// The sockets, to send IKE from.
    pub(crate) fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// Puts a policy into force.
    pub(crate) fn set_policy(&self, spd: Arc<Spd>) {
        self.outbound.give(OutboundOrder::Policy(spd));
    }

    /// Installs a pair: the inbound SA at once, the outbound one when the peer is ready for it.
    /// [`rouse`](Self::rouse) must follow soon.
    ///
    /// # Errors
    /// When a key does not fit its algorithm, which a correct negotiation excludes.
    pub(crate) fn install(&mut self, install: &Install) -> Result<(), crypto::cipher::KeyError> {
        let (spec, bucket) = (&install.spec, install.bucket);
        // Both are looked at before either is installed; the workers make their own.
        InboundSa::new(Arc::clone(spec), bucket)?;
        let outbound = OutboundSa::new(Arc::clone(spec), bucket)?;
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

    /// Wakes the workers if orders were left for them.
    pub(crate) fn rouse(&self) {
        self.inbound.rouse();
        self.outbound.rouse();
    }

    /// Lets the outbound SA of a pair carry traffic.
    pub(crate) fn activate(&mut self, child: ChildId) {
        if let Some(Later { sa, granted }) = self.later.remove(&child) {
            self.outbound.give(OutboundOrder::Activate(sa));
            if let Some((ceiling, refill_at)) = granted {
                self.grant(child, ceiling, refill_at);
            }
        }
    }

    /// Lets the outbound SA of a pair use the numbers below a ceiling.
    pub(crate) fn grant(&mut self, child: ChildId, ceiling: u64, refill_at: u64) {
        match self.later.get_mut(&child) {
            Some(later) => later.granted = Some((ceiling, refill_at)),
            None => self.outbound.give(OutboundOrder::Grant {
                child,
                ceiling,
                refill_at,
            }),
        }
    }

    /// Lets the inbound SA of a pair deliver what has a number below a ceiling.
    pub(crate) fn grant_inbound(&self, child: ChildId, ceiling: u64, refill_at: u64) {
        self.inbound.give(InboundOrder::Grant {
            child,
            ceiling,
            refill_at,
        });
    }

    /// The owner of a pair has stopped before this number.
    pub(crate) fn set_exact(&mut self, child: ChildId, next: u64) {
        self.inbound.give(InboundOrder::Exact(child));
        match self.later.get_mut(&child) {
            // It has never sent.
            Some(later) => later.granted = None,
            None => self.outbound.give(OutboundOrder::Exact { child, next }),
        }
    }

    /// The owner of a pair has seen so much.
    pub(crate) fn restore_window(&self, child: ChildId, image: &[u8]) {
        if let Some((image, _)) = WindowImage::decode(image) {
            let image = Box::new(image);
            self.inbound.give(InboundOrder::Restore { child, image });
        }
    }

    /// This host owns a bucket.
    pub(crate) fn open_gate(&mut self, bucket: Bucket, epoch: u16) {
        self.closing.remove(&bucket);
        self.inbound.give(InboundOrder::OpenGate { bucket, epoch });
        self.outbound
            .give(OutboundOrder::OpenGate { bucket, epoch });
    }

    /// This host does not own a bucket any more. With `hand_over` both directions say where they
    /// have stopped, and what comes in is passed on.
    pub(crate) fn close_gate(&mut self, bucket: Bucket, hand_over: bool) {
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
    }

    /// One direction of a bucket has stopped; the answer when both have.
    pub(crate) fn stopped(
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

    /// Takes in a datagram that came to another member.
    pub(crate) fn inject(&self, source: IpAddr, destination: IpAddr, bytes: Vec<u8>) {
        self.inbound.give(InboundOrder::Inject {
            source,
            destination,
            bytes,
        });
    }

    /// The peer's address or ports have changed. An SA that still waits is told as well.
    pub(crate) fn redirect(
        &mut self,
        child: ChildId,
        remote: IpAddr,
        encapsulation: Encapsulation,
    ) {
        if let Some(later) = self.later.get_mut(&child) {
            later.sa.redirect(remote, encapsulation);
            return;
        }
        self.outbound.give(OutboundOrder::Redirect {
            child,
            remote,
            encapsulation,
        });
    }

    /// Leaves out sequence numbers of a pair's outbound SA, also of one that still waits.
    pub(crate) fn skip(&mut self, child: ChildId, delta: u64) {
        match self.later.get_mut(&child) {
            Some(Later { sa, .. }) => sa.advance_to(sa.next().saturating_add(delta)),
            None => self.outbound.give(OutboundOrder::Skip { child, delta }),
        }
    }

    /// Removes a pair.
    pub(crate) fn remove(&mut self, child: ChildId) {
        self.later.remove(&child);
        self.outbound.give(OutboundOrder::Remove(child));
        self.inbound.give(InboundOrder::Remove(child));
    }

    /// A negotiation failed for what goes to `remote`: what waits for it is dropped, or passes in
    /// clear for a while where the rule only requests protection.
    pub(crate) fn negotiation_failed(
        &self,
        rule: RuleName,
        remote: Vec<AddressRange>,
        clear: Duration,
    ) {
        self.outbound.give(OutboundOrder::Failed {
            rule,
            remote,
            clear,
        });
    }

    /// Pairs that have carried something since they were looked at last, with all they carried: of
    /// very many a part at a time, in turn.
    pub(crate) fn moved(&mut self) -> Vec<(ChildId, ChildUsage)> {
        self.book.moved()
    }

    /// Learns of the pairs that have been used for the first time since; before something is read.
    pub(crate) fn catch_up(&mut self) {
        self.book.catch_up();
    }

    /// What one pair has carried.
    pub(crate) fn usage_of(&self, child: ChildId) -> Option<ChildUsage> {
        self.book.usage_of(child)
    }

    /// How far a pair has come on its way out, and how fast.
    pub(crate) fn pace_of(&self, child: ChildId) -> Option<(u64, f64)> {
        self.book.pace_of(child)
    }

    /// What has been carried in all, by SAs that are and that were.
    pub(crate) fn totals(&self) -> usage::Totals {
        self.book.totals()
    }

    /// What was dropped, by reason; zeros are left out.
    pub(crate) fn discards(&self) -> Vec<(&'static str, u64)> {
        let counted = Discard::ALL
            .iter()
            .map(|discard| (discard.name(), self.counts.get(*discard)));
        counted.filter(|(_, count)| *count > 0).collect()
    }

    /// Ends the threads; the TUN device goes with them.
    pub(crate) fn stop(mut self) {
        self.outbound.give(OutboundOrder::Stop);
        self.inbound.give(InboundOrder::Stop);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|why| Error::other("start a thread of the data plane", why.to_string()))
}

/// Nanoseconds since the plane began, never 0: the plane's clock.
fn nanoseconds(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_nanos())
        .unwrap_or(u64::MAX)
        .saturating_add(1)
}

/// The family of an address, as an index into pairs of sockets.
fn family_index(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}
