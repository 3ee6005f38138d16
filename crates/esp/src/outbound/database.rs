//! Outbound SAs, and which of them carries a flow (RFC 4301 4.4.2, 5.1).

use std::collections::BTreeMap;
use std::net::IpAddr;

use policy::names::RuleName;
use policy::sa::ChildId;
use policy::selector::Direction;
use wire::ip::Flow;

use crate::outbound::sa::OutboundSa;

/// Outbound SAs in places that do not move while they live, so that a flow can remember one.
///
/// Most SAs are for one remote host and are found by its address; what remains is a list.
#[derive(Default)]
pub(crate) struct Database {
    places: Vec<Option<OutboundSa>>,
    free: Vec<usize>,
    /// Youngest last.
    by_id: BTreeMap<ChildId, Vec<usize>>,
    by_remote: BTreeMap<IpAddr, Vec<usize>>,
    wide: Vec<usize>,
}

impl Database {
    /// Puts an SA into a free place; it is now the youngest.
    pub(crate) fn insert(&mut self, sa: OutboundSa) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.by_id.entry(sa.id()).or_default().push(place);
        match remote_host(&sa) {
            Some(remote) => self.by_remote.entry(remote).or_default().push(place),
            None => self.wide.push(place),
        }
        if let Some(entry) = self.places.get_mut(place) {
            *entry = Some(sa);
        }
    }

    /// Removes every SA of a pair. Says whether there was one.
    pub(crate) fn remove(&mut self, id: ChildId) -> bool {
        let Some(places) = self.by_id.remove(&id) else {
            return false;
        };
        for place in places {
            let Some(sa) = self.places.get_mut(place).and_then(Option::take) else {
                continue;
            };
            self.free.push(place);
            match remote_host(&sa) {
                None => self.wide.retain(|other| *other != place),
                Some(remote) => {
                    if let Some(list) = self.by_remote.get_mut(&remote) {
                        list.retain(|other| *other != place);
                        if list.is_empty() {
                            self.by_remote.remove(&remote);
                        }
                    }
                }
            }
        }
        true
    }

    /// The place of the youngest SA of this rule that carries this flow. The rule must be the
    /// same: an SA made for one policy never serves another (RFC 4301 4.4.1).
    pub(crate) fn select(&self, rule: &RuleName, flow: &Flow) -> Option<usize> {
        let carries = |place: &usize| {
            self.get(*place).is_some_and(|sa| {
                sa.rule() == rule && sa.selectors().contains(flow, Direction::Outbound)
            })
        };
        self.candidates(flow.dst).find(carries)
    }

    /// The places to look into for packets to a host: SAs for that host, youngest first, then SAs
    /// for more than one host.
    fn candidates(&self, to: IpAddr) -> impl Iterator<Item = usize> {
        let narrow = self.by_remote.get(&to).map_or(&[][..], Vec::as_slice);
        narrow.iter().rev().chain(self.wide.iter().rev()).copied()
    }

    /// The SA in a place.
    pub(crate) fn get(&self, place: usize) -> Option<&OutboundSa> {
        self.places.get(place)?.as_ref()
    }

    /// The SA in a place, to seal with.
    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut OutboundSa> {
        self.places.get_mut(place)?.as_mut()
    }

    /// The youngest SA of a pair.
    pub(crate) fn find(&self, id: ChildId) -> Option<&OutboundSa> {
        self.get(*self.by_id.get(&id)?.last()?)
    }

    /// The youngest SA of a pair, to be changed.
    pub(crate) fn find_mut(&mut self, id: ChildId) -> Option<&mut OutboundSa> {
        let place = *self.by_id.get(&id)?.last()?;
        self.get_mut(place)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

/// The one remote host that an SA is for, if it is for one.
fn remote_host(sa: &OutboundSa) -> Option<IpAddr> {
    let mut hosts = sa
        .selectors()
        .remote
        .iter()
        .map(|selector| selector.addresses.as_host());
    let first = hosts.next()??;
    hosts.all(|host| host == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use policy::range::AddressRange;
    use policy::selector::{Selectors, TrafficSelector};

    use super::*;
    use crate::fixtures::{Pair, address, tcp_port};

    fn sa(remote: AddressRange, number: u64) -> OutboundSa {
        let side = |addresses| vec![TrafficSelector::all(addresses)];
        let local = side(AddressRange::host(address(false, 1)));
        let selectors = Selectors {
            local,
            remote: side(remote),
        };
        OutboundSa::new(&Pair::PLAIN.spec_for(selectors, number), 0).unwrap()
    }

    fn host(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0x0b00_0000 + number).into()
    }

    #[test]
    fn as_many_sas_are_looked_at_among_ten_thousand_as_among_ten() {
        for count in [10, 10_000] {
            let mut database = Database::default();
            for number in 0..count {
                database.insert(sa(AddressRange::host(host(number)), number.into()));
            }
            for number in 0..count {
                assert_eq!(database.candidates(host(number)).count(), 1);
            }
            assert_eq!(database.candidates(address(false, 9)).count(), 0);
        }
    }

    #[test]
    fn an_sa_for_one_host_is_preferred_to_one_for_many() {
        let mut database = Database::default();
        let flow = Flow {
            src: address(false, 1),
            dst: host(7),
            protocol: 6,
            src_port: 1,
            dst_port: 110,
        };
        database.insert(sa(AddressRange::host(host(7)), 1));
        database.insert(sa(AddressRange::subnet(host(0), 24).unwrap(), 2));
        let rule = RuleName::new("mail");
        let chosen = |database: &Database, flow: &Flow| {
            database
                .select(&rule, flow)
                .and_then(|place| database.get(place))
                .map(OutboundSa::id)
        };
        assert_eq!(chosen(&database, &flow), Some(ChildId(1)));
        assert_eq!(
            chosen(
                &database,
                &Flow {
                    dst: host(8),
                    ..flow
                }
            ),
            Some(ChildId(2))
        );
        assert!(database.remove(ChildId(1)));
        assert_eq!(chosen(&database, &flow), Some(ChildId(2)));
        assert_eq!(database.select(&RuleName::new("other"), &flow), None);
        assert!(database.remove(ChildId(2)));
        assert_eq!((chosen(&database, &flow), database.len()), (None, 0));
    }

    #[test]
    fn selectors_of_two_hosts_are_not_of_one() {
        let two = [tcp_port(host(1), 110), tcp_port(host(2), 110)];
        let selectors = Selectors {
            local: vec![tcp_port(host(9), 1)],
            remote: two.to_vec(),
        };
        let sa = OutboundSa::new(&Pair::PLAIN.spec_for(selectors, 1), 0).unwrap();
        assert_eq!(remote_host(&sa), None);
    }
}
