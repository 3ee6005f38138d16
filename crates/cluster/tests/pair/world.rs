//! A world of members: one clock, one seed, a network that loses, doubles, delays and cuts.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use cluster::{
    ApiMisuse, ClusterKey, Command, Config, Event, GroupConfig, GroupName, GroupState, Member,
    NodeName, Output, Peer, StartReason, Status, StopReason, WitnessAnswer,
};

pub(crate) const PATHS: usize = 2;
pub(crate) const PORT: u16 = 4510;
/// What a frozen process's socket holds; what comes later is lost, as in a real one.
const SOCKET_BUFFER: usize = 64;

pub(crate) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) fn node(index: usize) -> NodeName {
    NodeName::new(["a", "b", "c"][index]).unwrap()
}

pub(crate) fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

pub(crate) fn address(path: usize, index: usize) -> SocketAddr {
    let ip = Ipv4Addr::new(10, 0, path as u8, index as u8 + 1);
    SocketAddr::new(IpAddr::V4(ip), PORT)
}

/// A small generator (splitmix64): the same seed, the same world.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// One direction between two nodes on one path.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    pub(crate) cut: bool,
    pub(crate) loss: u64,
    pub(crate) double: u64,
    pub(crate) delay: Duration,
    pub(crate) jitter: Duration,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            cut: false,
            loss: 0,
            double: 0,
            delay: ms(1),
            jitter: Duration::ZERO,
        }
    }
}

/// What the driver of a node does with a group: it holds the addresses from the start to the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) state: Option<GroupState>,
    pub(crate) epoch: u64,
}

impl Service {
    pub(crate) fn online(&self) -> bool {
        self.state == Some(GroupState::Online)
    }
}

pub(crate) struct Host {
    pub(crate) member: Option<Member>,
    pub(crate) frozen: bool,
    pub(crate) services: BTreeMap<GroupName, Service>,
    wake: Option<Instant>,
    inbox: VecDeque<(SocketAddr, SocketAddr, Vec<u8>)>,
    answers: VecDeque<Command>,
    incarnation: u64,
    /// How long the driver takes.
    pub(crate) start_time: Duration,
    pub(crate) stop_time: Duration,
    /// Starts of these groups fail.
    pub(crate) broken: Vec<GroupName>,
}

