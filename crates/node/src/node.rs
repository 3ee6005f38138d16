//! The node: one input goes to the machine it concerns, every effect goes into one queue.

mod copy;
mod group_work;
mod hand_over;
mod operator;
mod replicate;
mod softly;
mod status;
#[cfg(test)]
mod tests;
mod voice;

use crate::acquire::{self, NoAcquire};
use crate::command::{ApiMisuse, Command, Datagram};
use crate::config::{Config, GroupAddresses};
use crate::event::Event;
use crate::group::Departure;
use crate::output::{Output, Timer};
use crate::replication::parcel::{News, Stray};
use crate::replication::{Loss, Replication};
use crate::rules::child_rules;
use crate::soft::Softs;
use cluster::{GroupName, Member, NodeName, Replicator};
use crypto::Random;
use ike::Endpoint;
use policy::{Bucket, Pad, RuleName, Spd, Transport};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use wire::ip::Flow;

/// A host's IKE, policy and cluster.
pub struct Node {
    ike: Endpoint,
    spd: Arc<Spd>,
    pad: Arc<Pad>,
    cluster: Option<Member>,
    /// Where the SAs of groups survive a change of owner.
    replication: Option<Replication>,
    /// Numbers that the next step's parcels bring.
    fresh: BTreeMap<GroupName, Vec<News>>,
    /// Who gets the SAs of groups whose services are stopping.
    heirs: BTreeMap<GroupName, NodeName>,
    groups: Vec<GroupAddresses>,
    /// The addresses of the host, as far as it has told.
    host_addresses: Vec<IpAddr>,
    /// Groups whose addresses are on this host, or will be in a moment.
    claimed: BTreeSet<GroupName>,
    departures: BTreeMap<GroupName, Departure>,
    /// Whether crash tokens may be shown for a group, as IKE was told.
    tokens: BTreeMap<GroupName, bool>,
    /// Peers that may come to be spoken to in clear text.
    softs: Softs,
    outputs: VecDeque<Output>,
    ike_wait: Option<(Instant, ike::Timer)>,
    cluster_wait: Option<(Instant, cluster::Timer)>,
}

impl Node {
    /// A node with these settings on a host with these addresses. `incarnation` must be greater at
    /// every start of the same node (nanoseconds of the wall clock will do).
    ///
    /// The addresses of groups are inactive until the cluster gives a group to this node.
    ///
    /// # Errors
    /// When the cluster's configuration contradicts itself.
    pub fn new(
        config: Config,
        addresses: &[IpAddr],
        incarnation: u64,
        mut random: Box<dyn Random + Send>,
        now: Instant,
    ) -> Result<Self, cluster::ConfigError> {
        let spd = Spd::build(config.rules, addresses);
        let buckets = config.cluster.as_ref().map(buckets).unwrap_or_default();
        let replicates = !buckets.is_empty();
        let ike = Endpoint::new(
            ike::Config {
                cookies: config.cookies,
                puzzles: config.puzzles,
                export_keys: config.export_keys,
                first_child: if replicates { draw(&mut *random) } else { 0 },
                buckets: addresses_of(&buckets),
                qcd_secret: config.recovery.qcd_secret,
                tickets: config.recovery.tickets,
                ..ike::Config::new(Arc::clone(&config.pad), child_rules(&spd))
            },
            random,
        );
        let replication = config
            .cluster
            .as_ref()
            .filter(|_| replicates)
            .map(|cluster| replication(cluster, incarnation, buckets));
        let (cluster, groups) = match config.cluster {
            Some(cluster) => (
                Some(Member::new(cluster.member, now, incarnation)?),
                cluster.groups,
            ),
            None => (None, Vec::new()),
        };
        let mut node = Self {
            ike,
            spd: Arc::new(spd),
            pad: config.pad,
            cluster,
            replication,
            fresh: BTreeMap::new(),
            heirs: BTreeMap::new(),
            groups,
            host_addresses: addresses.to_vec(),
            claimed: BTreeSet::new(),
            departures: BTreeMap::new(),
            tokens: BTreeMap::new(),
            softs: Softs::default(),
            outputs: VecDeque::new(),
            ike_wait: None,
            cluster_wait: None,
        };
        node.outputs
            .push_back(Output::Policy(Arc::clone(&node.spd)));
        for address in node.all_group_addresses() {
            node.tell_ike(
                ike::Command::SetActive {
                    address,
                    active: false,
                },
                now,
            );
        }
        node.drain(now);
        Ok(node)
    }

    /// Takes a datagram. Whatever it contains, the node goes on.
    pub fn handle_datagram(&mut self, datagram: Datagram<'_>, now: Instant) {
        self.take_datagram(datagram, now);
        self.drain(now);
    }

