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
/// Most SAs are for one remote host and are found by its address; what remains is a list. Those for
/// one host are chained, so that a host with one SA costs no more than a place.
#[derive(Default)]
pub(crate) struct Database {
    places: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_id: BTreeMap<ChildId, u32>,
    /// The youngest SA for each host.
    by_remote: BTreeMap<IpAddr, u32>,
    /// Youngest last.
    wide: Vec<u32>,
}

struct Entry {
    sa: OutboundSa,
    /// When it came to be, in nanoseconds of the caller's clock; before its beginning, if another
    /// member made it.
    born: i64,
    /// The next older SA for the same host.
    older: Option<u32>,
}

impl Database {
    /// Puts an SA that came to be at `born` into a free place. It replaces one of the same pair.
    pub(crate) fn insert(&mut self, sa: OutboundSa, born: i64) {
        self.remove(sa.id());
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            (self.places.len() - 1) as u32
        });
        self.by_id.insert(sa.id(), place);
        let older = match remote_host(&sa) {
            Some(remote) => self.chain(remote, place, born),
            None => {
                let before = |other: &u32| self.born(*other) <= born;
                let at = self.wide.iter().rposition(before).map_or(0, |at| at + 1);
                self.wide.insert(at, place);
                None
            }
        };
        if let Some(entry) = self.places.get_mut(place as usize) {
            *entry = Some(Entry { sa, born, older });
        }
    }

    fn born(&self, place: u32) -> i64 {
        let entry = self.places.get(place as usize).and_then(Option::as_ref);
        entry.map_or(i64::MIN, |entry| entry.born)
    }

    /// Puts a place into the chain of a host, behind those that are younger. The answer is the next
    /// older one.
    fn chain(&mut self, remote: IpAddr, place: u32, born: i64) -> Option<u32> {
        let mut older = self.by_remote.get(&remote).copied();
        let mut younger = None;
        while let Some(other) = older.filter(|other| self.born(*other) > born) {
            let entry = self.places.get(other as usize).and_then(Option::as_ref);
            older = entry.and_then(|entry| entry.older);
            younger = Some(other);
        }
        let entry = younger.and_then(|other| self.places.get_mut(other as usize)?.as_mut());
        match entry {
            Some(entry) => entry.older = Some(place),
            None => {
                self.by_remote.insert(remote, place);
            }
        }
        older
    }

    /// Removes the SA of a pair. Says whether there was one.
    pub(crate) fn remove(&mut self, id: ChildId) -> bool {
        let Some(place) = self.by_id.remove(&id) else {
            return false;
        };
        let taken = self.places.get_mut(place as usize).and_then(Option::take);
        if let Some(Entry { sa, older, .. }) = taken {
            self.free.push(place);
            match remote_host(&sa) {
                None => self.wide.retain(|other| *other != place),
                Some(remote) => self.unchain(remote, place, older),
            }
        }
        true
    }

    /// Takes a place, which is empty already, out of the chain of a host.
    fn unchain(&mut self, remote: IpAddr, place: u32, older: Option<u32>) {
        let Some(youngest) = self.by_remote.get_mut(&remote) else {
            return;
        };
        if *youngest == place {
            match older {
                Some(older) => *youngest = older,
                None => {
                    self.by_remote.remove(&remote);
                }
            }
            return;
        }
        let mut at = Some(*youngest);
        while let Some(entry) = at.and_then(|at| self.places.get_mut(at as usize)?.as_mut()) {
            if entry.older == Some(place) {
                entry.older = older;
                return;
            }
            at = entry.older;
        }
    }

    /// The place of the youngest SA of this rule that carries this flow. The rule must be the
    /// same: an SA made for one policy never serves another (RFC 4301 4.4.1).
    ///
    /// Where peers behind one NAT have one each, `owner` says whose the flow is.
    pub(crate) fn select(
        &self,
        rule: &RuleName,
        flow: &Flow,
        owner: impl FnOnce() -> Option<u64>,
    ) -> Choice {
        let carries = |place: &usize| {
            self.get(*place).is_some_and(|sa| {
                sa.rule() == rule && sa.selectors().contains(flow, Direction::Outbound)
            })
        };
        let party = |place: usize| Some(self.get(place)?.party()?.1);
        let mut carrying = self.candidates(flow.dst).filter(carries);
        let Some(first) = carrying.next() else {
            return Choice::None;
        };
        let Some(youngest) = party(first) else {
            return Choice::Sa(first);
        };
        if !carrying.any(|place| party(place).is_some_and(|other| other != youngest)) {
            return Choice::Sa(first);
        }
        let owner = owner();
        let mut all = self.candidates(flow.dst).filter(carries);
        let found = all.find(|place| owner.is_some() && party(*place) == owner);
        found.map_or(Choice::Nobody, Choice::Sa)
    }

    /// The places to look into for packets to a host: SAs for that host, youngest first, then SAs
    /// for more than one host.
    fn candidates(&self, to: IpAddr) -> impl Iterator<Item = usize> {
        let youngest = self.by_remote.get(&to).copied();
        let older = |place: &u32| self.places.get(*place as usize)?.as_ref()?.older;
        let narrow = std::iter::successors(youngest, older);
        narrow
            .chain(self.wide.iter().rev().copied())
            .map(|place| place as usize)
    }

    /// The SA in a place.
    pub(crate) fn get(&self, place: usize) -> Option<&OutboundSa> {
        self.places.get(place)?.as_ref().map(|entry| &entry.sa)
    }

    /// The SA in a place, to seal with.
    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut OutboundSa> {
        self.places
            .get_mut(place)?
            .as_mut()
            .map(|entry| &mut entry.sa)
    }

    /// The place of the SA of a pair.
    pub(crate) fn place(&self, id: ChildId) -> Option<usize> {
        self.by_id.get(&id).map(|place| *place as usize)
    }

    /// The SA of a pair.
    pub(crate) fn find(&self, id: ChildId) -> Option<&OutboundSa> {
        self.get(self.place(id)?)
    }

    /// The SA of a pair, to be changed.
    pub(crate) fn find_mut(&mut self, id: ChildId) -> Option<&mut OutboundSa> {
        self.get_mut(self.place(id)?)
    }

    /// Every SA.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &OutboundSa> {
        self.places.iter().flatten().map(|entry| &entry.sa)
    }

    /// Every SA, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut OutboundSa> {
        self.places.iter_mut().flatten().map(|entry| &mut entry.sa)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

