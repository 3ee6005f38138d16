//! Tests of IP packets, and the packets that they share.

mod checksums;
mod packets;
mod too_big;

use super::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const A4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const B4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const A6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const B6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

/// Ports 40000 and 110, and the rest of a TCP header.
const TCP: [u8; 20] = [
    0x9c, 0x40, 0, 110, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 2, 3, 4, 0, 0,
];

fn packet4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let header = v4::Header::new(A4, B4, protocol, (20 + payload.len()) as u16);
    [&header.emit(), payload].concat()
}

fn packet6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let header = v6::Header::new(A6, B6, next_header, payload.len() as u16);
    [&header.emit(), payload].concat()
}

/// An extension header of eight octets that names the next one.
fn extension(next: u8) -> [u8; 8] {
    [next, 0, 1, 4, 0, 0, 0, 0]
}
