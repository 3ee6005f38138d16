//! An established IKE SA: its tables and what every exchange on it shares (RFC 7296 section 2.3).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crypto::DhKeyPair;
use crypto::hash::sha256;
use policy::identity::Identity;
use policy::pad::Peer;
use policy::sa::ChildId;
use wire::ike::{Decoded, ExchangeType, Flags, Header, Malformed, NotifyType, Payload};

use crate::command::Acquire;
use crate::context::Context;
use crate::discard::Discard;
use crate::event::{Doubt, Event, Reason};
use crate::id::{IkeSaId, Role};
use crate::limits;
use crate::output::Output;
use crate::v2::child::ChildOffer;
use crate::v2::keys::{Keys, Spis};
use crate::v2::message;
use crate::v2::nat::Path;
use crate::v2::pair::{Child, Stage as ChildStage};
use crate::v2::retransmit::Retransmit;

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
    DeleteIke {
        reason: Reason,
    },
    Liveness(Doubt),
}

/// Our offer to replace the IKE SA.
pub(crate) struct IkeOffer {
    pub(crate) new: IkeSaId,
    pub(crate) nonce: Vec<u8>,
    pub(crate) dh: DhKeyPair,
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
    DisownChild,
    RekeyIke {
        offer: Box<IkeOffer>,
        rival: Option<Rival<IkeSaId>>,
        tries: u8,
    },
    DeleteIke {
        reason: Reason,
    },
    Liveness,
    /// What it was about does not matter any more; the peer must still answer it.
    Forgotten(ExchangeType),
}