/// What carries a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The SA in this place.
    Sa(usize),
    /// No SA.
    None,
    /// SAs of several peers behind one NAT, and none of them has used the flow.
    Nobody,
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
    use std::sync::Arc;

    use policy::range::AddressRange;
    use policy::sa::Bucket;
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
        OutboundSa::new(
            Arc::new(Pair::PLAIN.spec_for(selectors, number)),
            Bucket::HOST,
        )
        .unwrap()
    }

    fn host(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0x0b00_0000 + number).into()
    }

    #[test]
    fn as_many_sas_are_looked_at_among_ten_thousand_as_among_ten() {
        for count in [10, 10_000] {
            let mut database = Database::default();
            for number in 0..count {
                database.insert(sa(AddressRange::host(host(number)), number.into()), 0);
            }
            for number in 0..count {
                assert_eq!(database.candidates(host(number)).count(), 1);
            }
            assert_eq!(database.candidates(address(false, 9)).count(), 0);
        }
    }

    #[test]
    fn the_youngest_is_first_in_whatever_order_they_come() {
        for range in [
            AddressRange::host(host(7)),
            AddressRange::subnet(host(0), 24).unwrap(),
        ] {
            // The age of each is its number, and a number that comes again is as young as before.
            for order in [[1, 2, 3, 4], [4, 3, 2, 1], [2, 4, 1, 3], [3, 1, 4, 2]] {
                let mut database = Database::default();
                for number in order {
                    database.insert(sa(range, number), -(number as i64));
                }
                let ids = |database: &Database| -> Vec<u64> {
                    let found = database.candidates(host(7));
                    let sas = found.filter_map(|place| database.get(place));
                    sas.map(|sa| sa.id().0).collect()
                };
                let all: Vec<u64> = (1..=4).map(|number| sa(range, number).id().0).collect();
                assert_eq!(ids(&database), all);
                assert!(database.remove(sa(range, 2).id()));
                assert_eq!(ids(&database), [all[0], all[2], all[3]]);
                database.insert(sa(range, 5), 0);
                assert_eq!(ids(&database)[0], sa(range, 5).id().0);
            }
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
        database.insert(sa(AddressRange::host(host(7)), 1), 0);
        database.insert(sa(AddressRange::subnet(host(0), 24).unwrap(), 2), 0);
        let rule = RuleName::new("mail");
        let chosen = |database: &Database, flow: &Flow| match database.select(&rule, flow, || None)
        {
            Choice::Sa(place) => database.get(place).map(OutboundSa::id),
            _ => None,
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
        let other = database.select(&RuleName::new("other"), &flow, || None);
        assert_eq!(other, Choice::None);
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
        let sa =
            OutboundSa::new(Arc::new(Pair::PLAIN.spec_for(selectors, 1)), Bucket::HOST).unwrap();
        assert_eq!(remote_host(&sa), None);
    }
}
