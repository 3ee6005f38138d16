//! Sequence numbers reserved before they are used, so that a survivor knows a number above all that
//! were (RFC 4303 3.3.3, App. A2).

use std::fmt;

use policy::sa::ChildId;

/// How far a ceiling may lie above the highest number sent, exclusively, on an SA with extended
/// numbers. A survivor begins at the ceiling, and a receiver that last saw the number before must
/// still find the high half that was not transmitted (RFC 4303 App. A2).
///
/// A survivor does not know which number the owner before it sent last, and counts everything below
/// the ceiling it began at as sent: the bound is exact unless several owners fail one after the
/// other and none of them sends a packet. Blocks are far smaller than this, so that it would take
/// thousands.
pub const MAX_AHEAD: u64 = 1 << 31;

/// How long until more numbers are asked for again while something waits for them, in nanoseconds:
/// longer than an answer takes, shorter than a sender's patience.
pub const REFILL_INTERVAL: u64 = 100_000_000;

/// The request for more sequence numbers: a grant with a higher ceiling answers it. Each answer has
/// to raise the ceiling by a block, and not only to `next` and a block: one packet may need more
/// than a block, and nothing of it is sent before all of it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refill {
    /// The pair whose SA asks.
    pub child: ChildId,
    /// Outbound: the next number it will use. Inbound: the first number above all that came.
    pub next: u64,
    /// Whether packets wait (outbound) or were refused (inbound) because the ceiling is too low;
    /// otherwise it is only near.
    pub waiting: bool,
}

/// Why a grant, or an exact number, was not taken. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotGranted {
    /// There is no such SA in this direction.
    UnknownSa(ChildId),
    /// The SA's numbers are not reserved: it is the host's own, or inbound and not strict.
    NotReserved(ChildId),
    /// The ceiling is [`MAX_AHEAD`] or more above the highest number sent.
    TooFar {
        /// The SA's pair.
        child: ChildId,
        /// The ceiling that was refused.
        ceiling: u64,
        /// The highest number sent.
        sent: u64,
    },
    /// An exact number is for a standby, and this host owns the SA's bucket.
    GateOpen(ChildId),
}

impl fmt::Display for NotGranted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotGranted::UnknownSa(child) => write!(
                f,
                "SA {child} is not installed here, so no sequence numbers were granted to it: \
                 install it first"
            ),
            NotGranted::NotReserved(child) => write!(
                f,
                "the sequence numbers of SA {child} are not reserved, so none can be granted: \
                 install it in the bucket of a group, inbound as a strict SA"
            ),
            NotGranted::TooFar {
                child,
                ceiling,
                sent,
            } => write!(
                f,
                "SA {child} has sent number {sent}, and a jump to {ceiling} could not be followed \
                 by its receiver: grant a smaller block"
            ),
            NotGranted::GateOpen(child) => write!(
                f,
                "this host owns the bucket of SA {child} and counts its numbers itself: close the \
                 gate before taking over the count of another"
            ),
        }
    }
}

impl std::error::Error for NotGranted {}
