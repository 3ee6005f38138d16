//! Raw sockets for one kind of ICMP message: that a packet of ours was too big (RFC 792, RFC 4443).

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Protocol, Socket, Type};

use crate::batch::RecvBatch;
use crate::error::Error;
use crate::prefix::Family;
use crate::sys;
use crate::udp::{self, SocketOptions};

/// `ICMP_FILTER` of `SOL_RAW`: the types that are not wanted, one bit each.
const ICMP_FILTER: libc::c_int = 1;
const SOL_RAW: libc::c_int = 255;
/// Destination unreachable, which says among other things that fragmentation was needed.
const UNREACHABLE: u32 = 3;
/// `ICMP6_FILTER` (RFC 3542 section 3.2), 256 bits.
const ICMP6_FILTER: libc::c_int = 1;
/// Packet too big.
const TOO_BIG: u32 = 2;

/// A non-blocking socket that hears what routers say of packets that do not fit.
#[derive(Debug)]
pub struct IcmpSocket {
    socket: Socket,
    family: Family,
}

impl IcmpSocket {
    /// Opens the socket; received bytes begin with the ICMP type in both families.
    ///
    /// # Errors
    /// A sentence, mostly that CAP_NET_RAW is missing.
    pub fn open(family: Family) -> Result<IcmpSocket, Error> {
        let options = SocketOptions {
            buffer: 1 << 16,
            ..SocketOptions::default()
        };
        let open = || -> io::Result<Socket> {
            let protocol = match family {
                Family::V4 => Protocol::ICMPV4,
                Family::V6 => Protocol::ICMPV6,
            };
            let socket = Socket::new(udp::domain(family), Type::RAW, Some(protocol))?;
            udp::prepare(&socket, family, &options)?;
            let fd = socket.as_fd();
            match family {
                Family::V4 => sys::set(fd, SOL_RAW, ICMP_FILTER, &!(1u32 << UNREACHABLE))?,
                Family::V6 => {
                    let mut unwanted = [u32::MAX; 8];
                    unwanted[0] = !(1 << TOO_BIG);
                    sys::set(fd, libc::IPPROTO_ICMPV6, ICMP6_FILTER, &unwanted)?;
                }
            }
            Ok(socket)
        };
        let socket = open()
            .map_err(|why| Error::new(format!("open a raw {family} socket for ICMP"), why))?;
        Ok(IcmpSocket { socket, family })
    }

    /// Receives what is there into `batch`, replacing what it held; answers how many entries.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; else those of recvmmsg(2).
    pub fn receive(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        batch.receive(self.as_fd(), self.family == Family::V4)
    }
}

impl AsFd for IcmpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ip, root_or_say_so, silent, two, wait};
    use crate::udp::UdpSocket;
    use std::net::SocketAddr;

    /// Each family's message to a port that nobody has, which the other end answers with
    /// "unreachable", and in IPv6 is not what is listened for.
    #[test]
    fn hears_of_what_is_unreachable_and_of_nothing_else() {
        if !root_or_say_so("raw ICMP sockets") {
            return;
        }
        let (a, b) = two("icmp");
        drop(b.run(|| UdpSocket::bind(Family::V4, 9, &SocketOptions::default())));
        for (family, to, heard) in [
            (Family::V4, "192.0.2.2", true),
            (Family::V6, "2001:db8::2", false),
        ] {
            let socket = a.run(|| IcmpSocket::open(family)).unwrap();
            let options = SocketOptions::default();
            let udp = a.run(|| UdpSocket::bind(family, 4500, &options)).unwrap();
            let mut batch = RecvBatch::new(4);
            let to = SocketAddr::new(ip(to), 9);
            udp.send_to(None, to, &[7; 100]).unwrap();
            if heard {
                wait(&socket);
                assert_eq!(socket.receive(&mut batch).unwrap(), 1);
                let entry = batch.iter().next().unwrap();
                assert_eq!(entry.bytes[..2], [3, 3]);
                // The message quotes the IP header and what is behind it.
                assert_eq!(entry.bytes[8 + 9], 17);
            } else {
                assert!(silent(&socket));
            }
        }
    }
}
