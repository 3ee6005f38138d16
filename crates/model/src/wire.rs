//! What left for the peer: the history over which S1 and S2 are stated.

use crate::node::NODES;
use crate::pair::{Claim, Content};

/// As many sequence numbers as a bound may allow.
pub const SEQUENCES: usize = 8;
/// As many message IDs as a bound may allow.
pub const IDS: usize = 2;
/// As many pairs of SAs as a bound may allow.
pub const PAIRS: usize = 4;

/// Everything that was ever sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wire {
    /// Who sent which sequence number of which pair: one bit per claim.
    sent: [[u32; SEQUENCES]; PAIRS],
    /// The contents of the IKE messages.
    ike: [[Option<Content>; IDS]; PAIRS],
    /// A sequence number left twice under one SPI.
    pub sequence_repeated: bool,
    /// An IV left twice under one key.
    pub iv_repeated: bool,
    /// A message ID left with two contents.
    pub forked: bool,
}

impl Wire {
    /// An ESP packet leaves. Its IV is `field ‖ sequence`; `sender` is what the properties ask for.
    pub fn esp(&mut self, sa: u8, sequence: u8, sender: Claim, field_in_iv: bool) {
        let slot = &mut self.sent[usize::from(sa)][usize::from(sequence)];
        let repeated = *slot != 0;
        self.sequence_repeated |= repeated;
        self.iv_repeated |= repeated && (!field_in_iv || *slot & bit(sender) != 0);
        *slot |= bit(sender);
    }

    /// An IKE message leaves, for the first or for another time.
    pub fn ike(&mut self, sa: u8, id: u8, content: Content) {
        let slot = &mut self.ike[usize::from(sa)][usize::from(id)];
        self.forked |= slot.is_some_and(|before| before != content);
        *slot = Some(content);
    }

    /// Whether the activation `sender` has sent on the pair `sa`.
    #[must_use]
    pub fn has_sent(&self, sa: u8, sender: Claim) -> bool {
        let row = &self.sent[usize::from(sa)];
        row.iter().any(|senders| senders & bit(sender) != 0)
    }

    /// Whether the node `sender` has sent on the pair `sa`, in whatever epoch.
    #[must_use]
    pub fn has_sent_ever(&self, sa: u8, sender: usize) -> bool {
        (0..10).any(|epoch| self.has_sent(sa, Claim::of(epoch, sender)))
    }
}

/// The bit of a claim.
fn bit(claim: Claim) -> u32 {
    1 << (usize::from(claim.epoch) * NODES + usize::from(claim.node))
}
