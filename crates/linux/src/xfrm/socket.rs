//! The request and reply socket of XFRM (netlink(7)).

use std::io;

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};
use netlink_sys::protocols::NETLINK_XFRM;
use netlink_sys::{Socket, SocketAddr};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::netlink::{Replies, Reply};
use crate::xfrm::event::Ends;
use crate::xfrm::octets::{Reader, Writer};

/// A synchronous door to the IPsec of one network namespace.
#[derive(Debug)]
pub struct Xfrm {
    socket: Socket,
    sequence: u32,
    pub(crate) ends: Ends,
}

/// What a request asks for beside being carried out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Only whether it was.
    Done,
    /// All objects of a kind.
    Dump,
}

impl Xfrm {
    /// Opens a socket in this thread's network namespace.
    ///
    /// # Errors
    /// A sentence: the kernel has no XFRM, or permission is missing.
    pub fn open() -> Result<Xfrm, Error> {
        let open = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_XFRM)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            socket.set_ext_ack(true)?;
            socket.set_cap_ack(true)?;
            Ok(socket)
        };
        let socket = open().map_err(|why| Error::new("open the kernel's IPsec (XFRM)", why))?;
        Ok(Xfrm {
            socket,
            sequence: 0,
            ends: Ends::open()?,
        })
    }

    /// Sends a request and takes what comes until it is answered. `look` sees the type and the
    /// body of every object. `what` completes "cannot ...".
    pub(crate) fn request(
        &mut self,
        kind: u16,
        flags: u16,
        ask: Ask,
        body: impl FnOnce(&mut Writer),
        mut look: impl FnMut(u16, Reader<'_>),
        what: impl Fn() -> String,
    ) -> Result<(), Error> {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        let asked = match ask {
            Ask::Done => NLM_F_ACK,
            Ask::Dump => NLM_F_DUMP,
        };
        let mut message = Writer::new(kind, NLM_F_REQUEST | asked | flags);
        body(&mut message);
        let message = message.finish(self.sequence);
        self.socket
            .send(&message, 0)
            .map_err(|why| Error::new(what(), why))?;
        loop {
            let datagram = match self.socket.recv_from_full() {
                Ok((datagram, _)) => Zeroizing::new(datagram),
                Err(why) => return Err(Error::new(what(), why)),
            };
            for (sequence, reply) in Replies::new(&datagram) {
                if sequence != self.sequence {
                    continue;
                }
                match reply {
                    Reply::Done => return Ok(()),
                    Reply::Refused(code, text) => {
                        let why = io::Error::from_raw_os_error(code);
                        return Err(Error::new(what(), why).with_detail(text));
                    }
                    Reply::Object(kind, body) => look(kind, Reader::new(body)),
                }
            }
        }
    }
}
