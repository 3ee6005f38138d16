//! The ceiling of a strict inbound SA: nothing above it is delivered (RFC 4303 3.4.3).

use crate::reservation::REFILL_INTERVAL;

/// What a strict SA may deliver.
pub(crate) struct Strict {
    /// The first number that may not be delivered yet.
    ceiling: u64,
    /// The number from which on more is asked for.
    refill_at: u64,
    /// The highest number refused since the last grant; 0 if there was none.
    refused: u64,
    /// More was asked for because the ceiling is near.
    asked: bool,
    /// Until when it is not asked for again because of what is refused.
    patient_until: u64,
    /// It is on the list of those that ask.
    listed: bool,
    /// The epoch in which it was used last; `None` if another owner may have used it since.
    epoch: Option<u16>,
}

impl Default for Strict {
    fn default() -> Self {
        Strict {
            ceiling: 1,
            refill_at: 1,
            refused: 0,
            asked: false,
            patient_until: 0,
            listed: false,
            epoch: None,
        }
    }
}

impl Strict {
    /// Enters an epoch. On the first use after another owner's, says up to which number everything
    /// counts as seen.
    #[inline]
    pub(crate) fn enter(&mut self, epoch: u16) -> Option<u64> {
        if self.epoch == Some(epoch) {
            return None;
        }
        self.epoch = Some(epoch);
        (self.refused, self.asked, self.patient_until) = (0, false, 0);
        Some(self.ceiling - 1).filter(|floor| *floor > 0)
    }

    /// Takes over how far the owner may go; that is another host.
    pub(crate) fn follow(&mut self, ceiling: u64) {
        self.ceiling = self.ceiling.max(ceiling);
        self.epoch = None;
    }

    /// The owner has stopped, and this is the highest number that it delivered or refused: all of
    /// them are in the window.
    pub(crate) fn set_exact(&mut self, highest: u64) {
        self.ceiling = highest.saturating_add(1);
        self.epoch = None;
    }

    /// Raises the ceiling and says from which number on more is to be asked for.
    pub(crate) fn grant(&mut self, ceiling: u64, refill_at: u64) {
        self.ceiling = self.ceiling.max(ceiling);
        self.refill_at = refill_at;
        (self.refused, self.asked, self.patient_until) = (0, false, 0);
    }

    /// Whether an authentic number may be delivered.
    #[inline]
    pub(crate) fn admit(&mut self, sequence: u64) -> bool {
        let admitted = sequence < self.ceiling;
        if !admitted {
            self.refused = self.refused.max(sequence);
        }
        admitted
    }

    /// The highest number refused since the last grant; 0 if there was none.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// Whether to put it on the list of those that ask for more: once when the ceiling is near, and
    /// every [`REFILL_INTERVAL`] while something is refused.
    #[inline]
    pub(crate) fn asks(&mut self, highest: u64, now: u64) -> bool {
        let refused = self.refused > 0 && now >= self.patient_until;
        let near = highest >= self.refill_at && !self.asked;
        if refused {
            self.patient_until = now.saturating_add(REFILL_INTERVAL);
        }
        if near {
            self.asked = true;
        }
        if !refused && !near {
            return false;
        }
        !std::mem::replace(&mut self.listed, true)
    }

    /// Takes it from the list of those that ask; says whether something was refused since the last
    /// grant.
    pub(crate) fn ask(&mut self) -> bool {
        self.listed = false;
        self.refused > 0
    }

    /// Whether it is on the list of those that ask.
    pub(crate) fn is_listed(&self) -> bool {
        self.listed
    }
}
