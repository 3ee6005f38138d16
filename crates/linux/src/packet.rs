//! Packet sockets: every frame of one interface, and frames made by hand (packet(7)).

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime};

use crate::error::Error;

mod sys;

/// One captured frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// When the kernel saw it, to the nanosecond.
    pub time: SystemTime,
    /// Whether this host sent it by this interface.
    pub outgoing: bool,
    /// The length that it had; more than `bytes` holds when it was cut to the snapshot length.
    /// A frame that the kernel has not segmented yet (GSO) is longer than the MTU.
    pub length: usize,
    /// The frame from its Ethernet header (from its IP header on a TUN device).
    pub bytes: &'a [u8],
}

/// What became of the frames since the last question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Frames that were seen, dropped ones included.
    pub seen: u64,
    /// Frames dropped because the buffer was full: not captured.
    pub dropped: u64,
}

/// Memory for one batch of captured frames, allocated once.
pub struct FrameBatch {
    slots: sys::Slots,
    count: usize,
}

impl FrameBatch {
    /// Room for `slots` frames (1 to 4,096) of which `snapshot` bytes (64 to 262,144) are kept.
    pub fn new(slots: usize, snapshot: usize) -> FrameBatch {
        let slots = sys::Slots::new(slots.clamp(1, 4096), snapshot.clamp(64, 262_144));
        FrameBatch { slots, count: 0 }
    }

    /// The frames of the last call, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Frame<'_>> {
        (0..self.count).map(|slot| {
            let meta = self.slots.describe(slot);
            Frame {
                time: SystemTime::UNIX_EPOCH + Duration::new(meta.seconds, meta.nanoseconds),
                outgoing: meta.outgoing,
                length: meta.length,
                bytes: self.slots.bytes(slot),
            }
        })
    }
}

impl std::fmt::Debug for FrameBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrameBatch")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// A non-blocking packet socket on one interface of the opening thread's network namespace.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
}

impl PacketSocket {
    /// Captures every frame of the interface from now on, in both directions.
    /// `buffer` is the kernel's buffer in bytes.
    ///
    /// # Errors
    /// A sentence, for example that there is no such interface.
    pub fn capture(interface: &str, buffer: usize) -> Result<PacketSocket, Error> {
        PacketSocket::open(interface, Some(buffer))
    }

    /// Sends frames by the interface and receives none.
    ///
    /// # Errors
    /// As [`PacketSocket::capture`].
    pub fn sender(interface: &str) -> Result<PacketSocket, Error> {
        PacketSocket::open(interface, None)
    }

    fn open(interface: &str, buffer: Option<usize>) -> Result<PacketSocket, Error> {
        let open = || -> io::Result<OwnedFd> {
            let name = CString::new(interface)?;
            let index = crate::sys::interface_index(&name)?;
            let fd = sys::open()?;
            if let Some(buffer) = buffer {
                sys::prepare_capture(fd.as_fd(), i32::try_from(buffer).unwrap_or(i32::MAX))?;
            }
            sys::bind(fd.as_fd(), index, buffer.is_some())?;
            Ok(fd)
        };
        let fd = open().map_err(|why| {
            Error::new(
                format!("open a packet socket on the interface {interface}"),
                why,
            )
        })?;
        Ok(PacketSocket { fd })
    }

    /// Receives what is there into `batch`, replacing what it held; answers how many frames.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; else those of recvmmsg(2).
    pub fn receive(&self, batch: &mut FrameBatch) -> io::Result<usize> {
        batch.count = 0;
        batch.count = batch.slots.receive(self.fd.as_fd())?;
        Ok(batch.count)
    }

    /// Sends one frame, from its Ethernet header.
    ///
    /// # Errors
    /// Those of send(2).
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        sys::send(self.fd.as_fd(), frame)
    }

    /// What became of the frames since the last question (the kernel counts from zero again).
    ///
    /// # Errors
    /// Those of getsockopt(2).
    pub fn statistics(&self) -> io::Result<Statistics> {
        let (seen, dropped) = sys::statistics(self.fd.as_fd())?;
        Ok(Statistics {
            seen: seen.into(),
            dropped: dropped.into(),
        })
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests;
