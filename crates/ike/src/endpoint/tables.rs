//! The tables of an endpoint, and what every part of it does to them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use crypto::Random;
use policy::identity::Identity;
use policy::names::PeerName;
use policy::pad::{Pad, Peer};

use crate::config::Config;
use crate::context::{Context, Registry};
use crate::discard::Discards;
use crate::endpoint::addresses::Addresses;
use crate::endpoint::bucket::Bucket;
use crate::endpoint::deadlines::Deadlines;
use crate::endpoint::half_opens::HalfOpens;
use crate::endpoint::redirects::Redirects;
use crate::endpoint::slot::Slot;
use crate::endpoint::tickets::Tickets;
use crate::gss::{GssContext, GssContexts};
use crate::id::{IkeSaId, Role};
use crate::limits;
use crate::output::Output;
use crate::silence::Silence;
use crate::v1::sa as isakmp;
use crate::v2::cookie::CookieJar;
use crate::v2::sa::Sa;
use crate::v2::status::Statuses;

/// Everything that an endpoint knows.
pub(crate) struct Tables {
    pub(crate) config: Config,
    pub(crate) peers: BTreeMap<PeerName, Arc<Peer>>,
    pub(crate) random: Box<dyn Random + Send>,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) registry: Registry,
    pub(crate) discards: Discards,
    pub(crate) deadlines: Deadlines,
    pub(crate) half_opens: HalfOpens,
    pub(crate) addresses: Addresses,
    pub(crate) cookies: CookieJar,
    pub(crate) cookies_required: bool,
    pub(crate) puzzles_required: bool,
    /// Handshakes of initiators that solve no puzzle.
    pub(crate) unsolved: Bucket,
    pub(crate) tickets: Tickets,
    pub(crate) statuses: Statuses,
    /// Security contexts of Kerberos, which are kept outside.
    pub(crate) contexts: GssContexts,
    pub(crate) redirects: Redirects,
    /// Answers to messages of unknown IKE SAs.
    pub(crate) answers: Bucket,
    /// Unprotected hints.
    pub(crate) hints: Bucket,
    /// Events that anybody can cause without authentication.
    pub(crate) news: Bucket,
    /// When a peer was last called because of an unknown ESP SPI.
    pub(crate) called: BTreeMap<IpAddr, Instant>,
    /// IKE SAs, with their local addresses, that the other members of a cluster have to hear of.
    pub(crate) changes: BTreeMap<IkeSaId, IpAddr>,
    slots: BTreeMap<IkeSaId, Slot>,
    /// IKE SAs and own handshakes by the local and the remote address.
    by_addresses: BTreeMap<(IpAddr, IpAddr), BTreeSet<IkeSaId>>,
    /// Those that another gateway sent us to, by the local address and the gateway of the policy.
    by_home: BTreeMap<(IpAddr, IpAddr), BTreeSet<IkeSaId>>,
    by_identity: BTreeMap<Identity, BTreeSet<IkeSaId>>,
    /// Silent IKE SAs that protect something and are not replaced, by their local address.
    unreplaced: BTreeMap<IpAddr, BTreeSet<IkeSaId>>,
}

impl Tables {
    pub(crate) fn new(config: Config, random: Box<dyn Random + Send>) -> Self {
        let mut registry = Registry::default();
        registry.number_children_from(config.first_child);
        Tables {
            peers: by_name(&config.pad),
            config,
            random,
            outputs: VecDeque::new(),
            registry,
            discards: Discards::default(),
            deadlines: Deadlines::default(),
            half_opens: HalfOpens::default(),
            addresses: Addresses::default(),
            cookies: CookieJar::default(),
            cookies_required: false,
            puzzles_required: false,
            unsolved: Bucket::per_second(limits::UNSOLVED),
            tickets: Tickets::default(),
            statuses: Statuses::default(),
            contexts: GssContexts::default(),
            redirects: Redirects::default(),
            answers: Bucket::per_second(limits::UNKNOWN_SPI_ANSWERS),
            hints: Bucket::per_second(limits::HINTS),
            news: Bucket::per_second(limits::UNAUTHENTICATED_NEWS),
            called: BTreeMap::new(),
            changes: BTreeMap::new(),
            slots: BTreeMap::new(),
            by_addresses: BTreeMap::new(),
            by_home: BTreeMap::new(),
            by_identity: BTreeMap::new(),
            unreplaced: BTreeMap::new(),
        }
    }

