//! Where a datagram came from and to.

use std::net::SocketAddr;

use policy::sa::Transport;

use crate::carrier::Carrier;
use crate::path::{Nat, Path};

/// The two ends of a message that came in, and what carried it.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) transport: Transport,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

impl Way {
    /// The path back.
    pub(crate) fn back(self, nat: Nat) -> Path {
        Path {
            local: self.local,
            remote: self.remote,
            nat,
            carrier: match self.transport {
                Transport::Udp => Carrier::Udp,
                Transport::Tcp => Carrier::ACCEPTED,
            },
        }
    }

    /// The path of an answer that is given again: where it went before, or by the connection that
    /// asks now.
    pub(crate) fn again(self, known: &Path) -> Path {
        match self.transport {
            Transport::Udp => *known,
            Transport::Tcp => self.back(known.nat),
        }
    }
}
