//! The writing ends of the connections: whole messages behind their lengths (RFC 9329 section 4).
//!
//! The kernel's own buffer is the queue; beyond it only the rest of a message waits here, and a
//! train or two of ESP, so that a peer that reads slowly costs little and nobody else waits for it.

use crate::plane::stream::{Ends, Stream};
use linux::poll::{Interest, Poller};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, IoSlice, Write as _};
use std::sync::Arc;
use wire::esp::{NON_ESP_MARKER, STREAM_LENGTH, STREAM_PREFIX, stream_length};

/// ESP that waits for room in one connection, in octets: two trains. What does not fit is dropped,
/// as a full link would drop it.
const MAX_ESP: usize = 128 * 1024;
/// With IKE. A connection that has not taken so much of it is stuck: its end makes the originator
/// open another.
const MAX_QUEUE: usize = 2 * MAX_ESP;
/// What a connection with nothing in its queue may keep for it.
const SMALL: usize = 4096;
/// ESP packets written at once; each has a length before it.
const MAX_PACKETS: usize = 64;

struct Writer {
    stream: Arc<Stream>,
    queue: VecDeque<u8>,
    /// Whether the poller tells of room.
    watched: bool,
}

/// All of them, by their ends.
#[derive(Default)]
pub(crate) struct Writers(BTreeMap<Ends, Writer>);

impl Writers {
    /// Begins to write to one; an originator says what it is.
    pub(crate) fn add(&mut self, stream: Arc<Stream>, poller: &Poller, token: u64) {
        let mut writer = Writer {
            queue: VecDeque::new(),
            watched: false,
            stream,
        };
        if !writer.stream.accepted {
            writer.queue.extend(STREAM_PREFIX);
            writer.flush(poller, token);
        }
        self.0.insert(writer.stream.ends, writer);
    }

    /// Forgets one, unless another of the same ends has come in its place.
    pub(crate) fn remove(&mut self, ends: Ends, number: u64, poller: &Poller) {
        let same = |writer: &&Writer| writer.stream.number == number;
        if self.0.get(&ends).filter(same).is_some()
            && let Some(writer) = self.0.remove(&ends)
            && writer.watched
        {
            let _ = poller.remove(&writer.stream.socket);
        }
    }

    /// Sends an IKE message. Without a connection it is lost: its exchange begins again in another.
    pub(crate) fn send_ike(&mut self, ends: Ends, message: &[u8], poller: &Poller, token: u64) {
        let Some(writer) = self.0.get_mut(&ends) else {
            return;
        };
        let Some(length) = stream_length(NON_ESP_MARKER.len() + message.len()) else {
            return;
        };
        if writer.queue.len() + message.len() > MAX_QUEUE {
            return writer.stream.end();
        }
        writer.queue.extend(length);
        writer.queue.extend(NON_ESP_MARKER);
        writer.queue.extend(message);
        writer.flush(poller, token);
    }

    /// Sends ESP packets of `size` octets each, the last may be shorter. How many were dropped.
    pub(crate) fn send_esp(
        &mut self,
        ends: Ends,
        bytes: &[u8],
        size: usize,
        poller: &Poller,
        token: u64,
    ) -> u64 {
        let size = size.max(1);
        let Some(writer) = self.0.get_mut(&ends) else {
            return bytes.len().div_ceil(size) as u64;
        };
        let mut dropped = 0;
        for train in bytes.chunks(size.saturating_mul(MAX_PACKETS)) {
            dropped += writer.esp(train, size);
        }
        writer.watch(poller, token);
        dropped
    }

    /// Goes on with those that had to wait for room.
    pub(crate) fn flush(&mut self, poller: &Poller, token: u64) {
        for writer in self.0.values_mut().filter(|writer| writer.watched) {
            writer.flush(poller, token);
        }
    }
}

impl Writer {
    /// Writes a train of ESP without a copy, as far as the kernel takes it.
    fn esp(&mut self, train: &[u8], size: usize) -> u64 {
        let packets = || train.chunks(size);
        let lengths = |packet: &[u8]| stream_length(packet.len());
        let (Some(whole), Some(last)) = (
            packets().next().and_then(lengths),
            packets().next_back().and_then(lengths),
        ) else {
            return packets().len() as u64;
        };
        if self.stream.has_ended() {
            return packets().len() as u64;
        }
        let framed = train.len() + packets().len() * STREAM_LENGTH;
        let mut written = 0;
        if self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); 2 * MAX_PACKETS];
            let mut used = 0;
            for (pair, packet) in slices.chunks_exact_mut(2).zip(packets()) {
                let length = if packet.len() == size { &whole } else { &last };
                pair.copy_from_slice(&[IoSlice::new(length), IoSlice::new(packet)]);
                used += 2;
            }
            let slices = slices.get(..used).unwrap_or_default();
            match self.written((&self.stream.socket).write_vectored(slices)) {
                Some(octets) => written = octets,
                None => return packets().len() as u64,
            }
        }
        self.enqueue(train, size, framed, written)
    }

    /// Keeps what the kernel did not take: the rest of a message always, whole ones while there is
    /// room. How many were dropped.
    fn enqueue(&mut self, train: &[u8], size: usize, framed: usize, written: usize) -> u64 {
        if written == framed {
            return 0;
        }
        let (mut at, mut dropped) = (0, 0);
        for packet in train.chunks(size) {
            let end = at + STREAM_LENGTH + packet.len();
            let begun = at < written;
            let length = stream_length(packet.len()).unwrap_or_default();
            if end > written {
                if begun || self.queue.len() + end - at <= MAX_ESP {
                    let skipped = written.saturating_sub(at);
                    self.queue.extend(length.iter().chain(packet).skip(skipped));
                } else {
                    dropped += 1;
                }
            }
            at = end;
        }
        dropped
    }

    /// Writes what waits.
    fn flush(&mut self, poller: &Poller, token: u64) {
        while !self.queue.is_empty() && !self.stream.has_ended() {
            let (first, second) = self.queue.as_slices();
            let slices = [IoSlice::new(first), IoSlice::new(second)];
            match self.written((&self.stream.socket).write_vectored(&slices)) {
                Some(0) | None => break,
                Some(octets) => _ = self.queue.drain(..octets),
            }
        }
        if self.queue.is_empty() && self.queue.capacity() > SMALL {
            self.queue = VecDeque::new();
        }
        self.watch(poller, token);
    }

    /// What a write has done; `None` when it was the last.
    fn written(&self, outcome: io::Result<usize>) -> Option<usize> {
        match outcome {
            Ok(octets) => Some(octets),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => Some(0),
                _ => {
                    self.stream.end();
                    None
                }
            },
        }
    }

    /// The poller tells of room as long as something waits for it.
    fn watch(&mut self, poller: &Poller, token: u64) {
        let wanted = !self.queue.is_empty() && !self.stream.has_ended();
        if wanted == self.watched {
            return;
        }
        let changed = match wanted {
            true => poller.add(&self.stream.socket, token, Interest::Write),
            false => poller.remove(&self.stream.socket),
        };
        match changed {
            Ok(()) => self.watched = wanted,
            Err(_) => self.stream.end(),
        }
    }
}

#[cfg(test)]
mod tests;
