//! An established ISAKMP SA, which Windows calls a main mode SA: its tables (RFC 2409 section 5).
//!
//! Its pairs do not depend on it: they stay when it is deleted, until another one of the same peer
//! takes them over or their own life ends.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use policy::identity::Identity;
use policy::pad::Peer;
use policy::proposal::IkeSuite;
use policy::sa::ChildId;

use crate::command::Acquire;
use crate::context::{Context, acquire_failed};
use crate::error::Error;
use crate::event::{Event, Reason};
use crate::id::{IkeSaId, Role};
use crate::limits;
use crate::output::{Outbound, Output};
use crate::pair::{Agreed, Child, PairKeys, Stage as ChildStage};
use crate::path::Path;
use crate::silence::Silence;
use crate::v1::cipher::Iv;
use crate::v1::exchange::{Exchange, Kind, Offer};
use crate::v1::fragments::Fragments;
use crate::v1::keys::{Cookies, Keys, suite_of};
use crate::v1::liveness::Liveness;
use crate::v1::vendor::Vendor;

/// Where an ISAKMP SA is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is in use.
    Live,
    /// Another took over its pairs.
    Replaced { until: Instant },
    /// Its Deletes wait for the peer's answers ([MS-IKEE] section 3.8).
    Closing,
    /// It was deleted. What is left are pairs that nobody has taken over yet.
    Gone,
}

/// What waits for its turn: so many exchanges of ours run at once.
pub(crate) enum Task {
    /// A new pair.
    Create(Box<Acquire>),
    /// A pair in the place of another.
    Rekey(ChildId),
}

/// What happened to an ISAKMP SA that concerns others; the endpoint sees to it after each step.
pub(crate) enum Effect {
    /// Another one is needed: its time is over, or it has made as many pairs as it may. What it
    /// was asked for waits for that.
    Renew(Vec<Acquire>),
    /// The peer holds no older SAs with us.
    InitialContact,
    /// A pair may send that is none of this ISAKMP SA's any more.
    Activate(ChildId),
    /// A pair is there on both sides, and takes the place of those for the same traffic: of another
    /// ISAKMP SA's too.
    Confirmed(ChildId),
    /// The peer deletes pairs that it receives with these SPIs, and they are none of this ISAKMP
    /// SA's. No pair is bound to one (RFC 2409 section 5.5), and which of two main modes was the
    /// last each end sees for itself.
    Deleted(BTreeSet<u32>),
    /// The peer does not know such pairs, and they are none of this ISAKMP SA's.
    Unknown(BTreeSet<u32>),
    /// It ended. What it was asked to protect begins anew.
    Ended {
        reason: Reason,
        orphans: Vec<Acquire>,
    },
}

/// An established ISAKMP SA.
pub(crate) struct Sa {
    pub(crate) id: IkeSaId,
    pub(crate) peer_cookie: u64,
    pub(crate) role: Role,
    pub(crate) peer: Arc<Peer>,
    /// Who the peer proved to be.
    pub(crate) remote_id: Identity,
    pub(crate) path: Path,
    /// Which of the hosts behind one NAT the peer is.
    pub(crate) party: Option<u64>,
    pub(crate) keys: Keys,
    /// The IV after phase 1: of it and the message id each exchange makes its own.
    pub(crate) phase_1: Iv,
    /// What the peer says of itself.
    pub(crate) vendor: Vendor,
    /// Parts of a message.
    pub(crate) fragments: Option<Box<Fragments>>,
    /// The last message of phase 1 as it came and our answer, for a peer that has not got it.
    pub(crate) concluded: Option<Concluded>,
    pub(crate) stage: Stage,
    pub(crate) birth: u64,
    pub(crate) born: Instant,
    pub(crate) rekey_at: Option<Instant>,
    pub(crate) expire_at: Instant,
    pub(crate) childless_since: Instant,
    pub(crate) keepalive_at: Option<Instant>,
    pub(crate) children: Vec<Child>,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) tasks: VecDeque<Task>,
    /// Message ids of exchanges that the peer began: none is taken twice.
    pub(crate) used: BTreeSet<u32>,
    /// Quick modes that were made under it, whoever began them.
    pub(crate) quick_modes: u32,
    pub(crate) liveness: Liveness,
    pub(crate) effects: Vec<Effect>,
    pub(crate) changed: bool,
    pub(crate) silence: Silence,
    /// A successor was asked for.
    pub(crate) renewed: bool,
    /// Why it closes.
    pub(crate) closing: Option<Reason>,
}

