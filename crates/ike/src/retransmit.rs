//! The ladder of retransmissions of one request (RFC 7296 section 2.1).

use std::time::{Duration, Instant};

use policy::timers::Retransmission;

use crate::limits;

/// How often a request was sent, and when it is due again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retransmit {
    attempt: usize,
    due: Option<Instant>,
    /// Sent again at this interval and for ever, in the place of the peer's ladder.
    interval: Option<Duration>,
}

impl Retransmit {
    /// The request was sent for the first time.
    pub(crate) fn start(ladder: &Retransmission, now: Instant) -> Self {
        Retransmit {
            attempt: 0,
            due: ladder.gap(0).map(|gap| now + gap.min(limits::FOREVER)),
            interval: None,
        }
    }

    /// As [`Retransmit::start`], to be sent again at an interval until somebody stops it.
    pub(crate) fn every(interval: Duration, now: Instant) -> Self {
        Retransmit {
            attempt: 0,
            due: Some(now + interval),
            interval: Some(interval),
        }
    }

    /// Another member of the cluster may have sent the request: it is sent again now, for nobody
    /// knows how far the ladder had come.
    pub(crate) fn at_once(now: Instant) -> Self {
        Retransmit {
            attempt: 0,
            due: Some(now),
            interval: None,
        }
    }

    /// It goes another way now: it is sent again at once, and its ladder begins anew.
    pub(crate) fn hurry(&mut self, now: Instant) {
        (self.attempt, self.due) = (0, Some(now));
    }

    /// The ladder is over, and it is sent once more after a while all the same.
    pub(crate) fn persist(&mut self, gap: Duration, now: Instant) {
        self.attempt += 1;
        self.due = Some(now + gap);
    }

    /// When something is to be done about it.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// How often it was sent.
    pub(crate) fn tries(&self) -> usize {
        self.attempt + 1
    }

    /// The due time has come: `true` to send again, `false` to give up.
    pub(crate) fn again(&mut self, ladder: &Retransmission, now: Instant) -> bool {
        let gap = self.interval.or_else(|| ladder.gap(self.attempt + 1));
        self.due = gap.map(|gap| now + gap.min(limits::FOREVER));
        self.attempt += usize::from(gap.is_some());
        gap.is_some()
    }
}
