//! An established IKE SA: its tables (RFC 7296 section 2).

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crypto::DhKeyPair;
use policy::Additional;
use policy::identity::Identity;
use policy::pad::Peer;
use policy::proposal::IkeSuite;
use policy::sa::ChildId;
use wire::ike::ExchangeType;

use crate::carrier::{Carrier, Lost};
use crate::command::Acquire;
use crate::context::Context;
use crate::event::{Doubt, Reason};
use crate::id::{IkeSaId, Role};
use crate::limits;
use crate::pair::Child;
use crate::path::Path;
use crate::retransmit::Retransmit;
use crate::silence::Silence;
use crate::v2::child::ChildOffer;
use crate::v2::contents::Contents;
use crate::v2::fragments::Fragments;
use crate::v2::keys::{Keys, Spis};
use crate::v2::message::Sealed;
use crate::v2::mobility::Mobility;
use crate::v2::pending::Pending;
use crate::v2::proposal;
use crate::v2::recovery::Recovery;
use crate::v2::redirect::{Elsewhere, Redirection};
use crate::v2::secrets::Followups;

/// Where an IKE SA is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is in use.
    Live,
    /// The peer made it to replace `old` while our own request to replace that was in flight;
    /// the nonces will decide.
    Undecided { old: IkeSaId },
    /// Another took over its children; who initiated that deletes this one.
    Replaced { until: Instant },
    /// Our request to delete it is queued or in flight.
    Closing,
    /// It was deleted, and only repeats its last response in case that was lost.
    Closed { until: Instant },
}

/// A request that waits for the window.
pub(crate) enum Task {
    CreateChild {
        acquire: Box<Acquire>,
        tries: u8,
    },
    RekeyChild {
        child: ChildId,
        tries: u8,
    },
    DeleteChild {
        child: ChildId,
    },
    /// Tells the peer that we do not want a pair that it already has.
    DisownChild {
        inbound_spi: u32,
    },
    RekeyIke {
        tries: u8,
    },
    CloneIke {
        tries: u8,
    },
    DeleteIke {
        reason: Reason,
    },
    Liveness(Doubt),
    /// Tells the peer that it sends ESP which nobody here knows.
    TellInvalidSpi {
        spi: u32,
    },
    /// Gives the peer a crash token.
    GiveToken,
    /// Sends the peer to another gateway.
    Redirect {
        to: IpAddr,
    },
    /// Asks about the addresses as they are now.
    Addresses,
}

/// Our offer to replace the IKE SA, or to clone it.
pub(crate) struct IkeOffer {
    pub(crate) new: IkeSaId,
    pub(crate) nonce: Vec<u8>,
    pub(crate) dh: DhKeyPair,
    pub(crate) followups: Followups,
}

impl IkeOffer {
    /// The additional key exchanges that an answer agrees to.
    pub(crate) fn agreed(&self, peer: &Peer, answer: &Contents<'_>) -> Option<Additional> {
        let offered = proposal::offer_ike(&peer.ike.proposals, Some(self.new.0));
        let (suite, _) = proposal::accept::<IkeSuite>(&offered, answer.sa().ok()?).ok()?;
        Some(suite.additional)
    }
}

/// What the peer made while our own request for the same thing is in flight.
pub(crate) struct Rival<Id> {
    pub(crate) id: Id,
    /// The lower nonce of the peer's exchange.
    pub(crate) lowest: Vec<u8>,
}

/// What a request in flight is about.
pub(crate) enum Kind {
    CreateChild {
        offer: Box<ChildOffer>,
        tries: u8,
    },
    RekeyChild {
        old: ChildId,
        offer: Box<ChildOffer>,
        rival: Option<Rival<ChildId>>,
        tries: u8,
    },
    DeleteChild {
        child: ChildId,
    },
    DisownChild {
        inbound_spi: u32,
    },
    RekeyIke {
        offer: Box<IkeOffer>,
        rival: Option<Rival<IkeSaId>>,
        tries: u8,
    },
    /// Asks for another IKE SA beside this one (RFC 7791).
    CloneIke {
        offer: Box<IkeOffer>,
        tries: u8,
    },
    DeleteIke {
        reason: Reason,
    },
    Liveness,
    Redirect {
        to: IpAddr,
    },
    /// Tells the peer of other addresses, or asks whether it is where it says (RFC 4555).
    Addresses {
        cookie: [u8; 16],
        /// For which change of the addresses.
        moves: u32,
    },
    /// What it was about does not matter any more; the peer must still answer it.
    Forgotten(ExchangeType),
}

impl Kind {
    pub(crate) fn exchange(&self) -> ExchangeType {
        let create = |followups: &Followups| match followups.flying {
            Some(_) => ExchangeType::IKE_FOLLOWUP_KE,
            None => ExchangeType::CREATE_CHILD_SA,
        };
        match self {
            Kind::CreateChild { offer, .. } | Kind::RekeyChild { offer, .. } => {
                create(&offer.followups)
            }
            Kind::RekeyIke { offer, .. } | Kind::CloneIke { offer, .. } => create(&offer.followups),
            Kind::Forgotten(exchange) => *exchange,
            _ => ExchangeType::INFORMATIONAL,
        }
    }
}

