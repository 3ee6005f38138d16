//! The node: one input goes to the machine it concerns, every effect goes into one queue.

mod group_work;
mod operator;
#[cfg(test)]
mod tests;

use crate::acquire::{self, NoAcquire};
use crate::command::{ApiMisuse, Command, Datagram};
use crate::config::{Config, GroupAddresses};
use crate::event::Event;
use crate::group::Departure;
use crate::output::{Output, Timer};
use crate::rules::child_rules;
use cluster::{GroupName, Member};
use crypto::Random;
use ike::Endpoint;
use policy::{Pad, RuleName, Spd};
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
    groups: Vec<GroupAddresses>,
    /// The addresses of the host, as far as it has told.
    host_addresses: Vec<IpAddr>,
    /// Groups whose addresses are on this host, or will be in a moment.
    claimed: BTreeSet<GroupName>,
    departures: BTreeMap<GroupName, Departure>,
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
        random: Box<dyn Random + Send>,
        now: Instant,
    ) -> Result<Self, cluster::ConfigError> {
        let spd = Spd::build(config.rules, addresses);
        let ike = Endpoint::new(
            ike::Config {
                cookies: config.cookies,
                export_keys: config.export_keys,
                ..ike::Config::new(Arc::clone(&config.pad), child_rules(&spd))
            },
            random,
        );
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
            groups,
            host_addresses: addresses.to_vec(),
            claimed: BTreeSet::new(),
            departures: BTreeMap::new(),
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
        match datagram {
            Datagram::Ike {
                local,
                remote,
                bytes,
            } => {
                self.ike.handle_datagram(
                    ike::Datagram {
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
        self.drain(now);
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
            Command::Usage { child, usage } => {
                // A pair that ended in the meantime is no mistake of the driver.
                let _ = self
                    .ike
                    .handle_command(ike::Command::ChildUsage { child, usage }, now);
                Ok(())
            }
            Command::Addresses(addresses) => {
                self.host_addresses = addresses;
                self.expand(now);
                Ok(())
            }
            Command::Reload(config) => self.reload(*config, now),
            Command::GroupStarted { .. }
            | Command::GroupFailed { .. }
            | Command::ServicesStopped { .. }
            | Command::AddressesReleased { .. } => self.group_answer(command, now),
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
        self.drain(now);
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
        Output::Wait(ike.into_iter().chain(cluster).min_by_key(|(at, _)| *at))
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

    fn acquire(&mut self, rule: &RuleName, flow: &Flow, outer: Option<IpAddr>, now: Instant) {
        match acquire::for_flow(&self.spd, &self.pad, flow, outer) {
            Ok(acquire) => self.tell_ike(ike::Command::Acquire(Box::new(acquire)), now),
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
        let acquire = acquire::for_hosts(&self.spd, &self.pad, local, remote).filter(|acquire| {
            self.pad
                .find_by_name(&acquire.peer)
                .is_some_and(|peer| peer.ike.hints)
        });
        let acquire = acquire.map(Box::new);
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

    /// Moves the effects of both machines into the one queue until both wait.
    fn drain(&mut self, now: Instant) {
        loop {
            while self.drain_ike(now) {}
            if !self.drain_cluster(now) {
                break;
            }
        }
    }

    fn drain_ike(&mut self, now: Instant) -> bool {
        let output = match self.ike.poll_output() {
            ike::Output::Wait(wait) => {
                self.ike_wait = wait;
                return false;
            }
            ike::Output::Transmit {
                local,
                remote,
                bytes,
            } => Output::TransmitIke {
                local,
                remote,
                bytes,
            },
            ike::Output::Keepalive { local, remote } => Output::Keepalive { local, remote },
            ike::Output::Install(install) => Output::Install(install),
            ike::Output::Activate { child } => Output::Activate { child },
            ike::Output::Redirect {
                child,
                remote,
                encapsulation,
            } => Output::Redirect {
                child,
                remote,
                encapsulation,
            },
            ike::Output::SkipSequence { child, delta } => Output::SkipSequence { child, delta },
            ike::Output::Remove {
                child, inbound_spi, ..
            } => Output::Remove { child, inbound_spi },
            ike::Output::Keys(keys) => Output::Keys(keys),
            ike::Output::Event(event) => {
                if let ike::Event::AddressReleased { address, .. } = event {
                    self.address_quiet(address, now);
                }
                Output::Event(Event::Ike(event))
            }
        };
        self.outputs.push_back(output);
        true
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
            cluster::Output::Start { group, .. } => self.start(group, now),
            cluster::Output::Stop { group, reason, .. } => {
                self.stop(group, reason.still_owner(), now);
            }
            cluster::Output::Event(event) => self.event(Event::Cluster(event)),
        }
        true
    }
}
