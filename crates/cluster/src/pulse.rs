//! This node's own heartbeat: when the next is due, and what it means that the last is long ago.

use std::time::{Duration, Instant};

/// What this node's own lateness says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lateness {
    None,
    /// A heartbeat is overdue by more than an interval: what the others sent meanwhile may still
    /// lie unread in the socket.
    Late,
    /// The last heartbeat is older than the detection time: the others may have taken this node
    /// for dead, and may own by now what it believes to own.
    Frozen(Duration),
}

/// The schedule of the heartbeats, and their numbers.
pub(crate) struct Pulse {
    pub(crate) interval: Duration,
    pub(crate) detection: Duration,
    /// The number of the last heartbeat sent; 0 before the first.
    pub(crate) sequence: u64,
    next: Instant,
    /// When the others could last hear this node.
    last: Instant,
}

impl Pulse {
    pub(crate) fn new(interval: Duration, detection: Duration, now: Instant) -> Self {
        Self {
            interval,
            detection,
            sequence: 0,
            next: now,
            last: now,
        }
    }

    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// Takes another timing.
    pub(crate) fn retime(&mut self, interval: Duration, detection: Duration, now: Instant) {
        self.interval = interval;
        self.detection = detection;
        self.next = self.next.min(now + interval);
    }

    /// The others judge this node by its heartbeats, so its last one tells how they may have
    /// judged, whatever it was that kept it from running.
    pub(crate) fn lateness(&self, now: Instant) -> Lateness {
        let silent = now.saturating_duration_since(self.last);
        if silent > self.detection {
            Lateness::Frozen(silent)
        } else if now > self.next + self.interval {
            Lateness::Late
        } else {
            Lateness::None
        }
    }

    /// Whether a heartbeat is due; if so, the next one is scheduled, without drift.
    pub(crate) fn due(&mut self, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        self.next += self.interval;
        if self.next <= now {
            self.next = now + self.interval;
        }
        true
    }

    /// A heartbeat goes out to all.
    pub(crate) fn beat(&mut self, now: Instant) {
        self.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_without_drift_and_without_bursts() {
        let ms = Duration::from_millis;
        #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
        let begin = Instant::now();
        let mut pulse = Pulse::new(ms(20), ms(100), begin);
        assert!(pulse.due(begin));
        assert!(!pulse.due(begin + ms(19)));
        assert!(pulse.due(begin + ms(27)));
        assert_eq!(
            pulse.next(),
            begin + ms(40),
            "late once, but not later and later"
        );
        assert!(pulse.due(begin + ms(95)));
        assert_eq!(
            pulse.next(),
            begin + ms(115),
            "what was missed is not made up for"
        );
    }

    #[test]
    fn lateness_is_measured_by_the_own_heartbeat() {
        let ms = Duration::from_millis;
        #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
        let begin = Instant::now();
        let mut pulse = Pulse::new(ms(20), ms(100), begin);
        pulse.due(begin);
        pulse.beat(begin);
        assert_eq!(pulse.lateness(begin + ms(40)), Lateness::None);
        assert_eq!(pulse.lateness(begin + ms(41)), Lateness::Late);
        assert_eq!(pulse.lateness(begin + ms(100)), Lateness::Late);
        assert_eq!(pulse.lateness(begin + ms(101)), Lateness::Frozen(ms(101)));
    }
}
