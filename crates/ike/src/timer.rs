//! The names of the timers, so that whoever waits can say for what.

use std::fmt;

/// What the next deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// A request has not been answered (RFC 7296 section 2.1).
    Retransmit,
    /// A half-open responder or a replaced SA has waited long enough.
    Expire,
    /// A request that had to wait may be sent.
    Retry,
    /// A child SA pair is due to be rekeyed.
    RekeyChild,
    /// The IKE SA is due to be rekeyed.
    RekeyIke,
    /// A child SA pair or IKE SA is at the end of its life.
    Lifetime,
    /// A child SA pair has received nothing for too long, or an IKE SA has no child.
    Idle,
    /// The peer has been silent (RFC 7296 section 2.4).
    Liveness,
    /// A responder has not said whether a certificate still holds (RFC 6960).
    Status,
    /// A NAT must not forget us (RFC 3948 section 4).
    NatKeepalive,
    /// An address that leaves waits for answers to its Deletes.
    Release,
    /// There is more to do for the peer's puzzle (RFC 8019).
    Puzzle,
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Timer::Retransmit => "retransmit",
            Timer::Expire => "expire",
            Timer::Retry => "retry",
            Timer::RekeyChild => "rekey child",
            Timer::RekeyIke => "rekey IKE",
            Timer::Lifetime => "lifetime",
            Timer::Idle => "idle",
            Timer::Liveness => "liveness",
            Timer::Status => "certificate status",
            Timer::NatKeepalive => "NAT keepalive",
            Timer::Release => "release",
            Timer::Puzzle => "puzzle",
        })
    }
}
