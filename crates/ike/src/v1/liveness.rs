//! What is known of a peer's life (RFC 3706).

use std::time::Instant;

use crate::context::Context;
use crate::retransmit::Retransmit;
use crate::v1::vendor::Vendor;

/// What is known of a peer's life.
pub(crate) struct Liveness {
    /// The peer answers R-U-THERE.
    pub(crate) supported: bool,
    /// When it last proved to be there.
    pub(crate) alive_at: Instant,
    /// Since when we have sent ESP and got none.
    pub(crate) unanswered_since: Option<Instant>,
    pub(crate) last_hint: Option<Instant>,
    /// The number of our last question.
    pub(crate) sequence: u32,
    /// The number of the peer's last question.
    pub(crate) answered: Option<u32>,
    pub(crate) asked: Option<Asked>,
    /// The peer cannot be asked, and was called anew.
    pub(crate) doubted: bool,
}

/// A question that has no answer yet.
pub(crate) struct Asked {
    pub(crate) retransmit: Retransmit,
}

impl Liveness {
    pub(crate) fn new(vendor: &Vendor, ctx: &mut Context<'_>) -> Self {
        let mut number = [0; 4];
        ctx.random.fill(&mut number);
        Liveness {
            supported: vendor.dead_peer_detection,
            alive_at: ctx.now,
            unanswered_since: None,
            last_hint: None,
            // RFC 3706 section 6.2: random, with the top bit clear so that it can grow.
            sequence: u32::from_be_bytes(number) >> 1,
            answered: None,
            asked: None,
            doubted: false,
        }
    }

    /// Whether the peer may have lost what it has with us.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.doubted || self.asked.is_some() || self.unanswered_since.is_some()
    }

    pub(crate) fn heard(&mut self, now: Instant) {
        self.alive_at = now;
        self.unanswered_since = None;
        self.doubted = false;
    }
}
