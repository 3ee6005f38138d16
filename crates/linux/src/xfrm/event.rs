//! What the kernel's IPsec tells by itself: packets without an SA, limits, progress (xfrm.h).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_XFRM;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::netlink::{Notices, Replies, Reply};
use crate::prefix::Family;
use crate::xfrm::octets::{ADDRESS, Reader, address};
use crate::xfrm::policy::{self, TEMPLATES, Template};
use crate::xfrm::replay::Replay;
use crate::xfrm::selector::Selector;
use crate::xfrm::state::{Mode, SaId, SaInfo};

const DELSA: u16 = 0x11;
const ACQUIRE: u16 = 0x17;
const EXPIRE: u16 = 0x18;
const NEWAE: u16 = 0x1e;
const MAPPING: u16 = 0x26;
/// `XFRMA_SA`: an SA within a notification of its end.
const SA: u16 = 6;
/// `XFRMA_LTIME_VAL`.
const CARRIED: u16 = 9;
/// `XFRMNLGRP_SA`.
const GROUP_SA: u32 = 3;
/// ACQUIRE, EXPIRE, AEVENTS, MAPPING (`XFRMNLGRP_*`).
const GROUPS: [u32; 4] = [1, 2, 5, 8];
/// Room for events of very many SAs at once.
const BUFFER: usize = 8 << 20;
/// Fields of `struct xfrm_aevent_id` behind its SA's name, and of `struct xfrm_user_acquire`
/// behind the policy.
const WORD: usize = 4;

/// A packet has met a policy and found no SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acquire {
    /// The packet: hosts and ports.
    pub selector: Selector,
    /// The outer addresses that the SA must have, source first.
    pub outer: (IpAddr, IpAddr),
    /// The number that it must have.
    pub reqid: u32,
    /// The mode that it must have.
    pub mode: Mode,
    /// The number of the wait.
    pub sequence: u32,
}

/// How far an SA has come; told some tens of milliseconds after it has moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The SA.
    pub id: SaId,
    /// The number by which policies ask for it.
    pub reqid: u32,
    /// Its sequence numbers.
    pub replay: Replay,
    /// Packets that it has carried since it was installed.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What has happened in a network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A packet has found no SA.
    Acquire(Acquire),
    /// An SA has come to a limit.
    Expire {
        /// The SA as it was.
        sa: Box<SaInfo>,
        /// Whether it is gone.
        hard: bool,
    },
    /// An SA has moved.
    Moved(Box<Moved>),
    /// A peer sends ESP in UDP from elsewhere than before: its NAT has changed its mind.
    Mapping {
        /// Our SA.
        id: SaId,
        /// Whence it sent.
        old: SocketAddr,
        /// Whence it sends.
        new: SocketAddr,
    },
    /// The kernel had no room and dropped some: look at everything.
    Lost,
}

/// A non-blocking source of [`Event`]s.
#[derive(Debug)]
pub struct XfrmMonitor {
    notices: Notices<Event>,
}

impl XfrmMonitor {
    /// Listens in this thread's network namespace. While somebody does, the kernel asks for SAs
    /// that policies want.
    ///
    /// # Errors
    /// A sentence.
    pub fn open() -> Result<XfrmMonitor, Error> {
        Ok(XfrmMonitor {
            notices: Notices::new(listen(&GROUPS)?),
        })
    }

    /// The next event; `None` when there is none yet.
    ///
    /// # Errors
    /// Those of recv(2), except that the socket would wait.
    pub fn next_event(&mut self) -> io::Result<Option<Event>> {
        let read = |kind, body: &[u8]| event(kind, Reader::new(body));
        self.notices.next(read, Event::Lost)
    }
}

/// For runtimes that wait by number.
impl AsRawFd for XfrmMonitor {
    fn as_raw_fd(&self) -> RawFd {
        self.notices.socket.as_fd().as_raw_fd()
    }
}

impl AsFd for XfrmMonitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.notices.socket.as_fd()
    }
}

/// Hears what SAs had come to when they went, while it listens.
#[derive(Debug)]
pub(crate) struct Ends {
    socket: Socket,
}

impl Ends {
    /// Opened beside its door, so that both speak with the same namespace.
    pub(crate) fn open() -> Result<Self, Error> {
        Ok(Ends {
            socket: listen(&[])?,
        })
    }

