//! Peers that turned out not to speak IPsec, where the rule only requests it (RFC 4301 5.1).

use std::collections::BTreeMap;
use std::net::IpAddr;

use policy::names::RuleName;
use policy::range::AddressRange;

/// Peers remembered at most; beyond that a peer is asked again for every flow.
const MAX_PEERS: usize = 4096;

/// Networks behind peers remembered at most; they are looked through one by one.
const MAX_NETWORKS: usize = 256;

/// How long a peer is still spoken to in clear text while it is asked again, in nanoseconds: longer
/// than any negotiation takes to fail.
const ASKED_AGAIN: u64 = 120_000_000_000;

/// How it stands with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has just refused, or said nothing.
    Settled,
    /// It is to be asked again; until it has answered nothing changes.
    AskAgain,
}

/// Until when it is so.
type State = (u64, Standing);

/// Who may be spoken to in clear text, and until when it is not asked again.
#[derive(Default)]
pub(crate) struct FallBack {
    hosts: BTreeMap<(RuleName, IpAddr), State>,
    /// What lies behind the peer of a tunnel; where two overlap, the later one counts.
    networks: Vec<(RuleName, AddressRange, State)>,
}

impl FallBack {
    /// Remembers a peer, or what lies behind it, until a moment of the caller's clock.
    pub(crate) fn insert(&mut self, rule: &RuleName, remote: AddressRange, until: u64) {
        let state = (until, Standing::Settled);
        let Some(host) = remote.as_host() else {
            return self.insert_network(rule, remote, state);
        };
        let key = (rule.clone(), host);
        if self.hosts.len() < MAX_PEERS || self.hosts.contains_key(&key) {
            self.hosts.insert(key, state);
        }
    }

    /// Forgets a peer, or what lies behind it.
    pub(crate) fn remove(&mut self, rule: &RuleName, remote: AddressRange) {
        match remote.as_host() {
            Some(host) => {
                self.hosts.remove(&(rule.clone(), host));
            }
            None => self
                .networks
                .retain(|(known, range, _)| known != rule || *range != remote),
        }
    }

    fn insert_network(&mut self, rule: &RuleName, remote: AddressRange, state: State) {
        self.networks
            .retain(|(known, range, _)| known != rule || *range != remote);
        if self.networks.len() < MAX_NETWORKS {
            self.networks.push((rule.clone(), remote, state));
        }
    }

    /// How it stands with an address that is spoken to in clear text under this rule.
    pub(crate) fn standing(&self, rule: &RuleName, remote: IpAddr) -> Option<Standing> {
        let host = match self.hosts.is_empty() {
            true => None,
            false => self.hosts.get(&(rule.clone(), remote)),
        };
        let holds =
            |known: &RuleName, range: &AddressRange| known == rule && range.contains(remote);
        let network = || {
            let mut latest_first = self.networks.iter().rev();
            let found = latest_first.find(|(known, range, _)| holds(known, range));
            found.map(|(.., state)| state)
        };
        host.or_else(network).map(|(_, standing)| *standing)
    }

    /// Has those asked again whose time is over, and forgets whom nobody spoke to any more. Says
    /// whether that was anyone.
    pub(crate) fn expire(&mut self, now: u64) -> bool {
        let before = self.hosts.len() + self.networks.len();
        let lives = |state: &State| now < state.0.saturating_add(ASKED_AGAIN);
        self.hosts.retain(|_, state| lives(state));
        self.networks.retain(|(.., state)| lives(state));
        let mut changed = self.hosts.len() + self.networks.len() != before;
        let networks = self.networks.iter_mut().map(|(.., state)| state);
        for (until, standing) in self.hosts.values_mut().chain(networks) {
            if *standing == Standing::Settled && now >= *until {
                *standing = Standing::AskAgain;
                changed = true;
            }
        }
        changed
    }
}
