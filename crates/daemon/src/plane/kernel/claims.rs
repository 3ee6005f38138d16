//! Policies that are wanted, and those that are in force: the kernel holds one for each selector.

use linux::Error;
use linux::xfrm::{Direction, Mark, Policy, PolicyAction, Selector, Xfrm};
use std::collections::{BTreeMap, BTreeSet};

/// More policies than this are not put into the kernel.
const MAX_POLICIES: usize = 1 << 18;
/// The counters of our indices lie below this many bits: the top octet says whose they are, the
/// lowest three bits the direction.
const COUNTERS: u32 = 1 << 21;
const FIRST_INDEX: u32 = 0x4800_0000 >> 3;

/// What a policy is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) direction: Direction,
    pub(crate) selector: Selector,
    pub(crate) mark: Option<Mark>,
}

/// What somebody wants to happen there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Who: 0 is the policy itself, others are SAs. Of equal priority the newest has its way.
    pub(crate) owner: u32,
    /// The lowest has its way.
    pub(crate) priority: u32,
    /// What.
    pub(crate) action: PolicyAction,
}

/// All of them.
pub(crate) struct Claims {
    wanted: BTreeMap<Place, Vec<Claim>>,
    in_force: BTreeMap<Place, Policy>,
    /// Where both may differ.
    dirty: BTreeSet<Place>,
    counter: u32,
    /// Of all that are in force.
    indices: BTreeSet<u32>,
}

impl Claims {
    /// Nothing is wanted yet; what a daemon before this one left is in force.
    pub(crate) fn new(left: impl IntoIterator<Item = Policy>) -> Self {
        let mut claims = Claims {
            wanted: BTreeMap::new(),
            in_force: BTreeMap::new(),
            dirty: BTreeSet::new(),
            counter: 0,
            indices: BTreeSet::new(),
        };
        for policy in left {
            let place = Place {
                direction: policy.direction,
                selector: policy.selector,
                mark: policy.mark,
            };
            claims.dirty.insert(place);
            claims.indices.insert(policy.index);
            claims.in_force.insert(place, policy);
        }
        claims
    }

    /// Somebody wants something.
    pub(crate) fn add(&mut self, place: Place, claim: Claim) {
        self.wanted.entry(place).or_default().push(claim);
        self.dirty.insert(place);
    }

    /// Somebody wants it no longer.
    pub(crate) fn remove(&mut self, place: Place, owner: u32) {
        if let Some(claims) = self.wanted.get_mut(&place) {
            claims.retain(|claim| claim.owner != owner);
            if claims.is_empty() {
                self.wanted.remove(&place);
            }
            self.dirty.insert(place);
        }
    }

    /// Nobody wants anything any more.
    pub(crate) fn clear(&mut self) {
        self.dirty.extend(self.wanted.keys());
        self.wanted.clear();
    }

    /// Whether something has to be told to the kernel.
    pub(crate) fn is_settled(&self) -> bool {
        self.dirty.is_empty()
    }

    fn winner(&self, place: &Place) -> Option<Claim> {
        let claims = self.wanted.get(place)?.iter().rev();
        claims.copied().min_by_key(|claim| claim.priority)
    }

    /// Puts into force what is wanted. What drops or protects comes before what lets pass, and what
    /// is taken away comes last, so that nothing passes on the way that would not at its end.
    ///
    /// # Errors
    /// A sentence, when the kernel refuses some: they are tried again at the next call.
    pub(crate) fn settle(&mut self, door: &mut Xfrm) -> Result<(), Error> {
        if self.wanted.len() > MAX_POLICIES {
            let why = format!(
                "the rules and SAs come to {} policies of the kernel, and {MAX_POLICIES} is the \
                 limit: name subnets instead of ranges of addresses, aligned ranges of ports, or \
                 use `plane.kind = \"user\"`",
                self.wanted.len()
            );
            return Err(Error::other("put the policy into the kernel", why));
        }
        let mut steps: Vec<(u8, Place)> = Vec::new();
        for place in &self.dirty {
            let rank = match self.winner(place).map(|claim| claim.action) {
                Some(PolicyAction::Block | PolicyAction::Protect(_)) => 0,
                Some(PolicyAction::Allow) => 1,
                None => 2,
            };
            steps.push((rank, *place));
        }
        steps.sort_unstable();
        let mut outcome = Ok(());
        for (_, place) in steps {
            match self.settle_one(place, door) {
                Ok(()) => {
                    self.dirty.remove(&place);
                }
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }

    fn settle_one(&mut self, place: Place, door: &mut Xfrm) -> Result<(), Error> {
        let Some(claim) = self.winner(&place) else {
            if let Some(policy) = self.in_force.get(&place) {
                door.delete_policy(policy)?;
                self.indices.remove(&policy.index);
                self.in_force.remove(&place);
            }
            return Ok(());
        };
        let before = self.in_force.get(&place);
        let index = before.map(|policy| policy.index);
        let policy = Policy {
            direction: place.direction,
            selector: place.selector,
            priority: claim.priority,
            index: index.unwrap_or_else(|| self.next_index(place.direction)),
            action: claim.action,
            mark: place.mark,
        };
        if self.in_force.get(&place) != Some(&policy) {
            door.set_policy(&policy)?;
            self.indices.insert(policy.index);
            self.in_force.insert(place, policy);
        }
        Ok(())
    }

    fn next_index(&mut self, direction: Direction) -> u32 {
        // The kernel takes another one where this is in use, also by what a daemon before this one
        // left: then the policy is not known as ours after a restart, and stays.
        let mut index = 0;
        for _ in 0..=self.indices.len() {
            self.counter = (self.counter + 1) % COUNTERS;
            index = Policy::number(direction, FIRST_INDEX + self.counter.max(1));
            if !self.indices.contains(&index) {
                break;
            }
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use linux::Family;

    fn place() -> Place {
        Place {
            direction: Direction::Out,
            selector: Selector::any(Family::V4),
            mark: None,
        }
    }

    fn claim(owner: u32, priority: u32, action: PolicyAction) -> Claim {
        Claim {
            owner,
            priority,
            action,
        }
    }

    #[test]
    fn no_policy_gets_an_index_that_an_older_daemon_gave() {
        let left = |counter| Policy {
            direction: Direction::Out,
            selector: Selector::any(Family::V4),
            priority: 7,
            index: Policy::number(Direction::Out, FIRST_INDEX + counter),
            action: PolicyAction::Block,
            mark: None,
        };
        let mut claims = Claims::new([left(1)]);
        assert_eq!(claims.next_index(Direction::Out), left(2).index);
        assert_ne!(claims.next_index(Direction::In), left(3).index);
    }

    #[test]
    fn the_lowest_priority_wins_then_the_newest() {
        let mut claims = Claims::new([]);
        claims.add(place(), claim(0, 7, PolicyAction::Block));
        claims.add(place(), claim(1, 6, PolicyAction::Allow));
        assert_eq!(claims.winner(&place()).map(|claim| claim.owner), Some(1));
        claims.add(place(), claim(2, 6, PolicyAction::Allow));
        assert_eq!(claims.winner(&place()).map(|claim| claim.owner), Some(2));
        claims.remove(place(), 2);
        claims.remove(place(), 1);
        assert_eq!(claims.winner(&place()).map(|claim| claim.owner), Some(0));
        claims.remove(place(), 0);
        assert_eq!(claims.winner(&place()), None);
        assert!(!claims.is_settled());
    }
}
