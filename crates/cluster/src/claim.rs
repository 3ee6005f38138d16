//! A claim says who owns a group, in which epoch; of two claims every node prefers the same one.

use std::cmp::Ordering;

use crate::names::NodeName;
use crate::parts::GroupConfig;
use crate::reason::MoveReason;

/// One life of a node's process: a restarted node is somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) node: NodeName,
    pub(crate) incarnation: u64,
}

/// The ownership of a group. Claims only ever replace each other in the order of
/// [`Claim::beats`], so copies that come twice, late or from a third node do no harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Grows with every change of owner; 0 before the first.
    pub(crate) epoch: u64,
    pub(crate) owner: Option<Life>,
    pub(crate) reason: MoveReason,
}

impl Claim {
    /// Before anybody has owned the group.
    pub(crate) fn none() -> Self {
        Self {
            epoch: 0,
            owner: None,
            reason: MoveReason::FirstStart,
        }
    }

    /// The claim that follows this one.
    pub(crate) fn next(&self, owner: Life, reason: MoveReason) -> Self {
        Self {
            epoch: self.epoch.saturating_add(1),
            owner: Some(owner),
            reason,
        }
    }

    pub(crate) fn owner_name(&self) -> Option<&NodeName> {
        self.owner.as_ref().map(|life| &life.node)
    }

    /// Whether this claim replaces `other`: the higher epoch; then the more preferred owner; then
    /// the first name; then the later life of the same node.
    pub(crate) fn beats(&self, other: &Claim, group: &GroupConfig) -> bool {
        let by_owner = || match (&self.owner, &other.owner) {
            (Some(ours), Some(theirs)) => group
                .rank(&theirs.node)
                .cmp(&group.rank(&ours.node))
                .then_with(|| theirs.node.cmp(&ours.node))
                .then_with(|| ours.incarnation.cmp(&theirs.incarnation)),
            (ours, theirs) => ours.is_some().cmp(&theirs.is_some()),
        };
        self.epoch.cmp(&other.epoch).then_with(by_owner) == Ordering::Greater
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::GroupName;

    fn claim(epoch: u64, owner: Option<(&str, u64)>) -> Claim {
        let owner = owner.map(|(node, incarnation)| Life {
            node: NodeName::new(node).unwrap(),
            incarnation,
        });
        Claim {
            epoch,
            owner,
            reason: MoveReason::FirstStart,
        }
    }

    #[test]
    fn the_order_of_claims_is_total_and_strict() {
        let preferred = vec![NodeName::new("b").unwrap()];
        let group = GroupConfig::new(GroupName::new("g").unwrap(), preferred);
        // From the weakest to the strongest: `b` is preferred, `a` comes before `c` by name.
        let rising = [
            claim(0, None),
            claim(1, None),
            claim(1, Some(("c", 9))),
            claim(1, Some(("a", 1))),
            claim(1, Some(("a", 2))),
            claim(1, Some(("b", 1))),
            claim(2, Some(("c", 1))),
        ];
        for (i, low) in rising.iter().enumerate() {
            for (j, high) in rising.iter().enumerate() {
                assert_eq!(high.beats(low, &group), j > i, "{high:?} against {low:?}");
            }
        }
    }
}
