//! The initiator of main mode (RFC 2409 section 5).

use std::sync::Arc;
use std::time::Duration;

use crypto::DhKeyPair;
use policy::auth::Method;
use policy::pad::Peer;
use wire::isakmp::{Notification, NotifyType, Payload};

use crate::command::Acquire;
use crate::context::Context;
use crate::discard::Discard;
use crate::error::{Error, Misbehaved, NotAuthentic};
use crate::event::Event;
use crate::id::{IkeSaId, Role};
use crate::path::{self, Path};
use crate::v1::gss;
use crate::v1::keys::{Nonces, Suite};
use crate::v1::main_mode::round::{Exchanged, Round};
use crate::v1::main_mode::{Exchange, KeOffered, MainMode, Outcome, Proven, State};
use crate::v1::message::{self, Message};
use crate::v1::vendor::{self, Situation, Vendor};
use crate::v1::{nat, phase1, proof};

/// Whom an initiator calls, and why.
pub(crate) struct Call {
    pub(crate) peer: Arc<Peer>,
    pub(crate) path: Path,
    pub(crate) situation: Situation,
    pub(crate) replaces: Option<IkeSaId>,
    /// The ways to authenticate on offer, in order.
    pub(crate) methods: Vec<Method>,
}

impl MainMode {
    /// Sends the first message.
    ///
    /// # Errors
    /// The policy for the peer has nothing that IKEv1 can say; what waited comes back.
    pub(crate) fn begin(
        call: Call,
        pending: Vec<Acquire>,
        ctx: &mut Context<'_>,
    ) -> Result<Self, (Error, Vec<Acquire>)> {
        let suites = phase1::offered(&call.peer, &call.methods);
        let Some(offer) = phase1::offer(&call.peer, &suites) else {
            return Err((Error::Inexpressible, pending));
        };
        let offer = Payload::SecurityAssociation(offer);
        let Ok(sa_i) = offer.body() else {
            return Err((Error::Inexpressible, pending));
        };
        let Call {
            peer,
            path,
            situation,
            replaces,
            methods,
        } = call;
        let mut begun = MainMode {
            id: ctx.reserve_ike(),
            peer_cookie: 0,
            role: Role::Initiator,
            path,
            pending,
            replaces,
            birth: ctx.registry.next_birth(),
            until: ctx.now,
            state: State::SaOffered(suites),
            sa_i,
            fragments: None,
            sent: Vec::new(),
            retransmit: None,
            heard: None,
            vendor: Vendor::default(),
            doubt: None,
            unopened: false,
            methods,
            unusable: None,
            tickets: None,
            refused: None,
            peer,
        };
        let mut payloads = vec![offer];
        payloads.extend(vendor::announce(&begun.peer, situation));
        ctx.event(Event::HandshakeStarted {
            ike: begun.id,
            peer: begun.peer.name.clone(),
            local: path.local,
            remote: path.remote,
        });
        let bytes = message::clear(&begun.header(false), &payloads);
        begun.send(bytes, ctx);
        Ok(begun)
    }

    /// Message 2: the peer has chosen. We answer with our public value.
    pub(crate) fn sa_answered(
        mut self: Box<Self>,
        message: &Message<'_>,
        _back: Path,
        ctx: &mut Context<'_>,
    ) -> Outcome {
        let chain = match message.clear() {
            Ok(chain) if message.header.responder_cookie != 0 => chain,
            Ok(_) => return Outcome::Discarded(self, Discard::WrongPeerSpi),
            Err(discard) => return Outcome::Discarded(self, discard),
        };
        let answer = chain.payloads.iter().find_map(|one| match &one.payload {
            Payload::SecurityAssociation(answer) => Some(answer),
            _ => None,
        });
        let Some(answer) = answer else {
            return Outcome::Discarded(self, Discard::UnexpectedPayloads);
        };
        // Anybody could have sent it: an answer that makes no sense is none.
        let State::SaOffered(suites) = &self.state else {
            return Outcome::Discarded(self, Discard::UnexpectedExchange);
        };
        let Ok(chosen) = phase1::accept(&self.peer, suites, answer) else {
            return Outcome::Discarded(self, Discard::UnexpectedPayloads);
        };
        let vendor = Vendor::of(&chain);
        let claimed = match chosen.claimed(&self.peer, vendor.gssapi) {
            Ok(claimed) => claimed,
            Err(error) => return self.doubted(error, message, ctx),
        };
        self.peer_cookie = message.header.responder_cookie;
        self.vendor = vendor;
        self.heard = Some(message.digest());
        match claimed {
            Some(claimed) => self.begin_context(chosen, claimed, ctx),
            None => self.offer_ke(chosen.suite, chosen.lifetime, None, ctx),
        }
    }

