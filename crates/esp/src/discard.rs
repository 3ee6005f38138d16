//! Why a packet went no further: one variant, one counter, nothing else changed (RFC 4301 4.4.1).

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// The reason a packet was dropped. [`Counts`] keeps a counter for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Discard {
    /// Out: the bytes from the host are no IP packet that we can read.
    OutboundMalformed,
    /// Out: the offload descriptor does not fit the packet.
    OutboundOffload,
    /// Out: transport mode does not apply to fragments (RFC 4303 3.3.4).
    OutboundFragment,
    /// Out: options or extension headers that belong before ESP cannot leave through a socket.
    OutboundHeaders,
    /// Out: the policy says block, or knows no rule that permits.
    OutboundBlocked,
    /// Out: every sequence number below the ceiling is used (RFC 4303 3.3.3).
    OutboundCeiling,
    /// Out: another host owns the SA's bucket.
    OutboundGate,
    /// Out: the packet would not fit an ESP datagram.
    OutboundTooLong,
    /// Out: larger than the path to the peer takes; its sender was told.
    OutboundTooLarge,
    /// Out: a router's word about the path's MTU was not believed: no SA of ours, too small, or
    /// too many of them.
    PathMtuRefused,
    /// Out: pushed out of the pending queue by younger packets.
    PendingOverflow,
    /// Out: waited too long for its SA.
    PendingExpired,
    /// Out: its negotiation failed and the rule requires IPsec.
    PendingRefused,
    /// Out: several peers behind one NAT could be meant, and none has used this flow.
    OutboundShared,
    /// Out: the TCP stream to the peer is full, or there is none (RFC 9329).
    OutboundStream,
    /// Out: the cipher refused to work; nothing was sent.
    SealFailed,
    /// In: shorter than header, IV, trailer and ICV (RFC 4303 2).
    InboundShort,
    /// In: longer than any IP packet.
    InboundTooLong,
    /// In: no SA with this SPI.
    UnknownSpi,
    /// In: this host does not own the SA's bucket.
    InboundGate,
    /// In: the SA's bucket was handed over; the datagram is for the new owner.
    InboundElsewhere,
    /// In: the ciphertext is no multiple of the block (RFC 4303 2.4).
    InboundAlignment,
    /// In: sequence number zero.
    SequenceZero,
    /// In: older than the replay window.
    ReplayOld,
    /// In: a sequence number that was received before.
    ReplaySeen,
    /// In: the integrity check value is wrong.
    Authentication,
    /// In: authentic, but its sequence number was not granted yet to a strict SA.
    InboundCeiling,
    /// In: pad length beyond the payload, or pad bytes other than 1, 2, 3 (RFC 4303 2.4).
    Padding,
    /// In: a dummy packet, next header 59 (RFC 4303 2.6); not an error.
    Dummy,
    /// In: a next header that the SA's mode does not carry.
    NextHeader,
    /// In: what was inside is no IP packet that we can read.
    InnerMalformed,
    /// In: the inner packet is outside the SA's selectors (RFC 4301 5.2).
    Selectors,
    /// In: a fragment without ports on an SA that names ports (RFC 4301 7).
    InboundFragment,
    /// In: another peer behind the same NAT uses this flow.
    InboundShared,
    /// In: congestion was marked on a packet whose sender cannot hear it (RFC 6040 4.2).
    Congestion,
}

