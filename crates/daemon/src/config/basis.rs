//! Peers as they were read, and what rules that come later are judged by.

use std::net::SocketAddr;

use policy::{AddressSpec, Peer, Rule, Timers};

use crate::config::diagnostic::Span;
use crate::config::named::PeerObject;

/// A peer, with what other sections need to know of it.
#[derive(Clone)]
pub(crate) struct ReadPeer {
    pub(crate) peer: Peer,
    pub(crate) span: Span,
    pub(crate) timers: Timers,
    pub(crate) object: PeerObject,
    /// The KDCs without which it cannot be reached.
    pub(crate) kdcs: Vec<SocketAddr>,
}

impl ReadPeer {
    /// Whether it is the peer of the rule, or one that the rule is about where it names none.
    pub(crate) fn serves(&self, rule: &Rule) -> bool {
        match &rule.peer {
            Some(name) => self.peer.name == *name,
            None => rule
                .filters
                .iter()
                .any(|filter| self.touches(&filter.remote)),
        }
    }

    /// Whether it may talk from one of these addresses.
    pub(crate) fn touches(&self, specs: &[AddressSpec]) -> bool {
        let own = &self.peer.addresses;
        specs.iter().any(|spec| match spec {
            AddressSpec::Me => false,
            AddressSpec::Any => true,
            AddressSpec::Range(range) => {
                own.is_empty() || own.iter().any(|one| one.intersect(range).is_some())
            }
        })
    }
}

/// What was read of a policy and is not part of it: rules that come later are judged by it.
#[derive(Clone)]
pub(crate) struct Basis {
    /// The timers of peers and rules that choose none.
    pub(crate) timers: Timers,
    /// The peers as they were read.
    pub(crate) peers: Vec<ReadPeer>,
}

impl Basis {
    /// The peers of both, and what else the second one says.
    pub(crate) fn add(&mut self, other: Basis) {
        self.timers = other.timers;
        for read in other.peers {
            let is_known = |known: &ReadPeer| known.peer.name == read.peer.name;
            if !self.peers.iter().any(is_known) {
                self.peers.push(read);
            }
        }
    }
}
