//! What the nodes say to each other; a link is a queue, as TCP is one.

use crate::pair::{Claim, Content, Pair};

/// One message between two nodes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// Everything, from the owner, to a node that has nothing or may have missed something.
    Snapshot(Claim, Pair),
    /// A higher ceiling, and the next sequence number as a hint.
    Ceiling {
        /// Who says so.
        claim: Claim,
        /// For which pair.
        sa: u8,
        /// The first sequence number that the owner may not use.
        ceiling: u8,
        /// Where the owner stands.
        next: u8,
    },
    /// The exact bytes of an IKE message that has not left yet.
    Ike {
        /// Who says so.
        claim: Claim,
        /// For which pair.
        sa: u8,
        /// Its message ID.
        id: u8,
        /// Its bytes.
        content: Content,
    },
    /// "I have stored all of this."
    Acknowledgement {
        /// Whose record it was.
        claim: Claim,
        /// For which pair.
        sa: u8,
        /// The stored ceiling.
        ceiling: u8,
        /// How many IKE messages are stored.
        begun: u8,
    },
    /// "I know of a better claim than yours."
    Refusal(Claim),
}
