//! What a replicator wants done, and what it can tell of itself.

use crate::names::{GroupName, NodeName};
use crate::parcel::Parcel;
use crate::replica::message::Message;

/// What a replicator wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplicaOutput {
    /// Send a message over the link to a member.
    Send {
        /// The member.
        to: NodeName,
        /// The message.
        message: Parcel,
    },
    /// Give the next part of the group's state for a member:
    /// [`Replicator::chunk`](crate::Replicator::chunk) is the answer.
    Fill {
        /// The group.
        group: GroupName,
        /// The member.
        to: NodeName,
        /// Whether it is the first part.
        first: bool,
    },
    /// Everything known of the group's state is void.
    Reset {
        /// The group.
        group: GroupName,
    },
    /// Take a change, or a part of the state, into the copy.
    Apply {
        /// The group.
        group: GroupName,
        /// The change.
        parcel: Parcel,
    },
    /// What was given up to this position may be seen outside.
    Committed {
        /// The group.
        group: GroupName,
        /// The position.
        position: u64,
    },
    /// These members, with their incarnations, could go on with the group, this node among them:
    /// the witness is to have it written down; [`written`](crate::Replicator::written) is the
    /// answer.
    Members {
        /// The group.
        group: GroupName,
        /// Of the ownership.
        epoch: u64,
        /// The members.
        members: Vec<(NodeName, u64)>,
    },
    /// What the group's owner had shared until now may have been gone on with by a life of a member
    /// that is no more: it is used within what was granted and no further, nobody gets a copy of
    /// it, and it is to be replaced. Whatever is given from here on belongs to this node alone.
    Forsake {
        /// The group.
        group: GroupName,
    },
    /// The standing of a group that this node owns has changed.
    Standing {
        /// The group.
        group: GroupName,
        /// The standing.
        standing: Standing,
    },
    /// This node's copy of a group is in sync with its owner, or no longer.
    Copy {
        /// The group.
        group: GroupName,
        /// The owner.
        owner: NodeName,
        /// Whether this node could go on with it now.
        in_sync: bool,
    },
    /// A datagram for the group came to another member.
    Stray {
        /// The group.
        group: GroupName,
        /// The datagram, as the other member's node wrapped it.
        parcel: Parcel,
    },
}

/// How an owner stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody else could go on with the group's state, so nobody needs to be waited for.
    Alone,
    /// These members are in sync.
    Guarded(Vec<NodeName>),
    /// These members were in sync and are lost: they may go on with what they have.
    Bound(Vec<NodeName>),
}

/// A group as the replication sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// The group.
    pub group: GroupName,
    /// Whether this node owns it.
    pub owner: bool,
    /// On another member, whose state it keeps.
    pub of: Option<NodeName>,
    /// On the owner, who is in sync; on another member, itself if it is.
    pub in_sync: Vec<NodeName>,
    /// On the owner, who is being brought in sync; on another member, itself if it is.
    pub filling: Vec<NodeName>,
    /// On the owner, who was in sync and is lost.
    pub bound: Vec<NodeName>,
    /// The position of the last change given (owner) or stored (another member).
    pub position: u64,
    /// The last position that is committed; on another member the same as `position`.
    pub committed: u64,
}

/// A message on its way to a member.
pub(crate) fn send(to: NodeName, message: &Message) -> ReplicaOutput {
    ReplicaOutput::Send {
        to,
        message: message.encode(),
    }
}
