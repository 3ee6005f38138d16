//! Records: an IKE SA as another member of the cluster keeps it (RFC 6027 section 3.3).

pub(crate) mod child;
pub(crate) mod codec;
pub(crate) mod key_pair;
pub(crate) mod path;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crypto::Secret;
use policy::child::ChildTemplate;
use policy::names::RuleName;
use policy::pad::Pad;
use policy::sa::{ChildId, SaSpec};

use crate::context::Context;
use crate::id::IkeSaId;
use crate::limits;
use crate::path::Path;

/// An established IKE SA with its children and all their keys, in octets that only this crate
/// reads. It holds remaining times, never moments. It is made to travel between members that have
/// proved who they are, and to be kept in memory; it is wiped when it is dropped.
pub struct Record(pub(crate) Secret);

impl Record {
    /// A record that came from another member.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Self {
        Record(Secret::from_slice(octets))
    }

    /// The octets, to be sent to another member and nowhere else.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// What a record says before its IKE SA is needed.
pub struct Recorded {
    /// The IKE SA.
    pub ike: IkeSaId,
    /// Our address.
    pub local: IpAddr,
    /// The peer's address.
    pub remote: IpAddr,
    /// What ESP must have.
    pub pairs: Vec<Pair>,
}

impl Recorded {
    pub(crate) fn new(ike: IkeSaId, path: &Path, children: Vec<child::Written>) -> Self {
        let in_esp = children.into_iter().filter(|one| one.in_esp);
        let pairs = in_esp.map(|one| Pair {
            spec: Arc::new(one.spec),
            active: one.active,
            age: one.age,
        });
        Recorded {
            ike,
            local: path.local.ip(),
            remote: path.remote.ip(),
            pairs: pairs.collect(),
        }
    }
}

/// A pair of a record that ESP must have before its IKE SA is needed.
pub struct Pair {
    /// What was agreed, with its keys.
    pub spec: Arc<SaSpec>,
    /// Whether its outbound SA may carry traffic.
    pub active: bool,
    /// How long ago it came to be.
    pub age: Duration,
}

/// Finds a rule by its name.
pub type FindRule<'a> = dyn Fn(&str) -> Option<(RuleName, Arc<ChildTemplate>)> + 'a;

/// What a member's own policy says of the names in a record.
pub struct Directory<'a> {
    /// Whom we trust.
    pub pad: &'a Pad,
    /// A rule that negotiates, by its name, whether it is dormant here or not.
    pub rule: &'a FindRule<'a>,
}

/// How a member goes on with IKE SAs that another one had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takeover {
    /// Names this ownership in the IVs of IKE messages: node and epoch, never twice for one key.
    pub epoch: u16,
    /// For so long nothing is asked of the peer but what was under way: no liveness check, no
    /// rekeying.
    pub grace: Duration,
    /// After the grace everything that was taken over is rekeyed, spread over this time: what the
    /// inbound window may have missed ends with the keys.
    pub spread: Duration,
}

impl Takeover {
    /// When an SA that was taken over and ends at `end` is rekeyed, unless it was to be sooner:
    /// after the grace, and before what is left of its life is half over.
    pub(crate) fn quiet_until(self, end: Instant, ctx: &mut Context<'_>) -> Instant {
        let spread = ctx.jitter(self.spread.min(limits::FOREVER));
        let half = ctx.now + end.saturating_duration_since(ctx.now) / 2;
        (ctx.after(self.grace) + spread).min(half)
    }
}

/// Why a record cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadRecord {
    /// The octets are not a record of this version.
    Malformed,
    /// The other member knows a peer that this one does not.
    UnknownPeer(String),
    /// The other member has a rule that this one does not.
    UnknownRule(String),
    /// Two SAs would have the same number or SPI.
    Taken(ChildId),
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadRecord::Malformed => f.write_str(
                "it is not a record that this version reads: run the same version on all members",
            ),
            BadRecord::UnknownPeer(name) => write!(
                f,
                "peer {name} is not configured here: the members must have the same peers"
            ),
            BadRecord::UnknownRule(name) => write!(
                f,
                "rule {name} is not configured here: the members must have the same rules"
            ),
            BadRecord::Taken(child) => write!(f, "pair {child} or its SPI is taken already"),
        }
    }
}

impl std::error::Error for BadRecord {}

/// The rule of a record's child, as this member knows it.
pub(crate) fn rule(
    name: &str,
    directory: &Directory<'_>,
) -> Result<(RuleName, Arc<policy::ChildTemplate>), BadRecord> {
    (directory.rule)(name).ok_or_else(|| BadRecord::UnknownRule(name.to_owned()))
}
