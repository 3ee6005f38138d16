//! The cluster as one member sees it.

use serde::{Deserialize, Serialize};

/// Everything that `holdfast cluster status` shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// The member that was asked.
    pub node: String,
    /// How SAs behave when a group moves: `replicate` or `renegotiate`.
    pub takeover: String,
    /// When the certificate ends that this process proves itself with (RFC 3339, UTC); `null`
    /// where nothing is replicated. A new one is read at the start.
    pub certificate_until: Option<String>,
    /// Whether a majority of etcd answers this member, and tells it every change; `null` where
    /// there is no witness.
    #[serde(default)]
    pub witness: Option<bool>,
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
    /// The link to it; `null` for this node, and where nothing is replicated.
    pub link: Option<LinkStatus>,
}

/// The link that carries replication to another member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// Whether it stands.
    pub up: bool,
    /// Bytes that wait to be sent.
    pub waiting_bytes: u64,
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
    /// How its SAs are replicated, as far as this member takes part; `null` with `renegotiate`.
    pub replication: Option<ReplicationStatus>,
}

/// The replication of one group, at the member that was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplicationStatus {
    /// `owner`, `copy` or `none`.
    pub part: String,
    /// An owner: `guarded` (a member could go on), `alone` (none could), `bound` (a member that
    /// could is lost: no new numbers), `silent` (the same, and SAs are negotiated anew). A copy:
    /// `in_sync` or `filling`. Else `none`.
    pub state: String,
    /// A copy: whose.
    pub of: Option<String>,
    /// Who could go on at once. At a copy: itself, if it could.
    pub in_sync: Vec<String>,
    /// Who is being brought in sync. At a copy: itself, if it is.
    pub filling: Vec<String>,
    /// At the owner: who is lost, may go on with its copy, and so binds the owner.
    pub lost: Vec<String>,
    /// The number of the last change: given by the owner, stored by a copy.
    pub position: u64,
    /// The last change that every member in sync has stored.
    pub committed: u64,
    /// At the owner: the age of the oldest change that is not committed, in ms; 0 without one.
    pub lag_ms: f64,
    /// At the owner: how far it gets if nothing is stored any more; `null` where no pair has sent.
    pub runway: Option<Runway>,
    /// IKE SAs, own or copied.
    pub ike_sas: u64,
    /// At the owner: those of them that came from the owner before and were not needed yet.
    pub inherited: u64,
    /// Pairs of ESP SAs, own or copied.
    pub pairs: u64,
    /// Messages and grants that wait until they are stored.
    pub held: u64,
    /// IKE SAs that are yet to be negotiated anew, because a lost member may go on with them.
    pub to_replace: u64,
}

/// What an owner may still send without asking anybody.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Runway {
    /// The fewest sequence numbers that any pair which has sent from here has left.
    pub numbers: u64,
    /// The shortest time until a pair has none left, in seconds, at the rate of the last moments;
    /// `null` while none sends.
    pub seconds: Option<f64>,
}
