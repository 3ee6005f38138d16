//! The world: one clock, one seed, one queue of what will happen; what happens is checked.

mod faults;
mod links;
mod look;
mod witness;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::addresses::Addresses;
use crate::checker::{Checker, Checkers, Violation};
use crate::dice::Dice;
use crate::frame::{Content, Frame, HostId};
use crate::host::{Effect, Errand, Host};
use crate::links::{Links, Seen};
use crate::network::Network;
use crate::settings::Settings;
use crate::trace::Trace;
use crate::witness::{Proposal, Witness, Word};

/// Datagrams that an attacker has recorded and may send again.
const RECORDED: usize = 512;
/// Happenings between two looks at tables and queues.
const LOOK: u64 = 128;

/// Something that will happen.
enum Happening {
    /// A datagram arrives.
    Arrive { to: HostId, frame: Frame },
    /// An announcement arrives.
    Hear {
        to: HostId,
        from: HostId,
        address: IpAddr,
    },
    /// Links look at their network and their processes.
    Links,
    /// An end of a link notices.
    Linked(Seen),
    /// A message may have arrived at an end of a link.
    Message { link: usize, end: usize },
    /// Clients look whether they reach the witness.
    Witness,
    /// A proposal arrives at the witness, or finds that it cannot.
    Proposed { host: HostId, proposal: Proposal },
    /// A proposal arrives long after its time.
    Straggler(Proposal),
    /// The witness tells something.
    Told {
        host: HostId,
        life: (u64, u64),
        word: Word,
    },
    /// A host does what it set out to do in an earlier life or this one.
    Errand {
        host: HostId,
        life: (u64, u64),
        errand: Errand,
    },
}

/// A datagram that was put on the wire.
#[derive(Clone, Debug)]
pub struct OnWire {
    /// When.
    pub at: Duration,
    /// By whom.
    pub host: HostId,
    /// What.
    pub frame: Frame,
}

/// All hosts, the network between them, and time.
pub struct World {
    settings: Arc<Settings>,
    begun: Instant,
    now: Instant,
    dice: Dice,
    network: Network,
    links: Links,
    witness: Witness,
    /// When each host's data plane told last how far its inbound windows have moved.
    reported: Vec<Duration>,
    hosts: Vec<Host>,
    queue: BTreeMap<(Instant, u64), Happening>,
    count: u64,
    checkers: Checkers,
    trace: Trace,
    /// How many faults are under way, and when the last one was mended.
    ill: u32,
    quiet_since: Duration,
    recorded: VecDeque<(HostId, Frame)>,
    wire: Option<Vec<OnWire>>,
    events: Vec<(Duration, HostId, node::Event)>,
}

impl World {
    /// A world in which every host is off. `begun` is only a place to count from.
    #[must_use]
    pub fn new(settings: Settings, seed: u64, begun: Instant) -> Self {
        let settings = Arc::new(settings);
        let hosts = settings.hosts();
        let checkers = Checkers::new(&settings);
        let pair = |one: HostId| {
            let others = settings.members(one).into_iter();
            others
                .filter(move |other| one < *other)
                .map(move |other| [one, other])
        };
        let pairs: Vec<[HostId; 2]> = match settings.replicate {
            Some(_) => settings.host_ids().into_iter().flat_map(pair).collect(),
            None => Vec::new(),
        };
        let mut world = World {
            begun,
            now: begun,
            dice: Dice::new(seed),
            network: Network::new(hosts, settings.link, settings.neighbour),
            links: Links::new(pairs, hosts),
            witness: Witness::default(),
            reported: vec![Duration::ZERO; hosts],
            hosts: (0..hosts)
                .map(|id| Host::new(id, Arc::clone(&settings), begun))
                .collect(),
            queue: BTreeMap::new(),
            count: 0,
            checkers,
            trace: Trace::new(false),
            ill: 0,
            quiet_since: Duration::ZERO,
            recorded: VecDeque::new(),
            wire: None,
            events: Vec::new(),
            settings,
        };
        world.begin_links();
        world.begin_witness();
        world
    }

    /// Keeps a line for every event from now on.
    #[must_use]
    pub fn with_trace(mut self) -> Self {
        self.trace = Trace::new(true);
        self
    }

    /// Keeps every datagram but heartbeats from now on.
    #[must_use]
    pub fn with_capture(mut self) -> Self {
        self.wire = Some(Vec::new());
        self
    }

    /// Switches every host on and lets the cluster form.
    #[must_use]
    pub fn running(mut self) -> Self {
        for host in self.settings.host_ids() {
            self.boot(host);
        }
        let config = self.settings.heartbeat * self.settings.missed * 3;
        self.run(config.max(Duration::from_millis(500)) + Duration::from_millis(1500));
        self
    }

