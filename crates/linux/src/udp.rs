//! UDP sockets for IKE and ESP in UDP, with GSO and GRO (RFC 7296 §2.23, RFC 3948).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use socket2::{Domain, Protocol, Socket, Type};

use crate::batch::{RecvBatch, send_many, send_one};
use crate::error::Error;
use crate::message::Message;
use crate::prefix::Family;
use crate::sys;

/// The most segments that one GSO send may hold on every kernel (`UDP_MAX_SEGMENTS`).
pub const MAX_SEGMENTS: usize = 64;
/// The most bytes that one send may hold on either family (65,535 less IPv4 and UDP headers).
pub const MAX_PAYLOAD: usize = 65_507;

/// `UDP_ENCAP` and `UDP_ENCAP_ESPINUDP` (udp.h).
const UDP_ENCAP: libc::c_int = 100;
const ESP_IN_UDP: libc::c_int = 2;
/// The error of a datagram that does not fit its link and may not be fragmented (`EMSGSIZE`).
pub const MESSAGE_TOO_LONG: i32 = libc::EMSGSIZE;

/// What the IPv4 "don't fragment" bit says, and its like for IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DontFragment {
    /// Never set; datagrams larger than the path's MTU are fragmented.
    Never,
    /// Set; larger datagrams are refused with `EMSGSIZE`.
    Always,
    /// Set, and the kernel's idea of the path's MTU is ignored.
    Probe,
}

/// How a socket is opened. The default has no mark, no device, large buffers, offload on.
#[derive(Clone, Debug)]
pub struct SocketOptions {
    /// The routing mark of everything that is sent (`SO_MARK`).
    pub mark: Option<u32>,
    /// The one interface that the socket may use (`SO_BINDTODEVICE`).
    pub device: Option<String>,
    /// Whether several sockets may share the port, each with a part of the flows
    /// (`SO_REUSEPORT`).
    pub reuse_port: bool,
    /// Whether the port may be taken while another socket that allows it has it
    /// (`SO_REUSEADDR`). The newer socket then gets every packet: two daemons would rob each
    /// other silently, and UDP needs it for no restart, so it is off by default.
    pub reuse_address: bool,
    /// The size of the kernel's receive and send buffers in bytes.
    pub buffer: usize,
    /// Whether the kernel may join received datagrams (UDP only).
    pub gro: bool,
    /// Whether the kernel itself takes in ESP that arrives here in UDP (RFC 3948, UDP only): the
    /// socket receives IKE alone, behind its marker.
    pub esp_in_udp: bool,
}

impl Default for SocketOptions {
    fn default() -> SocketOptions {
        SocketOptions {
            mark: None,
            device: None,
            reuse_port: false,
            reuse_address: false,
            buffer: 8 << 20,
            gro: true,
            esp_in_udp: false,
        }
    }
}

/// A non-blocking UDP socket of one family on the wildcard address and one port.
///
/// Every received datagram tells the local address it was sent to; every sent one may name the
/// local address it leaves from.
#[derive(Debug)]
pub struct UdpSocket {
    socket: Socket,
    family: Family,
    gso: AtomicBool,
    /// The [`DontFragment`] that was said last, or none of them.
    fragmentation: AtomicU8,
}

impl UdpSocket {
    /// Binds to every address of `family` on `port` (0: the kernel chooses).
    ///
    /// # Errors
    /// A sentence with the port and the reason, for example that another program has it.
    pub fn bind(family: Family, port: u16, options: &SocketOptions) -> Result<UdpSocket, Error> {
        let what = || format!("open the {family} UDP port {port}");
        let open = || -> io::Result<Socket> {
            let socket = Socket::new(domain(family), Type::DGRAM, Some(Protocol::UDP))?;
            prepare(&socket, family, options)?;
            if family == Family::V6 {
                socket.set_only_v6(true)?;
            }
            if options.gro {
                // Kernels before 5.0 have no GRO for UDP; everything works without it.
                let _ = sys::set_int(socket.as_fd(), libc::SOL_UDP, libc::UDP_GRO, 1);
            }
            if options.esp_in_udp {
                sys::set_int(socket.as_fd(), libc::SOL_UDP, UDP_ENCAP, ESP_IN_UDP)?;
            }
            socket.bind(&SocketAddr::new(family.unspecified(), port).into())?;
            Ok(socket)
        };
        let socket = open().map_err(|why| {
            let error = Error::new(what(), why);
            match error.os_error() {
                Some(libc::EADDRINUSE) => error.with_remedy(
                    "another program has this port (`ss -lunp` names it): stop that program",
                ),
                _ => error,
            }
        })?;
        Ok(UdpSocket {
            socket,
            family,
            gso: AtomicBool::new(true),
            fragmentation: AtomicU8::new(u8::MAX),
        })
    }

