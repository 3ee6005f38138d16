//! Whom we trust, and how we know them: the Peer Authorization Database (RFC 4301 section 4.4.3).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::auth::{Alternative, Auth, Method};
use crate::identity::Identity;
use crate::names::PeerName;
use crate::ppk::Ppk;
use crate::proposal::{self, IkeProposal};
use crate::range::AddressRange;
use crate::timers::{IkeLifetime, Liveness, Retransmission, Timers};
use crate::version::{IkeVersion, Legacy};

/// The UDP ports that IKE starts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IkePort {
    /// UDP 500, then 4500 when there is a NAT on the way (RFC 7296 section 2.23).
    Standard500,
    /// UDP 4500 from the first message, and ESP in UDP: the one port that a firewall must pass.
    Only4500,
}

/// Whether IKE and ESP travel in TCP, to which port of the peer (RFC 9329). It is of those that
/// begin: what a peer may use that calls us, the host decides by whether it listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tcp {
    /// They never do.
    Never,
    /// When nothing answers by UDP.
    Fallback(u16),
    /// From the first message.
    Always(u16),
}

/// Whether an IKE SA may begin without a child (RFC 6023).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Childless {
    /// We do not say that we know of it.
    Never,
    /// If the peer begins one.
    Accept,
    /// We begin one if the peer accepts it: then the first child has a key exchange of its own, if
    /// its proposals have groups.
    Prefer,
}

/// A gateway that we go to when a peer sends us there (RFC 5685). It is another place of the same
/// peer: who answers there must prove the same identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownGateway {
    /// Where it is; one of the peer's addresses.
    pub address: IpAddr,
    /// Its name, for peers that do not say the address: no name is looked up.
    pub name: Option<String>,
}

/// Whether the addresses of an IKE SA and of its tunnels may change (RFC 4555).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mobike {
    /// We do not say that we know of it.
    Never,
    /// If the peer begins the IKE SA and wants to.
    Accept,
    /// If either side wants to. What we begin goes on at UDP 4500, NAT or not.
    Offer,
}

/// What we ask of the IKE SA with a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IkeTemplate {
    /// The version of IKE that the peer speaks.
    pub version: IkeVersion,
    /// How old its algorithms may be; only with IKEv1.
    pub legacy: Option<Legacy>,
    /// Proposals in order of preference, never empty.
    pub proposals: Vec<IkeProposal>,
    /// The ports to use.
    pub port: IkePort,
    /// ESP travels in UDP even where there is no NAT.
    pub force_udp: bool,
    /// Whether we call the peer by TCP.
    pub tcp: Tcp,
    /// When the IKE SA is rekeyed and when it ends.
    pub lifetime: IkeLifetime,
    /// The ladder of retransmissions.
    pub retransmission: Retransmission,
    /// Liveness checks, if any.
    pub liveness: Option<Liveness>,
    /// Whether unauthenticated notifies are taken as a hint to ask the peer.
    pub hints: bool,
    /// Whether crash tokens are given to the peer and taken from it (RFC 6290).
    pub qcd: bool,
    /// Whether message ids and ESP's numbers may be synchronised when a cluster, on this side or
    /// the other, has moved an IKE SA to another member (RFC 6311).
    pub sync: bool,
    /// Whether a lost IKE SA is resumed with a ticket, and tickets are granted (RFC 5723). That
    /// costs no Diffie-Hellman exchange, and so has no forward secrecy against whoever has the
    /// ticket key.
    pub resumption: bool,
    /// Octets of an IP packet above which a message is sent in fragments, if the peer takes them;
    /// `None` when fragments are neither sent nor taken (RFC 7383).
    pub fragment_size: Option<u16>,
    /// Whether the IKE SA may begin without a child.
    pub childless: Childless,
    /// A post-quantum pre-shared key (RFC 8784).
    pub ppk: Option<Ppk>,
    /// Whether its addresses may change.
    pub mobike: Mobike,
    /// How many clones of one IKE SA there may be at a time (RFC 7791); 0 when we do not say that
    /// we know of it.
    pub clones: u8,
    /// Where initiators are sent that know how to go there (RFC 5685); `None` to serve them.
    pub redirect: Option<IpAddr>,
    /// Where the peer may send us; nowhere if empty.
    pub follow: Vec<KnownGateway>,
    /// Behind a NAT, a keepalive packet after this much silence (RFC 3948 section 4).
    pub nat_keepalive: Duration,
    /// Quick modes that one main mode of IKEv1 may have, 0 for any number. With 1 every pair has
    /// keys of an exchange and an authentication of its own: perfect forward secrecy of the master
    /// key ([MS-GPIPSEC]).
    pub quick_modes: u32,
    /// Whether a member of a cluster says so to the peer in IKEv1, which then gives up silent pairs
    /// sooner ([MS-IKEE] section 3.6).
    pub advertise_fast_failover: bool,
    /// Whether the peer is taken for a member of a cluster, whatever it says.
    pub assume_fast_failover: bool,
}

