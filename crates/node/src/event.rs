//! What happened, told once: the events of IKE and cluster, and the node's own.

use crate::soft::SoftEnd;
use cluster::{GroupName, NodeName, Standing};
use policy::{Direction, RuleName};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

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
    /// A peer says nothing, and its traffic passes in clear text although a rule wants it
    /// protected.
    SoftBegan {
        /// The rule.
        rule: RuleName,
        /// The peer.
        remote: IpAddr,
        /// After this it is asked again.
        lasts: Duration,
    },
    /// That is over.
    SoftEnded {
        /// The rule.
        rule: RuleName,
        /// The peer.
        remote: IpAddr,
        /// Why.
        why: SoftEnd,
    },
    /// The owner of a group gives it away, and has told where it stopped: its gate is closed.
    LastWord {
        /// The group.
        group: GroupName,
    },
    /// This node gives a group to another, and its gate is closed.
    GateClosed {
        /// The group.
        group: GroupName,
        /// Who gets it.
        to: NodeName,
    },
    /// A group's addresses are on this host.
    AddressesUp {
        /// The group.
        group: GroupName,
    },
    /// The first packet of a group is sealed, or opened, since its gate is open here. Outbound
    /// this comes for each of its addresses.
    FirstPacket {
        /// The group.
        group: GroupName,
        /// Which way it went.
        direction: Direction,
    },
    /// This node owns a group, and goes on with what the owner before had.
    Inherited {
        /// The group.
        group: GroupName,
        /// IKE SAs that are gone on with; 0 where there is nothing, or no copy in sync.
        count: usize,
    },
    /// This node's copy of a group is in sync: it could go on at any moment.
    Copy {
        /// The group.
        group: GroupName,
        /// Its owner.
        owner: NodeName,
        /// Whether it is in sync.
        in_sync: bool,
    },
    /// Who could go on with a group of this node has changed.
    Standing {
        /// The group.
        group: GroupName,
        /// Who could.
        standing: Standing,
    },
    /// A member that could go on is lost and has not come back: what it has is replaced.
    Replacing {
        /// The group.
        group: GroupName,
    },
    /// A member that could go on is lost, and the witness does not answer.
    Halted {
        /// The group.
        group: GroupName,
    },
    /// A record of another member cannot be used here.
    BadRecord {
        /// The group.
        group: GroupName,
        /// Why not.
        why: ike::BadRecord,
    },
    /// A member of another version sent something.
    Unreadable {
        /// The group.
        group: GroupName,
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
            Self::Copy {
                group,
                owner,
                in_sync: true,
            } => write!(f, "{group}: this node's copy is in sync with {owner}"),
            Self::Copy { group, owner, .. } => {
                write!(
                    f,
                    "{group}: this node's copy is no longer in sync with {owner}"
                )
            }
            Self::Standing { group, standing } => match standing {
                Standing::Alone => write!(f, "{group}: no other member could go on with its SAs"),
                Standing::Guarded(by) => {
                    write!(f, "{group}: {} could go on with its SAs", Names(by))
                }
                Standing::Bound(by) => write!(
                    f,
                    "{group}: {} is lost and may go on with its SAs: nothing new is sent on them",
                    Names(by)
                ),
            },
            Self::Replacing { group } => write!(
                f,
                "{group}: the lost member has not come back; its SAs are negotiated anew, on keys \
                 that it has never seen. A witness would make this needless: see [cluster.witness]"
            ),
            Self::Halted { group } => write!(
                f,
                "{group}: another member may own it by now, and the witness does not answer: IKE \
                 stands still until it does. Look at etcd and at the network between"
            ),
            Self::BadRecord { group, why } => {
                write!(f, "{group}: an SA of the owner cannot be kept here: {why}")
            }
            Self::Unreadable { group } => write!(
                f,
                "{group}: the owner sends what this version does not read: run the same version \
                 on all members"
            ),
            Self::SoftBegan { .. } | Self::SoftEnded { .. } => self.fmt_soft(f),
            other => other.fmt_move(f),
        }
    }
}

impl Event {
    /// The sentences about clear text where protection is wanted.
    fn fmt_soft(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SoftBegan {
                rule,
                remote,
                lasts,
            } => write!(
                f,
                "NOT PROTECTED: traffic with {remote} passes in clear text by rule {rule}, whose \
                 `soft` allows it, because there is no protection to be had; it is asked again in \
                 {} s",
                lasts.as_secs()
            ),
            Self::SoftEnded { rule, remote, why } => {
                let why = match why {
                    SoftEnd::Protected => "it is protected",
                    SoftEnd::Refused => {
                        "it speaks IPsec, and cannot be agreed with: its traffic is dropped"
                    }
                    SoftEnd::Over => "nobody has spoken with it for a while",
                    SoftEnd::Policy => "the policy is another",
                };
                write!(
                    f,
                    "traffic with {remote} does not pass in clear text by rule {rule} any more: \
                     {why}"
                )
            }
            _ => Ok(()),
        }
    }

    /// The sentences about a group that comes or goes.
    fn fmt_move(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GroupQuiet { group } => {
                write!(f, "{group}: peers know that its addresses leave this node")
            }
            Self::LastWord { group } => {
                write!(
                    f,
                    "{group}: its owner has closed the gate and told where it stopped"
                )
            }
            Self::GateClosed { group, to } => {
                write!(f, "{group}: the gate is closed here, for {to} gets it")
            }
            Self::AddressesUp { group } => write!(f, "{group}: its addresses are up here"),
            Self::FirstPacket { group, direction } => {
                let done = match direction {
                    Direction::Outbound => "sealed",
                    Direction::Inbound => "opened",
                };
                write!(f, "{group}: the first packet is {done} here")
            }
            Self::Inherited { group, count: 0 } => {
                write!(
                    f,
                    "{group}: this node begins without SAs of an earlier owner"
                )
            }
            Self::Inherited { group, count } => {
                write!(f, "{group}: this node goes on with {count} IKE SAs")
            }
            _ => Ok(()),
        }
    }
}

/// Names in one line.
struct Names<'a>(&'a [NodeName]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { ", " };
            write!(f, "{between}{name}")?;
        }
        Ok(())
    }
}
