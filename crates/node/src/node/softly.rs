//! What a node makes of peers that do not answer, where a rule gives up on protection for them.

use crate::event::Event;
use crate::node::Node;
use crate::soft::{Change, Key};
use ike::Acquire;
use policy::{Action, RuleName, Soft, Spd};
use std::net::IpAddr;
use std::time::{Duration, Instant};

impl Node {
    /// Watches whether the peer of a negotiation answers, where that matters.
    pub(crate) fn watch(&mut self, acquire: &Acquire, now: Instant) {
        if let Some(soft) = soft_of(&self.spd, &acquire.rule) {
            let key = (acquire.rule.clone(), acquire.remote);
            self.softs.ask(key, acquire.local, soft, now);
        }
    }

    /// What an event of IKE means for those that are watched.
    pub(crate) fn soft_news(&mut self, event: &ike::Event, now: Instant) {
        let change = match event {
            ike::Event::AcquireFailed {
                rule,
                remote,
                error,
                ..
            } => {
                let silent = matches!(error, ike::Error::Timeout { .. });
                self.softs.failed(&(rule.clone(), *remote), silent, now)
            }
            ike::Event::ChildEstablished {
                rule, selectors, ..
            } => {
                let hosts = selectors
                    .remote
                    .iter()
                    .filter_map(|one| one.addresses.as_host());
                let hosts: Vec<IpAddr> = hosts.collect();
                let ended = hosts.iter().map(|host| self.softs.protected(rule, *host));
                ended.collect::<Vec<_>>().into_iter().flatten().next()
            }
            _ => None,
        };
        self.tell_soft(change);
    }

    /// What time does to them.
    pub(crate) fn soft_due(&mut self, now: Instant) {
        if self.softs.is_empty() {
            return;
        }
        let ike = &self.ike;
        let protected = |(rule, remote): &Key| {
            let sas = ike.status(now);
            let mut children = sas.iter().flat_map(|sa| &sa.children);
            children.any(|child| {
                let mut sides = child.selectors.remote.iter();
                child.rule == *rule && sides.any(|side| side.addresses.contains(*remote))
            })
        };
        let changes = self.softs.due(protected, now);
        self.tell_soft(changes);
    }

    /// Forgets those that the policy in force says nothing of.
    pub(crate) fn soft_policy(&mut self) {
        let spd = std::sync::Arc::clone(&self.spd);
        let changes = self.softs.retain(|rule| soft_of(&spd, rule).is_some());
        self.tell_soft(changes);
    }

    fn tell_soft(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            self.event(match change {
                Change::Began((rule, remote), lasts) => Event::SoftBegan {
                    rule,
                    remote,
                    lasts,
                },
                Change::Ended((rule, remote), why) => Event::SoftEnded { rule, remote, why },
            });
        }
    }

    /// The hosts that are spoken to in clear text although the rule wants protection, and how long
    /// it is until each is asked again.
    pub fn soft_sas(&self, now: Instant) -> impl Iterator<Item = (&RuleName, IpAddr, Duration)> {
        let standing = self.softs.standing(now);
        standing.map(|((rule, remote), left)| (rule, *remote, left))
    }
}

/// When the rule of this name gives up on protection, if ever.
fn soft_of(spd: &Spd, name: &RuleName) -> Option<Soft> {
    let rule = spd.rules().iter().find(|rule| rule.name == *name)?;
    match &rule.action {
        Action::Negotiate(negotiate) => negotiate.soft,
        _ => None,
    }
}
