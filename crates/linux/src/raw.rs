//! Raw sockets of protocol 50: ESP without UDP around it (RFC 4303 §2).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU8, Ordering};

use socket2::{Protocol, Socket, Type};

use crate::batch::{RecvBatch, send_many, send_one};
use crate::error::Error;
use crate::message::Message;
use crate::prefix::Family;
use crate::udp::{self, DontFragment, SocketOptions};

/// The IP protocol number of ESP.
const ESP: i32 = 50;

/// A non-blocking raw socket that sends and receives ESP packets of one family.
///
/// The kernel writes the IP header of what is sent and reassembles fragments of what is
/// received; received bytes begin with the SPI in both families.
#[derive(Debug)]
pub struct EspSocket {
    socket: Socket,
    family: Family,
    /// The [`DontFragment`] that was said last, or none of them.
    fragmentation: AtomicU8,
}

impl EspSocket {
    /// Opens the socket; every ESP packet to this host arrives on it.
    ///
    /// # Errors
    /// A sentence, mostly that CAP_NET_RAW is missing.
    pub fn open(family: Family, options: &SocketOptions) -> Result<EspSocket, Error> {
        let open = || -> io::Result<Socket> {
            let protocol = Protocol::from(ESP);
            let socket = Socket::new(udp::domain(family), Type::RAW, Some(protocol))?;
            udp::prepare(&socket, family, options)?;
            Ok(socket)
        };
        let socket =
            open().map_err(|why| Error::new(format!("open a raw {family} socket for ESP"), why))?;
        Ok(EspSocket {
            socket,
            family,
            fragmentation: AtomicU8::new(u8::MAX),
        })
    }

    /// The family of this socket.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Decides about fragmentation of everything sent from now on. To say again what was said last
    /// costs no system call.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_dont_fragment(&self, mode: DontFragment) -> io::Result<()> {
        let said = mode as u8;
        if self.fragmentation.swap(said, Ordering::Relaxed) == said {
            return Ok(());
        }
        udp::set_dont_fragment(self.as_fd(), self.family, mode)
    }

    /// Receives what is there into `batch`, replacing what it held; answers how many entries.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; else those of recvmmsg(2).
    pub fn receive(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        batch.receive(self.as_fd(), self.family == Family::V4)
    }

    /// Sends one ESP packet, from `local` where given.
    ///
    /// # Errors
    /// `WouldBlock` when the buffer is full; else those of sendmsg(2).
    pub fn send_to(&self, local: Option<IpAddr>, remote: IpAddr, bytes: &[u8]) -> io::Result<()> {
        let remote = SocketAddr::new(remote, 0);
        let message = Message {
            local,
            remote,
            bytes,
            segment_size: None,
            traffic_class: 0,
        };
        send_one(self.as_fd(), true, &message).map(drop)
    }

    /// Sends `bytes` as packets of `segment_size` bytes, the last may be shorter, with this DSCP
    /// and ECN. Answers how many bytes were sent: a multiple of `segment_size`, or all.
    ///
    /// # Errors
    /// As [`EspSocket::send_to`], and only when nothing was sent; `InvalidInput` when
    /// `segment_size` is 0.
    pub fn send_segments(
        &self,
        local: Option<IpAddr>,
        remote: IpAddr,
        bytes: &[u8],
        segment_size: usize,
        traffic_class: u8,
    ) -> io::Result<usize> {
        if segment_size == 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let remote = SocketAddr::new(remote, 0);
        let empty = Message {
            local,
            remote,
            bytes: &[],
            segment_size: None,
            traffic_class,
        };
        let mut sent = 0;
        for part in bytes.chunks(segment_size.saturating_mul(udp::MAX_SEGMENTS)) {
            let mut messages = [empty; udp::MAX_SEGMENTS];
            let count = part.len().div_ceil(segment_size);
            for (message, segment) in messages.iter_mut().zip(part.chunks(segment_size)) {
                message.bytes = segment;
            }
            match self.send_batch(messages.get(..count).unwrap_or(&messages)) {
                Ok(done) => {
                    sent += (done * segment_size).min(part.len());
                    if done < count {
                        break;
                    }
                }
                Err(error) if sent == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(sent)
    }

    /// Sends messages in their order (ports and segment sizes are ignored); answers how many
    /// were sent before the first that was not.
    ///
    /// # Errors
    /// As [`EspSocket::send_to`], and only when the first message was not sent.
    pub fn send_batch(&self, messages: &[Message<'_>]) -> io::Result<usize> {
        send_many(self.as_fd(), true, messages)
    }
}

/// A raw socket for whole IP packets, for what the policy lets pass in clear.
#[derive(Debug)]
pub struct IpSocket {
    socket: Socket,
    family: Family,
}

impl IpSocket {
    /// Opens the socket; nothing is ever received on it.
    ///
    /// # Errors
    /// A sentence, mostly that CAP_NET_RAW is missing.
    pub fn open(family: Family, mark: Option<u32>) -> Result<IpSocket, Error> {
        let open = || -> io::Result<Socket> {
            let protocol = Protocol::from(libc::IPPROTO_RAW);
            let socket = Socket::new(udp::domain(family), Type::RAW, Some(protocol))?;
            socket.set_nonblocking(true)?;
            match family {
                Family::V4 => socket.set_header_included_v4(true)?,
                Family::V6 => socket.set_header_included_v6(true)?,
            }
            if let Some(mark) = mark {
                socket.set_mark(mark)?;
            }
            Ok(socket)
        };
        let socket = open()
            .map_err(|why| Error::new(format!("open a raw {family} socket for packets"), why))?;
        Ok(IpSocket { socket, family })
    }

    /// The family of this socket.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Sends one IP packet, header included.
    ///
    /// # Errors
    /// `WouldBlock` when the buffer is full; else those of sendto(2).
    pub fn send(&self, destination: IpAddr, packet: &[u8]) -> io::Result<()> {
        self.socket
            .send_to(packet, &SocketAddr::new(destination, 0).into())
            .map(drop)
    }
}

impl AsFd for EspSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests;
