//! The responder of main mode (RFC 2409 section 5).

use std::sync::Arc;

use crypto::DhKeyPair;
use policy::auth::Method;
use policy::identity::Identity;
use policy::pad::{Claim, NoPeer, Peer};
use wire::isakmp::{Notification, NotifyType, Payload, PayloadType, ProtocolId};

use crate::context::Context;
use crate::discard::Discard;
use crate::error::{Error, Misbehaved, NotAuthentic};
use crate::id::Role;
use crate::limits;
use crate::path::{self, Path};
use crate::v1::gss;
use crate::v1::keys::Nonces;
use crate::v1::main_mode::initiator::says_initial_contact;
use crate::v1::main_mode::round::{Exchanged, Round};
use crate::v1::main_mode::{Exchange, MainMode, Outcome, Proven, State};
use crate::v1::message::{self, Message};
use crate::v1::methods::Methods;
use crate::v1::sa::Concluded;
use crate::v1::vendor::{self, Situation, Vendor};
use crate::v1::{nat, phase1, proof};

/// Whoever may be at an address, and what is true of us to it.
pub(crate) struct Caller {
    pub(crate) peer: Arc<Peer>,
    pub(crate) path: Path,
    pub(crate) situation: Situation,
}

impl MainMode {
    /// Message 1: chooses among what is offered, and answers. Nothing costly is done for it: the
    /// address may be false.
    ///
    /// # Errors
    /// It is not the beginning of a main mode, or there is nothing in common.
    pub(crate) fn respond(
        message: &Message<'_>,
        caller: Caller,
        ctx: &mut Context<'_>,
    ) -> Result<Self, Refusal> {
        let chain = message.clear()?;
        let mut offers = chain.all(PayloadType::SA);
        let (Some(offer), None) = (offers.next(), offers.next()) else {
            return Err(Discard::UnexpectedPayloads.into());
        };
        let Payload::SecurityAssociation(offered) = &offer.payload else {
            return Err(Discard::UnexpectedPayloads.into());
        };
        let Caller {
            peer,
            path,
            situation,
        } = caller;
        let vendor = Vendor::of(&chain);
        let methods = Methods::of(&peer, ctx.config.seconds(ctx.now)).usable;
        let suites = phase1::suites(&peer, &methods);
        let chosen = phase1::choose(&peer, &suites, offered, vendor.gssapi);
        let chosen = chosen.map_err(Refusal::Error)?;
        let claimed = chosen
            .claimed(&peer, vendor.gssapi)
            .map_err(Refusal::Error)?;
        let mut begun = MainMode {
            id: ctx.reserve_ike(),
            peer_cookie: message.header.initiator_cookie,
            role: Role::Responder,
            path,
            pending: Vec::new(),
            replaces: None,
            birth: ctx.registry.next_birth(),
            until: ctx.now,
            state: State::SaAnswered {
                suite: chosen.suite,
                lifetime: chosen.lifetime,
            },
            sa_i: offer.body.to_vec(),
            fragments: None,
            sent: Vec::new(),
            retransmit: None,
            heard: Some(message.digest()),
            vendor,
            doubt: None,
            unopened: false,
            methods: Vec::new(),
            unusable: None,
            tickets: None,
            refused: None,
            peer,
        };
        let mut payloads = vec![Payload::SecurityAssociation(chosen.answer)];
        payloads.extend(vendor::announce(&begun.peer, situation));
        if let Some(claimed) = claimed {
            begun.expect_token(claimed, chosen.identity.unwrap_or_default());
        }
        let bytes = message::clear(&begun.header(false), &payloads);
        begun.until = ctx.after(limits::HALF_OPEN_LIFE.max(begun.ladder().total()));
        begun.send(bytes, ctx);
        // Whoever forges addresses must not make us send to them again and again. Windows did.
        if begun.peer.ike.legacy.is_none() {
            begun.retransmit = None;
        }
        Ok(begun)
    }

