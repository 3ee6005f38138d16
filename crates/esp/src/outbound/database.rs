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
        let narrow = self.by_remote.get(&flow.dst).map_or(&[][..], Vec::as_slice);
        let carries = |place: &&usize| {
            self.get(**place).is_some_and(|sa| {
                sa.rule() == rule && sa.selectors().contains(flow, Direction::Outbound)
            })
        };
        let lists = [narrow, self.wide.as_slice()];
        lists
            .iter()
            .find_map(|list| list.iter().rev().find(carries))
            .copied()
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
