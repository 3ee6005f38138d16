//! What an operator asks of a node: SAs by hand, moves of groups, a new configuration.

use crate::acquire;
use crate::command::{ApiMisuse, Command};
use crate::config::{Config, Recovery};
use crate::node::Node;
use cluster::{GroupName, NodeName};
use ike::{ChildState, ChildStatus, IkeSaId, IkeState, IkeStatus};
use policy::{Action, ChildId, Pad, Peer, PeerName, Rule, RuleName, Spd};
use std::time::Instant;

impl Node {
    pub(crate) fn operate(&mut self, command: Command, now: Instant) -> Result<(), ApiMisuse> {
        match command {
            Command::Move { group, to } => self.move_group(group, to, now),
            Command::Pause => self.tell_cluster(cluster::Command::Pause { node: None }, now),
            Command::Resume => self.tell_cluster(cluster::Command::Resume { node: None }, now),
            Command::Shutdown => self.tell_cluster(cluster::Command::Shutdown, now),
            Command::SetBarred { group, why } => {
                self.tell_cluster(cluster::Command::SetBarred { group, why }, now)
            }
            Command::SetTicketKeys(keys) => {
                self.tell_ike(ike::Command::SetTicketKeys(keys), now);
                Ok(())
            }
            Command::SetClock(seconds) => {
                self.tell_ike(ike::Command::SetClock(seconds), now);
                Ok(())
            }
            Command::GssAnswer { context, answer } => {
                self.tell_ike(ike::Command::GssAnswer { context, answer }, now);
                Ok(())
            }
            Command::CertificateStatus { question, answer } => {
                self.tell_ike(ike::Command::CertificateStatus { question, answer }, now);
                Ok(())
            }
            Command::SetOwnStatus {
                certificate,
                response,
            } => {
                let command = ike::Command::SetOwnStatus {
                    certificate,
                    response,
                };
                self.tell_ike(command, now);
                Ok(())
            }
            Command::Relocate { ike, local, remote } => {
                self.tell_ike(ike::Command::Relocate { ike, local, remote }, now);
                Ok(())
            }
            Command::Initiate { rule } => self.initiate(&rule, now),
            Command::RekeyRule(rule) => self.each_child(&rule, now, ike::Command::RekeyChild),
            Command::DeleteRule(rule) => self.each_child(&rule, now, ike::Command::DeleteChild),
            Command::RekeyPeer(peer) => self.each_ike(&peer, now, ike::Command::RekeyIke),
            Command::DeletePeer(peer) => self.each_ike(&peer, now, ike::Command::DeleteIke),
            Command::Redirect { ike, to } => {
                let command = ike::Command::Redirect { ike, to };
                let told = self.ike.handle_command(command, now);
                told.map_err(ApiMisuse::Ike)
            }
            _ => Ok(()),
        }
    }

    /// All of a new configuration, or nothing: the cluster judges its part first, then nothing
    /// can fail any more.
    pub(crate) fn reload(&mut self, config: Config, now: Instant) -> Result<(), ApiMisuse> {
        match config.cluster {
            Some(cluster) if self.cluster.is_some() => {
                let member = Box::new(cluster.member);
                self.tell_cluster(cluster::Command::Reload(member), now)?;
                let before = self.all_group_addresses();
                // One that is gone from the configuration is still stopped in good order.
                let (here, departures) = (&self.claimed, &self.departures);
                self.groups.retain(|known| {
                    here.contains(&known.group) || departures.contains_key(&known.group)
                });
                for group in cluster.groups {
                    self.groups.retain(|known| known.group != group.group);
                    self.groups.push(group);
                }
                let new = self.all_group_addresses().into_iter();
                for address in new.filter(|address| !before.contains(address)) {
                    self.tell_ike(
                        ike::Command::SetActive {
                            address,
                            active: false,
                        },
                        now,
                    );
                }
            }
            None if self.cluster.is_none() => {}
            _ => return Err(ApiMisuse::ClusterChanged),
        }
        let Recovery {
            qcd_secret,
            tickets,
        } = config.recovery;
        self.tell_ike(ike::Command::SetTokenSecret(qcd_secret), now);
        self.tell_ike(ike::Command::SetTicketKeys(tickets), now);
        self.tell_ike(ike::Command::SetPuzzles(config.puzzles), now);
        self.delete_outdated(&config.rules, &config.pad, now);
        let spd = Spd::build(config.rules, self.spd.local_addresses());
        self.pad = config.pad;
        self.enforce(spd, now);
        Ok(())
    }