    /// Message 3: the peer's public value. It has our cookie, so its address is true.
    pub(crate) fn ke_offered(
        mut self: Box<Self>,
        message: &Message<'_>,
        back: Path,
        ctx: &mut Context<'_>,
    ) -> Outcome {
        let State::SaAnswered { suite, lifetime } = self.state else {
            return Outcome::Discarded(self, Discard::UnexpectedExchange);
        };
        let chain = match message.clear() {
            Ok(chain) => chain,
            Err(discard) => return Outcome::Discarded(self, discard),
        };
        let Ok(theirs) = Exchange::of(&chain) else {
            return Outcome::Discarded(self, Discard::UnexpectedPayloads);
        };
        let token = gss::token(&chain);
        if self.tickets.is_some() != token.is_some() {
            return Outcome::Discarded(self, Discard::UnexpectedPayloads);
        }
        let Ok(dh) = DhKeyPair::generate(suite.group, ctx.random) else {
            return Outcome::Discarded(self, Discard::KeyExchange);
        };
        let (g_xr, nonce) = (dh.public().to_vec(), ctx.nonce());
        let Ok(shared) = dh.agree(theirs.ke) else {
            return Outcome::Discarded(self, Discard::KeyExchange);
        };
        let nonces = Nonces {
            initiator: theirs.nonce,
            responder: &nonce,
        };
        let keys = match self.keys(suite, &shared, nonces) {
            Ok(keys) => keys,
            Err(error) => return Outcome::Failed(self, error),
        };
        let mut payloads = vec![
            Payload::KeyExchange(g_xr.clone()),
            Payload::Nonce(nonce.clone()),
        ];
        payloads.extend(proof::request(&self.peer, suite.method));
        payloads.extend(self.nat_payloads(suite.hash, ctx));
        if let Some(numbers) = self.vendor.nat(&self.peer) {
            let forced = path::forced(&self.peer.ike, self.path.carrier);
            let (ends, hashed) = ((back.local, back.remote), (suite.hash, self.cookies()));
            self.path.nat = nat::detect(&chain, numbers, hashed, ends, forced);
        }
        let exchanged = Exchanged {
            iv: keys.first_iv(theirs.ke, &g_xr),
            keys,
            g_xi: theirs.ke.to_vec(),
            g_xr,
            lifetime,
        };
        self.heard = Some(message.digest());
        if let Some(token) = token {
            return self.accept_context(Round::new(exchanged, false, back), payloads, token, ctx);
        }
        self.state = State::KeAnswered(Box::new(exchanged));
        let bytes = message::clear(&self.header(false), &payloads);
        self.send(bytes, ctx);
        Outcome::Waits(self)
    }

    /// Message 5: the peer proves who it is. We prove who we are.
    pub(crate) fn id_offered(
        mut self: Box<Self>,
        message: &Message<'_>,
        back: Path,
        ctx: &mut Context<'_>,
    ) -> Outcome {
        let State::KeAnswered(exchanged) = &self.state else {
            return Outcome::Discarded(self, Discard::UnexpectedExchange);
        };
        let opened = match message.open(&exchanged.keys, &exchanged.iv) {
            Ok(opened) => opened,
            Err(discard) => return Outcome::Discarded(self, discard),
        };
        let Ok(chain) = opened.chain() else {
            return self.unopened(back, ctx);
        };
        let said = match proof::identity(&chain) {
            Ok(said) => said,
            Err(_) => return Outcome::Discarded(self, Discard::UnexpectedPayloads),
        };
        let expected = exchanged
            .keys
            .hash_i(&self.transcript(exchanged), said.body, &[]);
        let now = ctx.config.seconds(ctx.now);
        let method = exchanged.keys.suite().method;
        let found = self.find(&said.id, method, back, ctx);
        let checked = found.and_then(|peer| {
            proof::check((&peer, method), &said, &chain, &expected, now).map(|()| peer)
        });
        let peer = match checked {
            Ok(peer) => peer,
            Err(error) => {
                self.refuse(&error, back, ctx);
                return Outcome::Failed(self, error);
            }
        };
        let (next, remote_id, contact) = (opened.next, said.id, says_initial_contact(&chain));
        self.peer = peer;
        // From port 4500 on, where it is behind a NAT, the peer is where this came from.
        self.path = Path {
            nat: self.path.nat,
            ..back
        };
        self.prove(message, next, (remote_id, contact), ctx)
    }

