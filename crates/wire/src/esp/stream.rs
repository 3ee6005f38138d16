//! IKE and ESP in a TCP stream (RFC 9329 sections 4 and 5).
//!
//! The originator of a connection says once that it is one; then each message stands behind its
//! length. What the messages are, [`classify`](crate::esp::classify) tells as it does for UDP.

use std::fmt;
use std::ops::Range;

/// What the originator sends first.
pub const STREAM_PREFIX: [u8; 6] = *b"IKETCP";
/// Octets of the length before each message, which counts them too.
pub const STREAM_LENGTH: usize = 2;
/// Octets of the longest message in a stream.
pub const STREAM_MESSAGE: usize = u16::MAX as usize - STREAM_LENGTH;

/// The length that stands before a message of so many octets; `None` for one that does not fit.
#[inline]
#[must_use]
pub fn stream_length(message: usize) -> Option<[u8; STREAM_LENGTH]> {
    let length = u16::try_from(message.checked_add(STREAM_LENGTH)?).ok()?;
    Some(length.to_be_bytes())
}

/// Why a stream cannot be read any further: there is no telling where its next message begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadStream {
    /// It does not begin with [`STREAM_PREFIX`].
    Prefix,
    /// A length is shorter than itself.
    Length,
}

impl fmt::Display for BadStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadStream::Prefix => "it does not begin with IKETCP",
            BadStream::Length => "the length of a message is shorter than itself",
        })
    }
}

/// What stands at the beginning of the octets that have not been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The prefix, of so many octets.
    Prefix(usize),
    /// A message: where it is. Its end is where the next piece begins.
    Message(Range<usize>),
    /// Only a part: so many octets are needed to go on.
    Part(usize),
}

/// How far the reading of a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamReader {
    prefix: bool,
}

impl StreamReader {
    /// For a connection that came in: the prefix comes first.
    #[must_use]
    pub fn accepted() -> Self {
        StreamReader { prefix: true }
    }

    /// For a connection of ours: its other end sends no prefix.
    #[must_use]
    pub fn originated() -> Self {
        StreamReader { prefix: false }
    }

    /// Reads the next piece of the octets that have not been read.
    ///
    /// # Errors
    /// The connection is of no more use.
    #[inline]
    pub fn next(&mut self, octets: &[u8]) -> Result<Piece, BadStream> {
        if self.prefix {
            return self.begin(octets);
        }
        let Some(length) = octets.first_chunk::<STREAM_LENGTH>() else {
            return Ok(Piece::Part(STREAM_LENGTH));
        };
        let end = usize::from(u16::from_be_bytes(*length));
        if end < STREAM_LENGTH {
            return Err(BadStream::Length);
        }
        Ok(match octets.len() < end {
            true => Piece::Part(end),
            false => Piece::Message(STREAM_LENGTH..end),
        })
    }

    /// The first wrong octet is enough to know that it is no such stream.
    fn begin(&mut self, octets: &[u8]) -> Result<Piece, BadStream> {
        let length = STREAM_PREFIX.len();
        let here = octets.get(..length).unwrap_or(octets);
        if !STREAM_PREFIX.starts_with(here) {
            return Err(BadStream::Prefix);
        }
        if here.len() < length {
            return Ok(Piece::Part(length));
        }
        self.prefix = false;
        Ok(Piece::Prefix(length))
    }
}
