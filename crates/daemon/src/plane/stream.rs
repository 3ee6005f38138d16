//! A TCP connection that carries IKE and ESP, as the threads share it (RFC 9329).
//!
//! The inbound worker alone reads from it and the outbound worker alone writes to it; the control
//! thread opens and closes it. Whoever finds that it has ended says so, and touches it no more.

mod reader;
mod writer;

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use reader::{Read, Readers, room};
pub(crate) use writer::Writers;

/// The two ends of a connection, by which IKE and ESP know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ends {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

/// A connection that stands.
pub(crate) struct Stream {
    /// It does not block, and does not wait to fill segments.
    pub(crate) socket: TcpStream,
    pub(crate) ends: Ends,
    /// Tells it from others of the same ends, before it and after it.
    pub(crate) number: u64,
    /// Whether it came in; else we are its originator.
    pub(crate) accepted: bool,
    ended: AtomicBool,
}

impl Stream {
    pub(crate) fn new(socket: TcpStream, ends: Ends, number: u64, accepted: bool) -> Self {
        Self {
            socket,
            ends,
            number,
            accepted,
            ended: AtomicBool::new(false),
        }
    }

    /// It can be read or written no more.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}
