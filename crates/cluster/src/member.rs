//! The member: heartbeats, commands and time in; an ordered stream of effects out.

mod status;

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::claim::Life;
use crate::command::{ApiMisuse, Command};
use crate::config::{Config, ConfigError};
use crate::discard::{Discard, Discards};
use crate::event::Event;
use crate::group::{self, Group};
use crate::heartbeat::{Flags, Heartbeat, Order, Request};
use crate::limits::{MAX_GROUPS, MAX_HEARTBEAT};
use crate::names::{GroupName, NodeName};
use crate::output::{Outbox, Output, Timer};
use crate::peer::{self, Arrival, PeerState, Proof};
use crate::pulse::{Lateness, Pulse};
use crate::reason::Refusal;
use crate::requests::Requests;
use crate::settle::Settle;
use crate::view::View;

/// One node's part in the cluster, without sockets, clock or threads.
///
/// Give it every datagram of the heartbeat socket, every [`Command`], and a call of
/// [`handle_timeout`](Self::handle_timeout) when the time of the last [`Output::Wait`] has come;
/// after each of these take [`poll_output`](Self::poll_output) until it answers `Wait`. A driver
/// that is late reads its socket before it calls `handle_timeout`. `now` never runs backwards; it
/// should go on while the machine sleeps.
pub struct Member {
    config: Config,
    /// Of the configuration, computed once.
    fingerprint: u64,
    pulse: Pulse,
    stage: Stage,
    joined: bool,
    view: View,
    groups: Vec<Group>,
    requests: Requests,
    /// The peer that wants an answer now.
    reply: Option<NodeName>,
    /// The latest other incarnation that was seen under this node's name.
    namesake: u64,
    sent: u64,
    accepted: u64,
    discards: Discards,
    out: Outbox,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Active,
    /// Handing over what it owns.
    Leaving,
    /// Saying that it has left: for so many more heartbeats, or until all have acknowledged the
    /// first of them.
    Parting {
        beats: u32,
        sequence: u64,
    },
    Gone,
}

impl Member {
    /// Starts this node's part. `incarnation` grows with every start of the process: the wall
    /// clock in nanoseconds will do (a clock set back delays the node's acceptance by the
    /// detection time).
    ///
    /// # Errors
    /// [`ConfigError`] when the configuration is wrong.
    pub fn new(config: Config, now: Instant, incarnation: u64) -> Result<Self, ConfigError> {
        config.validate()?;
        let until = now + config.join_time();
        let view = View {
            now,
            me: Life {
                node: config.node.clone(),
                incarnation: incarnation.max(1),
            },
            detection: config.detection(),
            patience: config.join_time(),
            witness: config.witness.then_some(false),
            paused: false,
            leaving: false,
            settle: Some(Settle {
                since: now,
                until,
                sequence: 1,
            }),
            sequence: 0,
            peers: config
                .peers
                .iter()
                .map(|peer| PeerState::new(peer, now))
                .collect(),
        };
        let groups = config
            .groups
            .iter()
            .map(|group| Group::new(group.clone(), now, None));
        let mut member = Self {
            fingerprint: config.fingerprint(),
            pulse: Pulse::new(config.heartbeat, config.detection(), now),
            stage: Stage::Active,
            joined: false,
            view,
            groups: groups.collect(),
            requests: Requests::default(),
            reply: None,
            namesake: 0,
            sent: 0,
            accepted: 0,
            discards: Discards::default(),
            out: Outbox::default(),
            config,
        };
        member.conclude(now);
        Ok(member)
    }

    /// Takes a datagram that came from `from` to the local address `to`. One that is no fresh
    /// heartbeat of a known node changes nothing but a counter.
    pub fn handle_datagram(&mut self, from: SocketAddr, to: IpAddr, bytes: &[u8], now: Instant) {
        if self.stage == Stage::Gone {
            return;
        }
        self.observe(now);
        match self.check(from, bytes, now) {
            Ok((heartbeat, at, proof)) => {
                let arrival = Arrival {
                    from,
                    to,
                    at: now,
                    detection: self.pulse.detection,
                };
                self.advance(heartbeat, at, proof, arrival);
            }
            Err((why, namesake)) => {
                self.discards.count(why);
                if namesake > self.namesake.max(self.view.me.incarnation) {
                    self.namesake = namesake;
                    self.out.event(Event::NameTaken { from });
                }
            }
        }
        self.conclude(now);
    }

