//! The data plane in the kernel (XFRM): SAs and policies by netlink, no packet comes here.
//!
//! A pair is installed in the kernel only while this host may use it: a standby's kernel knows
//! nothing of the SAs that it holds for others. The ceiling of an outbound SA is its hard limit of
//! packets, and a survivor's SA begins at the ceiling that it knows.

mod book;
mod claims;
mod lines;
mod listener;
mod news;
mod number;
mod pair;
mod probe;
mod sas;
mod slots;
mod statistics;
#[cfg(test)]
mod tests;

use crate::plane::usage::Totals;
use crate::plane::{
    ChildUsage, Closed, DataPlane, Ends, KernelEvent, MAX_WAITING, Mailbox, Opened, Report,
    Settings, Sockets, Stream,
};
use book::Book;
use claims::Claims;
use esp::WindowImage;
use ike::{Install, Outbound as When};
use linux::Error;
use linux::poll::EventFd;
use linux::xfrm::{Acquire, SaId, Xfrm, XfrmMonitor};
use listener::Listener;
use pair::{Pair, Way};
use policy::{AddressRange, Bucket, ChildId, Encapsulation, RuleName, Spd};
use slots::Slots;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use wire::ip::icmp::TooBig;

pub(crate) use probe::obstacle;

/// Packets that wait for SAs in the kernel, of which this is known.
const MAX_WAITS: usize = 4096;
/// How long after it has refused a policy the kernel is asked again.
const RETRY: Duration = Duration::from_secs(2);
/// With this set the kernel drops the packets that wait for an SA instead of keeping them.
const LARVAL_DROP: &str = "/proc/sys/net/core/xfrm_larval_drop";

/// The control thread's side of it.
pub(crate) struct KernelPlane {
    door: Xfrm,
    sockets: Arc<Sockets>,
    mark: u32,
    /// Whether SAs are offered to the devices that their packets use.
    offload: bool,
    spd: Arc<Spd>,
    claims: Claims,
    /// When the kernel has refused a policy last.
    refused: Option<Instant>,
    slots: Slots,
    pairs: BTreeMap<ChildId, Pair>,
    /// The SAs that are in the kernel.
    sas: BTreeMap<SaId, (ChildId, Way)>,
    /// Those of them that tell of each packet, until they have told of the first.
    loud: BTreeSet<SaId>,
    /// All SPIs of ours, in the kernel or not.
    spis: BTreeMap<u32, ChildId>,
    /// Buckets that this host owns, each with its epoch.
    open: BTreeMap<Bucket, u16>,
    /// Of these nothing was sealed since the gate was opened; of these nothing was opened.
    unsealed: BTreeSet<Bucket>,
    unopened: BTreeSet<Bucket>,
    /// Pairs whose outbound SA has come to its ceiling, or has none.
    starved: BTreeSet<ChildId>,
    waits: VecDeque<Acquire>,
    book: Book,
    report: mpsc::Sender<Report>,
    wake: Arc<EventFd>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// Removes what a daemon with a plane in the kernel left on this host.
///
/// # Errors
/// A sentence.
pub(crate) fn remove_leftovers() -> Result<(), Error> {
    // Without XFRM there is nothing.
    let Ok(mut door) = Xfrm::open() else {
        return Ok(());
    };
    remove_sas(&mut door)?;
    for policy in door.policies()? {
        if number::is_ours(policy.index) {
            door.delete_policy(&policy)?;
        }
    }
    Ok(())
}

fn remove_sas(door: &mut Xfrm) -> Result<(), Error> {
    for sa in door.sas()? {
        if number::is_ours(sa.reqid) {
            door.delete_sa(sa.id, sa.source, sa.mark)?;
        }
    }
    Ok(())
}

impl KernelPlane {
    /// Opens the sockets, takes away the SAs of a daemon before this one, and begins to listen.
    /// Its policies stay until others take their place.
    ///
    /// # Errors
    /// A sentence: a port in use, no XFRM, no permission.
    pub(crate) fn start(settings: &Settings) -> Result<Opened, Error> {
        let sockets = Arc::new(Sockets::open(settings.mark, true)?);
        let mut door = Xfrm::open()?;
        remove_sas(&mut door)?;
        let left = door.policies()?;
        let left = left.into_iter().filter(|one| number::is_ours(one.index));
        let claims = Claims::new(left);
        // Where it cannot be set, the first packets of a flow are lost and sent again.
        let _ = std::fs::write(LARVAL_DROP, "0");
        let (report, reports) = mpsc::channel(MAX_WAITING);
        let (mailbox, slot) = Mailbox::new();
        let wake = EventFd::new()
            .map_err(|why| Error::other("make a wake-up for a thread", why.to_string()))?;
        let (wake, stop) = (Arc::new(wake), Arc::new(AtomicBool::new(false)));
        let listener = Listener {
            sockets: Arc::clone(&sockets),
            monitor: XfrmMonitor::open()?,
            report: report.clone(),
            mailbox: slot,
            wake: Arc::clone(&wake),
            stop: Arc::clone(&stop),
        };
        let thread = std::thread::Builder::new()
            .name("hf-kernel".to_owned())
            .spawn(move || listener.run())
            .map_err(|why| Error::other("start a thread of the data plane", why.to_string()))?;
        let plane = Self {
            door,
            sockets,
            mark: settings.mark,
            offload: settings.offload,
            spd: Arc::new(Spd::default()),
            claims,
            refused: None,
            slots: Slots::new(),
            pairs: BTreeMap::new(),
            sas: BTreeMap::new(),
            loud: BTreeSet::new(),
            spis: BTreeMap::new(),
            open: BTreeMap::from([(Bucket::HOST, 0)]),
            unsealed: BTreeSet::new(),
            unopened: BTreeSet::new(),
            starved: BTreeSet::new(),
            waits: VecDeque::new(),
            book: Book::new(Instant::now()),
            report,
            wake,
            stop,
            thread,
        };
        Ok(Opened {
            plane: Box::new(plane),
            reports,
            mailbox,
        })
    }
}

impl DataPlane for KernelPlane {
    fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    fn device(&self) -> Option<(&str, u32)> {
        None
    }

