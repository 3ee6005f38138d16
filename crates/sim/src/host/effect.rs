//! What a host does to the world, and what it will do later.

use std::net::IpAddr;
use std::time::Duration;

use cluster::Parcel;
use policy::{Bucket, ChildId};

use crate::frame::{Frame, HostId, KeyLabel};
use crate::witness::Proposal;

/// Something that the world carries out or a checker looks at, in order.
pub(crate) enum Effect {
    /// A datagram leaves.
    Send(Frame),
    /// The host says on its network that it has an address.
    Announce(IpAddr),
    /// To be given back to the host later.
    After(Duration, Errand),
    /// An application gave the host a packet to send.
    Offered(Vec<u8>),
    /// An application got a packet, which came in clear or did not.
    Delivered { packet: Vec<u8>, clear: bool },
    /// A pair was installed.
    Installed(ChildId, PairView),
    /// A pair was removed.
    Removed(ChildId),
    /// The first octets of a key that the host holds.
    Key(u64),
    /// A message leaves over the link to a member.
    Link(HostId, Parcel),
    /// The node asks the witness for a change.
    Propose(Proposal),
    /// The data plane has told how far its inbound windows have moved.
    Reported,
    /// The data plane has opened the gate of a bucket.
    Opened(Bucket),
    /// The node says that something happened.
    Told(Box<node::Event>),
    /// Something that must never happen did, as a sentence.
    Broken(String),
}

/// A pair of SAs as a checker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PairView {
    /// Our outer address.
    pub local: IpAddr,
    /// The peer's outer address.
    pub remote: IpAddr,
    /// The SPI that we chose.
    pub inbound_spi: u32,
    /// The SPI that the peer chose.
    pub outbound_spi: u32,
    /// The key that we open with.
    pub inbound_key: KeyLabel,
    /// The key that we seal with.
    pub outbound_key: KeyLabel,
}

impl PairView {
    /// The same pair seen from the other end.
    #[must_use]
    pub fn mirrored(self) -> Self {
        PairView {
            local: self.remote,
            remote: self.local,
            inbound_spi: self.outbound_spi,
            outbound_spi: self.inbound_spi,
            inbound_key: self.outbound_key,
            outbound_key: self.inbound_key,
        }
    }
}

/// Something that a host will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// The front end asks a group.
    Probe(usize),
    /// A group's service speaks unasked.
    Push(usize),
    /// The front end uses the service that nobody protects.
    Open(usize),
    /// The node hears what its SAs carry.
    Usage,
    /// The data plane drops what has waited too long.
    PlaneTick,
    /// The node hears of changed addresses.
    Notice,
    /// The data plane sees what it was ordered.
    Orders,
    /// The node hears how far inbound windows have moved.
    Windows,
    /// A step of a group's start or stop; the number says of which.
    Group(usize, u64, Step),
}

/// A step of a group's start or stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    AddressUp,
    Announce,
    ServicesUp,
    ServicesDown,
    AddressesOff,
}

impl Errand {
    /// Whether it dies with the daemon; the others die with the host.
    pub(crate) fn is_daemons(self) -> bool {
        !matches!(self, Errand::Probe(_) | Errand::Push(_) | Errand::Open(_))
    }
}
