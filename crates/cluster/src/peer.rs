//! What this node knows of another: its life, what it said last, on which paths it is heard.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::claim::Life;
use crate::discard::Discard;
use crate::event::Event;
use crate::heartbeat::{Flags, GroupReport, Heartbeat, PeerReport};
use crate::limits::MAX_RETIRED;
use crate::names::{GroupName, NodeName};
use crate::output::{Outbox, Timer};
use crate::parts::Peer;
use crate::reason::{DownReason, Refusal};
use crate::status::{NodeState, NodeStatus, PathStatus};

/// Whether the peer takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    /// Not heard since this node started, and not given up.
    Unknown,
    Up,
    Down,
}

/// What a heartbeat is worth, found out before anything changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The newest of the life that is known.
    Newer,
    /// The first of another life.
    NewLife,
    /// Heard before, but not on this path: says something about the path only.
    Copy,
    /// The process of the life that is known has ended.
    Farewell,
}

/// Where and when a heartbeat arrived.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) from: SocketAddr,
    pub(crate) to: IpAddr,
    pub(crate) at: Instant,
    pub(crate) detection: Duration,
}

struct Path {
    address: SocketAddr,
    local: Option<IpAddr>,
    heard: Option<Instant>,
    /// The highest sequence number heard on it, of the peer's present life.
    sequence: u64,
    up: bool,
}

/// Another node.
pub(crate) struct PeerState {
    pub(crate) name: NodeName,
    presence: Presence,
    paths: Vec<Path>,
    /// 0: no life is known yet.
    incarnation: u64,
    sequence: u64,
    /// Earlier lives, refused for ever.
    retired: VecDeque<u64>,
    /// Until when heartbeats of the present life are refused, for it was reported dead; unless
    /// they prove the contrary.
    dead_until: Option<Instant>,
    /// This node's sequence number when the peer was last found down: who acknowledges a later
    /// one was alive after that.
    sequence_at_death: u64,
    heard: Option<Instant>,
    alive_until: Instant,
    up_since: Instant,
    flags: Flags,
    differs: bool,
    /// Since when it says that it does not hear this node.
    deaf_since: Option<Instant>,
    deaf_told: bool,
    /// The highest sequence number of this node's present life that it acknowledged, in any life.
    acknowledged: u64,
    groups: Vec<GroupReport>,
    /// Its latest request that was carried out or refused.
    pub(crate) request_done: u64,
    pub(crate) verdict: Option<Refusal>,
    /// Its latest answer to this node's requests.
    pub(crate) answer: (u64, Option<Refusal>),
}

impl PeerState {
    pub(crate) fn new(config: &Peer, now: Instant) -> Self {
        let mut peer = Self {
            name: config.name.clone(),
            presence: Presence::Unknown,
            paths: Vec::new(),
            incarnation: 0,
            sequence: 0,
            retired: VecDeque::new(),
            dead_until: None,
            sequence_at_death: 0,
            heard: None,
            alive_until: now,
            up_since: now,
            flags: Flags::default(),
            differs: false,
            deaf_since: None,
            deaf_told: false,
            acknowledged: 0,
            groups: Vec::new(),
            request_done: 0,
            verdict: None,
            answer: (0, None),
        };
        peer.set_paths(&config.addresses);
        peer
    }

    /// Takes the paths of a new configuration; what is known of those that stay is kept.
    pub(crate) fn set_paths(&mut self, addresses: &[SocketAddr]) {
        let mut old = std::mem::take(&mut self.paths);
        for address in addresses {
            let path = match old.iter().position(|path| path.address == *address) {
                Some(position) => old.swap_remove(position),
                None => Path {
                    address: *address,
                    local: None,
                    heard: None,
                    sequence: 0,
                    up: false,
                },
            };
            self.paths.push(path);
        }
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.paths.iter().map(|path| path.address)
    }

    pub(crate) fn up(&self) -> bool {
        self.presence == Presence::Up
    }

    pub(crate) fn up_since(&self) -> Instant {
        self.up_since
    }

    pub(crate) fn life(&self) -> Life {
        Life {
            node: self.name.clone(),
            incarnation: self.incarnation,
        }
    }

    pub(crate) fn flags(&self) -> Flags {
        self.flags
    }

