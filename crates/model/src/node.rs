//! One node: what it promised, what it holds, and what it knows as an owner.

use crate::members::Members;
use crate::pair::{Claim, Pair};

/// As many nodes as any configuration has.
pub const NODES: usize = 3;

/// The limit of an owner that needs nobody's acknowledgement.
pub const FREE: u8 = u8::MAX;

/// One node. All of this is volatile but the count of its lives, which stands for a random number
/// that it draws when it starts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// Whether it runs. A pause needs no flag: a node that takes no step for a while was paused.
    pub up: bool,
    /// How often it has restarted.
    pub incarnation: u8,
    /// The best claim that it has made or followed; it stores nothing for a lesser one.
    pub promise: Claim,
    /// Its copy.
    pub pair: Option<Pair>,
    /// The claim under which it received its copy in full.
    pub synced: Claim,
    /// Present while it believes that it owns.
    pub owner: Option<Owner>,
}

/// What an owner knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The claim of this activation.
    pub claim: Claim,
    /// The first sequence number that it may not use yet, or [`FREE`].
    pub limit: u8,
    /// How many IKE messages this activation has sent.
    pub transmitted: u8,
    /// Whose acknowledgements it needs.
    pub required: Members,
    /// The in-sync set as the witness last confirmed it (with a witness).
    pub in_sync: Members,
    /// What each node has acknowledged.
    pub stored: [Stored; NODES],
    /// The life of each node that `stored` speaks of.
    pub counted: [u8; NODES],
    /// Who has been sent a snapshot on the present connection.
    pub following: Members,
    /// Who is required, but has come back in another life.
    pub strangers: Members,
}

/// What one node has acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stored {
    /// The ceiling; 0 before the first acknowledgement.
    pub ceiling: u8,
    /// How many IKE messages.
    pub begun: u8,
}

impl Owner {
    /// A node that has just become the owner, alone.
    #[must_use]
    pub fn alone(claim: Claim, node: usize) -> Self {
        Self {
            claim,
            limit: FREE,
            transmitted: 0,
            required: Members::default(),
            in_sync: Members::only(node),
            stored: [Stored::default(); NODES],
            counted: [0; NODES],
            following: Members::default(),
            strangers: Members::default(),
        }
    }

    /// Raises the limit to what everybody who is required has stored; nobody required, no limit.
    pub fn raise(&mut self) {
        let lowest = self.required.iter().map(|node| self.stored[node].ceiling);
        self.limit = self.limit.max(lowest.min().unwrap_or(FREE));
    }

    /// Goes on without the acknowledgements of `node`.
    pub fn release(&mut self, node: usize) {
        self.required = self.required.without(node);
        self.strangers = self.strangers.without(node);
        self.following = self.following.without(node);
        self.stored[node] = Stored::default();
        self.counted[node] = 0;
        self.raise();
    }

    /// Whether everybody who is required has stored the IKE message `id`.
    #[must_use]
    pub fn committed(&self, id: u8) -> bool {
        let mut required = self.required.iter();
        required.all(|node| self.stored[node].begun > id)
    }
}

impl Node {
    /// A node that has just started: it knows nothing.
    #[must_use]
    pub fn empty(incarnation: u8) -> Self {
        Self {
            up: true,
            incarnation,
            promise: Claim::default(),
            pair: None,
            synced: Claim::default(),
            owner: None,
        }
    }
}
