//! What must hold in every state (S1, S2, L1), and what must be reachable (the model's own proof
//! that it does not hold for want of trying).

use crate::pair::Claim;
use crate::state::State;

/// S1 for the peer's replay window, and for every IV that is made from the sequence number.
pub const SEQUENCE: &str = "S1: no (SPI, sequence number) is sent twice";
/// S1 for AEADs.
pub const IV: &str = "S1: no (key, IV) is sent twice";
/// S2.
pub const MESSAGE_ID: &str = "S2: no message ID is sent with two contents";
/// L1: from every state there is a way back without further faults.
pub const RECOVERS: &str = "L1: traffic and redundancy can come back";

/// L1's main example.
pub const SAME_SA: &str = "after one crash the survivor sends on the same SA";
/// L1 for IKE.
pub const RESENT: &str = "the survivor sends a stored IKE message again";
/// Two takeovers, with a rejoin between them.
pub const AND_BACK: &str = "after a second takeover the first node sends on the same SA";
/// Rule 4 without a witness, to its end.
pub const REPLACED: &str = "an owner that was alone hands its new SA over";

/// One crash, no connection lost for another reason: the survivor sends on the first pair.
#[must_use]
pub fn same_sa(state: &State) -> bool {
    let spent = state.spent;
    spent.crashes == 1 && spent.breaks == 0 && state.wire.has_sent_ever(0, 1)
}

/// An activation of node 1 has sent a message that node 0 made.
#[must_use]
pub fn resent(state: &State) -> bool {
    state.owner(1).is_some_and(|(owner, pair)| {
        let made_by_other = pair.ike.first().is_some_and(|c| c.claim.node == 0);
        made_by_other && owner.transmitted > 0
    })
}

/// Both nodes have sent on the second pair.
#[must_use]
pub fn replaced(state: &State) -> bool {
    state.wire.has_sent_ever(1, 0) && state.wire.has_sent_ever(1, 1)
}

/// Node 0 has sent on the first pair again after node 1 had taken it over.
#[must_use]
pub fn and_back(state: &State) -> bool {
    state.wire.has_sent(0, Claim { epoch: 3, node: 0 })
}
