//! Where a datagram came from and to.

use std::net::SocketAddr;

/// The two ends of a datagram that came in.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}
