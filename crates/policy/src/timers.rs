//! How long we wait: retransmission, liveness, idle time, lifetimes (RFC 7296 sections 2.4, 2.8).

use std::time::Duration;

/// When an unanswered request is sent again, and when we give up (RFC 7296 section 2.1).
///
/// The ladder holds the gap after every transmission: the request is sent, and after `gap(0)` sent
/// again, and so on; when the last gap has passed as well, the exchange has failed. A ladder of
/// n gaps means n transmissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retransmission {
    gaps: Vec<Duration>,
}

/// More gaps than this are cut off: the exchange has failed long before.
pub const MAX_GAPS: usize = 32;

impl Retransmission {
    /// A ladder of these gaps, at most [`MAX_GAPS`]; `None` when there are none or one is zero.
    #[must_use]
    pub fn new(gaps: &[Duration]) -> Option<Self> {
        let gaps: Vec<Duration> = gaps.iter().copied().take(MAX_GAPS).collect();
        (!gaps.is_empty() && gaps.iter().all(|gap| !gap.is_zero())).then_some(Self { gaps })
    }

    /// The default: 50, 75, 125, 250, 500 ms, 1, 2, 4 s. Sent at 0, 50, 125, 250, 500, 1000, 2000
    /// and 4000 ms; given up after 8 s.
    ///
    /// The first steps are short because an address that moves between the nodes of a cluster is
    /// silent for some 50 ms: the second transmission finds the new node, not one a second later.
    #[must_use]
    pub fn modern() -> Self {
        let milliseconds = [50, 75, 125, 250, 500, 1000, 2000, 4000];
        Self {
            gaps: milliseconds.map(Duration::from_millis).to_vec(),
        }
    }

    /// As Windows 2000 and 2003 did: 1, 2, 4, 8, 16, 32 s, given up after 63 s.
    #[must_use]
    pub fn kb821839() -> Self {
        Self {
            gaps: [1, 2, 4, 8, 16, 32].map(Duration::from_secs).to_vec(),
        }
    }

    /// As a responder of Windows 2000, XP and 2003 repeats its first answer while nothing comes
    /// back: after 1, 2, 4, 8, 16 and 32 s, seven times in all, and then it forgets. The last gap
    /// was seen by nobody, for nothing follows it.
    #[must_use]
    pub fn kb_answers() -> Self {
        Self {
            gaps: [1, 2, 4, 8, 16, 32, 1].map(Duration::from_secs).to_vec(),
        }
    }

    /// As Windows repeats a Delete that is not acknowledged ([MS-IKEE] section 3.8): after 1, 2, 4,
    /// 8, 16 and 16 s, and given up 16 s after that.
    #[must_use]
    pub fn kb_deletes() -> Self {
        Self {
            gaps: [1, 2, 4, 8, 16, 16, 16].map(Duration::from_secs).to_vec(),
        }
    }

    /// How long to wait after transmission `attempt` (0 is the first); `None` past the last.
    #[must_use]
    pub fn gap(&self, attempt: usize) -> Option<Duration> {
        self.gaps.get(attempt).copied()
    }

    /// How often a request is sent at most.
    #[must_use]
    pub fn tries(&self) -> usize {
        self.gaps.len()
    }

    /// How long it takes until we give up.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.gaps
            .iter()
            .fold(Duration::ZERO, |sum, gap| sum.saturating_add(*gap))
    }

    /// The whole ladder.
    #[must_use]
    pub fn gaps(&self) -> &[Duration] {
        &self.gaps
    }
}

/// How we find out that a peer is gone (RFC 7296 section 2.4).
///
/// Plain idleness is no reason to ask. One-way silence is: we sent ESP packets, and none has come
/// back for this long. Then an empty INFORMATIONAL request is sent, retransmitted by the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Liveness {
    /// How long nothing may come back while we send.
    pub one_way_silence: Duration,
}

impl Liveness {
    /// The default: 2 s.
    pub const MODERN: Liveness = Liveness {
        one_way_silence: Duration::from_secs(2),
    };
}

/// How long an IKE SA may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IkeLifetime {
    /// After this it is rekeyed.
    pub rekey: Duration,
    /// Rekeying starts up to this much earlier, at random, so that both ends seldom collide.
    pub jitter: Duration,
    /// After this it is deleted if rekeying did not succeed.
    pub hard: Duration,
}

impl IkeLifetime {
    /// Rekeyed after `rekey`, up to a tenth earlier, deleted a tenth later.
    #[must_use]
    pub fn of(rekey: Duration) -> Self {
        IkeLifetime {
            rekey,
            jitter: rekey / 10,
            hard: rekey.saturating_add(rekey / 10),
        }
    }

    /// The default: rekeyed after 4 h.
    #[must_use]
    pub fn modern() -> Self {
        IkeLifetime::of(Duration::from_secs(4 * 3600))
    }
}