enum Happening {
    Datagram {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    Answer {
        host: usize,
        incarnation: u64,
        command: Command,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Event(Event),
    Start {
        group: GroupName,
        epoch: u64,
        reason: StartReason,
    },
    Stop {
        group: GroupName,
        reason: StopReason,
    },
}

pub(crate) struct World {
    pub(crate) epoch: Instant,
    pub(crate) now: Instant,
    pub(crate) random: Random,
    pub(crate) hosts: Vec<Host>,
    /// `links[from][to][path]`
    pub(crate) links: Vec<Vec<[Link; PATHS]>>,
    pub(crate) log: Vec<(Duration, usize, Entry)>,
    pub(crate) configure: Box<dyn Fn(usize) -> Config>,
    /// Datagrams delivered, for the tests that replay them.
    pub(crate) wire: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    pub(crate) record: bool,
    /// What stands at the witness: revision and value by group.
    pub(crate) witness: BTreeMap<GroupName, (u64, Vec<u8>)>,
    /// Hosts that cannot reach it.
    pub(crate) cut_off: Vec<usize>,
    revision: u64,
    /// How long the witness takes to answer, and to tell everybody.
    pub(crate) witness_delay: (Duration, Duration),
    /// So many proposals are carried out, and their answers are lost.
    pub(crate) answers_lost: u32,
    /// Who started something, and whether the witness entitles it to go on.
    pub(crate) entitled: Vec<(usize, bool)>,
    /// How long two nodes have been online with the same group, and since when.
    pub(crate) both: BTreeMap<GroupName, Instant>,
    pub(crate) longest_both: Duration,
    queue: BTreeMap<(Instant, u64), Happening>,
    count: u64,
}

/// The configuration of the tests: `mail` prefers `a`, `web` prefers `b`.
pub(crate) fn config(index: usize, nodes: usize) -> Config {
    let groups = vec![
        GroupConfig::new(group("mail"), vec![node(0), node(1)]),
        GroupConfig::new(group("web"), vec![node(1), node(0)]),
    ];
    let peers = (0..nodes).filter(|other| *other != index);
    let peers = peers.map(|other| Peer {
        name: node(other),
        addresses: (0..PATHS).map(|path| address(path, other)).collect(),
    });
    let key = ClusterKey::from_slice(&[7; 32]).unwrap();
    Config::new(node(index), key, peers.collect(), groups)
}

impl World {
    pub(crate) fn new(nodes: usize, seed: u64) -> Self {
        Self::with(nodes, seed, Box::new(move |index| config(index, nodes)))
    }

    pub(crate) fn with(nodes: usize, seed: u64, configure: Box<dyn Fn(usize) -> Config>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
        let epoch = Instant::now();
        let host = |_| Host {
            member: None,
            frozen: false,
            services: BTreeMap::new(),
            wake: None,
            inbox: VecDeque::new(),
            answers: VecDeque::new(),
            incarnation: 0,
            start_time: ms(2),
            stop_time: ms(3),
            broken: Vec::new(),
        };
        Self {
            epoch,
            now: epoch,
            random: Random(seed),
            hosts: (0..nodes).map(host).collect(),
            links: vec![vec![[Link::default(); PATHS]; nodes]; nodes],
            log: Vec::new(),
            configure,
            wire: Vec::new(),
            record: false,
            witness: BTreeMap::new(),
            witness_delay: (ms(2), ms(3)),
            answers_lost: 0,
            cut_off: Vec::new(),
            revision: 0,
            entitled: Vec::new(),
            both: BTreeMap::new(),
            longest_both: Duration::ZERO,
            queue: BTreeMap::new(),
            count: 0,
        }
    }

    /// All nodes up, joined, every group online at its preferred owner.
    pub(crate) fn running(nodes: usize, seed: u64) -> Self {
        let mut world = Self::new(nodes, seed);
        (0..nodes).for_each(|host| world.boot(host));
        world.run(ms(1_000));
        assert_eq!(world.owner("mail"), Some(0));
        assert_eq!(world.owner("web"), Some(1));
        world
    }

    pub(crate) fn time(&self) -> Duration {
        self.now - self.epoch
    }

    // --- what is done to the nodes -------------------------------------------------------------

    pub(crate) fn boot(&mut self, host: usize) {
        let incarnation = self.time().as_nanos() as u64 + 1_000;
        self.boot_as(host, incarnation);
    }

    pub(crate) fn boot_as(&mut self, host: usize, incarnation: u64) {
        let config = (self.configure)(host);
        let member = Member::new(config, self.now, incarnation).unwrap();
        let now = self.now;
        let at = &mut self.hosts[host];
        *at = Host {
            member: Some(member),
            frozen: false,
            services: BTreeMap::new(),
            wake: Some(now),
            inbox: VecDeque::new(),
            answers: VecDeque::new(),
            incarnation,
            start_time: at.start_time,
            stop_time: at.stop_time,
            broken: at.broken.clone(),
        };
        self.drain(host);
    }

    /// The power goes: the process and everything it held is gone.
    pub(crate) fn crash(&mut self, host: usize) {
        self.hosts[host].member = None;
        self.hosts[host].frozen = false;
        self.hosts[host].wake = None;
        self.hosts[host].services.clear();
        self.watch();
    }

    /// SIGSTOP: the process does nothing, the host keeps the addresses it holds.
    pub(crate) fn freeze(&mut self, host: usize) {
        self.hosts[host].frozen = true;
    }

    /// SIGCONT: the process finds what its socket kept, and its late timers.
    pub(crate) fn thaw(&mut self, host: usize) {
        self.hosts[host].frozen = false;
        if self.hosts[host].member.is_none() {
            return;
        }
        for (from, to, bytes) in std::mem::take(&mut self.hosts[host].inbox) {
            self.give(host, from, to, &bytes);
        }
        for command in std::mem::take(&mut self.hosts[host].answers) {
            self.answer(host, command);
        }
    }

    /// As [`thaw`](Self::thaw), with a driver that looks at its timers before its socket.
    pub(crate) fn thaw_late_socket(&mut self, host: usize) {
        self.hosts[host].frozen = false;
        let now = self.now;
        let member = self.hosts[host].member.as_mut().unwrap();
        member.handle_timeout(now);
        self.drain(host);
        self.thaw(host);
    }

    pub(crate) fn command(&mut self, host: usize, command: Command) -> Result<(), ApiMisuse> {
        let now = self.now;
        let member = self.hosts[host].member.as_mut().unwrap();
        let done = member.handle_command(command, now);
        self.drain(host);
        done
    }

    pub(crate) fn order_move(
        &mut self,
        host: usize,
        name: &str,
        to: usize,
    ) -> Result<(), ApiMisuse> {
        self.command(
            host,
            Command::Move {
                group: group(name),
                to: node(to),
            },
        )
    }

    /// Cuts or mends the direction from one node to another, on all paths.
    pub(crate) fn set_cut(&mut self, from: usize, to: usize, cut: bool) {
        for link in &mut self.links[from][to] {
            link.cut = cut;
        }
    }

    pub(crate) fn set_partition(&mut self, one: usize, other: usize, cut: bool) {
        self.set_cut(one, other, cut);
        self.set_cut(other, one, cut);
    }

    pub(crate) fn set_links(&mut self, link: Link) {
        self.links
            .iter_mut()
            .flatten()
            .flatten()
            .for_each(|each| *each = link);
    }

    // --- what is seen --------------------------------------------------------------------------

    pub(crate) fn service(&self, host: usize, name: &str) -> Service {
        self.hosts[host]
            .services
            .get(&group(name))
            .copied()
            .unwrap_or_default()
    }

    /// The one node that has the group online.
    pub(crate) fn owner(&self, name: &str) -> Option<usize> {
        let mut online = (0..self.hosts.len()).filter(|host| self.service(*host, name).online());
        let first = online.next();
        if online.next().is_some() { None } else { first }
    }

    pub(crate) fn status(&self, host: usize) -> Status {
        self.hosts[host].member.as_ref().unwrap().status(self.now)
    }

    pub(crate) fn group_status(&self, host: usize, name: &str) -> cluster::GroupStatus {
        let status = self.status(host);
        status
            .groups
            .into_iter()
            .find(|status| status.name == group(name))
            .unwrap()
    }

    pub(crate) fn events(&self, host: usize) -> impl Iterator<Item = &Event> {
        let own = self.log.iter().filter(move |(_, at, _)| *at == host);
        own.filter_map(|(_, _, entry)| match entry {
            Entry::Event(event) => Some(event),
            _ => None,
        })
    }

    /// When the first entry since `since` comes that `wanted` accepts.
    pub(crate) fn when(
        &self,
        since: Duration,
        host: usize,
        wanted: impl Fn(&Entry) -> bool,
    ) -> Option<Duration> {
        let mut log = self
            .log
            .iter()
            .filter(|(at, by, _)| *at >= since && *by == host);
        log.find(|(_, _, entry)| wanted(entry))
            .map(|(at, _, _)| *at)
    }

    // --- time ----------------------------------------------------------------------------------

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.turn(end) {}
        self.now = end;
    }

    /// Runs until `done` holds; panics if it does not within `limit`. The time it took.
    pub(crate) fn run_until(&mut self, limit: Duration, done: impl Fn(&World) -> bool) -> Duration {
        let begun = self.now;
        while !done(self) {
            assert!(
                self.turn(begun + limit),
                "not done within {limit:?}:\n{}",
                self.story(20)
            );
        }
        self.now - begun
    }

    pub(crate) fn story(&self, last: usize) -> String {
        let skip = self.log.len().saturating_sub(last);
        let lines = self.log.iter().skip(skip);
        lines
            .map(|(at, host, entry)| format!("{at:?} {}: {entry:?}\n", node(*host)))
            .collect()
    }

    /// Lets the next thing happen, if it happens before `end`.
    fn turn(&mut self, end: Instant) -> bool {
        let timers = self
            .hosts
            .iter()
            .enumerate()
            .filter(|(_, host)| !host.frozen);
        let timer = timers
            .filter_map(|(index, host)| Some((host.wake?, index)))
            .min();
        let first = self.queue.keys().next().copied();
        let message_first = match (timer, first) {
            (None, None) => return false,
            (Some((timer, _)), Some((message, _))) => message <= timer,
            (timer, _) => timer.is_none(),
        };
        if message_first {
            let Some(key) = first.filter(|(at, _)| *at <= end) else {
                return false;
            };
            let Some(happening) = self.queue.remove(&key) else {
                return false;
            };
            self.now = self.now.max(key.0);
            self.happen(happening);
        } else {
            let Some((at, host)) = timer.filter(|(at, _)| *at <= end) else {
                return false;
            };
            self.now = self.now.max(at);
            let now = self.now;
            self.hosts[host]
                .member
                .as_mut()
                .unwrap()
                .handle_timeout(now);
            self.drain(host);
            let wake = self.hosts[host].wake;
            assert!(
                wake.is_none_or(|wake| wake > now),
                "a timer that does not move on"
            );
        }
        true
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Datagram { from, to, bytes } => {
                let Some(host) = self.at(to) else { return };
                if self.record {
                    self.wire.push((from, to, bytes.clone()));
                }
                let frozen = self.hosts[host].frozen;
                if !frozen {
                    self.give(host, from, to, &bytes);
                } else if self.hosts[host].inbox.len() < SOCKET_BUFFER {
                    self.hosts[host].inbox.push_back((from, to, bytes));
                }
            }
            Happening::Answer {
                host,
                incarnation,
                command,
            } => {
                let at = &mut self.hosts[host];
                if at.member.is_none() || at.incarnation != incarnation {
                } else if at.frozen {
                    at.answers.push_back(command);
                } else {
                    self.answer(host, command);
                }
            }
        }
    }

