//! The records of a group, found by their IKE SA or by their peer, at a cost that does not grow
//! with their number.

use ike::{IkeSaId, Record};
use policy::ChildId;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::ops::Bound;

/// A record with its peer's address and its children.
pub(crate) struct Kept {
    pub(crate) record: Record,
    pub(crate) remote: IpAddr,
    pub(crate) children: Children,
}

/// The pairs of an IKE SA: nearly always one, which needs no allocation of its own.
pub(crate) enum Children {
    One(ChildId),
    Many(Box<[ChildId]>),
}

impl Children {
    pub(crate) fn new(mut all: impl ExactSizeIterator<Item = ChildId>) -> Self {
        match (all.len(), all.next()) {
            (1, Some(child)) => Children::One(child),
            (_, first) => Children::Many(first.into_iter().chain(all).collect()),
        }
    }

    fn as_slice(&self) -> &[ChildId] {
        match self {
            Children::One(child) => std::slice::from_ref(child),
            Children::Many(children) => children,
        }
    }
}

/// An IKE SA by its peer's address, in the order of the addresses. It is smaller than a pair of an
/// `IpAddr` and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct OfPeer {
    address: [u8; 16],
    ike: [u8; 8],
}

impl OfPeer {
    fn new(remote: IpAddr, ike: IkeSaId) -> Self {
        let address: Ipv6Addr = match remote {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        OfPeer {
            address: address.octets(),
            ike: ike.0.to_be_bytes(),
        }
    }

    fn ike(self) -> IkeSaId {
        IkeSaId(u64::from_be_bytes(self.ike))
    }
}

/// All records of a group.
#[derive(Default)]
pub(crate) struct Records {
    by_ike: BTreeMap<IkeSaId, Kept>,
    by_peer: BTreeSet<OfPeer>,
}

impl Records {
    /// Keeps a record, in the place of the one before.
    pub(crate) fn insert(&mut self, ike: IkeSaId, kept: Kept) {
        let remote = kept.remote;
        if let Some(before) = self.by_ike.insert(ike, kept)
            && before.remote != remote
        {
            self.by_peer.remove(&OfPeer::new(before.remote, ike));
        }
        self.by_peer.insert(OfPeer::new(remote, ike));
    }

    pub(crate) fn remove(&mut self, ike: IkeSaId) -> Option<Kept> {
        let kept = self.by_ike.remove(&ike)?;
        self.by_peer.remove(&OfPeer::new(kept.remote, ike));
        Some(kept)
    }

    pub(crate) fn clear(&mut self) {
        self.by_ike.clear();
        self.by_peer.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.by_ike.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_ike.is_empty()
    }

    /// The first `count` of them.
    pub(crate) fn first(&self, count: usize) -> Vec<IkeSaId> {
        self.by_ike.keys().take(count).copied().collect()
    }

    /// At most `count` of those that come after one, in order.
    pub(crate) fn after(
        &self,
        after: Option<IkeSaId>,
        count: usize,
    ) -> impl Iterator<Item = (IkeSaId, &Kept)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.by_ike.range((from, Bound::Unbounded));
        range.take(count).map(|(ike, kept)| (*ike, kept))
    }

    /// Those with a peer at this address.
    pub(crate) fn of_peer(&self, remote: IpAddr) -> Vec<IkeSaId> {
        let of = |ike| OfPeer::new(remote, IkeSaId(ike));
        let range = self.by_peer.range(of(0)..=of(u64::MAX));
        range.map(|one| one.ike()).collect()
    }

    /// The children of one as it was recorded last.
    pub(crate) fn children(&self, ike: IkeSaId) -> &[ChildId] {
        let kept = self.by_ike.get(&ike);
        kept.map_or(&[], |kept| kept.children.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_under_the_address_that_its_peer_has_now() {
        let (old, new) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let kept = |remote| Kept {
            record: Record::from_octets(b"record"),
            remote,
            children: Children::new([ChildId(7)].into_iter()),
        };
        let mut records = Records::default();
        for (ike, remote) in [(1, old), (2, old), (1, new)] {
            records.insert(IkeSaId(ike), kept(remote));
        }
        assert_eq!(records.of_peer(old), [IkeSaId(2)]);
        assert_eq!(records.of_peer(new), [IkeSaId(1)]);
        assert_eq!(records.children(IkeSaId(1)), [ChildId(7)]);
        assert_eq!(records.after(Some(IkeSaId(1)), 9).count(), 1);
        assert!(records.remove(IkeSaId(1)).is_some());
        assert!(records.of_peer(new).is_empty() && records.len() == 1);
    }
}
