//! A member's part in replication: it keeps what the owner has, and goes on with it.

use crate::command::Datagram;
use crate::event::Event;
use crate::node::Node;
use crate::output::Output;
use crate::replication::parcel::{Ceilings, News, Stray};
use crate::replication::records::{Children, Kept};
use crate::replication::reserve::Reserve;
use crate::replication::{
    ADOPTED_AT_ONCE, ADOPTION_PAUSE, GRACE, PairState, REKEYS_PER_SECOND, SPREAD, STRICT_SPREAD,
    Shared,
};
use cluster::{GroupName, Parcel};
use ike::{Directory, Endpoint, IkeSaId, Record, Recorded, Takeover};
use policy::{ChildId, ChildTemplate, RuleName, Spd, Transport};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A rule that negotiates, by its name, dormant or not.
pub(crate) fn find_rule(spd: &Spd, name: &str) -> Option<(RuleName, Arc<ChildTemplate>)> {
    let rule = spd.rules().iter().find(|rule| rule.name.as_str() == name)?;
    Some((rule.name.clone(), Arc::clone(rule.action.child()?)))
}

impl Node {
    /// Takes a change of the owner into the copy.
    pub(crate) fn apply(&mut self, group: &GroupName, parcel: &Parcel, now: Instant) {
        match News::decode(parcel) {
            Some(News::Records(records)) => self.apply_records(group, records, now),
            Some(News::Ceilings(ceilings)) => self.apply_ceilings(group, ceilings, now),
            Some(News::Windows(windows)) => {
                for (child, image) in windows {
                    if let Some(pair) = self.pair_mut(group, child) {
                        pair.note_window(&image);
                        self.outputs
                            .push_back(Output::RestoreWindow { child, image });
                    }
                }
            }
            Some(News::Exact(exact)) => {
                if let Some(shared) = self.shared_mut(group) {
                    shared.exact = true;
                }
                for (child, next) in exact {
                    if let Some(pair) = self.pair_mut(group, child) {
                        pair.outbound = Reserve::new(next, now);
                        pair.granted = next;
                        self.outputs.push_back(Output::Exact { child, next });
                    }
                }
                let group = group.clone();
                self.event(Event::LastWord { group });
            }
            None => self.event(Event::Unreadable {
                group: group.clone(),
            }),
        }
    }

    pub(crate) fn shared(&self, group: &GroupName) -> Option<&Shared> {
        self.replication.as_ref()?.groups.get(group)
    }

    pub(crate) fn shared_mut(&mut self, group: &GroupName) -> Option<&mut Shared> {
        self.replication.as_mut()?.groups.get_mut(group)
    }

    fn pair_mut(&mut self, group: &GroupName, child: ChildId) -> Option<&mut PairState> {
        self.shared_mut(group)?.pairs.get_mut(&child)
    }

    fn apply_ceilings(
        &mut self,
        group: &GroupName,
        ceilings: Vec<(ChildId, Ceilings)>,
        now: Instant,
    ) {
        let strict = self.replication.as_ref().is_some_and(|one| one.strict);
        // Who asks for more goes on, even if it has said before where it stopped.
        if let Some(shared) = self.shared_mut(group) {
            shared.exact = false;
        }
        for (child, Ceilings { outbound, inbound }) in ceilings {
            let Some(pair) = self.pair_mut(group, child) else {
                continue;
            };
            pair.outbound = Reserve::new(outbound, now);
            pair.granted = outbound;
            pair.inbound = strict.then(|| Box::new(Reserve::new(inbound, now)));
            self.outputs.push_back(Output::Grant {
                child,
                ceiling: outbound,
                refill_at: u64::MAX,
            });
            if strict {
                self.outputs.push_back(Output::GrantInbound {
                    child,
                    ceiling: inbound,
                    refill_at: u64::MAX,
                });
            }
        }
    }

    /// Records of one parcel belong together: a pair that moves from one IKE SA to another is in
    /// both of them, and is not taken away in between.
    pub(crate) fn apply_records(
        &mut self,
        group: &GroupName,
        records: Vec<(IkeSaId, Option<Record>)>,
        now: Instant,
    ) {
        let (mut touched, mut present) = (BTreeSet::new(), BTreeSet::new());
        let mut had = Vec::new();
        for (ike, record) in records {
            touched.insert(ike);
            if let Some(shared) = self.shared_mut(group) {
                had.extend_from_slice(shared.records.children(ike));
                if record.is_none() {
                    shared.records.remove(ike);
                }
            }
            let Some(record) = record else { continue };
            let (spd, pad) = (Arc::clone(&self.spd), Arc::clone(&self.pad));
            let rule = |name: &str| find_rule(&spd, name);
            let directory = Directory {
                pad: &pad,
                rule: &rule,
            };
            match Endpoint::inspect(&record, &directory) {
                Ok(known) => {
                    present.extend(known.pairs.iter().map(|pair| pair.spec.id));
                    self.keep(group, &known, record, now);
                }
                Err(why) => {
                    // The one before it is no longer true, and its pairs leave ESP.
                    if let Some(shared) = self.shared_mut(group) {
                        shared.records.remove(ike);
                    }
                    let group = group.clone();
                    self.event(Event::BadRecord { group, why });
                }
            }
        }
        let orphans = self
            .shared_mut(group)
            .map(|shared| shared.orphans(had, &touched, &present))
            .unwrap_or_default();
        orphans
            .into_iter()
            .for_each(|child| self.drop_copy_of(group, child));
    }

