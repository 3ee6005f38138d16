//! Accounting of half-open responders: how many, of whom, and which is the oldest (RFC 7296
//! section 2.6).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::id::IkeSaId;

/// An IPv4 /24 or an IPv6 /64: what one attacker commonly has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source(u64);

impl Source {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address {
            // The top bit keeps the families apart; it halves a space that nobody counts.
            IpAddr::V4(address) => Source(u64::from(address.to_bits() >> 8)),
            IpAddr::V6(address) => Source((address.to_bits() >> 64) as u64 | 1 << 63),
        }
    }
}

/// Every half-open responder.
#[derive(Default)]
pub(crate) struct HalfOpens {
    by_birth: BTreeMap<u64, (IkeSaId, u64, IpAddr)>,
    /// Births, oldest first.
    by_source: BTreeMap<Source, BTreeSet<u64>>,
    /// By the initiator's SPI and address, to know a request that comes again.
    by_request: BTreeMap<(u64, IpAddr), IkeSaId>,
}

impl HalfOpens {
    pub(crate) fn count(&self) -> usize {
        self.by_birth.len()
    }

    pub(crate) fn count_of(&self, address: IpAddr) -> usize {
        self.by_source
            .get(&Source::of(address))
            .map_or(0, BTreeSet::len)
    }

    /// The responder that answered a request with this SPI from this address.
    pub(crate) fn of_request(&self, initiator_spi: u64, address: IpAddr) -> Option<IkeSaId> {
        self.by_request.get(&(initiator_spi, address)).copied()
    }

    /// The next one that must go before another from `address` fits into the limits, which are
    /// for all and for one source and at least 1.
    pub(crate) fn in_the_way(
        &self,
        address: IpAddr,
        most: usize,
        most_of_one: usize,
    ) -> Option<IkeSaId> {
        let birth = if self.count_of(address) >= most_of_one.max(1) {
            self.by_source.get(&Source::of(address))?.first()?
        } else if self.count() >= most.max(1) {
            self.by_birth.first_key_value()?.0
        } else {
            return None;
        };
        self.by_birth.get(birth).map(|(ike, ..)| *ike)
    }

    pub(crate) fn insert(&mut self, ike: IkeSaId, birth: u64, initiator_spi: u64, address: IpAddr) {
        self.by_birth.insert(birth, (ike, initiator_spi, address));
        self.by_source
            .entry(Source::of(address))
            .or_default()
            .insert(birth);
        self.by_request.insert((initiator_spi, address), ike);
    }

    /// A responder is no longer half-open.
    pub(crate) fn remove(&mut self, birth: u64) {
        let Some((ike, initiator_spi, address)) = self.by_birth.remove(&birth) else {
            return;
        };
        let source = Source::of(address);
        if let Some(births) = self.by_source.get_mut(&source) {
            births.remove(&birth);
            if births.is_empty() {
                self.by_source.remove(&source);
            }
        }
        let key = (initiator_spi, address);
        if self.by_request.get(&key) == Some(&ike) {
            self.by_request.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_subnet_and_finds_the_oldest() {
        let mut half = HalfOpens::default();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        half.insert(IkeSaId(1), 1, 11, address("192.0.2.1"));
        half.insert(IkeSaId(2), 2, 12, address("192.0.2.200"));
        half.insert(IkeSaId(3), 3, 13, address("2001:db8::1"));
        half.insert(IkeSaId(4), 4, 14, address("2001:db8::ffff:1"));
        assert_eq!(half.count(), 4);
        assert_eq!(half.count_of(address("192.0.2.77")), 2);
        assert_eq!(half.count_of(address("192.0.3.77")), 0);
        assert_eq!(half.count_of(address("2001:db8::2")), 2);
        assert_eq!(
            half.of_request(12, address("192.0.2.200")),
            Some(IkeSaId(2))
        );
        assert_eq!(half.of_request(12, address("192.0.2.1")), None);
        assert_eq!(half.in_the_way(address("192.0.3.1"), 5, 2), None);
        let oldest = half.in_the_way(address("192.0.3.1"), 4, 2);
        assert_eq!(oldest, Some(IkeSaId(1)));
        let of_its_own = half.in_the_way(address("2001:db8::2"), 5, 2);
        assert_eq!(of_its_own, Some(IkeSaId(3)));
        half.remove(1);
        half.remove(1);
        assert_eq!((half.count(), half.count_of(address("192.0.2.1"))), (3, 1));
        let oldest = half.in_the_way(address("192.0.3.1"), 3, 2);
        assert_eq!(oldest, Some(IkeSaId(2)));
    }

    #[test]
    fn an_ipv4_subnet_is_never_taken_for_an_ipv6_one() {
        let v4 = Source::of("0.0.2.1".parse().unwrap());
        let v6 = Source::of("::2:0:0:0:0".parse().unwrap());
        assert_ne!(v4, v6);
    }
}