impl Discard {
    /// Every reason, in the order of their counters.
    pub const ALL: [Discard; 35] = [
        Discard::OutboundMalformed,
        Discard::OutboundOffload,
        Discard::OutboundFragment,
        Discard::OutboundHeaders,
        Discard::OutboundBlocked,
        Discard::OutboundCeiling,
        Discard::OutboundGate,
        Discard::OutboundTooLong,
        Discard::OutboundTooLarge,
        Discard::PathMtuRefused,
        Discard::PendingOverflow,
        Discard::PendingExpired,
        Discard::PendingRefused,
        Discard::OutboundShared,
        Discard::OutboundStream,
        Discard::SealFailed,
        Discard::InboundShort,
        Discard::InboundTooLong,
        Discard::UnknownSpi,
        Discard::InboundGate,
        Discard::InboundElsewhere,
        Discard::InboundAlignment,
        Discard::SequenceZero,
        Discard::ReplayOld,
        Discard::ReplaySeen,
        Discard::Authentication,
        Discard::InboundCeiling,
        Discard::Padding,
        Discard::Dummy,
        Discard::NextHeader,
        Discard::InnerMalformed,
        Discard::Selectors,
        Discard::InboundFragment,
        Discard::InboundShared,
        Discard::Congestion,
    ];

    /// The counter's place in [`Counts`] and in [`Discard::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The name for metrics: lower case, underscores.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Discard::OutboundMalformed => "outbound_malformed",
            Discard::OutboundOffload => "outbound_offload",
            Discard::OutboundFragment => "outbound_fragment",
            Discard::OutboundHeaders => "outbound_headers",
            Discard::OutboundBlocked => "outbound_blocked",
            Discard::OutboundCeiling => "outbound_ceiling",
            Discard::OutboundGate => "outbound_gate",
            Discard::OutboundTooLong => "outbound_too_long",
            Discard::OutboundTooLarge => "outbound_too_large",
            Discard::PathMtuRefused => "path_mtu_refused",
            Discard::PendingOverflow => "pending_overflow",
            Discard::PendingExpired => "pending_expired",
            Discard::PendingRefused => "pending_refused",
            Discard::OutboundShared => "outbound_shared",
            Discard::OutboundStream => "outbound_stream",
            Discard::SealFailed => "seal_failed",
            Discard::InboundShort => "inbound_short",
            Discard::InboundTooLong => "inbound_too_long",
            Discard::UnknownSpi => "unknown_spi",
            Discard::InboundGate => "inbound_gate",
            Discard::InboundElsewhere => "inbound_elsewhere",
            Discard::InboundAlignment => "inbound_alignment",
            Discard::SequenceZero => "sequence_zero",
            Discard::ReplayOld => "replay_old",
            Discard::ReplaySeen => "replay_seen",
            Discard::Authentication => "authentication",
            Discard::InboundCeiling => "inbound_ceiling",
            Discard::Padding => "padding",
            Discard::Dummy => "dummy",
            Discard::NextHeader => "next_header",
            Discard::InnerMalformed => "inner_malformed",
            Discard::Selectors => "selectors",
            Discard::InboundFragment => "inbound_fragment",
            Discard::InboundShared => "inbound_shared",
            Discard::Congestion => "congestion",
        }
    }
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for Discard {}

/// One counter per [`Discard`]; one thread writes, any thread may read.
#[derive(Debug)]
pub struct Counts([AtomicU64; Discard::ALL.len()]);

impl Counts {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        Counts([const { AtomicU64::new(0) }; Discard::ALL.len()])
    }

    /// Adds one.
    pub fn add(&self, discard: Discard) {
        self.add_many(discard, 1);
    }

    /// Adds several at once.
    pub fn add_many(&self, discard: Discard, packets: u64) {
        if let Some(counter) = self.0.get(discard.index()) {
            counter.fetch_add(packets, Ordering::Relaxed);
        }
    }

    /// How many packets were dropped for this reason.
    #[must_use]
    pub fn get(&self, discard: Discard) -> u64 {
        self.0
            .get(discard.index())
            .map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}

impl Default for Counts {
    fn default() -> Self {
        Counts::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter_and_name() {
        let counts = Counts::new();
        for (place, discard) in Discard::ALL.into_iter().enumerate() {
            assert_eq!(discard.index(), place);
            counts.add_many(discard, place as u64);
        }
        let mut names: Vec<_> = Discard::ALL.iter().map(|discard| discard.name()).collect();
        for (place, discard) in Discard::ALL.into_iter().enumerate() {
            assert_eq!(counts.get(discard), place as u64);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Discard::ALL.len());
    }
}