    pub(crate) fn take_datagram(&mut self, datagram: Datagram<'_>, now: Instant) {
        match datagram {
            // A connection ends with this node's part: what is in it would be answered elsewhere.
            Datagram::Ike {
                transport: Transport::Tcp,
                local,
                ..
            } if self.passes_on(local.ip()) => {}
            Datagram::Ike {
                local,
                remote,
                bytes,
                ..
            } if self.passes_on(local.ip()) => {
                let bytes = bytes.to_vec();
                let stray = Stray::Ike {
                    local,
                    remote,
                    bytes,
                };
                self.stray(local.ip(), stray);
            }
            Datagram::Ike {
                transport,
                local,
                remote,
                bytes,
            } => {
                self.adopt_for(local.ip(), remote.ip(), now);
                if !self.softs.is_empty() {
                    self.softs.heard(local.ip(), remote.ip());
                }
                self.ike.handle_datagram(
                    ike::Datagram {
                        transport,
                        local,
                        remote,
                        bytes,
                    },
                    now,
                );
            }
            Datagram::Cluster { from, to, bytes } => {
                if let Some(member) = &mut self.cluster {
                    member.handle_datagram(from, to, bytes, now);
                }
            }
        }
    }

    /// Takes a command.
    ///
    /// # Errors
    /// When it cannot be carried out; then nothing has changed.
    pub fn handle_command(&mut self, command: Command, now: Instant) -> Result<(), ApiMisuse> {
        let outcome = match command {
            Command::Acquire { rule, flow, outer } => {
                self.acquire(&rule, &flow, outer, now);
                Ok(())
            }
            Command::UnknownSpi { local, remote, spi } => {
                self.unknown_spi(local, remote, spi, now);
                Ok(())
            }
            Command::Stream(news) => {
                self.tell_ike(ike::Command::Stream(news), now);
                Ok(())
            }
            Command::Usage { child, usage } => {
                // A pair that ended in the meantime is no mistake of the driver.
                self.tell_ike(ike::Command::ChildUsage { child, usage }, now);
                Ok(())
            }
            Command::Addresses(addresses) => {
                self.host_addresses = addresses;
                self.expand(now);
                self.addresses_changed(now);
                Ok(())
            }
            Command::WitnessReachable(_)
            | Command::WitnessRecord { .. }
            | Command::Witnessed { .. } => self.witness_says(command, now),
            Command::Linked { .. }
            | Command::LinkMessage { .. }
            | Command::Refill { .. }
            | Command::RefillInbound { .. }
            | Command::Windows(_)
            | Command::GateClosed { .. }
            | Command::Stray(_) => {
                self.replication_command(command, now);
                Ok(())
            }
            Command::Reload(config) => self.reload(*config, now),
            Command::GroupStarted { .. }
            | Command::GroupFailed { .. }
            | Command::ServicesStopped { .. }
            | Command::AddressesReleased { .. }
            | Command::AddressesUp { .. }
            | Command::FirstSealed { .. }
            | Command::FirstOpened { .. } => self.group_answer(command, now),
            _ => self.operate(command, now),
        };
        self.drain(now);
        outcome
    }