    pub(crate) fn give(&mut self, host: usize, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let now = self.now;
        if let Some(member) = self.hosts[host].member.as_mut() {
            member.handle_datagram(from, to.ip(), bytes, now);
            self.drain(host);
        }
    }

    fn answer(&mut self, host: usize, command: Command) {
        let services = &mut self.hosts[host].services;
        match &command {
            Command::GroupStarted { group } => {
                let service = services.entry(group.clone()).or_default();
                if service.state == Some(GroupState::Starting) {
                    service.state = Some(GroupState::Online);
                }
            }
            Command::GroupStopped { group } => {
                services.entry(group.clone()).or_default().state = None;
            }
            _ => {}
        }
        self.watch();
        // A group that was removed meanwhile is unknown; nothing else may be refused.
        let _ = self.command(host, command);
    }

    /// Carries out what a member wants.
    fn drain(&mut self, host: usize) {
        for turn in 0.. {
            assert!(turn < 1_000, "outputs without end");
            let output = match self.hosts[host].member.as_mut() {
                Some(member) => member.poll_output(),
                None => return,
            };
            match output {
                Output::Transmit { to, bytes } => self.send(host, to, bytes),
                Output::Event(event) => self.note(host, Entry::Event(event)),
                Output::Start {
                    group,
                    epoch,
                    reason,
                    entitled,
                } => {
                    self.entitled.push((host, entitled));
                    self.start(host, group, epoch, reason);
                }
                Output::Stop { group, reason, .. } => {
                    self.note(
                        host,
                        Entry::Stop {
                            group: group.clone(),
                            reason,
                        },
                    );
                    let service = self.hosts[host].services.entry(group.clone()).or_default();
                    assert_ne!(service.state, None, "what does not run is not stopped");
                    assert_ne!(service.state, Some(GroupState::Stopping), "stopped once");
                    service.state = Some(GroupState::Stopping);
                    let time = self.hosts[host].stop_time;
                    self.later(host, time, Command::GroupStopped { group });
                }
                Output::Propose {
                    group,
                    expected,
                    value,
                    tag,
                } => self.proposed(host, group, expected, value, tag),
                Output::Members { .. } => {}
                Output::Wait(wake) => {
                    self.hosts[host].wake = wake.map(|(at, _)| at);
                    break;
                }
            }
        }
        self.watch();
    }

