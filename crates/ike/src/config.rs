//! What an endpoint is told once, and by `Command::Reload` again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crypto::Secret;
use crypto::hash::sha256;
use policy::auth::LocalAuth;
use policy::child::ChildTemplate;
use policy::names::{PeerName, RuleName};
use policy::pad::{Pad, Peer};
use policy::sa::Bucket;
use policy::selector::Selectors;

use crate::limits;
use crate::ticket_keys::TicketKeys;

/// What a peer may ask of us: the part of a rule that a responder needs. A rule with several
/// filters becomes several of these, because local and remote selectors combine freely.
#[derive(Clone, Debug)]
pub struct ChildRule {
    /// The rule's name.
    pub rule: RuleName,
    /// The only peer it holds for; `None` for every peer.
    pub peer: Option<PeerName>,
    /// What to agree on.
    pub child: Arc<ChildTemplate>,
    /// What it covers, with our own addresses in the place of `me`. In transport mode a peer gets
    /// the part that lies between the two hosts.
    pub selectors: Selectors,
}

/// When an IKE_SA_INIT request must return a cookie (RFC 7296 section 2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookies {
    /// Always.
    Always,
    /// From this many half-open responders on, until there are only half as many.
    From(usize),
}

/// Puzzles for initiators while there are very many of them (RFC 8019).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Puzzles {
    /// They are asked for from this many half-open responders on, until there are half as many.
    pub from: usize,
    /// Zero bits that each of four digests must end with.
    pub difficulty: u8,
}

impl Puzzles {
    /// As hard as this, once half of what may be half-open is.
    #[must_use]
    pub fn of(difficulty: u8) -> Self {
        Puzzles {
            from: limits::HALF_OPEN / 2,
            difficulty,
        }
    }
}

/// The settings of an endpoint.
#[derive(Clone)]
pub struct Config {
    /// Whom we trust.
    pub pad: Arc<Pad>,
    /// What peers may ask for, most specific first.
    pub rules: Vec<ChildRule>,
    /// When cookies are asked for.
    pub cookies: Cookies,
    /// When initiators must solve a puzzle as well, if ever.
    pub puzzles: Option<Puzzles>,
    /// Most half-open responders at once.
    pub half_open: usize,
    /// Most half-open responders of one IPv4 /24 or IPv6 /64.
    pub half_open_per_source: usize,
    /// The local addresses that move between the members of a cluster, each with its bucket: their
    /// IKE SAs can be recorded, and what is said of them is true of every member that may have
    /// the address (no INITIAL_CONTACT, RFC 7296 section 2.4).
    pub buckets: BTreeMap<IpAddr, Bucket>,
    /// Children are numbered upwards from here; see [`policy::ChildId`].
    pub first_child: u64,
    /// Local addresses that move between the members of a cluster, as [`SetActive`] has named them:
    /// an IKE SA of one stays with it, whatever the peer asks (RFC 4555).
    ///
    /// [`SetActive`]: crate::Command::SetActive
    pub anchored: BTreeSet<IpAddr>,
    /// Whether [`Output::Keys`](crate::Output) reveals the keys of every IKE SA.
    pub export_keys: bool,
    /// How long an address that leaves waits for answers to its Deletes; 100 ms by default.
    pub release: Duration,
    /// How long an IKE SA without a child stays.
    pub childless: Duration,
    /// What crash tokens are made of, 32 random octets (RFC 6290 section 5); without it none are
    /// given. A node that is to recover quickly from its own restart must have the same one again,
    /// and the members of a cluster must share it.
    pub qcd_secret: Option<Arc<Secret>>,
    /// What session tickets are sealed with; without it none are granted or taken back (RFC 5723).
    pub tickets: Option<TicketKeys>,
    /// What responders say of our own certificates, by SHA-256 of these (RFC 4806).
    pub own_statuses: BTreeMap<[u8; 32], Vec<u8>>,
    /// A moment and the seconds that had passed then since 1970 (UTC), by which certificates are
    /// judged; without it none is accepted.
    pub clock: Option<(Instant, u64)>,
}

impl Config {
    /// The defaults, for these peers and rules.
    #[must_use]
    pub fn new(pad: Arc<Pad>, rules: Vec<ChildRule>) -> Self {
        Config {
            pad,
            rules,
            cookies: Cookies::From(limits::HALF_OPEN / 10),
            puzzles: None,
            half_open: limits::HALF_OPEN,
            half_open_per_source: limits::HALF_OPEN_PER_SOURCE,
            buckets: BTreeMap::new(),
            first_child: 0,
            anchored: BTreeSet::new(),
            export_keys: false,
            release: limits::RELEASE,
            childless: Duration::from_secs(60),
            qcd_secret: None,
            tickets: None,
            own_statuses: BTreeMap::new(),
            clock: None,
        }
    }

    /// What a responder says of the certificate by which we prove ourselves to a peer.
    pub(crate) fn own_status(&self, peer: &Peer) -> Option<&Vec<u8>> {
        let LocalAuth::Signature(own) = &peer.auth.local else {
            return None;
        };
        let certificate = own.certificates.first()?;
        self.own_statuses.get(&sha256(&[certificate.der()]))
    }

    /// Seconds since 1970.
    pub(crate) fn seconds(&self, now: Instant) -> Option<u64> {
        let (moment, seconds) = self.clock?;
        Some(seconds.saturating_add(now.saturating_duration_since(moment).as_secs()))
    }
}
