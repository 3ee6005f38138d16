//! What a member knows, as a value for `status`, metrics and dashboards; spans, never clock times.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::discard::Discards;
use crate::names::{GroupName, NodeName};

/// Everything a member can say about the cluster as it sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// This node's name.
    pub node: NodeName,
    /// Its incarnation.
    pub incarnation: u64,
    /// What it is doing.
    pub phase: Phase,
    /// Whether the witness can be asked; `None` where there is none.
    pub witness: Option<bool>,
    /// All nodes, this one first.
    pub nodes: Vec<NodeStatus>,
    /// All groups, in the order of the configuration.
    pub groups: Vec<GroupStatus>,
    /// Heartbeats sent (copies on several paths count once).
    pub sent: u64,
    /// Heartbeats accepted.
    pub accepted: u64,
    /// Datagrams refused.
    pub discards: Discards,
}

/// Whether a node could run a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ability {
    /// It failed there too often; somebody may insist.
    Failed,
    /// It could.
    Able,
    /// Something on its host is in the way.
    Barred,
}

impl Ability {
    /// The number in a heartbeat.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        let all = [Self::Failed, Self::Able, Self::Barred];
        all.get(usize::from(number)).copied()
    }
}

/// What this member is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It has started and listens before it acts.
    Joining,
    /// It takes part.
    Member,
    /// It did not run for a while and finds out what it still owns.
    Verifying,
    /// It shuts down and hands its groups over.
    Leaving,
    /// It has left.
    Left,
}

/// A node, as this one sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its name.
    pub name: NodeName,
    /// Its state.
    pub state: NodeState,
    /// Whether it is paused (as far as known, if it is down).
    pub paused: bool,
    /// The time since its last heartbeat; `None` for this node, and before the first.
    pub last_heartbeat: Option<Duration>,
    /// Whether it hears this node; `true` for this node.
    pub hears_us: bool,
    /// The paths to it; none for this node.
    pub paths: Vec<PathStatus>,
}

/// Whether a node takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// Not heard yet, and not given up yet.
    Unknown,
    /// Heard, but it only listens so far.
    Joining,
    /// It takes part.
    Up,
    /// It hands its groups over and will leave.
    Leaving,
    /// It is not heard, or has left.
    Down,
}

/// One path to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathStatus {
    /// The node's address on it.
    pub address: SocketAddr,
    /// The local address at which its last heartbeat arrived.
    pub local: Option<IpAddr>,
    /// The time since the last heartbeat on it.
    pub last_heartbeat: Option<Duration>,
    /// Whether it is heard.
    pub up: bool,
}

/// A group, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStatus {
    /// Its name.
    pub name: GroupName,
    /// Its owner; `None` if nobody that is up owns it.
    pub owner: Option<NodeName>,
    /// The epoch of the latest ownership; 0 before the first.
    pub epoch: u64,
    /// Its state at its owner.
    pub state: GroupState,
    /// How long it has had this owner and state, as seen from here.
    pub since: Duration,
    /// Its state on this node, whoever owns it.
    pub here: GroupState,
    /// Failures on this node within the restart period.
    pub failures: u32,
}

/// The state of a group on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupState {
    /// Not running.
    Offline,
    /// Being started.
    Starting,
    /// Up.
    Online,
    /// Being stopped.
    Stopping,
    /// Failed too often; stopped.
    Failed,
}

impl GroupState {
    const ALL: [Self; 5] = [
        Self::Offline,
        Self::Starting,
        Self::Online,
        Self::Stopping,
        Self::Failed,
    ];

    /// The state's number in a heartbeat.
    pub(crate) fn number(self) -> u8 {
        let position = Self::ALL.iter().position(|state| *state == self);
        position.map_or(u8::MAX, |position| position as u8)
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether the node may hold the group's addresses.
    #[must_use]
    pub fn holds(self) -> bool {
        matches!(self, Self::Starting | Self::Online | Self::Stopping)
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Offline => "offline",
            Self::Starting => "starting",
            Self::Online => "online",
            Self::Stopping => "stopping",
            Self::Failed => "failed",
        })
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unknown => "unknown",
            Self::Joining => "joining",
            Self::Up => "up",
            Self::Leaving => "leaving",
            Self::Down => "down",
        })
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Joining => "joining",
            Self::Member => "member",
            Self::Verifying => "verifying",
            Self::Leaving => "leaving",
            Self::Left => "left",
        })
    }
}
