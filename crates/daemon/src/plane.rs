//! The data plane: the contract that every plane keeps, and which plane a host gets.
//!
//! The control thread gives orders; whatever comes of them by itself comes back as a [`Report`].
//! In user space two threads carry every packet between the TUN device and the sockets; in the
//! kernel (XFRM) no packet comes here at all.

mod choice;
mod inbound;
mod kernel;
mod mailbox;
mod offload;
mod order;
mod outbound;
mod sockets;
mod stream;
mod telling;
mod usage;
mod user;

use esp::{Refill, Refusal, WindowImage};
use ike::Install;
use linux::xfrm::Event as KernelEvent;
use linux::{Error, Family};
use policy::{AddressRange, Bucket, ChildId, Encapsulation, RuleName, Spd};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use usage::Totals;
use wire::ip::Flow;
use wire::ip::icmp::TooBig;

pub(crate) use choice::{Choice, Needs, Opened, choose, start};
pub(crate) use mailbox::Mailbox;
pub(crate) use sockets::{IKE_PORT, Sockets};
pub(crate) use stream::{Ends, Stream};
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
    /// What the kernel's IPsec tells; of each SA the last word only.
    Kernel(Vec<KernelEvent>),
    /// A router says that packets of ours are too big.
    TooBig(TooBig),
    /// What was sealed did not fit the link to this peer.
    TooLong {
        /// The peer's outer address.
        remote: IpAddr,
    },
    /// A path takes less than was thought.
    Path {
        /// The peer's outer address.
        remote: IpAddr,
        /// The largest packet that passes.
        mtu: u32,
    },
    /// The paths that are known to take less than their link; others are taken for as large.
    Paths {
        /// By the peer's outer address.
        known: BTreeMap<IpAddr, u16>,
        /// By the host that sends and receives inside.
        hosts: BTreeMap<IpAddr, u16>,
    },
    /// The last valid packet of a pair came in this TCP connection, and none before it did.
    StreamHeard {
        /// The connection.
        number: u64,
        /// The pair.
        child: ChildId,
    },
    /// The TCP connection of this number has ended.
    StreamEnded(u64),
    /// A flow that came in is another peer's.
    Refused(Refusal),
    /// The kernel refused something, as a sentence.
    Trouble(String),
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
    /// Whether devices may do the kernel's ESP.
    pub(crate) offload: bool,
    /// Whether inbound SAs of groups are strict.
    pub(crate) strict: bool,
    /// A test's wish, see [`crate::Options::sabotage_reservation`].
    pub(crate) sabotage: bool,
}

/// Where both directions of a bucket have stopped.
pub(crate) struct Closed {
    pub(crate) bucket: Bucket,
    pub(crate) next: Vec<(ChildId, u64)>,
    pub(crate) windows: Vec<(ChildId, WindowImage)>,
}

/// What a plane does for the control thread: the orders that a node's effects become, in their
/// order, and what status and IKE want to know.
///
/// An SA of a group is used only while its bucket's gate is open, and sends only numbers below the
/// ceiling that was granted last; a plane that opens a gate goes on where whoever had the bucket
/// before may have stopped: at the ceiling, or at the exact number that it told.
pub(crate) trait DataPlane {
    /// The sockets, to send IKE from.
    fn sockets(&self) -> &Sockets;

    /// The TUN device and its interface index; a plane in the kernel has none.
    fn device(&self) -> Option<(&str, u32)>;

    /// Whether an SPI that was reported as unknown is one of an SA after all.
    fn knows(&self, spi: u32) -> bool;

    /// Puts a policy into force.
    ///
    /// # Errors
    /// A sentence, when the kernel refuses; then what was protected before stays so.
    fn set_policy(&mut self, spd: Arc<Spd>) -> Result<(), Error>;

    /// Installs a pair: the inbound SA at once, the outbound one when the peer is ready for it.
    /// [`rouse`](Self::rouse) must follow soon.
    ///
    /// # Errors
    /// A sentence: the kernel refuses, or a key does not fit its algorithm, which a correct
    /// negotiation excludes.
    fn install(&mut self, install: &Install) -> Result<(), String>;

    /// Wakes workers if orders were left for them.
    fn rouse(&self);

