//! The groups on this host: addresses up and announced, services started, checked and stopped.

mod announcements;
mod carrier;
mod service;
#[cfg(test)]
mod tests;

use cluster::GroupName;
use linux::netlink::{AddressFlags, Netlink, index_of};
use linux::{Error, Prefix};
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub(crate) use service::Command;

/// What a group consists of on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Its name.
    pub(crate) name: GroupName,
    /// The virtual addresses.
    pub(crate) addresses: Vec<Prefix>,
    /// The interface that carries them.
    pub(crate) interface: String,
    /// Starts its services.
    pub(crate) start: Option<Command>,
    /// Stops them.
    pub(crate) stop: Option<Command>,
    /// Succeeds while they are well.
    pub(crate) check: Option<Command>,
    /// How often that is asked.
    pub(crate) check_interval: Duration,
    /// A command that runs longer has failed.
    pub(crate) timeout: Duration,
}

/// What a command of a group came to.
pub(crate) struct Done {
    pub(crate) group: GroupName,
    pub(crate) what: What,
    pub(crate) outcome: Result<(), String>,
}

/// Which command it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Start,
    Stop,
    Check,
}

/// The driver of all groups.
pub(crate) struct Groups {
    groups: Vec<Group>,
    netlink: Netlink,
    done: mpsc::Sender<Done>,
    /// Groups whose check runs from time to time.
    checks: Vec<(GroupName, JoinHandle<()>)>,
    /// Groups whose addresses may be on this host.
    up: Vec<GroupName>,
    /// Groups whose addresses are still being announced.
    announcements: Vec<(GroupName, JoinHandle<()>)>,
    /// Groups that cannot run here, each with the reason.
    barred: Vec<(GroupName, String)>,
}

