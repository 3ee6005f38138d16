//! What a configuration consists of: the other nodes, and the groups with their preferences.

use std::net::SocketAddr;
use std::time::Duration;

use crate::names::{GroupName, NodeName};

/// Another node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub name: NodeName,
    /// Where its heartbeat socket listens: one address per path between the nodes, at least one.
    pub addresses: Vec<SocketAddr>,
}

/// The unit that moves: what it consists of (addresses, services) is the driver's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// Its name.
    pub name: GroupName,
    /// The nodes in order of preference; nodes that are not named follow in the order of their
    /// names.
    pub preferred_owners: Vec<NodeName>,
    /// Whether the group returns to a more preferred node that came back.
    pub failback: Failback,
    /// Failures within [`GroupConfig::restart_period`] that are answered by a restart on the same
    /// node; one more moves the group. At most 1,000; 0 moves it at the first failure.
    pub restart_threshold: u32,
    /// The time in which failures are counted, and for which a node that had too many of them is
    /// not given the group.
    pub restart_period: Duration,
}

/// Whether a group returns to a more preferred node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failback {
    /// It stays where it is.
    Never,
    /// It returns once a more preferred node has been back, and ready, for this time. It never
    /// leaves a node that it was moved to while the preferred one was up: that was somebody's
    /// wish, or the preferred node failed to run it.
    After(Duration),
}

impl GroupConfig {
    /// A group with the defaults: no failback, 3 restarts within 15 minutes.
    #[must_use]
    pub fn new(name: GroupName, preferred_owners: Vec<NodeName>) -> Self {
        Self {
            name,
            preferred_owners,
            failback: Failback::Never,
            restart_threshold: 3,
            restart_period: Duration::from_secs(900),
        }
    }

    /// Where a node stands in the order of preference; equal ranks are ordered by name.
    pub(crate) fn rank(&self, node: &NodeName) -> usize {
        let position = self.preferred_owners.iter().position(|name| name == node);
        position.unwrap_or(usize::MAX)
    }
}
