//! The cluster as one member sees it.

use serde::{Deserialize, Serialize};

/// Everything that `holdfast cluster status` shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// The member that was asked.
    pub node: String,
    /// How SAs behave when a group moves: `renegotiate`.
    pub takeover: String,
    /// Every member, this one first.
    pub nodes: Vec<NodeStatus>,
    /// Every group.
    pub groups: Vec<GroupStatus>,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// `joining`, `up`, `paused`, `down` or `leaving`.
    pub state: String,
    /// Milliseconds since its last heartbeat; `null` for this node and for one never heard.
    pub silence_ms: Option<f64>,
}

/// One group: the unit of ownership.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// Its name.
    pub name: String,
    /// Who owns it; `null` when nobody does.
    pub owner: Option<String>,
    /// `offline`, `starting`, `online`, `stopping` or `failed`.
    pub state: String,
    /// Grows with every change of owner.
    pub epoch: u64,
    /// Its virtual IP addresses.
    pub addresses: Vec<String>,
    /// Seconds in this state.
    pub since_s: f64,
}