    /// Lets what is due at `now` happen.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.ike_wait.is_some_and(|(at, _)| at <= now) {
            self.ike.handle_timeout(now);
        }
        if self.cluster_wait.is_some_and(|(at, _)| at <= now)
            && let Some(member) = &mut self.cluster
        {
            member.handle_timeout(now);
        }
        self.replication_due(now);
        self.drain(now);
        self.soft_due(now);
    }

    /// The next effect; [`Output::Wait`] when there is none.
    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let ike = self.ike_wait.map(|(at, timer)| (at, Timer::Ike(timer)));
        let cluster = self
            .cluster_wait
            .map(|(at, timer)| (at, Timer::Cluster(timer)));
        let replication = self.replication.as_ref().and_then(Replication::deadline);
        let replication = replication.map(|at| (at, Timer::Replication));
        let soft = self.softs.deadline().map(|at| (at, Timer::Soft));
        let all = ike
            .into_iter()
            .chain(cluster)
            .chain(replication)
            .chain(soft);
        Output::Wait(all.min_by_key(|(at, _)| *at))
    }

    /// The policy in force.
    #[must_use]
    pub fn spd(&self) -> &Arc<Spd> {
        &self.spd
    }

    /// The peers.
    #[must_use]
    pub fn pad(&self) -> &Arc<Pad> {
        &self.pad
    }

    /// The IKE machine, to be looked at.
    #[must_use]
    pub fn ike(&self) -> &Endpoint {
        &self.ike
    }

    /// The cluster's member, to be looked at.
    #[must_use]
    pub fn cluster(&self) -> Option<&Member> {
        self.cluster.as_ref()
    }

    /// The addresses of the groups, by group.
    #[must_use]
    pub fn groups(&self) -> &[GroupAddresses] {
        &self.groups
    }

    /// What time does to replication.
    fn replication_due(&mut self, now: Instant) {
        let Some(replication) = &self.replication else {
            return;
        };
        let witness = replication.witness;
        let groups: Vec<GroupName> = replication.groups.keys().cloned().collect();
        for group in groups {
            let shared = self.replication.as_ref().and_then(|r| r.groups.get(&group));
            let Some(shared) = shared else { continue };
            let lost = matches!(shared.loss, Loss::Waiting(at) if at <= now);
            let replace = shared.replace_at.is_some_and(|at| at <= now);
            let adopt = shared.adopt_at.is_some_and(|at| at <= now);
            let departure = shared.departure.as_ref();
            let departure = departure.is_some_and(|one| one.stage.until() <= now);
            if lost {
                self.fall_silent_on_copies(&group, now);
            }
            if (lost && !witness) || replace {
                self.replace_some(&group, now);
            }
            if adopt {
                self.adopt_some(&group, now);
            }
            if departure {
                self.handover_due(&group, now);
            }
        }
    }

    fn acquire(&mut self, rule: &RuleName, flow: &Flow, outer: Option<IpAddr>, now: Instant) {
        match acquire::for_flow(&self.spd, &self.pad, flow, outer) {
            Ok(acquire) => {
                self.adopt_for(acquire.local, acquire.remote, now);
                self.watch(&acquire, now);
                self.tell_ike(ike::Command::Acquire(Box::new(acquire)), now);
            }
            // The policy changed while the packet waited: the data plane judges it again.
            Err(NoAcquire::NotNegotiated) => {}
            Err(NoAcquire::NoPeer) => {
                self.event(Event::NoPeer {
                    rule: rule.clone(),
                    remote: flow.dst,
                });
            }
        }
    }

    /// Only a peer that believes in an SA of this host sends to an SPI unknown here. If it may be
    /// told at all (its timers allow hints), IKE decides whether it is offered a new SA.
    fn unknown_spi(&mut self, local: IpAddr, remote: IpAddr, spi: u32, now: Instant) {
        self.adopt_for(local, remote, now);
        let acquire = acquire::for_hosts(&self.spd, &self.pad, local, remote).filter(|acquire| {
            self.pad
                .find_by_name(&acquire.peer)
                .is_some_and(|peer| peer.ike.hints)
        });
        let acquire = acquire.filter(|_| self.may_speak(local, now)).map(Box::new);
        self.tell_ike(
            ike::Command::InvalidSpi {
                local,
                remote,
                spi,
                acquire,
            },
            now,
        );
    }

    /// `me` may mean other addresses from now on, and rules become live or dormant. It stands for
    /// what the host has and will have in a moment: a group's address must not be up before the
    /// rules about it are in force.
    pub(crate) fn expand(&mut self, now: Instant) {
        let claimed = self
            .claimed
            .iter()
            .flat_map(|group| self.addresses_of(group));
        let addresses: Vec<IpAddr> = self.host_addresses.iter().copied().chain(claimed).collect();
        let mut spd = (*self.spd).clone();
        if spd.set_local_addresses(&addresses) {
            self.enforce(spd, now);
        }
    }

    fn enforce(&mut self, spd: Spd, now: Instant) {
        self.spd = Arc::new(spd);
        self.outputs
            .push_back(Output::Policy(Arc::clone(&self.spd)));
        self.soft_policy();
        let (pad, rules) = (Arc::clone(&self.pad), child_rules(&self.spd));
        self.tell_ike(ike::Command::Reload { pad, rules }, now);
    }

    /// Commands that the node itself gives to IKE are right by construction, or about an SA that
    /// has just ended.
    fn tell_ike(&mut self, command: ike::Command, now: Instant) {
        let _ = self.ike.handle_command(command, now);
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Moves the effects of all machines into the one queue until all wait.
    fn drain(&mut self, now: Instant) {
        loop {
            while self.drain_ike(now) {}
            self.replicate(now);
            let more = self.drain_cluster(now)
                || self.drain_replicator(now)
                || self.conclude_handovers(now);
            if !more {
                break;
            }
        }
        self.allow_tokens(now);
    }

    pub(crate) fn drain_ike(&mut self, now: Instant) -> bool {
        let output = match self.ike.poll_output() {
            ike::Output::Wait(wait) => {
                self.ike_wait = wait;
                return false;
            }
            ike::Output::Transmit {
                transport,
                local,
                remote,
                bytes,
            } => {
                let transmit = Output::TransmitIke {
                    transport,
                    local,
                    remote,
                    bytes,
                };
                if self.may_speak(local.ip(), now) {
                    self.stage(local.ip(), transmit);
                }
                return true;
            }
            ike::Output::Install(install) => {
                self.install(install, now);
                return true;
            }
            ike::Output::Activate { child } => {
                self.activate(child);
                return true;
            }
            ike::Output::Keepalive { local, .. } if !self.may_speak(local.ip(), now) => {
                return true;
            }
            ike::Output::OpenStream { local, .. } if !self.may_speak(local, now) => return true,
            ike::Output::OpenStream { ike, local, remote } => {
                Output::OpenStream { ike, local, remote }
            }
            ike::Output::Keepalive { local, remote } => Output::Keepalive { local, remote },
            ike::Output::Redirect {
                child,
                local,
                remote,
                encapsulation,
            } => Output::Redirect {
                child,
                local,
                remote,
                encapsulation,
            },
            ike::Output::SkipSequence { child, delta } => Output::SkipSequence { child, delta },
            ike::Output::Remove {
                child, inbound_spi, ..
            } => {
                self.uninstalled(child);
                Output::Remove { child, inbound_spi }
            }
            ike::Output::AskStatus(ask) => Output::AskStatus(ask),
            ike::Output::AskGss(ask) => Output::AskGss(ask),
            ike::Output::EndGss(context) => Output::EndGss(context),
            ike::Output::Keys(keys) => Output::Keys(keys),
            ike::Output::IsakmpKey(key) => Output::IsakmpKey(key),
            ike::Output::Event(event) => {
                self.ike_event(event, now);
                return true;
            }
        };
        self.outputs.push_back(output);
        true
    }

    fn ike_event(&mut self, event: ike::Event, now: Instant) {
        if let ike::Event::AddressReleased { address, .. } = event {
            self.address_quiet(address, now);
        }
        let news = event.clone();
        self.event(Event::Ike(event));
        self.soft_news(&news, now);
    }

    fn drain_cluster(&mut self, now: Instant) -> bool {
        let Some(member) = &mut self.cluster else {
            return false;
        };
        match member.poll_output() {
            cluster::Output::Wait(wait) => {
                self.cluster_wait = wait;
                return false;
            }
            cluster::Output::Transmit { to, bytes } => {
                self.outputs
                    .push_back(Output::TransmitCluster { to, bytes });
            }
            cluster::Output::Start {
                group,
                epoch,
                entitled,
                ..
            } => self.start(group, epoch, entitled, now),
            cluster::Output::Propose {
                group,
                expected,
                value,
                tag,
            } => self.outputs.push_back(Output::Propose {
                group,
                expected,
                value,
                tag,
            }),
            cluster::Output::Members {
                group,
                epoch,
                members,
            } => self.members_written(&group, epoch, &members),
            cluster::Output::Stop { group, reason, .. } => self.stop(group, &reason, now),
            cluster::Output::Event(event) => {
                self.member_event(&event, now);
                self.event(Event::Cluster(event));
            }
        }
        true
    }
}

