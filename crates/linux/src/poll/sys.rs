//! epoll(7) and eventfd(2).
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::sys::check;

/// A new epoll instance.
pub(crate) fn create() -> io::Result<OwnedFd> {
    // SAFETY: the call takes a flag only; the new descriptor is ours alone to own.
    unsafe {
        let fd = check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// epoll_ctl(2).
pub(crate) fn control(
    epoll: BorrowedFd<'_>,
    operation: libc::c_int,
    fd: BorrowedFd<'_>,
    token: u64,
    events: u32,
) -> io::Result<()> {
    let mut event = libc::epoll_event { events, u64: token };
    // SAFETY: both descriptors are open for the time of the borrow; `event` outlives the call.
    let answer =
        unsafe { libc::epoll_ctl(epoll.as_raw_fd(), operation, fd.as_raw_fd(), &mut event) };
    check(answer).map(drop)
}

/// The events of one wait.
pub(crate) struct Buffer {
    events: Vec<libc::epoll_event>,
    count: usize,
}

impl Buffer {
    pub(crate) fn new(capacity: usize) -> Buffer {
        let event = libc::epoll_event { events: 0, u64: 0 };
        Buffer {
            events: vec![event; capacity],
            count: 0,
        }
    }

    /// epoll_wait(2); `timeout` in milliseconds, -1 for ever.
    pub(crate) fn wait(&mut self, epoll: BorrowedFd<'_>, timeout: i32) -> io::Result<usize> {
        self.count = 0;
        let capacity = i32::try_from(self.events.len()).unwrap_or(i32::MAX);
        // SAFETY: the kernel writes at most `capacity` events into the vector's memory.
        let count = check(unsafe {
            libc::epoll_wait(
                epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                capacity,
                timeout,
            )
        })?;
        self.count = count as usize;
        Ok(self.count)
    }

    /// The token and the bits of every event.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.events
            .iter()
            .take(self.count)
            .map(|event| (event.u64, event.events))
    }
}

/// A new, non-blocking event counter.
pub(crate) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: the call takes numbers only; the new descriptor is ours alone to own.
    unsafe {
        let fd = check(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Adds one to an event counter.
pub(crate) fn write_one(fd: BorrowedFd<'_>) -> io::Result<()> {
    let one: u64 = 1;
    // SAFETY: the pointer and the length describe `one`, which outlives the call.
    let wrote = unsafe { libc::write(fd.as_raw_fd(), std::ptr::from_ref(&one).cast(), 8) };
    if wrote < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Takes the whole count of an event counter.
pub(crate) fn read_count(fd: BorrowedFd<'_>) -> io::Result<u64> {
    let mut count: u64 = 0;
    // SAFETY: the pointer and the length describe `count`, which outlives the call.
    let read = unsafe { libc::read(fd.as_raw_fd(), std::ptr::from_mut(&mut count).cast(), 8) };
    if read < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(count)
    }
}
