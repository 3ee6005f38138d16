//! The daemon of a host: carries out what the node wants, in order, and tells it what happens.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::{GroupName, Parcel};
use esp::SaUsage;
use node::{Command, Datagram, Node, Output};

use crate::addresses::Addresses;
use crate::configuration::{group_name, host_of, node_name};
use crate::frame::{Content, Frame, HostId, is_front};
use crate::host::effect::{Effect, Errand, Step};
use crate::host::groups::Groups;
use crate::host::kernel::Kernel;
use crate::host::orders::{Order, Orders};
use crate::host::plane::{Back, Plane, marker, markers};
use crate::sabotage::Sabotage;
use crate::settings::Settings;
use crate::witness::Proposal;

/// Requests that are remembered by the sabotage that changes repetitions.
const REMEMBERED: usize = 64;

/// Node, data plane and driver of the groups.
pub(crate) struct Daemon {
    pub(crate) node: Node,
    pub(crate) plane: Plane,
    pub(crate) wake: Option<Instant>,
    host: HostId,
    groups: Groups,
    orders: Orders,
    back: Back,
    /// It is in the middle of what it did before it was frozen, and sees no orders.
    pub(crate) absorbed: bool,
    settings: Arc<Settings>,
    begun: Instant,
    sent: VecDeque<Vec<u8>>,
}

impl Daemon {
    pub(crate) fn new(
        mut node: Node,
        host: HostId,
        settings: &Arc<Settings>,
        seed: u64,
        begun: Instant,
    ) -> Self {
        // If both ends kept their pairs, they would still agree.
        let one_sided = |sabotage: &Sabotage| *sabotage != Sabotage::KeepPairs || is_front(host);
        let sabotage = settings.sabotage.filter(one_sided);
        if sabotage == Some(Sabotage::NoOutputCommit) {
            node.sabotage_output_commit();
        }
        let strict = settings.replicate.is_some_and(|replicate| replicate.strict);
        Daemon {
            node,
            plane: Plane::new(sabotage, strict),
            wake: None,
            host,
            orders: Orders::new(settings.lag, seed),
            back: Back::default(),
            absorbed: false,
            groups: Groups::default(),
            settings: Arc::clone(settings),
            begun,
            sent: VecDeque::new(),
        }
    }

    /// A packet from the TUN device.
    pub(crate) fn send(&mut self, packet: &[u8], now: Instant, effects: &mut Vec<Effect>) {
        // It looks for orders before every packet, unless it has one in its hands already.
        self.see_orders(!self.absorbed, now, effects);
        let frames = self.plane.send(packet, self.clock(now));
        effects.extend(frames.into_iter().map(Effect::Send));
    }

    /// A datagram from a socket.
    pub(crate) fn take(&mut self, frame: Frame, now: Instant, effects: &mut Vec<Effect>) {
        let Frame { src, dst, content } = frame;
        match content {
            Content::Ike {
                src_port,
                dst_port,
                bytes,
            } => {
                let local = SocketAddr::new(dst, dst_port);
                let remote = SocketAddr::new(src, src_port);
                let datagram = Datagram::Ike {
                    transport: policy::Transport::Udp,
                    local,
                    remote,
                    bytes: &bytes,
                };
                self.node.handle_datagram(datagram, now);
            }
            Content::Heartbeat { port, bytes } => {
                let from = SocketAddr::new(src, port);
                let datagram = Datagram::Cluster {
                    from,
                    to: dst,
                    bytes: &bytes,
                };
                self.node.handle_datagram(datagram, now);
            }
            Content::Esp { bytes, .. } => {
                // It looks for orders before every batch that it reads.
                self.see_orders(!self.absorbed, now, effects);
                match self.plane.stray(src, dst, &bytes) {
                    Some(stray) => self.tell(Command::Stray(stray), now, effects),
                    None => {
                        let order = Order::Inject(src, dst, bytes);
                        self.obey(order, now, effects);
                    }
                }
            }
            Content::Clear(_) => {}
        }
    }

