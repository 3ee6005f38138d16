//! What a member wants done, in order, and the queue that keeps the order.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use crate::event::Event;
use crate::names::{GroupName, NodeName};
use crate::reason::{StartReason, StopReason};

/// One effect. Effects are carried out in the order in which they come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a datagram from the heartbeat socket.
    Transmit {
        /// Where to.
        to: SocketAddr,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// Bring the group up: addresses, announcements, services; then answer with
    /// [`GroupStarted`](crate::Command::GroupStarted) or
    /// [`GroupFailed`](crate::Command::GroupFailed). For a group that is up already
    /// ([`StartReason::Reassert`]) this means: announce its addresses again.
    Start {
        /// The group.
        group: GroupName,
        /// The epoch of this ownership.
        epoch: u64,
        /// Why.
        reason: StartReason,
        /// Whether this node may go on with what the owner before had, as far as the witness is
        /// concerned; always where there is none.
        entitled: bool,
    },
    /// Take the group down and release its addresses; then answer with
    /// [`GroupStopped`](crate::Command::GroupStopped), whatever happened on the way. May come
    /// while the start is still under way.
    Stop {
        /// The group.
        group: GroupName,
        /// The epoch of the ownership that ends (for [`StopReason::Restart`], of the one that
        /// goes on).
        epoch: u64,
        /// Why.
        reason: StopReason,
    },
    /// Ask the witness to put `value` in the place of what it had under the group's name at
    /// `expected` (0: nothing); answer with [`Witnessed`](crate::Command::Witnessed).
    Propose {
        /// The group.
        group: GroupName,
        /// The revision that must still stand.
        expected: u64,
        /// What is to stand.
        value: Vec<u8>,
        /// Comes back with the answer.
        tag: u64,
    },
    /// The witness has these members, with their incarnations, written down for a group that this
    /// node owns.
    Members {
        /// The group.
        group: GroupName,
        /// Of the ownership.
        epoch: u64,
        /// The members.
        members: Vec<(NodeName, u64)>,
    },
    /// Something happened.
    Event(Event),
    /// Nothing more for now: wait for an input, or until the given time, and then call
    /// `handle_timeout`. `None`: the member has left the cluster and waits for nothing.
    Wait(Option<(Instant, Timer)>),
}

/// What a member waits for; the name of the earliest deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The next heartbeat is due.
    Heartbeat,
    /// A node will have been silent for the detection time.
    PeerSilence,
    /// A path will have been silent for the detection time.
    PathSilence,
    /// Listening before acting (after a start, a reload or a freeze) ends.
    Settle,
    /// A group nobody claims will be claimed by whoever can.
    Patience,
    /// A group returns to a preferred node.
    Failback,
    /// A proposal to the witness is made again.
    Witness,
    /// The failures of a group are old enough to try it here again.
    Retry,
}

/// The last word of a life: see [`Member::farewell`](crate::Member::farewell).
pub struct Farewell {
    /// Every address of every other node.
    pub to: Vec<SocketAddr>,
    /// The datagram.
    pub bytes: Vec<u8>,
}

/// The ordered queue of effects.
#[derive(Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Output>,
    /// Something changed that the other members must hear of now, not at the next heartbeat.
    pub(crate) news: bool,
}

impl Outbox {
    pub(crate) fn push(&mut self, output: Output) {
        self.queue.push_back(output);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.push(Output::Event(event));
    }

    pub(crate) fn pop(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }
}