impl IkeTemplate {
    /// What every link that carries IPv6 passes whole (RFC 7383 section 2.5.1). The RFC's 576 for
    /// IPv4 is of another time, and would double the fragments of every large message.
    pub const FRAGMENT_SIZE: u16 = 1280;

    /// Our default algorithms with these timers.
    #[must_use]
    pub fn with_timers(timers: &Timers) -> Self {
        IkeTemplate {
            version: IkeVersion::V2,
            legacy: None,
            proposals: proposal::default_ike(),
            port: IkePort::Standard500,
            force_udp: false,
            tcp: Tcp::Never,
            lifetime: IkeLifetime::modern(),
            retransmission: timers.retransmission.clone(),
            liveness: timers.liveness,
            hints: timers.hints,
            // A peer of the old kind hears of nothing that it does not know.
            qcd: timers.hints,
            sync: timers.hints,
            resumption: timers.hints,
            ppk: None,
            childless: match timers.hints {
                true => Childless::Accept,
                false => Childless::Never,
            },
            fragment_size: timers.hints.then_some(IkeTemplate::FRAGMENT_SIZE),
            mobike: Mobike::Never,
            clones: 0,
            redirect: None,
            follow: Vec::new(),
            nat_keepalive: Duration::from_secs(20),
            quick_modes: 0,
            advertise_fast_failover: true,
            assume_fast_failover: false,
        }
    }

    /// Whether a message in parts is put together.
    #[must_use]
    pub fn takes_fragments(&self) -> bool {
        self.fragment_size.is_some() || self.legacy.is_some()
    }

    /// Our default algorithms and timers.
    #[must_use]
    pub fn modern() -> Self {
        IkeTemplate::with_timers(&Timers::modern())
    }
}

/// One peer, or a group of peers that are treated alike. No `Debug`: it holds a secret.
#[derive(Clone)]
pub struct Peer {
    /// Its name, unique in the PAD.
    pub name: PeerName,
    /// Where it may talk from; empty for anywhere.
    pub addresses: Vec<AddressRange>,
    /// Who we are to it; [`Identity::Any`] for the address we talk from.
    pub local_id: Identity,
    /// Who it must be; [`Identity::Any`] for anyone who can authenticate.
    pub remote_id: Identity,
    /// How both prove it; of several ways the first.
    pub auth: Auth,
    /// The other ways in order, each of another [`Method`]; only with IKEv1.
    pub alternatives: Vec<Alternative>,
    /// What we ask of the IKE SA.
    pub ike: IkeTemplate,
}

impl Peer {
    /// Whether the peer may talk from this address.
    #[must_use]
    pub fn has_address(&self, address: IpAddr) -> bool {
        self.addresses.is_empty() || self.addresses.iter().any(|range| range.contains(address))
    }

    /// The one address to call it at, if there is one: the first that is a single host.
    #[must_use]
    pub fn endpoint(&self) -> Option<IpAddr> {
        self.addresses.iter().find_map(AddressRange::as_host)
    }

    /// Every way to authenticate in order, with who we are then.
    pub fn ways(&self) -> impl Iterator<Item = (&Auth, &Identity)> {
        let others = self.alternatives.iter();
        let others = others.map(|other| (&other.auth, &other.local_id));
        std::iter::once((&self.auth, &self.local_id)).chain(others)
    }

