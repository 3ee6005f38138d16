//! What an IKE SA knows for the day when it, or the peer's copy of it, is lost or stale (RFC 6290,
//! RFC 6311, RFC 5723).

use std::sync::Arc;
use std::time::Instant;

use wire::ike::MessageIdSync;

use crate::retransmit::Retransmit;
use crate::v2::ticket::Held;

/// Part of an established IKE SA.
#[derive(Default)]
pub(crate) struct Recovery {
    /// The crash tokens that the peer gave last.
    pub(crate) tokens: Vec<Vec<u8>>,
    /// Both sides can synchronise message ids.
    pub(crate) message_ids: bool,
    /// Both sides can synchronise the sequence numbers of ESP.
    pub(crate) counters: bool,
    /// The highest message id that the peer announced when it synchronised.
    pub(crate) announced: Option<u32>,
    /// Our own request to synchronise, until it is answered.
    pub(crate) attempts: Option<Attempts>,
    /// What resumes the IKE SA, or one that it was rekeyed from, if it is lost.
    pub(crate) ticket: Option<Arc<Held>>,
}

/// Our request to synchronise. It is never repeated as it was: a peer drops what announces no
/// higher message id than before, and an answer may have been lost. So only the answer to the last
/// attempt tells what the peer expects now.
pub(crate) struct Attempts {
    pub(crate) last: MessageIdSync,
    pub(crate) retransmit: Retransmit,
    /// By how much the peer is to increase the numbers of its ESP.
    pub(crate) skip: u64,
}

impl Attempts {
    /// When the next attempt is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.retransmit.due()
    }
}

impl Recovery {
    /// What an IKE SA that takes the place of this one begins with: RFC 6311 says nothing of
    /// rekeying, and there is no other exchange in which both could speak of it again.
    pub(crate) fn successor(&self) -> Self {
        Recovery {
            message_ids: self.message_ids,
            counters: self.counters,
            ticket: self.ticket.clone(),
            ..Recovery::default()
        }
    }
}