    /// Whether it said, with its last heartbeat, that it hears this node.
    pub(crate) fn hears_us(&self) -> bool {
        self.up() && self.deaf_since.is_none()
    }

    /// For how long it has been heard without hearing this node.
    pub(crate) fn deaf_for(&self, now: Instant) -> Option<Duration> {
        let since = self.deaf_since.filter(|_| self.up())?;
        Some(now.saturating_duration_since(since))
    }

    /// Whether it acknowledged this node's heartbeat `sequence`: what it says is later than that.
    pub(crate) fn acknowledged(&self, sequence: u64) -> bool {
        self.acknowledged >= sequence
    }

    /// Whether its answer may still come: it is heard, or was not given up yet.
    pub(crate) fn may_answer(&self) -> bool {
        self.presence != Presence::Down
    }

    /// What it said last about a group.
    pub(crate) fn report(&self, group: &GroupName) -> Option<&GroupReport> {
        self.groups.iter().find(|report| report.group == *group)
    }

    pub(crate) fn reports(&self) -> &[GroupReport] {
        &self.groups
    }

    /// What this node's heartbeats say about it.
    pub(crate) fn own_report(&self, now: Instant, detection: Duration) -> PeerReport {
        let heard = self
            .heard
            .is_some_and(|heard| now.saturating_duration_since(heard) < detection);
        PeerReport {
            node: self.name.clone(),
            incarnation: if heard { self.incarnation } else { 0 },
            sequence: if heard { self.sequence } else { 0 },
            answered: self.request_done,
            verdict: self.verdict,
        }
    }

    /// Finds out what an authenticated heartbeat of this peer is worth; nothing changes.
    ///
    /// # Errors
    /// The reason to discard it.
    pub(crate) fn check(
        &self,
        heartbeat: &Heartbeat,
        me: &Life,
        from: SocketAddr,
        now: Instant,
    ) -> Result<Proof, Discard> {
        let incarnation = heartbeat.sender.incarnation;
        if incarnation == 0 || self.retired.contains(&incarnation) {
            return Err(Discard::OldIncarnation);
        }
        if heartbeat.flags.died {
            // It is of one life only: of another one it proves nothing, not even that it began.
            let known = incarnation == self.incarnation;
            return known
                .then_some(Proof::Farewell)
                .ok_or(Discard::OldIncarnation);
        }
        // Who acknowledges what was sent after its death, is alive.
        let lives = self.presence == Presence::Down
            && reported(heartbeat, me).is_some_and(|sequence| sequence > self.sequence_at_death);
        if incarnation == self.incarnation {
            if self.dead_until.is_some_and(|until| now < until) && !lives {
                return Err(Discard::DeclaredDead);
            }
            if heartbeat.sequence > self.sequence {
                return Ok(Proof::Newer);
            }
            let path = self
                .paths
                .iter()
                .find(|path| path.address.ip() == from.ip());
            let news = path.is_some_and(|path| heartbeat.sequence > path.sequence);
            return if news {
                Ok(Proof::Copy)
            } else {
                Err(Discard::Stale)
            };
        }
        // A clock that was set back gives a new process a smaller incarnation.
        if incarnation > self.incarnation || lives {
            Ok(Proof::NewLife)
        } else {
            Err(Discard::OldIncarnation)
        }
    }

    /// Notes that a path is alive.
    pub(crate) fn hear_path(&mut self, sequence: u64, arrival: Arrival, out: &mut Outbox) {
        let node = &self.name;
        let alone = self.paths.len() == 1;
        let found = self
            .paths
            .iter_mut()
            .find(|path| path.address.ip() == arrival.from.ip());
        let Some(path) = found else { return };
        path.heard = Some(arrival.at);
        path.local = Some(arrival.to);
        path.sequence = path.sequence.max(sequence);
        if !std::mem::replace(&mut path.up, true) && !alone {
            out.event(Event::Path {
                node: node.clone(),
                address: path.address,
                up: true,
            });
        }
    }

