//! Notifications of changed interfaces, addresses and routes (rtnetlink(7), multicast groups).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use netlink_packet_core::ParseableParametrized;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::error::Error;
use crate::netlink::address::{self, Address};
use crate::netlink::link::{self, Link};
use crate::netlink::notices::Notices;
use crate::netlink::route::{self, Route};

/// The multicast groups we listen to (rtnetlink.h, `RTNLGRP_*`).
const GROUPS: [u32; 5] = [
    libc::RTNLGRP_LINK,
    libc::RTNLGRP_IPV4_IFADDR,
    libc::RTNLGRP_IPV6_IFADDR,
    libc::RTNLGRP_IPV4_ROUTE,
    libc::RTNLGRP_IPV6_ROUTE,
];

/// A change in this network namespace, whoever made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An interface is new, or something about it changed.
    Link(Link),
    /// An interface is gone.
    LinkGone(Link),
    /// An address is new, or its state changed.
    Address(Address),
    /// An address is gone.
    AddressGone(Address),
    /// A route is new or changed.
    Route(Route),
    /// A route is gone.
    RouteGone(Route),
    /// The kernel had no room for notifications and dropped some: list everything again.
    Lost,
}

/// A non-blocking source of [`Event`]s.
#[derive(Debug)]
pub struct Monitor {
    notices: Notices<Event>,
}

impl Monitor {
    /// Listens in this thread's network namespace.
    ///
    /// # Errors
    /// A sentence; hardly ever.
    pub fn open() -> Result<Monitor, Error> {
        let open = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.set_non_blocking(true)?;
            socket.set_rx_buf_sz(1 << 20)?;
            for group in GROUPS {
                socket.add_membership(group)?;
            }
            Ok(socket)
        };
        let socket = open().map_err(|why| Error::new("watch for network changes", why))?;
        Ok(Monitor {
            notices: Notices::new(socket),
        })
    }

    /// The next change; `None` when there is none yet.
    ///
    /// # Errors
    /// Those of recv(2), except that the socket would wait.
    pub fn next_event(&mut self) -> io::Result<Option<Event>> {
        let read = |kind, body: &[u8]| {
            let message = RouteNetlinkMessage::parse_with_param(body, kind).ok()?;
            event(&message)
        };
        self.notices.next(read, Event::Lost)
    }
}

/// For runtimes that wait by number.
impl AsRawFd for Monitor {
    fn as_raw_fd(&self) -> RawFd {
        self.notices.socket.as_fd().as_raw_fd()
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.notices.socket.as_fd()
    }
}

fn event(message: &RouteNetlinkMessage) -> Option<Event> {
    match message {
        RouteNetlinkMessage::NewLink(_) => link::from_message(message).map(Event::Link),
        RouteNetlinkMessage::DelLink(_) => link::from_message(message).map(Event::LinkGone),
        RouteNetlinkMessage::NewAddress(_) => address::from_message(message).map(Event::Address),
        RouteNetlinkMessage::DelAddress(_) => {
            address::from_message(message).map(Event::AddressGone)
        }
        RouteNetlinkMessage::NewRoute(_) => route::from_message(message).map(Event::Route),
        RouteNetlinkMessage::DelRoute(_) => route::from_message(message).map(Event::RouteGone),
        _ => None,
    }
}
