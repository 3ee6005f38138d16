//! The member: heartbeats, commands and time in; an ordered stream of effects out.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::claim::Life;
use crate::command::{ApiMisuse, Command};
use crate::config::{Config, ConfigError};
use crate::discard::{Discard, Discards};
use crate::event::Event;
use crate::group::Group;
use crate::heartbeat::{Flags, Heartbeat, Order, Request};
use crate::names::{GroupName, NodeName};
use crate::output::{Outbox, Output, Timer};
use crate::peer::{Arrival, PeerState, Proof};
use crate::reason::Refusal;
use crate::requests::Requests;
use crate::settle::Settle;
use crate::status::{NodeState, NodeStatus, Phase, Status};
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
    me: Life,
    /// The latest time that was handled.
    clock: Instant,
    sequence: u64,
    next_beat: Instant,
    /// When the others could last hear this node.
    last_beat: Instant,
    stage: Stage,
    settle: Option<Settle>,
    joined: bool,
    paused: bool,
    peers: Vec<PeerState>,
    groups: Vec<Group>,
    requests: Requests,
    /// The peer that wants an answer now.
    reply: Option<NodeName>,
    /// The last foreign incarnation seen under this node's name.
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
        let me = Life {
            node: config.node.clone(),
            incarnation: incarnation.max(1),
        };
        let settle = Settle {
            since: now,
            until: now + config.join_time(),
            sequence: 1,
        };
        let peers = config
            .peers
            .iter()
            .map(|peer| PeerState::new(peer, now))
            .collect();
        let groups = config
            .groups
            .iter()
            .map(|group| Group::new(group.clone(), now, None));
        let mut member = Self {
            me,
            clock: now,
            sequence: 0,
            next_beat: now,
            last_beat: now,
            stage: Stage::Active,
            settle: Some(settle),
            joined: false,
            paused: false,
            peers,
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
            Ok((heartbeat, proof)) => self.advance(heartbeat, proof, from, to, now),
            Err(why) => self.discards.count(why),
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
        let detection = self.config.detection();
        for peer in &mut self.peers {
            peer.expire(now, detection, self.sequence, &mut self.out);
        }
        self.conclude(now);
    }

    /// The next effect; [`Output::Wait`] when there is none.
    pub fn poll_output(&mut self) -> Output {
        self.out
            .pop()
            .unwrap_or_else(|| Output::Wait(self.next_deadline()))
    }

    /// What this node knows now.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        let own = NodeStatus {
            name: self.me.node.clone(),
            state: match self.phase() {
                Phase::Joining => NodeState::Joining,
                Phase::Member | Phase::Verifying => NodeState::Up,
                Phase::Leaving => NodeState::Leaving,
                Phase::Left => NodeState::Down,
            },
            paused: self.paused,
            last_heartbeat: None,
            hears_us: true,
            paths: Vec::new(),
        };
        let peers = self.peers.iter().map(|peer| peer.status(now));
        Status {
            node: self.me.node.clone(),
            incarnation: self.me.incarnation,
            phase: self.phase(),
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
            Stage::Active if self.settle.is_some() => Phase::Verifying,
            Stage::Active => Phase::Member,
        }
    }

    /// Compares the time with what this node had planned to do, before anything else happens.
    ///
    /// The others judge this node by its heartbeats, so its own last heartbeat tells how they may
    /// have judged. Older than the detection time: it was frozen, and may own nothing any more.
    /// Older than it should be at all: it ran late, and what the others sent meanwhile may still
    /// lie in the socket, so they get one more interval before they count as silent.
    fn observe(&mut self, now: Instant) {
        let (interval, detection) = (self.config.heartbeat, self.config.detection());
        let frozen = now.saturating_duration_since(self.last_beat);
        if frozen > detection {
            self.out.event(Event::Thawed { frozen });
            self.out.news = true;
            let join = self.settle.map_or(now, |settle| settle.until);
            let since = self.settle.map_or(now, |settle| settle.since);
            let until = join.max(now + detection);
            self.settle = Some(Settle {
                since,
                until,
                sequence: self.sequence + 1,
            });
            // The silence was ours: whatever lay in the socket is taken for a sign of life.
            self.peers
                .iter_mut()
                .for_each(|peer| peer.spare(now + detection, None));
        } else if now > self.next_beat + interval {
            let latest = Some(detection * 2);
            self.peers
                .iter_mut()
                .for_each(|peer| peer.spare(now + interval, latest));
        }
        self.clock = self.clock.max(now);
    }

    fn check(
        &mut self,
        from: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(Heartbeat, Proof), Discard> {
        let keys = [&self.config.key]
            .into_iter()
            .chain(&self.config.also_accept);
        let heartbeat = Heartbeat::open(bytes, keys)?;
        if heartbeat.sender.node == self.me.node {
            let incarnation = heartbeat.sender.incarnation;
            if incarnation > self.me.incarnation && incarnation > self.namesake {
                self.namesake = incarnation;
                self.out.event(Event::NameTaken { from });
            }
            return Err(Discard::OwnName);
        }
        let peer = self
            .peers
            .iter()
            .find(|peer| peer.name == heartbeat.sender.node);
        let peer = peer.ok_or(Discard::UnknownSender)?;
        let proof = peer.check(&heartbeat, &self.me, from, now)?;
        Ok((heartbeat, proof))
    }

    fn advance(
        &mut self,
        heartbeat: Heartbeat,
        proof: Proof,
        from: SocketAddr,
        to: IpAddr,
        now: Instant,
    ) {
        let arrival = Arrival {
            from,
            to,
            at: now,
            detection: self.config.detection(),
        };
        let name = heartbeat.sender.node.clone();
        let Some(at) = self.peers.iter().position(|peer| peer.name == name) else {
            return;
        };
        let Some(peer) = self.peers.get_mut(at) else {
            return;
        };
        if proof == Proof::Copy {
            self.discards.count(Discard::Copy);
            peer.hear_path(heartbeat.sequence, arrival, &mut self.out);
            return;
        }
        self.accepted += 1;
        if heartbeat.flags.ask {
            self.reply = Some(name.clone());
        }
        let request = heartbeat
            .request
            .clone()
            .filter(|request| request.to == self.me.node);
        let same = heartbeat.fingerprint == self.config.fingerprint();
        peer.hear(heartbeat, proof, &self.me, arrival, &mut self.out);
        peer.compare(same, &mut self.out);
        self.hear_groups(at, now);
        if let Some(request) = request {
            self.serve(at, request, now);
        }
    }

    fn hear_groups(&mut self, at: usize, now: Instant) {
        let (view, groups, out) = self.split(now);
        let Some(peer) = view.peers.get(at) else {
            return;
        };
        let mut wrong = false;
        for report in peer.reports() {
            let group = groups
                .iter_mut()
                .find(|group| group.config.name == report.group);
            wrong |= group.is_some_and(|group| group.hear(report, &view, out));
        }
        let name = peer.name.clone();
        if wrong {
            self.reply = Some(name);
        }
    }

    /// What the groups need to decide, the groups, and the queue, each to be borrowed by itself.
    fn split(&mut self, now: Instant) -> (View<'_>, &mut Vec<Group>, &mut Outbox) {
        let view = View {
            now,
            me: &self.me,
            detection: self.config.detection(),
            patience: self.config.join_time(),
            paused: self.paused,
            leaving: self.stage != Stage::Active,
            unsettled: self.settle.is_some(),
            peers: &self.peers,
        };
        (view, &mut self.groups, &mut self.out)
    }

    /// Carries out a peer's request, once; the answer goes out with the next heartbeats.
    fn serve(&mut self, at: usize, request: Request, now: Instant) {
        let last = self
            .peers
            .get(at)
            .map_or(u64::MAX, |peer| peer.request_done);
        if request.id <= last {
            return;
        }
        let verdict = match &request.order {
            _ if self.stage != Stage::Active => Err(Refusal::Leaving),
            Order::Move { group, to } => self.move_group(group, to, now),
            Order::Pause => {
                self.set_paused(true);
                Ok(())
            }
            Order::Resume => {
                self.set_paused(false);
                Ok(())
            }
        };
        if let Some(peer) = self.peers.get_mut(at) {
            peer.request_done = request.id;
            peer.verdict = verdict.err();
        }
        self.out.news = true;
    }

    fn set_paused(&mut self, paused: bool) {
        if self.paused != paused {
            self.paused = paused;
            self.out.news = true;
            let node = self.me.node.clone();
            self.out.event(match paused {
                true => Event::NodePaused { node },
                false => Event::NodeResumed { node },
            });
        }
    }

    fn move_group(&mut self, name: &GroupName, to: &NodeName, now: Instant) -> Result<(), Refusal> {
        let unsettled = self.settle.is_some();
        let (view, groups, out) = self.split(now);
        let group = groups.iter_mut().find(|group| group.config.name == *name);
        let group = group.ok_or(Refusal::UnknownGroup)?;
        if unsettled {
            Err(Refusal::Unsettled)
        } else if view.is_mine(group.claim()) {
            group.order_move(to, &view)
        } else if view.is_owned(group.claim(), &group.config) {
            Err(Refusal::NotOwner)
        } else if *to == view.me.node {
            group.order_take(&view, out);
            Ok(())
        } else {
            Err(Refusal::Unowned)
        }
    }

    fn carry_out(&mut self, command: Command, now: Instant) -> Result<(), ApiMisuse> {
        match command {
            Command::Move { group, to } => self.order_move(group, to, now)?,
            Command::Pause { node } => self.order_pause(node, true)?,
            Command::Resume { node } => self.order_pause(node, false)?,
            Command::GroupStarted { group } => {
                let (view, group, out) = self.group(&group, now)?;
                group.started(view.now, out);
            }
            Command::GroupStopped { group } => {
                let (view, group, out) = self.group(&group, now)?;
                group.stopped(view.now, out);
            }
            Command::GroupFailed { group, reason } => {
                let (view, group, out) = self.group(&group, now)?;
                group.failed(reason, &view, out);
            }
            Command::Reload(config) => self.reload(*config, now)?,
            Command::Shutdown if self.stage == Stage::Active => {
                self.stage = Stage::Leaving;
                self.out.news = true;
            }
            Command::Shutdown => return Err(ApiMisuse::Leaving),
            Command::PeerDied { name } => {
                let detection = self.config.detection();
                let peer = self.peers.iter_mut().find(|peer| peer.name == name);
                let peer = peer.ok_or(ApiMisuse::UnknownNode(name))?;
                peer.declare_dead(now, detection, self.sequence, &mut self.out);
            }
        }
        Ok(())
    }

    fn group(
        &mut self,
        name: &GroupName,
        now: Instant,
    ) -> Result<(View<'_>, &mut Group, &mut Outbox), ApiMisuse> {
        let (view, groups, out) = self.split(now);
        let group = groups.iter_mut().find(|group| group.config.name == *name);
        let group = group.ok_or_else(|| ApiMisuse::UnknownGroup(name.clone()))?;
        Ok((view, group, out))
    }

    fn order_move(&mut self, name: GroupName, to: NodeName, now: Instant) -> Result<(), ApiMisuse> {
        if self.stage != Stage::Active {
            return Err(ApiMisuse::Leaving);
        }
        if !self.config.knows(&to) {
            return Err(ApiMisuse::UnknownNode(to));
        }
        let (view, group, _) = self.group(&name, now)?;
        let owner = group.claim().owner_name().cloned();
        let owner = owner.filter(|_| view.is_owned(group.claim(), &group.config));
        // Where nobody owns it, the node that is to get it can take it.
        let asked = owner.unwrap_or_else(|| to.clone());
        if asked == self.me.node {
            let moved = self.move_group(&name, &to, now);
            return moved.map_err(|why| ApiMisuse::Refused { group: name, why });
        }
        self.request(asked, Order::Move { group: name, to })
    }

    fn order_pause(&mut self, node: Option<NodeName>, pause: bool) -> Result<(), ApiMisuse> {
        match node {
            Some(node) if node != self.me.node => {
                self.request(node, if pause { Order::Pause } else { Order::Resume })
            }
            _ if self.stage != Stage::Active => Err(ApiMisuse::Leaving),
            _ => {
                self.set_paused(pause);
                Ok(())
            }
        }
    }

    fn request(&mut self, to: NodeName, order: Order) -> Result<(), ApiMisuse> {
        match self.peers.iter().find(|peer| peer.name == to) {
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
        if config.node != self.me.node {
            return Err(ApiMisuse::OtherNode(config.node));
        }
        if self.stage != Stage::Active {
            return Err(ApiMisuse::Leaving);
        }
        let mut old = std::mem::take(&mut self.peers);
        for peer in &config.peers {
            self.peers
                .push(match old.iter().position(|known| known.name == peer.name) {
                    Some(position) => {
                        let mut known = old.swap_remove(position);
                        known.set_paths(&peer.addresses);
                        known
                    }
                    None => PeerState::new(peer, now),
                });
        }
        let mut old = std::mem::take(&mut self.groups);
        let until = now + config.join_time();
        let settle = Settle {
            since: now,
            until,
            sequence: self.sequence + 1,
        };
        for group in &config.groups {
            self.groups.push(
                match old.iter().position(|known| known.config.name == group.name) {
                    Some(position) => {
                        let mut known = old.swap_remove(position);
                        known.config = group.clone();
                        known.removed = false;
                        known
                    }
                    None => Group::new(group.clone(), now, Some(settle)),
                },
            );
        }
        // What has left the configuration is stopped first, and forgotten then.
        old.iter_mut().for_each(|group| group.removed = true);
        self.groups.append(&mut old);
        self.next_beat = self.next_beat.min(now + config.heartbeat);
        self.config = config;
        self.out.news = true;
        Ok(())
    }

    /// After every input: decides, and tells the others what is new.
    fn conclude(&mut self, now: Instant) {
        if self
            .settle
            .is_some_and(|settle| settle.done(&self.peers, now))
        {
            self.settled(now);
        }
        let (view, groups, out) = self.split(now);
        for group in groups.iter_mut() {
            group.step(&view, out);
        }
        groups.retain(|group| !group.removed || !group.at_rest());
        self.requests.step(&self.peers, &mut self.out);
        self.part();
        self.transmit(now);
    }

    fn settled(&mut self, now: Instant) {
        let Some(settle) = self.settle.take() else {
            return;
        };
        let took = now.saturating_duration_since(settle.since);
        self.peers
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
            let Some(owner) = group.claim().owner_name() else {
                return true;
            };
            let peer = self
                .peers
                .iter()
                .find(|peer| peer.name == *owner && peer.up());
            let report = peer.and_then(|peer| peer.report(&group.config.name));
            report.is_none_or(|report| report.claim.epoch >= group.claim().epoch)
        };
        match self.stage {
            Stage::Leaving if self.settle.is_none() => {
                if self
                    .groups
                    .iter()
                    .all(|group| group.at_rest() && known(group))
                {
                    let sequence = self.sequence + 1;
                    self.stage = Stage::Parting {
                        beats: self.config.missed,
                        sequence,
                    };
                    self.out.news = true;
                }
            }
            Stage::Parting { beats, sequence } => {
                let mut up = self.peers.iter().filter(|peer| peer.up());
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
        let due = now >= self.next_beat;
        let news = std::mem::take(&mut self.out.news);
        let reply = self.reply.take();
        if self.stage == Stage::Gone {
            return;
        }
        if due {
            self.next_beat += self.config.heartbeat;
            if self.next_beat <= now {
                self.next_beat = now + self.config.heartbeat;
            }
            if let Stage::Parting { beats, .. } = &mut self.stage {
                *beats = beats.saturating_sub(1);
            }
        }
        if due || news {
            self.last_beat = now;
            self.send(None, now);
        } else if reply.is_some() {
            self.send(reply, now);
        }
    }

    /// Sends a heartbeat on every path of one peer, or of all.
    fn send(&mut self, to: Option<NodeName>, now: Instant) {
        self.sequence += 1;
        self.sent += 1;
        // An answer never asks, or two members that ask would answer each other for ever.
        let bytes = self.heartbeat(to.is_none(), now).seal(&self.config.key);
        for peer in self
            .peers
            .iter()
            .filter(|peer| to.as_ref().is_none_or(|to| peer.name == *to))
        {
            for address in peer.addresses() {
                self.out.push(Output::Transmit {
                    to: address,
                    bytes: bytes.clone(),
                });
            }
        }
    }

    fn heartbeat(&self, may_ask: bool, now: Instant) -> Heartbeat {
        let parting = matches!(self.stage, Stage::Parting { .. });
        let settling = self.settle.is_some() || self.groups.iter().any(|g| g.settle.is_some());
        let mut groups: Vec<_> = self
            .groups
            .iter()
            .filter(|group| !group.removed)
            .map(Group::report)
            .collect();
        for report in &mut groups {
            // An owner that has left the configuration: nobody else needs to know its name.
            report.claim.owner = report
                .claim
                .owner
                .take()
                .filter(|o| self.config.knows(&o.node));
        }
        Heartbeat {
            sender: self.me.clone(),
            sequence: self.sequence,
            fingerprint: self.config.fingerprint(),
            flags: Flags {
                paused: self.paused,
                leaving: self.stage != Stage::Active,
                left: parting,
                joining: !self.joined,
                ask: may_ask && (settling || parting),
            },
            peers: self
                .peers
                .iter()
                .map(|peer| peer.own_report(now, self.config.detection()))
                .collect(),
            groups,
            request: self.requests.current().cloned(),
        }
    }

    /// The earliest deadline. What was due by the time last handled has been decided upon, so
    /// only heartbeats and silences may lie before it.
    fn next_deadline(&self) -> Option<(Instant, Timer)> {
        if self.stage == Stage::Gone {
            return None;
        }
        let detection: Duration = self.config.detection();
        let view = View {
            now: self.clock,
            me: &self.me,
            detection,
            patience: self.config.join_time(),
            paused: self.paused,
            leaving: self.stage != Stage::Active,
            unsettled: self.settle.is_some(),
            peers: &self.peers,
        };
        let settle = self.settle.map(|settle| (settle.until, Timer::Settle));
        let groups = self.groups.iter().flat_map(|group| group.deadlines(&view));
        let later = settle
            .into_iter()
            .chain(groups)
            .filter(|(at, _)| *at > self.clock);
        let peers = self.peers.iter().flat_map(|peer| peer.deadlines(detection));
        peers
            .chain(later)
            .chain([(self.next_beat, Timer::Heartbeat)])
            .min()
    }
}
