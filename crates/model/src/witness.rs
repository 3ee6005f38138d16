//! The witness: owner, epoch and in-sync set in one record, changed by compare-and-swap.

use crate::members::Members;
use crate::pair::Claim;

/// The record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Witness {
    /// Owner and epoch.
    pub claim: Claim,
    /// Who may use inherited SAs after the owner.
    pub in_sync: Members,
}

/// A request of a node, on its way or answered. It outlives a crash of the node that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// The life of the node that asked.
    pub incarnation: u8,
    /// What it asked for.
    pub wish: Wish,
    /// What the witness said, once it has been carried out.
    pub answer: Option<bool>,
}

/// What a node asks of the witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wish {
    /// "If the epoch is still this and I am in sync: I own, the next epoch, only I am in sync."
    Promote(u8),
    /// "If the epoch is still this: I own, with this new pair of SAs."
    Anew(u8, u8),
    /// "If I still own with this claim: the in-sync set without this node."
    Shrink(Claim, u8),
    /// "If I still own with this claim: the in-sync set with this node."
    Add(Claim, u8),
}