    /// Message 3: our public value, and a token of GSS where there is one.
    pub(crate) fn offer_ke(
        mut self: Box<Self>,
        suite: Suite,
        lifetime: Option<Duration>,
        token: Option<Payload>,
        ctx: &mut Context<'_>,
    ) -> Outcome {
        let Ok(dh) = DhKeyPair::generate(suite.group, ctx.random) else {
            return Outcome::Discarded(self, Discard::KeyExchange);
        };
        let nonce = ctx.nonce();
        let mut payloads = vec![
            Payload::KeyExchange(dh.public().to_vec()),
            Payload::Nonce(nonce.clone()),
        ];
        payloads.extend(token);
        payloads.extend(proof::request(&self.peer, suite.method));
        payloads.extend(self.nat_payloads(suite.hash, ctx));
        self.state = State::KeOffered(Box::new(KeOffered {
            suite,
            lifetime,
            dh,
            nonce,
        }));
        let bytes = message::clear(&self.header(false), &payloads);
        self.send(bytes, ctx);
        Outcome::Waits(self)
    }

    /// Hashes of both ends, if the peer knows what they are.
    pub(crate) fn nat_payloads(&self, hash: crypto::Prf, ctx: &mut Context<'_>) -> Vec<Payload> {
        let Some(numbers) = self.vendor.nat(&self.peer) else {
            return Vec::new();
        };
        let force = path::forced(&self.peer.ike, self.path.carrier);
        let ends = (self.path.local, self.path.remote);
        let hashes = nat::payloads(numbers, (hash, self.cookies()), ends, force, ctx.random);
        hashes.to_vec()
    }

    /// Message 4: the peer's public value. We prove who we are.
    pub(crate) fn ke_answered(
        mut self: Box<Self>,
        message: &Message<'_>,
        back: Path,
        alone: bool,
        ctx: &mut Context<'_>,
    ) -> Outcome {
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
        let State::KeOffered(state) = std::mem::replace(&mut self.state, State::Over) else {
            return Outcome::Discarded(self, Discard::UnexpectedExchange);
        };
        let KeOffered {
            suite,
            lifetime,
            dh,
            nonce,
        } = *state;
        let g_xi = dh.public().to_vec();
        let Ok(shared) = dh.agree(theirs.ke) else {
            let error = Error::Misbehaved(Misbehaved::KeyExchange);
            return Outcome::Failed(self, error);
        };
        let nonces = Nonces {
            initiator: &nonce,
            responder: theirs.nonce,
        };
        let keys = match self.keys(suite, &shared, nonces) {
            Ok(keys) => keys,
            Err(error) => return Outcome::Failed(self, error),
        };
        if let Some(numbers) = self.vendor.nat(&self.peer) {
            let forced = path::forced(&self.peer.ike, self.path.carrier);
            let ends = (back.local, back.remote);
            let hashed = (suite.hash, self.cookies());
            self.path.nat = nat::detect(&chain, numbers, hashed, ends, forced);
            self.path.float(false);
        }
        let exchanged = Exchanged {
            iv: keys.first_iv(&g_xi, theirs.ke),
            keys,
            g_xi,
            g_xr: theirs.ke.to_vec(),
            lifetime,
        };
        self.heard = Some(message.digest());
        match token {
            Some(token) => self.continue_context(Round::new(exchanged, alone, back), token, ctx),
            None => self.identify(exchanged, alone, ctx),
        }
    }

