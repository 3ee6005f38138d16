//! Fragments of IKE on a wire, counted by who sent them (RFC 7383 section 2.5).

use std::net::IpAddr;

use linux::packet::Frame;
use wire::esp::NON_ESP_MARKER;
use wire::ike;
use wire::ip::{Packet, protocol};

use crate::space::ip;
use crate::strongswan::OUTER;

const ETHERNET: usize = 14;
const UDP_HEADER: usize = 8;

/// How many there were of messages in more than one piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fragments {
    ours: u64,
    theirs: u64,
}

impl Fragments {
    /// Looks at one frame.
    pub(crate) fn look(fragments: &mut Fragments, frame: &Frame<'_>) {
        let Some((source, total)) = fragment(frame.bytes) else {
            return;
        };
        match ip(OUTER[0]) {
            _ if total < 2 => {}
            Ok(ours) if ours == source => fragments.ours += 1,
            _ => fragments.theirs += 1,
        }
    }

    /// Whether there was none.
    pub(crate) fn none(self) -> bool {
        self == Fragments::default()
    }

    /// A figure, when both sides have sent some.
    pub(crate) fn both_ways(self) -> Result<String, String> {
        let Fragments { ours, theirs } = self;
        match ours > 1 && theirs > 1 {
            true => Ok(format!("{ours} fragments of ours, {theirs} of its")),
            false => Err(format!("{ours} fragments are ours, and {theirs} its")),
        }
    }
}

/// Who sent a fragment, and of how many it is one.
pub(crate) fn fragment(frame: &[u8]) -> Option<(IpAddr, u16)> {
    let packet = Packet::parse(frame.get(ETHERNET..)?).ok()?;
    if packet.protocol() != protocol::UDP {
        return None;
    }
    let data = packet.payload().get(UDP_HEADER..)?;
    let message = data.strip_prefix(&NON_ESP_MARKER).unwrap_or(data);
    let message = ike::decode(message).ok()?;
    let fragment = message.encrypted?.fragment?;
    Some((packet.src(), fragment.total))
}