    fn knows(&self, spi: u32) -> bool {
        self.spis.contains_key(&spi)
    }

    fn set_policy(&mut self, spd: Arc<Spd>) -> Result<(), Error> {
        self.claims.clear();
        for (place, claim) in lines::exemptions(self.mark) {
            self.claims.add(place, claim);
        }
        for (place, claim) in lines::to_ourselves(&spd) {
            self.claims.add(place, claim);
        }
        for (number, entry) in spd.entries().iter().enumerate() {
            for (place, claim) in lines::of_line(&spd, entry, number) {
                self.claims.add(place, claim);
            }
        }
        self.slots.claim_all(&spd, &mut self.claims);
        self.spd = spd;
        self.refused = None;
        self.settle()
    }

    fn install(&mut self, install: &Install) -> Result<(), String> {
        let spec = &install.spec;
        if matches!(spec.encapsulation, Encapsulation::Tcp { .. }) {
            let why = "its peer came to another member by TCP, which the kernel's plane does not \
                       carry";
            return Err(why.to_owned());
        }
        let slot = self.slots.enter(spec, (spec.local, spec.remote))?;
        let pair = Pair::new(Arc::clone(spec), install.bucket, slot);
        let child = pair.child();
        self.spis.insert(spec.inbound_spi, child);
        self.pairs.insert(child, pair);
        self.bring_up(child, Way::In)
            .map_err(|error| error.to_string())?;
        if install.outbound == When::Now {
            self.start_sending(child)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn rouse(&self) {}

    fn activate(&mut self, child: ChildId) {
        let started = self.start_sending(child);
        self.complain(started);
    }

    fn grant(&mut self, child: ChildId, ceiling: u64, refill_at: u64) {
        let granted = self.take_grant(child, ceiling, refill_at);
        self.complain(granted);
    }

    fn grant_inbound(&mut self, _: ChildId, _: u64, _: u64) {}

    fn set_exact(&mut self, child: ChildId, next: u64) {
        if let Some(pair) = self.pairs.get_mut(&child)
            && !self.open.contains_key(&pair.bucket)
        {
            pair.set_exact(next);
        }
    }

    fn restore_window(&mut self, child: ChildId, image: &[u8]) {
        let Some((image, _)) = WindowImage::decode(image) else {
            return;
        };
        let Some(pair) = self.pairs.get_mut(&child) else {
            return;
        };
        let newer = |known: &WindowImage| image.highest() >= known.highest();
        if pair.window.as_ref().is_none_or(newer) {
            pair.window = Some(image);
        }
    }

    fn open_gate(&mut self, bucket: Bucket, epoch: u16) {
        self.open.insert(bucket, epoch);
        self.unsealed.insert(bucket);
        self.unopened.insert(bucket);
        for child in self.pairs_of(bucket) {
            let up = self.bring_up(child, Way::In);
            self.complain(up);
            let up = self.bring_up(child, Way::Out);
            self.complain(up);
        }
    }

    fn close_gate(&mut self, bucket: Bucket, hand_over: bool) -> Option<Closed> {
        if bucket.is_host() || self.open.remove(&bucket).is_none() {
            return hand_over.then(|| self.closed(bucket));
        }
        self.unsealed.remove(&bucket);
        self.unopened.remove(&bucket);
        let children = self.pairs_of(bucket);
        self.take_down(&children, &[Way::In, Way::Out]);
        hand_over.then(|| self.closed(bucket))
    }

    fn stopped(
        &mut self,
        _: Bucket,
        _: Option<Vec<(ChildId, u64)>>,
        _: Option<Vec<(ChildId, WindowImage)>>,
    ) -> Option<Closed> {
        None
    }

    /// The kernel takes packets from the network alone: what came to another member is lost, as
    /// on the way, and is sent again.
    fn inject(&mut self, _: IpAddr, _: IpAddr, _: Vec<u8>) {}

    /// The SAs are taken out, with how far they have come, and put in again from there: the kernel
    /// may be built without moving them (XFRM_MIGRATE), and a move by itself would leave the
    /// encapsulation as it was.
    fn redirect(
        &mut self,
        child: ChildId,
        (local, remote): (IpAddr, IpAddr),
        encapsulation: Encapsulation,
    ) {
        let Some(pair) = self.pairs.get(&child) else {
            return;
        };
        if (pair.local, pair.remote, pair.encapsulation) == (local, remote, encapsulation) {
            return;
        }
        let ways = self.ways_of(child);
        self.take_down(&[child], &ways);
        let Some(pair) = self.pairs.get_mut(&child) else {
            return;
        };
        (pair.local, pair.remote, pair.encapsulation) = (local, remote, encapsulation);
        self.slots.leave(pair.slot);
        match self.slots.enter(&pair.spec, (local, remote)) {
            Ok(slot) => pair.slot = slot,
            // The pair stays where nothing is: its policies have gone.
            Err(why) => {
                pair.slot = 0;
                let _ = self.report.try_send(Report::Trouble(why));
                return;
            }
        }
        for way in ways {
            let up = self.bring_up(child, way);
            self.complain(up);
        }
    }

    fn skip(&mut self, child: ChildId, delta: u64) {
        let there = self.ways_of(child).contains(&Way::Out);
        if there {
            self.take_down(&[child], &[Way::Out]);
        }
        if let Some(pair) = self.pairs.get_mut(&child) {
            pair.next = pair.next.saturating_add(delta);
        }
        if there {
            let up = self.bring_up(child, Way::Out);
            self.complain(up);
        }
    }

    /// The kernel follows paths by itself.
    fn too_big(&self, _: TooBig) {}

    fn set_path_mtu(&self, _: IpAddr, _: u32) {}

    fn remove(&mut self, child: ChildId) {
        let ways = self.ways_of(child);
        self.take_down(&[child], &ways);
        if let Some(pair) = self.pairs.remove(&child) {
            self.slots.leave(pair.slot);
            if self.spis.get(&pair.spec.inbound_spi) == Some(&child) {
                self.spis.remove(&pair.spec.inbound_spi);
            }
        }
        self.starved.remove(&child);
        self.book.close(child);
    }

    fn negotiation_failed(&mut self, rule: RuleName, remote: Vec<AddressRange>, clear: Duration) {
        // What is in clear meanwhile is asked for again when the kernel has forgotten the wait.
        if clear.is_zero() {
            self.end_waits(&rule, &remote);
        }
    }

    fn connect(&mut self, _: &Arc<Stream>) {}

    fn disconnect(&mut self, _: &Stream) {}

    fn send_in_stream(&mut self, _: Ends, _: Vec<u8>) {}

    fn settle(&mut self) -> Result<(), Error> {
        let refused = |at: Instant| at.elapsed() < RETRY;
        if self.claims.is_settled() || self.refused.is_some_and(refused) {
            return Ok(());
        }
        let outcome = self.claims.settle(&mut self.door);
        self.refused = outcome.is_err().then(Instant::now);
        outcome
    }

    fn take_in(&mut self, events: Vec<KernelEvent>) -> Vec<Report> {
        self.hear(events)
    }

    fn moved(&mut self) -> Vec<(ChildId, ChildUsage)> {
        self.ask_again();
        self.book.moved()
    }

    fn catch_up(&mut self) {}

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
        statistics::all()
    }

    /// The policies stay: what they protect does not pass in clear because nobody protects it any
    /// more. The SAs go, as those of a plane in user space do.
    fn stop(mut self: Box<Self>) {
        // While somebody listens a packet without an SA waits for one, for half a minute, and no
        // other is asked for meanwhile: not by the next daemon either.
        self.stop.store(true, Ordering::Release);
        let _ = self.wake.notify();
        let _ = self.thread.join();
        for wait in std::mem::take(&mut self.waits) {
            let _ = self.door.end_acquire(&wait);
        }
        let _ = remove_sas(&mut self.door);
    }
}