    /// Takes a command.
    ///
    /// # Errors
    /// [`ApiMisuse`] when it cannot be carried out; then nothing has changed.
    pub fn handle_command(&mut self, command: Command, now: Instant) -> Result<(), ApiMisuse> {
        if self.stage == Stage::Gone {
            return Err(ApiMisuse::Leaving);
        }
        self.observe(now);
        let done = self.carry_out(command, now);
        self.conclude(now);
        done
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.stage == Stage::Gone {
            return;
        }
        self.observe(now);
        for peer in &mut self.view.peers {
            peer.expire(
                now,
                self.pulse.detection,
                self.pulse.sequence,
                &mut self.out,
            );
        }
        self.conclude(now);
    }

    /// The next effect; [`Output::Wait`] when there is none.
    pub fn poll_output(&mut self) -> Output {
        self.out
            .pop()
            .unwrap_or_else(|| Output::Wait(self.next_deadline()))
    }

    /// Looks at the time before anything else happens: what this node's own lateness means for
    /// what it believes of itself and of the others.
    fn observe(&mut self, now: Instant) {
        match self.pulse.lateness(now) {
            Lateness::Frozen(frozen) => {
                self.out.event(Event::Thawed { frozen });
                self.out.news = true;
                let settle = self.view.settle;
                let (since, until) = settle.map_or((now, now), |old| (old.since, old.until));
                let spared = now + self.pulse.detection;
                let sequence = self.pulse.sequence + 1;
                self.view.settle = Some(Settle {
                    since,
                    until: until.max(spared),
                    sequence,
                });
                // The silence was this node's own.
                self.view
                    .peers
                    .iter_mut()
                    .for_each(|peer| peer.spare(spared, None));
            }
            Lateness::Late => {
                let (spared, latest) = (now + self.pulse.interval, self.pulse.detection * 2);
                self.view
                    .peers
                    .iter_mut()
                    .for_each(|peer| peer.spare(spared, Some(latest)));
            }
            Lateness::None => {}
        }
        self.view.now = self.view.now.max(now);
        self.view.sequence = self.pulse.sequence;
    }

