//! SAs that carry the same: the old one and the new one of a rekeying share their policies.

use crate::plane::kernel::claims::{Claim, Claims, Place};
use crate::plane::kernel::lines::{at, priority_of_sas, selectors, wrapping};
use crate::plane::kernel::number::Numbers;
use linux::xfrm::{Direction, PolicyAction, Template};
use policy::{Action, ChildId, Mode, PeerName, RuleName, SaSpec, Selectors, Spd};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

const FULL: &str = "there are no more numbers for SAs in the kernel";
const SHARED: &str = "another peer behind the same NAT has an SA in transport mode, and the kernel \
                      cannot tell them apart: use a tunnel, or `plane.kind = \"user\"`";

/// What SAs have in common that may stand for each other.
#[derive(Clone, PartialEq, Eq)]
struct Common {
    rule: RuleName,
    peer: PeerName,
    tunnel: bool,
    local: IpAddr,
    remote: IpAddr,
    /// Which of the hosts behind a NAT the peer is.
    party: Option<u64>,
}

/// SAs that may stand for each other, and carry the same.
pub(crate) struct Slot {
    common: Common,
    selectors: Selectors,
    /// Inbound: shared by all slots that have this in common, so that what a peer sends by an SA
    /// with narrower selectors is taken as well while both are there.
    pub(crate) inbound_reqid: u32,
    /// Outbound: this slot's own, so that each packet goes by an SA that may carry it.
    pub(crate) outbound_reqid: u32,
    inbound: BTreeSet<ChildId>,
    outbound: BTreeSet<ChildId>,
    places: Vec<(Direction, Place)>,
    users: usize,
}

/// All of them.
pub(crate) struct Slots {
    slots: BTreeMap<usize, Slot>,
    /// By both outer addresses: many hosts, and few slots with each.
    by_hosts: BTreeMap<(IpAddr, IpAddr), Vec<usize>>,
    last: usize,
    numbers: Numbers,
}

impl Slots {
    pub(crate) fn new() -> Self {
        Slots {
            slots: BTreeMap::new(),
            by_hosts: BTreeMap::new(),
            last: 0,
            numbers: Numbers::new(),
        }
    }

