//! What a node is told once, and by `Command::Reload` again.

use cluster::GroupName;
use crypto::Secret;
use ike::{Cookies, Puzzles, TicketKeys};
use policy::{Pad, Rule};
use std::net::IpAddr;
use std::sync::Arc;

/// The settings of a node.
pub struct Config {
    /// What we allow.
    pub rules: Vec<Rule>,
    /// Whom we trust.
    pub pad: Arc<Pad>,
    /// When IKE_SA_INIT requests must return a cookie.
    pub cookies: Cookies,
    /// When initiators must solve puzzles as well, if ever.
    pub puzzles: Option<Puzzles>,
    /// Whether the keys of every IKE SA come out, for a protocol analyser.
    pub export_keys: bool,
    /// What helps peers of SAs that were lost.
    pub recovery: Recovery,
    /// The cluster, if this node is a member of one.
    pub cluster: Option<ClusterConfig>,
}

/// What helps peers of SAs that were lost; the members of a cluster have the same.
#[derive(Clone, Default)]
pub struct Recovery {
    /// What crash tokens are made of (RFC 6290), 32 random octets; without it none are given. The
    /// same after a restart, or they are of no use.
    pub qcd_secret: Option<Arc<Secret>>,
    /// What session tickets are sealed with (RFC 5723); without it none are granted.
    pub tickets: Option<TicketKeys>,
}

/// The node's part in a cluster.
pub struct ClusterConfig {
    /// Membership and groups.
    pub member: cluster::Config,
    /// The virtual IP addresses of every group.
    pub groups: Vec<GroupAddresses>,
    /// Whether SAs survive a change of owner; `None`: the peers negotiate anew.
    pub replicate: Option<Replicate>,
}

/// How SAs survive a change of owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replicate {
    /// Nothing inbound is ever delivered twice, at the price of a block of fresh packets that may
    /// be refused after a takeover. Otherwise what came within the last few milliseconds before a
    /// crash could be replayed by somebody who recorded it and strikes at that moment.
    pub strict: bool,
}

/// What moves with a group, as far as IPsec is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupAddresses {
    /// The group.
    pub group: GroupName,
    /// Its virtual IP addresses.
    pub addresses: Vec<IpAddr>,
}
