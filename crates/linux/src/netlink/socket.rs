//! The request and reply socket of rtnetlink (RFC 3549 §2.2).

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, ParseableParametrized,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use crate::error::Error;
use crate::netlink::reply::{Replies, Reply};

/// A synchronous rtnetlink socket of one network namespace.
///
/// Requests are answered by the kernel at once; nothing here waits for anything else.
#[derive(Debug)]
pub struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// Opens a socket in this thread's network namespace.
    ///
    /// # Errors
    /// A sentence; hardly ever.
    pub fn open() -> Result<Netlink, Error> {
        let open = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            socket.set_ext_ack(true)?;
            socket.set_cap_ack(true)?;
            // With strict checks (Linux 4.20) dumps are filtered in the kernel; we filter too.
            let _ = socket.set_netlink_get_strict_chk(true);
            Ok(socket)
        };
        let socket = open().map_err(|why| Error::new("open a netlink socket", why))?;
        Ok(Netlink {
            socket,
            sequence: 0,
        })
    }

    /// Sends a request that changes something; `flags` are beside REQUEST and ACK.
    /// `what` completes "cannot ...".
    pub(crate) fn change(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        what: impl Fn() -> String,
    ) -> Result<(), Error> {
        self.request(message, NLM_F_REQUEST | NLM_F_ACK | flags, what)
            .map(drop)
    }

    /// As [`Netlink::change`], but an error of `harmless` means that nothing had to be done.
    /// Answers whether something changed.
    pub(crate) fn change_unless(
        &mut self,
        harmless: &[i32],
        message: RouteNetlinkMessage,
        flags: u16,
        what: impl Fn() -> String,
    ) -> Result<bool, Error> {
        match self.change(message, flags, what) {
            Ok(()) => Ok(true),
            Err(error)
                if error
                    .os_error()
                    .is_some_and(|code| harmless.contains(&code)) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Asks for one object.
    pub(crate) fn get(
        &mut self,
        message: RouteNetlinkMessage,
        what: impl Fn() -> String,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        self.request(message, NLM_F_REQUEST | NLM_F_ACK, what)
    }

    /// Asks for all objects of a kind.
    pub(crate) fn dump(
        &mut self,
        message: RouteNetlinkMessage,
        what: impl Fn() -> String,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        self.request(message, NLM_F_REQUEST | NLM_F_DUMP, what)
    }

    fn request(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        what: impl Fn() -> String,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut request = NetlinkMessage::from(message);
        request.header.flags = flags;
        request.header.sequence_number = self.sequence;
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket
            .send(&bytes, 0)
            .map_err(|why| Error::new(what(), why))?;
        self.collect(what)
    }

    fn collect(&self, what: impl Fn() -> String) -> Result<Vec<RouteNetlinkMessage>, Error> {
        let mut objects = Vec::new();
        loop {
            let (datagram, _) = self
                .socket
                .recv_from_full()
                .map_err(|why| Error::new(what(), why))?;
            for (sequence, reply) in Replies::new(&datagram) {
                if sequence != self.sequence {
                    continue;
                }
                match reply {
                    Reply::Done => return Ok(objects),
                    Reply::Refused(code, text) => {
                        let why = io::Error::from_raw_os_error(code);
                        return Err(Error::new(what(), why).with_detail(text));
                    }
                    Reply::Object(kind, body) => {
                        let object = RouteNetlinkMessage::parse_with_param(body, kind)
                            .map_err(|error| Error::other(what(), error.to_string()))?;
                        objects.push(object);
                    }
                }
            }
        }
    }
}
