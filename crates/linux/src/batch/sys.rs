//! `recvmmsg`, `sendmmsg` and their control messages (cmsg(3), ip(7), ipv6(7), udp(7)).
#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use crate::message::Message;
use crate::sys::check;

/// Room for the control messages we ask for: packet info (at most 40 bytes with its header), the
/// GRO segment size (24) and the traffic class (24), with some to spare.
const CONTROL: usize = 128;

/// How far apart the buffers begin beyond their size: were they a power of two apart, their
/// first lines would all fall into the same few sets of the processor's caches.
const STAGGER: usize = 1600;

/// How many messages one `sendmmsg` takes; their headers live on the stack.
const SEND_CHUNK: usize = 32;

/// A control buffer, aligned as `struct cmsghdr` must be.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// What the kernel said about one received datagram.
pub(crate) struct Meta {
    pub(crate) length: usize,
    pub(crate) local: IpAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) interface: u32,
    pub(crate) segment_size: Option<usize>,
    pub(crate) traffic_class: u8,
}

/// The memory of one `recvmmsg`.
pub(crate) struct Slots {
    size: usize,
    stride: usize,
    buffers: Vec<u8>,
    names: Vec<libc::sockaddr_storage>,
    controls: Vec<Control>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

// SAFETY: the raw pointers in `vectors` and `headers` are written anew from `&mut self` before
// every system call and point into vectors that the struct owns; nothing else reads them.
unsafe impl Send for Slots {}

impl Slots {
    pub(crate) fn new(count: usize, size: usize) -> Slots {
        // SAFETY: all four are plain C structs for which all-zero bytes are a valid value
        // (null pointers, zero lengths, address family AF_UNSPEC).
        let (name, vector, header) = unsafe { (zeroed(), zeroed(), zeroed()) };
        let stride = size.next_multiple_of(64) + STAGGER;
        Slots {
            size,
            stride,
            buffers: vec![0; count * stride],
            names: vec![name; count],
            controls: vec![Control([0; CONTROL]); count],
            vectors: vec![vector; count],
            headers: vec![header; count],
        }
    }

    pub(crate) fn buffer(&self, slot: usize) -> &[u8] {
        &self.buffers[self.start(slot)..self.start(slot) + self.size]
    }

    /// Where a slot's buffer begins in [`all_mut`](Self::all_mut).
    pub(crate) fn start(&self, slot: usize) -> usize {
        slot * self.stride
    }

    /// Every slot's buffer, one after the other.
    pub(crate) fn all_mut(&mut self) -> &mut [u8] {
        &mut self.buffers
    }

    pub(crate) fn buffer_mut(&mut self, slot: usize) -> &mut [u8] {
        &mut self.buffers[slot * self.stride..slot * self.stride + self.size]
    }

    /// Receives as many datagrams as are there, at most one per slot, without waiting.
    pub(crate) fn receive(&mut self, fd: BorrowedFd<'_>) -> io::Result<usize> {
        for (slot, buffer) in self.buffers.chunks_exact_mut(self.stride).enumerate() {
            self.vectors[slot] = libc::iovec {
                iov_base: buffer.as_mut_ptr().cast(),
                iov_len: self.size,
            };
            let header = &mut self.headers[slot].msg_hdr;
            header.msg_name = ptr::from_mut(&mut self.names[slot]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_iov = &mut self.vectors[slot];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[slot].0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL as _;
            header.msg_flags = 0;
        }
        // SAFETY: every header points at a name, an iovec, a buffer and a control area of the
        // stated lengths, all owned by `self` and alive during the call.
        let count = check(unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        })?;
        Ok(count as usize)
    }