    /// Whether an SA of ours has the reqid.
    pub(crate) fn has_number(&self, reqid: u32) -> bool {
        self.numbers.has(reqid)
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&Slot> {
        self.slots.get(&slot)
    }

    /// The slot of a pair between these outer addresses.
    ///
    /// # Errors
    /// A sentence: the kernel could not tell this peer from another one behind the same NAT, or
    /// there are no more numbers.
    pub(crate) fn enter(
        &mut self,
        spec: &SaSpec,
        (local, remote): (IpAddr, IpAddr),
    ) -> Result<usize, String> {
        let common = Common {
            rule: spec.rule.clone(),
            peer: spec.peer.clone(),
            tunnel: spec.mode == Mode::Tunnel,
            local,
            remote,
            party: spec.nat.party,
        };
        let others = self.by_hosts.entry((local, remote)).or_default();
        let mut inbound_reqid = None;
        for number in others.iter() {
            let Some(slot) = self.slots.get_mut(number) else {
                continue;
            };
            if slot.common == common && slot.selectors == spec.selectors {
                slot.users += 1;
                return Ok(*number);
            }
            let alike = spec.mode == Mode::Transport && !slot.common.tunnel;
            if alike && slot.common.party != common.party {
                return Err(SHARED.to_owned());
            }
            if slot.common == common {
                inbound_reqid = Some(slot.inbound_reqid);
            }
        }
        let inbound_reqid = match inbound_reqid {
            Some(reqid) => reqid,
            None => self.numbers.take().ok_or(FULL)?,
        };
        let outbound_reqid = self.numbers.take().ok_or(FULL)?;
        self.last += 1;
        let slot = Slot {
            common,
            selectors: spec.selectors.clone(),
            inbound_reqid,
            outbound_reqid,
            inbound: BTreeSet::new(),
            outbound: BTreeSet::new(),
            places: Vec::new(),
            users: 1,
        };
        others.push(self.last);
        self.slots.insert(self.last, slot);
        Ok(self.last)
    }

    /// A pair leaves its slot; its SAs have left before.
    pub(crate) fn leave(&mut self, number: usize) {
        let Some(slot) = self.slots.get_mut(&number) else {
            return;
        };
        slot.users -= 1;
        if slot.users > 0 {
            return;
        }
        if let Some(slot) = self.slots.remove(&number) {
            self.numbers.give_back(slot.outbound_reqid);
            let hosts = (slot.common.local, slot.common.remote);
            let others = self.by_hosts.entry(hosts).or_default();
            others.retain(|other| *other != number);
            let shared = |other: &usize| {
                let other = self.slots.get(other);
                other.is_some_and(|other| other.inbound_reqid == slot.inbound_reqid)
            };
            if !others.iter().any(shared) {
                self.numbers.give_back(slot.inbound_reqid);
            }
            if others.is_empty() {
                self.by_hosts.remove(&hosts);
            }
        }
    }

    /// An SA of a pair is in the kernel, or is not any more: the first of a slot brings the
    /// policies of its direction, the last one takes them away.
    pub(crate) fn set(
        &mut self,
        number: usize,
        child: ChildId,
        direction: Direction,
        there: bool,
        spd: &Spd,
        claims: &mut Claims,
    ) {
        let Some(slot) = self.slots.get_mut(&number) else {
            return;
        };
        let set = match direction {
            Direction::Out => &mut slot.outbound,
            Direction::In | Direction::Forward => &mut slot.inbound,
        };
        let before = !set.is_empty();
        match there {
            true => set.insert(child),
            false => set.remove(&child),
        };
        let after = !set.is_empty();
        match (before, after) {
            (false, true) => slot.claim(number, direction, spd, claims),
            (true, false) => slot.withdraw(number, direction, claims),
            _ => {}
        }
    }

    /// There is another policy, and the claims were cleared.
    pub(crate) fn claim_all(&mut self, spd: &Spd, claims: &mut Claims) {
        for (number, slot) in &mut self.slots {
            slot.places.clear();
            if !slot.inbound.is_empty() {
                slot.claim(*number, Direction::In, spd, claims);
            }
            if !slot.outbound.is_empty() {
                slot.claim(*number, Direction::Out, spd, claims);
            }
        }
    }
}

impl Slot {
    fn claim(&mut self, number: usize, direction: Direction, spd: &Spd, claims: &mut Claims) {
        let mode = match self.common.tunnel {
            true => Mode::Tunnel,
            false => Mode::Transport,
        };
        let (local, remote) = (self.common.local, self.common.remote);
        for (place, entry) in spd.entries().iter().enumerate() {
            let Some(rule) = spd
                .rule_of(entry)
                .filter(|rule| rule.name == self.common.rule)
            else {
                continue;
            };
            let Action::Negotiate(negotiate) = &rule.action else {
                continue;
            };
            if entry.dormant {
                continue;
            }
            let outward = direction == Direction::Out;
            let outer = match outward {
                true => (local, remote),
                false => (remote, local),
            };
            let template = Template {
                reqid: match outward {
                    true => self.outbound_reqid,
                    false => self.inbound_reqid,
                },
                mode: wrapping(mode),
                outer: self.common.tunnel.then_some(outer),
                // Where protection is only requested, clear text is taken as before.
                optional: !outward && negotiate.takes_clear(),
            };
            let claim = Claim {
                owner: u32::try_from(number).unwrap_or(u32::MAX),
                priority: priority_of_sas(place),
                action: PolicyAction::Protect(template),
            };
            let pairs = self.selectors.pairs();
            let both = pairs.filter_map(|pair| pair.intersect(&entry.pair));
            for selector in both.flat_map(|pair| selectors(&pair)) {
                let places = match outward {
                    true => vec![at(Direction::Out, selector)],
                    false => [Direction::In, Direction::Forward]
                        .map(|direction| at(direction, selector.mirrored()))
                        .to_vec(),
                };
                for place in places {
                    self.places.push((direction, place));
                    claims.add(place, claim);
                }
            }
        }
    }

    fn withdraw(&mut self, number: usize, direction: Direction, claims: &mut Claims) {
        let owner = u32::try_from(number).unwrap_or(u32::MAX);
        for (_, place) in self.places.extract_if(.., |(which, _)| *which == direction) {
            claims.remove(place, owner);
        }
    }
}
