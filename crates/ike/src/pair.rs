//! A child SA pair that is installed: its life, its use and its timers (RFC 7296 section 2.8).

use std::sync::Arc;
use std::time::{Duration, Instant};

use policy::child::{ChildTemplate, Mode};
use policy::names::{PeerName, RuleName};
use policy::proposal::EspSuite;
use policy::sa::{ChildId, Hosts, KeyMaterial, SaSpec, Translation};
use policy::selector::Selectors;
use policy::timers::ChildLifetime;

use crate::command::{Acquire, Usage};
use crate::context::Context;
use crate::event::{Event, Reason};
use crate::id::IkeSaId;
use crate::limits;
use crate::output::{Install, Outbound, Output};
use crate::path::Path;
use crate::status::{ChildState, ChildStatus};
use crate::timer::Timer;

/// What both sides agreed on for a pair; its keys come apart.
pub(crate) struct Agreed {
    pub(crate) rule: RuleName,
    pub(crate) template: Arc<ChildTemplate>,
    pub(crate) suite: EspSuite,
    pub(crate) inbound_spi: u32,
    pub(crate) outbound_spi: u32,
    pub(crate) selectors: Selectors,
    /// In transport mode the hosts as the peer wrote them.
    pub(crate) written: Option<Hosts>,
}

/// Where a pair is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It carries traffic.
    Installed,
    /// It carries traffic, and our request to rekey it is queued or in flight.
    Rekeying,
    /// Another took its place; who initiated that deletes this one.
    Replaced { by: ChildId, until: Instant },
    /// Our request to delete it is queued or in flight.
    Deleting,
}

/// A pair.
pub(crate) struct Child {
    pub(crate) id: ChildId,
    pub(crate) rule: RuleName,
    pub(crate) template: Arc<ChildTemplate>,
    pub(crate) suite: EspSuite,
    pub(crate) inbound_spi: u32,
    pub(crate) outbound_spi: u32,
    pub(crate) stage: Stage,
    /// Whether its outbound SA may carry traffic.
    pub(crate) active: bool,
    /// Whether ESP still has it; a pair that is deleted for a reason other than rekeying loses
    /// it before the peer has answered.
    pub(crate) in_esp: bool,
    /// What ESP was given, with the traffic and the keys: the other members of a cluster need them
    /// as well.
    pub(crate) spec: Arc<SaSpec>,
    /// How many outbound sequence numbers the peer's cluster had us skip.
    pub(crate) skipped: u64,
    pub(crate) born: Instant,
    pub(crate) rekey_at: Option<Instant>,
    pub(crate) expire_at: Instant,
    pub(crate) last_inbound: Instant,
    /// How long it may receive nothing, if that matters.
    pub(crate) idle: Option<Duration>,
    /// After so many octets in one direction it is rekeyed, if there is a limit.
    pub(crate) most_bytes: Option<u64>,
}

/// The keys of a pair, as seen from here.
pub(crate) struct PairKeys {
    pub(crate) inbound: KeyMaterial,
    pub(crate) outbound: KeyMaterial,
}

impl Child {
    /// A pair that begins now.
    pub(crate) fn new(
        agreed: Agreed,
        peer: &PeerName,
        (path, party): (&Path, Option<u64>),
        keys: PairKeys,
        ctx: &mut Context<'_>,
    ) -> Self {
        let now = ctx.now;
        let ChildLifetime {
            rekey,
            jitter,
            hard,
            ..
        } = agreed.template.lifetime;
        let early = ctx.jitter(jitter);
        let (idle, most_bytes) = (agreed.template.idle, agreed.template.lifetime.bytes);
        let id = ctx.registry.next_child();
        Child {
            spec: Arc::new(spec(id, &agreed, peer, (path, party), keys)),
            id,
            rule: agreed.rule,
            template: agreed.template,
            suite: agreed.suite,
            inbound_spi: agreed.inbound_spi,
            outbound_spi: agreed.outbound_spi,
            stage: Stage::Installed,
            active: true,
            in_esp: true,
            skipped: 0,
            born: now,
            rekey_at: Some(ctx.after(rekey.saturating_sub(early))),
            expire_at: ctx.after(hard),
            last_inbound: now,
            idle,
            most_bytes,
        }
    }

    /// Gives the pair to ESP. It must happen before the message leaves that lets the peer use it.
    pub(crate) fn plug(
        &self,
        ike: IkeSaId,
        outbound: Outbound,
        replaces: Option<ChildId>,
        ctx: &mut Context<'_>,
    ) {
        let spec = Arc::clone(&self.spec);
        ctx.outputs.push_back(Output::Install(Box::new(Install {
            bucket: ctx.bucket(spec.local),
            spec,
            outbound,
            replaces,
            age: Duration::ZERO,
        })));
        ctx.event(Event::ChildEstablished {
            ike,
            child: self.id,
            replaces,
            rule: self.rule.clone(),
            peer: self.spec.peer.clone(),
            inbound_spi: self.inbound_spi,
            outbound_spi: self.outbound_spi,
            mode: self.template.mode,
            suite: self.suite,
            selectors: Box::new(self.spec.selectors.clone()),
        });
        if self.suite.is_legacy() {
            ctx.event(Event::LegacyAlgorithms {
                peer: self.spec.peer.clone(),
                child: Some(self.id),
                ike,
                suite: self.suite.to_string(),
            });
        }
        ctx.registry.settle(self.id, ike);
    }

