//! AF_PACKET sockets: options, batches, timestamps, statistics (packet(7), socket(7)).
#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use crate::sys::{check, set_int};

/// Room for one control message with a timestamp of 16 bytes, and some to spare.
const CONTROL: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// What the kernel said about one frame.
pub(crate) struct Meta {
    pub(crate) seconds: u64,
    pub(crate) nanoseconds: u32,
    pub(crate) outgoing: bool,
    pub(crate) length: usize,
}

/// Opens a packet socket that is bound to nothing yet and receives nothing.
pub(crate) fn open() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: socket takes numbers only; the new descriptor is ours alone to own.
    unsafe {
        let fd = check(libc::socket(libc::AF_PACKET, kind, 0))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Binds to an interface; with `receive` every protocol is received from now on.
pub(crate) fn bind(fd: BorrowedFd<'_>, index: u32, receive: bool) -> io::Result<()> {
    // SAFETY: all-zero bytes are a valid sockaddr_ll.
    let mut name: libc::sockaddr_ll = unsafe { zeroed() };
    name.sll_family = libc::AF_PACKET as libc::c_ushort;
    name.sll_protocol = if receive {
        (libc::ETH_P_ALL as u16).to_be()
    } else {
        0
    };
    name.sll_ifindex = index as libc::c_int;
    // SAFETY: the pointer and the length describe `name`, which outlives the call.
    let answer = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            ptr::from_ref(&name).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    check(answer).map(drop)
}

/// Asks for timestamps and a large buffer.
pub(crate) fn prepare_capture(fd: BorrowedFd<'_>, buffer: i32) -> io::Result<()> {
    set_int(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    set_int(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, buffer)
        .or_else(|_| set_int(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, buffer))
}

/// Sends one frame.
pub(crate) fn send(fd: BorrowedFd<'_>, frame: &[u8]) -> io::Result<()> {
    // SAFETY: the pointer and the length describe `frame`, which outlives the call.
    let sent = unsafe { libc::send(fd.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
    if sent < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Frames seen and frames dropped since the last question.
pub(crate) fn statistics(fd: BorrowedFd<'_>) -> io::Result<(u32, u32)> {
    let mut value = libc::tpacket_stats {
        tp_packets: 0,
        tp_drops: 0,
    };
    let mut length = size_of::<libc::tpacket_stats>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `value` and the new length into
    // `length`; both outlive the call.
    let answer = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            ptr::from_mut(&mut value).cast(),
            &mut length,
        )
    };
    check(answer)?;
    Ok((value.tp_packets, value.tp_drops))
}

/// The memory of one `recvmmsg`.
pub(crate) struct Slots {
    size: usize,
    buffers: Vec<u8>,
    names: Vec<libc::sockaddr_ll>,
    controls: Vec<Control>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

// SAFETY: the raw pointers in `vectors` and `headers` are written anew from `&mut self` before
// every system call and point into vectors that the struct owns; nothing else reads them.
unsafe impl Send for Slots {}

impl Slots {
    pub(crate) fn new(count: usize, size: usize) -> Slots {
        // SAFETY: all three are plain C structs for which all-zero bytes are a valid value.
        let (name, vector, header) = unsafe { (zeroed(), zeroed(), zeroed()) };
        Slots {
            size,
            buffers: vec![0; count * size],
            names: vec![name; count],
            controls: vec![Control([0; CONTROL]); count],
            vectors: vec![vector; count],
            headers: vec![header; count],
        }
    }

    /// Receives as many frames as are there, at most one per slot, without waiting.
    pub(crate) fn receive(&mut self, fd: BorrowedFd<'_>) -> io::Result<usize> {
        for (slot, buffer) in self.buffers.chunks_exact_mut(self.size).enumerate() {
            self.vectors[slot] = libc::iovec {
                iov_base: buffer.as_mut_ptr().cast(),
                iov_len: buffer.len(),
            };
            let header = &mut self.headers[slot].msg_hdr;
            header.msg_name = ptr::from_mut(&mut self.names[slot]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            header.msg_iov = &mut self.vectors[slot];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[slot].0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL as _;
            header.msg_flags = 0;
        }
        // SAFETY: every header points at a name, an iovec, a buffer and a control area of the
        // stated lengths, all owned by `self` and alive during the call. MSG_TRUNC makes the
        // kernel tell a frame's whole length and writes no more than the buffer holds.
        let count = check(unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                (libc::MSG_DONTWAIT | libc::MSG_TRUNC) as _,
                ptr::null_mut(),
            )
        })?;
        Ok(count as usize)
    }

    /// What the kernel kept of a frame.
    pub(crate) fn bytes(&self, slot: usize) -> &[u8] {
        let length = (self.headers[slot].msg_len as usize).min(self.size);
        &self.buffers[slot * self.size..slot * self.size + length]
    }

    /// What the last call said about a slot.
    pub(crate) fn describe(&self, slot: usize) -> Meta {
        let message = &self.headers[slot];
        let mut meta = Meta {
            seconds: 0,
            nanoseconds: 0,
            outgoing: self.names[slot].sll_pkttype == libc::PACKET_OUTGOING,
            length: message.msg_len as usize,
        };
        // SAFETY: the header still describes this slot's control area, which the kernel filled
        // with well-formed control messages of `msg_controllen` bytes in all; CMSG_FIRSTHDR
        // and CMSG_NXTHDR return null or a whole header inside it, and a SCM_TIMESTAMPNS
        // message holds a timespec.
        unsafe {
            let mut control = libc::CMSG_FIRSTHDR(&message.msg_hdr);
            while !control.is_null() {
                let kind = ((*control).cmsg_level, (*control).cmsg_type);
                if kind == (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
                    let data = libc::CMSG_DATA(control);
                    let time: libc::timespec = ptr::read_unaligned(data.cast());
                    meta.seconds = u64::try_from(time.tv_sec).unwrap_or(0);
                    meta.nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
                }
                control = libc::CMSG_NXTHDR(&message.msg_hdr, control);
            }
        }
        meta
    }
}
