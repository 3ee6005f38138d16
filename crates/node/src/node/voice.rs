//! Whether this node may speak for an address that moves between members: only while it knows
//! that the address is its own (RFC 6290 section 9.2).

use crate::node::Node;
use crate::replication::Loss;
use cluster::GroupName;
use std::net::IpAddr;
use std::time::Instant;

impl Node {
    /// Whether IKE messages may leave from a local address. A node that stood still may have lost
    /// a group without knowing: what it would say then, a Delete or the hint that it knows no such
    /// IKE SA, is wrong. A message that is held back is lost, as any may be on its way.
    pub(crate) fn may_speak(&self, local: IpAddr, now: Instant) -> bool {
        let mut groups = self.groups.iter();
        let Some(home) = groups.find(|group| group.addresses.contains(&local)) else {
            return true;
        };
        self.surely_owns(&home.group, now)
    }

    pub(crate) fn surely_owns(&self, group: &GroupName, now: Instant) -> bool {
        let member = self.cluster.as_ref();
        member.is_some_and(|member| member.surely_owns(group, now))
    }

    /// After a step: who sees the token of an IKE SA that lives can end it, so none is shown while
    /// another member may have IKE SAs of the group that are unknown here.
    pub(crate) fn allow_tokens(&mut self, now: Instant) {
        let mut changed = Vec::new();
        for home in &self.groups {
            let allowed = self.surely_owns(&home.group, now) && self.knows_all(&home.group);
            if self.tokens.get(&home.group) != Some(&allowed) {
                changed.push((home.clone(), allowed));
            }
        }
        for (home, allowed) in changed {
            for address in home.addresses {
                self.tell_ike(ike::Command::ShowTokens { address, allowed }, now);
            }
            self.tokens.insert(home.group, allowed);
        }
    }

    /// Whether no other member can have gone on with the group, and nothing inherited waits to be
    /// taken over.
    fn knows_all(&self, group: &GroupName) -> bool {
        let shared = self.shared(group);
        shared.is_none_or(|shared| {
            shared.loss == Loss::None && shared.adopt_at.is_none() && shared.departure.is_none()
        })
    }
}
