//! How a group's replication stands on a node, as a value for `status` and the simulator.

use cluster::{GroupName, ReplicaStatus};
use std::time::Duration;

/// One group whose SAs survive a change of owner, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationStatus {
    /// The group.
    pub group: GroupName,
    /// This node's part; `None` if it neither owns the group nor keeps a copy.
    pub part: Option<ReplicaStatus>,
    /// On the owner, the age of the oldest change that is not committed; `None` if all are.
    pub behind: Option<Duration>,
    /// IKE SAs: on the owner its own and those inherited, on another member those in its copy.
    pub ike_sas: usize,
    /// On the owner, those of them that are inherited and not yet taken over: they are when their
    /// turn comes, or when their peer says something.
    pub inherited: usize,
    /// Pairs of ESP SAs.
    pub pairs: usize,
    /// What waits until the members in sync have stored it: messages, grants, installations.
    pub held: usize,
    /// Whether this node is silent on what it shared with a member that is lost.
    pub silent: bool,
    /// IKE SAs that are yet to be negotiated anew because of that.
    pub to_replace: usize,
}