    /// Deletes the SAs of every rule and peer that a new configuration does not have as they were:
    /// what they agreed on may not be allowed any more. All others live on.
    fn delete_outdated(&mut self, rules: &[Rule], pad: &Pad, now: Instant) {
        let kept_rule = |name: &RuleName| {
            let old = self.spd.rules().iter().find(|rule| rule.name == *name);
            let new = rules.iter().find(|rule| rule.name == *name);
            old.is_some() && old == new
        };
        let kept_peer = |name: &PeerName| {
            let pair = (self.pad.find_by_name(name), pad.find_by_name(name));
            matches!(pair, (Some(old), Some(new)) if Peer::same(old, new))
        };
        let mut outdated = Vec::new();
        for sa in self.ike.status(now) {
            if sa.peer.as_ref().is_some_and(|peer| !kept_peer(peer)) {
                outdated.push(ike::Command::DeleteIke(sa.ike));
                continue;
            }
            let gone = sa.children.iter().filter(|child| !kept_rule(&child.rule));
            outdated.extend(gone.map(|child| ike::Command::DeleteChild(child.child)));
        }
        for command in outdated {
            self.tell_ike(command, now);
        }
    }

    fn move_group(
        &mut self,
        group: GroupName,
        to: Option<NodeName>,
        now: Instant,
    ) -> Result<(), ApiMisuse> {
        let member = self.cluster.as_ref().ok_or(ApiMisuse::NoCluster)?;
        let to = match to {
            Some(to) => to,
            None => {
                let status = member.status(now);
                let owner = status.groups.iter().find(|known| known.name == group);
                let owner = owner.and_then(|known| known.owner.clone());
                let names = status.nodes.into_iter().map(|node| node.name);
                let mut others = names.filter(|name| Some(name) != owner.as_ref());
                match (others.next(), others.next()) {
                    (Some(other), None) => other,
                    _ => return Err(ApiMisuse::WhichNode),
                }
            }
        };
        self.tell_cluster(cluster::Command::Move { group, to }, now)
    }

    fn initiate(&mut self, name: &RuleName, now: Instant) -> Result<(), ApiMisuse> {
        let rule = self.spd.rules().iter().find(|rule| rule.name == *name);
        let rule = rule.ok_or_else(|| ApiMisuse::NoRule(name.clone()))?;
        if !matches!(rule.action, Action::Negotiate(_)) {
            return Err(ApiMisuse::NotNegotiated(name.clone()));
        }
        let acquire = acquire::for_rule(&self.spd, &self.pad, name)
            .ok_or_else(|| ApiMisuse::NoPeer(name.clone()))?;
        let command = ike::Command::Acquire(Box::new(acquire));
        self.ike
            .handle_command(command, now)
            .map_err(ApiMisuse::Ike)
    }

    fn each_child(
        &mut self,
        rule: &RuleName,
        now: Instant,
        command: impl Fn(ChildId) -> ike::Command,
    ) -> Result<(), ApiMisuse> {
        let status: Vec<IkeStatus> = self.ike.status(now);
        let children = status.iter().flat_map(|sa| &sa.children);
        let of_rule = children.filter(|child| child.rule == *rule && current_child(child));
        let ids: Vec<ChildId> = of_rule.map(|child| child.child).collect();
        if ids.is_empty() {
            let known = self.spd.rules().iter().any(|known| known.name == *rule);
            return Err(match known {
                true => ApiMisuse::NoSaOfRule(rule.clone()),
                false => ApiMisuse::NoRule(rule.clone()),
            });
        }
        ids.into_iter()
            .try_for_each(|id| self.ike.handle_command(command(id), now))
            .map_err(ApiMisuse::Ike)
    }

    fn each_ike(
        &mut self,
        peer: &PeerName,
        now: Instant,
        command: impl Fn(IkeSaId) -> ike::Command,
    ) -> Result<(), ApiMisuse> {
        let status: Vec<IkeStatus> = self.ike.status(now);
        let with_peer = |sa: &&IkeStatus| sa.peer.as_ref() == Some(peer) && current_ike(sa);
        let ids: Vec<IkeSaId> = status.iter().filter(with_peer).map(|sa| sa.ike).collect();
        if ids.is_empty() {
            return Err(ApiMisuse::NoSaOfPeer(peer.clone()));
        }
        ids.into_iter()
            .try_for_each(|id| self.ike.handle_command(command(id), now))
            .map_err(ApiMisuse::Ike)
    }
}

/// Those that carry traffic and are not already on their way out.
fn current_child(child: &ChildStatus) -> bool {
    matches!(child.state, ChildState::Installed | ChildState::Rekeying)
}

fn current_ike(sa: &IkeStatus) -> bool {
    matches!(sa.state, IkeState::Established | IkeState::Rekeying)
}