    /// Lets the outbound SA of a pair carry traffic.
    fn activate(&mut self, child: ChildId);

    /// Lets the outbound SA of a pair use the numbers below a ceiling.
    fn grant(&mut self, child: ChildId, ceiling: u64, refill_at: u64);

    /// Lets the inbound SA of a pair deliver what has a number below a ceiling; only a plane that
    /// can be strict is told.
    fn grant_inbound(&mut self, child: ChildId, ceiling: u64, refill_at: u64);

    /// The owner of a pair has stopped before this number.
    fn set_exact(&mut self, child: ChildId, next: u64);

    /// The owner of a pair has seen so much.
    fn restore_window(&mut self, child: ChildId, image: &[u8]);

    /// This host owns a bucket.
    fn open_gate(&mut self, bucket: Bucket, epoch: u16);

    /// This host does not own a bucket any more. With `hand_over` both directions say where they
    /// have stopped: at once in the answer, or later by reports (see [`DataPlane::stopped`]).
    fn close_gate(&mut self, bucket: Bucket, hand_over: bool) -> Option<Closed>;

    /// One direction of a bucket has stopped; the answer when both have.
    fn stopped(
        &mut self,
        bucket: Bucket,
        next: Option<Vec<(ChildId, u64)>>,
        windows: Option<Vec<(ChildId, WindowImage)>>,
    ) -> Option<Closed>;

    /// Takes in a datagram that came to another member.
    fn inject(&mut self, source: IpAddr, destination: IpAddr, bytes: Vec<u8>);

    /// The addresses, ours and the peer's, or the ports of a pair have changed. An SA that still
    /// waits is told as well. Keys, numbers and windows go on.
    fn redirect(&mut self, child: ChildId, between: (IpAddr, IpAddr), encapsulation: Encapsulation);

    /// Leaves out sequence numbers of a pair's outbound SA, also of one that still waits.
    fn skip(&mut self, child: ChildId, delta: u64);

    /// A router says that packets of ours are too big; the plane knows whether to believe it.
    fn too_big(&self, said: TooBig);

    /// The link to a peer takes packets of at most this size.
    fn set_path_mtu(&self, remote: IpAddr, mtu: u32);

    /// Removes a pair.
    fn remove(&mut self, child: ChildId);

    /// A negotiation failed for what goes to `remote`: what waits for it is dropped, or passes in
    /// clear for a while where the rule only requests protection.
    fn negotiation_failed(&mut self, rule: RuleName, remote: Vec<AddressRange>, clear: Duration);

    /// A TCP connection carries IKE and ESP from now on; only a plane in user space has any.
    fn connect(&mut self, stream: &Arc<Stream>);

    /// It does no more.
    fn disconnect(&mut self, stream: &Stream);

    /// Sends an IKE message in the connection between two ends; it is lost where there is none.
    fn send_in_stream(&mut self, ends: Ends, message: Vec<u8>);

    /// Everything that was ordered is in force when this returns; before a message leaves that
    /// lets a peer rely on it.
    ///
    /// # Errors
    /// A sentence, when the kernel refuses.
    fn settle(&mut self) -> Result<(), Error>;

    /// What the kernel tells becomes reports; only a plane in the kernel is told.
    fn take_in(&mut self, events: Vec<KernelEvent>) -> Vec<Report>;

    /// Pairs that have carried something since they were looked at last, with all they carried: of
    /// very many a part at a time, in turn.
    fn moved(&mut self) -> Vec<(ChildId, ChildUsage)>;

    /// Learns of the pairs that have been used for the first time since; before something is read.
    fn catch_up(&mut self);

    /// What one pair has carried.
    fn usage_of(&self, child: ChildId) -> Option<ChildUsage>;

    /// How far a pair has come on its way out, and how fast.
    fn pace_of(&self, child: ChildId) -> Option<(u64, f64)>;

    /// What has been carried in all, by SAs that are and that were.
    fn totals(&self) -> Totals;

    /// What was dropped, by reason; zeros are left out.
    fn discards(&self) -> Vec<(String, u64)>;

    /// Ends it. What keeps protected traffic from passing in clear stays.
    fn stop(self: Box<Self>);
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
