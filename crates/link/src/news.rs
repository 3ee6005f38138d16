//! What a node learns from its links.

use crate::frame::TooLong;
use crate::limits::MAX_MESSAGE;
use crate::refusal::Refusal;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// One thing that happened. `Debug` and `Display` show no byte of a message.
#[derive(PartialEq, Eq)]
pub enum News {
    /// A link with a proven peer has begun: a fresh stream in both directions.
    Up {
        /// The peer.
        node: Arc<str>,
    },
    /// The link has ended. What was sent on it and is not known to have arrived may be lost.
    Down {
        /// The peer.
        node: Arc<str>,
        /// Why.
        why: Down,
    },
    /// A message, in the order in which the peer sent them since the last `Up`. It may hold
    /// keys: wipe it when done.
    Message {
        /// The peer.
        node: Arc<str>,
        /// Its bytes.
        message: Vec<u8>,
    },
    /// A connection that did not become a link. Not every one is reported when there are many.
    Refused {
        /// The other side's address.
        from: SocketAddr,
        /// Why.
        why: Refusal,
    },
}

/// Why a link ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Down {
    /// The peer closed it.
    Closed,
    /// The peer or the network between does not answer any more, or the connection broke.
    Lost(io::ErrorKind),
    /// The peer did not take messages as fast as they were sent: it must be brought into step.
    Overflow,
    /// The side that connects makes a new connection.
    Replaced,
    /// The peer announced a message of so many bytes, longer than any may be.
    TooLong(u32),
    /// What came is not what the peer sent; the TLS library's words.
    Broken(String),
}

impl From<io::Error> for Down {
    fn from(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some::<&rustls::Error>(inner) => Self::Broken(inner.to_string()),
            // A process that ends does not say goodbye.
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::Closed,
            None => Self::Lost(error.kind()),
        }
    }
}

impl From<TooLong> for Down {
    fn from(TooLong(length): TooLong) -> Self {
        Self::TooLong(length)
    }
}

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the peer closed the connection"),
            Self::Lost(io::ErrorKind::TimedOut) => f.write_str("the peer stopped answering"),
            Self::Lost(kind) => write!(f, "the connection broke: {kind}"),
            Self::Overflow => f.write_str(
                "the peer did not follow: it takes messages more slowly than they are made",
            ),
            Self::Replaced => f.write_str("a new connection takes its place"),
            Self::TooLong(length) => write!(
                f,
                "the peer announced a message of {length} bytes, and {MAX_MESSAGE} are the most: \
                 run the same version on all nodes"
            ),
            Self::Broken(why) => write!(f, "the TLS connection failed: {why}"),
        }
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up { node } => write!(f, "the link with node `{node}` is up"),
            Self::Down { node, why } => write!(f, "the link with node `{node}` is down: {why}"),
            Self::Message { node, message } => {
                write!(f, "a message of {} bytes from node `{node}`", message.len())
            }
            Self::Refused { from, why } => write!(f, "no link with {from}: {why}"),
        }
    }
}

impl fmt::Debug for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "News({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_not_shown() {
        let news = News::Message {
            node: "a".into(),
            message: b"KEYS".to_vec(),
        };
        for text in [format!("{news}"), format!("{news:?}"), format!("{news:#?}")] {
            assert!(text.contains("4 bytes from node `a`"), "{text}");
            assert!(!text.contains("KEYS") && !text.contains("75"), "{text}");
        }
    }
}
