//! Events: declared once, they are the only source of log lines, metrics and histories.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::names::{GroupName, NodeName};
use crate::reason::{DownReason, Millis, MoveReason, Refusal};

/// Something that happened, with what is known about it. Its `Display` is a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// This node has heard the others, or waited long enough, and takes part from now on.
    Joined {
        /// How long it listened.
        listened: Duration,
    },
    /// A node is heard.
    NodeUp {
        /// The node.
        node: NodeName,
    },
    /// A node is gone.
    NodeDown {
        /// The node.
        node: NodeName,
        /// How it is known.
        why: DownReason,
        /// The time since its last heartbeat; `None` if there was none.
        silence: Option<Duration>,
    },
    /// A node takes no more groups.
    NodePaused {
        /// The node.
        node: NodeName,
    },
    /// A node takes groups again.
    NodeResumed {
        /// The node.
        node: NodeName,
    },
    /// A node does not hear this one, though this one hears it (or hears it again).
    Hearing {
        /// The node.
        node: NodeName,
        /// Whether it hears this node.
        hears_us: bool,
    },
    /// A path to a node that is up fell silent, or is heard again.
    Path {
        /// The node.
        node: NodeName,
        /// Its address on this path.
        address: SocketAddr,
        /// Whether it is heard.
        up: bool,
    },
    /// A node's configuration differs from this one's in what both must agree on.
    ConfigDiffers {
        /// The node.
        node: NodeName,
    },
    /// Another process uses this node's name and the cluster's key.
    NameTaken {
        /// Where its heartbeat came from.
        from: SocketAddr,
    },
    /// A group has a new owner.
    GroupMoved {
        /// The group.
        group: GroupName,
        /// The earlier owner, where there was one.
        from: Option<NodeName>,
        /// The new owner.
        to: NodeName,
        /// The epoch that begins.
        epoch: u64,
        /// Why.
        reason: MoveReason,
    },
    /// A group is up on this node.
    GroupOnline {
        /// The group.
        group: GroupName,
        /// The epoch of the ownership.
        epoch: u64,
        /// How long the start took.
        took: Duration,
    },
    /// A group has stopped on this node.
    GroupOffline {
        /// The group.
        group: GroupName,
        /// How long the stop took.
        took: Duration,
    },
    /// A group failed on this node.
    GroupFailed {
        /// The group.
        group: GroupName,
        /// What the driver said.
        reason: String,
        /// Failures within the restart period, this one included.
        failures: u32,
        /// How many of them are answered by a restart.
        threshold: u32,
    },
    /// Something on this host keeps a group from running here, or does so no longer.
    GroupBarred {
        /// The group.
        group: GroupName,
        /// What; `None`: nothing any more.
        why: Option<String>,
    },
    /// A group failed too often, and no node can take it.
    GroupGivenUp {
        /// The group.
        group: GroupName,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// Nobody owns the group, and no node may take it.
    GroupUnowned {
        /// The group.
        group: GroupName,
    },
    /// A move that was ordered is given up, for the target can no longer take the group.
    MoveAbandoned {
        /// The group.
        group: GroupName,
        /// The node that was to get it.
        to: NodeName,
    },
    /// Another node runs a group that this node runs as well.
    Conflict {
        /// The group.
        group: GroupName,
        /// The other node.
        with: NodeName,
        /// The epoch of this node's ownership.
        epoch: u64,
    },
    /// This node was stopped, or did not get to run, for longer than the detection time; it finds
    /// out what it still owns before it acts.
    Thawed {
        /// The time since its last heartbeat.
        frozen: Duration,
    },
    /// After [`Event::Thawed`]: this node knows again what it owns.
    Verified {
        /// How long it took to find out.
        took: Duration,
    },
    /// Another node refused what this one asked for.
    RequestRefused {
        /// The node that was asked.
        node: NodeName,
        /// What was asked for.
        request: String,
        /// Why not.
        why: Refusal,
    },
    /// The witness can be asked, or cannot.
    Witness {
        /// Whether it can.
        reachable: bool,
    },
    /// This node has left the cluster; its process may end.
    Left,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined { listened } => {
                write!(
                    f,
                    "This node takes part after listening for {}.",
                    Millis(*listened)
                )
            }
            Self::NodeUp { node } => write!(f, "{node} is up."),
            Self::NodeDown {
                node,
                why,
                silence: Some(silence),
            } => {
                write!(
                    f,
                    "{node} is down: {why} (last heard {} ago).",
                    Millis(*silence)
                )
            }
            Self::NodeDown {
                node,
                why,
                silence: None,
            } => write!(f, "{node} is down: {why}."),
            Self::NodePaused { node } => write!(f, "{node} is paused: it takes no more groups."),
            Self::NodeResumed { node } => write!(f, "{node} is resumed: it takes groups again."),
            Self::Hearing {
                node,
                hears_us: true,
            } => write!(f, "{node} hears this node."),
            Self::Hearing {
                node,
                hears_us: false,
            } => write!(
                f,
                "{node} does not hear this node, though this node hears it: check the paths from \
                 here to there."
            ),
            Self::Path {
                node,
                address,
                up: true,
            } => {
                write!(f, "{node} is heard from {address}.")
            }
            Self::Path {
                node,
                address,
                up: false,
            } => {
                write!(
                    f,
                    "{node} is no longer heard from {address}, only on another path."
                )
            }
            Self::ConfigDiffers { node } => write!(
                f,
                "{node} has another configuration of nodes, groups or timing: make them equal \
                 and reload."
            ),
            Self::NameTaken { from } => write!(
                f,
                "A process at {from} uses this node's name: give every node its own name."
            ),
            other => other.fmt_group(f),
        }
    }
}

