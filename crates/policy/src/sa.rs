//! What was agreed for a CHILD SA pair: the meeting point of IKE and ESP (RFC 4301 section 4.4.2).

use std::fmt;
use std::net::IpAddr;

use crypto::secret::Secret;
use crypto::suite::{Encryption, Integrity};

use crate::child::{Mode, OuterHeader};
use crate::names::{PeerName, RuleName};
use crate::selector::{Selectors, TrafficSelector};

/// Number of a CHILD SA pair, never used twice within one daemon. A member of a cluster puts a
/// number drawn at its start into the upper half, so that pairs keep their numbers when another
/// member takes them over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildId(pub u64);

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 >> 32 {
            0 => write!(f, "{}", self.0),
            home => write!(f, "{home:08x}-{}", self.0 as u32),
        }
    }
}

/// The unit of ownership: of all SAs in a bucket the same one host may send, and when the owner
/// changes, it changes for the whole bucket at once.
///
/// A group of a cluster is one bucket, a load-balanced address is many. Which number means what is
/// the cluster's affair; only [`Bucket::HOST`] means the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(pub u8);

impl Bucket {
    /// The host's own SAs, which nobody else holds: they may always be used, and their numbers
    /// need not be reserved.
    pub const HOST: Bucket = Bucket(0);

    /// How many buckets there are.
    pub const COUNT: usize = 1 << u8::BITS;

    /// Whether this is [`Bucket::HOST`].
    #[must_use]
    pub fn is_host(self) -> bool {
        self == Bucket::HOST
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How ESP packets travel between the two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encapsulation {
    /// As IP protocol 50 (RFC 4303).
    None,
    /// In UDP (RFC 3948).
    Udp {
        /// Our port, host byte order.
        local_port: u16,
        /// The peer's port as we see it, host byte order.
        remote_port: u16,
    },
    /// In the TCP connection between these ports (RFC 9329).
    Tcp {
        /// Our port, host byte order.
        local_port: u16,
        /// The peer's port as we see it, host byte order.
        remote_port: u16,
    },
}

/// What carries an IKE message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram (RFC 7296 section 2).
    Udp,
    /// The stream of the TCP connection between two addresses and ports (RFC 9329).
    Tcp,
}

/// What NATs between the hosts make of a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Translation {
    /// In transport mode the addresses as the peer wrote them: its checksums hold for these (RFC
    /// 7296 section 2.23.1, RFC 3948 section 3.1.2). `None` where nothing is known of them.
    pub written: Option<Hosts>,
    /// Which of the hosts behind a NAT the peer is: several share one address. `None` without a
    /// NAT on the peer's side. It stays the same through every rekeying.
    pub party: Option<u64>,
}

/// The two hosts that a pair of transport mode is between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hosts {
    /// This one.
    pub local: IpAddr,
    /// The peer.
    pub remote: IpAddr,
}

/// Keys of one direction (RFC 7296 section 2.17).
pub struct KeyMaterial {
    /// The cipher's key, for an AEAD followed by its salt.
    pub encryption: Secret,
    /// The integrity algorithm's key, empty for an AEAD.
    pub integrity: Secret,
}

impl KeyMaterial {
    /// A second copy, for replication and for a pair whose peer has moved.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        KeyMaterial {
            encryption: self.encryption.duplicate(),
            integrity: self.integrity.duplicate(),
        }
    }
}

/// A CHILD SA pair as IKE agreed it and ESP runs it. Holds keys, so it has no `Debug` or `Clone`.
pub struct SaSpec {
    /// Our number for the pair.
    pub id: ChildId,
    /// The rule that asked for it.
    pub rule: RuleName,
    /// The peer at the other end.
    pub peer: PeerName,
    /// Transport or tunnel mode.
    pub mode: Mode,
    /// Raw or in UDP.
    pub encapsulation: Encapsulation,
    /// Our outer address.
    pub local: IpAddr,
    /// The peer's outer address.
    pub remote: IpAddr,
    /// What a NAT makes of it.
    pub nat: Translation,
    /// What the outer header of a tunnel says.
    pub outer: OuterHeader,
    /// SPI that the peer puts into packets to us; ours to choose.
    pub inbound_spi: u32,
    /// SPI that we put into packets to the peer.
    pub outbound_spi: u32,
    /// The cipher.
    pub encryption: Encryption,
    /// The integrity algorithm, unless the cipher is an AEAD.
    pub integrity: Option<Integrity>,
    /// Whether sequence numbers have 64 bits.
    pub esn: bool,
    /// Packets in the anti-replay window.
    pub replay_window: u32,
    /// The traffic that the pair carries.
    pub selectors: Selectors,
    /// Keys for packets from the peer.
    pub inbound_keys: KeyMaterial,
    /// Keys for packets to the peer.
    pub outbound_keys: KeyMaterial,
}

impl SaSpec {
    /// The one host that the peer's selectors name, and which of those behind its NAT the peer is;
    /// `None` where no other peer can have the same.
    #[must_use]
    pub fn party(&self) -> Option<(IpAddr, u64)> {
        let party = self.nat.party?;
        let mut hosts = self
            .selectors
            .remote
            .iter()
            .map(|one| one.addresses.as_host());
        let first = hosts.next()??;
        hosts
            .all(|host| host == Some(first))
            .then_some((first, party))
    }

    /// The two hosts of transport mode as they are seen here: those that the selectors name. The
    /// outer address of a peer may change while these stay (RFC 7296 section 2.23).
    #[must_use]
    pub fn hosts(&self) -> Hosts {
        let host = |side: &[TrafficSelector]| side.first()?.addresses.as_host();
        let Selectors { local, remote } = &self.selectors;
        Hosts {
            local: host(local).unwrap_or(self.local),
            remote: host(remote).unwrap_or(self.remote),
        }
    }
}
