//! What a node wants done, in this order and no other.

use crate::event::Event;
use cluster::{GroupName, NodeName, Parcel};
use policy::{Bucket, ChildId, Encapsulation, Spd, Transport};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

/// One effect.
pub enum Output {
    /// Send an IKE message; by TCP, or from a port other than 500, with the non-ESP marker before
    /// it.
    TransmitIke {
        /// What carries it.
        transport: Transport,
        /// From here.
        local: SocketAddr,
        /// To there.
        remote: SocketAddr,
        /// The message, without a marker.
        bytes: Vec<u8>,
    },
    /// Open a TCP connection, unless an attempt for the same IKE SA is under way. Answer:
    /// [`Command::Stream`](crate::Command::Stream), once it stands.
    OpenStream {
        /// Who wants it.
        ike: ike::IkeSaId,
        /// From here.
        local: IpAddr,
        /// To there.
        remote: SocketAddr,
    },
    /// Send the single octet 0xFF (RFC 3948 section 2.3).
    Keepalive {
        /// From here.
        local: SocketAddr,
        /// To there.
        remote: SocketAddr,
    },
    /// Send a heartbeat.
    TransmitCluster {
        /// To there.
        to: SocketAddr,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// Install a CHILD SA pair.
    Install(Box<ike::Install>),
    /// Let the outbound SA of an installed pair carry traffic.
    Activate {
        /// The pair.
        child: ChildId,
    },
    /// The addresses or ports of a pair have changed.
    Redirect {
        /// The pair.
        child: ChildId,
        /// Our address.
        local: IpAddr,
        /// The peer's address.
        remote: IpAddr,
        /// Its ports.
        encapsulation: Encapsulation,
    },
    /// The outbound SA of a pair leaves out so many sequence numbers (RFC 6311 section 5.2).
    SkipSequence {
        /// The pair.
        child: ChildId,
        /// How many.
        delta: u64,
    },
    /// Remove a pair.
    Remove {
        /// The pair.
        child: ChildId,
        /// The SPI of its inbound SA.
        inbound_spi: u32,
    },
    /// Let a pair use sequence numbers below `ceiling`, and ask for more at `refill_at`.
    Grant {
        /// The pair.
        child: ChildId,
        /// The first number that it may not use.
        ceiling: u64,
        /// When to ask: see [`Command::Refill`](crate::Command::Refill).
        refill_at: u64,
    },
    /// Let a pair deliver what has a sequence number below `ceiling`; only where the inbound
    /// windows are strict.
    GrantInbound {
        /// The pair.
        child: ChildId,
        /// The first number that is not delivered.
        ceiling: u64,
        /// When to ask: see [`Command::RefillInbound`](crate::Command::RefillInbound).
        refill_at: u64,
    },
    /// The owner of a pair stopped before this number, and what it took in is in the window that
    /// was restored last; its gate is closed here. Both directions go on from there, the inbound
    /// one if it is strict.
    Exact {
        /// The pair.
        child: ChildId,
        /// The next number.
        next: u64,
    },
    /// The inbound window of a pair, as its owner had it.
    RestoreWindow {
        /// The pair.
        child: ChildId,
        /// The image that the owner's data plane made.
        image: Vec<u8>,
    },
    /// This node owns a bucket: its pairs may send, with this epoch in their IVs, and receive.
    OpenGate {
        /// The bucket.
        bucket: Bucket,
        /// The epoch.
        epoch: u16,
    },
    /// This node's pairs of a bucket send and receive nothing more. With `hand_over` answer
    /// [`Command::GateClosed`](crate::Command::GateClosed), and give what comes for the bucket as
    /// [`Command::Stray`](crate::Command::Stray).
    CloseGate {
        /// The bucket.
        bucket: Bucket,
        /// Whether another member gets it.
        hand_over: bool,
    },
    /// An ESP datagram that came to another member: take it in as if it had come here.
    Inject {
        /// Outer source address.
        source: IpAddr,
        /// Outer destination address.
        destination: IpAddr,
        /// The datagram, from SPI to ICV.
        bytes: Vec<u8>,
    },
    /// Send a message over the link to a member.
    TransmitLink {
        /// The member.
        to: NodeName,
        /// The message; it may hold keys.
        message: Parcel,
    },
    /// Ask the witness to put `value` in the place of what it had under the group's name at
    /// revision `expected` (0: nothing). Answer:
    /// [`Command::Witnessed`](crate::Command::Witnessed).
    Propose {
        /// The group.
        group: GroupName,
        /// The revision that must still stand.
        expected: u64,
        /// What is to stand.
        value: Vec<u8>,
        /// Comes back with the answer.
        tag: u64,
    },
    /// Put this policy into force in the data plane, the capture and the fail-closed rules.
    Policy(Arc<Spd>),
    /// Bring a group up: addresses, announcements, services. Answer: `GroupStarted`/`GroupFailed`.
    StartGroup {
        /// The group.
        group: GroupName,
    },
    /// Stop a group's services. Answer: `ServicesStopped`, whatever happened.
    StopServices {
        /// The group.
        group: GroupName,
    },
    /// Take a group's addresses off this host. Answer: `AddressesReleased`, whatever happened.
    ReleaseAddresses {
        /// The group.
        group: GroupName,
    },
    /// Ask an OCSP responder (RFC 6960); the answer is
    /// [`Command::CertificateStatus`](crate::Command::CertificateStatus).
    AskStatus(Box<ike::AskStatus>),
    /// Take a step of a security context; the answer is
    /// [`Command::GssAnswer`](crate::Command::GssAnswer).
    AskGss(Box<ike::AskGss>),
    /// A security context is not needed any more.
    EndGss(ike::GssContext),
    /// The keys of an IKE SA, only with `Config::export_keys`.
    Keys(Box<ike::IkeKeys>),
    /// As [`ike::Output::IsakmpKey`].
    IsakmpKey(Box<ike::IsakmpKey>),
    /// Something happened.
    Event(Event),
    /// Nothing more before this moment, or before the next input.
    Wait(Option<(Instant, Timer)>),
}

/// What a node waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// A timer of IKE.
    Ike(ike::Timer),
    /// A timer of the cluster.
    Cluster(cluster::Timer),
    /// Replication: inherited SAs to take over, a copy that is lost, a handover that ends.
    Replication,
    /// A peer that has not answered yet, or whose time in clear text is over.
    Soft,
}