impl Groups {
    /// A driver that leaves no address of a group on this host: what a killed predecessor left is
    /// taken off before anything else, for another node may have it by now.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn new(groups: Vec<Group>) -> Result<(Self, mpsc::Receiver<Done>), Error> {
        let (done, receiver) = mpsc::channel(64);
        let mut driver = Self {
            groups,
            netlink: Netlink::open()?,
            done,
            checks: Vec::new(),
            up: Vec::new(),
            announcements: Vec::new(),
            barred: Vec::new(),
        };
        for group in driver.groups.clone() {
            driver.release(&group.name)?;
        }
        Ok((driver, receiver))
    }

    /// What [`reload`](Self::reload) is to take into its care. A group that is gone from the
    /// configuration is kept while it is up: the cluster has yet to stop it.
    ///
    /// # Errors
    /// A sentence, when a group that is up would get other addresses or another interface.
    pub(crate) fn merge(&self, wanted: Vec<Group>) -> Result<Vec<Group>, String> {
        merge(&self.groups, &self.up, wanted)
    }

    /// Takes other groups into its care: those that [`merge`](Self::merge) gave.
    pub(crate) fn reload(&mut self, groups: Vec<Group>) {
        self.groups = groups;
    }

    /// Brings addresses up, announces them, and starts the services; what that comes to is
    /// reported as [`Done`]. May be called for a group that is up.
    ///
    /// # Errors
    /// When an address cannot be brought up.
    pub(crate) fn start(&mut self, name: &GroupName) -> Result<(), Error> {
        let Some(group) = self.find(name) else {
            return Err(Error::other(
                format!("start group {name}"),
                "it is not configured",
            ));
        };
        let link = index_of(&group.interface)?;
        if !self.up.contains(name) {
            self.up.push(name.clone());
        }
        let flags = AddressFlags {
            detect_duplicates: false,
            // Services answer from the address; what the host sends by itself does not use it.
            deprecated: true,
            no_prefix_route: true,
        };
        for prefix in &group.addresses {
            self.netlink.add_address(link, *prefix, flags)?;
        }
        stop(&mut self.announcements, name);
        let announcing = announcements::begin(&group.interface, &group.addresses);
        self.announcements
            .extend(announcing.map(|task| (name.clone(), task)));
        self.run(&group, What::Start, group.start.clone());
        self.watch(&group);
        Ok(())
    }

    /// Stops the services; [`Done`] follows.
    pub(crate) fn stop_services(&mut self, name: &GroupName) {
        stop(&mut self.checks, name);
        match self.find(name) {
            Some(group) => self.run(&group, What::Stop, group.stop.clone()),
            None => {
                let done = Done {
                    group: name.clone(),
                    what: What::Stop,
                    outcome: Ok(()),
                };
                let _ = self.done.try_send(done);
            }
        }
    }

    /// Announces a group's addresses no more: somebody else may have them by now.
    pub(crate) fn hush(&mut self, name: &GroupName) {
        stop(&mut self.announcements, name);
    }

    /// Takes the addresses off the host, and announces them no more: they may be elsewhere soon.
    ///
    /// # Errors
    /// When the kernel refuses; an address that is not there is no error.
    pub(crate) fn release(&mut self, name: &GroupName) -> Result<(), Error> {
        stop(&mut self.announcements, name);
        let Some(group) = self.find(name) else {
            return Ok(());
        };
        let Ok(link) = index_of(&group.interface) else {
            self.up.retain(|known| known != name);
            return Ok(());
        };
        for prefix in &group.addresses {
            self.netlink.delete_address(link, *prefix)?;
        }
        self.up.retain(|known| known != name);
        Ok(())
    }

    /// Which groups something has come into the way of since this was asked last, or has gone out
    /// of the way of.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub(crate) fn obstacles(&mut self) -> Result<Vec<(GroupName, Option<String>)>, Error> {
        let links = self.netlink.links()?;
        let before = std::mem::take(&mut self.barred);
        let mut changed = Vec::new();
        for group in &self.groups {
            let why = carrier::obstacle(&links, &group.interface);
            let old = before.iter().find(|(name, _)| *name == group.name);
            if old.map(|(_, why)| why) != why.as_ref() {
                changed.push((group.name.clone(), why.clone()));
            }
            self.barred.extend(why.map(|why| (group.name.clone(), why)));
        }
        Ok(changed)
    }

    /// Interface, address and prefix length of every group, wherever it is.
    pub(crate) fn all_addresses(&self) -> Vec<(String, IpAddr, u8)> {
        let groups = self.groups.iter();
        let of = |group: &Group| {
            let interface = group.interface.clone();
            let prefixes = group.addresses.clone().into_iter();
            prefixes.map(move |one| (interface.clone(), one.address(), one.length()))
        };
        groups.flat_map(of).collect()
    }

    /// Every address of the host.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub(crate) fn host_addresses(netlink: &mut Netlink) -> Result<Vec<IpAddr>, Error> {
        let usable = netlink
            .addresses()?
            .into_iter()
            .filter(|address| !address.tentative);
        let outside = |address: &IpAddr| !address.is_loopback() && !is_link_local(*address);
        Ok(usable
            .map(|address| address.prefix.address())
            .filter(outside)
            .collect())
    }

    fn find(&self, name: &GroupName) -> Option<Group> {
        self.groups
            .iter()
            .find(|group| group.name == *name)
            .cloned()
    }

    /// Runs a command beside the loop; none is done at once.
    fn run(&self, group: &Group, what: What, command: Option<Command>) {
        let (name, done, timeout) = (group.name.clone(), self.done.clone(), group.timeout);
        let Some(command) = command else {
            let _ = done.try_send(Done {
                group: name,
                what,
                outcome: Ok(()),
            });
            return;
        };
        tokio::spawn(async move {
            let outcome = service::run(&command, timeout).await;
            let _ = done
                .send(Done {
                    group: name,
                    what,
                    outcome,
                })
                .await;
        });
    }

    /// Asks from time to time whether the services are well; only a failure is reported.
    fn watch(&mut self, group: &Group) {
        let known = self.checks.iter().any(|(name, _)| *name == group.name);
        let Some(command) = group.check.clone().filter(|_| !known) else {
            return;
        };
        let (name, done) = (group.name.clone(), self.done.clone());
        let (interval, timeout) = (group.check_interval, group.timeout);
        let check = tokio::spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                let outcome = service::run(&command, timeout).await;
                if outcome.is_err() {
                    let done_now = Done {
                        group: name.clone(),
                        what: What::Check,
                        outcome,
                    };
                    let _ = done.send(done_now).await;
                }
            }
        });
        self.checks.push((group.name.clone(), check));
    }
}

fn merge(known: &[Group], up: &[GroupName], wanted: Vec<Group>) -> Result<Vec<Group>, String> {
    let mut merged = wanted;
    for old in known.iter().filter(|old| up.contains(&old.name)) {
        match merged.iter().find(|new| new.name == old.name) {
            None => merged.push(old.clone()),
            Some(new) if new.addresses == old.addresses && new.interface == old.interface => {}
            Some(_) => {
                return Err(format!(
                    "group {} is on this node, and its addresses and interface cannot change \
                     while it is; move it to another node first",
                    old.name
                ));
            }
        }
    }
    Ok(merged)
}

/// Ends the task of one group.
fn stop(tasks: &mut Vec<(GroupName, JoinHandle<()>)>, name: &GroupName) {
    for (_, task) in tasks.extract_if(.., |(group, _)| group == name) {
        task.abort();
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
