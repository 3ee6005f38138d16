//! The lab's hosts and cables: made, and cut.

use std::fs;
use std::net::IpAddr;

use linux::Prefix;
use linux::announce::Announcer;
use linux::netlink::AddressFlags;
use linux::netns::{self, End};

use crate::addresses::*;
use crate::error::{Error, file, kernel};
use crate::leftovers;

/// The switch's port to a host of the back network.
pub(crate) const PORTS: [(&str, &str); 3] = [(FE, "p-fe"), (BE1, "p-be1"), (BE2, "p-be2")];

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
/// When the kernel refuses; what was made until then is left to [`leftovers::remove`].
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

/// A node that dies as a machine does: its links are cut and all its processes end at once.
pub(crate) struct Victim {
    node: &'static str,
    processes: Vec<u32>,
    cuts: Vec<(linux::netlink::Netlink, u32)>,
}

impl Victim {
    /// Looks up what will be cut and killed, so that it happens without delay later.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn choose(node: &'static str) -> Result<Self, Error> {
        let port = PORTS
            .iter()
            .find(|(host, _)| *host == node)
            .map(|(_, port)| *port);
        let mut cuts = Vec::new();
        for (namespace, interface) in port
            .map(|port| (SWITCH, port))
            .into_iter()
            .chain([(node, HEARTBEAT_IF)])
        {
            let mut netlink = netns::netlink(namespace)?;
            let index = netlink.link(interface)?.index;
            cuts.push((netlink, index));
        }
        Ok(Self {
            node,
            processes: leftovers::processes(node)?,
            cuts,
        })
    }

    /// Cuts the links and kills every process.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn crash(mut self) -> Result<(), Error> {
        for (netlink, index) in &mut self.cuts {
            netlink.set_up(*index, false)?;
        }
        for pid in self.processes {
            let _ = linux::process::kill(pid, linux::process::Signal::Kill);
        }
        // Whatever was forked since it was chosen.
        leftovers::kill_all(self.node)
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
