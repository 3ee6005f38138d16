//! Listening before acting: after a start, a reload or a freeze, until every peer has answered.

use std::time::Instant;

use crate::peer::PeerState;

/// A bounded wait for the peers' answers. An answer is a heartbeat that acknowledges one of ours
/// sent after the wait began: heartbeats that were on the way before, or lay in the socket while
/// this process was stopped, may be long out of date and prove nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settle {
    pub(crate) since: Instant,
    pub(crate) until: Instant,
    /// The first of our sequence numbers that counts.
    pub(crate) sequence: u64,
}

impl Settle {
    /// Whether every peer that may answer has answered, or the time is up.
    pub(crate) fn done(&self, peers: &[PeerState], now: Instant) -> bool {
        let answered = |peer: &PeerState| peer.up() && peer.acknowledged(self.sequence);
        now >= self.until
            || peers
                .iter()
                .all(|peer| !peer.may_answer() || answered(peer))
    }
}