    /// Reads what the last call said about a slot; `None` when the datagram was cut or came
    /// without an internet address.
    pub(crate) fn describe(&self, slot: usize) -> Option<Meta> {
        let message = &self.headers[slot];
        let header = &message.msg_hdr;
        if header.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let remote = decode(&self.names[slot], header.msg_namelen)?;
        let mut meta = Meta {
            length: (message.msg_len as usize).min(self.size),
            local: match remote {
                SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            },
            remote,
            interface: 0,
            segment_size: None,
            traffic_class: 0,
        };
        // SAFETY: `header` still describes this slot's control area, which the kernel filled
        // with well-formed control messages of `msg_controllen` bytes in all.
        let mut control = unsafe { libc::CMSG_FIRSTHDR(header) };
        while !control.is_null() {
            // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return null or a whole header inside it.
            unsafe {
                read_control(control, &mut meta);
                control = libc::CMSG_NXTHDR(header, control);
            }
        }
        Some(meta)
    }
}

/// Reads one control message.
///
/// # Safety
/// `control` must point at a whole control message written by the kernel.
unsafe fn read_control(control: *const libc::cmsghdr, meta: &mut Meta) {
    // SAFETY: the caller vouches for the header; the kernel writes the struct that belongs to
    // the level and type. Reads are unaligned because cmsg data is only word-aligned.
    unsafe {
        let data = libc::CMSG_DATA(control);
        match ((*control).cmsg_level, (*control).cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let info: libc::in_pktinfo = ptr::read_unaligned(data.cast());
                meta.local = IpAddr::V4(u32::from_be(info.ipi_addr.s_addr).into());
                meta.interface = info.ipi_ifindex as u32;
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let info: libc::in6_pktinfo = ptr::read_unaligned(data.cast());
                meta.local = IpAddr::V6(info.ipi6_addr.s6_addr.into());
                meta.interface = info.ipi6_ifindex as u32;
            }
            // An octet in IPv4, a number in IPv6.
            (libc::IPPROTO_IP, libc::IP_TOS) => meta.traffic_class = *data,
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                let class: libc::c_int = ptr::read_unaligned(data.cast());
                meta.traffic_class = u8::try_from(class).unwrap_or(0);
            }
            (libc::SOL_UDP, libc::UDP_GRO) => {
                let size: libc::c_int = ptr::read_unaligned(data.cast());
                meta.segment_size = usize::try_from(size).ok().filter(|size| *size > 0);
            }
            _ => {}
        }
    }
}

/// One message to send: everything its header points to.
struct Outgoing {
    name: libc::sockaddr_storage,
    control: Control,
    vector: libc::iovec,
}

/// Writes a message's header; `out` must not move until the message is sent.
fn prepare(message: &Message<'_>, raw: bool, out: &mut Outgoing, header: &mut libc::msghdr) {
    let mut remote = message.remote;
    if raw {
        // In a raw IPv6 address this field is the protocol; 0 means the socket's own.
        remote.set_port(0);
    }
    header.msg_name = ptr::from_mut(&mut out.name).cast();
    header.msg_namelen = encode(remote, &mut out.name);
    out.vector = libc::iovec {
        // The kernel only reads from it.
        iov_base: message.bytes.as_ptr().cast_mut().cast(),
        iov_len: message.bytes.len(),
    };
    header.msg_iov = &mut out.vector;
    header.msg_iovlen = 1;
    let mut writer = ControlWriter {
        control: &mut out.control,
        used: 0,
    };
    match message.local {
        Some(IpAddr::V4(address)) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr {
                    s_addr: u32::from(address).to_be(),
                },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            writer.push(libc::IPPROTO_IP, libc::IP_PKTINFO, info);
        }
        Some(IpAddr::V6(address)) => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr {
                    s6_addr: address.octets(),
                },
                ipi6_ifindex: 0,
            };
            writer.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
        }
        None => {}
    }
    if let Some(size) = message.segment_size {
        writer.push(libc::SOL_UDP, libc::UDP_SEGMENT, size);
    }
    if message.traffic_class != 0 {
        let class = libc::c_int::from(message.traffic_class);
        match message.remote {
            SocketAddr::V4(_) => writer.push(libc::IPPROTO_IP, libc::IP_TOS, class),
            SocketAddr::V6(_) => writer.push(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, class),
        }
    }
    let used = writer.used;
    header.msg_controllen = used as _;
    header.msg_control = if used == 0 {
        ptr::null_mut()
    } else {
        out.control.0.as_mut_ptr().cast()
    };
}

/// Appends control messages to a buffer.
struct ControlWriter<'a> {
    control: &'a mut Control,
    used: usize,
}

impl ControlWriter<'_> {
    fn push<T: Copy>(&mut self, level: libc::c_int, kind: libc::c_int, value: T) {
        let size = size_of::<T>() as libc::c_uint;
        // SAFETY: CMSG_SPACE and CMSG_LEN only compute; the assertion keeps the header and its
        // data inside the buffer, which is aligned for a header at every multiple of 8, and
        // CMSG_SPACE is such a multiple.
        unsafe {
            let space = libc::CMSG_SPACE(size) as usize;
            assert!(self.used + space <= CONTROL);
            let header: *mut libc::cmsghdr = self.control.0.as_mut_ptr().add(self.used).cast();
            (*header).cmsg_level = level;
            (*header).cmsg_type = kind;
            (*header).cmsg_len = libc::CMSG_LEN(size) as _;
            ptr::write_unaligned(libc::CMSG_DATA(header).cast(), value);
            self.used += space;
        }
    }
}

