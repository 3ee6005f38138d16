//! The two shapes of the lab's cluster: a pair of nodes, or three nodes and a witness.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::addresses::*;

/// A node, and where it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    /// Its namespace.
    pub(crate) host: &'static str,
    /// Its port at the switch of the back network.
    pub(crate) port: &'static str,
    /// Its port at the switch of the heartbeat network, where that has one.
    pub(crate) heartbeat_port: &'static str,
    /// Its port at the switch of the witness's network, where there is one.
    pub(crate) witness_port: &'static str,
    /// Its addresses: on the back network, and on the heartbeat link.
    pub(crate) back: (Ipv4Addr, Ipv6Addr),
    pub(crate) heartbeat: Ipv4Addr,
}

/// All nodes that there may be.
const NODES: [Node; 3] = [
    Node {
        host: BE1,
        port: "p-be1",
        heartbeat_port: "h-be1",
        witness_port: "w-be1",
        back: (BE1_BACK, BE1_BACK6),
        heartbeat: BE1_HEARTBEAT,
    },
    Node {
        host: BE2,
        port: "p-be2",
        heartbeat_port: "h-be2",
        witness_port: "w-be2",
        back: (BE2_BACK, BE2_BACK6),
        heartbeat: BE2_HEARTBEAT,
    },
    Node {
        host: BE3,
        port: "p-be3",
        heartbeat_port: "h-be3",
        witness_port: "w-be3",
        back: (BE3_BACK, BE3_BACK6),
        heartbeat: BE3_HEARTBEAT,
    },
];

/// The ports of the witness's members at its switch, in the order of [`WITNESSES`].
pub(crate) const WITNESS_PORTS: [&str; 3] = ["w-w1", "w-w2", "w-w3"];

/// What the cluster is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Two nodes, and nobody who decides between them.
    Pair,
    /// Three nodes, and an etcd of three members.
    Witnessed,
}

impl Shape {
    /// The nodes.
    pub(crate) fn nodes(self) -> &'static [Node] {
        match self {
            Shape::Pair => NODES.split_at(2).0,
            Shape::Witnessed => &NODES,
        }
    }

    /// The nodes' namespaces.
    pub(crate) fn hosts(self) -> impl Iterator<Item = &'static str> {
        self.nodes().iter().map(|node| node.host)
    }

    /// The other nodes.
    pub(crate) fn others(self, host: &str) -> impl Iterator<Item = &'static str> {
        self.hosts().filter(move |other| *other != host)
    }

    /// The namespaces of the witness's members.
    pub(crate) fn witnesses(self) -> &'static [&'static str] {
        match self {
            Shape::Pair => &[],
            Shape::Witnessed => &WITNESSES,
        }
    }

    /// The switch's ports to the hosts of the back network.
    pub(crate) fn ports(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let nodes = self.nodes().iter().map(|node| (node.host, node.port));
        [(FE, "p-fe")].into_iter().chain(nodes)
    }

    /// The switch's ports on the witness's network, of nodes and members.
    pub(crate) fn witness_ports(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let members = self.witnesses().iter().copied().zip(WITNESS_PORTS);
        let nodes = self
            .nodes()
            .iter()
            .map(|node| (node.host, node.witness_port));
        nodes
            .filter(move |_| self == Shape::Witnessed)
            .chain(members)
    }
}