    /// Takes in a heartbeat that [`check`](Self::check) found to be newer, or of a new life.
    pub(crate) fn hear(
        &mut self,
        heartbeat: Heartbeat,
        proof: Proof,
        me: &Life,
        arrival: Arrival,
        out: &mut Outbox,
    ) {
        if proof == Proof::NewLife {
            self.begin_life(heartbeat.sender.incarnation, arrival.at, out);
        }
        self.sequence = heartbeat.sequence;
        self.heard = Some(arrival.at);
        self.alive_until = arrival.at + arrival.detection;
        self.dead_until = None;
        if heartbeat.flags.left {
            self.flags = heartbeat.flags;
            self.fall(DownReason::Left, arrival.at, out);
        } else {
            self.rise(arrival.at, out);
            self.take_flags(heartbeat.flags, out);
        }
        self.hear_path(heartbeat.sequence, arrival, out);
        self.take_acknowledgement(&heartbeat, me, arrival, out);
        self.groups = heartbeat.groups;
    }

    fn begin_life(&mut self, incarnation: u64, now: Instant, out: &mut Outbox) {
        if self.incarnation != 0 {
            self.fall(DownReason::Restarted, now, out);
            self.retire();
        }
        self.incarnation = incarnation;
        self.flags = Flags::default();
        self.differs = false;
        self.deaf_since = None;
        self.deaf_told = false;
        self.request_done = 0;
        self.verdict = None;
        for path in &mut self.paths {
            path.sequence = 0;
        }
    }

    /// What is still on the way from the life that is known is refused for ever.
    fn retire(&mut self) {
        if !self.retired.contains(&self.incarnation) {
            self.retired.push_back(self.incarnation);
        }
        if self.retired.len() > MAX_RETIRED {
            self.retired.pop_front();
        }
    }

    fn rise(&mut self, now: Instant, out: &mut Outbox) {
        if !self.up() {
            self.presence = Presence::Up;
            self.up_since = now;
            self.deaf_since = None;
            out.event(Event::NodeUp {
                node: self.name.clone(),
            });
        }
    }

    fn take_flags(&mut self, flags: Flags, out: &mut Outbox) {
        let before = std::mem::replace(&mut self.flags, flags);
        let node = self.name.clone();
        match (before.paused, flags.paused) {
            (false, true) => out.event(Event::NodePaused { node }),
            (true, false) => out.event(Event::NodeResumed { node }),
            _ => {}
        }
    }

    fn take_acknowledgement(
        &mut self,
        heartbeat: &Heartbeat,
        me: &Life,
        arrival: Arrival,
        out: &mut Outbox,
    ) {
        if let Some(report) = heartbeat.peers.iter().find(|report| report.node == me.node) {
            self.answer = (report.answered, report.verdict);
        }
        match reported(heartbeat, me) {
            Some(sequence) => {
                self.acknowledged = self.acknowledged.max(sequence);
                self.deaf_since = None;
                if std::mem::take(&mut self.deaf_told) {
                    out.event(Event::Hearing {
                        node: self.name.clone(),
                        hears_us: true,
                    });
                }
            }
            None => {
                let since = *self.deaf_since.get_or_insert(arrival.at);
                let long = arrival.at.saturating_duration_since(since) >= arrival.detection;
                if long && !std::mem::replace(&mut self.deaf_told, true) {
                    out.event(Event::Hearing {
                        node: self.name.clone(),
                        hears_us: false,
                    });
                }
            }
        }
    }

    /// Notes whether its configuration is the same as this node's.
    pub(crate) fn compare(&mut self, same: bool, out: &mut Outbox) {
        let differed = std::mem::replace(&mut self.differs, !same);
        if self.differs && !differed {
            out.event(Event::ConfigDiffers {
                node: self.name.clone(),
            });
        }
    }

    fn fall(&mut self, why: DownReason, now: Instant, out: &mut Outbox) {
        if self.presence == Presence::Down {
            return;
        }
        self.presence = Presence::Down;
        for path in &mut self.paths {
            path.up = false;
        }
        let silence = self.heard.map(|heard| now.saturating_duration_since(heard));
        out.event(Event::NodeDown {
            node: self.name.clone(),
            why,
            silence,
        });
        out.news = true;
    }

    /// Lets go of the peer, or of one of its paths, if it has been silent for too long.
    /// `sequence` is this node's latest.
    pub(crate) fn expire(
        &mut self,
        now: Instant,
        detection: Duration,
        sequence: u64,
        out: &mut Outbox,
    ) {
        if !self.up() {
            return;
        }
        if now >= self.alive_until {
            self.sequence_at_death = sequence;
            self.fall(DownReason::Silence, now, out);
            return;
        }
        for path in &mut self.paths {
            if path.up && path_deadline(path, detection).is_some_and(|until| now >= until) {
                path.up = false;
                let node = self.name.clone();
                out.event(Event::Path {
                    node,
                    address: path.address,
                    up: false,
                });
            }
        }
    }

