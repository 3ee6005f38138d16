//! What the kernel tells by itself, one thing after the other (RFC 3549 §2.2, multicast groups).

use std::collections::VecDeque;
use std::io;

use netlink_sys::Socket;
use zeroize::Zeroizing;

use crate::netlink::reply::{Replies, Reply};

/// A non-blocking socket of notifications, and those of a datagram that nobody has asked for yet.
#[derive(Debug)]
pub(crate) struct Notices<E> {
    pub(crate) socket: Socket,
    waiting: VecDeque<E>,
}

impl<E> Notices<E> {
    pub(crate) fn new(socket: Socket) -> Self {
        Notices {
            socket,
            waiting: VecDeque::new(),
        }
    }

    /// The next one; `None` when there is none yet. `read` makes it of a message type and what
    /// follows the netlink header; `lost` stands for those that the kernel had no room for.
    ///
    /// # Errors
    /// Those of recv(2), except that the socket would wait.
    pub(crate) fn next(
        &mut self,
        read: impl Fn(u16, &[u8]) -> Option<E>,
        lost: E,
    ) -> io::Result<Option<E>> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Ok(Some(event));
            }
            match self.socket.recv_from_full() {
                Ok((datagram, _)) => {
                    // Some are of SAs, with their keys.
                    let datagram = Zeroizing::new(datagram);
                    let found = Replies::new(&datagram).filter_map(|(_, reply)| match reply {
                        Reply::Object(kind, body) => read(kind, body),
                        Reply::Done | Reply::Refused(..) => None,
                    });
                    self.waiting.extend(found);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(Some(lost)),
                Err(error) => return Err(error),
            }
        }
    }
}
