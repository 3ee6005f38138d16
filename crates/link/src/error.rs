//! Why links cannot start, and why a message was not sent: sentences.

use crate::limits::MAX_MESSAGE;
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Links cannot start.
#[derive(Debug)]
pub enum Error {
    /// An address to listen on cannot be used.
    Listen {
        /// Which.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// Sockets cannot be marked.
    Mark(io::Error),
    /// A peer's name is no name, or this node's own, or there twice.
    BadPeer(String),
    /// A peer that waits for our connection has no address.
    NoAddress(String),
    /// There is no tokio runtime here.
    NoRuntime,
    /// The TLS library refuses the identity; its words.
    Tls(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { address, source } => write!(
                f,
                "links to other nodes cannot be accepted at {address}: {source}"
            ),
            Self::Mark(source) => write!(
                f,
                "the sockets of links cannot be marked: {source}; run as root or with \
                 CAP_NET_ADMIN"
            ),
            Self::BadPeer(name) => write!(
                f,
                "`{}` cannot be a peer: it is no node's name, this node's own, or given twice",
                name.escape_debug()
            ),
            Self::NoAddress(name) => write!(
                f,
                "node `{name}` has no address, and this node must connect to it because its own \
                 name is lower"
            ),
            Self::NoRuntime => f.write_str("links can only start on a running tokio runtime"),
            Self::Tls(why) => write!(f, "this node's identity cannot be used for TLS: {why}"),
        }
    }
}

impl std::error::Error for Error {}

/// A message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// There is no such peer.
    Unknown,
    /// There is no link: none was reported up, or it has ended.
    Down,
    /// Too much waits for this peer; the link ends.
    Overflow,
    /// The message is longer than any may be; the link goes on.
    TooLong,
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no such peer"),
            Self::Down => f.write_str("there is no link to the peer"),
            Self::Overflow => f.write_str("the peer does not follow; its link is closed"),
            Self::TooLong => write!(f, "a message has at most {MAX_MESSAGE} bytes"),
        }
    }
}

impl std::error::Error for NotSent {}
