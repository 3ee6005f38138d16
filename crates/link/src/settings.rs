//! What the links of a node need to know.

use crate::limits::DEFAULT_QUEUE;
use crate::pki::Identity;
use std::net::SocketAddr;
use std::time::Duration;

/// How a node reaches its peers.
#[derive(Debug)]
pub struct Settings {
    /// Who this node is.
    pub identity: Identity,
    /// Where peers with lower names connect to.
    pub listen: Vec<SocketAddr>,
    /// Every other member.
    pub peers: Vec<Peer>,
    /// The mark (SO_MARK) of every socket, so that rules of routing can tell them from others;
    /// needs CAP_NET_ADMIN.
    pub mark: Option<u32>,
    /// What may wait for one peer, in bytes.
    pub queue: usize,
    /// How long things may take.
    pub timing: Timing,
}

impl Settings {
    /// The usual values for all but the identity.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            listen: Vec::new(),
            peers: Vec::new(),
            mark: None,
            queue: DEFAULT_QUEUE,
            timing: Timing::default(),
        }
    }
}

/// Another member.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its name, as in its certificate.
    pub name: String,
    /// Where it listens: several when there are several paths, the preferred one first.
    pub addresses: Vec<SocketAddr>,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Until a TCP connection is there. Members are near each other, and the next path waits.
    pub connect: Duration,
    /// Until both sides have proven themselves.
    pub handshake: Duration,
    /// The shortest pause before all addresses are tried again; it doubles.
    pub backoff_min: Duration,
    /// The longest.
    pub backoff_max: Duration,
    /// How long sent bytes may stay without acknowledgement (TCP_USER_TIMEOUT).
    pub user_timeout: Duration,
    /// How long a link may be silent before the kernel asks whether the peer is there; at least
    /// a second.
    pub keepalive: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_millis(500),
            handshake: Duration::from_secs(2),
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(1),
            user_timeout: Duration::from_secs(2),
            keepalive: Duration::from_secs(1),
        }
    }
}