    /// Gives up a peer that was never heard.
    pub(crate) fn give_up(&mut self, now: Instant, out: &mut Outbox) {
        if self.presence == Presence::Unknown {
            self.fall(DownReason::NeverHeard, now, out);
        }
    }

    /// Its process was seen to die: what is still on the way from it is refused.
    pub(crate) fn declare_dead(
        &mut self,
        now: Instant,
        detection: Duration,
        sequence: u64,
        out: &mut Outbox,
    ) {
        self.dead_until = Some(now + detection);
        self.sequence_at_death = sequence;
        self.fall(DownReason::ProcessDied, now, out);
    }

    /// Its process has ended, by the word of who saw it: that life is over.
    pub(crate) fn end(&mut self, now: Instant, sequence: u64, out: &mut Outbox) {
        self.retire();
        self.sequence_at_death = sequence;
        self.fall(DownReason::ProcessDied, now, out);
    }

    /// Gives the peer until `until` to be heard, for it was this node that did not run. However
    /// often this is asked for, no silence is longer than `latest` after the last heartbeat,
    /// where that is given.
    pub(crate) fn spare(&mut self, until: Instant, latest: Option<Duration>) {
        let bound = latest.zip(self.heard).map(|(latest, heard)| heard + latest);
        let until = bound.map_or(until, |bound| until.min(bound));
        self.alive_until = self.alive_until.max(until);
        for path in &mut self.paths {
            path.heard = path.heard.max(path.up.then_some(until));
        }
    }

    pub(crate) fn deadlines(
        &self,
        detection: Duration,
    ) -> impl Iterator<Item = (Instant, Timer)> + '_ {
        let silence = self.up().then_some((self.alive_until, Timer::PeerSilence));
        let paths = self.paths.iter().filter(|path| path.up && self.up());
        let paths = paths.filter_map(move |path| path_deadline(path, detection));
        silence
            .into_iter()
            .chain(paths.map(|until| (until, Timer::PathSilence)))
    }

    pub(crate) fn status(&self, now: Instant) -> NodeStatus {
        let age = |heard: Instant| now.saturating_duration_since(heard);
        NodeStatus {
            name: self.name.clone(),
            state: match self.presence {
                Presence::Unknown => NodeState::Unknown,
                Presence::Down => NodeState::Down,
                Presence::Up if self.flags.leaving => NodeState::Leaving,
                Presence::Up if self.flags.joining => NodeState::Joining,
                Presence::Up => NodeState::Up,
            },
            paused: self.flags.paused,
            last_heartbeat: self.heard.map(age),
            hears_us: self.hears_us(),
            paths: self
                .paths
                .iter()
                .map(|path| PathStatus {
                    address: path.address,
                    local: path.local,
                    last_heartbeat: path.heard.map(age),
                    up: path.up,
                })
                .collect(),
        }
    }
}

/// Takes the peers of a new configuration; what is known of those that stay is kept.
pub(crate) fn renew(peers: &mut Vec<PeerState>, wanted: &[Peer], now: Instant) {
    let mut old = std::mem::take(peers);
    for config in wanted {
        let known = old.iter().position(|known| known.name == config.name);
        peers.push(match known.map(|position| old.remove(position)) {
            Some(mut known) => {
                known.set_paths(&config.addresses);
                known
            }
            None => PeerState::new(config, now),
        });
    }
}

/// One path may be worse than the other: it gets twice the time before it is called silent.
fn path_deadline(path: &Path, detection: Duration) -> Option<Instant> {
    path.heard.map(|heard| heard + detection * 2)
}

/// This node's sequence number that the sender acknowledges, if it hears this node's present life.
fn reported(heartbeat: &Heartbeat, me: &Life) -> Option<u64> {
    let report = heartbeat
        .peers
        .iter()
        .find(|report| report.node == me.node)?;
    (report.incarnation == me.incarnation && report.sequence > 0).then_some(report.sequence)
}
