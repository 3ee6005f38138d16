//! A packet that does not fit its path: it is cut, or its sender is told (RFC 4301 8.2.1,
//! RFC 2003 5.1, RFC 8200 5).

use std::collections::VecDeque;

use policy::child::Mode;
use wire::ip::icmp::{MIN_V6, append_too_big};

use crate::outbound::sa::OutboundSa;
use crate::outbound::segment::Segments;

/// Messages to senders that wait to be fetched; what is lost is said again to the next packet.
const MAX_TOLD: usize = 32;
/// How long the same sender is not told again, in nanoseconds.
const PAUSE: u64 = 10_000_000;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It passes as it is.
    Whole,
    /// Only in fragments of the packet that is sealed: routers may make them.
    Outside,
    /// In pieces with at most this much payload for ESP each, every one sealed by itself.
    Cut(usize),
    /// Not at all; the sender's packets may have so many bytes.
    Not(u16),
}

/// Looks at a packet that an SA is to seal.
pub(crate) fn fit(sa: &OutboundSa, segments: &Segments<'_>, longest: usize) -> Fit {
    let limit = sa.longest();
    if longest <= limit {
        return Fit::Whole;
    }
    let inner = match sa.mode() {
        Mode::Transport => limit + segments.ip_header(),
        Mode::Tunnel => limit,
    };
    let ipv6 = segments.is_ipv6();
    if ipv6 && longest <= limit.max(MIN_V6.into()) {
        // A smaller packet than every link takes is not refused, however much ESP adds.
        return Fit::Outside;
    }
    let told = inner.clamp(if ipv6 { MIN_V6.into() } else { 68 }, 65_535) as u16;
    if segments.can_be_cut() {
        return Fit::Cut(limit);
    }
    if !sa.sets_dont_fragment(segments.dont_fragment()) {
        let before = sa.mode() == Mode::Tunnel && segments.can_be_fragmented();
        return if before {
            Fit::Cut(limit)
        } else {
            Fit::Outside
        };
    }
    Fit::Not(told)
}

/// What senders are to be told.
#[derive(Default)]
pub(crate) struct Told {
    packets: VecDeque<Vec<u8>>,
    last: Option<u64>,
}

impl Told {
    /// Has the sender of a packet told, unless somebody was just now.
    pub(crate) fn tell(&mut self, packet: &[u8], mtu: u16, now: u64) {
        let just_now = |last: u64| now < last.saturating_add(PAUSE);
        if self.packets.len() >= MAX_TOLD || self.last.is_some_and(just_now) {
            return;
        }
        self.last = Some(now);
        let mut message = Vec::new();
        append_too_big(packet, mtu, &mut message);
        if !message.is_empty() {
            self.packets.push_back(message);
        }
    }

    /// The next packet for the host.
    pub(crate) fn poll(&mut self) -> Option<Vec<u8>> {
        self.packets.pop_front()
    }
}