impl Event {
    /// The sentences about groups, and about this node's own part.
    fn fmt_group(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GroupMoved {
                group,
                from: Some(from),
                to,
                epoch,
                reason,
            } => {
                write!(
                    f,
                    "{group} moves from {from} to {to} (epoch {epoch}): {reason}."
                )
            }
            Self::GroupMoved {
                group,
                from: None,
                to,
                epoch,
                reason,
            } => {
                write!(f, "{group} goes to {to} (epoch {epoch}): {reason}.")
            }
            Self::GroupOnline { group, epoch, took } => {
                write!(
                    f,
                    "{group} is up here in epoch {epoch}, after {}.",
                    Millis(*took)
                )
            }
            Self::GroupOffline { group, took } => {
                write!(f, "{group} has stopped here, after {}.", Millis(*took))
            }
            Self::GroupFailed {
                group,
                reason,
                failures,
                threshold,
            } => write!(
                f,
                "{group} failed here ({reason}): failure {failures}; {threshold} are answered by \
                 a restart."
            ),
            Self::GroupBarred {
                group,
                why: Some(why),
            } => write!(f, "{group} cannot run here: {why}."),
            Self::GroupBarred { group, why: None } => {
                write!(f, "Nothing keeps {group} from running here any more.")
            }
            Self::GroupGivenUp { group, retry_in } => write!(
                f,
                "{group} failed too often and no node can take it: it is tried again in {} s. \
                 Repair it and move it to start it now.",
                retry_in.as_secs()
            ),
            Self::GroupUnowned { group } => write!(
                f,
                "Nobody owns {group} and no node may take it: resume a node, repair its link, or \
                 move the group by hand."
            ),
            other => other.fmt_rare(f),
        }
    }

    /// The sentences about what should not happen often.
    fn fmt_rare(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MoveAbandoned { group, to } => {
                write!(f, "{group} stays here: {to} can no longer take it.")
            }
            Self::Conflict { group, with, epoch } => {
                write!(
                    f,
                    "{with} runs {group} as well; this node owns it in epoch {epoch}."
                )
            }
            Self::Thawed { frozen } => write!(
                f,
                "This node did not run for {}: it finds out what it still owns.",
                Millis(*frozen)
            ),
            Self::Verified { took } => {
                write!(
                    f,
                    "This node knows again what it owns, after {}.",
                    Millis(*took)
                )
            }
            Self::Witness { reachable: true } => f.write_str("The witness answers."),
            Self::Witness { reachable: false } => f.write_str(
                "The witness cannot be reached: no group changes its owner until it can.",
            ),
            Self::RequestRefused { node, request, why } => {
                write!(f, "{node} refuses to {request}: {why}.")
            }
            _ => write!(f, "This node has left the cluster."),
        }
    }
}