impl Kind {
    pub(crate) fn exchange(&self) -> ExchangeType {
        match self {
            Kind::CreateChild { .. } | Kind::RekeyChild { .. } | Kind::RekeyIke { .. } => {
                ExchangeType::CREATE_CHILD_SA
            }
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
    bytes: Vec<u8>,
}

/// What happened to an IKE SA that concerns others; the endpoint sees to it after each step.
pub(crate) enum Effect {
    /// A new IKE SA in the place of this one. `rival` is what the peer made for the same end, and
    /// whether the nonces speak for it.
    Rekeyed {
        new: Box<Sa>,
        rival: Option<(IkeSaId, bool)>,
    },
    /// The peer made a new IKE SA while our own request is in flight.
    Undecided { new: Box<Sa> },
    /// The peer's replacement stands, whatever became of ours.
    RivalStands { rival: IkeSaId },
    /// It ended. What it was asked to protect begins anew.
    Ended {
        reason: Reason,
        orphans: Vec<Acquire>,
    },
}

/// The last request that the peer made, and our response.
struct Answered {
    digest: [u8; 32],
    bytes: Vec<u8>,
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
    pub(crate) keys: Keys,
    pub(crate) stage: Stage,
    /// When it came to be, in the endpoint's count of births.
    pub(crate) birth: u64,
    pub(crate) born: Instant,
    pub(crate) rekey_at: Option<Instant>,
    pub(crate) expire_at: Instant,
    pub(crate) childless_since: Instant,
    pub(crate) keepalive_at: Option<Instant>,
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
    next_request: u32,
    expected_request: u32,
    answered: Option<Answered>,
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
}

/// An authenticated message that has its place in the window.
pub(crate) enum Proof {
    /// The last request again, octet by octet.
    Repeated,
    /// A new request.
    Request {
        digest: [u8; 32],
        payloads: Result<Vec<Payload>, Malformed>,
    },
    /// The response to a request in flight.
    Response {
        payloads: Result<Vec<Payload>, Malformed>,
    },
    /// An unprotected notification: nothing is true of it.
    Hint(NotifyType),
}

impl Sa {
    pub(crate) fn new(birth: Birth, ctx: &mut Context<'_>) -> Self {
        let now = ctx.now;
        let lifetime = birth.peer.ike.lifetime;
        let early = ctx.jitter(lifetime.jitter);
        let keepalive = birth.peer.ike.nat_keepalive;
        Sa {
            id: birth.id,
            peer_spi: birth.peer_spi,
            role: birth.role,
            peer: birth.peer,
            remote_id: birth.remote_id,
            local_id: birth.local_id,
            path: birth.path,
            keys: birth.keys,
            stage: Stage::Live,
            birth: ctx.registry.next_birth(),
            born: now,
            rekey_at: Some(now + lifetime.rekey.saturating_sub(early)),
            expire_at: now + lifetime.hard,
            childless_since: now,
            keepalive_at: birth.path.nat.local.then_some(now + keepalive),
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
            next_request: birth.requests.0,
            expected_request: birth.requests.1,
            answered: None,
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

    fn header(&self, exchange: ExchangeType, response: bool, message_id: u32) -> Header {
        let initiator = self.role == Role::Initiator;
        let flags = Flags {
            initiator,
            version: false,
            response,
        };
        let Spis {
            initiator,
            responder,
        } = self.spis();
        Header::new(initiator, responder, exchange, flags, message_id)
    }

    /// Whether new exchanges may begin here.
    pub(crate) fn is_live(&self) -> bool {
        self.stage == Stage::Live
    }

    /// Looks at a datagram; nothing changes.
    ///
    /// # Errors
    /// It is not from the peer, or has no place in the window.
    pub(crate) fn check(&self, decoded: &Decoded<'_>) -> Result<Proof, Discard> {
        let header = &decoded.header;
        let Spis {
            initiator,
            responder,
        } = self.spis();
        if decoded.encrypted.is_none() {
            return self.check_unprotected(decoded);
        }
        if (header.initiator_spi, header.responder_spi) != (initiator, responder) {
            return Err(Discard::WrongPeerSpi);
        }
        if header.flags.initiator == (self.role == Role::Initiator) {
            return Err(Discard::WrongDirection);
        }
        if header.flags.response {
            let asked = self
                .in_flight(header.message_id)
                .ok_or(Discard::NoMatchingRequest)?;
            if asked.kind.exchange() != header.exchange {
                return Err(Discard::UnexpectedExchange);
            }
            return Ok(Proof::Response {
                payloads: message::open(&self.keys, decoded)?,
            });
        }
        let digest = sha256(&[decoded.octets]);
        if header.message_id.wrapping_add(1) == self.expected_request {
            let same = self
                .answered
                .as_ref()
                .is_some_and(|last| last.digest == digest);
            return if same {
                Ok(Proof::Repeated)
            } else {
                Err(Discard::NotTheSameRequest)
            };
        }
        if header.message_id != self.expected_request {
            return Err(Discard::MessageId);
        }
        if matches!(self.stage, Stage::Closed { .. }) {
            return Err(Discard::Busy);
        }
        let known = [ExchangeType::CREATE_CHILD_SA, ExchangeType::INFORMATIONAL];
        if !known.contains(&header.exchange) {
            return Err(Discard::UnexpectedExchange);
        }
        Ok(Proof::Request {
            digest,
            payloads: message::open(&self.keys, decoded)?,
        })
    }

    /// An unprotected response may be a hint that the peer has lost this IKE SA (section 2.21.4).
    fn check_unprotected(&self, decoded: &Decoded<'_>) -> Result<Proof, Discard> {
        let says = |payload: &Payload| match payload {
            Payload::Notify(notify) if notify.kind == NotifyType::INVALID_IKE_SPI => Some(()),
            _ => None,
        };
        let hint =
            decoded.header.flags.response && decoded.payloads.iter().any(|one| says(one).is_some());
        match hint {
            true => Ok(Proof::Hint(NotifyType::INVALID_IKE_SPI)),
            false => Err(Discard::NotEncrypted),
        }
    }

    fn in_flight(&self, message_id: u32) -> Option<&Exchange> {
        self.exchanges
            .iter()
            .find(|exchange| exchange.message_id == message_id)
    }

    /// Takes a request in flight out of the table: its response is here.
    pub(crate) fn finish(&mut self, message_id: u32) -> Option<Exchange> {
        let at = self
            .exchanges
            .iter()
            .position(|one| one.message_id == message_id)?;
        Some(self.exchanges.remove(at))
    }

    /// Whether a request of ours for a child is in flight.
    pub(crate) fn is_creating(&self) -> bool {
        let creates = |kind: &Kind| matches!(kind, Kind::CreateChild { .. } | Kind::RekeyChild { .. });
        self.exchanges.iter().any(|one| creates(&one.kind))
    }

    /// Whether another request fits the peer's window.
    pub(crate) fn has_room(&self) -> bool {
        let window = usize::try_from(self.peer_window.min(limits::WINDOW)).unwrap_or(1);
        self.exchanges.len() < window
    }

    /// Sends a request.
    pub(crate) fn request(&mut self, kind: Kind, payloads: &[Payload], ctx: &mut Context<'_>) {
        let retransmit = Retransmit::start(&self.peer.ike.retransmission, ctx.now);
        self.request_by(kind, payloads, retransmit, ctx);
    }

    /// Sends a request with a ladder of its own.
    pub(crate) fn request_by(
        &mut self,
        kind: Kind,
        payloads: &[Payload],
        retransmit: Retransmit,
        ctx: &mut Context<'_>,
    ) {
        let message_id = self.next_request;
        let header = self.header(kind.exchange(), false, message_id);
        let Some(bytes) = message::protect(&mut self.keys, &header, payloads) else {
            return;
        };
        self.next_request = message_id.wrapping_add(1);
        ctx.transmit(&self.path, bytes.clone());
        self.exchanges.push(Exchange {
            message_id,
            kind,
            retransmit,
            bytes,
        });
    }

    /// Sends a request in flight again.
    pub(crate) fn repeat(&self, exchange: &Exchange, ctx: &mut Context<'_>) {
        ctx.transmit(&self.path, exchange.bytes.clone());
    }

    /// Answers the request that was just taken, and keeps the answer.
    pub(crate) fn respond(
        &mut self,
        to: &Request<'_>,
        payloads: &[Payload],
        ctx: &mut Context<'_>,
    ) {
        let header = self.header(to.exchange, true, self.expected_request);
        let Some(bytes) = message::protect(&mut self.keys, &header, payloads) else {
            return;
        };
        self.expected_request = self.expected_request.wrapping_add(1);
        ctx.transmit(&to.back, bytes.clone());
        self.answered = Some(Answered {
            digest: to.digest,
            bytes,
        });
    }

    /// Keeps the handshake's last answer, which the initiator may not have received.
    pub(crate) fn keep_answer(&mut self, digest: [u8; 32], bytes: Vec<u8>) {
        self.answered = Some(Answered { digest, bytes });
    }

    /// Gives the last answer again.
    pub(crate) fn answer_again(&self, back: &Path, ctx: &mut Context<'_>) {
        if let Some(last) = &self.answered {
            ctx.transmit(back, last.bytes.clone());
        }
    }

    pub(crate) fn child(&self, id: ChildId) -> Option<&Child> {
        self.children.iter().find(|child| child.id == id)
    }

    pub(crate) fn child_mut(&mut self, id: ChildId) -> Option<&mut Child> {
        self.children.iter_mut().find(|child| child.id == id)
    }

    /// A child by the SPI that the peer receives with.
    pub(crate) fn child_by_outbound(&self, spi: u32) -> Option<&Child> {
        self.children.iter().find(|child| child.outbound_spi == spi)
    }

    /// Lets a child's outbound SA carry traffic, if it does not yet.
    pub(crate) fn activate(&mut self, id: ChildId, ctx: &mut Context<'_>) {
        if let Some(child) = self.child_mut(id).filter(|child| !child.active && child.in_esp) {
            child.active = true;
            ctx.outputs.push_back(Output::Activate { child: id });
        }
    }

    /// Takes a child away from ESP; the peer may still have to hear of it.
    pub(crate) fn unplug(&mut self, id: ChildId, reason: Reason, ctx: &mut Context<'_>) {
        let peer = self.peer.name.clone();
        let Some(child) = self.child_mut(id).filter(|child| child.in_esp) else {
            return;
        };
        child.in_esp = false;
        let (inbound_spi, outbound_spi) = (child.inbound_spi, child.outbound_spi);
        let rule = child.rule.clone();
        ctx.outputs.push_back(Output::Remove {
            child: id,
            inbound_spi,
            outbound_spi,
        });
        ctx.event(Event::ChildClosed {
            child: id,
            rule,
            peer,
            reason,
        });
    }

    /// Ends a child here.
    pub(crate) fn remove_child(&mut self, id: ChildId, reason: Reason, ctx: &mut Context<'_>) {
        self.unplug(id, reason, ctx);
        let Some(at) = self.children.iter().position(|child| child.id == id) else {
            return;
        };
        let child = self.children.remove(at);
        ctx.registry.forget(id, child.inbound_spi);
        if self.children.is_empty() {
            self.childless_since = ctx.now;
        }
    }

    /// Ends every child here.
    pub(crate) fn remove_children(&mut self, reason: &Reason, ctx: &mut Context<'_>) {
        let ids: Vec<ChildId> = self.children.iter().map(|child| child.id).collect();
        for id in ids {
            self.remove_child(id, reason.clone(), ctx);
        }
    }

    /// Queues a task, unless there are too many.
    pub(crate) fn queue(&mut self, task: Task) -> bool {
        let fits = self.tasks.len() < limits::QUEUE;
        if fits {
            self.tasks.push_back(task);
        }
        fits
    }

    /// Queues a task again after a while, because the peer is busy with something that collides.
    pub(crate) fn delay(&mut self, task: Task, ctx: &mut Context<'_>) {
        let wait = limits::TEMPORARY_WAIT + ctx.jitter(limits::TEMPORARY_WAIT);
        self.delayed.push((ctx.now + wait, task));
    }

    /// The time has come for delayed tasks.
    pub(crate) fn wake(&mut self, now: Instant) {
        let (due, later) = std::mem::take(&mut self.delayed)
            .into_iter()
            .partition(|one| one.0 <= now);
        let due: Vec<(Instant, Task)> = due;
        self.delayed = later;
        self.tasks.extend(due.into_iter().map(|(_, task)| task));
    }

    /// Whether a live child or a queued request already serves this.
    pub(crate) fn serves(&self, wanted: &Acquire) -> bool {
        let same = |one: &Acquire| one.rule == wanted.rule && one.selectors == wanted.selectors;
        let carries = |child: &Child| {
            let packet = wanted.flow.is_none_or(|flow| {
                child
                    .selectors
                    .contains(&flow, policy::selector::Direction::Outbound)
            });
            child.rule == wanted.rule
                && child.stage != ChildStage::Deleting
                && child.is_live()
                && packet
                && (wanted.flow.is_some() || child.selectors == wanted.selectors)
        };
        let queued =
            |task: &Task| matches!(task, Task::CreateChild { acquire, .. } if same(acquire));
        let flying = |one: &Exchange| matches!(&one.kind, Kind::CreateChild { offer, .. } if same(&offer.acquire));
        self.children.iter().any(carries)
            || self.tasks.iter().any(queued)
            || self.delayed.iter().any(|(_, task)| queued(task))
            || self.exchanges.iter().any(flying)
    }

    /// The peer proved to be there.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.alive_at = now;
        self.unanswered_since = None;
    }

    /// When a NAT needs to hear from us again.
    pub(crate) fn rearm_keepalive(&mut self, now: Instant) {
        let gap = self.peer.ike.nat_keepalive;
        self.keepalive_at = (self.path.nat.local && gap > Duration::ZERO).then_some(now + gap);
    }
}

/// An authenticated request on its way through the handlers.
pub(crate) struct Request<'a> {
    pub(crate) exchange: ExchangeType,
    pub(crate) digest: [u8; 32],
    pub(crate) payloads: &'a [Payload],
    /// Where the answer goes: whence the request came.
    pub(crate) back: Path,
}
