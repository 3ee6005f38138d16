//! What a member is told: the nodes, their paths, the groups, the timing; checked as a whole.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crypto::hmac;

use crate::key::ClusterKey;
use crate::limits;
use crate::names::{GroupName, NodeName};
use crate::parts::{Failback, GroupConfig, Peer};

/// The configuration of one member. Every node of a cluster has the same one, seen from itself.
pub struct Config {
    /// This node's own name.
    pub node: NodeName,
    /// The other nodes; at most [`limits::MAX_PEERS`].
    pub peers: Vec<Peer>,
    /// The shared secret that heartbeats are sent under.
    pub key: ClusterKey,
    /// Further secrets that are accepted: how a key is changed without an interruption. First
    /// every node accepts the new key, then every node sends under it, then the old one goes.
    pub also_accept: Vec<ClusterKey>,
    /// Interval of the heartbeats, 1 ms to 60 s.
    pub heartbeat: Duration,
    /// Missed heartbeats that make a silent node a dead one, 2 to 100.
    pub missed: u32,
    /// How long a starting node listens for others before it claims groups that nobody owns;
    /// `None`: three times [`Config::detection`], at least 500 ms.
    pub join: Option<Duration>,
    /// Whether a witness decides who owns a group.
    pub witness: bool,
    /// The groups; at most [`limits::MAX_GROUPS`], and all must fit into one heartbeat.
    pub groups: Vec<GroupConfig>,
}

impl Config {
    /// A configuration with the defaults: heartbeats of 20 ms, 5 of them missed.
    #[must_use]
    pub fn new(
        node: NodeName,
        key: ClusterKey,
        peers: Vec<Peer>,
        groups: Vec<GroupConfig>,
    ) -> Self {
        Self {
            node,
            peers,
            key,
            also_accept: Vec::new(),
            heartbeat: Duration::from_millis(20),
            missed: 5,
            join: None,
            witness: false,
            groups,
        }
    }

    /// The silence after which a node is taken for dead: heartbeat × missed.
    #[must_use]
    pub fn detection(&self) -> Duration {
        self.heartbeat.saturating_mul(self.missed)
    }

    /// How long a starting node listens before it claims groups that nobody owns.
    #[must_use]
    pub fn join_time(&self) -> Duration {
        self.join
            .unwrap_or_else(|| self.detection().saturating_mul(3).max(limits::MIN_JOIN))
    }