    // --- time ------------------------------------------------------------------------------------

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.turn(end) {}
        self.now = end;
    }

    /// Lets time pass until `done` holds, but no longer than `limit`. Says whether it does.
    pub fn run_until(&mut self, limit: Duration, done: impl Fn(&World) -> bool) -> bool {
        let end = self.now + limit;
        while !done(self) {
            if !self.turn(end) {
                self.now = end;
                return done(self);
            }
        }
        true
    }

    /// Time since the world began.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.now - self.begun
    }

    /// Lets the next thing happen, if it happens by `end`.
    fn turn(&mut self, end: Instant) -> bool {
        let wakes = self.hosts.iter().enumerate();
        let timer = wakes
            .filter_map(|(id, host)| Some((host.wake()?, id)))
            .min();
        let next = self.queue.first_key_value().map(|(key, _)| *key);
        let queue_first = match (timer, next) {
            (Some((timer, _)), Some((next, _))) => next <= timer,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if queue_first {
            let Some(key) = next.filter(|(at, _)| *at <= end) else {
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
            let effects = self.hosts[host].timeout(self.now);
            self.carry_out(host, effects);
        }
        self.count += 1;
        self.look_at_owners();
        if self.count.is_multiple_of(LOOK) {
            self.look_at_bounds();
        }
        true
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now;
        match happening {
            Happening::Arrive { to, frame } => {
                let effects = self.hosts[to].frame(frame, now);
                self.carry_out(to, effects);
            }
            Happening::Links => self.tick_links(),
            Happening::Witness => self.tick_witness(),
            Happening::Proposed { host, proposal } => self.proposed(host, proposal),
            Happening::Straggler(proposal) => self.straggler(&proposal),
            Happening::Told { host, life, word } => self.told(host, life, word),
            Happening::Linked(seen) => self.notice_link(&seen),
            Happening::Message { link, end } => self.deliver_link(link, end),
            Happening::Hear { to, from, address } => self.network.hear(to, from, address),
            Happening::Errand { host, life, errand } => {
                let effects = self.hosts[host].errand(errand, life, now);
                self.carry_out(host, effects);
            }
        }
    }

    fn later(&mut self, after: Duration, happening: Happening) {
        self.count += 1;
        self.queue.insert((self.now + after, self.count), happening);
    }

    // --- what hosts do ---------------------------------------------------------------------------

    fn carry_out(&mut self, host: HostId, effects: Vec<Effect>) {
        let at = self.time();
        for effect in effects {
            match effect {
                Effect::Send(frame) => self.send(host, frame),
                Effect::Announce(address) => self.announce(host, address),
                Effect::After(time, errand) => {
                    let life = self.hosts[host].life();
                    self.later(time, Happening::Errand { host, life, errand });
                }
                Effect::Offered(packet) => self.checkers.offered(at, &packet),
                Effect::Delivered { packet, clear } => {
                    self.trace
                        .note(at, Some(host), &packet, || "an application gets a packet");
                    self.checkers.delivered(at, host, &packet, clear);
                }
                Effect::Installed(id, pair) => {
                    self.trace
                        .note(at, Some(host), &pair.inbound_spi.to_be_bytes(), || {
                            let (inbound, outbound) = (pair.inbound_spi, pair.outbound_spi);
                            format!("installs pair {id}: in {inbound:08x}, out {outbound:08x}")
                        });
                }
                Effect::Removed(id) => {
                    self.trace.note(at, Some(host), &id.0.to_be_bytes(), || {
                        format!("removes pair {id}")
                    });
                }
                Effect::Key(marker) => self.checkers.key(marker),
                Effect::Link(to, message) => self.send_link(host, to, message),
                Effect::Propose(proposal) => self.ask_witness(host, proposal),
                Effect::Reported => self.reported[host] = at,
                Effect::Opened(bucket) => {
                    self.trace.note(at, Some(host), b"opens", || {
                        format!("opens the gate of bucket {bucket}")
                    });
                    let first = self.settings.groups_of(host).start;
                    let group = first + usize::from(bucket.0).saturating_sub(1);
                    self.checkers.opened(at, host, group);
                }
                Effect::Told(event) => {
                    self.trace
                        .note(at, Some(host), b"event", || event.to_string());
                    self.events.push((at, host, *event));
                }
                Effect::Broken(why) => {
                    let why = format!("host {host}: {why}");
                    self.checkers.note(at, Checker::Contract, Some(why));
                }
            }
        }
    }

    /// Puts a datagram on the wire.
    fn send(&mut self, from: HostId, frame: Frame) {
        let at = self.time();
        self.checkers.sent(at, from, &frame);
        let heartbeat = matches!(frame.content, Content::Heartbeat { .. });
        if !heartbeat {
            self.trace
                .note(at, Some(from), frame.bytes(), || format!("sends {frame}"));
            if let Some(wire) = &mut self.wire {
                wire.push(OnWire {
                    at,
                    host: from,
                    frame: frame.clone(),
                });
            }
        }
        if self.recorded.len() == RECORDED {
            self.recorded.pop_front();
        }
        self.recorded.push_back((from, frame.clone()));
        self.transport(from, frame);
    }

    /// Takes a datagram to whoever is believed to have its address.
    fn transport(&mut self, from: HostId, frame: Frame) {
        let path = self.addresses().path(frame.dst);
        let (now, hosts) = (self.time(), &self.hosts);
        let has = |host: HostId, address: IpAddr| hosts[host].has(address);
        let network = &mut self.network;
        let to = network.neighbour(from, frame.dst, path, now, &has, &mut self.dice);
        let Some(to) = to else { return };
        for flight in self.network.flights(from, to, path, &mut self.dice) {
            let mut frame = frame.clone();
            if let Some(changed) = flight.changed {
                let bytes = frame.bytes_mut();
                let place = changed as usize % bytes.len().max(1);
                if let Some(octet) = bytes.get_mut(place) {
                    *octet ^= 1 << (changed >> 60 & 7);
                }
            }
            self.later(flight.time, Happening::Arrive { to, frame });
        }
    }

    fn announce(&mut self, from: HostId, address: IpAddr) {
        let at = self.time();
        self.trace.note(at, Some(from), b"announce", || {
            format!("announces {address}")
        });
        let path = self.addresses().path(address);
        for to in (0..self.hosts.len()).filter(|to| *to != from) {
            for flight in self.network.flights(from, to, path, &mut self.dice) {
                self.later(flight.time, Happening::Hear { to, from, address });
            }
        }
    }

    /// Where everything is.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.settings.addresses()
    }

    /// What it is made of.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Every breach of a promise so far.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        self.checkers.violations()
    }
}
