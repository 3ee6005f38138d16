//! Waiting for file descriptors (epoll(7)) and waking a thread that waits (eventfd(2)).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

mod sys;

/// What a descriptor is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Something to read.
    Read,
    /// Room to write.
    Write,
    /// Either.
    Both,
}

/// One descriptor that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The token that the descriptor was added with.
    pub token: u64,
    /// A read would not wait (data, end of file or an error).
    pub readable: bool,
    /// A write would not wait.
    pub writable: bool,
}

impl Interest {
    fn bits(self) -> u32 {
        let bits = match self {
            Interest::Read => libc::EPOLLIN,
            Interest::Write => libc::EPOLLOUT,
            Interest::Both => libc::EPOLLIN | libc::EPOLLOUT,
        };
        bits as u32
    }
}

/// A set of descriptors to wait for, level-triggered.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
}

/// The answers of one wait, allocated once.
pub struct Events {
    events: sys::Buffer,
}

impl Events {
    /// Room for `capacity` descriptors (at least 1) per wait.
    pub fn with_capacity(capacity: usize) -> Events {
        Events {
            events: sys::Buffer::new(capacity.max(1)),
        }
    }

    /// The descriptors that the last wait found ready.
    pub fn iter(&self) -> impl Iterator<Item = Ready> + '_ {
        let failed = (libc::EPOLLERR | libc::EPOLLHUP) as u32;
        self.events.iter().map(move |(token, bits)| Ready {
            token,
            readable: bits & (libc::EPOLLIN as u32 | failed) != 0,
            writable: bits & (libc::EPOLLOUT as u32 | failed) != 0,
        })
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Poller {
    /// A new, empty set.
    ///
    /// # Errors
    /// Those of epoll_create1(2).
    pub fn new() -> io::Result<Poller> {
        Ok(Poller {
            epoll: sys::create()?,
        })
    }

    /// Watches a descriptor; `token` comes back when it is ready. A descriptor that is closed
    /// leaves the set by itself.
    ///
    /// # Errors
    /// `AlreadyExists` when it is watched already; else those of epoll_ctl(2).
    pub fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        sys::control(
            self.epoll.as_fd(),
            libc::EPOLL_CTL_ADD,
            fd.as_fd(),
            token,
            interest.bits(),
        )
    }

    /// Changes what a watched descriptor is watched for.
    ///
    /// # Errors
    /// `NotFound` when it is not watched; else those of epoll_ctl(2).
    pub fn modify(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        sys::control(
            self.epoll.as_fd(),
            libc::EPOLL_CTL_MOD,
            fd.as_fd(),
            token,
            interest.bits(),
        )
    }

    /// Stops watching a descriptor.
    ///
    /// # Errors
    /// `NotFound` when it is not watched; else those of epoll_ctl(2).
    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        sys::control(self.epoll.as_fd(), libc::EPOLL_CTL_DEL, fd.as_fd(), 0, 0)
    }

    /// Waits until a descriptor is ready or the time is over (`None`: for ever), rounded up to
    /// a millisecond. Answers how many are ready; a signal ends the wait early with 0.
    ///
    /// # Errors
    /// Those of epoll_wait(2), except `Interrupted`.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<usize> {
        let timeout = timeout.map_or(-1, |timeout| {
            i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
        });
        match events.events.wait(self.epoll.as_fd(), timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            answer => answer,
        }
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// A counter that one thread raises to wake another which waits for it to be readable.
#[derive(Debug)]
pub struct EventFd {
    fd: OwnedFd,
}

impl EventFd {
    /// A counter at zero.
    ///
    /// # Errors
    /// Those of eventfd(2).
    pub fn new() -> io::Result<EventFd> {
        Ok(EventFd {
            fd: sys::eventfd()?,
        })
    }

    /// Makes the descriptor readable; any number of calls before [`EventFd::clear`] is one.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn notify(&self) -> io::Result<()> {
        match sys::write_one(self.fd.as_fd()) {
            // The counter is at its maximum: it is readable all the same.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            answer => answer,
        }
    }

    /// Makes the descriptor unreadable; answers whether it had been notified.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn clear(&self) -> io::Result<bool> {
        match sys::read_count(self.fd.as_fd()) {
            Ok(count) => Ok(count > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::thread;

    use super::*;

    const NONE: Option<Duration> = Some(Duration::ZERO);
    const LONG: Option<Duration> = Some(Duration::from_secs(5));

    #[test]
    fn an_event_wakes_a_waiting_thread() {
        let event = EventFd::new().unwrap();
        let poller = Poller::new().unwrap();
        poller.add(&event, 7, Interest::Read).unwrap();
        let mut events = Events::with_capacity(4);
        assert_eq!(poller.wait(&mut events, NONE).unwrap(), 0);
        thread::scope(|scope| {
            scope.spawn(|| event.notify().unwrap());
            assert_eq!(poller.wait(&mut events, LONG).unwrap(), 1);
        });
        let ready: Vec<_> = events.iter().collect();
        assert_eq!(
            ready,
            [Ready {
                token: 7,
                readable: true,
                writable: false
            }]
        );
        event.notify().unwrap();
        assert!(event.clear().unwrap());
        assert!(!event.clear().unwrap());
        assert_eq!(poller.wait(&mut events, NONE).unwrap(), 0);
        assert_eq!(events.iter().count(), 0);
    }

    #[test]
    fn interest_is_added_changed_and_removed() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let poller = Poller::new().unwrap();
        let mut events = Events::with_capacity(4);
        poller.add(&socket, 1, Interest::Both).unwrap();
        assert_eq!(
            poller.add(&socket, 1, Interest::Both).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(poller.wait(&mut events, NONE).unwrap(), 1);
        assert!(events.iter().all(|ready| ready.writable && !ready.readable));
        poller.modify(&socket, 2, Interest::Read).unwrap();
        assert_eq!(poller.wait(&mut events, NONE).unwrap(), 0);
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        assert_eq!(poller.wait(&mut events, LONG).unwrap(), 1);
        assert_eq!(events.iter().next().unwrap().token, 2);
        poller.remove(&socket).unwrap();
        assert_eq!(poller.wait(&mut events, NONE).unwrap(), 0);
    }
}