    /// The way that IKEv1 calls by this method.
    #[must_use]
    pub fn by(&self, method: Method) -> Option<(&Auth, &Identity)> {
        self.ways().find(|(auth, _)| auth.method() == Some(method))
    }

    /// Whether both would behave alike, keys included (compared in constant time).
    #[must_use]
    pub fn same(&self, other: &Peer) -> bool {
        let mut both = self.ways().zip(other.ways());
        self.name == other.name
            && self.addresses == other.addresses
            && self.remote_id == other.remote_id
            && self.ike == other.ike
            && self.alternatives.len() == other.alternatives.len()
            && both.all(|((auth, id), (others, other))| auth.same(others) && id == other)
    }

    /// How narrowly the peer is described, for an address that it has: the prefix length of the
    /// narrowest range around it, 0 for anywhere; a named identity decides between equals.
    fn specificity(&self, address: IpAddr) -> (u8, bool) {
        let around = self
            .addresses
            .iter()
            .filter(|range| range.contains(address));
        let longest = around
            .map(|range| range.prefix_length().unwrap_or(1))
            .max()
            .unwrap_or(0);
        (longest, self.remote_id != Identity::Any)
    }
}

/// Every peer that we know.
#[derive(Clone, Default)]
pub struct Pad {
    peers: Vec<Peer>,
    /// Those that are single hosts, by their addresses: there may be very many, and every first
    /// message is a question for one.
    hosts: BTreeMap<IpAddr, Vec<usize>>,
    /// All others, in the order of the file.
    wide: Vec<usize>,
}

/// What is known of a peer that authenticates itself to us.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Our address that it talks to.
    pub local: IpAddr,
    /// The address that it talks from.
    pub remote: IpAddr,
    /// Who it says it is (IDi, or IDr of a responder).
    pub remote_id: &'a Identity,
    /// Whom it wants to talk to (IDr in the initiator's IKE_AUTH request), if it says so.
    pub local_id: Option<&'a Identity>,
}

impl Pad {
    /// A PAD of these peers. The order does not matter, except between equals.
    #[must_use]
    pub fn new(peers: Vec<Peer>) -> Self {
        let mut pad = Pad::default();
        for (index, peer) in peers.iter().enumerate() {
            let hosts: Option<BTreeSet<IpAddr>> =
                peer.addresses.iter().map(AddressRange::as_host).collect();
            match hosts.filter(|hosts| !hosts.is_empty()) {
                Some(hosts) => {
                    for host in hosts {
                        pad.hosts.entry(host).or_default().push(index);
                    }
                }
                None => pad.wide.push(index),
            }
        }
        pad.peers = peers;
        pad
    }

    /// The peers that may talk from this address, each with its place in the file.
    fn around(&self, address: IpAddr) -> impl Iterator<Item = (usize, &Peer)> {
        let hosts = self.hosts.get(&address).into_iter().flatten();
        let known = hosts.chain(&self.wide).copied();
        let peers = known.filter_map(|index| Some((index, self.peers.get(index)?)));
        peers.filter(move |(_, peer)| peer.has_address(address))
    }

    /// Every peer, in the order of the policy file.
    #[must_use]
    pub fn peers(&self) -> &[Peer] {
        &self.peers
    }

