//! A simulated host: a real node and its ESP, a kernel that outlives them, and applications.

mod application;
mod daemon;
mod effect;
mod groups;
mod kernel;
mod orders;
mod plane;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::Parcel;
use policy::Direction;
use wire::ip::{Flow, checksum};

use crate::addresses::CLIENT;
use crate::configuration;
use crate::frame::{Content, Frame, HostId, is_front};
use crate::packet::payload;
use crate::sabotage::Sabotage;
use crate::settings::Settings;

use application::Applications;
use daemon::Daemon;
use kernel::{Fate, Kernel};

pub use effect::PairView;
pub(crate) use effect::{Effect, Errand};

/// Datagrams that a frozen daemon's sockets hold; what comes later is lost, as in real ones.
const SOCKET: usize = 200;
/// Packets that a frozen daemon's TUN device holds.
const TUN: usize = 500;

/// Seconds from 1970 to the beginning of every world: 2026-01-01.
const YEAR_2026: u64 = 1_767_225_600;

/// How often in a row a node may want to be called again at once: several timers of one SA are due
/// after a freeze, and one call may see to one of them.
const LATE: u32 = 20;

/// What waits for a frozen daemon.
enum Waiting {
    Frame(Frame),
    Packet(Vec<u8>),
    Errand(Errand),
    Linked(HostId, bool),
    Message(HostId, Parcel),
    Witness(node::Command),
}

/// One host.
pub struct Host {
    id: HostId,
    settings: Arc<Settings>,
    begun: Instant,
    powered: bool,
    kernel: Kernel,
    daemon: Option<Daemon>,
    frozen: bool,
    waiting: VecDeque<Waiting>,
    applications: Applications,
    /// How often in a row the node wanted to be called again at once.
    late: u32,
    /// How often it was powered on, and how often its daemon was started.
    boots: u64,
    starts: u64,
}

impl Host {
    /// A host that is switched off. `begun` is the world's beginning.
    #[must_use]
    pub fn new(id: HostId, settings: Arc<Settings>, begun: Instant) -> Self {
        let applications = Applications::new(id, settings.addresses(), settings.traffic.filling);
        Host {
            id,
            settings,
            begun,
            powered: false,
            kernel: Kernel::default(),
            daemon: None,
            frozen: false,
            waiting: VecDeque::new(),
            applications,
            late: 0,
            boots: 0,
            starts: 0,
        }
    }

    // --- what is done to it ----------------------------------------------------------------------

    /// Switches the host on and starts its daemon.
    pub(crate) fn boot(&mut self, seed: u64, now: Instant) -> Vec<Effect> {
        self.powered = true;
        self.boots += 1;
        let own = self.settings.addresses().all_own(self.id);
        self.kernel.addresses = own.iter().copied().collect();
        let mut effects = self.start(seed, now);
        effects.extend(own.into_iter().map(Effect::Announce));
        let traffic = &self.settings.traffic;
        for group in 0..self.settings.groups {
            // Groups take turns, so that their packets do not always coincide.
            let offset = traffic.probe.mul_f64(group as f64 / 2.0);
            if is_front(self.id) {
                effects.push(Effect::After(traffic.probe + offset, Errand::Probe(group)));
                let open = traffic
                    .open
                    .map(|gap| Effect::After(gap, Errand::Open(group)));
                effects.extend(open);
            } else {
                let push = traffic
                    .push
                    .map(|gap| Effect::After(gap, Errand::Push(group)));
                effects.extend(push);
            }
        }
        effects
    }

    /// Starts the daemon on a host that is up: addresses that a predecessor left are taken off.
    pub(crate) fn start(&mut self, seed: u64, now: Instant) -> Vec<Effect> {
        if !self.powered || self.daemon.is_some() {
            return Vec::new();
        }
        self.starts += 1;
        for group in self.settings.groups_of(self.id) {
            self.kernel
                .addresses
                .remove(&self.settings.addresses().group(group));
            self.kernel.services.remove(&group);
        }
        let addresses: Vec<IpAddr> = self.kernel.addresses.iter().copied().collect();
        let config = configuration::config(&self.settings, self.id);
        let incarnation = nanoseconds(self.begun, now) + self.starts;
        let random = Box::new(crypto::SeededRandom::new(seed));
        let node = node::Node::new(config, &addresses, incarnation, random, now);
        match node {
            Ok(mut node) => {
                // The world begins in 2026.
                let seconds = YEAR_2026 + nanoseconds(self.begun, now) / 1_000_000_000;
                let _ = node.handle_command(node::Command::SetClock(seconds), now);
                self.daemon = Some(Daemon::new(node, self.id, &self.settings, seed, self.begun));
            }
            Err(why) => return vec![Effect::Broken(format!("the node does not start: {why}"))],
        }
        let mut effects = vec![
            Effect::After(self.settings.usage, Errand::Usage),
            Effect::After(Duration::from_secs(1), Errand::PlaneTick),
        ];
        if self.settings.replicate.is_some() && !self.settings.members(self.id).is_empty() {
            effects.push(Effect::After(self.settings.windows, Errand::Windows));
        }
        self.settle(now, &mut effects);
        effects
    }