/// The groups whose SAs are replicated, each with its bucket: its place among all of them, by
/// name, from 1. None where SAs are negotiated anew.
fn buckets(cluster: &crate::config::ClusterConfig) -> Vec<(GroupName, Bucket, Vec<IpAddr>)> {
    if cluster.replicate.is_none() {
        return Vec::new();
    }
    let mut groups = cluster.groups.clone();
    groups.sort_by(|one, other| one.group.cmp(&other.group));
    let numbered = (1..).map(Bucket).zip(groups);
    numbered
        .map(|(bucket, one)| (one.group, bucket, one.addresses))
        .collect()
}

fn addresses_of(buckets: &[(GroupName, Bucket, Vec<IpAddr>)]) -> BTreeMap<IpAddr, Bucket> {
    let all = buckets.iter();
    all.flat_map(|(_, bucket, addresses)| addresses.iter().map(|one| (*one, *bucket)))
        .collect()
}

fn replication(
    cluster: &crate::config::ClusterConfig,
    incarnation: u64,
    buckets: Vec<(GroupName, Bucket, Vec<IpAddr>)>,
) -> Replication {
    let member = &cluster.member;
    let mut names: Vec<&NodeName> = member.peers.iter().map(|peer| &peer.name).collect();
    names.push(&member.node);
    names.sort();
    let number = names.iter().position(|name| **name == member.node);
    let number = number.map_or(0, |number| number as u16) + 1;
    let strict = cluster.replicate.is_some_and(|replicate| replicate.strict);
    let replicator = Replicator::new(member.node.clone(), incarnation, member.witness);
    let ways = (strict, member.witness);
    Replication::new(member.node.clone(), replicator, number, ways, buckets)
}

/// A number for the upper half of pairs' numbers.
fn draw(random: &mut dyn Random) -> u64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes[..4]);
    u64::from_be_bytes(bytes)
}
