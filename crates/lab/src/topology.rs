//! The lab's hosts and cables: made, and cut.

use std::fs;
use std::net::IpAddr;

use linux::Prefix;
use linux::announce::Announcer;
use linux::netlink::{AddressFlags, Netlink};
use linux::netns::{self, End};

use crate::addresses::*;
use crate::error::{Error, file, kernel};
use crate::shape::Shape;

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
pub(crate) fn build(shape: Shape) -> Result<(), Error> {
    let nodes = shape.hosts().chain(shape.witnesses().iter().copied());
    for name in [CLIENT, FE].into_iter().chain(nodes).chain([SWITCH]) {
        netns::create(name)?;
        netns::run(name, settings)??;
    }
    cable((CLIENT, FRONT_IF), (FE, FRONT_IF))?;
    switch(BRIDGE, BACK_IF, &shape.ports().collect::<Vec<_>>())?;
    address((CLIENT, FRONT_IF), CLIENT_FRONT.into())?;
    address((FE, FRONT_IF), FE_FRONT.into())?;
    address((FE, BACK_IF), FE_BACK.into())?;
    address((FE, BACK_IF), FE_BACK6.into())?;
    match shape {
        Shape::Pair => cable((BE1, HEARTBEAT_IF), (BE2, HEARTBEAT_IF))?,
        Shape::Witnessed => {
            let nodes = shape.nodes().iter();
            let ports: Vec<_> = nodes.map(|node| (node.host, node.heartbeat_port)).collect();
            switch(HEARTBEAT_BRIDGE, HEARTBEAT_IF, &ports)?;
            let ports: Vec<_> = shape.witness_ports().collect();
            switch(WITNESS_BRIDGE, WITNESS_IF, &ports)?;
            let addresses = NODES_WITNESS.into_iter().chain(WITNESS_ADDRESSES);
            for ((host, _), at) in ports.into_iter().zip(addresses) {
                address((host, WITNESS_IF), at.into())?;
            }
        }
    }
    for node in shape.nodes() {
        address((node.host, BACK_IF), node.back.0.into())?;
        address((node.host, BACK_IF), node.back.1.into())?;
        address((node.host, HEARTBEAT_IF), node.heartbeat.into())?;
    }
    Ok(())
}

/// A bridge with a cable from each of these ports to its host.
fn switch(bridge: &str, interface: &str, ports: &[(&str, &str)]) -> Result<(), Error> {
    for &(host, port) in ports {
        cable((SWITCH, port), (host, interface))?;
    }
    let ports: Vec<&str> = ports.iter().map(|(_, port)| *port).collect();
    Ok(netns::bridge(end((SWITCH, bridge)), &ports)?)
}

fn address(at: (&str, &str), address: IpAddr) -> Result<(), Error> {
    Ok(netns::add_address(end(at), prefix(address))?)
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

/// The cables, looked up once so that a cut happens without delay.
pub(crate) struct Cables {
    switch: Netlink,
    /// Host, and the index of its port at the switch of the back network.
    ports: Vec<(&'static str, u32)>,
    /// Node, its namespace, and the index of its end of the heartbeat link.
    ends: Vec<(&'static str, Netlink, u32)>,
    /// Host, and the index of its port at the switch of the witness's network.
    witness: Vec<(&'static str, u32)>,
}

impl Cables {
    /// Looks them up.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn open(shape: Shape) -> Result<Self, Error> {
        let mut switch = netns::netlink(SWITCH)?;
        let mut ends = Vec::new();
        let ports = indices(&mut switch, shape.ports())?;
        let witness = indices(&mut switch, shape.witness_ports())?;
        for node in shape.hosts() {
            let mut netlink = netns::netlink(node)?;
            let index = netlink.link(HEARTBEAT_IF)?.index;
            ends.push((node, netlink, index));
        }
        Ok(Self {
            switch,
            ports,
            ends,
            witness,
        })
    }

    /// Cuts or mends a host's cable to the back network, if it has one.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn back(&mut self, host: &str, up: bool) -> Result<(), Error> {
        match self.ports.iter().find(|(known, _)| *known == host) {
            Some((_, port)) => Ok(self.switch.set_up(*port, up)?),
            None => Ok(()),
        }
    }

    /// Cuts or mends the heartbeat link at a node's end, if it has one.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn heartbeat(&mut self, node: &str, up: bool) -> Result<(), Error> {
        match self.ends.iter_mut().find(|(host, ..)| *host == node) {
            Some((_, netlink, index)) => Ok(netlink.set_up(*index, up)?),
            None => Ok(()),
        }
    }

    /// Cuts or mends a host's cable to the witness's network, if it has one.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn witness(&mut self, host: &str, up: bool) -> Result<(), Error> {
        match self.witness.iter().find(|(known, _)| *known == host) {
            Some((_, port)) => Ok(self.switch.set_up(*port, up)?),
            None => Ok(()),
        }
    }
}

/// The indices of these ports of the switch.
fn indices(
    switch: &mut Netlink,
    ports: impl Iterator<Item = (&'static str, &'static str)>,
) -> Result<Vec<(&'static str, u32)>, Error> {
    ports
        .map(|(host, port)| Ok((host, switch.link(port)?.index)))
        .collect()
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
pub(crate) fn owners(shape: Shape) -> Result<Vec<&'static str>, Error> {
    let mut owners = Vec::new();
    for node in shape.hosts() {
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

/// A namespace's name without the lab's prefix: what its host is called.
pub(crate) fn short(host: &str) -> &str {
    host.strip_prefix(PREFIX).unwrap_or(host)
}