    fn start(&mut self, host: usize, group: GroupName, epoch: u64, reason: StartReason) {
        self.note(
            host,
            Entry::Start {
                group: group.clone(),
                epoch,
                reason,
            },
        );
        let at = &mut self.hosts[host];
        let service = at.services.entry(group.clone()).or_default();
        assert!(
            service.epoch <= epoch,
            "an epoch of {group} never goes back in one life"
        );
        match reason {
            StartReason::Took(_) => assert!(epoch > service.epoch, "a new ownership, a new epoch"),
            StartReason::Restart => assert_eq!(epoch, service.epoch),
            StartReason::Reassert => assert_ne!(service.state, None),
        }
        service.epoch = epoch;
        if reason == StartReason::Reassert {
            return;
        }
        assert_eq!(service.state, None, "what runs is not started");
        service.state = Some(GroupState::Starting);
        let time = at.start_time;
        let answer = if at.broken.contains(&group) {
            Command::GroupFailed {
                group,
                reason: "it does not start".to_owned(),
            }
        } else {
            Command::GroupStarted { group }
        };
        self.later(host, time, answer);
    }

    /// A proposal reaches the witness, which compares and swaps, and tells everybody it reaches.
    fn proposed(&mut self, host: usize, group: GroupName, expected: u64, value: Vec<u8>, tag: u64) {
        let answer = if self.cut_off.contains(&host) {
            WitnessAnswer::Unavailable
        } else {
            let current = self.witness.get(&group).cloned();
            if current.as_ref().map_or(0, |(at, _)| *at) == expected {
                self.revision += 1;
                let revision = self.revision;
                self.witness.insert(group.clone(), (revision, value));
                (0..self.hosts.len()).for_each(|other| self.tell_record(other, &group));
                match self.answers_lost {
                    0 => WitnessAnswer::Done(revision),
                    _ => {
                        self.answers_lost -= 1;
                        WitnessAnswer::Unknown
                    }
                }
            } else {
                WitnessAnswer::Conflict(current)
            }
        };
        let delay = self.witness_delay.0;
        self.later(host, delay, Command::Witnessed { group, tag, answer });
    }

