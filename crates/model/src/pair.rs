//! What is replicated: an outbound ESP SA with its ceiling, and the IKE SA that made it.

/// A right to own: a greater one wins, everywhere. The epoch field of an IV is one of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claim {
    /// Grows with every change of owner.
    pub epoch: u8,
    /// Who claims; decides between equal epochs of two nodes without a witness.
    pub node: u8,
}

impl Claim {
    /// The claim that starts the model: node 0 in epoch 1.
    pub const FIRST: Self = Self { epoch: 1, node: 0 };

    /// What `node` claims when it knows of this claim.
    #[must_use]
    pub fn next(self, node: usize) -> Self {
        Self::of(self.epoch + 1, node)
    }

    /// The claim of `node` in `epoch`.
    #[must_use]
    pub fn of(epoch: u8, node: usize) -> Self {
        Self {
            epoch,
            node: u8::try_from(node).unwrap_or(u8::MAX),
        }
    }
}

/// The content of an IKE message, told apart by who made it: two makers never write the same bytes.
///
/// A response and an own request are alike here: each is made once, stored and sent, so one row of
/// message IDs stands for both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Content {
    /// The activation that made it.
    pub claim: Claim,
    /// Which life of the node made it: a restarted node does not remember what it wrote before.
    pub incarnation: u8,
}

/// One copy of the pair of SAs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    /// Which pair: its SPIs and keys.
    pub sa: u8,
    /// The next sequence number to send; in a standby's copy, the last one that it was told.
    pub next: u8,
    /// The first sequence number that the owner may not use, as far as this copy knows.
    pub ceiling: u8,
    /// The IKE messages that were made, by message ID.
    pub ike: Vec<Content>,
}

impl Pair {
    /// A pair with new keys, of which nothing was sent.
    #[must_use]
    pub fn fresh(sa: u8) -> Self {
        Self {
            sa,
            next: 0,
            ceiling: 0,
            ike: Vec::new(),
        }
    }

    /// How many message IDs have a content.
    #[must_use]
    pub fn begun(&self) -> u8 {
        u8::try_from(self.ike.len()).unwrap_or(u8::MAX)
    }
}
