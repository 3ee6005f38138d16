//! Peers that turned out not to speak IPsec, where the rule only requests it (RFC 4301 5.1).

use std::collections::BTreeMap;
use std::net::IpAddr;

use policy::names::RuleName;

/// Peers remembered at most; beyond that a peer is asked again for every flow.
const MAX_PEERS: usize = 4096;

/// Who may be spoken to in clear text, and until when.
#[derive(Default)]
pub(crate) struct FallBack(BTreeMap<(RuleName, IpAddr), u64>);

impl FallBack {
    /// Remembers a peer until a moment of the caller's clock.
    pub(crate) fn insert(&mut self, rule: RuleName, remote: IpAddr, until: u64) {
        if self.0.len() < MAX_PEERS {
            self.0.insert((rule, remote), until);
        }
    }

    /// Whether this peer is spoken to in clear text under this rule.
    pub(crate) fn contains(&self, rule: &RuleName, remote: IpAddr) -> bool {
        !self.0.is_empty() && self.0.contains_key(&(rule.clone(), remote))
    }

    /// Forgets whose time is over. Says whether that was anyone.
    pub(crate) fn expire(&mut self, now: u64) -> bool {
        let before = self.0.len();
        self.0.retain(|_, until| now < *until);
        self.0.len() != before
    }
}
