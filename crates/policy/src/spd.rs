//! What we allow: the Security Policy Database (RFC 4301 section 4.4.1).

use std::net::IpAddr;
use std::sync::Arc;

use wire::ip::Flow;

use crate::child::{ChildTemplate, Mode};
use crate::entry::{self, Entry};
use crate::exemption::Exemption;
use crate::names::{PeerName, RuleName};
use crate::narrowing;
use crate::order::Weight;
use crate::rule::Rule;
use crate::selector::{Direction, Selectors, sides};

/// The rules, expanded for the addresses of this host and ordered most specific first.
#[derive(Clone, Debug, Default)]
pub struct Spd {
    rules: Vec<Rule>,
    entries: Vec<Entry>,
    local: Vec<IpAddr>,
}

/// What the policy says about a packet.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'a> {
    /// It is never subject to the policy and passes.
    Exempt(Exemption),
    /// A rule decides.
    Rule(Match<'a>),
    /// No rule is about it: it passes in clear text, as in the Windows model.
    NoRule,
}

impl<'a> Verdict<'a> {
    /// The match, if a rule decides.
    #[must_use]
    pub fn rule(&self) -> Option<Match<'a>> {
        match self {
            Verdict::Rule(found) => Some(*found),
            _ => None,
        }
    }
}

/// What a peer may ask us for: one filter of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildRule {
    /// The rule's name.
    pub rule: RuleName,
    /// The only peer it holds for; `None` for every peer.
    pub peer: Option<PeerName>,
    /// What to agree on.
    pub child: Arc<ChildTemplate>,
    /// What it covers. In transport mode only what lies between the two hosts may be agreed
    /// ([`crate::narrowing::between_hosts`]).
    pub selectors: Selectors,
}

/// The entry that decides about a packet.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The entry of it.
    pub entry: &'a Entry,
    /// The entry's place in the order, from 0.
    pub place: usize,
    local: &'a [IpAddr],
}

impl Match<'_> {
    /// The selectors to negotiate for this packet: everything that the filter holds, in transport
    /// mode narrowed to the two addresses of the packet.
    #[must_use]
    pub fn selectors(&self, flow: &Flow, direction: Direction) -> Selectors {
        let filter = self.rule.filters.get(self.entry.filter);
        let (Some(filter), Some(child)) = (filter, self.rule.action.child()) else {
            return Selectors::default();
        };
        let covered = entry::selectors(filter, child.mode, self.local);
        match child.mode {
            Mode::Tunnel => covered,
            Mode::Transport => {
                let (local, remote) = sides(flow, direction);
                narrowing::between_hosts(&covered, local.address, remote.address)
            }
        }
    }
}

impl Spd {
    /// Expands the rules for a host that has these addresses, and orders them.
    #[must_use]
    pub fn build(rules: Vec<Rule>, local_addresses: &[IpAddr]) -> Self {
        let mut spd = Spd {
            rules,
            entries: Vec::new(),
            local: Vec::new(),
        };
        spd.expand(local_addresses);
        spd
    }

    /// Expands `me` again, for the addresses that the host has now. Returns whether they differ
    /// from before.
    pub fn set_local_addresses(&mut self, local_addresses: &[IpAddr]) -> bool {
        let before = std::mem::take(&mut self.local);
        self.expand(local_addresses);
        before != self.local
    }

    fn expand(&mut self, local_addresses: &[IpAddr]) {
        self.local = local_addresses.to_vec();
        self.local.sort_unstable();
        self.local.dedup();
        self.entries.clear();
        for (index, rule) in self.rules.iter().enumerate() {
            for (number, filter) in rule.filters.iter().enumerate() {
                let pairs = entry::expand_filter(filter, &self.local);
                self.entries.extend(pairs.into_iter().map(|pair| Entry {
                    rule: index,
                    filter: number,
                    pair,
                    directions: filter.directions,
                    weight: Weight::of(&rule.action, &pair),
                    dormant: entry::is_dormant(&rule.action, &pair, &self.local),
                }));
            }
        }
        let rules = &self.rules;
        self.entries.sort_by(|a, b| entry::compare(rules, a, b));
    }

    /// The rules, in the order in which they were given.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The entries, most specific first: the order in which packets are compared.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The addresses that `me` stands for, sorted.
    #[must_use]
    pub fn local_addresses(&self) -> &[IpAddr] {
        &self.local
    }

    /// The rule of an entry.
    #[must_use]
    pub fn rule_of(&self, entry: &Entry) -> Option<&Rule> {
        self.rules.get(entry.rule)
    }

    /// What peers may ask us for: every filter of every rule that negotiates, in the order of its
    /// first entry, with our own addresses in the place of `me`. Dormant ones are left out.
    #[must_use]
    pub fn child_rules(&self) -> Vec<ChildRule> {
        let mut done: Vec<(usize, usize)> = Vec::new();
        let mut found = Vec::new();
        for entry in self.entries.iter().filter(|entry| !entry.dormant) {
            if done.contains(&(entry.rule, entry.filter)) {
                continue;
            }
            done.push((entry.rule, entry.filter));
            let Some(rule) = self.rules.get(entry.rule) else {
                continue;
            };
            let Some(child) = rule.action.child() else {
                continue;
            };
            let Some(filter) = rule.filters.get(entry.filter) else {
                continue;
            };
            found.push(ChildRule {
                rule: rule.name.clone(),
                peer: rule.peer.clone(),
                child: Arc::clone(child),
                selectors: entry::selectors(filter, child.mode, &self.local),
            });
        }
        found
    }

    /// What the policy says about a packet that goes in `direction`. Takes time in proportion to
    /// the number of entries and allocates nothing.
    #[must_use]
    pub fn lookup(&self, flow: &Flow, direction: Direction) -> Verdict<'_> {
        if let Some(exemption) = Exemption::of(flow, direction) {
            return Verdict::Exempt(exemption);
        }
        let (local, remote) = sides(flow, direction);
        let protocol = flow.protocol;
        let hit = |entry: &Entry| {
            entry.pair.remote.contains(protocol, remote)
                && entry.pair.local.contains(protocol, local)
                && entry.takes(direction)
        };
        let found = self.entries.iter().position(hit).and_then(|place| {
            let entry = self.entries.get(place)?;
            Some(Match {
                rule: self.rules.get(entry.rule)?,
                entry,
                place,
                local: &self.local,
            })
        });
        found.map_or(Verdict::NoRule, Verdict::Rule)
    }
}

#[cfg(test)]
mod tests;
