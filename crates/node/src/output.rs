//! What a node wants done, in this order and no other.

use crate::event::Event;
use cluster::GroupName;
use policy::{ChildId, Encapsulation, Spd};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

/// One effect.
pub enum Output {
    /// Send an IKE message; from a port other than 500 with the non-ESP marker before it.
    TransmitIke {
        /// From here.
        local: SocketAddr,
        /// To there.
        remote: SocketAddr,
        /// The message, without a marker.
        bytes: Vec<u8>,
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
    /// The peer's address or ports have changed.
    Redirect {
        /// The pair.
        child: ChildId,
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
    /// The keys of an IKE SA, only with `Config::export_keys`.
    Keys(Box<ike::IkeKeys>),
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
}