/// The end of phase 1, as far as it may have to be said again.
pub(crate) struct Concluded {
    pub(crate) digest: [u8; 32],
    pub(crate) answer: Vec<Vec<u8>>,
}

/// What a new ISAKMP SA begins with.
pub(crate) struct Birth {
    pub(crate) id: IkeSaId,
    pub(crate) peer_cookie: u64,
    pub(crate) role: Role,
    pub(crate) peer: Arc<Peer>,
    pub(crate) remote_id: Identity,
    pub(crate) path: Path,
    pub(crate) keys: Keys,
    pub(crate) phase_1: Iv,
    pub(crate) vendor: Vendor,
    /// What both sides agreed on.
    pub(crate) lifetime: Option<Duration>,
    pub(crate) concluded: Option<Concluded>,
}

impl Sa {
    pub(crate) fn new(birth: Birth, ctx: &mut Context<'_>) -> Self {
        let now = ctx.now;
        let lifetime = birth.peer.ike.lifetime;
        let early = ctx.jitter(lifetime.jitter);
        let hard = birth
            .lifetime
            .map_or(lifetime.hard, |most| most.min(lifetime.hard));
        // The peer gives it up after the time that was agreed on: ours must be over before.
        let rekey = lifetime.rekey.min(hard - hard / 10).saturating_sub(early);
        let keepalive = birth.peer.ike.nat_keepalive;
        Sa {
            id: birth.id,
            peer_cookie: birth.peer_cookie,
            role: birth.role,
            party: birth.path.party(&birth.remote_id),
            remote_id: birth.remote_id,
            keepalive_at: birth.path.nat.local.then_some(ctx.after(keepalive)),
            path: birth.path,
            keys: birth.keys,
            phase_1: birth.phase_1,
            liveness: Liveness::new(&birth.vendor, ctx),
            vendor: birth.vendor,
            fragments: None,
            concluded: birth.concluded,
            stage: Stage::Live,
            birth: ctx.registry.next_birth(),
            born: now,
            rekey_at: Some(ctx.after(rekey)),
            expire_at: ctx.after(hard),
            childless_since: now,
            children: Vec::new(),
            exchanges: Vec::new(),
            tasks: VecDeque::new(),
            used: BTreeSet::new(),
            quick_modes: 0,
            effects: Vec::new(),
            changed: true,
            silence: Silence::None,
            renewed: false,
            closing: None,
            peer: birth.peer,
        }
    }

    /// Both cookies, the initiator's first.
    pub(crate) fn cookies(&self) -> Cookies {
        Cookies::new(self.role, self.id, self.peer_cookie)
    }

