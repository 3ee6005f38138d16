//! "Packet too big": what a router says of a packet that does not fit, and what a host is told
//! (RFC 792, RFC 1191 4, RFC 4443 3.2, RFC 4301 8.2.1).

use crate::ip::{checksum, protocol, udp, v4, v6};
use std::net::IpAddr;

/// The smallest MTU of an IPv4 path that is believed: every host takes packets of this size.
pub const MIN_V4: u16 = 576;
/// The smallest MTU of an IPv6 path (RFC 8200 5).
pub const MIN_V6: u16 = 1280;

/// Octets of the message before the packet that it quotes, in both families.
const HEAD: usize = 8;
/// Destination unreachable, fragmentation needed.
const V4: [u8; 2] = [3, 4];
/// Packet too big.
const V6: [u8; 2] = [2, 0];
/// A TTL for messages that never leave the host.
const HOPS: u8 = 64;

/// A router's word about an ESP packet of ours. Nothing in it is authenticated but that whoever
/// said it has seen the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBig {
    /// From where the packet was sent.
    pub local: IpAddr,
    /// Where it should have come to.
    pub remote: IpAddr,
    /// The SPI in it.
    pub spi: u32,
    /// The largest packet that fits, in octets; 0 when the router does not say.
    pub mtu: u32,
}

impl TooBig {
    /// Reads an ICMP message of either family. `None` when it is another message, or quotes too
    /// little to tell which SA it is about, or anything but ESP, raw or in UDP.
    #[must_use]
    pub fn parse(ipv6: bool, message: &[u8]) -> Option<TooBig> {
        let (head, quoted) = message.split_first_chunk::<HEAD>()?;
        let [kind, code, _, _, m0, m1, m2, m3] = *head;
        let mtu = match ipv6 {
            false if [kind, code] == V4 => u32::from(u16::from_be_bytes([m2, m3])),
            true if [kind, code] == V6 => u32::from_be_bytes([m0, m1, m2, m3]),
            _ => return None,
        };
        let (local, remote, upper, payload) = match ipv6 {
            false => quoted_v4(quoted)?,
            true => quoted_v6(quoted)?,
        };
        let esp = match upper {
            protocol::ESP => payload,
            protocol::UDP => payload.get(udp::HEADER..)?,
            _ => return None,
        };
        let spi = u32::from_be_bytes(*esp.first_chunk()?);
        let said = TooBig {
            local,
            remote,
            spi,
            mtu,
        };
        (spi != 0).then_some(said)
    }
}

/// Source, destination, protocol and payload of a packet that is cut off somewhere.
type Quoted<'a> = (IpAddr, IpAddr, u8, &'a [u8]);

fn quoted_v4(packet: &[u8]) -> Option<Quoted<'_>> {
    let header: &[u8; v4::HEADER] = packet.first_chunk()?;
    let [first, _, _, _, _, _, f0, f1, _, upper, _, _, addresses @ ..] = header;
    let [s0, s1, s2, s3, d0, d1, d2, d3] = *addresses;
    let later = u16::from_be_bytes([*f0, *f1]) & 0x1fff != 0;
    let length = usize::from(first & 0x0f) * 4;
    if first >> 4 != 4 || length < v4::HEADER || later {
        return None;
    }
    let (src, dst) = ([s0, s1, s2, s3].into(), [d0, d1, d2, d3].into());
    Some((src, dst, *upper, packet.get(length..)?))
}

fn quoted_v6(packet: &[u8]) -> Option<Quoted<'_>> {
    let (header, payload) = packet.split_first_chunk::<{ v6::HEADER }>()?;
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 16] = header.get(at..at + 16)?.try_into().ok()?;
        Some(octets.into())
    };
    let [first, _, _, _, _, _, upper, ..] = *header;
    (first >> 4 == 6).then_some((address(8)?, address(24)?, upper, payload))
}

/// Appends the packet that tells the sender of `packet`, which is of either family and whole, that
/// only `mtu` octets fit. It comes from where the packet was to go. Nothing is appended to what is
/// no IP packet.
pub fn append_too_big(packet: &[u8], mtu: u16, out: &mut Vec<u8>) {
    match packet.first().map(|first| first >> 4) {
        Some(4) => append_v4(packet, mtu, out),
        Some(6) => append_v6(packet, mtu, out),
        _ => {}
    }
}

fn append_v4(packet: &[u8], mtu: u16, out: &mut Vec<u8>) {
    let Ok((header, _)) = v4::Header::parse(packet) else {
        return;
    };
    let most = usize::from(MIN_V4) - v4::HEADER - HEAD;
    let quoted = packet.get(..most.min(packet.len())).unwrap_or_default();
    let [m0, m1] = mtu.to_be_bytes();
    let [kind, code] = V4;
    let mut head = [kind, code, 0, 0, 0, 0, m0, m1];
    let mut sum = checksum::Sum::new();
    sum.add(&head);
    sum.add(quoted);
    put(&mut head, sum.finish());
    let length = (v4::HEADER + HEAD + quoted.len()) as u16;
    let outer = v4::Header {
        hop_limit: HOPS,
        ..v4::Header::new(header.dst, header.src, protocol::ICMP, length)
    };
    out.extend_from_slice(&outer.emit());
    out.extend_from_slice(&head);
    out.extend_from_slice(quoted);
}

fn append_v6(packet: &[u8], mtu: u16, out: &mut Vec<u8>) {
    let Some((IpAddr::V6(src), IpAddr::V6(dst), ..)) = quoted_v6(packet) else {
        return;
    };
    let most = usize::from(MIN_V6) - v6::HEADER - HEAD;
    let quoted = packet.get(..most.min(packet.len())).unwrap_or_default();
    let [m0, m1] = mtu.to_be_bytes();
    let [kind, code] = V6;
    let mut head = [kind, code, 0, 0, 0, 0, m0, m1];
    let parts = [&head[..], quoted];
    let sum = checksum::transport(dst.into(), src.into(), protocol::ICMPV6, &parts);
    put(&mut head, sum);
    let length = (HEAD + quoted.len()) as u16;
    let outer = v6::Header {
        hop_limit: HOPS,
        ..v6::Header::new(dst, src, protocol::ICMPV6, length)
    };
    out.extend_from_slice(&outer.emit());
    out.extend_from_slice(&head);
    out.extend_from_slice(quoted);
}

fn put(head: &mut [u8; HEAD], sum: u16) {
    let [_, _, s0, s1, ..] = head;
    [*s0, *s1] = sum.to_be_bytes();
}
