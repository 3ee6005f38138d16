//! Soft SAs: when traffic that wants protection passes in clear text (Windows 2003, KB914841).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use policy::{RuleName, Soft};

/// Hosts that are watched at most; what goes to others stays protected or does not go.
const MAX_HOSTS: usize = 4096;

/// When its time is over a host is asked again, and until it has answered nothing changes. One
/// that nobody speaks to is forgotten after this.
const GRACE: Duration = Duration::from_secs(60);

/// One that has answered is not watched any more after this: longer than any handshake takes.
const FORGOTTEN: Duration = Duration::from_secs(180);

/// A rule, and the host at the other side.
pub(crate) type Key = (RuleName, IpAddr);

/// Why traffic does not pass in clear text any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoftEnd {
    /// It is protected now.
    Protected,
    /// The peer speaks IPsec after all, and cannot be agreed with.
    Refused,
    /// Nobody asked for it any more.
    Over,
    /// The policy is another.
    Policy,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Traffic passes in clear text, for so long.
    Began(Key, Duration),
    /// It does no more.
    Ended(Key, SoftEnd),
}

/// A host that was asked for protection.
struct Asked {
    local: IpAddr,
    at: Instant,
    soft: Soft,
    answered: bool,
}

/// A host that is spoken to in clear text.
struct Standing {
    local: IpAddr,
    soft: Soft,
    until: Instant,
    answered: bool,
}

/// Who is asked, and who is spoken to in clear text.
#[derive(Default)]
pub(crate) struct Softs {
    asked: BTreeMap<Key, Asked>,
    standing: BTreeMap<Key, Standing>,
}

impl Softs {
    /// A negotiation begins, or has begun already.
    pub(crate) fn ask(&mut self, key: Key, local: IpAddr, soft: Soft, now: Instant) {
        if self.asked.len() < MAX_HOSTS {
            self.asked.entry(key).or_insert(Asked {
                local,
                at: now,
                soft,
                answered: false,
            });
        }
    }

    /// Something of IKE came. Whoever sent it, the host does not count as silent: who forges it
    /// keeps traffic from passing in clear text, and nothing else.
    pub(crate) fn heard(&mut self, local: IpAddr, remote: IpAddr) {
        let from = |key: &Key, to: IpAddr| key.1 == remote && to == local;
        for (key, asked) in &mut self.asked {
            asked.answered |= from(key, asked.local);
        }
        for (key, standing) in &mut self.standing {
            standing.answered |= from(key, standing.local);
        }
    }

    /// A negotiation came to nothing; `silent` when the peer did not answer the last question.
    pub(crate) fn failed(&mut self, key: &Key, silent: bool, now: Instant) -> Option<Change> {
        if let Some(asked) = self.asked.remove(key) {
            let wanted = asked.soft.despite_answer || (silent && !asked.answered);
            return match wanted {
                true => Some(self.begin(key, &asked, now)),
                false => self.end(key, SoftEnd::Refused),
            };
        }
        let refused = |standing: &Standing| standing.answered && !standing.soft.despite_answer;
        match self.standing.get(key).is_some_and(refused) {
            true => self.end(key, SoftEnd::Refused),
            false => None,
        }
    }

    /// What goes there is protected.
    pub(crate) fn protected(&mut self, rule: &RuleName, remote: IpAddr) -> Option<Change> {
        let key = (rule.clone(), remote);
        self.asked.remove(&key);
        self.end(&key, SoftEnd::Protected)
    }

    /// What time does. Those that are `protected` need nothing.
    pub(crate) fn due(&mut self, protected: impl Fn(&Key) -> bool, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        // The exchange of one that answered has ended by then, with or without an event.
        self.asked
            .retain(|_, asked| !asked.answered || now < asked.at + FORGOTTEN);
        let silent = |asked: &Asked| !asked.answered && now >= asked.at + asked.soft.after;
        let keys = self.asked.iter().filter(|(_, asked)| silent(asked));
        let keys: Vec<Key> = keys.map(|(key, _)| key.clone()).collect();
        for key in keys {
            let asked = self.asked.remove(&key);
            if let Some(asked) = asked.filter(|_| !protected(&key)) {
                changes.push(self.begin(&key, &asked, now));
            }
        }
        let over = |standing: &Standing| now >= standing.until + GRACE;
        let keys = self.standing.iter().filter(|(_, standing)| over(standing));
        let keys: Vec<Key> = keys.map(|(key, _)| key.clone()).collect();
        changes.extend(keys.iter().filter_map(|key| self.end(key, SoftEnd::Over)));
        changes
    }

    /// When time does something next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let asked = self.asked.values().map(|asked| match asked.answered {
            true => asked.at + FORGOTTEN,
            false => asked.at + asked.soft.after,
        });
        let standing = self
            .standing
            .values()
            .map(|standing| standing.until + GRACE);
        asked.chain(standing).min()
    }

    /// Keeps what the policy still wants.
    pub(crate) fn retain(&mut self, wanted: impl Fn(&RuleName) -> bool) -> Vec<Change> {
        self.asked.retain(|(rule, _), _| wanted(rule));
        let keys = self.standing.keys().filter(|(rule, _)| !wanted(rule));
        let keys: Vec<Key> = keys.cloned().collect();
        let ended = keys.iter().filter_map(|key| self.end(key, SoftEnd::Policy));
        ended.collect()
    }

    /// Who is spoken to in clear text, and for how long yet until he is asked again.
    pub(crate) fn standing(&self, now: Instant) -> impl Iterator<Item = (&Key, Duration)> {
        let left = move |until: Instant| until.saturating_duration_since(now);
        self.standing
            .iter()
            .map(move |(key, standing)| (key, left(standing.until)))
    }

    /// Whether nobody is watched.
    pub(crate) fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.standing.is_empty()
    }

    fn begin(&mut self, key: &Key, asked: &Asked, now: Instant) -> Change {
        let standing = Standing {
            local: asked.local,
            soft: asked.soft,
            until: now + asked.soft.lasts,
            answered: false,
        };
        self.standing.insert(key.clone(), standing);
        Change::Began(key.clone(), asked.soft.lasts)
    }

    fn end(&mut self, key: &Key, why: SoftEnd) -> Option<Change> {
        let ended = self.standing.remove(key);
        ended.map(|_| Change::Ended(key.clone(), why))
    }
}
