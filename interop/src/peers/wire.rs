//! What was on the cable: ESP raw and in UDP, IKE, and what should not be in clear.

use std::net::IpAddr;

use linux::packet::Frame;
use wire::ip::{Packet, protocol};

use crate::peers::ground::{ECHO, US, US_INSIDE};
use crate::space::ip;
use crate::strongswan::fragments::fragment;

const ETHERNET: usize = 14;
/// ICMP and ICMPv6: echo request and reply.
const ECHOES: [u8; 4] = [8, 0, 128, 129];
const UDP_HEADER: usize = 8;
const NAT_TRAVERSAL: u16 = 4500;
/// What begins an IKE message on port 4500 (RFC 3948 section 2.2).
const NON_ESP_MARKER: [u8; 4] = [0; 4];

/// Counts of one case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Raw ESP.
    pub(crate) raw: u64,
    /// ESP in UDP.
    pub(crate) udp: u64,
    /// TCP of the echo service and pings in clear: from us, and from the peer.
    pub(crate) our_clear: u64,
    pub(crate) its_clear: u64,
    /// Fragments of IKE messages: ours, and the peer's.
    pub(crate) fragments: [u64; 2],
}

impl Seen {
    /// Looks at one frame.
    pub(crate) fn look(seen: &mut Seen, frame: &Frame<'_>) {
        if let Some((from, 2..)) = fragment(frame.bytes) {
            seen.fragments[usize::from(!is_ours(from))] += 1;
        }
        let bytes = frame.bytes.get(ETHERNET..).unwrap_or_default();
        let Ok(packet) = Packet::parse(bytes) else {
            return;
        };
        let payload = packet.payload();
        let port = |at: usize| {
            let bytes = payload.get(at..at + 2).unwrap_or(&[0, 0]);
            u16::from_be_bytes([bytes[0], bytes[1]])
        };
        let either = |wanted| port(0) == wanted || port(2) == wanted;
        match packet.protocol() {
            protocol::ESP => seen.raw += 1,
            protocol::UDP if either(NAT_TRAVERSAL) => {
                let data = payload.get(UDP_HEADER..).unwrap_or_default();
                // A keepalive is one octet.
                if data.len() > NON_ESP_MARKER.len() && !data.starts_with(&NON_ESP_MARKER) {
                    seen.udp += 1;
                }
            }
            protocol::TCP if either(ECHO) => seen.clear(packet.src()),
            protocol::ICMP | protocol::ICMPV6
                if payload.first().is_some_and(|kind| ECHOES.contains(kind)) =>
            {
                seen.clear(packet.src());
            }
            _ => {}
        }
    }

    fn clear(&mut self, from: IpAddr) {
        match is_ours(from) {
            true => self.our_clear += 1,
            false => self.its_clear += 1,
        }
    }
}

fn is_ours(from: IpAddr) -> bool {
    let ours = US.iter().chain(&US_INSIDE);
    ours.flat_map(|text| ip(text))
        .any(|address| address == from)
}
