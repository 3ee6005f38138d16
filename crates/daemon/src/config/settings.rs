//! What a policy file says, read and checked.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cluster::{Failback, GroupName, NodeName};
use policy::{Pad, Rule, Secret, Tcp};

use crate::config::basis::Basis;
use crate::config::key::OwnStatus;
use crate::config::named::Objects;

/// Everything that a policy file says. Holds keys, so it has no `Debug`.
#[derive(Clone)]
pub struct Config {
    /// This node.
    pub node: NodeSettings,
    /// The data plane.
    pub plane: PlaneSettings,
    /// Whom we trust.
    pub pad: Pad,
    /// What happens to traffic.
    pub rules: Vec<Rule>,
    /// What responders say of our own certificates (RFC 4806).
    pub own_statuses: Vec<OwnStatus>,
    /// The cluster that this node is in, if it is in one.
    pub cluster: Option<ClusterSettings>,
    /// What has a name of its own in the file, for `holdfast export`.
    pub objects: Objects,
    /// What further rules are judged by.
    pub(crate) basis: Basis,
}

impl Config {
    /// Whether IKE and ESP may travel in TCP.
    #[must_use]
    pub fn wants_tcp(&self) -> bool {
        self.node.tcp_listen.is_some() || self.calls_by_tcp()
    }

    /// Whether a peer may be called by TCP.
    #[must_use]
    pub fn calls_by_tcp(&self) -> bool {
        let mut peers = self.pad.peers().iter();
        peers.any(|peer| peer.ike.tcp != Tcp::Never)
    }
}

/// `[node]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSettings {
    /// The node's name; `None` for the host name.
    pub name: Option<String>,
    /// Where sockets and the process's state live.
    pub run_dir: PathBuf,
    /// The control socket.
    pub control_socket: PathBuf,
    /// Where to write Wireshark key tables, if at all.
    pub key_log_dir: Option<PathBuf>,
    /// Zero bits of the puzzles that initiators must solve when very many come, if they must.
    pub puzzles: Option<u8>,
    /// The port on which peers may call by TCP, if any.
    pub tcp_listen: Option<u16>,
}

/// Where ESP runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaneKind {
    /// In the kernel where it can, else in user space.
    Auto,
    /// In the kernel, or the daemon does not start.
    Kernel,
    /// In user space.
    User,
}

/// `[plane]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaneSettings {
    /// Where ESP runs.
    pub kind: PlaneKind,
    /// Name of the TUN device.
    pub tun: String,
    /// MTU of protected routes, in bytes.
    pub mtu: u16,
    /// Whether network devices may do the kernel's ESP.
    pub offload: bool,
    /// Whether ESP is put into UDP even where there is no NAT.
    pub force_udp: bool,
    /// Number of the routing table for protected traffic.
    pub table: u32,
    /// Firewall mark of our own packets.
    pub mark: u32,
    /// Priority of the first routing rule.
    pub rule_priority: u32,
}

/// `[cluster]`. Holds the key, so it has no `Debug`; the key is shared when it is cloned.
#[derive(Clone)]
pub struct ClusterSettings {
    /// What authenticates the nodes to each other.
    pub key: Arc<Secret>,
    /// How peers get to the new owner.
    pub takeover: Takeover,
    /// Whether a datagram is never delivered twice, at the price of a block of fresh ones.
    pub strict: bool,
    /// Where this node's certificate is, which `holdfast cluster join` puts there.
    pub certificates: PathBuf,
    /// TCP port of the links between the nodes.
    pub link_port: u16,
    /// What decides between nodes that do not hear each other.
    pub witness: Option<WitnessSettings>,
    /// How often nodes greet each other.
    pub heartbeat: Duration,
    /// Missing greetings that make a node count as gone.
    pub missed: u32,
    /// Every node, this one among them.
    pub nodes: Vec<ClusterNode>,
    /// What moves together.
    pub groups: Vec<ClusterGroup>,
}

/// How peers get to the new owner of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// They notice nothing: the new owner goes on with their SAs.
    Replicate,
    /// They negotiate anew.
    Renegotiate,
}

