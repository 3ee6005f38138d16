//! The lab's hosts and cables: made, and cut.

use std::fs;
use std::net::IpAddr;

use linux::Prefix;
use linux::announce::Announcer;
use linux::netlink::{AddressFlags, Netlink};
use linux::netns::{self, End};

use crate::addresses::*;
use crate::error::{Error, file, kernel};

/// The switch's port to a host of the back network.
pub(crate) const PORTS: [(&str, &str); 3] = [(FE, "p-fe"), (BE1, "p-be1"), (BE2, "p-be2")];

/// The nodes' namespaces.
pub(crate) const NODES: [&str; 2] = [BE1, BE2];

/// Settings of every namespace: (file below `/proc/sys/net`, value).
const SETTINGS: [(&str, &str); 4] = [
    // A service binds the virtual address before it has come, and keeps it after it has gone.
    ("ipv4/ip_nonlocal_bind", "1"),
    ("ipv6/ip_nonlocal_bind", "1"),
    // Addresses work at once: nobody else is on these wires.
    ("ipv6/conf/all/accept_dad", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
];

/// Makes all hosts and cables anew.
///
/// # Errors
/// When the kernel refuses; what was made until then is left to [`crate::leftovers::remove`].
pub(crate) fn build() -> Result<(), Error> {
    for name in [CLIENT, FE, BE1, BE2, SWITCH] {
        netns::create(name)?;
        netns::run(name, settings)??;
    }
    cable((CLIENT, FRONT_IF), (FE, FRONT_IF))?;
    for (host, port) in PORTS {
        cable((SWITCH, port), (host, BACK_IF))?;
    }
    netns::bridge(end((SWITCH, BRIDGE)), &PORTS.map(|(_, port)| port))?;
    cable((BE1, HEARTBEAT_IF), (BE2, HEARTBEAT_IF))?;
    let addresses: [(&str, &str, IpAddr); 10] = [
        (CLIENT, FRONT_IF, CLIENT_FRONT.into()),
        (FE, FRONT_IF, FE_FRONT.into()),
        (FE, BACK_IF, FE_BACK.into()),
        (FE, BACK_IF, FE_BACK6.into()),
        (BE1, BACK_IF, BE1_BACK.into()),
        (BE1, BACK_IF, BE1_BACK6.into()),
        (BE2, BACK_IF, BE2_BACK.into()),
        (BE2, BACK_IF, BE2_BACK6.into()),
        (BE1, HEARTBEAT_IF, BE1_HEARTBEAT.into()),
        (BE2, HEARTBEAT_IF, BE2_HEARTBEAT.into()),
    ];
    for (namespace, interface, address) in addresses {
        netns::add_address(end((namespace, interface)), prefix(address))?;
    }
    Ok(())
}

fn settings() -> Result<(), Error> {
    for (name, value) in SETTINGS {
        let path = format!("/proc/sys/net/{name}");
        fs::write(&path, value).map_err(file(path))?;
    }
    Ok(())
}

fn cable(a: (&str, &str), b: (&str, &str)) -> Result<(), Error> {
    Ok(netns::cable(end(a), end(b))?)
}

fn end<'a>((namespace, interface): (&'a str, &'a str)) -> End<'a> {
    End {
        namespace,
        interface,
    }
}

/// The address with the length of its network's prefix.
fn prefix(address: IpAddr) -> Prefix {
    let length = if address.is_ipv4() {
        PREFIX_LEN
    } else {
        PREFIX_LEN6
    };
    Prefix::new(address, length)
}

/// The nodes' cables, looked up once so that a cut happens without delay.
pub(crate) struct Cables {
    switch: Netlink,
    /// Node, and the index of its port at the switch.
    ports: Vec<(&'static str, u32)>,
    /// Node, its namespace, and the index of its end of the heartbeat link.
    ends: Vec<(&'static str, Netlink, u32)>,
}

impl Cables {
    /// Looks them up.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn open() -> Result<Self, Error> {
        let mut switch = netns::netlink(SWITCH)?;
        let (mut ports, mut ends) = (Vec::new(), Vec::new());
        for (host, port) in PORTS {
            ports.push((host, switch.link(port)?.index));
        }
        for node in NODES {
            let mut netlink = netns::netlink(node)?;
            let index = netlink.link(HEARTBEAT_IF)?.index;
            ends.push((node, netlink, index));
        }
        Ok(Self {
            switch,
            ports,
            ends,
        })
    }

    /// Cuts or mends a node's cable to the back network.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn back(&mut self, node: &str, up: bool) -> Result<(), Error> {
        match self.ports.iter().find(|(host, _)| *host == node) {
            Some((_, port)) => Ok(self.switch.set_up(*port, up)?),
            None => Ok(()),
        }
    }

    /// Cuts or mends the heartbeat link at a node's end.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn heartbeat(&mut self, node: &str, up: bool) -> Result<(), Error> {
        match self.ends.iter_mut().find(|(host, ..)| *host == node) {
            Some((_, netlink, index)) => Ok(netlink.set_up(*index, up)?),
            None => Ok(()),
        }
    }
}

/// Whether a node has the virtual address now, as the kernel sees it.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn has_vip(node: &str) -> Result<bool, Error> {
    let addresses = netns::netlink(node)?.addresses()?;
    Ok(addresses
        .iter()
        .any(|a| a.prefix.address() == IpAddr::V4(VIP)))
}

/// The nodes that have the virtual address now.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn owners() -> Result<Vec<&'static str>, Error> {
    let mut owners = Vec::new();
    for node in NODES {
        if has_vip(node)? {
            owners.push(node);
        }
    }
    Ok(owners)
}

/// Gives the virtual addresses to a node and announces them; for the lab without a daemon.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn take_vip(node: &str) -> Result<(), Error> {
    let mut netlink = netns::netlink(node)?;
    let index = netlink.link(BACK_IF)?.index;
    for address in [VIP.into(), VIP6.into()] {
        netlink.add_address(index, prefix(address), AddressFlags::default())?;
    }
    let announcer = netns::run(node, || Announcer::open(BACK_IF))??;
    for address in [VIP.into(), VIP6.into()] {
        announcer
            .announce(address)
            .map_err(kernel(format!("announce {address}")))?;
    }
    Ok(())
}

/// Takes the virtual addresses from a node; for the lab without a daemon.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn drop_vip(node: &str) -> Result<(), Error> {
    let mut netlink = netns::netlink(node)?;
    let index = netlink.link(BACK_IF)?.index;
    for address in [VIP.into(), VIP6.into()] {
        netlink.delete_address(index, prefix(address))?;
    }
    Ok(())
}

/// The other node.
pub(crate) fn other(node: &str) -> &'static str {
    if node == BE1 { BE2 } else { BE1 }
}

/// A namespace's name without the lab's prefix: what its host is called.
pub(crate) fn short(host: &str) -> &str {
    host.strip_prefix(PREFIX).unwrap_or(host)
}