    /// Takes the pair away from ESP, if it is there; the peer may still have to hear of it.
    pub(crate) fn unplug(&mut self, reason: Reason, ctx: &mut Context<'_>) {
        if !std::mem::replace(&mut self.in_esp, false) {
            return;
        }
        ctx.outputs.push_back(Output::Remove {
            child: self.id,
            inbound_spi: self.inbound_spi,
            outbound_spi: self.outbound_spi,
        });
        ctx.event(Event::ChildClosed {
            child: self.id,
            rule: self.rule.clone(),
            peer: self.spec.peer.clone(),
            reason,
        });
    }

    /// Lets the outbound SA carry traffic. Says whether it did not yet.
    pub(crate) fn activate(&mut self, ctx: &mut Context<'_>) -> bool {
        if self.active || !self.in_esp {
            return false;
        }
        self.active = true;
        ctx.outputs.push_back(Output::Activate { child: self.id });
        true
    }

    /// What to ask for when this pair is rekeyed.
    pub(crate) fn again(&self, peer: &PeerName, path: &Path) -> Acquire {
        Acquire {
            rule: self.rule.clone(),
            peer: peer.clone(),
            local: path.local.ip(),
            remote: path.remote.ip(),
            flow: None,
            child: self.template.clone(),
            selectors: self.spec.selectors.clone(),
        }
    }

    /// The two hosts of transport mode, as they are seen here.
    pub(crate) fn hosts(&self) -> Option<Hosts> {
        (self.spec.mode == Mode::Transport).then(|| self.spec.hosts())
    }

    /// Whether the pair is in use and nobody is about to end it.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.stage, Stage::Installed | Stage::Rekeying)
    }

    /// Takes note of what ESP saw; `true` when the pair has carried so much that it must be
    /// rekeyed.
    pub(crate) fn note(&mut self, usage: &Usage) -> bool {
        if let Some(at) = usage.last_inbound {
            self.last_inbound = self.last_inbound.max(at);
        }
        let lifetime = self.template.lifetime;
        let packets = match self.suite.esn {
            true => lifetime.packets,
            false => lifetime.packets.min(ChildLifetime::PACKETS_WITHOUT_ESN),
        };
        let bytes = self.most_bytes.unwrap_or(u64::MAX);
        usage.inbound_packets.max(usage.outbound_packets) >= packets
            || usage.inbound_bytes.max(usage.outbound_bytes) >= bytes
    }

    /// The next thing that time does to the pair.
    pub(crate) fn due(&self) -> Option<(Instant, Timer)> {
        let expire = (self.expire_at, Timer::Lifetime);
        match self.stage {
            Stage::Installed => {
                let rekey = self.rekey_at.map(|at| (at, Timer::RekeyChild));
                [Some(expire), rekey, self.idle_at()]
                    .into_iter()
                    .flatten()
                    .min()
            }
            Stage::Rekeying => [Some(expire), self.idle_at()].into_iter().flatten().min(),
            Stage::Replaced { until, .. } => Some((until.min(self.expire_at), Timer::Expire)),
            // The ladder of the Delete ends it.
            Stage::Deleting => None,
        }
    }

    fn idle_at(&self) -> Option<(Instant, Timer)> {
        self.idle
            .map(|idle| (self.last_inbound + idle.min(limits::FOREVER), Timer::Idle))
    }

    /// Rekeying failed: tries again half-way to the end of the pair's life, if that is worth it.
    pub(crate) fn rekey_later(&mut self, now: Instant) {
        let half = self.expire_at.saturating_duration_since(now) / 2;
        self.rekey_at = (half > Duration::from_secs(1)).then_some(now + half);
    }

    /// A picture of the pair.
    pub(crate) fn status(&self, now: Instant) -> ChildStatus {
        ChildStatus {
            child: self.id,
            rule: self.rule.clone(),
            state: match self.stage {
                Stage::Installed => ChildState::Installed,
                Stage::Rekeying => ChildState::Rekeying,
                Stage::Replaced { .. } => ChildState::Replaced,
                Stage::Deleting => ChildState::Deleting,
            },
            mode: self.template.mode,
            suite: self.suite,
            inbound_spi: self.inbound_spi,
            outbound_spi: self.outbound_spi,
            selectors: self.spec.selectors.clone(),
            age: now.saturating_duration_since(self.born),
            rekey_in: self.rekey_at.map(|at| at.saturating_duration_since(now)),
        }
    }
}

/// What time has come to do to these pairs.
pub(crate) fn due(children: &[Child], now: Instant) -> Vec<(ChildId, Timer, Stage)> {
    let due = |(at, timer): (Instant, Timer)| (at <= now).then_some(timer);
    children
        .iter()
        .filter_map(|child| Some((child.id, due(child.due()?)?, child.stage)))
        .collect()
}

/// What ESP needs to know.
fn spec(
    id: ChildId,
    agreed: &Agreed,
    peer: &PeerName,
    (path, party): (&Path, Option<u64>),
    keys: PairKeys,
) -> SaSpec {
    let written = agreed.written.filter(|_| path.nat.encapsulate());
    SaSpec {
        id,
        rule: agreed.rule.clone(),
        peer: peer.clone(),
        mode: agreed.template.mode,
        encapsulation: path.encapsulation(),
        local: path.local.ip(),
        remote: path.remote.ip(),
        nat: Translation { written, party },
        outer: agreed.template.outer,
        inbound_spi: agreed.inbound_spi,
        outbound_spi: agreed.outbound_spi,
        encryption: agreed.suite.encryption,
        integrity: agreed.suite.integrity,
        esn: agreed.suite.esn,
        replay_window: agreed.template.replay_window,
        selectors: agreed.selectors.clone(),
        inbound_keys: keys.inbound,
        outbound_keys: keys.outbound,
    }
}
