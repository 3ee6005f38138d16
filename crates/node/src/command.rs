//! What the driver tells a node, and how the node refuses what breaks the contract.

use crate::config::Config;
use crate::replication::parcel::Stray;
use cluster::{GroupName, NodeName, Parcel, WitnessAnswer};
use policy::{Bucket, ChildId, PeerName, RuleName, Transport};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use wire::ip::Flow;

/// A datagram that came in.
#[derive(Clone, Copy, Debug)]
pub enum Datagram<'a> {
    /// An IKE message, without the non-ESP marker.
    Ike {
        /// What carried it.
        transport: Transport,
        /// Where it arrived.
        local: SocketAddr,
        /// Whence it came.
        remote: SocketAddr,
        /// The message.
        bytes: &'a [u8],
    },
    /// A heartbeat of the cluster.
    Cluster {
        /// Whence it came.
        from: SocketAddr,
        /// The local address at which it arrived: which path it took.
        to: IpAddr,
        /// The datagram.
        bytes: &'a [u8],
    },
}

/// An input that is no datagram and no passage of time.
pub enum Command {
    /// The data plane has a packet for which there is no SA.
    Acquire {
        /// The rule that covers it.
        rule: RuleName,
        /// The packet.
        flow: Flow,
        /// Our address for a tunnel, where the packet's own source is not it.
        outer: Option<IpAddr>,
    },
    /// The data plane got ESP with an SPI that it does not know.
    UnknownSpi {
        /// Our address.
        local: IpAddr,
        /// Whence it came.
        remote: IpAddr,
        /// The SPI.
        spi: u32,
    },
    /// A TCP connection of IKE stands, or is no more (RFC 9329).
    Stream(ike::Stream),
    /// What the data plane saw of a CHILD SA pair; from time to time for every pair in use.
    Usage {
        /// The pair.
        child: ChildId,
        /// Its counters.
        usage: ike::Usage,
    },
    /// The host's addresses have changed: these are all of them.
    Addresses(Vec<IpAddr>),
    /// The answer to [`Output::StartGroup`](crate::Output::StartGroup).
    GroupStarted {
        /// The group.
        group: GroupName,
    },
    /// A group's addresses are on this host and announced; its services may still be starting.
    AddressesUp {
        /// The group.
        group: GroupName,
    },
    /// Since [`Output::OpenGate`](crate::Output::OpenGate) the data plane has sealed a packet from
    /// this address for the first time.
    FirstSealed {
        /// The address.
        local: IpAddr,
    },
    /// Since [`Output::OpenGate`](crate::Output::OpenGate) the data plane has opened a packet of
    /// this bucket for the first time.
    FirstOpened {
        /// The bucket.
        bucket: Bucket,
    },
    /// The group could not be started, or its check failed.
    GroupFailed {
        /// The group.
        group: GroupName,
        /// What happened, as a sentence.
        reason: String,
    },
    /// Whether something on this host keeps the group from running here, such as an interface
    /// without a carrier.
    SetBarred {
        /// The group.
        group: GroupName,
        /// What, as a sentence; `None`: nothing any more.
        why: Option<String>,
    },
    /// An IKE SA goes on between other addresses (RFC 4555): those of
    /// [`Endpoint::movable`](ike::Endpoint::movable) may.
    Relocate {
        /// The IKE SA.
        ike: ike::IkeSaId,
        /// Our address.
        local: IpAddr,
        /// The peer's.
        remote: IpAddr,
    },
    /// New keys for session tickets, the newest first, or none any more (RFC 5723).
    SetTicketKeys(Option<ike::TicketKeys>),
    /// So many seconds have passed since 1970 (UTC): certificates are judged by it. To be told at
    /// the start, and whenever the host's clock was set.
    SetClock(u64),
    /// The answer to [`Output::AskStatus`](crate::Output::AskStatus).
    CertificateStatus {
        /// Of the question.
        question: u64,
        /// What the responder answered, or why it did not.
        answer: Result<Vec<u8>, String>,
    },
    /// The answer to [`Output::AskGss`](crate::Output::AskGss).
    GssAnswer {
        /// About which context.
        context: ike::GssContext,
        /// What came of the step, or why nothing did.
        answer: Result<ike::GssAnswer, String>,
    },
    /// What a responder says of a certificate of ours, or nothing any more (RFC 4806).
    SetOwnStatus {
        /// SHA-256 of the certificate.
        certificate: [u8; 32],
        /// The OCSP response.
        response: Option<Vec<u8>>,
    },
    /// The answer to [`Output::StopServices`](crate::Output::StopServices).
    ServicesStopped {
        /// The group.
        group: GroupName,
    },
    /// The answer to [`Output::ReleaseAddresses`](crate::Output::ReleaseAddresses).
    AddressesReleased {
        /// The group.
        group: GroupName,
    },
    /// The link to a member stands, or stands no longer.
    Linked {
        /// The member.
        node: NodeName,
        /// Whether it stands.
        up: bool,
    },
    /// A member says something over its link.
    LinkMessage {
        /// The member.
        from: NodeName,
        /// The message.
        message: Parcel,
    },
    /// A pair needs more sequence numbers.
    Refill {
        /// The pair.
        child: ChildId,
        /// The next number that it would use.
        next: u64,
        /// Whether a packet waits for it.
        waiting: bool,
    },
    /// A pair comes near the highest number that it may deliver.
    RefillInbound {
        /// The pair.
        child: ChildId,
        /// The highest number that came.
        highest: u64,
    },
    /// The inbound windows that have moved since this was told last, as images.
    Windows(Vec<(ChildId, Vec<u8>)>),
    /// The answer to [`Output::CloseGate`](crate::Output::CloseGate) of a handover.
    GateClosed {
        /// The bucket.
        bucket: Bucket,
        /// The next number of every pair.
        next: Vec<(ChildId, u64)>,
        /// The images of all inbound windows that have moved since they were told last.
        windows: Vec<(ChildId, Vec<u8>)>,
    },
    /// A datagram for a bucket that is handed over.
    Stray(Stray),
    /// The witness can be asked, or cannot.
    WitnessReachable(bool),
    /// What stands under a group's name at the witness; `None`: it was removed.
    WitnessRecord {
        /// The group.
        group: GroupName,
        /// Grows with every change.
        revision: u64,
        /// What stands there.
        value: Option<Vec<u8>>,
    },
    /// The answer to [`Output::Propose`](crate::Output::Propose).
    Witnessed {
        /// The group.
        group: GroupName,
        /// Of the proposal.
        tag: u64,
        /// What became of it.
        answer: WitnessAnswer,
    },
    /// Move a group to a node.
    Move {
        /// The group.
        group: GroupName,
        /// The node; `None`: the only other one.
        to: Option<NodeName>,
    },
    /// Take no more groups.
    Pause,
    /// Take groups again.
    Resume,
    /// Negotiate the SAs of a rule now.
    Initiate {
        /// The rule.
        rule: RuleName,
    },
    /// Rekey the CHILD SAs of a rule.
    RekeyRule(RuleName),
    /// Rekey the IKE SAs of a peer.
    RekeyPeer(PeerName),
    /// Delete the CHILD SAs of a rule.
    DeleteRule(RuleName),
    /// Delete the IKE SAs of a peer, with all below them.
    DeletePeer(PeerName),
    /// Send the peer of an IKE SA to another gateway (RFC 5685).
    Redirect {
        /// The IKE SA.
        ike: ike::IkeSaId,
        /// The other gateway.
        to: IpAddr,
    },
    /// Take a new configuration: all of it, or nothing.
    Reload(Box<Config>),
    /// Hand the groups over, then leave; [`cluster::Event::Left`] says when.
    Shutdown,
}