impl Takeover {
    /// The word for it, as in the file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Takeover::Replicate => "replicate",
            Takeover::Renegotiate => "renegotiate",
        }
    }
}

/// `[cluster.witness]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessSettings {
    /// The client addresses of etcd's members, as URLs.
    pub etcd: Vec<String>,
    /// PEM files, where they are `https`: the authority, our certificate and our key.
    pub tls: Option<(PathBuf, PathBuf, PathBuf)>,
    /// What this cluster's keys in etcd begin with.
    pub prefix: String,
    /// How long a question may take.
    pub timeout: Duration,
}

/// `[[cluster.node]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterNode {
    /// Its name.
    pub name: NodeName,
    /// Where it hears the others, one for every path.
    pub addresses: Vec<SocketAddr>,
}

/// `[[cluster.group]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterGroup {
    /// Its name.
    pub name: GroupName,
    /// The virtual addresses with their prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
    /// The interface that carries them.
    pub interface: String,
    /// Starts the service.
    pub start: Option<ServiceCommand>,
    /// Stops the service.
    pub stop: Option<ServiceCommand>,
    /// Succeeds while the service is well.
    pub check: Option<ServiceCommand>,
    /// How often `check` runs.
    pub check_interval: Duration,
    /// A command that runs longer has failed.
    pub command_timeout: Duration,
    /// Who should have the group, best first.
    pub preferred: Vec<NodeName>,
    /// Whether it goes back to a better node.
    pub failback: Failback,
    /// Failures within `restart_period` that are answered by a restart on the same node.
    pub restart_threshold: u32,
    /// The time in which failures are counted.
    pub restart_period: Duration,
}

/// A command of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceCommand {
    /// For `/bin/sh -c`.
    Shell(String),
    /// A program and its arguments; never empty.
    Program(Vec<String>),
}

impl ServiceCommand {
    /// The program and its arguments.
    #[must_use]
    pub fn arguments(&self) -> Vec<&str> {
        match self {
            ServiceCommand::Shell(line) => vec!["/bin/sh", "-c", line],
            ServiceCommand::Program(words) => words.iter().map(String::as_str).collect(),
        }
    }
}

impl ClusterSettings {
    /// The node of this name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&ClusterNode> {
        self.nodes.iter().find(|node| node.name.as_str() == name)
    }

    /// What the member `own` of the cluster is to be told.
    ///
    /// # Errors
    /// A sentence, when there is no such node or the whole does not fit together.
    pub fn member(&self, own: &str) -> Result<cluster::Config, String> {
        let Some(this) = self.node(own) else {
            return Err(format!(
                "This node is called `{own}`, and no `[[cluster.node]]` has that name. Set \
                 `name` in `[node]` to one of them."
            ));
        };
        let key = cluster::ClusterKey::from_slice(self.key.as_bytes());
        let key = key.map_err(|bad| bad.to_string())?;
        let others = self.nodes.iter().filter(|node| node.name != this.name);
        let peer = |node: &ClusterNode| cluster::Peer {
            name: node.name.clone(),
            addresses: node.addresses.clone(),
        };
        let group = |group: &ClusterGroup| cluster::GroupConfig {
            failback: group.failback,
            restart_threshold: group.restart_threshold,
            restart_period: group.restart_period,
            ..cluster::GroupConfig::new(group.name.clone(), group.preferred.clone())
        };
        let groups = self.groups.iter().map(group).collect();
        let mut config =
            cluster::Config::new(this.name.clone(), key, others.map(peer).collect(), groups);
        config.heartbeat = self.heartbeat;
        config.missed = self.missed;
        config.witness = self.witness.is_some();
        config.validate().map_err(|wrong| wrong.to_string())?;
        Ok(config)
    }

    /// Whether both say the same, keys included (compared in constant time).
    #[must_use]
    pub fn same(&self, other: &ClusterSettings) -> bool {
        self.takeover == other.takeover
            && self.strict == other.strict
            && self.certificates == other.certificates
            && self.link_port == other.link_port
            && self.witness == other.witness
            && self.heartbeat == other.heartbeat
            && self.missed == other.missed
            && self.nodes == other.nodes
            && self.groups == other.groups
            && self.key.constant_time_eq(&other.key)
    }
}