    /// From now on, or no longer: what nobody asks for must not fill the buffer.
    pub(crate) fn listen(&mut self, on: bool) -> Result<(), Error> {
        let turned = match on {
            true => self.socket.add_membership(GROUP_SA),
            false => self.socket.drop_membership(GROUP_SA),
        };
        turned.map_err(|why| Error::new("hear of the ends of SAs", why))
    }

    /// Of an SA that has just been removed: the kernel tells before it answers.
    pub(crate) fn of(&mut self, id: SaId) -> Option<SaInfo> {
        let mut found = None;
        while let Ok((datagram, _)) = self.socket.recv_from_full() {
            let datagram = Zeroizing::new(datagram);
            for (_, reply) in Replies::new(&datagram) {
                if let Reply::Object(DELSA, body) = reply {
                    let info = ended(Reader::new(body)).filter(|info| info.id == id);
                    found = info.or(found);
                }
            }
        }
        found
    }
}

fn listen(groups: &[u32]) -> Result<Socket, Error> {
    let open = || -> io::Result<Socket> {
        let mut socket = Socket::new(NETLINK_XFRM)?;
        socket.bind_auto()?;
        socket.set_non_blocking(true)?;
        socket.set_rx_buf_sz(BUFFER)?;
        for group in groups {
            socket.add_membership(*group)?;
        }
        Ok(socket)
    };
    open().map_err(|why| Error::new("listen to the kernel's IPsec (XFRM)", why))
}

/// Reads a notification; `None` for those that nobody asked for and for other protocols.
pub(crate) fn event(kind: u16, mut body: Reader<'_>) -> Option<Event> {
    match kind {
        ACQUIRE => acquire(body).map(Event::Acquire),
        EXPIRE => {
            let sa = SaInfo::read(&mut body)?;
            let hard = body.u8()? != 0;
            body.bytes(7)?;
            let sa = Box::new(sa.with(body));
            Some(Event::Expire { sa, hard })
        }
        NEWAE => moved(body).map(|moved| Event::Moved(Box::new(moved))),
        MAPPING => mapping(body),
        _ => None,
    }
}

/// `struct xfrm_user_acquire`, with the templates of the policy.
fn acquire(mut body: Reader<'_>) -> Option<Acquire> {
    let to = body.bytes(ADDRESS)?;
    body.bytes(8)?;
    let from = body.bytes(ADDRESS)?;
    let selector = Selector::read(&mut body)?;
    body.bytes(policy::INFO + 3 * WORD)?;
    let sequence = body.u32()?;
    let template = Template::read(&mut body.attribute(TEMPLATES)?)?;
    let outer = template.outer.map(|(source, _)| Family::of(source));
    let family = outer.unwrap_or(selector.family());
    Some(Acquire {
        selector,
        outer: (address(from, family)?, address(to, family)?),
        reqid: template.reqid,
        mode: template.mode,
        sequence,
    })
}

/// `struct xfrm_aevent_id`, with numbers and counters.
fn moved(mut body: Reader<'_>) -> Option<Moved> {
    let id = SaId::read(&mut body)?;
    body.bytes(ADDRESS + WORD)?;
    let reqid = body.u32()?;
    let mut carried = body.attribute(CARRIED)?;
    let (bytes, packets) = (carried.u64()?, carried.u64()?);
    Some(Moved {
        id,
        reqid,
        replay: Replay::read(body)?,
        packets,
        bytes,
    })
}

/// `struct xfrm_user_mapping`.
fn mapping(mut body: Reader<'_>) -> Option<Event> {
    let id = SaId::read(&mut body)?;
    body.u32()?;
    let (old, new) = (body.bytes(ADDRESS)?, body.bytes(ADDRESS)?);
    let (old_port, new_port) = (body.be16()?, body.be16()?);
    let family = Family::of(id.destination);
    Some(Event::Mapping {
        id,
        old: SocketAddr::new(address(old, family)?, old_port),
        new: SocketAddr::new(address(new, family)?, new_port),
    })
}

/// A notification of the end of an SA: its name, then the SA in an attribute.
pub(crate) fn ended(mut body: Reader<'_>) -> Option<SaInfo> {
    SaId::read(&mut body)?;
    let info = SaInfo::read(&mut body.attribute(SA)?)?;
    Some(info.with(body))
}
