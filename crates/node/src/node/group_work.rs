//! The node's part in a group's arrival and departure.

use crate::command::{ApiMisuse, Command};
use crate::event::Event;
use crate::group::{Departure, Step};
use crate::node::Node;
use crate::output::Output;
use crate::replication::{Loss, Shared};
use cluster::{GroupName, StopReason};
use policy::Direction;
use std::net::IpAddr;
use std::time::Instant;

impl Node {
    /// The addresses may be answered for before they are up: whoever sends to them already has
    /// heard the announcement.
    pub(crate) fn start(&mut self, group: GroupName, epoch: u64, entitled: bool, now: Instant) {
        self.departures.remove(&group);
        self.own(&group, epoch, entitled, now);
        let halted = self
            .shared(&group)
            .is_some_and(|one| one.loss == Loss::Halted);
        for address in self.addresses_of(&group) {
            let active = !halted;
            self.tell_ike(ike::Command::SetActive { address, active }, now);
        }
        self.claimed.insert(group.clone());
        self.expand(now);
        self.outputs.push_back(Output::StartGroup {
            group: group.clone(),
        });
        self.take_strays(&group, now);
    }

    pub(crate) fn stop(&mut self, group: GroupName, reason: &StopReason, now: Instant) {
        let still_owner = reason.still_owner();
        if !still_owner {
            self.shut_gate(&group);
            for address in self.addresses_of(&group) {
                self.tell_ike(ike::Command::ForgetLocalAddress { address }, now);
            }
            self.forget_group(&group, now);
        }
        let heir = match reason {
            StopReason::Move { to, .. } if self.can_hand_over(&group, to) => Some(to.clone()),
            _ => None,
        };
        self.heirs.remove(&group);
        let (departure, step) = match heir {
            Some(to) => {
                self.heirs.insert(group.clone(), to);
                Departure::hand_over()
            }
            None => Departure::begin(still_owner),
        };
        self.departures.insert(group.clone(), departure);
        self.step(group, step, now);
    }

    pub(crate) fn group_answer(&mut self, command: Command, now: Instant) -> Result<(), ApiMisuse> {
        match command {
            Command::GroupStarted { group } => {
                self.tell_cluster(cluster::Command::GroupStarted { group }, now)
            }
            Command::GroupFailed { group, reason } => {
                self.tell_cluster(cluster::Command::GroupFailed { group, reason }, now)
            }
            Command::ServicesStopped { group } => {
                let addresses = self.addresses_of(&group);
                self.advance(group, now, |departure| {
                    departure.services_stopped(&addresses)
                });
                Ok(())
            }
            Command::AddressesReleased { group } => {
                // A group that was started again meanwhile has its addresses back.
                if self.departures.contains_key(&group) && self.claimed.remove(&group) {
                    self.expand(now);
                }
                self.advance(group, now, Departure::addresses_released);
                Ok(())
            }
            Command::AddressesUp { group } => {
                self.event(Event::AddressesUp { group });
                Ok(())
            }
            Command::FirstSealed { local } => {
                let of = |shared: &Shared| shared.addresses.contains(&local);
                self.first_packet(of, Direction::Outbound);
                Ok(())
            }
            Command::FirstOpened { bucket } => {
                self.first_packet(|shared| shared.bucket == bucket, Direction::Inbound);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A handover is over.
    pub(crate) fn handed_over(&mut self, group: GroupName, now: Instant) {
        self.advance(group, now, Departure::handed_over);
    }

    /// IKE is done with an address that leaves.
    pub(crate) fn address_quiet(&mut self, address: IpAddr, now: Instant) {
        let leaving: Vec<GroupName> = self.departures.keys().cloned().collect();
        for group in leaving {
            self.advance(group, now, |departure| departure.address_quiet(address));
        }
    }

    fn advance(
        &mut self,
        group: GroupName,
        now: Instant,
        take: impl FnOnce(&mut Departure) -> Step,
    ) {
        if let Some(departure) = self.departures.get_mut(&group) {
            let step = take(departure);
            self.step(group, step, now);
        }
    }

    fn step(&mut self, group: GroupName, step: Step, now: Instant) {
        match step {
            Step::Wait => {}
            Step::Stop => self.outputs.push_back(Output::StopServices { group }),
            Step::Delete => {
                for address in self.addresses_of(&group) {
                    // On SAs that a lost member may use nothing is said, not even that they end.
                    self.tell_ike(ike::Command::ForgetSilent { address }, now);
                    self.tell_ike(ike::Command::DeleteLocalAddress { address }, now);
                }
            }
            Step::HandOver => match self.heirs.remove(&group) {
                Some(to) => self.begin_handover(&group, to, now),
                None => self.handed_over(group, now),
            },
            Step::Release => {
                if self.owns(&group) {
                    self.shut_gate(&group);
                }
                self.event(Event::GroupQuiet {
                    group: group.clone(),
                });
                self.outputs.push_back(Output::ReleaseAddresses { group });
            }
            Step::Done => {
                self.departures.remove(&group);
                // The cluster may have taken the group out of its configuration meanwhile.
                let _ = self.tell_cluster(cluster::Command::GroupStopped { group }, now);
            }
        }
    }

    pub(crate) fn tell_cluster(
        &mut self,
        command: cluster::Command,
        now: Instant,
    ) -> Result<(), ApiMisuse> {
        let member = self.cluster.as_mut().ok_or(ApiMisuse::NoCluster)?;
        member
            .handle_command(command, now)
            .map_err(ApiMisuse::Cluster)
    }

    pub(crate) fn all_group_addresses(&self) -> Vec<IpAddr> {
        self.groups
            .iter()
            .flat_map(|group| group.addresses.iter().copied())
            .collect()
    }

    pub(crate) fn addresses_of(&self, group: &GroupName) -> Vec<IpAddr> {
        let known = self.groups.iter().find(|known| known.group == *group);
        known
            .map(|known| known.addresses.clone())
            .unwrap_or_default()
    }
}
