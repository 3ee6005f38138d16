//! Main mode: two peers agree on algorithms, exchange keys and prove who they are (RFC 2409 section
//! 5).

pub(crate) mod initiator;
mod kerberos;
pub(crate) mod responder;
pub(crate) mod round;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crypto::{DhKeyPair, Secret};
use policy::auth::{LocalAuth, Method};
use policy::identity::Identity;
use policy::pad::Peer;
use policy::timers::Retransmission;
use policy::version::Legacy;
use wire::isakmp::{Chain, ExchangeType, Flags, Header, NotifyType, Payload, PayloadType};

use crate::command::Acquire;
use crate::context::Context;
use crate::discard::Discard;
use crate::error::{Error, Misbehaved};
use crate::event::Event;
use crate::id::{IkeSaId, Role};
use crate::output::{IsakmpKey, Output};
use crate::path::Path;
use crate::retransmit::Retransmit;
use crate::timer::Timer;
use crate::v1::cipher::Iv;
use crate::v1::fragments::{Fragments, split};
use crate::v1::gss::Tickets;
use crate::v1::keys::suite_of;
use crate::v1::keys::{Cookies, Keys, Nonces, Suite, Transcript};
use crate::v1::main_mode::round::{Asking, Exchanged, Round};
use crate::v1::message::{self, Message};
use crate::v1::methods;
use crate::v1::quick::missing;
use crate::v1::sa::{Birth, Concluded, Sa};
use crate::v1::vendor::Vendor;

/// A main mode that is under way.
pub(crate) struct MainMode {
    /// Our cookie.
    pub(crate) id: IkeSaId,
    /// The peer's, 0 before it is known.
    pub(crate) peer_cookie: u64,
    pub(crate) role: Role,
    pub(crate) path: Path,
    pub(crate) peer: Arc<Peer>,
    /// What waits for it; empty for a responder.
    pub(crate) pending: Vec<Acquire>,
    /// The ISAKMP SA that it is to replace.
    pub(crate) replaces: Option<IkeSaId>,
    pub(crate) birth: u64,
    /// When a responder gives up.
    pub(crate) until: Instant,
    state: State,
    /// SAi_b.
    sa_i: Vec<u8>,
    /// Parts of a message.
    pub(crate) fragments: Option<Box<Fragments>>,
    /// Our last message, and the digest of the peer's.
    sent: Vec<Vec<u8>>,
    retransmit: Option<Retransmit>,
    heard: Option<[u8; 32]>,
    vendor: Vendor,
    /// What an answer that nobody protected says.
    doubt: Option<NotifyType>,
    /// A message came that our keys did not open.
    unopened: bool,
    /// The ways to authenticate that an initiator has on offer, in order.
    methods: Vec<Method>,
    /// The one that was agreed on, when it turns out that this host cannot use it.
    unusable: Option<Method>,
    /// What Kerberos proves, where it is to.
    tickets: Option<Box<Tickets>>,
    /// Why an answer was refused that anybody may have sent.
    refused: Option<Error>,
}

/// How far it is, named by our last message.
enum State {
    /// We sent an SA payload with these as initiator.
    SaOffered(Vec<Suite>),
    /// We sent our public value as initiator.
    KeOffered(Box<KeOffered>),
    /// We sent our identity as initiator.
    IdSent(Box<Exchanged>),
    /// We answered with an SA payload.
    SaAnswered {
        suite: Suite,
        lifetime: Option<Duration>,
    },
    /// We answered with our public value.
    KeAnswered(Box<Exchanged>),
    /// A step of a security context is under way outside.
    Asking(Box<Asking>),
    /// We sent what Kerberos has for the peer, by messages 5 and later.
    Round(Box<Round>),
    /// It is over, or in the middle of a step.
    Over,
}

/// What an initiator needs for the answer to its public value.
struct KeOffered {
    suite: Suite,
    lifetime: Option<Duration>,
    dh: DhKeyPair,
    nonce: Vec<u8>,
}

/// What a message came to.
pub(crate) enum Outcome {
    /// It goes on.
    Waits(Box<MainMode>),
    /// The message was refused, and nothing has changed.
    Discarded(Box<MainMode>, Discard),
    /// Both sides know each other.
    Established { sa: Box<Sa>, done: Done },
    /// It comes to nothing.
    Failed(Box<MainMode>, Error),
}

/// What is left of a main mode that has succeeded.
pub(crate) struct Done {
    pub(crate) pending: Vec<Acquire>,
    pub(crate) replaces: Option<IkeSaId>,
    /// When it began, in the endpoint's count of births.
    pub(crate) begun: u64,
    /// The peer has no older SAs with us.
    pub(crate) contact: bool,
}

