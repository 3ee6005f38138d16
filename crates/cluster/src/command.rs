//! What a member can be told by its driver, and how it refuses what breaks the contract.

use std::fmt;

use crate::config::{Config, ConfigError};
use crate::names::{GroupName, NodeName};
use crate::reason::Refusal;
use crate::witness::WitnessAnswer;

/// An input from the driver: an operator's wish, or news from this host.
pub enum Command {
    /// Move a group in good order. May be given on any node: the owner is asked.
    Move {
        /// The group.
        group: GroupName,
        /// The node that is to get it.
        to: NodeName,
    },
    /// Let a node keep what it owns but take nothing more; `None`: this node.
    Pause {
        /// The node.
        node: Option<NodeName>,
    },
    /// Undo [`Command::Pause`].
    Resume {
        /// The node.
        node: Option<NodeName>,
    },
    /// The answer to [`Output::Start`](crate::Output::Start): the group is up.
    GroupStarted {
        /// The group.
        group: GroupName,
    },
    /// The answer to [`Output::Stop`](crate::Output::Stop): services stopped, addresses released.
    GroupStopped {
        /// The group.
        group: GroupName,
    },
    /// The group could not be started, or failed while it was up.
    GroupFailed {
        /// The group.
        group: GroupName,
        /// What happened, as a sentence for people.
        reason: String,
    },
    /// The witness can be asked, or cannot. Before the first time that it can, all records there
    /// were told.
    WitnessReachable(bool),
    /// What stands under a group's name at the witness; `None`: it was removed.
    WitnessRecord {
        /// The group.
        group: GroupName,
        /// Grows with every change.
        revision: u64,
        /// What stands there.
        value: Option<Vec<u8>>,
    },
    /// The answer to [`Output::Propose`](crate::Output::Propose).
    Witnessed {
        /// The group.
        group: GroupName,
        /// Of the proposal.
        tag: u64,
        /// What became of it.
        answer: WitnessAnswer,
    },
    /// These members could go on with a group that this node owns, this node among them: it is to
    /// be written down.
    KeepMembers {
        /// The group.
        group: GroupName,
        /// Of the ownership.
        epoch: u64,
        /// The members with their incarnations.
        members: Vec<(NodeName, u64)>,
    },
    /// Whether something on this host keeps the group from running here, such as a dead link. The
    /// node keeps a barred group only while no other can take it, starts none, and no restart is
    /// tried. Nothing is barred until this says so.
    SetBarred {
        /// The group.
        group: GroupName,
        /// What is in the way, as a sentence for people; `None`: nothing any more.
        why: Option<String>,
    },
    /// Take a new configuration, as a whole or not at all.
    Reload(Box<Config>),
    /// Hand all groups over, then leave. It is done when [`Event::Left`](crate::Event::Left) comes.
    Shutdown,
    /// The process of a node was seen to die (its supervisor's connection closed).
    PeerDied {
        /// The node.
        name: NodeName,
    },
}

/// The caller asked for something that cannot be done; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiMisuse {
    /// No group has this name.
    UnknownGroup(GroupName),
    /// No node has this name.
    UnknownNode(NodeName),
    /// The group cannot be moved like this.
    Refused {
        /// The group.
        group: GroupName,
        /// Why.
        why: Refusal,
    },
    /// The node that would have to act is down.
    NodeDown(NodeName),
    /// The member shuts down, or has left.
    Leaving,
    /// Too many requests to other nodes are waiting.
    TooManyRequests,
    /// The configuration is wrong.
    Config(ConfigError),
    /// The configuration is for another node.
    OtherNode(NodeName),
}

impl fmt::Display for ApiMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownGroup(group) => {
                write!(
                    f,
                    "No group is named `{group}`: see `holdfast cluster status`."
                )
            }
            Self::UnknownNode(node) => {
                write!(
                    f,
                    "No node is named `{node}`: see `holdfast cluster status`."
                )
            }
            Self::Refused { group, why } => write!(f, "`{group}` is not moved: {why}."),
            Self::NodeDown(node) => {
                write!(
                    f,
                    "`{node}` would have to act, but it is down: try again when it is up."
                )
            }
            Self::Leaving => write!(f, "This node shuts down: ask another one."),
            Self::TooManyRequests => {
                write!(
                    f,
                    "Too many requests wait for an answer: try again in a second."
                )
            }
            Self::Config(error) => error.fmt(f),
            Self::OtherNode(node) => write!(
                f,
                "The new configuration is for the node `{node}`: a node keeps its name until it \
                 is restarted."
            ),
        }
    }
}

impl std::error::Error for ApiMisuse {}

impl From<ConfigError> for ApiMisuse {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}
