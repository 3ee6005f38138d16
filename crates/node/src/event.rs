//! What happened, told once: the events of IKE and cluster, and the node's own.

use cluster::GroupName;
use policy::RuleName;
use std::fmt;
use std::net::IpAddr;

/// One event; its `Display` is the sentence for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// From IKE.
    Ike(ike::Event),
    /// From the cluster.
    Cluster(cluster::Event),
    /// A packet asked for an SA, but no peer of the PAD fits it.
    NoPeer {
        /// The rule that covers it.
        rule: RuleName,
        /// The host that the packet is for.
        remote: IpAddr,
    },
    /// The deletes for a group's addresses are sent and answered, or time is up.
    GroupQuiet {
        /// The group.
        group: GroupName,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ike(event) => event.fmt(f),
            Self::Cluster(event) => event.fmt(f),
            Self::NoPeer { rule, remote } => write!(
                f,
                "rule {rule} covers traffic to {remote}, but no peer has this address: it passes \
                 in clear if the rule only requests protection, and is dropped if not; add the \
                 address to a [[peer]]"
            ),
            Self::GroupQuiet { group } => {
                write!(f, "{group}: peers know that its addresses leave this node")
            }
        }
    }
}
