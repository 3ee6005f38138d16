//! Batches of datagrams: one system call for many, no allocation per packet (RFC 3542 §6).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::BorrowedFd;

use crate::message::{Received, ReceivedMut};

mod sys;

pub(crate) use sys::{send_many, send_one};

/// The largest datagram that a buffer of a [`RecvBatch`] must hold, in bytes.
pub(crate) const MAX_DATAGRAM: usize = 65_535;

/// What a system call told about one datagram.
#[derive(Clone, Copy)]
struct Entry {
    slot: usize,
    start: usize,
    end: usize,
    local: IpAddr,
    remote: SocketAddr,
    interface: u32,
    segment_size: usize,
    traffic_class: u8,
}

/// Buffers for one `recvmmsg`, allocated once and used again and again.
///
/// Memory is `slots * (65,535 + about 400)` bytes, touched only where data arrives.
pub struct RecvBatch {
    slots: sys::Slots,
    entries: Vec<Entry>,
    truncated: u64,
}

/// Where one entry of a [`RecvBatch`] lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address at which it arrived.
    pub local: IpAddr,
    /// The sender; of a raw socket with port 0.
    pub remote: SocketAddr,
    /// Its bytes.
    pub range: Range<usize>,
    /// Bytes of each datagram in it but the last, which may be shorter.
    pub segment_size: usize,
    /// DSCP and ECN of its IP header, the same for all.
    pub traffic_class: u8,
}

impl RecvBatch {
    /// Room for `slots` datagrams (1 to 1,024) of any size.
    pub fn new(slots: usize) -> RecvBatch {
        let slots = slots.clamp(1, 1024);
        RecvBatch {
            slots: sys::Slots::new(slots, MAX_DATAGRAM),
            entries: Vec::with_capacity(slots),
            truncated: 0,
        }
    }

    /// How many datagrams (or joined datagrams) the last call received.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the last call received nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many datagrams one call can receive.
    pub fn capacity(&self) -> usize {
        self.entries.capacity()
    }

    /// Datagrams thrown away since the start because they were cut or malformed.
    pub fn discarded(&self) -> u64 {
        self.truncated
    }

    /// The datagrams of the last call, in their order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = Received<'_>> {
        self.entries.iter().map(|entry| Received {
            local: entry.local,
            remote: entry.remote,
            interface: entry.interface,
            bytes: &self.slots.buffer(entry.slot)[entry.start..entry.end],
            segment_size: entry.segment_size,
        })
    }

    /// One datagram of the last call, to be worked on in place.
    pub fn get_mut(&mut self, index: usize) -> Option<ReceivedMut<'_>> {
        let entry = self.entries.get(index)?;
        Some(ReceivedMut {
            local: entry.local,
            remote: entry.remote,
            interface: entry.interface,
            bytes: &mut self.slots.buffer_mut(entry.slot)[entry.start..entry.end],
            segment_size: entry.segment_size,
        })
    }

    /// Where the entry `index` lies in [`buffer_mut`](Self::buffer_mut). For those who work on
    /// several entries at once, in place.
    pub fn place(&self, index: usize) -> Option<Place> {
        let entry = self.entries.get(index)?;
        let base = self.slots.start(entry.slot);
        Some(Place {
            local: entry.local,
            remote: entry.remote,
            range: base + entry.start..base + entry.end,
            segment_size: entry.segment_size,
            traffic_class: entry.traffic_class,
        })
    }

    /// The memory of all slots, in which every entry has its [`place`](Self::place).
    pub fn buffer_mut(&mut self) -> &mut [u8] {
        self.slots.all_mut()
    }

    /// Receives without waiting. With `ipv4_header` each datagram begins with an IPv4 header
    /// that is skipped (raw sockets).
    pub(crate) fn receive(&mut self, fd: BorrowedFd<'_>, ipv4_header: bool) -> io::Result<usize> {
        self.entries.clear();
        let count = self.slots.receive(fd)?;
        for slot in 0..count {
            let entry = self.slots.describe(slot).and_then(|meta| {
                let start = if ipv4_header {
                    ipv4_payload(&self.slots.buffer(slot)[..meta.length])?
                } else {
                    0
                };
                (start < meta.length).then(|| Entry {
                    slot,
                    start,
                    end: meta.length,
                    local: meta.local,
                    remote: meta.remote,
                    interface: meta.interface,
                    segment_size: meta.segment_size.unwrap_or(meta.length - start).max(1),
                    traffic_class: meta.traffic_class,
                })
            });
            match entry {
                Some(entry) => self.entries.push(entry),
                None => self.truncated += 1,
            }
        }
        Ok(self.entries.len())
    }
}

impl std::fmt::Debug for RecvBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecvBatch")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

/// Where the payload of an IPv4 packet begins (RFC 791 §3.1).
fn ipv4_payload(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let length = usize::from(first & 0x0f) * 4;
    (first >> 4 == 4 && length >= 20 && length <= packet.len()).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_ipv4_payload() {
        let mut packet = [0u8; 40];
        packet[0] = 0x45;
        assert_eq!(ipv4_payload(&packet), Some(20));
        packet[0] = 0x4a;
        assert_eq!(ipv4_payload(&packet), Some(40));
        for first in [0x44, 0x4b, 0x65, 0x00] {
            packet[0] = first;
            assert_eq!(ipv4_payload(&packet), None, "{first:#x}");
        }
        assert_eq!(ipv4_payload(&[]), None);
    }
}
