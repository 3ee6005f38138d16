//! TUN devices with the virtio header, so that GSO packets pass whole (virtio 1.2 §5.1.6).

use std::fs::{self, File};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use crate::error::Error;
use crate::netlink::Netlink;

mod header;
mod sys;

pub use header::{GsoType, VirtioNetHeader};

/// The most bytes that one read answers: the header and the largest packet.
pub const MAX_READ: usize = VirtioNetHeader::LENGTH + 65_535;

/// How many slices one [`Tun::write_vectored`] takes beside the header.
pub const MAX_SLICES: usize = 127;

/// What a TUN device is to be.
#[derive(Clone, Debug)]
pub struct TunOptions {
    /// The device's name, 1 to 15 bytes.
    pub name: String,
    /// The largest packet in bytes, 1,280 to 65,535. A route's own MTU may be smaller.
    pub mtu: u32,
    /// Whether more queues can be opened with [`Tun::another_queue`].
    pub multi_queue: bool,
}

/// A queue of a TUN device: packets that the host sends are read, packets that it shall receive
/// are written. Every packet has a [`VirtioNetHeader`] before it.
///
/// Non-blocking. The device disappears with its last queue. The kernel also sends IPv6 multicast
/// of its own (listener reports) into a fresh device: the reader passes over it.
#[derive(Debug)]
pub struct Tun {
    file: File,
    name: String,
    index: u32,
    multi_queue: bool,
    udp_segmentation: bool,
}

impl Tun {
    /// Makes the device, brings it up, and keeps the host from configuring it by itself: no
    /// IPv6 addresses or router solicitations of its own, no reverse path filter.
    ///
    /// # Errors
    /// A sentence: no `/dev/net/tun`, no permission, a name in use, ...
    pub fn create(options: &TunOptions) -> Result<Tun, Error> {
        let tun = Tun::open(&options.name, options.multi_queue)?;
        let mut netlink = Netlink::open()?;
        quieten(&tun.name)?;
        netlink.set_mtu(tun.index, options.mtu)?;
        netlink.set_up(tun.index, true)?;
        Ok(tun)
    }

    /// Opens one more queue of a device that was made with `multi_queue`; the kernel spreads
    /// flows over the queues.
    ///
    /// # Errors
    /// As [`Tun::create`].
    pub fn another_queue(&self) -> Result<Tun, Error> {
        Tun::open(&self.name, self.multi_queue)
    }

    fn open(name: &str, multi_queue: bool) -> Result<Tun, Error> {
        let wrong = |why| {
            let error = Error::new(format!("make the TUN device {name}"), why);
            match error.os_error() {
                Some(libc::ENOENT | libc::ENODEV) => {
                    error.with_remedy("the kernel has no TUN: try `modprobe tun`")
                }
                Some(libc::EBUSY) => error.with_remedy("another program has a device of this name"),
                _ => error,
            }
        };
        let file = sys::open().map_err(wrong)?;
        let mut flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
        if multi_queue {
            flags |= libc::IFF_MULTI_QUEUE;
        }
        sys::attach(file.as_fd(), name, flags).map_err(wrong)?;
        sys::set_header_size(file.as_fd(), VirtioNetHeader::LENGTH).map_err(wrong)?;
        let tcp = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
        // UDP segmentation needs Linux 6.2.
        let udp_segmentation =
            sys::set_offload(file.as_fd(), tcp | libc::TUN_F_USO4 | libc::TUN_F_USO6).is_ok();
        if !udp_segmentation {
            sys::set_offload(file.as_fd(), tcp).map_err(wrong)?;
        }
        let index = crate::netlink::index_of(name)?;
        Ok(Tun {
            file,
            name: name.to_string(),
            index,
            multi_queue,
            udp_segmentation,
        })
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The device's interface index.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Whether UDP GSO packets ([`GsoType::UdpSegments`]) may be read and written.
    pub fn udp_segmentation(&self) -> bool {
        self.udp_segmentation
    }

    /// Reads one packet with its header into `buffer`; answers the length of both.
    ///
    /// A packet that does not fit is cut: give [`MAX_READ`] bytes.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; else those of read(2).
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.file).read(buffer)
    }

    /// Writes one packet that begins with its encoded header.
    ///
    /// # Errors
    /// `InvalidInput` when the kernel finds header and packet at odds; those of write(2).
    pub fn write(&self, packet: &[u8]) -> io::Result<usize> {
        (&self.file).write(packet)
    }

    /// Writes one packet gathered from at most [`MAX_SLICES`] slices, with its header.
    ///
    /// # Errors
    /// As [`Tun::write`]; `InvalidInput` for too many slices.
    pub fn write_vectored(&self, header: &VirtioNetHeader, slices: &[&[u8]]) -> io::Result<usize> {
        if slices.len() > MAX_SLICES {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let header = header.encode();
        let mut vectors = [IoSlice::new(&[]); MAX_SLICES + 1];
        let (first, rest) = vectors.split_at_mut(1);
        first.fill(IoSlice::new(&header));
        for (vector, slice) in rest.iter_mut().zip(slices) {
            *vector = IoSlice::new(slice);
        }
        (&self.file).write_vectored(vectors.get(..=slices.len()).unwrap_or(&[]))
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Stops the host from configuring or filtering the device by itself.
fn quieten(name: &str) -> Result<(), Error> {
    let v6 = format!("/proc/sys/net/ipv6/conf/{name}");
    // A host without IPv6 has no such directory and nothing to quieten.
    if fs::exists(&v6).unwrap_or(false) {
        for key in ["accept_ra", "autoconf", "router_solicitations"] {
            set_sysctl(&format!("{v6}/{key}"), "0")?;
        }
        // 1: no link-local address either.
        set_sysctl(&format!("{v6}/addr_gen_mode"), "1")?;
    }
    // The kernel takes the larger of `all` and the device's own value, and 2 is looser than 1:
    // the peers behind the TUN are reachable by other interfaces too.
    let all = fs::read_to_string("/proc/sys/net/ipv4/conf/all/rp_filter").unwrap_or_default();
    let value = if all.trim() == "1" { "2" } else { "0" };
    set_sysctl(&format!("/proc/sys/net/ipv4/conf/{name}/rp_filter"), value)
}

fn set_sysctl(path: &str, value: &str) -> Result<(), Error> {
    fs::write(path, value).map_err(|why| Error::new(format!("write {value} to {path}"), why))
}

#[cfg(test)]
mod tests;
