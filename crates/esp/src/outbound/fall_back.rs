//! Peers that turned out not to speak IPsec, where the rule only requests it (RFC 4301 5.1).

use std::collections::BTreeMap;
use std::net::IpAddr;

use policy::names::RuleName;

/// Peers remembered at most; beyond that a peer is asked again for every flow.
const MAX_PEERS: usize = 4096;

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

/// Who may be spoken to in clear text, and until when it is not asked again.
#[derive(Default)]
pub(crate) struct FallBack(BTreeMap<(RuleName, IpAddr), (u64, Standing)>);

impl FallBack {
    /// Remembers a peer until a moment of the caller's clock.
    pub(crate) fn insert(&mut self, rule: RuleName, remote: IpAddr, until: u64) {
        let key = (rule, remote);
        if self.0.len() < MAX_PEERS || self.0.contains_key(&key) {
            self.0.insert(key, (until, Standing::Settled));
        }
    }

    /// How it stands with a peer that is spoken to in clear text under this rule.
    pub(crate) fn standing(&self, rule: &RuleName, remote: IpAddr) -> Option<Standing> {
        if self.0.is_empty() {
            return None;
        }
        let found = self.0.get(&(rule.clone(), remote));
        found.map(|(_, standing)| *standing)
    }

    /// Has those asked again whose time is over, and forgets whom nobody spoke to any more. Says
    /// whether that was anyone.
    pub(crate) fn expire(&mut self, now: u64) -> bool {
        let before = self.0.len();
        self.0
            .retain(|_, (until, _)| now < until.saturating_add(ASKED_AGAIN));
        let mut changed = self.0.len() != before;
        for (until, standing) in self.0.values_mut() {
            if *standing == Standing::Settled && now >= *until {
                *standing = Standing::AskAgain;
                changed = true;
            }
        }
        changed
    }
}