    /// What a step may use.
    pub(crate) fn context(&mut self, now: Instant) -> Context<'_> {
        Context {
            now,
            config: &self.config,
            random: &mut *self.random,
            statuses: &self.statuses,
            outputs: &mut self.outputs,
            registry: &mut self.registry,
            contexts: &mut self.contexts,
        }
    }

    /// Whether an output may leave: from an inactive address nothing does, whoever wanted it.
    pub(crate) fn permits(&self, output: &Output) -> bool {
        match output {
            Output::Transmit { local, .. } | Output::Keepalive { local, .. } => {
                self.addresses.is_active(local.ip()) || self.addresses.is_leaving(local.ip())
            }
            Output::OpenStream { local, .. } => self.addresses.is_active(*local),
            _ => true,
        }
    }

    pub(crate) fn set_pad(&mut self, pad: Arc<Pad>) {
        self.peers = by_name(&pad);
        self.config.pad = pad;
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = (IkeSaId, &Slot)> {
        self.slots.iter().map(|(ike, slot)| (*ike, slot))
    }

    /// A security context whose handshake is not under way any more.
    pub(crate) fn unneeded_context(&mut self) -> Option<GssContext> {
        let slots = &self.slots;
        let under_way = |ike| matches!(slots.get(&ike), Some(Slot::MainMode(_)));
        self.contexts.take_unneeded(under_way)
    }

    /// The slots behind one, in the order of their names.
    pub(crate) fn slots_after(
        &self,
        after: Option<IkeSaId>,
    ) -> impl Iterator<Item = (IkeSaId, &Slot)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let slots = self.slots.range((from, Bound::Unbounded));
        slots.map(|(ike, slot)| (*ike, slot))
    }

    pub(crate) fn slot(&self, ike: IkeSaId) -> Option<&Slot> {
        self.slots.get(&ike)
    }

    pub(crate) fn slot_mut(&mut self, ike: IkeSaId) -> Option<&mut Slot> {
        self.slots.get_mut(&ike)
    }

    pub(crate) fn sa(&self, ike: IkeSaId) -> Option<&Sa> {
        match self.slots.get(&ike)? {
            Slot::Sa(sa) => Some(sa),
            _ => None,
        }
    }

    /// Takes a slot out for a step; [`Tables::put`] or [`Tables::discard`] must follow.
    pub(crate) fn take(&mut self, ike: IkeSaId) -> Option<Slot> {
        let slot = self.slots.remove(&ike)?;
        self.deadlines.set(ike, None);
        match &slot {
            Slot::HalfOpen(state) => self.half_opens.remove(state.birth),
            Slot::Refused(state) => self.half_opens.remove(state.birth),
            Slot::Sa(sa) => {
                unindex(&mut self.by_identity, &sa.remote_id, ike);
                unindex(&mut self.unreplaced, &sa.path.local.ip(), ike);
                if let Some(family) = sa.family {
                    self.registry.leave_family(family, ike);
                }
            }
            Slot::MainMode(state) if state.role == Role::Responder => {
                self.half_opens.remove(state.birth);
            }
            Slot::Isakmp(sa) => unindex(&mut self.unreplaced, &sa.path.local.ip(), ike),
            Slot::InitSent(_) | Slot::Intermediate(_) | Slot::AuthSent(_) | Slot::MainMode(_) => {}
        }
        let addresses = slot.addresses();
        unindex(&mut self.by_addresses, &addresses, ike);
        if let Some(home) = slot.home() {
            unindex(&mut self.by_home, &(addresses.0, home), ike);
        }
        Some(slot)
    }

    /// Takes an established IKE SA out for a step.
    pub(crate) fn take_sa(&mut self, ike: IkeSaId) -> Option<Box<Sa>> {
        self.sa(ike)?;
        match self.take(ike) {
            Some(Slot::Sa(sa)) => Some(sa),
            _ => None,
        }
    }

    /// An ISAKMP SA of IKEv1.
    pub(crate) fn isakmp(&self, ike: IkeSaId) -> Option<&isakmp::Sa> {
        match self.slots.get(&ike)? {
            Slot::Isakmp(sa) => Some(sa),
            _ => None,
        }
    }

    /// Takes an ISAKMP SA out for a step.
    pub(crate) fn take_isakmp(&mut self, ike: IkeSaId) -> Option<Box<isakmp::Sa>> {
        self.isakmp(ike)?;
        match self.take(ike) {
            Some(Slot::Isakmp(sa)) => Some(sa),
            _ => None,
        }
    }

    /// Puts a slot in, new or back.
    pub(crate) fn put(&mut self, ike: IkeSaId, mut slot: Slot) {
        let changed = match &mut slot {
            Slot::Sa(sa) => std::mem::take(&mut sa.changed),
            Slot::Isakmp(sa) => std::mem::take(&mut sa.changed),
            _ => false,
        };
        if changed {
            self.note_change(ike, slot.local());
        }
        self.deadlines.set(ike, slot.due(self.config.childless));
        let addresses = slot.addresses();
        if let Some(home) = slot.home() {
            let alike = self.by_home.entry((addresses.0, home)).or_default();
            alike.insert(ike);
        }
        match &slot {
            Slot::HalfOpen(state) => {
                self.half_opens
                    .insert(ike, state.birth, state.peer_spi, addresses.1);
            }
            Slot::Refused(state) => self.half_opens.insert(ike, state.birth, 0, addresses.1),
            Slot::Sa(sa) => {
                self.by_identity
                    .entry(sa.remote_id.clone())
                    .or_default()
                    .insert(ike);
                self.by_addresses.entry(addresses).or_default().insert(ike);
                if let Some(family) = sa.family.filter(|_| sa.is_of_use()) {
                    self.registry.join_family(family, ike);
                }
                if sa.is_unreplaced() {
                    self.unreplaced.entry(addresses.0).or_default().insert(ike);
                }
            }
            Slot::MainMode(state) if state.role == Role::Responder => {
                let (birth, cookie) = (state.birth, state.peer_cookie);
                self.half_opens.insert(ike, birth, cookie, addresses.1);
            }
            Slot::Isakmp(sa) => {
                self.by_addresses.entry(addresses).or_default().insert(ike);
                if sa.is_unreplaced() {
                    self.unreplaced.entry(addresses.0).or_default().insert(ike);
                }
            }
            Slot::InitSent(_) | Slot::Intermediate(_) | Slot::AuthSent(_) | Slot::MainMode(_) => {
                self.by_addresses.entry(addresses).or_default().insert(ike);
            }
        }
        self.slots.insert(ike, slot);
    }

    /// An IKE SA that was taken out does not come back.
    pub(crate) fn discard_sa(&mut self, ike: IkeSaId, local: IpAddr) {
        self.note_change(ike, local);
        self.discard(ike);
    }

    fn note_change(&mut self, ike: IkeSaId, local: IpAddr) {
        if self.config.buckets.contains_key(&local) {
            self.changes.insert(ike, local);
        }
    }

    /// A slot that was taken out does not come back.
    pub(crate) fn discard(&mut self, ike: IkeSaId) {
        self.registry.release_ike(ike);
    }

    /// The oldest half-open responder of a source that has too many gives way to a new one, and so
    /// does the oldest of all.
    pub(crate) fn make_room(&mut self, from: IpAddr) {
        let (most, most_of_one) = (self.config.half_open, self.config.half_open_per_source);
        while let Some(oldest) = self.half_opens.in_the_way(from, most, most_of_one) {
            self.take(oldest);
            self.discard(oldest);
        }
    }

    /// IKE SAs and own handshakes between two addresses.
    pub(crate) fn between(&self, local: IpAddr, remote: IpAddr) -> Vec<IkeSaId> {
        self.by_addresses
            .get(&(local, remote))
            .into_iter()
            .flatten()
            .copied()
            .collect()
    }

    /// IKE SAs and own handshakes with whom the policy's gateway at an address sent us to.
    pub(crate) fn sent_from(&self, local: IpAddr, home: IpAddr) -> Vec<IkeSaId> {
        let found = self.by_home.get(&(local, home));
        found.into_iter().flatten().copied().collect()
    }

    /// Every IKE SA of a local address falls silent, or may speak again. One that is forsaken never
    /// does. There may be very many, and heartbeats wait meanwhile: they are changed where they
    /// are. The deadline of one that falls silent stays; when it comes, nothing happens but that
    /// the next one is set. The answer: those that speak again and were being replaced.
    pub(crate) fn silence(&mut self, address: IpAddr, silence: Silence) -> Vec<IkeSaId> {
        let mut unreplaced = BTreeSet::new();
        let mut half_replaced = Vec::new();
        for (ike, slot) in &mut self.slots {
            if slot.local() != address {
                continue;
            }
            let was = slot.silence();
            if let Some(own) = slot.silence_mut().filter(|own| **own != Silence::Forsaken) {
                *own = silence;
            }
            let Some(is) = slot.silence() else { continue };
            let speaks = was != Some(Silence::None) && is == Silence::None;
            if speaks && slot.is_half_replaced() {
                half_replaced.push(*ike);
            }
            if slot.is_unreplaced() {
                unreplaced.insert(*ike);
            }
            if is == Silence::None {
                let due = slot.due(self.config.childless);
                self.deadlines.set(*ike, due);
            }
        }
        match unreplaced.is_empty() {
            true => self.unreplaced.remove(&address),
            false => self.unreplaced.insert(address, unreplaced),
        };
        half_replaced
    }

    /// The frozen IKE SAs of a local address never speak again; what may speak still may. As in
    /// [`silence`](Self::silence) they are changed where they are.
    pub(crate) fn forsake_frozen(&mut self, address: IpAddr) {
        let of_address = |slot: &&mut Slot| slot.local() == address;
        for slot in self.slots.values_mut().filter(of_address) {
            if let Some(own) = slot.silence_mut().filter(|own| **own == Silence::Frozen) {
                *own = Silence::Forsaken;
            }
        }
    }

    /// The silent IKE SAs of a local address that are to be replaced.
    pub(crate) fn unreplaced(&self, local: IpAddr) -> Option<&BTreeSet<IkeSaId>> {
        self.unreplaced.get(&local)
    }

    /// IKE SAs whose peer proved to be this one.
    pub(crate) fn with_identity(&self, identity: &Identity) -> Vec<IkeSaId> {
        self.by_identity
            .get(identity)
            .into_iter()
            .flatten()
            .copied()
            .collect()
    }
}

fn by_name(pad: &Pad) -> BTreeMap<PeerName, Arc<Peer>> {
    pad.peers()
        .iter()
        .map(|peer| (peer.name.clone(), Arc::new(peer.clone())))
        .collect()
}

fn unindex<K: Ord>(index: &mut BTreeMap<K, BTreeSet<IkeSaId>>, key: &K, ike: IkeSaId) {
    if let Some(set) = index.get_mut(key) {
        set.remove(&ike);
        if set.is_empty() {
            index.remove(key);
        }
    }
}