    /// Message 5.
    fn identify(
        mut self: Box<Self>,
        mut exchanged: Exchanged,
        alone: bool,
        ctx: &mut Context<'_>,
    ) -> Outcome {
        let method = exchanged.keys.suite().method;
        let id = proof::own_id(&self.peer, method, self.path.local.ip());
        let id = Payload::Identification(id);
        let body = id.body().unwrap_or_default();
        let hash = exchanged
            .keys
            .hash_i(&self.transcript(&exchanged), &body, &[]);
        let proof = match proof::prove(&self.peer, method, &hash) {
            Ok(proof) => proof,
            Err(error) => return Outcome::Failed(self, error),
        };
        let mut payloads = vec![id];
        payloads.extend(proof);
        if alone {
            let cookies = self.cookies();
            let number = u64::from_be_bytes;
            let pair = (number(cookies.initiator), number(cookies.responder));
            let contact = Notification::isakmp(pair, NotifyType::INITIAL_CONTACT, Vec::new());
            payloads.push(Payload::Notification(contact));
        }
        let header = self.header(true);
        let (bytes, iv) = message::seal(&exchanged.keys, &exchanged.iv, &header, &payloads);
        exchanged.iv = iv;
        self.state = State::IdSent(Box::new(exchanged));
        self.send(bytes, ctx);
        Outcome::Waits(self)
    }

    /// Message 6: the peer proves who it is.
    pub(crate) fn id_answered(
        mut self: Box<Self>,
        message: &Message<'_>,
        back: Path,
        ctx: &mut Context<'_>,
    ) -> Outcome {
        let State::IdSent(exchanged) = &self.state else {
            return Outcome::Discarded(self, Discard::UnexpectedExchange);
        };
        let opened = match message.open(&exchanged.keys, &exchanged.iv) {
            Ok(opened) => opened,
            Err(discard) => return Outcome::Discarded(self, discard),
        };
        let Ok(chain) = opened.chain() else {
            // Most often the keys differ, and the sentence at the end says so; but anybody may
            // have sent it, and so it ends nothing.
            self.unopened = true;
            return Outcome::Discarded(self, Discard::AuthenticationFailed);
        };
        let said = match proof::identity(&chain) {
            Ok(said) => said,
            Err(_) => return Outcome::Discarded(self, Discard::UnexpectedPayloads),
        };
        let method = exchanged.keys.suite().method;
        let expected = exchanged
            .keys
            .hash_r(&self.transcript(exchanged), said.body, &[]);
        let now = ctx.config.seconds(ctx.now);
        if let Err(error) = proof::check((&self.peer, method), &said, &chain, &expected, now) {
            return Outcome::Failed(self, error);
        }
        if !self.peer.remote_id.accepts(&said.id) {
            let error = Error::NotAuthentic(NotAuthentic::Identity {
                expected: self.peer.remote_id.to_string(),
                said: said.id.to_string(),
            });
            return Outcome::Failed(self, error);
        }
        let (phase_1, remote_id) = (opened.next, said.id);
        let contact = says_initial_contact(&chain);
        if self.path.nat.remote {
            self.path.remote = back.remote;
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::IdSent(exchanged) => {
                let proven = Proven {
                    phase_1,
                    remote_id,
                    contact,
                    concluded: None,
                };
                self.establish(*exchanged, proven, ctx)
            }
            _ => Outcome::Discarded(self, Discard::UnexpectedExchange),
        }
    }
}

/// Whether the peer has no older SAs with us.
pub(crate) fn says_initial_contact(chain: &wire::isakmp::Chain<'_>) -> bool {
    chain.payloads.iter().any(|one| match &one.payload {
        Payload::Notification(one) => one.kind == NotifyType::INITIAL_CONTACT,
        _ => false,
    })
}