/// A request in flight.
pub(crate) struct Exchange {
    pub(crate) message_id: u32,
    pub(crate) kind: Kind,
    pub(crate) retransmit: Retransmit,
    pub(crate) message: Sealed,
}

/// What happened to an IKE SA that concerns others; the endpoint sees to it after each step.
pub(crate) enum Effect {
    /// A new IKE SA in the place of this one. `rival` is what the peer made for the same end, and
    /// whether the nonces speak for it.
    Rekeyed {
        new: Box<Sa>,
        rival: Option<(IkeSaId, bool)>,
    },
    /// A new IKE SA beside this one (RFC 7791).
    Cloned { new: Box<Sa> },
    /// The peer made a new IKE SA while our own request is in flight.
    Undecided { new: Box<Sa> },
    /// The peer's replacement stands, whatever became of ours.
    RivalStands { rival: IkeSaId },
    /// The peer does not know ESP that we send; no child of this IKE SA sends it.
    InvalidSpi { spi: u32 },
    /// The peer sends us to another gateway.
    Elsewhere(Elsewhere),
    /// It ended. What it was asked to protect begins anew.
    Ended {
        reason: Reason,
        orphans: Vec<Acquire>,
    },
}

/// The last request that the peer made, and our response.
pub(crate) struct Answered {
    pub(crate) digest: [u8; 32],
    pub(crate) message: Sealed,
}

/// An established IKE SA.
pub(crate) struct Sa {
    pub(crate) id: IkeSaId,
    pub(crate) peer_spi: u64,
    pub(crate) role: Role,
    pub(crate) peer: Arc<Peer>,
    /// Who the peer proved to be, and who we are to it.
    pub(crate) remote_id: Identity,
    pub(crate) local_id: Identity,
    pub(crate) path: Path,
    /// Which of the hosts behind one NAT the peer is, through every rekeying.
    pub(crate) party: Option<u64>,
    pub(crate) keys: Keys,
    pub(crate) stage: Stage,
    /// When it came to be, in the endpoint's count of births.
    pub(crate) birth: u64,
    pub(crate) born: Instant,
    pub(crate) rekey_at: Option<Instant>,
    pub(crate) expire_at: Instant,
    pub(crate) childless_since: Instant,
    pub(crate) keepalive_at: Option<Instant>,
    /// Its TCP connection is lost.
    pub(crate) lost: Option<Lost>,
    pub(crate) children: Vec<Child>,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) tasks: VecDeque<Task>,
    /// Tasks that wait because of TEMPORARY_FAILURE.
    pub(crate) delayed: Vec<(Instant, Task)>,
    /// How many requests the peer takes at once.
    pub(crate) peer_window: u32,
    /// When the peer last proved to be there.
    pub(crate) alive_at: Instant,
    /// Since when we have sent ESP and got none.
    pub(crate) unanswered_since: Option<Instant>,
    pub(crate) last_hint: Option<Instant>,
    /// Outbound SPIs that the peer deleted before we had its answer that made them.
    pub(crate) deleted_early: Vec<u32>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) recovery: Recovery,
    /// What it and all its clones have in common through every rekeying, if both sides know how to
    /// clone (RFC 7791): our SPI of the first of them.
    pub(crate) family: Option<IkeSaId>,
    /// The addresses may change, if both sides know how.
    pub(crate) mobility: Option<Box<Mobility>>,
    /// The message ids of our next request, and of the peer's.
    pub(crate) next_request: u32,
    pub(crate) expected_request: u32,
    pub(crate) answered: Option<Answered>,
    pub(crate) fragments: Fragments,
    /// A post-quantum pre-shared key is in its keys (RFC 8784).
    pub(crate) ppk: bool,
    /// What the peer asked for and has yet to do more key exchanges for.
    pub(crate) pending: Option<Box<Pending>>,
    /// Whether the other members of the cluster have to hear of a change.
    pub(crate) changed: bool,
    /// Whether it may speak.
    pub(crate) silence: Silence,
    pub(crate) redirection: Redirection,
}

/// What a new IKE SA begins with.
pub(crate) struct Birth {
    pub(crate) id: IkeSaId,
    pub(crate) peer_spi: u64,
    pub(crate) role: Role,
    pub(crate) peer: Arc<Peer>,
    pub(crate) remote_id: Identity,
    pub(crate) local_id: Identity,
    pub(crate) path: Path,
    pub(crate) keys: Keys,
    /// Requests of ours, and of the peer, that came before: those of the handshake.
    pub(crate) requests: (u32, u32),
    /// Both sides know fragments.
    pub(crate) fragmentation: bool,
    /// A post-quantum pre-shared key is in its keys.
    pub(crate) ppk: bool,
}

