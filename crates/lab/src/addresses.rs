//! The lab's map: every namespace, interface, address and port, in one place.
//!
//! ```text
//!  hf-client --front-- hf-fe --back-- hf-sw (bridge) --back-- hf-be1
//!                                        |                      | heartbeat
//!                                        +-------- back ----- hf-be2
//! ```
//!
//! With a witness there is a third node, the heartbeat link is a network of the three, and on one
//! more network they reach an etcd of three members:
//!
//! ```text
//!  hf-be1, hf-be2, hf-be3 --hb-- hf-sw (bridge)
//!  hf-be1, hf-be2, hf-be3 --wit-- hf-sw (bridge) --wit-- hf-w1, hf-w2, hf-w3
//! ```

use std::net::{Ipv4Addr, Ipv6Addr};

/// Every namespace of the lab begins so; whatever begins so belongs to the lab.
pub const PREFIX: &str = "hf-";

/// What the lab keeps while it stands: sockets, configurations, mail.
pub const STATE: &str = "/run/hf-lab";
/// Held by the one lab that may run.
pub const LOCK: &str = "/run/hf-lab.lock";

/// The client host's namespace.
pub const CLIENT: &str = "hf-client";
/// The front end's namespace.
pub const FE: &str = "hf-fe";
/// The first back-end node's namespace; it has the address at the start.
pub const BE1: &str = "hf-be1";
/// The second back-end node's namespace.
pub const BE2: &str = "hf-be2";
/// The third back-end node's namespace, where there is a witness.
pub const BE3: &str = "hf-be3";
/// The namespaces of the witness's members.
pub const WITNESSES: [&str; 3] = ["hf-w1", "hf-w2", "hf-w3"];
/// The switch's namespace: a bridge with one port per host of the back network.
pub const SWITCH: &str = "hf-sw";

/// The group that carries the virtual address.
pub const GROUP: &str = "mail";

/// The interface on the front network, in [`CLIENT`] and [`FE`].
pub const FRONT_IF: &str = "front";
/// The interface on the back network, in [`FE`], [`BE1`] and [`BE2`].
pub const BACK_IF: &str = "back";
/// The interface of the second path between the nodes, in [`BE1`] and [`BE2`].
pub const HEARTBEAT_IF: &str = "hb";
/// The interface on the witness's network, in the nodes and in [`WITNESSES`].
pub const WITNESS_IF: &str = "wit";
/// The bridge in [`SWITCH`].
pub const BRIDGE: &str = "br0";
/// The bridge of the heartbeat network, where there are three nodes.
pub const HEARTBEAT_BRIDGE: &str = "br-hb";
/// The bridge of the witness's network.
pub const WITNESS_BRIDGE: &str = "br-wit";

/// The client on the front network.
pub const CLIENT_FRONT: Ipv4Addr = Ipv4Addr::new(10, 76, 0, 2);
/// The front end on the front network.
pub const FE_FRONT: Ipv4Addr = Ipv4Addr::new(10, 76, 0, 1);

/// The front end on the back network.
pub const FE_BACK: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 10);
/// The first node on the back network.
pub const BE1_BACK: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// The second node on the back network.
pub const BE2_BACK: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// The third node on the back network.
pub const BE3_BACK: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 3);
/// The group's virtual IP address.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);

/// The front end on the back network, IPv6.
pub const FE_BACK6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x10);
/// The first node on the back network, IPv6.
pub const BE1_BACK6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
/// The second node on the back network, IPv6.
pub const BE2_BACK6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2);
/// The third node on the back network, IPv6.
pub const BE3_BACK6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 3);
/// The group's virtual IP address, IPv6.
pub const VIP6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x100);

/// The first node on the heartbeat link.
pub const BE1_HEARTBEAT: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
/// The second node on the heartbeat link.
pub const BE2_HEARTBEAT: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);

/// The third node on the heartbeat network.
pub const BE3_HEARTBEAT: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 3);

/// The nodes on the witness's network, in order.
pub const NODES_WITNESS: [Ipv4Addr; 3] = [
    Ipv4Addr::new(10, 79, 0, 1),
    Ipv4Addr::new(10, 79, 0, 2),
    Ipv4Addr::new(10, 79, 0, 3),
];
/// The witness's members, in the order of [`WITNESSES`].
pub const WITNESS_ADDRESSES: [Ipv4Addr; 3] = [
    Ipv4Addr::new(10, 79, 0, 11),
    Ipv4Addr::new(10, 79, 0, 12),
    Ipv4Addr::new(10, 79, 0, 13),
];

/// The prefix length of every IPv4 network here.
pub const PREFIX_LEN: u8 = 24;
/// The prefix length of every IPv6 network here.
pub const PREFIX_LEN6: u8 = 64;

/// POP3 (RFC 1939).
pub const POP3: u16 = 110;
/// IMAP (RFC 9051).
pub const IMAP: u16 = 143;
/// Echo (RFC 862): the lab's probe, protected like the mail ports.
pub const ECHO: u16 = 7;
/// The ports that must never be seen in clear on the back network.
pub const PROTECTED: [u16; 3] = [POP3, IMAP, ECHO];
/// The first of the UDP ports that have SAs of their own, where more SAs are wanted.
pub const MORE: u16 = 20_000;
/// The UDP port of the nodes' heartbeats.
pub const HEARTBEATS: u16 = 4511;
/// etcd's ports: for its clients, and between its members.
pub const ETCD: (u16, u16) = (2379, 2380);
/// The fixed source port of the probe.
pub const PROBE_SOURCE: u16 = 7007;

/// Whether `address` belongs to the back network.
pub fn on_back_network(address: std::net::IpAddr) -> bool {
    match address {
        std::net::IpAddr::V4(a) => a.octets()[..3] == FE_BACK.octets()[..3],
        std::net::IpAddr::V6(a) => a.segments()[..4] == FE_BACK6.segments()[..4],
    }
}

/// The mail user that every service of the lab knows.
pub const USER: &str = "ada";
/// That user's password: it must never be seen on the back network.
pub const PASSWORD: &str = "holdfast-lab";