/// How long and for how much a CHILD SA pair may be used (RFC 4301 section 4.4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildLifetime {
    /// After this it is rekeyed.
    pub rekey: Duration,
    /// Rekeying starts up to this much earlier, at random.
    pub jitter: Duration,
    /// After this it is deleted if rekeying did not succeed.
    pub hard: Duration,
    /// After this many bytes in one direction it is rekeyed, if there is a limit.
    pub bytes: Option<u64>,
    /// After this many packets in one direction it is rekeyed. With 32-bit sequence numbers the
    /// smaller of this and 2^31 counts.
    pub packets: u64,
}

impl ChildLifetime {
    /// Without extended sequence numbers an SA is rekeyed at half of its numbers.
    pub const PACKETS_WITHOUT_ESN: u64 = 1 << 31;

    /// With them, at a bound that keeps AES-GCM's distinguishing advantage negligible for packets
    /// of any size (RFC 8645 section 4.2 asks for a limit; 2^40 packets of 1,500 bytes are far
    /// below 2^64 blocks).
    pub const PACKETS_WITH_ESN: u64 = 1 << 40;

    /// Rekeyed after `rekey`, up to a tenth earlier, deleted a tenth later.
    #[must_use]
    pub fn of(rekey: Duration) -> Self {
        ChildLifetime {
            rekey,
            jitter: rekey / 10,
            hard: rekey.saturating_add(rekey / 10),
            bytes: None,
            packets: Self::PACKETS_WITH_ESN,
        }
    }

    /// The default: rekeyed after 1 h.
    #[must_use]
    pub fn modern() -> Self {
        ChildLifetime::of(Duration::from_secs(3600))
    }
}

/// A set of timers that go together, chosen by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timers {
    /// The ladder of retransmissions.
    pub retransmission: Retransmission,
    /// Liveness checks, if any.
    pub liveness: Option<Liveness>,
    /// How long a CHILD SA pair lives without valid **inbound** traffic, if that matters.
    pub idle: Option<Duration>,
    /// Whether an unauthenticated INVALID_SPI or the like makes us ask the peer (RFC 7296
    /// section 2.4 allows it as a hint).
    pub hints: bool,
}

impl Timers {
    /// The default: recovery within a second.
    #[must_use]
    pub fn modern() -> Self {
        Timers {
            retransmission: Retransmission::modern(),
            liveness: Some(Liveness::MODERN),
            idle: None,
            hints: true,
        }
    }

    /// As KB821839 describes Windows Server 2003: 300 s idle, or 60 s when the peer is a cluster
    /// that says so (`NLBSFlags` = 1), the ladder of 63 s, no other liveness and no hints.
    #[must_use]
    pub fn kb821839(nlbs_flags: bool) -> Self {
        let idle = if nlbs_flags { 60 } else { 300 };
        Timers {
            retransmission: Retransmission::kb821839(),
            liveness: None,
            idle: Some(Duration::from_secs(idle)),
            hints: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_ladder_meets_a_moved_address_early() {
        let ladder = Retransmission::modern();
        assert!(
            ladder
                .gap(0)
                .is_some_and(|gap| gap <= Duration::from_millis(60))
        );
        assert!(
            ladder
                .gap(1)
                .is_some_and(|gap| gap <= Duration::from_millis(80))
        );
        assert!(ladder.gaps().is_sorted());
        assert_eq!(
            (ladder.tries(), ladder.total()),
            (8, Duration::from_secs(8))
        );
        assert_eq!(ladder.gap(8), None);
    }

    #[test]
    fn the_timers_of_kb821839() {
        let timers = Timers::kb821839(false);
        let sent: Vec<u64> = timers
            .retransmission
            .gaps()
            .iter()
            .scan(0, |at, gap| {
                Some(std::mem::replace(at, *at + gap.as_secs()))
            })
            .collect();
        assert_eq!(sent, [0, 1, 3, 7, 15, 31]);
        assert_eq!(timers.retransmission.total(), Duration::from_secs(63));
        let crash = |timers: Timers| timers.idle.map(|idle| idle + timers.retransmission.total());
        assert_eq!(crash(timers), Some(Duration::from_secs(363)));
        assert_eq!(
            crash(Timers::kb821839(true)),
            Some(Duration::from_secs(123))
        );
        assert!(Timers::kb821839(true).liveness.is_none() && !Timers::kb821839(true).hints);
    }

    #[test]
    fn a_ladder_needs_steps_and_has_not_too_many() {
        assert_eq!(Retransmission::new(&[]), None);
        assert_eq!(Retransmission::new(&[Duration::ZERO]), None);
        let many = vec![Duration::from_secs(1); 100];
        assert_eq!(
            Retransmission::new(&many).map(|ladder| ladder.tries()),
            Some(MAX_GAPS)
        );
    }
}