    /// The packets for the TUN device since they were taken last.
    pub(crate) fn packets(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.back.packets)
    }

    /// A link stands, or stands no longer.
    pub(crate) fn linked(&mut self, to: HostId, up: bool, now: Instant, effects: &mut Vec<Effect>) {
        let node = node_name(to);
        self.tell(Command::Linked { node, up }, now, effects);
    }

    /// A member says something.
    pub(crate) fn link_message(
        &mut self,
        from: HostId,
        message: Parcel,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let from = node_name(from);
        self.tell(Command::LinkMessage { from, message }, now, effects);
    }

    /// The witness says something; a node that has left its cluster does not want to know.
    pub(crate) fn witness_says(&mut self, command: Command, now: Instant) {
        let _ = self.node.handle_command(command, now);
    }

    /// Its data plane takes so long at most to see an order.
    pub(crate) fn set_lag(&mut self, lag: Duration) {
        self.orders.set_lag(lag);
    }

    /// Gives the data plane an order.
    fn order(&mut self, order: Order, now: Instant, effects: &mut Vec<Effect>) {
        if self.settings.replicate.is_none() {
            return self.obey(order, now, effects);
        }
        let after = self.orders.give(order, now);
        effects.push(Effect::After(after, Errand::Orders));
    }

    fn obey(&mut self, order: Order, now: Instant, effects: &mut Vec<Effect>) {
        let clock = self.clock(now);
        self.plane.obey(order, clock, effects, &mut self.back);
    }

    /// The data plane carries out what it was ordered: what it must have seen, or all.
    fn see_orders(&mut self, all: bool, now: Instant, effects: &mut Vec<Effect>) {
        while let Some(order) = self.orders.take(now, all) {
            self.obey(order, now, effects);
        }
    }

    /// An errand of the daemon.
    pub(crate) fn errand(
        &mut self,
        errand: Errand,
        kernel: &mut Kernel,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        match errand {
            Errand::Usage => {
                effects.push(Effect::After(self.settings.usage, errand));
                self.report_usage(now);
            }
            Errand::PlaneTick => {
                effects.push(Effect::After(Duration::from_secs(1), errand));
                self.plane.tick(self.clock(now));
            }
            Errand::Notice => {
                let addresses = kernel.addresses.iter().copied().collect();
                self.tell(Command::Addresses(addresses), now, effects);
            }
            Errand::Orders => self.see_orders(false, now, effects),
            Errand::Windows => {
                effects.push(Effect::After(self.settings.windows, errand));
                let windows = self.plane.windows();
                effects.push(Effect::Reported);
                if !windows.is_empty() {
                    self.tell(Command::Windows(windows), now, effects);
                }
            }
            Errand::Group(group, order, step) if self.groups.is_current(group, order) => {
                self.step(group, order, step, kernel, now, effects);
            }
            _ => {}
        }
    }

    /// Carries out everything that the node wants, until it waits.
    pub(crate) fn settle(&mut self, kernel: &mut Kernel, now: Instant, effects: &mut Vec<Effect>) {
        loop {
            while self.carry_out(kernel, now, effects) {}
            if let Some(acquire) = self.plane.poll_acquire() {
                let command = Command::Acquire {
                    rule: acquire.rule,
                    flow: acquire.flow,
                    outer: None,
                };
                self.tell(command, now, effects);
            } else if let Some(unknown) = self.plane.poll_unknown_spi() {
                let command = Command::UnknownSpi {
                    local: unknown.destination,
                    remote: unknown.source,
                    spi: unknown.spi,
                };
                self.tell(command, now, effects);
            } else if let Some(command) = self.plane.poll_refill() {
                self.tell(command, now, effects);
            } else if let Some(command) = self.back.commands.pop() {
                self.tell(command, now, effects);
            } else {
                break;
            }
        }
    }

    /// One output of the node; false when it waits.
    fn carry_out(&mut self, kernel: &mut Kernel, now: Instant, effects: &mut Vec<Effect>) -> bool {
        let order = match self.node.poll_output() {
            Output::Wait(wait) => {
                self.wake = wait.map(|(at, _)| at);
                return false;
            }
            Output::Install(install) => {
                if self.settings.replicate.is_some() {
                    let keys = markers(&install.spec);
                    effects.extend(keys.into_iter().map(Effect::Key));
                }
                Order::Install(install)
            }
            Output::Activate { child } => Order::Activate(child),
            Output::Redirect {
                child,
                local,
                remote,
                encapsulation,
            } => Order::Redirect(child, (local, remote), encapsulation),
            Output::SkipSequence { child, delta } => Order::Skip(child, delta),
            Output::Remove { child, .. } => Order::Remove(child),
            Output::Policy(spd) => {
                kernel.filter = Some(Arc::clone(&spd));
                Order::Policy(spd)
            }
            Output::Grant {
                child,
                ceiling,
                refill_at,
            } => Order::Grant(child, ceiling, refill_at),
            Output::GrantInbound {
                child,
                ceiling,
                refill_at,
            } => Order::GrantInbound(child, ceiling, refill_at),
            Output::Exact { child, next } => Order::Exact(child, next),
            Output::RestoreWindow { child, image } => Order::RestoreWindow(child, image),
            Output::OpenGate { bucket, epoch } => Order::OpenGate(bucket, epoch),
            Output::CloseGate { bucket, hand_over } => Order::CloseGate(bucket, hand_over),
            Output::Inject {
                source,
                destination,
                bytes,
            } => Order::Inject(source, destination, bytes),
            other => {
                self.see_to(other, kernel, now, effects);
                return true;
            }
        };
        self.order(order, now, effects);
        true
    }

    /// An output that is not about the data plane.
    fn see_to(
        &mut self,
        output: Output,
        kernel: &mut Kernel,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        match output {
            Output::TransmitIke {
                local,
                remote,
                bytes,
                ..
            } => effects.push(Effect::Send(self.ike_frame(local, remote, bytes))),
            Output::TransmitCluster { to, bytes } => {
                effects.extend(self.heartbeat(to, bytes, kernel));
            }
            Output::TransmitLink { to, message } => {
                effects.extend(host_of(&to).map(|to| Effect::Link(to, message)));
            }
            Output::Propose {
                group,
                expected,
                value,
                tag,
            } => effects.push(Effect::Propose(Proposal {
                group,
                expected,
                value,
                tag,
            })),
            Output::Keys(keys) => {
                let keys = [&keys.sk_ei, &keys.sk_er, &keys.sk_ai, &keys.sk_ar];
                effects.extend(keys.into_iter().filter_map(marker).map(Effect::Key));
            }
            Output::IsakmpKey(one) => {
                effects.extend(marker(&one.key).map(Effect::Key));
            }
            Output::StartGroup { group } => self.start_group(&group, kernel, effects),
            Output::StopServices { group } => self.stop_services(&group, kernel, effects),
            Output::ReleaseAddresses { group } => {
                if let Some(group) = self.number(&group) {
                    effects.extend(self.groups.release(group, &self.settings.services));
                }
            }
            Output::Event(event) => {
                if let node::Event::Ike(ike::Event::AcquireFailed {
                    rule, selectors, ..
                }) = &event
                {
                    let remote = selectors.remote.iter().map(|one| one.addresses);
                    let order = Order::Failed(rule.clone(), remote.collect());
                    self.order(order, now, effects);
                }
                effects.push(Effect::Told(Box::new(event)));
            }
            _ => {}
        }
    }

    fn start_group(&mut self, name: &GroupName, kernel: &Kernel, effects: &mut Vec<Effect>) {
        let Some(group) = self.number(name) else {
            return;
        };
        let up = kernel.addresses.contains(&self.addresses().group(group));
        effects.extend(self.groups.start(group, up, &self.settings.services));
    }

    fn stop_services(&mut self, name: &GroupName, kernel: &mut Kernel, effects: &mut Vec<Effect>) {
        let Some(group) = self.number(name) else {
            return;
        };
        if self.settings.sabotage != Some(Sabotage::KeepGroups) {
            kernel.services.remove(&group);
        }
        effects.extend(self.groups.stop(group, &self.settings.services));
    }

    fn step(
        &mut self,
        group: usize,
        order: u64,
        step: Step,
        kernel: &mut Kernel,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let address = self.addresses().group(group);
        let name = group_name(group);
        match step {
            Step::AddressUp => {
                if kernel.addresses.insert(address) {
                    effects.push(Effect::After(self.settings.services.notice, Errand::Notice));
                }
                let times = &self.settings.services;
                effects.extend(self.groups.address_is_up(group, order, times));
            }
            Step::Announce => effects.push(Effect::Announce(address)),
            Step::ServicesUp => {
                kernel.services.insert(group);
                let invents = self.settings.sabotage == Some(Sabotage::InventGroup);
                let name = if invents { group_name(1) } else { name };
                self.tell(Command::GroupStarted { group: name }, now, effects);
            }
            Step::ServicesDown => {
                self.tell(Command::ServicesStopped { group: name }, now, effects);
            }
            Step::AddressesOff => {
                if self.settings.sabotage != Some(Sabotage::KeepGroups) {
                    kernel.addresses.remove(&address);
                }
                effects.push(Effect::After(self.settings.services.notice, Errand::Notice));
                self.tell(Command::AddressesReleased { group: name }, now, effects);
            }
        }
    }

    fn report_usage(&mut self, now: Instant) {
        let moment = |clock: u64| (clock > 0).then(|| self.begun + Duration::from_nanos(clock - 1));
        for (child, inbound, outbound) in self.plane.usage() {
            let SaUsage {
                packets,
                bytes,
                last_used,
                sequence,
                ..
            } = outbound;
            let usage = ike::Usage {
                inbound_bytes: inbound.bytes,
                inbound_packets: inbound.packets,
                outbound_bytes: bytes,
                outbound_packets: packets.max(sequence),
                last_inbound: moment(inbound.last_used),
                last_outbound: moment(last_used),
            };
            // A pair that the node does not know any more is no mistake of the driver.
            let _ = self
                .node
                .handle_command(Command::Usage { child, usage }, now);
        }
    }

    fn tell(&mut self, command: Command, now: Instant, effects: &mut Vec<Effect>) {
        if let Err(why) = self.node.handle_command(command, now) {
            effects.push(Effect::Broken(format!(
                "the node refuses what it must take: {why}"
            )));
        }
    }

    fn ike_frame(&mut self, local: SocketAddr, remote: SocketAddr, mut bytes: Vec<u8>) -> Frame {
        if self.settings.sabotage == Some(Sabotage::ChangeRequests) {
            if self.sent.contains(&bytes)
                && let Some(last) = bytes.last_mut()
            {
                *last ^= 1;
            } else {
                self.sent.push_back(bytes.clone());
                self.sent.truncate(REMEMBERED);
            }
        }
        let content = Content::Ike {
            src_port: local.port(),
            dst_port: remote.port(),
            bytes,
        };
        Frame {
            src: local.ip(),
            dst: remote.ip(),
            content,
        }
    }

    /// A heartbeat leaves from the host's own address on the network that it goes to.
    fn heartbeat(&self, to: SocketAddr, bytes: Vec<u8>, kernel: &Kernel) -> Option<Effect> {
        let addresses = self.addresses();
        let path = addresses.path(to.ip());
        let groups: Vec<IpAddr> = self
            .settings
            .groups_of(self.host)
            .map(|group| addresses.group(group))
            .collect();
        let own =
            |address: &&IpAddr| addresses.path(**address) == path && !groups.contains(address);
        let src = *kernel.addresses.iter().find(own)?;
        let content = Content::Heartbeat {
            port: to.port(),
            bytes,
        };
        Some(Effect::Send(Frame {
            src,
            dst: to.ip(),
            content,
        }))
    }

    fn number(&self, name: &GroupName) -> Option<usize> {
        let mut groups = self.settings.groups_of(self.host);
        groups.find(|group| group_name(*group) == *name)
    }

    fn addresses(&self) -> Addresses {
        self.settings.addresses()
    }

    fn clock(&self, now: Instant) -> u64 {
        let nanoseconds = now.duration_since(self.begun).as_nanos();
        u64::try_from(nanoseconds)
            .unwrap_or(u64::MAX)
            .saturating_add(1)
    }
}
