//! The state of a daemon: its SAs, its rules in their order, its data plane, its counters.

use crate::cluster::ClusterStatus;
use serde::{Deserialize, Serialize};

/// Everything that `holdfast status` shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The node's name.
    pub node: String,
    /// Seconds since the daemon started.
    pub uptime_s: u64,
    /// Seconds since the configuration was read last.
    pub configuration_age_s: u64,
    /// The data plane.
    pub plane: Plane,
    /// The rules, most specific first: the order in which they are tried.
    pub rules: Vec<RuleStatus>,
    /// Hosts that are spoken to in clear text, although their rule wants protection.
    #[serde(default)]
    pub soft_sas: Vec<SoftSa>,
    /// The IKE SAs, each with its CHILD_SAs.
    pub ike_sas: Vec<IkeSa>,
    /// Why negotiations failed lately: sentences, newest first, at most a few.
    pub recent_failures: Vec<String>,
    /// The cluster, where this node is a member of one.
    pub cluster: Option<ClusterStatus>,
    /// Datagrams and packets that were refused, by reason; zeros are left out.
    pub discards: Vec<Counter>,
}

/// What Windows calls a soft SA: it protects nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoftSa {
    /// The rule that allows it by `soft`.
    pub rule: String,
    /// The host.
    pub remote: String,
    /// Seconds until it is asked again.
    pub asked_in_s: u64,
}

/// The data plane in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plane {
    /// `user`: user-space ESP behind a TUN device; `kernel`: the kernel's own (XFRM).
    pub kind: String,
    /// Why it is this one.
    pub why: String,
    /// The TUN device; empty where there is none.
    pub device: String,
    /// The largest packet on it, in bytes.
    pub mtu: u32,
    /// Packets sealed.
    pub packets_out: u64,
    /// Bytes sealed, inner packets.
    pub bytes_out: u64,
    /// Packets opened.
    pub packets_in: u64,
    /// Bytes opened, inner packets.
    pub bytes_in: u64,
    /// Packets of protected selectors that the fail-closed rules dropped in clear.
    pub clear_packets_dropped: Option<u64>,
    /// Paths to peers that take less than their link: packets are cut, or their senders told.
    #[serde(default)]
    pub paths: Vec<PathMtu>,
}

/// A path to a peer on which large packets do not pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathMtu {
    /// The peer's outer address.
    pub remote: String,
    /// The largest packet that passes, in bytes.
    pub mtu: u32,
}

/// One rule, as the computed order has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleStatus {
    /// Its name.
    pub name: String,
    /// `permit`, `block`, `require` or `request`.
    pub action: String,
    /// The expanded selectors, one line each; empty while the rule is dormant.
    pub selectors: Vec<String>,
    /// A rule is dormant while this host owns none of its local addresses.
    pub dormant: bool,
    /// `file`, `persistent` or `dynamic`: where it comes from.
    #[serde(default)]
    pub origin: String,
}

/// One IKE SA (RFC 7296).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IkeSa {
    /// The peer's name in the configuration.
    pub peer: String,
    /// Who the peer proved to be.
    #[serde(default)]
    pub remote_id: Option<String>,
    /// `connecting`, `established`, `rekeying` or `deleting`.
    pub state: String,
    /// Did this end initiate it?
    pub initiator: bool,
    /// `ADDRESS:PORT` of this end.
    pub local: String,
    /// `ADDRESS:PORT` of the other end.
    pub remote: String,
    /// 16 hexadecimal digits.
    pub initiator_spi: String,
    /// 16 hexadecimal digits; zeros while it is unknown.
    pub responder_spi: String,
    /// The algorithms agreed.
    pub proposal: Option<String>,
    /// Seconds since it was established.
    pub established_s: Option<u64>,
    /// Seconds until it is rekeyed.
    pub rekey_in_s: Option<u64>,
    /// Is a NAT between, or is one assumed by configuration?
    pub udp_encapsulation: bool,
    /// What both sides agreed on beyond RFC 7296, one word each.
    #[serde(default)]
    pub extensions: Vec<String>,
    /// The CHILD_SAs.
    pub child_sas: Vec<ChildSa>,
}

/// One pair of ESP SAs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildSa {
    /// The rule that it serves.
    pub rule: String,
    /// `installed`, `rekeying`, `rekeyed` or `deleting`.
    pub state: String,
    /// `transport` or `tunnel`.
    pub mode: String,
    /// 8 hexadecimal digits.
    pub inbound_spi: String,
    /// 8 hexadecimal digits.
    pub outbound_spi: String,
    /// The algorithms agreed.
    pub proposal: String,
    /// Extended sequence numbers?
    pub esn: bool,
    /// Selectors of this side.
    pub local_selectors: Vec<String>,
    /// Selectors of the other side.
    pub remote_selectors: Vec<String>,
    /// Packets opened.
    pub packets_in: u64,
    /// Bytes opened.
    pub bytes_in: u64,
    /// Packets sealed.
    pub packets_out: u64,
    /// Bytes sealed.
    pub bytes_out: u64,
    /// Seconds since a packet came in; `null` when none has.
    pub inbound_idle_s: Option<f64>,
    /// Seconds since it was installed.
    pub installed_s: u64,
    /// Seconds until it is rekeyed.
    pub rekey_in_s: Option<u64>,
}

/// A named count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// What was counted, in words.
    pub name: String,
    /// How often.
    pub count: u64,
}