    /// Checks the whole.
    ///
    /// # Errors
    /// [`ConfigError`], the first thing that is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_timing()?;
        self.validate_peers()?;
        self.validate_groups()?;
        let bytes = self.largest_heartbeat();
        if bytes > limits::MAX_HEARTBEAT {
            return Err(ConfigError::HeartbeatTooLarge { bytes });
        }
        Ok(())
    }

    fn validate_timing(&self) -> Result<(), ConfigError> {
        if !(limits::MIN_INTERVAL..=limits::MAX_INTERVAL).contains(&self.heartbeat) {
            return Err(ConfigError::Heartbeat(self.heartbeat));
        }
        if !(limits::MIN_MISSED..=limits::MAX_MISSED).contains(&self.missed) {
            return Err(ConfigError::Missed(self.missed));
        }
        match self.join {
            Some(join) if join < self.detection() || join > limits::MAX_JOIN => {
                Err(ConfigError::Join(join))
            }
            _ if self.also_accept.len() > limits::MAX_ACCEPTED_KEYS => Err(ConfigError::Keys),
            _ => Ok(()),
        }
    }

    fn validate_peers(&self) -> Result<(), ConfigError> {
        if self.peers.len() > limits::MAX_PEERS {
            return Err(ConfigError::TooManyPeers(self.peers.len()));
        }
        let mut names = BTreeSet::from([&self.node]);
        let mut addresses = BTreeSet::new();
        for peer in &self.peers {
            if !names.insert(&peer.name) {
                return Err(ConfigError::NodeTwice(peer.name.clone()));
            }
            if !(1..=limits::MAX_PATHS).contains(&peer.addresses.len()) {
                return Err(ConfigError::Paths(peer.name.clone()));
            }
            if let Some(twice) = peer
                .addresses
                .iter()
                .find(|address| !addresses.insert(**address))
            {
                return Err(ConfigError::AddressTwice(*twice));
            }
        }
        Ok(())
    }

    fn validate_groups(&self) -> Result<(), ConfigError> {
        if self.groups.len() > limits::MAX_GROUPS {
            return Err(ConfigError::TooManyGroups(self.groups.len()));
        }
        let mut names = BTreeSet::new();
        for group in &self.groups {
            if !names.insert(&group.name) {
                return Err(ConfigError::GroupTwice(group.name.clone()));
            }
            let period = group.restart_period;
            let periods = Duration::from_nanos(1)..=limits::MAX_PERIOD;
            if group.restart_threshold > limits::MAX_RESTARTS || !periods.contains(&period) {
                return Err(ConfigError::Restarts(group.name.clone()));
            }
            if matches!(group.failback, Failback::After(hold) if hold > limits::MAX_PERIOD) {
                return Err(ConfigError::Failback(group.name.clone()));
            }
            let mut owners = BTreeSet::new();
            for node in &group.preferred_owners {
                let group = group.name.clone();
                if !self.knows(node) {
                    return Err(ConfigError::UnknownOwner {
                        group,
                        node: node.clone(),
                    });
                }
                if !owners.insert(node) {
                    return Err(ConfigError::OwnerTwice {
                        group,
                        node: node.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    pub(crate) fn knows(&self, node: &NodeName) -> bool {
        *node == self.node || self.peers.iter().any(|peer| peer.name == *node)
    }

    /// The longest heartbeat that this configuration can make, in bytes.
    fn largest_heartbeat(&self) -> usize {
        crate::heartbeat::largest(&self.node, &self.peers, &self.groups)
    }

    /// A fingerprint of what the nodes must agree on, so that they notice when they do not.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut text = format!(
            "{:?} {} {:?}",
            self.heartbeat,
            self.missed,
            self.join_time()
        );
        let mut nodes: Vec<&NodeName> = self.peers.iter().map(|peer| &peer.name).collect();
        nodes.push(&self.node);
        nodes.sort();
        let mut groups: Vec<&GroupConfig> = self.groups.iter().collect();
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        text.push_str(&format!("{nodes:?} {groups:?}"));
        let digest = hmac::sha256(b"holdfast cluster configuration", &[text.as_bytes()]);
        digest
            .iter()
            .take(8)
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// The heartbeat interval is out of range.
    Heartbeat(Duration),
    /// The number of missed heartbeats is out of range.
    Missed(u32),
    /// The join time is shorter than the detection time, or longer than six hours.
    Join(Duration),
    /// Too many further keys.
    Keys,
    /// Too many other nodes.
    TooManyPeers(usize),
    /// A node is named twice (this node counts).
    NodeTwice(NodeName),
    /// A node has no address, or too many.
    Paths(NodeName),
    /// Two paths have the same address.
    AddressTwice(SocketAddr),
    /// Too many groups.
    TooManyGroups(usize),
    /// A group is named twice.
    GroupTwice(GroupName),
    /// A restart threshold or period is out of range.
    Restarts(GroupName),
    /// A failback hold time is out of range.
    Failback(GroupName),
    /// A preferred owner is not a node of the cluster.
    UnknownOwner {
        /// The group.
        group: GroupName,
        /// The unknown node.
        node: NodeName,
    },
    /// A preferred owner is named twice.
    OwnerTwice {
        /// The group.
        group: GroupName,
        /// The node.
        node: NodeName,
    },
    /// The heartbeat would not fit into one unfragmented datagram.
    HeartbeatTooLarge {
        /// Its length in bytes.
        bytes: usize,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Heartbeat(given) => {
                write!(
                    f,
                    "A heartbeat of {given:?} is out of range: use 1 ms to 60 s."
                )
            }
            Self::Missed(given) => {
                write!(
                    f,
                    "{given} missed heartbeats are out of range: use 2 to 100."
                )
            }
            Self::Join(given) => write!(
                f,
                "A join time of {given:?} is out of range: a restarted node must listen at least \
                 for the detection time to hear the others before it acts, and at most 6 hours."
            ),
            Self::TooManyPeers(given) => {
                write!(
                    f,
                    "{given} peers are too many: at most {}.",
                    limits::MAX_PEERS
                )
            }
            Self::NodeTwice(node) => {
                write!(
                    f,
                    "The node `{node}` is named twice: give every node its own name."
                )
            }
            Self::Paths(node) => {
                write!(
                    f,
                    "The node `{node}` needs 1 to {} addresses.",
                    limits::MAX_PATHS
                )
            }
            Self::AddressTwice(address) => write!(f, "The address {address} is named twice."),
            other => other.fmt_group(f),
        }
    }
}

impl ConfigError {
    /// The sentences about groups and about the whole.
    fn fmt_group(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyGroups(given) => {
                write!(
                    f,
                    "{given} groups are too many: at most {}.",
                    limits::MAX_GROUPS
                )
            }
            Self::GroupTwice(group) => write!(f, "The group `{group}` is named twice."),
            Self::Restarts(group) => write!(
                f,
                "The group `{group}` needs a restart threshold of 0 to {} and a period above 0, \
                 at most 30 days.",
                limits::MAX_RESTARTS
            ),
            Self::Failback(group) => write!(
                f,
                "The group `{group}` needs a failback hold time of at most 30 days."
            ),
            Self::UnknownOwner { group, node } => write!(
                f,
                "The group `{group}` prefers `{node}`, which is no node of the cluster."
            ),
            Self::OwnerTwice { group, node } => {
                write!(
                    f,
                    "The group `{group}` names its preferred owner `{node}` twice."
                )
            }
            Self::HeartbeatTooLarge { bytes } => write!(
                f,
                "A heartbeat would take {bytes} bytes, more than the {} that fit into any one \
                 datagram: use shorter names or fewer groups.",
                limits::MAX_HEARTBEAT
            ),
            _ => {
                write!(
                    f,
                    "At most {} further keys are accepted.",
                    limits::MAX_ACCEPTED_KEYS
                )
            }
        }
    }
}

impl std::error::Error for ConfigError {}
