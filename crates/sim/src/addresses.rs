//! The addresses of a world: two networks, the front end, the nodes, the groups.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::ip::{Flow, protocol};

use crate::frame::{FRONT, HostId};
use crate::packet::SERVICE;

/// The group of the front end's address, where the front end is a cluster.
pub const CLIENT: usize = 2;
/// How many networks there are between the hosts; everything but heartbeats uses the first.
pub const PATHS: usize = 2;

/// Where everything is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// IPv6 instead of IPv4.
    pub ipv6: bool,
    /// Whether the front end is a cluster, whose applications have an address of a group.
    pub front_cluster: bool,
}

impl Addresses {
    /// A host's own address on a network.
    #[must_use]
    pub fn own(&self, host: HostId, path: usize) -> IpAddr {
        let last = if host == FRONT { 1 } else { 10 + host as u16 };
        self.at(path, last)
    }

    /// Both own addresses of a host.
    #[must_use]
    pub fn all_own(&self, host: HostId) -> Vec<IpAddr> {
        (0..PATHS).map(|path| self.own(host, path)).collect()
    }

    /// The address from which the front end's applications ask.
    #[must_use]
    pub fn client(&self) -> IpAddr {
        match self.front_cluster {
            true => self.group(CLIENT),
            false => self.own(FRONT, 0),
        }
    }

    /// The virtual address of a group.
    #[must_use]
    pub fn group(&self, group: usize) -> IpAddr {
        self.at(0, 100 + group as u16)
    }

    /// The network of an address.
    #[must_use]
    pub fn path(&self, address: IpAddr) -> usize {
        let number = match address {
            IpAddr::V4(address) => usize::from(address.octets()[1]),
            IpAddr::V6(address) => usize::from(address.segments()[1]),
        };
        number.min(PATHS - 1)
    }

    /// Whether the policy of these worlds protects a packet: the service of any group.
    #[must_use]
    pub fn is_protected(&self, flow: &Flow) -> bool {
        let group = |address| (0..2).any(|group| self.group(group) == address);
        flow.protocol == protocol::TCP
            && (group(flow.dst) && flow.dst_port == SERVICE
                || group(flow.src) && flow.src_port == SERVICE)
    }

    fn at(&self, path: usize, last: u16) -> IpAddr {
        match self.ipv6 {
            false => Ipv4Addr::new(10, path as u8, 0, last as u8).into(),
            true => Ipv6Addr::new(0xfd00, path as u16, 0, 0, 0, 0, 0, last).into(),
        }
    }
}
