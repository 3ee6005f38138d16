//! One datagram, or several that the kernel cuts or joins, with its addresses (RFC 3542 §6).

use std::net::{IpAddr, SocketAddr};
use std::slice::Chunks;

/// One datagram to send, or several of equal size for the kernel to cut (GSO).
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The source address; `None` lets the kernel choose it.
    pub local: Option<IpAddr>,
    /// The destination. Its family must be the socket's; raw sockets ignore the port.
    pub remote: SocketAddr,
    /// The payload: 1 to 65,507 bytes (IPv4 UDP).
    pub bytes: &'a [u8],
    /// For UDP: cut `bytes` into datagrams of this size, the last one may be shorter.
    /// `None`: it is one datagram.
    pub segment_size: Option<u16>,
    /// DSCP and ECN of the IP header; 0 is what a socket sends by itself.
    pub traffic_class: u8,
}

/// One received datagram, or several of equal size that the kernel joined (GRO).
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The address that it was sent to.
    pub local: IpAddr,
    /// Where it came from; the port is 0 on a raw socket.
    pub remote: SocketAddr,
    /// The index of the interface on which it arrived.
    pub interface: u32,
    /// The payload, all segments in a row.
    pub bytes: &'a [u8],
    /// The size of every segment but the last one; the length of `bytes` when it is one.
    /// At least 1.
    pub segment_size: usize,
}

impl<'a> Received<'a> {
    /// The datagrams as they were on the wire.
    pub fn segments(&self) -> Chunks<'a, u8> {
        self.bytes.chunks(self.segment_size)
    }
}

/// [`Received`] with bytes that may be changed, so that decryption happens in place.
#[derive(Debug)]
pub struct ReceivedMut<'a> {
    /// The address that it was sent to.
    pub local: IpAddr,
    /// Where it came from; the port is 0 on a raw socket.
    pub remote: SocketAddr,
    /// The index of the interface on which it arrived.
    pub interface: u32,
    /// The payload, all segments in a row.
    pub bytes: &'a mut [u8],
    /// The size of every segment but the last one. At least 1.
    pub segment_size: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_segments() {
        let received = Received {
            local: "192.0.2.1".parse().unwrap(),
            remote: "192.0.2.2:500".parse().unwrap(),
            interface: 1,
            bytes: &[1, 2, 3, 4, 5],
            segment_size: 2,
        };
        let segments: Vec<_> = received.segments().collect();
        assert_eq!(segments, [&[1u8, 2][..], &[3, 4], &[5]]);
    }
}
