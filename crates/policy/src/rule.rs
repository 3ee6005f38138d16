//! Rules as people write them: filters, and what happens to the traffic (RFC 4301 section 4.4.1).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::child::ChildTemplate;
use crate::names::{PeerName, RuleName};
use crate::range::{AddressRange, PortRange};

/// Addresses as a filter names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressSpec {
    /// Every address that this host has at the moment.
    Me,
    /// Every address of either family.
    Any,
    /// A host, a subnet or a range.
    Range(AddressRange),
}

impl fmt::Display for AddressSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddressSpec::Me => f.write_str("me"),
            AddressSpec::Any => f.write_str("any"),
            AddressSpec::Range(range) => match range.as_host() {
                Some(host) => write!(f, "{host}"),
                None => write!(f, "{range}"),
            },
        }
    }
}

/// Which way packets must go for a filter to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Directions {
    /// Both ways: what Windows calls a mirrored filter, and the only kind that IPsec can protect.
    Both,
    /// Only packets to the network.
    Outbound,
    /// Only packets from the network.
    Inbound,
}

/// Which packets a rule is about: every combination of what the lists hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// This host's side, never empty.
    pub local: Vec<AddressSpec>,
    /// The other side, never empty.
    pub remote: Vec<AddressSpec>,
    /// The protocol; 0 is any.
    pub protocol: u8,
    /// Ports of this host's side; empty for any.
    pub local_ports: Vec<PortRange>,
    /// Ports of the other side; empty for any.
    pub remote_ports: Vec<PortRange>,
    /// Mirrored or one way only.
    pub directions: Directions,
}

impl Filter {
    /// All traffic between two sides, both ways.
    #[must_use]
    pub fn between(local: AddressSpec, remote: AddressSpec) -> Self {
        Filter {
            local: vec![local],
            remote: vec![remote],
            protocol: 0,
            local_ports: Vec::new(),
            remote_ports: Vec::new(),
            directions: Directions::Both,
        }
    }
}

/// What happens to traffic that needs protection while there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiate {
    /// `require`: never in clear text. Otherwise `request`: in clear text if the peer turns out
    /// not to speak IPsec.
    pub required: bool,
    /// Clear text from the network is taken as before, and the answer to it leaves protected:
    /// what Windows calls `inpass`.
    pub inpass: bool,
    /// When traffic passes in clear text although protection is required, if ever.
    pub soft: Option<Soft>,
    /// Never begun from here: only peers begin, and until one does nothing changes. What Windows
    /// calls the default response rule.
    pub passive: bool,
    /// What to negotiate, shared with everything that is negotiated by it.
    pub child: Arc<ChildTemplate>,
}

impl Negotiate {
    /// Protected, or not at all.
    #[must_use]
    pub fn require(child: Arc<ChildTemplate>) -> Self {
        Negotiate {
            required: true,
            inpass: false,
            soft: None,
            passive: false,
            child,
        }
    }

    /// Protected if the peer speaks IPsec, else in clear text.
    #[must_use]
    pub fn request(child: Arc<ChildTemplate>) -> Self {
        Negotiate {
            required: false,
            ..Negotiate::require(child)
        }
    }

    /// Whether traffic may leave in clear text when there is no protection to be had.
    #[must_use]
    pub fn may_fall_back(&self) -> bool {
        !self.required || self.soft.is_some()
    }

    /// Whether clear text from the network is taken.
    #[must_use]
    pub fn takes_clear(&self) -> bool {
        !self.required || self.inpass
    }
}

/// When Windows gives up on protection: what it calls a soft SA, which protects nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Soft {
    /// So long nothing at all comes from the peer.
    pub after: Duration,
    /// Also when the peer answers, and the negotiation fails.
    pub despite_answer: bool,
    /// After this the peer is asked again.
    pub lasts: Duration,
}

impl Soft {
    /// As Windows 2003: nothing within 3 s. A peer that answers and is refused gets nothing.
    pub const WINDOWS: Soft = Soft {
        after: Duration::from_secs(3),
        despite_answer: false,
        lasts: Duration::from_secs(300),
    };

    /// As Windows 2003 with the simple policy of KB914841: half a second, or any failure.
    pub const SIMPLE: Soft = Soft {
        after: Duration::from_millis(500),
        despite_answer: true,
        lasts: Duration::from_secs(300),
    };
}

/// What a rule does (RFC 4301 section 4.4.1: BYPASS, DISCARD, PROTECT).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Passes in clear text, whatever other rules say: a default exemption of Windows.
    Exempt,
    /// Passes in clear text.
    Permit,
    /// Is dropped.
    Block,
    /// Is protected.
    Negotiate(Negotiate),
}

impl Action {
    /// The word for it in the policy file.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Action::Exempt => "exempt",
            Action::Permit => "permit",
            Action::Block => "block",
            Action::Negotiate(Negotiate { required: true, .. }) => "require",
            Action::Negotiate(_) => "request",
        }
    }

    /// What to negotiate, if the traffic is to be protected.
    #[must_use]
    pub fn child(&self) -> Option<&Arc<ChildTemplate>> {
        match self {
            Action::Negotiate(negotiate) => Some(&negotiate.child),
            _ => None,
        }
    }
}

/// Where a rule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The policy file.
    File,
    /// The persistent policy.
    Persistent,
    /// An administrator gave it to the running host: what Windows calls dynamic.
    Dynamic,
}

impl Origin {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Origin::File => "file",
            Origin::Persistent => "persistent",
            Origin::Dynamic => "dynamic",
        }
    }
}

/// One rule of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, unique in the policy.
    pub name: RuleName,
    /// Which packets it is about.
    pub filters: Vec<Filter>,
    /// What happens to them.
    pub action: Action,
    /// With whom to negotiate; `None` for any peer whose address matches.
    pub peer: Option<PeerName>,
    /// Where it comes from. Between equals what was given to the running host decides.
    pub origin: Origin,
}