impl MainMode {
    /// Takes a message. `alone`: we have no other SA with the peer.
    pub(crate) fn handle(
        mut self: Box<Self>,
        message: &Message<'_>,
        back: Path,
        alone: bool,
        ctx: &mut Context<'_>,
    ) -> Outcome {
        let header = &message.header;
        if header.exchange == ExchangeType::INFORMATIONAL {
            let discard = self.doubt(message, ctx);
            return Outcome::Discarded(self, discard);
        }
        if header.exchange != ExchangeType::MAIN_MODE || header.message_id != 0 {
            return Outcome::Discarded(self, Discard::UnexpectedExchange);
        }
        let digest = message.digest();
        if matches!(self.state, State::Asking(_)) {
            return Outcome::Discarded(self, Discard::GssAwaited);
        }
        if self.heard == Some(digest) {
            // Ours was lost. A peer that repeats itself hears no more often than it speaks.
            self.repeat(ctx);
            return Outcome::Waits(self);
        }
        match &self.state {
            State::SaOffered(_) => self.sa_answered(message, back, ctx),
            State::KeOffered(_) => self.ke_answered(message, back, alone, ctx),
            State::IdSent(_) => self.id_answered(message, back, ctx),
            State::SaAnswered { .. } => self.ke_offered(message, back, ctx),
            State::KeAnswered(_) => self.id_offered(message, back, ctx),
            State::Round(_) => self.next_round(message, back, ctx),
            State::Asking(_) | State::Over => Outcome::Discarded(self, Discard::Busy),
        }
    }

    /// Somebody says that it goes wrong: a hint, for the sentence with which it ends.
    fn doubt(&mut self, message: &Message<'_>, ctx: &mut Context<'_>) -> Discard {
        let Ok(chain) = message.clear() else {
            return Discard::UnexpectedExchange;
        };
        let kind = chain.payloads.iter().find_map(|one| match &one.payload {
            Payload::Notification(one) if one.kind.is_error() => Some(one.kind),
            _ => None,
        });
        if let Some(notify) = kind.filter(|_| self.doubt.is_none()) {
            self.doubt = Some(notify);
            let (ike, peer) = (self.id, self.peer.name.clone());
            ctx.event(Event::MainModeDoubtful { ike, peer, notify });
        }
        Discard::HintIgnored
    }

    pub(crate) fn cookies(&self) -> Cookies {
        Cookies::new(self.role, self.id, self.peer_cookie)
    }

    fn header(&self, encrypted: bool) -> Header {
        let flags = match encrypted {
            true => Flags::ENCRYPTED,
            false => Flags::default(),
        };
        message::header(self.cookies(), ExchangeType::MAIN_MODE, 0, flags)
    }

    /// Sends a message and waits for what it is answered with.
    fn send(&mut self, message: Vec<u8>, ctx: &mut Context<'_>) {
        let encrypted = match &self.state {
            State::Round(round) => round.identified,
            state => matches!(state, State::IdSent(_)),
        };
        self.sent = match encrypted {
            true => self.parts(message),
            false => vec![message],
        };
        self.repeat(ctx);
        self.retransmit = Some(Retransmit::start(&self.ladder(), ctx.now));
    }

    /// An encrypted message as it is sent: in parts, if the peer puts them together.
    fn parts(&self, message: Vec<u8>) -> Vec<Vec<u8>> {
        match self.vendor.fragmentation {
            true => split(message, &self.header(true), &self.peer, &self.path),
            false => vec![message],
        }
    }

    fn repeat(&self, ctx: &mut Context<'_>) {
        for bytes in &self.sent {
            ctx.transmit(&self.path, bytes.clone());
        }
    }

    /// When our last message is sent again.
    fn ladder(&self) -> Retransmission {
        match (&self.state, self.peer.ike.legacy) {
            // Who asks whether we are Windows counts these.
            (State::SaAnswered { .. }, Some(Legacy::Windows2003)) => Retransmission::kb_answers(),
            _ => self.peer.ike.retransmission.clone(),
        }
    }

    /// Both sides' identities are hashed with this.
    fn transcript<'a>(&'a self, exchanged: &'a Exchanged) -> Transcript<'a> {
        Transcript {
            g_xi: &exchanged.g_xi,
            g_xr: &exchanged.g_xr,
            cookies: self.cookies(),
            sa_i: &self.sa_i,
        }
    }

    /// SKEYID and what comes of it.
    fn keys(&self, suite: Suite, shared: &Secret, nonces: Nonces<'_>) -> Result<Keys, Error> {
        let (auth, _) = self.peer.by(suite.method).ok_or(Error::Inexpressible)?;
        let made = match &auth.local {
            LocalAuth::Psk(psk) => Keys::with_psk(suite, psk, shared, nonces, self.cookies()),
            LocalAuth::Signature(_) | LocalAuth::Kerberos(_) => {
                Keys::with_signatures(suite, shared, nonces, self.cookies())
            }
        };
        made.map_err(|_| Error::Inexpressible)
    }

    /// The next thing that time does to it.
    pub(crate) fn due(&self) -> Option<(Instant, Timer)> {
        let again = self.retransmit.as_ref().and_then(Retransmit::due);
        let again = again.map(|at| (at, Timer::Retransmit));
        let end = (self.role == Role::Responder).then_some((self.until, Timer::Expire));
        let asking = self.asking_until().map(|at| (at, Timer::Expire));
        again.into_iter().chain(end).chain(asking).min()
    }