    /// What the witness has of a group is removed, and everybody is told.
    pub(crate) fn remove_record(&mut self, group: &GroupName) {
        self.witness.remove(group);
        self.revision += 1;
        let revision = self.revision;
        for host in 0..self.hosts.len() {
            if !self.cut_off.contains(&host) && self.hosts[host].member.is_some() {
                let (group, value) = (group.clone(), None);
                let command = Command::WitnessRecord {
                    group,
                    revision,
                    value,
                };
                self.later(host, self.witness_delay.1, command);
            }
        }
    }

    fn tell_record(&mut self, host: usize, group: &GroupName) {
        let Some((revision, value)) = self.witness.get(group).cloned() else {
            return;
        };
        if !self.cut_off.contains(&host) && self.hosts[host].member.is_some() {
            let command = Command::WitnessRecord {
                group: group.clone(),
                revision,
                value: Some(value),
            };
            self.later(host, self.witness_delay.1, command);
        }
    }

    /// A host reaches the witness from now on, or no longer.
    pub(crate) fn reach_witness(&mut self, host: usize, reaches: bool) {
        self.cut_off.retain(|other| *other != host);
        if !reaches {
            self.cut_off.push(host);
        }
        if reaches {
            let groups: Vec<GroupName> = self.witness.keys().cloned().collect();
            groups
                .iter()
                .for_each(|group| self.tell_record(host, group));
        }
        self.later(host, ms(4), Command::WitnessReachable(reaches));
    }

    fn note(&mut self, host: usize, entry: Entry) {
        if let Entry::Event(event) = &entry {
            let sentence = event.to_string();
            assert!(
                sentence.ends_with('.') && !sentence.contains("  "),
                "{sentence}"
            );
        }
        self.log.push((self.time(), host, entry));
    }

    fn later(&mut self, host: usize, time: Duration, command: Command) {
        let incarnation = self.hosts[host].incarnation;
        self.enqueue(
            time,
            Happening::Answer {
                host,
                incarnation,
                command,
            },
        );
    }

    fn enqueue(&mut self, time: Duration, happening: Happening) {
        self.count += 1;
        self.queue.insert((self.now + time, self.count), happening);
    }

    fn at(&self, to: SocketAddr) -> Option<usize> {
        (0..self.hosts.len()).find(|host| (0..PATHS).any(|path| address(path, *host) == to))
    }

    fn send(&mut self, from: usize, to: SocketAddr, bytes: Vec<u8>) {
        let host = self.at(to).unwrap();
        let path = (0..PATHS).find(|path| address(*path, host) == to).unwrap();
        let link = self.links[from][host][path];
        let copies = if self.random.percent(link.double) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            if link.cut || self.random.percent(link.loss) {
                continue;
            }
            let jitter = self.random.below(link.jitter.as_micros() as u64 + 1);
            let time = link.delay + Duration::from_micros(jitter);
            let from = address(path, from);
            self.enqueue(
                time,
                Happening::Datagram {
                    from,
                    to,
                    bytes: bytes.clone(),
                },
            );
        }
    }

    /// Measures for how long a group is online on two nodes.
    fn watch(&mut self) {
        for name in ["mail", "web"] {
            let online = (0..self.hosts.len()).filter(|host| self.service(*host, name).online());
            if online.count() > 1 {
                let since = *self.both.entry(group(name)).or_insert(self.now);
                self.longest_both = self.longest_both.max(self.now - since);
            } else if let Some(since) = self.both.remove(&group(name)) {
                self.longest_both = self.longest_both.max(self.now - since);
            }
        }
    }
}
