//! What a member knows, for its host and for people.

use std::time::Instant;

use crate::group::Group;
use crate::heartbeat::Heartbeat;
use crate::member::{Member, Stage};
use crate::names::GroupName;
use crate::output::Farewell;
use crate::peer::PeerState;
use crate::pulse::Lateness;
use crate::status::{NodeState, NodeStatus, Phase, Status};

impl Member {
    /// What another process is to send should this one die: it ends this life for the others at
    /// once, and says nothing about a later one. Nobody may have it who could send it before.
    #[must_use]
    pub fn farewell(&self) -> Farewell {
        let heartbeat = Heartbeat::farewell(self.view.me.clone(), self.fingerprint);
        let peers = self.view.peers.iter();
        Farewell {
            to: peers.flat_map(PeerState::addresses).collect(),
            bytes: heartbeat.seal(&self.config.key),
        }
    }

    /// Whether this node knows at `now` that a group is its own: it has heard the others since it
    /// last stood still, and the group's claim names this life.
    #[must_use]
    pub fn surely_owns(&self, group: &GroupName, now: Instant) -> bool {
        let settled = self.joined && !self.view.unsettled();
        let awake = !matches!(self.pulse.lateness(now), Lateness::Frozen(_));
        let mine = |known: &Group| {
            known.config.name == *group
                && known.settle.is_none()
                && self.view.is_mine(known.claim())
        };
        settled && awake && self.stage != Stage::Gone && self.groups.iter().any(mine)
    }

    /// What this node knows now.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        let phase = self.phase();
        let own = NodeStatus {
            name: self.view.me.node.clone(),
            state: match phase {
                Phase::Joining => NodeState::Joining,
                Phase::Member | Phase::Verifying => NodeState::Up,
                Phase::Leaving => NodeState::Leaving,
                Phase::Left => NodeState::Down,
            },
            paused: self.view.paused,
            last_heartbeat: None,
            hears_us: true,
            paths: Vec::new(),
        };
        let peers = self.view.peers.iter().map(|peer| peer.status(now));
        Status {
            node: self.view.me.node.clone(),
            incarnation: self.view.me.incarnation,
            phase,
            witness: self.view.witness,
            nodes: [own].into_iter().chain(peers).collect(),
            groups: self.groups.iter().map(|group| group.status(now)).collect(),
            sent: self.sent,
            accepted: self.accepted,
            discards: self.discards.clone(),
        }
    }

    fn phase(&self) -> Phase {
        match self.stage {
            Stage::Gone => Phase::Left,
            Stage::Leaving | Stage::Parting { .. } => Phase::Leaving,
            Stage::Active if !self.joined => Phase::Joining,
            Stage::Active if self.view.unsettled() => Phase::Verifying,
            Stage::Active => Phase::Member,
        }
    }
}