/// Sends one message (`raw`: on a raw socket); answers the bytes that the kernel took.
pub(crate) fn send_one(fd: BorrowedFd<'_>, raw: bool, message: &Message<'_>) -> io::Result<usize> {
    // SAFETY: all-zero bytes are valid for these plain C structs.
    let (mut out, mut header): (Outgoing, libc::msghdr) = unsafe { (zeroed(), zeroed()) };
    prepare(message, raw, &mut out, &mut header);
    // SAFETY: `header` points into `out` and `message`, which outlive the call.
    let sent = unsafe { libc::sendmsg(fd.as_raw_fd(), &header, send_flags()) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Sends messages in their order; answers how many were sent before the first that was not.
/// An error is answered only when it hit the first one.
pub(crate) fn send_many(
    fd: BorrowedFd<'_>,
    raw: bool,
    messages: &[Message<'_>],
) -> io::Result<usize> {
    let mut sent = 0;
    for chunk in messages.chunks(SEND_CHUNK) {
        match send_chunk(fd, raw, chunk) {
            Ok(count) => {
                sent += count;
                if count < chunk.len() {
                    break;
                }
            }
            Err(error) if sent == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(sent)
}

fn send_chunk(fd: BorrowedFd<'_>, raw: bool, messages: &[Message<'_>]) -> io::Result<usize> {
    // SAFETY: all-zero bytes are valid for these plain C structs.
    let (mut out, mut headers): ([Outgoing; SEND_CHUNK], [libc::mmsghdr; SEND_CHUNK]) =
        unsafe { (zeroed(), zeroed()) };
    for ((message, out), header) in messages.iter().zip(&mut out).zip(&mut headers) {
        prepare(message, raw, out, &mut header.msg_hdr);
    }
    let count = messages.len().min(SEND_CHUNK) as libc::c_uint;
    // SAFETY: the first `count` headers point into `out` and `messages`, which outlive the
    // call.
    let sent = check(unsafe {
        libc::sendmmsg(
            fd.as_raw_fd(),
            headers.as_mut_ptr(),
            count,
            send_flags() as _,
        )
    })?;
    Ok(sent as usize)
}

fn send_flags() -> libc::c_int {
    libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL
}

/// Reads the address that the kernel wrote; `None` when it is not of an internet family.
fn decode(name: &libc::sockaddr_storage, length: libc::socklen_t) -> Option<SocketAddr> {
    let length = length as usize;
    match i32::from(name.ss_family) {
        libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
            // SAFETY: a sockaddr_storage is larger than a sockaddr_in and as well aligned;
            // the family says which one the kernel wrote.
            let name = unsafe { &*ptr::from_ref(name).cast::<libc::sockaddr_in>() };
            let address = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            Some(SocketAddrV4::new(address, u16::from_be(name.sin_port)).into())
        }
        libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
            // SAFETY: as above, for sockaddr_in6.
            let name = unsafe { &*ptr::from_ref(name).cast::<libc::sockaddr_in6>() };
            let address = Ipv6Addr::from(name.sin6_addr.s6_addr);
            let port = u16::from_be(name.sin6_port);
            Some(SocketAddrV6::new(address, port, 0, name.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Writes an address for the kernel and answers its length.
fn encode(address: SocketAddr, name: &mut libc::sockaddr_storage) -> libc::socklen_t {
    match address {
        SocketAddr::V4(address) => {
            let value = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from(*address.ip()).to_be(),
                },
                sin_zero: [0; 8],
            };
            // SAFETY: a sockaddr_storage is larger than a sockaddr_in and as well aligned.
            unsafe { ptr::from_mut(name).cast::<libc::sockaddr_in>().write(value) };
            size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(address) => {
            let value = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr {
                    s6_addr: address.ip().octets(),
                },
                sin6_scope_id: address.scope_id(),
            };
            // SAFETY: as above, for sockaddr_in6.
            unsafe {
                ptr::from_mut(name)
                    .cast::<libc::sockaddr_in6>()
                    .write(value)
            };
            size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}