    /// Keeps a record; ESP gets what is new in it, behind a closed gate.
    fn keep(&mut self, group: &GroupName, known: &Recorded, record: Record, now: Instant) {
        let strict = self.replication.as_ref().is_some_and(|one| one.strict);
        for pair in &known.pairs {
            let (child, spi) = (pair.spec.id, pair.spec.inbound_spi);
            let Some(shared) = self.shared_mut(group) else {
                return;
            };
            if let Some(here) = shared.pairs.get_mut(&child) {
                here.ike = known.ike;
                let activates = pair.active && !std::mem::replace(&mut here.active, pair.active);
                if activates {
                    self.outputs.push_back(Output::Activate { child });
                }
                self.outputs.push_back(Output::Redirect {
                    child,
                    local: pair.spec.local,
                    remote: pair.spec.remote,
                    encapsulation: pair.spec.encapsulation,
                });
                continue;
            }
            let bucket = shared.bucket;
            shared.pairs.insert(
                child,
                PairState {
                    ike: known.ike,
                    inbound_spi: spi,
                    active: pair.active,
                    outbound: Reserve::new(1, now),
                    granted: 1,
                    inbound: strict.then(|| Box::new(Reserve::new(1, now))),
                    window: None,
                    bound: false,
                    forsaken: false,
                },
            );
            if let Some(replication) = &mut self.replication {
                replication.homes.insert(child, bucket);
            }
            self.ike.claim_spi(spi);
            self.outputs
                .push_back(Output::Install(Box::new(ike::Install {
                    spec: Arc::clone(&pair.spec),
                    bucket,
                    outbound: match pair.active {
                        true => ike::Outbound::Now,
                        false => ike::Outbound::Later,
                    },
                    replaces: None,
                    age: pair.age,
                })));
        }
        let kept = Kept {
            record,
            remote: known.remote,
            children: Children::new(known.pairs.iter().map(|pair| pair.spec.id)),
        };
        if let Some(shared) = self.shared_mut(group) {
            shared.records.insert(known.ike, kept);
        }
    }

    fn drop_copy_of(&mut self, group: &GroupName, child: ChildId) {
        let Some(shared) = self.shared_mut(group) else {
            return;
        };
        let Some(pair) = shared.pairs.remove(&child) else {
            return;
        };
        if let Some(replication) = &mut self.replication {
            replication.homes.remove(&child);
        }
        self.ike.release_spi(pair.inbound_spi);
        self.outputs.push_back(Output::Remove {
            child,
            inbound_spi: pair.inbound_spi,
        });
    }

    /// The copy is void.
    pub(crate) fn reset_copy(&mut self, group: &GroupName) {
        let Some(shared) = self.shared_mut(group) else {
            return;
        };
        shared.records.clear();
        shared.exact = false;
        let children: Vec<ChildId> = shared.pairs.keys().copied().collect();
        children
            .into_iter()
            .for_each(|child| self.drop_copy_of(group, child));
    }

    /// This node owns a group from now on: it goes on with the copy if it is allowed to, and with
    /// nothing if not.
    pub(crate) fn own(&mut self, group: &GroupName, epoch: u64, entitled: bool, now: Instant) {
        let Some(replication) = &mut self.replication else {
            return;
        };
        let before = replication.groups.get(group).and_then(|one| one.epoch);
        // What it has of this very epoch is its own, with whatever it began.
        let entitled = entitled || before == Some(epoch);
        let inherits = replication.replicator.own(group, epoch) && entitled;
        let iv_epoch = replication.iv_epoch(epoch);
        if !inherits {
            self.forget_group(group, now);
        }
        let Some(shared) = self.shared_mut(group) else {
            return;
        };
        shared.epoch = Some(epoch);
        shared.departure = None;
        let kept_grants = std::mem::take(&mut shared.kept_grants);
        shared.given.clear();
        let (bucket, count) = (shared.bucket, shared.records.len());
        shared.adopt_at = (count > 0).then_some(now);
        let open = Output::OpenGate {
            bucket,
            epoch: iv_epoch,
        };
        if before == Some(epoch) && shared.exact {
            // The members were told that it stopped, and where: that is no longer so.
            shared.exact = false;
            self.give_up_told(group, now);
            let Some(shared) = self.shared_mut(group) else {
                return;
            };
            let all = shared.pairs.iter();
            let ceilings = all.map(|(child, pair)| (*child, pair.ceilings()));
            let news = News::Ceilings(ceilings.collect());
            shared.staged.push(open);
            shared.staged.extend(kept_grants);
            self.fresh.entry(group.clone()).or_default().push(news);
        } else {
            shared.staged.extend(kept_grants);
            self.outputs.push_back(open);
        }
        if before != Some(epoch) {
            let group = group.clone();
            self.event(Event::Inherited { group, count });
        }
        self.take_strays(group, now);
    }

