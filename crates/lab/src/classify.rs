//! What a frame on a wire is: in clear though protected, ESP (RFC 4303), IKE (RFC 7296), or other.
//!
//! This is a measuring instrument, so it shares no code with what it measures.

use std::net::IpAddr;

use crate::addresses::{PROTECTED, on_back_network};

/// What the lab counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A packet of a protected port whose content can be read, or an ICMP error that quotes one.
    Clear,
    /// ESP, raw or in UDP.
    Esp,
    /// An IKE message on port 500, or on 4500 behind the non-ESP marker.
    Ike,
    /// Anything else.
    Other,
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;
const ESP: u8 = 50;
/// Extension headers (RFC 8200 §4) that are stepped over before the upper protocol.
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;
/// More extension headers than this are not followed.
const EXTENSION_HEADERS: usize = 8;

/// A packet of IPsec, as the wire has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ipsec<'a> {
    /// The outer source.
    pub(crate) source: IpAddr,
    /// The outer destination.
    pub(crate) destination: IpAddr,
    /// What it carries.
    pub(crate) part: Part<'a>,
}

/// What a packet of IPsec carries, without outer headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// ESP from its SPI on (RFC 4303 §2); of a train that is not segmented yet, all of it.
    Esp(&'a [u8]),
    /// An IKE message from its header on (RFC 7296 §3.1).
    Ike(&'a [u8]),
}

/// An IP packet as far as the counters need it.
struct Packet<'a> {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    /// The upper protocol's bytes, as many as were captured; empty for a later fragment.
    payload: &'a [u8],
}

/// Says what an Ethernet frame is. Every length is checked; a frame cut short is `Other`.
pub(crate) fn classify(frame: &[u8]) -> Kind {
    let Some(packet) = packet_of(frame) else {
        return Kind::Other;
    };
    match packet.protocol {
        // A later fragment of ESP shows no header, and is ESP all the same.
        ESP => Kind::Esp,
        TCP | UDP if protected(&packet) => Kind::Clear,
        UDP => match udp(packet.payload) {
            Some(Part::Esp(_)) => Kind::Esp,
            Some(Part::Ike(_)) => Kind::Ike,
            None => Kind::Other,
        },
        ICMP | ICMP6 if quotes_protected(&packet) => Kind::Clear,
        _ => Kind::Other,
    }
}

/// The ESP packet or IKE message in an Ethernet frame, if there is one.
pub(crate) fn ipsec(frame: &[u8]) -> Option<Ipsec<'_>> {
    let packet = packet_of(frame)?;
    let part = match packet.protocol {
        ESP if packet.payload.len() >= 8 => Part::Esp(packet.payload),
        UDP => udp(packet.payload)?,
        _ => return None,
    };
    Some(Ipsec {
        source: packet.source,
        destination: packet.destination,
        part,
    })
}

/// The IP packet in a frame, behind at most two VLAN tags.
fn packet_of(frame: &[u8]) -> Option<Packet<'_>> {
    let mut rest = frame.get(12..)?;
    for _ in 0..3 {
        let (ethertype, after) = rest.split_first_chunk::<2>()?;
        match u16::from_be_bytes(*ethertype) {
            0x0800 => return ipv4(after),
            0x86dd => return ipv6(after),
            0x8100 | 0x88a8 => rest = after.get(2..)?,
            _ => return None,
        }
    }
    None
}

/// RFC 791 §3.1.
fn ipv4(bytes: &[u8]) -> Option<Packet<'_>> {
    let header = bytes.first_chunk::<20>()?;
    if header[0] >> 4 != 4 {
        return None;
    }
    let length = usize::from(header[0] & 15) * 4;
    let first_fragment = u16::from_be_bytes([header[6], header[7]]) & 0x1fff == 0;
    let source: [u8; 4] = bytes.get(12..16)?.try_into().ok()?;
    let destination: [u8; 4] = bytes.get(16..20)?.try_into().ok()?;
    // What follows the packet in its frame is padding; a frame cut short has less, and one that
    // is longer than the field can say has 0 there.
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let bytes = match total {
        0 => bytes,
        total => bytes.get(..total).unwrap_or(bytes),
    };
    let payload = bytes.get(length.max(20)..)?;
    Some(Packet {
        source: source.into(),
        destination: destination.into(),
        protocol: header[9],
        payload: if first_fragment { payload } else { &[] },
    })
}

/// RFC 8200 §3 and §4.
fn ipv6(bytes: &[u8]) -> Option<Packet<'_>> {
    let (header, mut payload) = bytes.split_first_chunk::<40>()?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let source: [u8; 16] = header.get(8..24)?.try_into().ok()?;
    let destination: [u8; 16] = header.get(24..40)?.try_into().ok()?;
    let mut protocol = header[6];
    for _ in 0..EXTENSION_HEADERS {
        let length = match protocol {
            HOP_BY_HOP | ROUTING | DESTINATION => 8 + usize::from(*payload.get(1)?) * 8,
            FRAGMENT => 8,
            _ => break,
        };
        let later_fragment = protocol == FRAGMENT
            && u16::from_be_bytes([*payload.get(2)?, *payload.get(3)?]) >> 3 != 0;
        protocol = *payload.first()?;
        payload = payload.get(length..)?;
        if later_fragment {
            payload = &[];
            break;
        }
    }
    Some(Packet {
        source: source.into(),
        destination: destination.into(),
        protocol,
        payload,
    })
}

/// Whether the packet is TCP or UDP of a protected port, to or from the back network.
fn protected(packet: &Packet<'_>) -> bool {
    let &[s0, s1, d0, d1, ..] = packet.payload else {
        return false;
    };
    let ports = [u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])];
    matches!(packet.protocol, TCP | UDP)
        && ports.iter().any(|port| PROTECTED.contains(port))
        && (on_back_network(packet.source) || on_back_network(packet.destination))
}

/// Whether an ICMP error (RFC 792, RFC 4443 §2.4) quotes a protected packet.
fn quotes_protected(packet: &Packet<'_>) -> bool {
    let Some(&kind) = packet.payload.first() else {
        return false;
    };
    let Some(quoted) = packet.payload.get(8..) else {
        return false;
    };
    let inner = match packet.protocol {
        ICMP if matches!(kind, 3 | 4 | 5 | 11 | 12) => ipv4(quoted),
        ICMP6 if kind < 128 => ipv6(quoted),
        _ => None,
    };
    inner.is_some_and(|inner| protected(&inner))
}

/// What of IPsec is in a UDP datagram: IKE or ESP in UDP (RFC 3948 §2).
fn udp(payload: &[u8]) -> Option<Part<'_>> {
    let (&[s0, s1, d0, d1, ..], data) = payload.split_first_chunk::<8>()?;
    let ports = [u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])];
    if ports.contains(&500) {
        return Some(Part::Ike(data));
    }
    if !ports.contains(&4500) {
        return None;
    }
    match data {
        [0, 0, 0, 0, message @ ..] => Some(Part::Ike(message)),
        // A lone 0xff is a NAT keepalive; an SPI and a sequence number are eight bytes.
        _ if data.len() >= 8 => Some(Part::Esp(data)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