    /// The peer of this name.
    #[must_use]
    pub fn find_by_name(&self, name: &PeerName) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.name == *name)
    }

    /// Every peer that may talk from this address, the most narrowly described first.
    #[must_use]
    pub fn find_by_address(&self, address: IpAddr) -> Vec<&Peer> {
        let mut found: Vec<(usize, &Peer)> = self.around(address).collect();
        found.sort_by_key(|(index, peer)| (Reverse(peer.specificity(address)), *index));
        found.into_iter().map(|(_, peer)| peer).collect()
    }

    /// The first of [`find_by_address`](Self::find_by_address): its proposals answer an
    /// IKE_SA_INIT, in which nobody has an identity yet.
    #[must_use]
    pub fn nearest(&self, address: IpAddr) -> Option<&Peer> {
        let key = |(index, peer): &(usize, &Peer)| (Reverse(peer.specificity(address)), *index);
        self.around(address).min_by_key(key).map(|(_, peer)| peer)
    }

    /// Every peer that this identity could be, whatever its address, in the order of the file.
    #[must_use]
    pub fn find_by_identity(&self, identity: &Identity) -> Vec<&Peer> {
        self.peers
            .iter()
            .filter(|peer| peer.remote_id.accepts(identity))
            .collect()
    }

    /// The peer that a claim is to be checked against: the most narrowly described one whose
    /// address and identities fit.
    ///
    /// # Errors
    /// [`NoPeer`] with the reason for every peer that did not fit.
    pub fn find(&self, claim: &Claim<'_>) -> Result<&Peer, NoPeer> {
        let around = self.around(claim.remote);
        let candidates = around.filter(|(_, peer)| PeerDifference::of(peer, claim).is_none());
        let key =
            |(index, peer): &(usize, &Peer)| (Reverse(peer.specificity(claim.remote)), *index);
        let best = candidates.min_by_key(key).map(|(_, peer)| peer);
        best.ok_or_else(|| {
            let reason = |peer: &Peer| {
                PeerDifference::of(peer, claim).map(|difference| (peer.name.clone(), difference))
            };
            NoPeer {
                remote: claim.remote,
                remote_id: claim.remote_id.clone(),
                candidates: self.peers.iter().filter_map(reason).collect(),
            }
        })
    }
}

/// The first thing in which a peer of the PAD and a claim differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerDifference {
    /// It may not talk from this address.
    Address {
        /// Where it may talk from.
        allowed: Vec<AddressRange>,
    },
    /// It says it is somebody else.
    RemoteIdentity {
        /// Who it must be.
        expected: Identity,
    },
    /// It wants to talk to somebody who we are not.
    LocalIdentity {
        /// Who we are to this peer.
        ours: Identity,
        /// Whom it asked for.
        wanted: Identity,
    },
}

impl PeerDifference {
    fn of(peer: &Peer, claim: &Claim<'_>) -> Option<Self> {
        if !peer.has_address(claim.remote) {
            return Some(PeerDifference::Address {
                allowed: peer.addresses.clone(),
            });
        }
        if !peer.remote_id.accepts(claim.remote_id) {
            return Some(PeerDifference::RemoteIdentity {
                expected: peer.remote_id.clone(),
            });
        }
        let ours = match &peer.local_id {
            Identity::Any => Identity::Address(claim.local),
            named => named.clone(),
        };
        match claim.local_id {
            Some(wanted) if !ours.accepts(wanted) => Some(PeerDifference::LocalIdentity {
                ours,
                wanted: wanted.clone(),
            }),
            _ => None,
        }
    }
}

impl fmt::Display for PeerDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerDifference::Address { allowed } => {
                f.write_str("it may talk only from")?;
                allowed.iter().try_for_each(|range| write!(f, " {range}"))
            }
            PeerDifference::RemoteIdentity { expected } => {
                write!(f, "its identity must be `{expected}`")
            }
            PeerDifference::LocalIdentity { ours, wanted } => {
                write!(f, "it asks for `{wanted}`, but to it we are `{ours}`")
            }
        }
    }
}

/// No peer of the PAD fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoPeer {
    /// The address that it talks from.
    pub remote: IpAddr,
    /// Who it says it is.
    pub remote_id: Identity,
    /// Every peer with the first thing that did not fit.
    pub candidates: Vec<(PeerName, PeerDifference)>,
}

impl fmt::Display for NoPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NoPeer {
            remote,
            remote_id,
            candidates,
        } = self;
        write!(f, "no peer is configured for `{remote_id}` at {remote}")?;
        if candidates.is_empty() {
            return f.write_str(": there are no peers at all");
        }
        for (index, (name, difference)) in candidates.iter().enumerate() {
            let before = if index == 0 { ": " } else { "; " };
            write!(f, "{before}not `{name}`, because {difference}")?;
        }
        Ok(())
    }
}

impl std::error::Error for NoPeer {}

#[cfg(test)]
mod tests;
