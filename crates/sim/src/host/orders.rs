//! What the node orders of the data plane, which sees it a moment later.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ike::Install;
use policy::{AddressRange, Bucket, ChildId, Encapsulation, RuleName, Spd};

use crate::dice::Dice;

/// One order.
pub(crate) enum Order {
    Install(Box<Install>),
    Activate(ChildId),
    /// Pair, our address and the peer's.
    Redirect(ChildId, (IpAddr, IpAddr), Encapsulation),
    Skip(ChildId, u64),
    Remove(ChildId),
    Policy(Arc<Spd>),
    /// A negotiation failed.
    Failed(RuleName, Vec<AddressRange>),
    /// Pair, ceiling, and from where on to ask.
    Grant(ChildId, u64, u64),
    GrantInbound(ChildId, u64, u64),
    Exact(ChildId, u64),
    RestoreWindow(ChildId, Vec<u8>),
    OpenGate(Bucket, u16),
    /// The flag says whether another member gets the bucket.
    CloseGate(Bucket, bool),
    /// Source, destination and ESP.
    Inject(IpAddr, IpAddr, Vec<u8>),
}

/// Orders on their way, in their order.
pub(crate) struct Orders {
    waiting: VecDeque<(Instant, Order)>,
    lag: Duration,
    dice: Dice,
}

impl Orders {
    /// `lag` is how long an order takes at most.
    pub(crate) fn new(lag: Duration, seed: u64) -> Self {
        Orders {
            waiting: VecDeque::new(),
            lag,
            dice: Dice::new(seed),
        }
    }

    /// Changes how long an order takes at most.
    pub(crate) fn set_lag(&mut self, lag: Duration) {
        self.lag = lag;
    }

    /// Gives an order; answers when it is seen.
    pub(crate) fn give(&mut self, order: Order, now: Instant) -> Duration {
        let at = now + self.dice.time(Duration::ZERO, self.lag);
        let at = self.waiting.back().map_or(at, |(last, _)| at.max(*last));
        self.waiting.push_back((at, order));
        at - now
    }

    /// The next order that has arrived; any order, if the plane looks for them.
    pub(crate) fn take(&mut self, now: Instant, looks: bool) -> Option<Order> {
        let (at, _) = self.waiting.front()?;
        let seen = looks || *at <= now;
        seen.then(|| self.waiting.pop_front().map(|(_, order)| order))?
    }
}