    /// Strays are taken in once the host has the address that they were sent to: before that it
    /// would drop what is in them.
    pub(crate) fn take_strays(&mut self, group: &GroupName, now: Instant) {
        let host = self.host_addresses.clone();
        let up = |shared: &&mut Shared| {
            shared.epoch.is_some() && shared.addresses.iter().all(|one| host.contains(one))
        };
        let Some(shared) = self.shared_mut(group).filter(up) else {
            return;
        };
        shared.stray_octets = 0;
        let strays = std::mem::take(&mut shared.strays);
        strays
            .into_iter()
            .for_each(|stray| self.take_stray(stray, now));
    }

    /// The host has other addresses than before.
    pub(crate) fn addresses_changed(&mut self, now: Instant) {
        let groups = self.replication.iter().flat_map(|one| one.groups.keys());
        let groups: Vec<GroupName> = groups.cloned().collect();
        groups.iter().for_each(|group| self.take_strays(group, now));
    }

    /// How this node goes on with what it inherited in this epoch.
    fn takeover(&self, shared: &Shared) -> Takeover {
        let epoch = shared.epoch.unwrap_or_default();
        let many = Duration::from_secs(shared.pairs.len() as u64 / REKEYS_PER_SECOND);
        let replication = self.replication.as_ref();
        let refuses = replication.is_some_and(|one| one.strict) && !shared.exact;
        let (grace, spread) = match refuses {
            true => (Duration::ZERO, STRICT_SPREAD),
            false => (GRACE, SPREAD),
        };
        Takeover {
            epoch: replication.map_or(0, |one| one.iv_epoch(epoch)),
            grace,
            spread: spread.max(many),
        }
    }

    /// Takes over some of the inherited IKE SAs.
    pub(crate) fn adopt_some(&mut self, group: &GroupName, now: Instant) {
        let Some(shared) = self.shared_mut(group) else {
            return;
        };
        for ike in shared.records.first(ADOPTED_AT_ONCE) {
            self.adopt(group, ike, now);
        }
        if let Some(shared) = self.shared_mut(group) {
            let more = !shared.records.is_empty();
            shared.adopt_at = more.then_some(now + ADOPTION_PAUSE);
        }
    }

    /// Takes over every inherited IKE SA at once.
    pub(crate) fn adopt_all(&mut self, group: &GroupName, now: Instant) {
        let Some(shared) = self.shared_mut(group) else {
            return;
        };
        if shared.epoch.is_none() {
            return;
        }
        for ike in shared.records.first(usize::MAX) {
            self.adopt(group, ike, now);
        }
    }

    /// Takes over one inherited IKE SA.
    fn adopt(&mut self, group: &GroupName, ike: IkeSaId, now: Instant) {
        let Some(shared) = self.shared_mut(group) else {
            return;
        };
        let Some(kept) = shared.records.remove(ike) else {
            return;
        };
        let Some(shared) = self.replication.as_ref().and_then(|o| o.groups.get(group)) else {
            return;
        };
        let takeover = self.takeover(shared);
        let (spd, pad) = (Arc::clone(&self.spd), Arc::clone(&self.pad));
        let rule = |name: &str| find_rule(&spd, name);
        let directory = Directory {
            pad: &pad,
            rule: &rule,
        };
        if let Err(why) = self.ike.adopt(&kept.record, &directory, takeover, now) {
            let group = group.clone();
            self.event(Event::BadRecord { group, why });
        }
    }

    /// What is said to an inherited IKE SA, or asked for with its peer, finds it taken over.
    pub(crate) fn adopt_for(&mut self, local: IpAddr, remote: IpAddr, now: Instant) {
        let Some(replication) = &self.replication else {
            return;
        };
        let Some(group) = replication.group_of(local) else {
            return;
        };
        let Some(shared) = replication.groups.get(&group) else {
            return;
        };
        if shared.epoch.is_none() || shared.records.is_empty() {
            return;
        }
        let wanted = shared.records.of_peer(remote);
        wanted
            .into_iter()
            .for_each(|ike| self.adopt(&group, ike, now));
    }

    /// A datagram for one of this node's groups came to another member.
    pub(crate) fn stray_came(&mut self, group: &GroupName, parcel: &Parcel, now: Instant) {
        let Some(stray) = Stray::decode(parcel) else {
            return;
        };
        let Some(shared) = self.shared_mut(group) else {
            return;
        };
        shared.keep_stray(stray);
        self.take_strays(group, now);
    }

    fn take_stray(&mut self, stray: Stray, now: Instant) {
        match stray {
            Stray::Esp {
                source,
                destination,
                bytes,
            } => self.outputs.push_back(Output::Inject {
                source,
                destination,
                bytes,
            }),
            Stray::Ike {
                local,
                remote,
                bytes,
            } => {
                let bytes = &bytes[..];
                let datagram = Datagram::Ike {
                    transport: Transport::Udp,
                    local,
                    remote,
                    bytes,
                };
                self.take_datagram(datagram, now);
            }
        }
    }
}