    /// The power goes: everything is lost.
    pub(crate) fn crash(&mut self) {
        self.kill();
        self.powered = false;
        self.kernel = Kernel::default();
    }

    /// The daemon is killed: what the kernel holds stays.
    pub(crate) fn kill(&mut self) {
        self.daemon = None;
        self.frozen = false;
        self.waiting.clear();
    }

    /// The daemon is stopped.
    pub(crate) fn freeze(&mut self) {
        self.frozen = self.daemon.is_some();
    }

    /// The daemon goes on; it finds what waits for it, and its late timers.
    pub(crate) fn thaw(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.frozen = false;
        // The data plane has its batch in its hands, and looks for orders after it.
        self.set_absorbed(true);
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Frame(frame) => self.take(frame, now, &mut effects),
                Waiting::Packet(packet) => self.protect(packet, now, &mut effects),
                Waiting::Errand(errand) => self.do_errand(errand, now, &mut effects),
                Waiting::Linked(other, up) => self.hear_link(other, up, now, &mut effects),
                Waiting::Message(from, message) => {
                    self.hear_message(from, message, now, &mut effects);
                }
                Waiting::Witness(command) => self.hear_witness(command, now),
            }
        }
        self.set_absorbed(false);
        self.settle(now, &mut effects);
        effects
    }

    /// Gives the node a command.
    ///
    /// # Errors
    /// The node's own refusal; `None` when there is no daemon to ask.
    pub(crate) fn command(
        &mut self,
        command: node::Command,
        now: Instant,
    ) -> (Option<Result<(), node::ApiMisuse>>, Vec<Effect>) {
        let mut effects = Vec::new();
        let Some(daemon) = self.daemon.as_mut().filter(|_| !self.frozen) else {
            return (None, effects);
        };
        let outcome = daemon.node.handle_command(command, now);
        self.settle(now, &mut effects);
        (Some(outcome), effects)
    }

    // --- what happens to it ----------------------------------------------------------------------

    /// A datagram arrives.
    pub(crate) fn frame(&mut self, frame: Frame, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        if !self.has(frame.dst) {
            return effects;
        }
        if let Content::Clear(packet) = frame.content {
            self.admit(packet, now, &mut effects);
        } else if self.frozen {
            if self.waiting.len() < SOCKET {
                self.waiting.push_back(Waiting::Frame(frame));
            }
        } else {
            self.take(frame, now, &mut effects);
            self.settle(now, &mut effects);
        }
        effects
    }

    /// A link stands, or stands no longer.
    pub(crate) fn linked(&mut self, other: HostId, up: bool, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.frozen {
            self.waiting.push_back(Waiting::Linked(other, up));
        } else {
            self.hear_link(other, up, now, &mut effects);
            self.settle(now, &mut effects);
        }
        effects
    }

    /// A message comes over a link.
    pub(crate) fn message(&mut self, from: HostId, message: Parcel, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.frozen {
            self.waiting.push_back(Waiting::Message(from, message));
        } else {
            self.hear_message(from, message, now, &mut effects);
            self.settle(now, &mut effects);
        }
        effects
    }

    /// The witness says something.
    pub(crate) fn witness_says(&mut self, command: node::Command, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.frozen {
            self.waiting.push_back(Waiting::Witness(command));
        } else {
            self.hear_witness(command, now);
            self.settle(now, &mut effects);
        }
        effects
    }

    fn hear_witness(&mut self, command: node::Command, now: Instant) {
        if let Some(daemon) = &mut self.daemon {
            daemon.witness_says(command, now);
        }
    }

    fn hear_link(&mut self, other: HostId, up: bool, now: Instant, effects: &mut Vec<Effect>) {
        if let Some(daemon) = &mut self.daemon {
            daemon.linked(other, up, now, effects);
        }
    }

    fn hear_message(
        &mut self,
        from: HostId,
        message: Parcel,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(daemon) = &mut self.daemon {
            daemon.link_message(from, message, now, effects);
        }
    }

    fn set_absorbed(&mut self, absorbed: bool) {
        if let Some(daemon) = &mut self.daemon {
            daemon.absorbed = absorbed;
        }
    }

    /// Its data plane takes so long at most to see an order.
    pub(crate) fn set_lag(&mut self, lag: Duration) {
        if let Some(daemon) = &mut self.daemon {
            daemon.set_lag(lag);
        }
    }

    /// A timer of the node is due.
    pub(crate) fn timeout(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(daemon) = self.daemon.as_mut().filter(|_| !self.frozen) {
            daemon.node.handle_timeout(now);
            self.settle(now, &mut effects);
        }
        let late = self.wake().is_some_and(|wake| wake <= now);
        self.late = if late { self.late + 1 } else { 0 };
        if self.late == LATE {
            let what = "a timer of the node does not move on".to_owned();
            effects.push(Effect::Broken(what));
        }
        effects
    }

    /// The time of an errand has come. Errands of an earlier life are void.
    pub(crate) fn errand(&mut self, errand: Errand, life: (u64, u64), now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        let void = match errand.is_daemons() {
            true => self.daemon.is_none() || life != self.life(),
            false => !self.powered || life.0 != self.boots,
        };
        if void {
        } else if self.frozen && errand.is_daemons() {
            self.waiting.push_back(Waiting::Errand(errand));
        } else {
            self.do_errand(errand, now, &mut effects);
            self.settle(now, &mut effects);
        }
        effects
    }

    fn do_errand(&mut self, errand: Errand, now: Instant, effects: &mut Vec<Effect>) {
        let traffic = &self.settings.traffic;
        match errand {
            Errand::Probe(group) => {
                effects.push(Effect::After(traffic.probe, errand));
                if self.asks() {
                    let packet = self.applications.probe(group);
                    self.offer(packet, now, effects);
                }
            }
            Errand::Open(group) => {
                effects.extend(traffic.open.map(|gap| Effect::After(gap, errand)));
                if self.asks() {
                    let packet = self.applications.open(group);
                    self.offer(packet, now, effects);
                }
            }
            Errand::Push(group) => {
                effects.extend(traffic.push.map(|gap| Effect::After(gap, errand)));
                if self.serves(group) {
                    let packet = self.applications.push(group);
                    self.offer(packet, now, effects);
                }
            }
            _ => {
                if let Some(daemon) = &mut self.daemon {
                    daemon.errand(errand, &mut self.kernel, now, effects);
                }
            }
        }
    }

    /// An application has a packet to send. A kernel sends from its own addresses only.
    fn offer(&mut self, packet: Option<Vec<u8>>, now: Instant, effects: &mut Vec<Effect>) {
        let Some(packet) = packet else { return };
        let Ok(flow) = Flow::of(&packet) else { return };
        if !self.has(flow.src) {
            return;
        }
        effects.push(Effect::Offered(packet.clone()));
        match self.kernel.fate(&flow, Direction::Outbound) {
            Fate::Drop => {}
            Fate::Pass => {
                let content = Content::Clear(packet);
                effects.push(Effect::Send(Frame {
                    src: flow.src,
                    dst: flow.dst,
                    content,
                }));
            }
            Fate::Protect if self.frozen => {
                if self.waiting.len() < TUN {
                    self.waiting.push_back(Waiting::Packet(packet));
                }
            }
            Fate::Protect => self.protect(packet, now, effects),
        }
    }

    fn protect(&mut self, packet: Vec<u8>, now: Instant, effects: &mut Vec<Effect>) {
        if let Some(daemon) = &mut self.daemon {
            daemon.send(&packet, now, effects);
        }
    }

    /// A packet in clear arrives: if its checksum is right, the packet filter decides.
    fn admit(&mut self, packet: Vec<u8>, now: Instant, effects: &mut Vec<Effect>) {
        let Some(flow) = intact(&packet) else { return };
        let open = self.settings.sabotage == Some(Sabotage::AcceptClear);
        if open || self.kernel.fate(&flow, Direction::Inbound) == Fate::Pass {
            self.deliver(packet, true, now, effects);
        }
    }

    /// A datagram for the daemon.
    fn take(&mut self, frame: Frame, now: Instant, effects: &mut Vec<Effect>) {
        let Some(daemon) = &mut self.daemon else {
            return;
        };
        daemon.take(frame, now, effects);
        self.hand_up(now, effects);
    }

    /// The applications get what the data plane has for them.
    fn hand_up(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let packets = self.daemon.as_mut().map(Daemon::packets);
        for packet in packets.into_iter().flatten() {
            self.deliver(packet, false, now, effects);
        }
    }

    /// Whether the front end's applications run here.
    fn asks(&self) -> bool {
        !self.settings.front_cluster || self.serves(CLIENT)
    }

    /// An application gets a packet.
    fn deliver(
        &mut self,
        mut packet: Vec<u8>,
        clear: bool,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let Ok(flow) = Flow::of(&packet) else { return };
        if !self.has(flow.dst) {
            return;
        }
        if self.settings.sabotage == Some(Sabotage::Forge)
            && let Some(last) = packet.last_mut()
        {
            *last ^= 1;
        }
        effects.push(Effect::Delivered {
            packet: packet.clone(),
            clear,
        });
        let group = (0..self.settings.groups)
            .find(|group| self.settings.addresses().group(*group) == flow.dst);
        if group.is_some_and(|group| self.serves(group)) {
            let answer = self.applications.answer(&packet);
            self.offer(answer, now, effects);
        }
    }

    /// Lets node and plane do what they have to.
    fn settle(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        while let Some(daemon) = self.daemon.as_mut().filter(|_| !self.frozen) {
            daemon.settle(&mut self.kernel, now, effects);
            let packets = daemon.packets();
            if packets.is_empty() {
                break;
            }
            for packet in packets {
                self.deliver(packet, false, now, effects);
            }
        }
    }

    // --- what is seen of it ----------------------------------------------------------------------

    /// When its node wants to be called.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        self.daemon.as_ref().filter(|_| !self.frozen)?.wake
    }

    /// Which life it is in: boots, and starts of the daemon.
    #[must_use]
    pub fn life(&self) -> (u64, u64) {
        (self.boots, self.starts)
    }

    /// Whether it is switched on.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.powered
    }

    /// Whether its daemon is there and running.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.daemon.is_some() && !self.frozen
    }

    /// Whether its daemon is stopped.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Whether it answers for an address.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        self.powered && self.kernel.addresses.contains(&address)
    }

    /// Whether the services of a group run here.
    #[must_use]
    pub fn serves(&self, group: usize) -> bool {
        self.kernel.services.contains(&group)
    }

    /// The SA pairs of its ESP that it may use.
    #[must_use]
    pub fn pairs(&self) -> Vec<PairView> {
        let daemon = self.daemon.iter();
        daemon.flat_map(|daemon| daemon.plane.pairs(true)).collect()
    }

    /// The SA pairs of its ESP that another host uses.
    #[must_use]
    pub fn copies(&self) -> Vec<PairView> {
        let daemon = self.daemon.iter();
        daemon
            .flat_map(|daemon| daemon.plane.pairs(false))
            .collect()
    }

    /// SAs of its ESP in each direction, and packets that wait for one.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        let plane = self.daemon.as_ref().map(|daemon| &daemon.plane);
        plane.map_or((0, 0), |plane| (plane.sas(), plane.pending()))
    }

    /// Its node, while the daemon runs.
    #[must_use]
    pub fn node(&self) -> Option<&node::Node> {
        self.daemon.as_ref().map(|daemon| &daemon.node)
    }
}

/// The flow of a packet whose checksums are right.
fn intact(packet: &[u8]) -> Option<Flow> {
    let flow = Flow::of(packet).ok()?;
    let header = &packet[..packet.len() - payload(packet).len()];
    let sound = flow.src.is_ipv6() || checksum::of(header) == 0;
    let Flow {
        src, dst, protocol, ..
    } = flow;
    (sound && checksum::is_right(src, dst, protocol, &[payload(packet)])).then_some(flow)
}

/// The time of a data plane: nanoseconds since the world began, never 0.
fn nanoseconds(begun: Instant, now: Instant) -> u64 {
    u64::try_from(now.duration_since(begun).as_nanos())
        .unwrap_or(u64::MAX)
        .saturating_add(1)
}