    /// Finds out what a datagram is worth; nothing changes. The heartbeat and its sender, or why
    /// it is refused and the incarnation of another process under this node's name (0: none).
    fn check(
        &self,
        from: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(Heartbeat, usize, Proof), (Discard, u64)> {
        let keys = [&self.config.key]
            .into_iter()
            .chain(&self.config.also_accept);
        let heartbeat = Heartbeat::open(bytes, keys).map_err(|why| (why, 0))?;
        let sender = &heartbeat.sender;
        if sender.node == self.view.me.node {
            return Err((Discard::OwnName, sender.incarnation));
        }
        let at = self
            .view
            .peers
            .iter()
            .position(|peer| peer.name == sender.node);
        let at = at.ok_or((Discard::UnknownSender, 0))?;
        let peer = self.view.peers.get(at).ok_or((Discard::UnknownSender, 0))?;
        let proof = peer
            .check(&heartbeat, &self.view.me, from, now)
            .map_err(|why| (why, 0))?;
        Ok((heartbeat, at, proof))
    }

    fn advance(&mut self, heartbeat: Heartbeat, at: usize, proof: Proof, arrival: Arrival) {
        let Some(peer) = self.view.peers.get_mut(at) else {
            return;
        };
        if proof == Proof::Copy {
            self.discards.count(Discard::Copy);
            peer.hear_path(heartbeat.sequence, arrival, &mut self.out);
            return;
        }
        self.accepted += 1;
        if proof == Proof::Farewell {
            return peer.end(arrival.at, self.pulse.sequence, &mut self.out);
        }
        if heartbeat.flags.ask {
            self.reply = Some(peer.name.clone());
        }
        let request = heartbeat.request.clone();
        peer.compare(heartbeat.fingerprint == self.fingerprint, &mut self.out);
        peer.hear(heartbeat, proof, &self.view.me, arrival, &mut self.out);
        self.hear_groups(at);
        if let Some(request) = request.filter(|request| request.to == self.view.me.node) {
            self.serve(at, &request);
        }
    }

    fn hear_groups(&mut self, at: usize) {
        let Some(peer) = self.view.peers.get(at) else {
            return;
        };
        for report in peer.reports() {
            let named = |group: &&mut Group| group.config.name == report.group;
            let Some(group) = self.groups.iter_mut().find(named) else {
                continue;
            };
            if group.hear(report, &self.view, &mut self.out) {
                self.reply = Some(peer.name.clone());
            }
        }
    }

    /// Carries out a peer's request, once; the answer goes out with the next heartbeats.
    fn serve(&mut self, at: usize, request: &Request) {
        if self
            .view
            .peers
            .get(at)
            .is_none_or(|peer| request.id <= peer.request_done)
        {
            return;
        }
        let verdict = match &request.order {
            _ if self.view.leaving => Err(Refusal::Leaving),
            Order::Move { group, to } => self.move_group(group, to),
            Order::Pause => {
                self.set_paused(true);
                Ok(())
            }
            Order::Resume => {
                self.set_paused(false);
                Ok(())
            }
        };
        if let Some(peer) = self.view.peers.get_mut(at) {
            peer.request_done = request.id;
            peer.verdict = verdict.err();
        }
        self.out.news = true;
    }

    fn set_paused(&mut self, paused: bool) {
        if self.view.paused == paused {
            return;
        }
        self.view.paused = paused;
        self.out.news = true;
        let node = self.view.me.node.clone();
        self.out.event(match paused {
            true => Event::NodePaused { node },
            false => Event::NodeResumed { node },
        });
    }

    /// Moves a group that this node owns, or takes one that nobody owns.
    fn move_group(&mut self, name: &GroupName, to: &NodeName) -> Result<(), Refusal> {
        let group = find(&mut self.groups, name).map_err(|_unknown| Refusal::UnknownGroup)?;
        if self.view.unsettled() {
            Err(Refusal::Unsettled)
        } else if self.view.is_mine(group.claim()) {
            group.order_move(to, &self.view)
        } else if self.view.is_owned(group.claim(), &group.config) {
            Err(Refusal::NotOwner)
        } else if *to == self.view.me.node {
            group.order_take(&self.view, &mut self.out);
            Ok(())
        } else {
            Err(Refusal::Unowned)
        }
    }

    fn carry_out(&mut self, command: Command, now: Instant) -> Result<(), ApiMisuse> {
        match command {
            Command::Move { group, to } => self.order_move(group, to)?,
            Command::Pause { node } => self.order_pause(node, true)?,
            Command::Resume { node } => self.order_pause(node, false)?,
            Command::GroupStarted { group } => {
                find(&mut self.groups, &group)?.started(now, &mut self.out);
            }
            Command::GroupStopped { group } => {
                find(&mut self.groups, &group)?.stopped(now, &mut self.out);
            }
            Command::GroupFailed { group, reason } => {
                find(&mut self.groups, &group)?.failed(reason, &self.view, &mut self.out);
            }
            Command::WitnessReachable(reachable) => self.witness_reachable(reachable),
            Command::WitnessRecord {
                group,
                revision,
                value,
            } => {
                // A record of a group that this node does not know is somebody else's business.
                if let Ok(known) = find(&mut self.groups, &group) {
                    known.witness_told(revision, value.as_deref(), &self.view, &mut self.out);
                }
            }
            Command::Witnessed { group, tag, answer } => {
                if let Ok(known) = find(&mut self.groups, &group) {
                    known.witnessed(tag, answer, &self.view, &mut self.out);
                }
            }
            Command::KeepMembers {
                group,
                epoch,
                members,
            } => find(&mut self.groups, &group)?.keep_members(epoch, members),
            Command::SetBarred { group, why } => {
                find(&mut self.groups, &group)?.set_barred(why, &mut self.out);
            }
            Command::Reload(config) => self.reload(*config, now)?,
            Command::Shutdown if self.view.leaving => return Err(ApiMisuse::Leaving),
            Command::Shutdown => {
                self.stage = Stage::Leaving;
                self.view.leaving = true;
                self.out.news = true;
            }
            Command::PeerDied { name } => {
                let peer = self.view.peers.iter_mut().find(|peer| peer.name == name);
                let peer = peer.ok_or(ApiMisuse::UnknownNode(name))?;
                let (detection, sequence) = (self.pulse.detection, self.pulse.sequence);
                peer.declare_dead(now, detection, sequence, &mut self.out);
            }
        }
        Ok(())
    }

    fn witness_reachable(&mut self, reachable: bool) {
        if self.view.witness.is_none() || self.view.witness == Some(reachable) {
            return;
        }
        self.view.witness = Some(reachable);
        self.out.news = true;
        self.out.event(Event::Witness { reachable });
    }

    fn order_move(&mut self, name: GroupName, to: NodeName) -> Result<(), ApiMisuse> {
        if self.view.leaving {
            return Err(ApiMisuse::Leaving);
        }
        if !self.config.knows(&to) {
            return Err(ApiMisuse::UnknownNode(to));
        }
        let group = find(&mut self.groups, &name)?;
        let owner = group.claim().owner_name().cloned();
        let owner = owner.filter(|_| self.view.is_owned(group.claim(), &group.config));
        // Where nobody owns it, the node that is to get it can take it.
        let asked = owner.unwrap_or_else(|| to.clone());
        if asked == self.view.me.node {
            let moved = self.move_group(&name, &to);
            return moved.map_err(|why| ApiMisuse::Refused { group: name, why });
        }
        self.request(asked, Order::Move { group: name, to })
    }

    fn order_pause(&mut self, node: Option<NodeName>, pause: bool) -> Result<(), ApiMisuse> {
        match node {
            Some(node) if node != self.view.me.node => {
                self.request(node, if pause { Order::Pause } else { Order::Resume })
            }
            _ if self.view.leaving => Err(ApiMisuse::Leaving),
            _ => {
                self.set_paused(pause);
                Ok(())
            }
        }
    }

    fn request(&mut self, to: NodeName, order: Order) -> Result<(), ApiMisuse> {
        match self.view.peers.iter().find(|peer| peer.name == to) {
            None => return Err(ApiMisuse::UnknownNode(to)),
            Some(peer) if !peer.hears_us() => return Err(ApiMisuse::NodeDown(to)),
            Some(_) => {}
        }
        self.out.news = true;
        self.requests
            .push(to, order)
            .map_err(|_full| ApiMisuse::TooManyRequests)
    }

    fn reload(&mut self, config: Config, now: Instant) -> Result<(), ApiMisuse> {
        config.validate()?;
        if config.node != self.view.me.node {
            return Err(ApiMisuse::OtherNode(config.node));
        }
        if self.view.leaving {
            return Err(ApiMisuse::Leaving);
        }
        peer::renew(&mut self.view.peers, &config.peers, now);
        let until = now + config.join_time();
        let settle = Settle {
            since: now,
            until,
            sequence: self.pulse.sequence + 1,
        };
        group::renew(&mut self.groups, &config.groups, settle);
        self.pulse.retime(config.heartbeat, config.detection(), now);
        self.view.detection = config.detection();
        self.view.patience = config.join_time();
        self.fingerprint = config.fingerprint();
        self.config = config;
        self.out.news = true;
        Ok(())
    }

    /// After every input: decides, and tells the others what is new.
    fn conclude(&mut self, now: Instant) {
        let settle = self.view.settle;
        if let Some(settle) = settle.filter(|settle| settle.done(&self.view.peers, now)) {
            self.settled(settle, now);
        }
        for group in &mut self.groups {
            group.step(&self.view, &mut self.out);
        }
        self.groups
            .retain(|group| !group.removed || !group.at_rest());
        self.requests.step(&self.view.peers, &mut self.out);
        self.part();
        self.transmit(now);
    }

    fn settled(&mut self, settle: Settle, now: Instant) {
        self.view.settle = None;
        let took = now.saturating_duration_since(settle.since);
        self.view
            .peers
            .iter_mut()
            .for_each(|peer| peer.give_up(now, &mut self.out));
        self.out
            .event(match std::mem::replace(&mut self.joined, true) {
                true => Event::Verified { took },
                false => Event::Joined { listened: took },
            });
        self.out.news = true;
    }

    /// Goes on with leaving, once everything is handed over and the receivers know.
    fn part(&mut self) {
        let known = |group: &Group| {
            let owner = group
                .claim()
                .owner_name()
                .and_then(|owner| self.view.peer(owner));
            // A receiver that no longer hears this node will miss it, and take over.
            let report = owner.filter(|peer| peer.hears_us());
            let report = report.and_then(|peer| peer.report(&group.config.name));
            report.is_none_or(|report| report.claim.epoch >= group.claim().epoch)
        };
        let handed_over = |groups: &[Group]| groups.iter().all(|g| g.at_rest() && known(g));
        match self.stage {
            Stage::Leaving if !self.view.unsettled() && handed_over(&self.groups) => {
                let sequence = self.pulse.sequence + 1;
                self.stage = Stage::Parting {
                    beats: self.config.missed,
                    sequence,
                };
                self.out.news = true;
            }
            Stage::Parting { beats, sequence } => {
                let mut up = self.view.peers.iter().filter(|peer| peer.up());
                if beats == 0 || up.all(|peer| peer.acknowledged(sequence)) {
                    self.stage = Stage::Gone;
                    self.out.event(Event::Left);
                }
            }
            _ => {}
        }
    }

    /// Sends a heartbeat to all if one is due or there is news, or an answer to who asked.
    fn transmit(&mut self, now: Instant) {
        let news = std::mem::take(&mut self.out.news);
        let reply = self.reply.take();
        if self.stage == Stage::Gone {
            return;
        }
        let due = self.pulse.due(now);
        if let Stage::Parting { beats, .. } = &mut self.stage {
            *beats = beats.saturating_sub(u32::from(due));
        }
        if due || news {
            self.pulse.beat(now);
            self.send(None, now);
        } else if reply.is_some() {
            self.send(reply, now);
        }
    }

    /// Sends a heartbeat on every path of one peer, or of all.
    fn send(&mut self, to: Option<NodeName>, now: Instant) {
        self.pulse.sequence += 1;
        self.sent += 1;
        // An answer never asks, or two members that ask would answer each other for ever.
        let mut heartbeat = self.heartbeat(to.is_none(), now);
        let mut bytes = heartbeat.seal(&self.config.key);
        if bytes.len() > MAX_HEARTBEAT || heartbeat.groups.len() > MAX_GROUPS {
            // Only what the configuration no longer names can be too much.
            let named = |name: &GroupName| self.config.groups.iter().any(|g| g.name == *name);
            heartbeat.groups.retain(|report| named(&report.group));
            bytes = heartbeat.seal(&self.config.key);
        }
        let wanted = |peer: &&PeerState| to.as_ref().is_none_or(|to| peer.name == *to);
        for to in self
            .view
            .peers
            .iter()
            .filter(wanted)
            .flat_map(PeerState::addresses)
        {
            self.out.push(Output::Transmit {
                to,
                bytes: bytes.clone(),
            });
        }
    }

    fn heartbeat(&self, may_ask: bool, now: Instant) -> Heartbeat {
        let parting = matches!(self.stage, Stage::Parting { .. });
        let settling = self.groups.iter().any(|group| group.settle.is_some());
        let groups = self.groups.iter().map(|group| {
            let mut report = group.report();
            // An owner that has left the configuration: its name need not fit the datagram.
            report.claim.owner = report
                .claim
                .owner
                .filter(|life| self.config.knows(&life.node));
            report
        });
        let peers = self.view.peers.iter();
        Heartbeat {
            sender: self.view.me.clone(),
            sequence: self.pulse.sequence,
            fingerprint: self.fingerprint,
            flags: Flags {
                paused: self.view.paused,
                leaving: self.view.leaving,
                left: parting,
                joining: !self.joined,
                ask: may_ask && (self.view.unsettled() || settling || parting),
                died: false,
                blind: self.view.witness == Some(false),
            },
            peers: peers
                .map(|peer| peer.own_report(now, self.pulse.detection))
                .collect(),
            groups: groups.collect(),
            request: self.requests.current().cloned(),
        }
    }

    /// The earliest deadline. What was due by the time last handled has been decided upon, so
    /// only heartbeats and silences may lie before it.
    fn next_deadline(&self) -> Option<(Instant, Timer)> {
        if self.stage == Stage::Gone {
            return None;
        }
        let settle = self.view.settle.map(|settle| (settle.until, Timer::Settle));
        let groups = self
            .groups
            .iter()
            .flat_map(|group| group.deadlines(&self.view));
        let later = settle
            .into_iter()
            .chain(groups)
            .filter(|(at, _)| *at > self.view.now);
        let peers = self.view.peers.iter();
        let peers = peers.flat_map(|peer| peer.deadlines(self.pulse.detection));
        peers
            .chain(later)
            .chain([(self.pulse.next(), Timer::Heartbeat)])
            .min()
    }
}

fn find<'a>(groups: &'a mut [Group], name: &GroupName) -> Result<&'a mut Group, ApiMisuse> {
    let group = groups.iter_mut().find(|group| group.config.name == *name);
    group.ok_or_else(|| ApiMisuse::UnknownGroup(name.clone()))
}
