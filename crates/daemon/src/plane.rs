//! The user-space data plane: two threads between the TUN device and the sockets.
//!
//! One thread owns every outbound SA, the other every inbound SA; nothing is shared on the packet
//! path, so nothing is locked there. The control thread gives orders through a channel.

mod inbound;
mod offload;
mod order;
mod outbound;
mod sockets;
mod usage;

use esp::{Counts, Discard, InboundSa, OutboundSa};
use ike::{Install, Outbound as When};
use linux::tun::{Tun, TunOptions};
use linux::{Error, Family};
use order::{InboundOrder, Orders, OutboundOrder};
use policy::{AddressRange, ChildId, Encapsulation, RuleName, Spd};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use usage::Book;
use wire::ip::Flow;

pub(crate) use sockets::{IKE_PORT, Sockets};
pub(crate) use usage::ChildUsage;

/// IKE datagrams that may wait for the control thread; the rest of a flood is dropped.
const MAX_WAITING: usize = 4096;

/// What the plane tells the control thread.
pub(crate) enum Report {
    /// An IKE message, without a marker.
    Ike {
        /// Where it arrived.
        local: SocketAddr,
        /// Whence it came.
        remote: SocketAddr,
        /// The message.
        bytes: Vec<u8>,
    },
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
}

/// The control thread's side of the plane.
pub(crate) struct Plane {
    outbound: Orders<OutboundOrder>,
    inbound: Orders<InboundOrder>,
    threads: Vec<JoinHandle<()>>,
    counts: Arc<Counts>,
    book: Book,
    /// Outbound SAs that wait until the peer is ready for them.
    later: BTreeMap<ChildId, OutboundSa>,
    sockets: Arc<Sockets>,
    begun: Instant,
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
        let (report, reports) = mpsc::channel(MAX_WAITING);
        let begun = Instant::now();
        let (outbound_orders, outbound_queue) = order::channel()?;
        let (inbound_orders, inbound_queue) = order::channel()?;
        let (device, index) = (tun.name().to_owned(), tun.index());
        let outbound = outbound::Worker {
            tun: Arc::clone(&tun),
            sockets: Arc::clone(&sockets),
            orders: outbound_queue,
            report: report.clone(),
            counts: Arc::clone(&counts),
            begun,
        };
        let inbound = inbound::Worker {
            tun,
            sockets: Arc::clone(&sockets),
            orders: inbound_queue,
            report,
            counts: Arc::clone(&counts),
            begun,
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
            book: Book::default(),
            later: BTreeMap::new(),
            sockets,
            begun,
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
    ///
    /// # Errors
    /// When a key does not fit its algorithm, which a correct negotiation excludes.
    pub(crate) fn install(&mut self, install: &Install) -> Result<(), crypto::cipher::KeyError> {
        let spec = &install.spec;
        let inbound = InboundSa::new(spec)?;
        // The user-space plane of one host has one epoch; takeover will count further.
        let outbound = OutboundSa::new(spec, 0)?;
        self.book
            .enter(spec, inbound.counters(), outbound.counters(), self.begun);
        self.inbound.give(InboundOrder::Install(Box::new(inbound)));
        match install.outbound {
            When::Now => self
                .outbound
                .give(OutboundOrder::Install(Box::new(outbound))),
            When::Later => {
                self.later.insert(spec.id, outbound);
            }
        }
        Ok(())
    }

    /// Lets the outbound SA of a pair carry traffic.
    pub(crate) fn activate(&mut self, child: ChildId) {
        if let Some(outbound) = self.later.remove(&child) {
            self.outbound
                .give(OutboundOrder::Install(Box::new(outbound)));
        }
    }

    /// The peer's address or ports have changed. An SA that still waits is told as well.
    pub(crate) fn redirect(
        &mut self,
        child: ChildId,
        remote: IpAddr,
        encapsulation: Encapsulation,
    ) {
        if let Some(outbound) = self.later.get_mut(&child) {
            outbound.redirect(remote, encapsulation);
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
            Some(outbound) => outbound.advance_to(outbound.next().saturating_add(delta)),
            None => self.outbound.give(OutboundOrder::Skip { child, delta }),
        }
    }

    /// Removes a pair.
    pub(crate) fn remove(&mut self, child: ChildId) {
        self.later.remove(&child);
        self.book.strike(child);
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

    /// The pairs that have carried something since this was asked last, with all they carried.
    pub(crate) fn moved(&mut self) -> Vec<(ChildId, ChildUsage)> {
        self.book.moved()
    }

    /// What one pair has carried.
    pub(crate) fn usage_of(&self, child: ChildId) -> Option<ChildUsage> {
        self.book.usage_of(child)
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
