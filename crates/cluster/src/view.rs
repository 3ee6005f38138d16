//! What a group needs to know of the cluster in order to decide: one look at one moment.

use std::time::{Duration, Instant};

use crate::claim::{Claim, Life};
use crate::names::NodeName;
use crate::parts::GroupConfig;
use crate::peer::PeerState;
use crate::reason::Refusal;
use crate::settle::Settle;
use crate::status::Ability;

/// The cluster as this node sees it now.
pub(crate) struct View {
    /// The latest time that was handled.
    pub(crate) now: Instant,
    pub(crate) me: Life,
    pub(crate) detection: Duration,
    /// How long a group nobody claims waits for the node that should.
    pub(crate) patience: Duration,
    /// Whether the witness can be asked; `None` where there is none.
    pub(crate) witness: Option<bool>,
    pub(crate) paused: bool,
    pub(crate) leaving: bool,
    /// While this node finds out what it owns, it lets go, but takes, gives and starts nothing.
    pub(crate) settle: Option<Settle>,
    /// The latest heartbeat that this node has sent.
    pub(crate) sequence: u64,
    pub(crate) peers: Vec<PeerState>,
}

impl View {
    pub(crate) fn unsettled(&self) -> bool {
        self.settle.is_some()
    }

    pub(crate) fn peer(&self, node: &NodeName) -> Option<&PeerState> {
        self.peers.iter().find(|peer| peer.name == *node)
    }

    /// Whether a life has ended, for its node lives another.
    pub(crate) fn is_over(&self, life: &Life) -> bool {
        let other = |peer: &PeerState| peer.up() && peer.life() != *life;
        match life.node == self.me.node {
            true => *life != self.me,
            false => self.peer(&life.node).is_some_and(other),
        }
    }

    pub(crate) fn is_mine(&self, claim: &Claim) -> bool {
        claim.owner.as_ref() == Some(&self.me)
    }

    /// Whether the claim's owner is alive, in the very life that the claim names, knows the group,
    /// and does not deny that it is the owner: where two nodes were given different preferences,
    /// each may have yielded to the other.
    pub(crate) fn is_owned(&self, claim: &Claim, group: &GroupConfig) -> bool {
        let Some(owner) = &claim.owner else {
            return false;
        };
        let agrees = |peer: &PeerState| {
            let report = peer.report(&group.name).map(|report| &report.claim);
            let same = |said: &Claim| said.epoch != claim.epoch || said.owner == claim.owner;
            peer.up() && peer.life() == *owner && report.is_some_and(same)
        };
        *owner == self.me || self.peer(&owner.node).is_some_and(agrees)
    }

    /// Whether this node may take a group without being asked to by hand.
    pub(crate) fn may_take(&self, able: bool) -> bool {
        able && !self.paused && !self.leaving
    }

    /// Whether a peer would take the group without being asked to by hand. Where nobody has owned
    /// the group yet, a node that is only joining counts, or has not reached the witness so far: it
    /// will claim what it is preferred for.
    fn would_take(&self, peer: &PeerState, claim: &Claim, group: &GroupConfig) -> bool {
        let flags = peer.flags();
        let ready = !(flags.joining || flags.blind) || claim.epoch == 0;
        let able = peer
            .report(&group.name)
            .is_some_and(|report| report.ability == Ability::Able);
        peer.up() && able && ready && !flags.paused && !flags.leaving
    }

    /// The node that should take a group that nobody owns: the most preferred that can, of those
    /// that may.
    pub(crate) fn heir(
        &self,
        claim: &Claim,
        group: &GroupConfig,
        able: bool,
        may: impl Fn(&Life) -> bool,
    ) -> Option<Life> {
        let peers = self.peers.iter();
        let peers = peers
            .filter(|peer| self.would_take(peer, claim, group))
            .map(PeerState::life);
        let me = self.may_take(able).then(|| self.me.clone());
        peers
            .chain(me)
            .filter(may)
            .min_by_key(|life| (group.rank(&life.node), life.node.clone()))
    }

    /// When a group has been without an owner for so long that this node takes it although
    /// another should: they may not agree on who that is. One after the other, by name, so that
    /// not two of them try at once.
    pub(crate) fn end_of_patience(&self, since: Instant) -> Instant {
        let before = self
            .peers
            .iter()
            .filter(|peer| peer.up() && peer.name < self.me.node);
        let turn = 1 + before.count() as u32;
        since + self.patience * turn
    }

    /// As [`heir`](Self::heir), for the owner: another node that can receive the group now.
    pub(crate) fn receiver(&self, claim: &Claim, group: &GroupConfig) -> Option<Life> {
        let peers = self
            .peers
            .iter()
            .filter(|peer| peer.hears_us() && !peer.flags().joining)
            .filter(|_| self.witness != Some(false));
        let peers = peers.filter(|peer| self.would_take(peer, claim, group));
        peers
            .map(PeerState::life)
            .min_by_key(|life| (group.rank(&life.node), life.node.clone()))
    }

    /// Whether the group can be given to a node that somebody named.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn target(&self, to: &NodeName, group: &GroupConfig) -> Result<Life, Refusal> {
        let peer = self.peer(to).ok_or(Refusal::UnknownNode)?;
        if self.witness == Some(false) {
            Err(Refusal::NoWitness)
        } else if !peer.hears_us() {
            Err(Refusal::TargetDown)
        } else if peer.flags().leaving {
            Err(Refusal::TargetLeaving)
        } else if peer.flags().paused {
            Err(Refusal::TargetPaused)
        } else if peer.flags().blind {
            Err(Refusal::NoWitness)
        } else if peer.flags().joining {
            Err(Refusal::Unsettled)
        } else {
            match peer.report(&group.name).map(|report| report.ability) {
                None => Err(Refusal::TargetLacksGroup),
                Some(Ability::Barred) => Err(Refusal::TargetBarred),
                Some(Ability::Able | Ability::Failed) => Ok(peer.life()),
            }
        }
    }

    /// A peer that runs the group under its own claim and has not heard this node for the
    /// detection time: of the two, only this node can know, so only it can give way.
    pub(crate) fn deaf_rival(&self, group: &GroupConfig) -> Option<Life> {
        let rival = self.peers.iter().find(|peer| {
            let runs = peer.report(&group.name).is_some_and(|report| {
                report.state.holds() && report.claim.owner.as_ref() == Some(&peer.life())
            });
            runs && peer
                .deaf_for(self.now)
                .is_some_and(|time| time >= self.detection)
        });
        rival.map(PeerState::life)
    }

    /// A peer that may hold the group's addresses.
    pub(crate) fn rival(&self, group: &GroupConfig) -> Option<&NodeName> {
        let holds = |peer: &&PeerState| {
            peer.up()
                && peer
                    .report(&group.name)
                    .is_some_and(|report| report.state.holds())
        };
        self.peers.iter().find(holds).map(|peer| &peer.name)
    }
}
