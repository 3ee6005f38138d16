//! ESP, IKE and keepalives on one UDP port (RFC 3948 section 2).

use crate::esp::header::HEADER;

/// What stands before IKE where ESP has its SPI.
pub const NON_ESP_MARKER: [u8; 4] = [0; 4];

/// A NAT keepalive, the whole datagram.
pub const KEEPALIVE: [u8; 1] = [0xff];

/// What a datagram on the port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpEncap<'a> {
    /// A NAT keepalive: nothing to do.
    Keepalive,
    /// An IKE message, its marker removed.
    Ike(&'a [u8]),
    /// An ESP packet, at least its header.
    Esp(&'a [u8]),
    /// None of them.
    Malformed,
}

/// Tells what a datagram on the port is, by its first four octets.
#[inline]
pub fn classify(datagram: &[u8]) -> UdpEncap<'_> {
    match datagram.split_first_chunk::<4>() {
        Some((&NON_ESP_MARKER, message)) => UdpEncap::Ike(message),
        Some(_) if datagram.len() >= HEADER => UdpEncap::Esp(datagram),
        None if datagram == KEEPALIVE => UdpEncap::Keepalive,
        _ => UdpEncap::Malformed,
    }
}

/// An IKE message behind its marker.
pub fn with_marker(message: &[u8]) -> Vec<u8> {
    [&NON_ESP_MARKER, message].concat()
}