    /// Does what is due.
    ///
    /// # Errors
    /// There is no answer, and no hope for one.
    pub(crate) fn fire(&mut self, ctx: &mut Context<'_>) -> Result<(), Error> {
        if self.role == Role::Responder && self.until <= ctx.now {
            return Err(self.silence(1));
        }
        if self.asking_until().is_some_and(|at| at <= ctx.now) {
            self.unusable = self.asked_first();
            return Err(round::silence());
        }
        let ladder = self.ladder();
        let Some(retransmit) = &mut self.retransmit else {
            return Ok(());
        };
        if retransmit.due().is_none_or(|at| at > ctx.now) {
            return Ok(());
        }
        let tries = retransmit.tries();
        if !retransmit.again(&ladder, ctx.now) {
            return Err(self.silence(tries));
        }
        self.repeat(ctx);
        Ok(())
    }

    /// Why there is no answer, as far as anybody said.
    fn silence(&self, tries: usize) -> Error {
        if let Some(refused) = &self.refused {
            return refused.clone();
        }
        match (self.unopened, self.doubt) {
            (true, _) => Error::Unopened,
            (false, Some(notify)) => Error::Notified(notify),
            (false, None) => Error::Timeout {
                exchange: wire::ike::ExchangeType(ExchangeType::MAIN_MODE.0),
                tries,
            },
        }
    }

    /// The ways that are left, when the one that was agreed on cannot be used here. One that the
    /// peer does not accept is not given up for another.
    pub(crate) fn others(&self) -> Option<(Method, Vec<Method>)> {
        let unusable = self.unusable?;
        let others = self.methods.iter().filter(|one| **one != unusable);
        let others: Vec<Method> = others.copied().collect();
        (!others.is_empty()).then_some((unusable, others))
    }

    /// How a responder's first exchange is known when it comes again: the peer's cookie.
    pub(crate) fn suite(&self) -> Option<Suite> {
        match &self.state {
            State::SaOffered(_) | State::Over => None,
            State::Asking(asking) => Some(asking.suite()),
            State::Round(round) => Some(round.suite()),
            State::KeOffered(state) => Some(state.suite),
            State::SaAnswered { suite, .. } => Some(*suite),
            State::IdSent(state) | State::KeAnswered(state) => Some(state.keys.suite()),
        }
    }
}

/// The peer has proved who it is.
struct Proven {
    /// The IV after the last message.
    phase_1: Iv,
    remote_id: Identity,
    contact: bool,
    /// A responder's last message, which may have to be said again.
    concluded: Option<Concluded>,
}

impl MainMode {
    /// The ISAKMP SA that has come of it.
    fn establish(self, exchanged: Exchanged, proven: Proven, ctx: &mut Context<'_>) -> Outcome {
        ctx.event(Event::IkeEstablished {
            ike: self.id,
            peer: self.peer.name.clone(),
            role: self.role,
            local: self.path.local,
            remote: self.path.remote,
            remote_id: proven.remote_id.clone(),
            authentication: methods::word(&self.peer, exchanged.keys.suite().method),
            suite: suite_of(exchanged.keys.suite()),
        });
        ctx.warn_of_ike(self.id, &self.peer.name, suite_of(exchanged.keys.suite()));
        if ctx.config.export_keys {
            let cookies = self.cookies();
            ctx.outputs.push_back(Output::IsakmpKey(Box::new(IsakmpKey {
                initiator_cookie: u64::from_be_bytes(cookies.initiator),
                key: exchanged.keys.key().duplicate(),
            })));
        }
        let birth = Birth {
            id: self.id,
            peer_cookie: self.peer_cookie,
            role: self.role,
            peer: self.peer,
            remote_id: proven.remote_id,
            path: self.path,
            keys: exchanged.keys,
            phase_1: proven.phase_1,
            vendor: self.vendor,
            lifetime: exchanged.lifetime,
            concluded: proven.concluded,
        };
        Outcome::Established {
            sa: Box::new(Sa::new(birth, ctx)),
            done: Done {
                pending: self.pending,
                replaces: self.replaces,
                begun: self.birth,
                contact: proven.contact,
            },
        }
    }
}

/// What the second pair of messages holds.
struct Exchange<'a> {
    ke: &'a [u8],
    nonce: &'a [u8],
}

impl<'a> Exchange<'a> {
    fn of(chain: &'a Chain<'_>) -> Result<Self, Misbehaved> {
        let mut ke = chain.payloads.iter().filter_map(|one| match &one.payload {
            Payload::KeyExchange(octets) => Some(octets.as_slice()),
            _ => None,
        });
        let mut nonce = chain.payloads.iter().filter_map(|one| match &one.payload {
            Payload::Nonce(octets) => Some(octets.as_slice()),
            _ => None,
        });
        match (ke.next(), ke.next(), nonce.next(), nonce.next()) {
            (Some(ke), None, Some(nonce), None) => Ok(Exchange { ke, nonce }),
            (None, ..) | (_, Some(_), ..) => Err(missing(PayloadType::KE)),
            _ => Err(missing(PayloadType::NONCE)),
        }
    }
}