    /// The family of this socket.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The port that the socket is bound to.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn local_port(&self) -> io::Result<u16> {
        let address = self.socket.local_addr()?.as_socket();
        address
            .map(|address| address.port())
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
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
        set_dont_fragment(self.as_fd(), self.family, mode)
    }

    /// Receives what is there into `batch`, replacing what it held; answers how many entries.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; else those of recvmmsg(2).
    pub fn receive(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        batch.receive(self.as_fd(), false)
    }

    /// Sends one datagram, from `local` where given.
    ///
    /// # Errors
    /// `WouldBlock` when the buffer is full; else those of sendmsg(2), for example
    /// `ENETUNREACH` or `EINVAL` when `local` is no IPv4 address of this host (IPv6 allows
    /// any source).
    pub fn send_to(
        &self,
        local: Option<IpAddr>,
        remote: SocketAddr,
        bytes: &[u8],
    ) -> io::Result<()> {
        let message = Message {
            local,
            remote,
            bytes,
            segment_size: None,
            traffic_class: 0,
        };
        send_one(self.as_fd(), false, &message).map(drop)
    }

    /// Sends `bytes` cut into datagrams of `segment_size` bytes (the last may be shorter), with
    /// as few system calls as the kernel allows, with this DSCP and ECN. Answers how many bytes
    /// were sent: a multiple of `segment_size`, or all.
    ///
    /// When the kernel refuses to cut them, the datagrams are sent one by one in batches.
    ///
    /// # Errors
    /// As [`UdpSocket::send_to`], and only when nothing was sent; `InvalidInput` when
    /// `segment_size` is 0 or above [`MAX_PAYLOAD`].
    pub fn send_segments(
        &self,
        local: Option<IpAddr>,
        remote: SocketAddr,
        bytes: &[u8],
        segment_size: usize,
        traffic_class: u8,
    ) -> io::Result<usize> {
        if segment_size == 0 || segment_size > MAX_PAYLOAD {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let per_call = (MAX_PAYLOAD / segment_size).clamp(1, MAX_SEGMENTS) * segment_size;
        let mut sent = 0;
        for part in bytes.chunks(per_call) {
            match self.send_part(local, remote, part, segment_size, traffic_class) {
                Ok(count) => {
                    sent += count;
                    if count < part.len() {
                        break;
                    }
                }
                Err(error) if sent == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(sent)
    }

    /// Sends messages in their order; answers how many were sent before the first that was not.
    ///
    /// # Errors
    /// As [`UdpSocket::send_to`], and only when the first message was not sent.
    pub fn send_batch(&self, messages: &[Message<'_>]) -> io::Result<usize> {
        send_many(self.as_fd(), false, messages)
    }

    /// Sends what fits into one GSO send.
    fn send_part(
        &self,
        local: Option<IpAddr>,
        remote: SocketAddr,
        bytes: &[u8],
        segment_size: usize,
        traffic_class: u8,
    ) -> io::Result<usize> {
        if bytes.len() <= segment_size {
            let message = Message {
                local,
                remote,
                bytes,
                segment_size: None,
                traffic_class,
            };
            return send_one(self.as_fd(), false, &message).map(|_| bytes.len());
        }
        if self.gso.load(Ordering::Relaxed) {
            let segment_size = u16::try_from(segment_size).ok();
            let message = Message {
                local,
                remote,
                bytes,
                segment_size,
                traffic_class,
            };
            match send_one(self.as_fd(), false, &message) {
                Err(error) if error.raw_os_error() == Some(libc::EIO) => {
                    // The device cannot checksum: it will refuse the next one too.
                    self.gso.store(false, Ordering::Relaxed);
                }
                // A segment is larger than the path's MTU, or an address is refused: one by
                // one the kernel fragments, or says what is wrong.
                Err(error)
                    if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EMSGSIZE)) => {}
                answer => return answer,
            }
        }
        self.send_one_by_one(local, remote, bytes, segment_size, traffic_class)
    }

    fn send_one_by_one(
        &self,
        local: Option<IpAddr>,
        remote: SocketAddr,
        bytes: &[u8],
        segment_size: usize,
        traffic_class: u8,
    ) -> io::Result<usize> {
        let empty = Message {
            local,
            remote,
            bytes: &[],
            segment_size: None,
            traffic_class,
        };
        let mut messages = [empty; MAX_SEGMENTS];
        let mut count = 0;
        for (message, segment) in messages.iter_mut().zip(bytes.chunks(segment_size)) {
            message.bytes = segment;
            count += 1;
        }
        let sent = self.send_batch(messages.get(..count).unwrap_or(&messages))?;
        Ok((sent * segment_size).min(bytes.len()))
    }
}

/// For runtimes that wait by number.
impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The socket domain of a family.
pub(crate) fn domain(family: Family) -> Domain {
    match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    }
}

/// The set-up that UDP and raw sockets share.
pub(crate) fn prepare(socket: &Socket, family: Family, options: &SocketOptions) -> io::Result<()> {
    let fd = socket.as_fd();
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(options.reuse_address)?;
    socket.set_reuse_port(options.reuse_port)?;
    match family {
        Family::V4 => {
            sys::set_int(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
            sys::set_int(fd, libc::IPPROTO_IP, libc::IP_RECVTOS, 1)?;
            sys::set_int(fd, libc::IPPROTO_IP, libc::IP_FREEBIND, 1)?;
        }
        Family::V6 => {
            sys::set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
            sys::set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1)?;
            sys::set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_FREEBIND, 1)?;
        }
    }
    if let Some(mark) = options.mark {
        socket.set_mark(mark)?;
    }
    if let Some(device) = &options.device {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    let size = i32::try_from(options.buffer).unwrap_or(i32::MAX);
    // Beyond the system's limit when we may, up to it when we may not.
    if sys::set_int(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, size).is_err() {
        socket.set_recv_buffer_size(options.buffer)?;
    }
    if sys::set_int(fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, size).is_err() {
        socket.set_send_buffer_size(options.buffer)?;
    }
    Ok(())
}

/// Sets `IP_MTU_DISCOVER` or `IPV6_MTU_DISCOVER`.
pub(crate) fn set_dont_fragment(
    fd: BorrowedFd<'_>,
    family: Family,
    mode: DontFragment,
) -> io::Result<()> {
    // The values are the same for both families.
    let value = match mode {
        DontFragment::Never => libc::IP_PMTUDISC_DONT,
        DontFragment::Always => libc::IP_PMTUDISC_DO,
        DontFragment::Probe => libc::IP_PMTUDISC_PROBE,
    };
    match family {
        Family::V4 => sys::set_int(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, value),
        Family::V6 => sys::set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, value),
    }
}

#[cfg(test)]
mod tests;