    /// What the peer said of itself that changes how we deal with it, for people.
    pub(crate) fn extensions(&self) -> Vec<&'static str> {
        let assumed = self.is_fast() && !self.vendor.nlbs_present;
        let known = [
            (true, "ikev1"),
            (self.vendor.windows.is_some(), "windows"),
            (self.vendor.dead_peer_detection, "dpd"),
            (self.vendor.fragmentation, "fragmentation"),
            (self.vendor.acknowledges, "acknowledged_delete"),
            (self.vendor.nlbs_present, "fast_failover"),
            (assumed, "fast_failover_assumed"),
            (self.vendor.initial_contact, "initial_contact"),
        ];
        let said = known.into_iter().filter(|(is_said, _)| *is_said);
        said.map(|(_, word)| word).collect()
    }

    /// Whether it says nothing.
    pub(crate) fn is_silent(&self) -> bool {
        self.silence != Silence::None
    }

    /// Whether new exchanges may begin here.
    pub(crate) fn is_live(&self) -> bool {
        self.stage == Stage::Live && !self.is_silent()
    }

    /// Whether it has a pair, or makes one.
    pub(crate) fn is_of_use(&self) -> bool {
        !self.children.is_empty()
            || !self.tasks.is_empty()
            || self.exchanges.iter().any(|one| one.is_asked())
    }

    /// Whether it says nothing, and what it protects is to be protected by another.
    pub(crate) fn is_unreplaced(&self) -> bool {
        let in_use = matches!(self.stage, Stage::Live | Stage::Gone) && !self.children.is_empty();
        self.is_silent() && (in_use || self.stage == Stage::Closing)
    }

    /// What was agreed, as other parts of the host know it.
    pub(crate) fn suite(&self) -> IkeSuite {
        suite_of(self.keys.suite())
    }

    pub(crate) fn child(&self, id: ChildId) -> Option<&Child> {
        self.children.iter().find(|child| child.id == id)
    }

    pub(crate) fn child_mut(&mut self, id: ChildId) -> Option<&mut Child> {
        self.children.iter_mut().find(|child| child.id == id)
    }

    /// A pair by the SPI that the peer receives with.
    pub(crate) fn child_by_outbound(&self, spi: u32) -> Option<&Child> {
        self.children.iter().find(|child| child.outbound_spi == spi)
    }

    /// Whether a pair, or a quick mode under way, is for this traffic already.
    pub(crate) fn serves(&self, wanted: &Acquire) -> bool {
        let covers = |rule: &policy::names::RuleName, selectors: &policy::selector::Selectors| {
            *rule == wanted.rule && crate::v1::selectors::covers(selectors, wanted)
        };
        let children = self.children.iter().filter(|child| child.is_live());
        let installed = children.map(|child| (&child.rule, &child.spec.selectors));
        let asked = self.exchanges.iter().filter_map(|one| match &one.kind {
            Kind::Asked(offer) => Some((&offer.acquire.rule, &offer.selectors)),
            _ => None,
        });
        installed
            .chain(asked)
            .any(|(rule, selectors)| covers(rule, selectors))
    }

    /// Installs a pair.
    pub(crate) fn install(
        &mut self,
        agreed: Agreed,
        keys: PairKeys,
        outbound: Outbound,
        replaces: Option<ChildId>,
        ctx: &mut Context<'_>,
    ) -> ChildId {
        self.changed = true;
        let place = (&self.path, self.party);
        let mut child = Child::new(agreed, &self.peer.name, place, keys, ctx);
        child.active = outbound == Outbound::Now;
        if self.is_fast() {
            child.idle = child.idle.map(|idle| idle.min(limits::FAST_FAILOVER_IDLE));
        }
        child.plug(self.id, outbound, replaces, ctx);
        let id = child.id;
        if self.children.is_empty() {
            self.children.reserve_exact(1);
        }
        self.children.push(child);
        id
    }

    /// Whether the peer is a cluster whose address may move: its pairs are given up sooner
    /// ([MS-IKEE] section 3.5.2).
    pub(crate) fn is_fast(&self) -> bool {
        self.vendor.nlbs_present || self.peer.ike.assume_fast_failover
    }

    /// Lets a pair's outbound SA carry traffic, if it does not yet. An exchange here may be about a
    /// pair that has moved since.
    pub(crate) fn activate(&mut self, id: ChildId, ctx: &mut Context<'_>) {
        match self.child_mut(id) {
            Some(child) => self.changed |= child.activate(ctx),
            None => self.effects.push(Effect::Activate(id)),
        }
    }

    /// Whether another ISAKMP SA may have a pair: no exchange under way here is about it.
    pub(crate) fn is_loose(&self, child: &Child) -> bool {
        !self.exchanges.iter().any(|one| one.is_about(child.id))
    }

    /// Gives away pairs that are loose.
    pub(crate) fn part_with(&mut self, mut which: impl FnMut(&Child) -> bool) -> Vec<Child> {
        let children = std::mem::take(&mut self.children).into_iter();
        let (goes, stays) = children.partition(|child| self.is_loose(child) && which(child));
        self.children = stays;
        goes
    }

    /// Ends a pair here.
    pub(crate) fn remove_child(&mut self, id: ChildId, reason: Reason, ctx: &mut Context<'_>) {
        let Some(at) = self.children.iter().position(|child| child.id == id) else {
            return;
        };
        let mut child = self.children.remove(at);
        child.unplug(reason, ctx);
        if self.children.len() <= 1 {
            self.children.shrink_to_fit();
        }
        self.changed = true;
        ctx.registry.forget(id, child.inbound_spi);
        // What it took the place of has nothing to wait for any more, and must not carry on.
        for child in &mut self.children {
            if let ChildStage::Replaced { by, until } = &mut child.stage
                && *by == id
            {
                *until = ctx.now;
            }
        }
        if self.children.is_empty() {
            self.childless_since = ctx.now;
        }
    }

    /// Ends every pair here.
    pub(crate) fn remove_children(&mut self, reason: &Reason, ctx: &mut Context<'_>) {
        let ids: Vec<ChildId> = self.children.iter().map(|child| child.id).collect();
        for id in ids {
            self.remove_child(id, reason.clone(), ctx);
        }
    }

    /// Tells ESP where every pair goes now.
    pub(crate) fn redirects(&self) -> impl Iterator<Item = Output> {
        let in_esp = self.children.iter().filter(|child| child.in_esp);
        in_esp.map(|child| Output::Redirect {
            child: child.id,
            local: self.path.local.ip(),
            remote: self.path.remote.ip(),
            encapsulation: self.path.encapsulation(),
        })
    }

    /// The peer proved to be there.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.liveness.heard(now);
    }

    /// When a NAT needs to hear from us again.
    pub(crate) fn rearm_keepalive(&mut self, now: Instant) {
        let gap = self.peer.ike.nat_keepalive;
        let keeps = self.path.nat.local && gap > Duration::ZERO;
        self.keepalive_at = keeps.then_some(now + gap.min(limits::FOREVER));
    }

    /// Ends the ISAKMP SA here, and all its pairs with it.
    pub(crate) fn end(&mut self, reason: Reason, ctx: &mut Context<'_>) {
        self.remove_children(&reason, ctx);
        self.close(reason, ctx);
    }

    /// Ends an ISAKMP SA whose peer does not answer any more: what it protected begins anew at
    /// once, where it is still wanted and ours to begin.
    pub(crate) fn lose(&mut self, reason: Reason, ctx: &mut Context<'_>) {
        if self.is_live() && !self.path.nat.remote {
            let rules = &ctx.config.rules;
            let children = self.children.iter().filter(|child| child.is_live());
            let again = children.map(|child| child.again(&self.peer.name, &self.path));
            let wanted = again.filter(|acquire| acquire.is_wanted(rules));
            self.tasks
                .extend(wanted.map(|one| Task::Create(Box::new(one))));
        }
        self.end(reason, ctx);
    }

    /// It is deleted. Its pairs stay until they are taken over.
    pub(crate) fn pass(&mut self, reason: Reason, ctx: &mut Context<'_>) {
        if self.children.is_empty() {
            return self.close(reason, ctx);
        }
        let orphans = self.abandon(ctx);
        self.stage = Stage::Gone;
        self.liveness.asked = None;
        self.changed = true;
        self.closed(reason, ctx);
        if !orphans.is_empty() {
            self.effects.push(Effect::Renew(orphans));
        }
    }

    fn close(&mut self, reason: Reason, ctx: &mut Context<'_>) {
        let orphans = self.abandon(ctx);
        if self.stage != Stage::Gone {
            self.closed(reason.clone(), ctx);
        }
        self.effects.push(Effect::Ended { reason, orphans });
    }

    fn closed(&self, reason: Reason, ctx: &mut Context<'_>) {
        let (ike, peer) = (self.id, self.peer.name.clone());
        ctx.event(Event::IkeClosed { ike, peer, reason });
    }

    /// Forgets every exchange and what waits for one, and gives what was to be protected.
    pub(crate) fn abandon(&mut self, ctx: &mut Context<'_>) -> Vec<Acquire> {
        let mut wanted = Vec::new();
        for exchange in std::mem::take(&mut self.exchanges) {
            if let Kind::Asked(offer) = exchange.kind {
                wanted.extend(self.take_back(*offer, ctx));
            }
        }
        for task in std::mem::take(&mut self.tasks) {
            match task {
                Task::Create(acquire) => wanted.push(*acquire),
                Task::Rekey(old) => self.goes_on(old, ctx.now),
            }
        }
        wanted
    }

    /// Gives back what waits and the rules do not want any more.
    pub(crate) fn withdraw(&mut self, rules: &[crate::config::ChildRule]) -> Vec<Acquire> {
        let mut withdrawn = Vec::new();
        for task in std::mem::take(&mut self.tasks) {
            match task {
                Task::Create(acquire) if !acquire.is_wanted(rules) => withdrawn.push(*acquire),
                task => self.tasks.push_back(task),
            }
        }
        withdrawn
    }

    /// No other ISAKMP SA came to be: pairs whose rekeying waited for it go on, and try later.
    pub(crate) fn rekey_later(&mut self, now: Instant) {
        let (rekeys, others) = std::mem::take(&mut self.tasks)
            .into_iter()
            .partition(|task| matches!(task, Task::Rekey(_)));
        self.tasks = others;
        let rekeys: VecDeque<Task> = rekeys;
        for task in rekeys {
            if let Task::Rekey(id) = task
                && let Some(child) = self.child_mut(id).filter(|child| child.is_live())
            {
                child.stage = ChildStage::Installed;
                child.rekey_later(now);
            }
        }
    }

    /// Tells that no pair came of a quick mode; the ISAKMP SA stays.
    pub(crate) fn child_failed(
        &self,
        rule: Option<policy::names::RuleName>,
        role: Role,
        error: Error,
        ctx: &mut Context<'_>,
    ) {
        let (ike, peer) = (self.id, self.peer.name.clone());
        ctx.event(Event::ChildFailed {
            ike,
            rule,
            peer,
            role,
            error,
        });
    }

    /// A quick mode of ours came to nothing.
    pub(crate) fn give_up(&mut self, offer: Offer, error: Error, ctx: &mut Context<'_>) {
        let rule = Some(offer.acquire.rule.clone());
        self.child_failed(rule, Role::Initiator, error.clone(), ctx);
        if let Some(acquire) = self.take_back(offer, ctx) {
            acquire_failed(acquire, error, ctx);
        }
    }

    /// Forgets a quick mode of ours, and gives what it was to protect and nothing does.
    pub(crate) fn take_back(&mut self, offer: Offer, ctx: &mut Context<'_>) -> Option<Acquire> {
        ctx.registry.release_esp(offer.inbound_spi);
        match offer.replaces {
            Some(old) => {
                self.goes_on(old, ctx.now);
                None
            }
            None => Some(offer.acquire),
        }
    }

    /// Nothing took the place of a pair: that is tried again half-way to its end.
    fn goes_on(&mut self, old: ChildId, now: Instant) {
        if let Some(child) = self.child_mut(old).filter(|child| child.is_live()) {
            child.stage = ChildStage::Installed;
            child.rekey_later(now);
        }
    }
}
