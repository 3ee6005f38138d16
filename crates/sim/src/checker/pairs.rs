//! S5: after quiet both ends hold the same SA pairs; no disjoint ones, no one-sided leftovers.

use std::collections::BTreeSet;

use crate::frame::FRONT;
use crate::host::PairView;

/// The pairs of every host, the front end first.
pub type Ends = Vec<Vec<PairView>>;

/// Every pair that only one end holds, and every group address without a common pair.
#[must_use]
pub fn disagreements(ends: &Ends) -> Vec<String> {
    let mut found = Vec::new();
    let front: BTreeSet<PairView> = ends.get(FRONT).into_iter().flatten().copied().collect();
    let nodes = ends.iter().enumerate().skip(1);
    let mut back = BTreeSet::new();
    for (host, pairs) in nodes {
        for pair in pairs {
            if !back.insert(pair.mirrored()) {
                found.push(format!("two nodes hold {pair:08x?}"));
            }
            if !front.contains(&pair.mirrored()) {
                found.push(format!(
                    "only node {host} holds the pair {:08x}/{:08x} of {}",
                    pair.inbound_spi, pair.outbound_spi, pair.local
                ));
            }
        }
    }
    for pair in front.difference(&back) {
        found.push(format!(
            "only the front end holds the pair {:08x}/{:08x} with {}",
            pair.inbound_spi, pair.outbound_spi, pair.remote
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::KeyLabel;

    fn pair(number: u32) -> PairView {
        PairView {
            local: [10, 0, 0, 1].into(),
            remote: [10, 0, 0, 100].into(),
            inbound_spi: number,
            outbound_spi: number + 1,
            inbound_key: KeyLabel(1),
            outbound_key: KeyLabel(2),
        }
    }

    #[test]
    fn pairs_that_one_end_lacks_are_found() {
        let (first, second) = (pair(300), pair(400));
        let same = vec![
            vec![first, second],
            vec![first.mirrored()],
            vec![second.mirrored()],
        ];
        assert_eq!(disagreements(&same), Vec::<String>::new());
        let front_only = vec![vec![first, second], vec![first.mirrored()], vec![]];
        assert_eq!(disagreements(&front_only).len(), 1);
        let disjoint = vec![vec![first], vec![second.mirrored()], vec![]];
        assert_eq!(disagreements(&disjoint).len(), 2);
        let other_key = PairView {
            inbound_key: KeyLabel(9),
            ..first
        };
        let disagree = vec![vec![first], vec![other_key.mirrored()], vec![]];
        assert_eq!(disagreements(&disagree).len(), 2);
    }
}
