//! What session tickets are sealed with (RFC 5723 section 6).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crypto::Secret;

/// One generation of the key that tickets are sealed with.
pub struct TicketKey {
    /// Which generation, so that a ticket says what opens it.
    pub id: u32,
    /// 32 random octets.
    pub secret: Secret,
}

/// What a responder needs to grant tickets and to take them back. The members of a cluster share
/// it, so that each of them can resume what another granted: **who has it can read the keys of
/// every IKE SA for which a ticket was granted**, so it changes often and never goes to a disk.
#[derive(Clone)]
pub struct TicketKeys {
    /// The first seals, all of them open.
    pub keys: Vec<Arc<TicketKey>>,
    /// A moment and the seconds that had passed then since 1970 (UTC): a ticket expires at the same
    /// time on every member.
    pub clock: (Instant, u64),
    /// How long a ticket is good.
    pub lifetime: Duration,
}

impl TicketKeys {
    /// Seconds since 1970.
    pub(crate) fn seconds(&self, now: Instant) -> u64 {
        let (moment, seconds) = self.clock;
        seconds.saturating_add(now.saturating_duration_since(moment).as_secs())
    }
}
