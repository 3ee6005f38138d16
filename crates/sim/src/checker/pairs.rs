//! S5: after quiet both ends hold the same SA pairs; no disjoint ones, no one-sided leftovers.

use std::collections::BTreeSet;

use crate::frame::{HostId, is_front};
use crate::host::PairView;

/// The pairs of every host, the front end first.
pub type Ends = Vec<Vec<PairView>>;

/// Every pair that only one end holds, and every group address without a common pair.
#[must_use]
pub fn disagreements(ends: &Ends) -> Vec<String> {
    let mut found = Vec::new();
    let of = |front: bool| {
        let hosts = ends.iter().enumerate();
        hosts.filter(move |(host, _)| is_front(*host) == front)
    };
    let mut front = BTreeSet::new();
    for pair in of(true).flat_map(|(_, pairs)| pairs) {
        if !front.insert(*pair) {
            found.push(format!("two nodes of the front end hold {pair:08x?}"));
        }
    }
    let nodes = of(false);
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

/// Every pair of which another member of the same cluster has no copy, and every copy of a pair
/// that is no more.
#[must_use]
pub fn incomplete(used: &Ends, copies: &Ends, clusters: &[Vec<HostId>]) -> Vec<String> {
    let mut found = Vec::new();
    for members in clusters {
        for keeper in members {
            let others = members.iter().filter(|host| *host != keeper);
            let used: BTreeSet<PairView> = others.flat_map(|host| &used[*host]).copied().collect();
            let copies: BTreeSet<PairView> = copies[*keeper].iter().copied().collect();
            for pair in used.difference(&copies) {
                let (spi, local) = (pair.inbound_spi, pair.local);
                found.push(format!(
                    "host {keeper} has no copy of the pair {spi:08x} of {local}"
                ));
            }
            for pair in copies.difference(&used) {
                let (spi, local) = (pair.inbound_spi, pair.local);
                found.push(format!(
                    "the pair {spi:08x} of {local} has only a copy, at host {keeper}"
                ));
            }
        }
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
    fn pairs_without_a_copy_and_copies_without_a_pair_are_found() {
        let clusters = [vec![1, 2]];
        let none = vec![vec![]; 3];
        let first = vec![vec![], vec![pair(300)], vec![]];
        let second = vec![vec![], vec![], vec![pair(300)]];
        assert_eq!(incomplete(&first, &second, &clusters), Vec::<String>::new());
        assert_eq!(incomplete(&first, &none, &clusters).len(), 1);
        assert_eq!(incomplete(&none, &second, &clusters).len(), 1);
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