impl Sa {
    pub(crate) fn new(birth: Birth, ctx: &mut Context<'_>) -> Self {
        let now = ctx.now;
        let lifetime = birth.peer.ike.lifetime;
        let early = ctx.jitter(lifetime.jitter);
        let keepalive = birth.peer.ike.nat_keepalive;
        let keeps = birth.path.nat.local && birth.path.carrier == Carrier::Udp;
        Sa {
            id: birth.id,
            peer_spi: birth.peer_spi,
            role: birth.role,
            peer: birth.peer,
            party: birth.path.party(&birth.remote_id),
            remote_id: birth.remote_id,
            local_id: birth.local_id,
            path: birth.path,
            keys: birth.keys,
            stage: Stage::Live,
            birth: ctx.registry.next_birth(),
            born: now,
            rekey_at: Some(ctx.after(lifetime.rekey.saturating_sub(early))),
            expire_at: ctx.after(lifetime.hard),
            childless_since: now,
            keepalive_at: keeps.then_some(ctx.after(keepalive)),
            lost: Lost::now(birth.path.carrier, now),
            children: Vec::new(),
            exchanges: Vec::new(),
            tasks: VecDeque::new(),
            delayed: Vec::new(),
            peer_window: 1,
            alive_at: now,
            unanswered_since: None,
            last_hint: None,
            deleted_early: Vec::new(),
            effects: Vec::new(),
            recovery: Recovery::default(),
            family: None,
            mobility: None,
            next_request: birth.requests.0,
            expected_request: birth.requests.1,
            answered: None,
            fragments: Fragments::new(birth.fragmentation),
            ppk: birth.ppk,
            pending: None,
            changed: true,
            silence: Silence::None,
            redirection: Redirection::default(),
        }
    }

    /// The SPIs in the order of the original roles.
    pub(crate) fn spis(&self) -> Spis {
        match self.role {
            Role::Initiator => Spis {
                initiator: self.id.0,
                responder: self.peer_spi,
            },
            Role::Responder => Spis {
                initiator: self.peer_spi,
                responder: self.id.0,
            },
        }
    }

    /// Whether new exchanges may begin here.
    pub(crate) fn is_live(&self) -> bool {
        self.stage == Stage::Live && !self.is_silent()
    }

    /// Whether it is neither replaced nor deleted, nor one of two that replace another.
    pub(crate) fn is_of_use(&self) -> bool {
        matches!(self.stage, Stage::Live | Stage::Closing)
    }

    /// Whether it says nothing.
    pub(crate) fn is_silent(&self) -> bool {
        self.silence != Silence::None
    }

    /// Whether it says nothing, and something is to be done about it: what it protects is to be
    /// protected by another, or it was to be deleted and has no answer to wait for any more.
    pub(crate) fn is_unreplaced(&self) -> bool {
        let in_use = self.stage == Stage::Live && !self.children.is_empty();
        self.is_silent() && (in_use || self.stage == Stage::Closing)
    }

    /// Whether a request of ours for a child is in flight.
    pub(crate) fn is_creating(&self) -> bool {
        let creates =
            |kind: &Kind| matches!(kind, Kind::CreateChild { .. } | Kind::RekeyChild { .. });
        self.exchanges.iter().any(|one| creates(&one.kind))
    }

    /// What both sides agreed on beyond RFC 7296, for people.
    pub(crate) fn extensions(&self) -> Vec<&'static str> {
        let known = [
            (self.fragments.agreed, "fragmentation"),
            (self.mobility.is_some(), "mobike"),
            (self.family.is_some(), "cloning"),
            (self.ppk, "ppk"),
            (self.redirection.is_followed, "redirect"),
            (self.path.carrier != Carrier::Udp, "tcp"),
        ];
        let agreed = known.into_iter().filter(|(is_agreed, _)| *is_agreed);
        agreed.map(|(_, word)| word).collect()
    }

    /// The peer proved to be there.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.alive_at = now;
        self.unanswered_since = None;
        if let Some(mobility) = &mut self.mobility {
            mobility.searches = 0;
        }
    }

    /// Where ESP goes: a new address of the peer has to prove itself first.
    pub(crate) fn esp_path(&self) -> Path {
        let waits = self.mobility.as_ref().and_then(|one| one.proven);
        waits.unwrap_or(self.path)
    }

    /// When a NAT needs to hear from us again. It keeps a TCP connection in mind by itself (RFC
    /// 9329 section 6.6).
    pub(crate) fn rearm_keepalive(&mut self, now: Instant) {
        let gap = self.peer.ike.nat_keepalive;
        let keeps = self.path.nat.local && self.path.carrier == Carrier::Udp;
        self.keepalive_at =
            (keeps && gap > Duration::ZERO).then_some(now + gap.min(limits::FOREVER));
    }
}
