//! The reading ends of the connections: octets become messages (RFC 9329 section 4).

use crate::plane::stream::Stream;
use linux::poll::{Interest, Poller};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read as _};
use std::sync::Arc;
use wire::esp::{STREAM_LENGTH, STREAM_MESSAGE, StreamReader};

/// Octets read at once: what TCP hands over of a train, and more than the longest message.
const READ: usize = 128 * 1024;

/// What a connection may keep for the next part of a message: more of it is given back.
const SMALL: usize = 4096;

/// Room for one read behind what was left of the one before.
pub(crate) fn room() -> Vec<u8> {
    vec![0; STREAM_MESSAGE + STREAM_LENGTH + READ]
}

/// One connection, and what is here of a message that has not come in full. Nothing else is kept
/// for it: a connection that says nothing costs no more than this.
pub(crate) struct Read {
    pub(crate) stream: Arc<Stream>,
    pub(crate) framing: StreamReader,
    rest: Vec<u8>,
}

impl Read {
    fn new(stream: Arc<Stream>) -> Self {
        let framing = match stream.accepted {
            true => StreamReader::accepted(),
            false => StreamReader::originated(),
        };
        Self {
            stream,
            framing,
            rest: Vec::new(),
        }
    }

    /// Reads what is there behind what was left; how many octets are in the buffer then. `None`
    /// when nothing has come.
    ///
    /// # Errors
    /// The connection has ended, in good order or not.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let left = self.rest.len();
        let full = || io::Error::from(ErrorKind::OutOfMemory);
        let (before, behind) = buffer.split_at_mut_checked(left).ok_or_else(full)?;
        match (&self.stream.socket).read(behind) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                before.copy_from_slice(&self.rest);
                match self.rest.capacity() > SMALL {
                    true => self.rest = Vec::new(),
                    false => self.rest.clear(),
                }
                Ok(Some(left + length))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps what is no whole message yet.
    pub(crate) fn keep(&mut self, rest: &[u8]) {
        self.rest.extend_from_slice(rest);
    }
}

/// All of them, by number. One that is being read is out of the table.
#[derive(Default)]
pub(crate) struct Readers(BTreeMap<u64, Option<Read>>);

impl Readers {
    /// Begins to read one. `first` is the token of number 0.
    pub(crate) fn add(&mut self, stream: Arc<Stream>, poller: &Poller, first: u64) {
        let number = stream.number;
        match poller.add(&stream.socket, first + number, Interest::Read) {
            Ok(()) => _ = self.0.insert(number, Some(Read::new(stream))),
            Err(_) => stream.end(),
        }
    }

    /// Forgets one.
    pub(crate) fn remove(&mut self, number: u64, poller: &Poller) {
        if let Some(Some(read)) = self.0.remove(&number) {
            let _ = poller.remove(&read.stream.socket);
        }
    }

    /// Takes one out to read from it.
    pub(crate) fn take(&mut self, number: u64) -> Option<Read> {
        self.0.get_mut(&number)?.take()
    }

    /// Puts it back, unless it was forgotten meanwhile or has ended: then it is watched no more.
    pub(crate) fn put(&mut self, read: Read, poller: &Poller) {
        let number = read.stream.number;
        match self.0.get_mut(&number) {
            Some(place) if !read.stream.has_ended() => *place = Some(read),
            _ => {
                let _ = poller.remove(&read.stream.socket);
                self.0.remove(&number);
            }
        }
    }
}