/// The driver asked for something that cannot be done; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiMisuse {
    /// No rule has this name.
    NoRule(RuleName),
    /// The rule does not negotiate, so there is nothing to initiate.
    NotNegotiated(RuleName),
    /// The rule is dormant, or no single peer can be told from it.
    NoPeer(RuleName),
    /// There is no SA of this rule.
    NoSaOfRule(RuleName),
    /// There is no IKE SA with this peer.
    NoSaOfPeer(PeerName),
    /// The cluster refuses.
    Cluster(cluster::ApiMisuse),
    /// This node is not a member of a cluster.
    NoCluster,
    /// A reload cannot turn a member of a cluster into a single host, or the reverse.
    ClusterChanged,
    /// More than one node could be meant.
    WhichNode,
    /// IKE refuses.
    Ike(ike::ApiMisuse),
}

impl fmt::Display for ApiMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRule(rule) => {
                write!(f, "there is no rule `{rule}`; `holdfast status` lists them")
            }
            Self::NotNegotiated(rule) => {
                write!(
                    f,
                    "rule `{rule}` permits or blocks, so there is nothing to negotiate"
                )
            }
            Self::NoPeer(rule) => write!(
                f,
                "rule `{rule}` is dormant or covers more than one host, so it is not known with \
                 whom to negotiate; send a packet instead"
            ),
            Self::NoSaOfRule(rule) => write!(f, "rule `{rule}` has no SA"),
            Self::NoSaOfPeer(peer) => write!(f, "there is no IKE SA with `{peer}`"),
            Self::Cluster(why) => why.fmt(f),
            Self::NoCluster => f.write_str("this node is not a member of a cluster"),
            Self::ClusterChanged => f.write_str(
                "a reload can neither join nor leave a cluster; restart the daemon instead",
            ),
            Self::WhichNode => {
                f.write_str("the cluster has more than two nodes; say which with --to")
            }
            Self::Ike(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for ApiMisuse {}