    /// Message 6.
    fn prove(
        mut self: Box<Self>,
        message: &Message<'_>,
        iv: crate::v1::cipher::Iv,
        (remote_id, contact): (Identity, bool),
        ctx: &mut Context<'_>,
    ) -> Outcome {
        let State::KeAnswered(exchanged) = std::mem::replace(&mut self.state, State::Over) else {
            return Outcome::Discarded(self, Discard::UnexpectedExchange);
        };
        let method = exchanged.keys.suite().method;
        let id = proof::own_id(&self.peer, method, self.path.local.ip());
        let id = Payload::Identification(id);
        let body = id.body().unwrap_or_default();
        let hash = exchanged
            .keys
            .hash_r(&self.transcript(&exchanged), &body, &[]);
        let proof = match proof::prove(&self.peer, method, &hash) {
            Ok(proof) => proof,
            Err(error) => return Outcome::Failed(self, error),
        };
        let payloads: Vec<Payload> = std::iter::once(id).chain(proof).collect();
        let (bytes, phase_1) = message::seal(&exchanged.keys, &iv, &self.header(true), &payloads);
        let answer = self.parts(bytes);
        for bytes in &answer {
            ctx.transmit(&self.path, bytes.clone());
        }
        let proven = Proven {
            phase_1,
            remote_id,
            contact,
            concluded: Some(Concluded {
                digest: message.digest(),
                answer,
            }),
        };
        self.establish(*exchanged, proven, ctx)
    }

    /// Our keys do not open what the peer sent: most often the two pre-shared keys differ. Anybody
    /// may have sent it, so nothing ends; but a peer that means it should hear.
    pub(crate) fn unopened(mut self: Box<Self>, back: Path, ctx: &mut Context<'_>) -> Outcome {
        if !std::mem::replace(&mut self.unopened, true) {
            self.refuse(&Error::Unopened, back, ctx);
        }
        Outcome::Discarded(self, Discard::AuthenticationFailed)
    }

    /// Tells the peer in the clear why it is refused: there are no keys that both have.
    pub(crate) fn refuse(&self, error: &Error, back: Path, ctx: &mut Context<'_>) {
        let kind = match error {
            Error::Unopened => NotifyType::PAYLOAD_MALFORMED,
            Error::NotAuthentic(NotAuthentic::Unknown(_)) => NotifyType::INVALID_ID_INFORMATION,
            Error::Misbehaved(Misbehaved::KeyExchange) => NotifyType::INVALID_KEY_INFORMATION,
            _ => NotifyType::AUTHENTICATION_FAILED,
        };
        let mut header = self.header(false);
        header.exchange = wire::isakmp::ExchangeType::INFORMATIONAL;
        let one = Notification::new(ProtocolId::ISAKMP, kind, Vec::new());
        ctx.transmit(
            &back,
            message::clear(&header, &[Payload::Notification(one)]),
        );
    }

    /// Who of those that the policy knows the peer is. The keys are those of the peer whose address
    /// it came from: another one must have the same, by the method that was agreed on.
    pub(crate) fn find(
        &self,
        said: &Identity,
        method: Method,
        back: Path,
        ctx: &Context<'_>,
    ) -> Result<Arc<Peer>, Error> {
        let (local, remote) = (back.local.ip(), back.remote.ip());
        let found = ctx.config.pad.find(&Claim {
            local,
            remote,
            remote_id: said,
            local_id: None,
        });
        let unknown = |why: NoPeer| Error::NotAuthentic(NotAuthentic::Unknown(Box::new(why)));
        let found = found.map_err(unknown)?;
        if found.name == self.peer.name {
            return Ok(Arc::clone(&self.peer));
        }
        let same = match (found.by(method), self.peer.by(method)) {
            (Some((auth, _)), Some((ours, _))) => method == Method::Signature || auth.same(ours),
            _ => false,
        };
        match same {
            true => Ok(Arc::new(found.clone())),
            false => Err(Error::NotAuthentic(NotAuthentic::Auth {
                said: said.to_string(),
            })),
        }
    }
}

/// Why there is no main mode.
pub(crate) enum Refusal {
    /// The message is none, and is not answered.
    Discard(Discard),
    /// The peer is told, and so is whoever reads the log.
    Error(Error),
}

impl From<Discard> for Refusal {
    fn from(discard: Discard) -> Self {
        Refusal::Discard(discard)
    }
}
