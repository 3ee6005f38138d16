//! Why a group moves, starts and stops: one word each, the same in outputs, events and heartbeats.

use std::fmt;
use std::time::Duration;

use crate::names::NodeName;

/// Why a group got another owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveReason {
    /// Nobody had owned it yet.
    FirstStart,
    /// Somebody asked for it.
    Planned,
    /// Its owner shuts down.
    Shutdown,
    /// It returns to a more preferred node.
    Failback,
    /// It failed too often where it was, or something there is in the way.
    Failure,
    /// Its owner is gone.
    NodeDown,
    /// Two nodes owned it, and the one that noticed gave way.
    Conflict,
}

impl MoveReason {
    const ALL: [Self; 7] = [
        Self::FirstStart,
        Self::Planned,
        Self::Shutdown,
        Self::Failback,
        Self::Failure,
        Self::NodeDown,
        Self::Conflict,
    ];

    /// The reason's number in a heartbeat.
    pub(crate) fn number(self) -> u8 {
        let position = Self::ALL.iter().position(|reason| *reason == self);
        position.map_or(u8::MAX, |position| position as u8)
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for MoveReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::FirstStart => "nobody owned it yet",
            Self::Planned => "it was asked for",
            Self::Shutdown => "its owner shuts down",
            Self::Failback => "it returns to a preferred node",
            Self::Failure => "it cannot run where it was",
            Self::NodeDown => "its owner is gone",
            Self::Conflict => "two nodes owned it",
        })
    }
}

/// Why a group is to be started here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartReason {
    /// This node became its owner.
    Took(MoveReason),
    /// It failed here, or a move of it could not be carried out, and it is started again.
    Restart,
    /// It runs here already, but another node ran it too (or the epoch grew): bring up what is
    /// not up, and **announce the addresses again**, for the neighbours may know the other node.
    Reassert,
}

impl fmt::Display for StartReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Took(reason) => reason.fmt(f),
            Self::Restart => f.pad("it is started again"),
            Self::Reassert => f.pad("another node ran it too, and its addresses are announced"),
        }
    }
}

/// Why a group is to be stopped here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// It goes to another node in good order. This node is its owner until it has answered
    /// [`GroupStopped`](crate::Command::GroupStopped), so it may still speak for its addresses.
    Move {
        /// The node that gets it.
        to: NodeName,
        /// Why.
        reason: MoveReason,
    },
    /// This node shuts down, and no other can take the group. Still its owner, as above.
    Shutdown,
    /// It has left the configuration. Still its owner, as above.
    Removed,
    /// It failed and will be started again here. Still its owner, as above.
    Restart,
    /// It failed too often, and no other node can take it. Still its owner, as above.
    Failed,
    /// **Another node owns it already**: let go of it at once, and say nothing in its name.
    Lost {
        /// The owner, where it is known.
        to: Option<NodeName>,
        /// The epoch of the new ownership.
        epoch: u64,
    },
}

impl StopReason {
    /// Whether this node may still speak for the group's addresses while it stops (send Deletes
    /// to the peers of its SAs, for example). A node that has lost a group must not.
    #[must_use]
    pub fn still_owner(&self) -> bool {
        !matches!(self, Self::Lost { .. })
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Move { to, reason } => write!(f, "it moves to {to}: {reason}"),
            Self::Shutdown => f.pad("this node shuts down and no other can take it"),
            Self::Removed => f.pad("it has left the configuration"),
            Self::Restart => f.pad("it failed and is started again"),
            Self::Failed => f.pad("it failed too often and no other node can take it"),
            Self::Lost {
                to: Some(to),
                epoch,
            } => write!(f, "{to} owns it since epoch {epoch}"),
            Self::Lost { to: None, epoch } => write!(f, "it was given up in epoch {epoch}"),
        }
    }
}

/// Why a node counts as down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownReason {
    /// It was heard, and then on no path for the detection time.
    Silence,
    /// It was never heard since this node started.
    NeverHeard,
    /// It came back as a new process: the earlier one is gone.
    Restarted,
    /// Its process was seen to die.
    ProcessDied,
    /// It left in good order.
    Left,
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Silence => "it is silent on every path",
            Self::NeverHeard => "it was never heard",
            Self::Restarted => "it was restarted",
            Self::ProcessDied => "its process died",
            Self::Left => "it left",
        })
    }
}

/// Why a member does not do what it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It does not know the group.
    UnknownGroup,
    /// It does not know the node.
    UnknownNode,
    /// It does not own the group (any more).
    NotOwner,
    /// Nobody owns the group.
    Unowned,
    /// The group is there already.
    AlreadyThere,
    /// The group is on its way already.
    Moving,
    /// The target is down, or does not hear the group's owner.
    TargetDown,
    /// The target is paused.
    TargetPaused,
    /// The target shuts down.
    TargetLeaving,
    /// The target does not know the group.
    TargetLacksGroup,
    /// The node that is asked shuts down or is gone.
    Leaving,
    /// The node that is asked is not sure of what it owns: it joins, or was stopped for a while.
    Unsettled,
    /// The witness cannot be reached, so that nothing can be written down.
    NoWitness,
    /// Something on the target's host keeps the group from running there.
    TargetBarred,
}

impl Refusal {
    const ALL: [Self; 14] = [
        Self::UnknownGroup,
        Self::UnknownNode,
        Self::NotOwner,
        Self::Unowned,
        Self::AlreadyThere,
        Self::Moving,
        Self::TargetDown,
        Self::TargetPaused,
        Self::TargetLeaving,
        Self::TargetLacksGroup,
        Self::Leaving,
        Self::Unsettled,
        Self::NoWitness,
        Self::TargetBarred,
    ];

    /// The refusal's number in a heartbeat; 0 is consent.
    pub(crate) fn number(self) -> u8 {
        let position = Self::ALL.iter().position(|refusal| *refusal == self);
        position.map_or(u8::MAX, |position| position as u8 + 1)
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::UnknownGroup => "it does not know the group",
            Self::UnknownNode => "it does not know the node",
            Self::NotOwner => "it does not own the group",
            Self::Unowned => "nobody owns the group",
            Self::AlreadyThere => "the group is there already",
            Self::Moving => "the group is being moved or restarted already",
            Self::TargetDown => "the target is down or does not hear the owner",
            Self::TargetPaused => "the target is paused",
            Self::TargetLeaving => "the target shuts down",
            Self::TargetLacksGroup => "the target does not have the group in its configuration",
            Self::Leaving => "it shuts down or is gone",
            Self::TargetBarred => {
                "the target's link is down, or something else there is in the way"
            }
            Self::Unsettled => "it is still finding out what it owns; try again in a second",
            Self::NoWitness => "the witness cannot be reached, and nothing moves without it",
        })
    }
}

/// A span of time as people read it: whole milliseconds.
pub(crate) struct Millis(pub(crate) Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0.as_millis())
    }
}
