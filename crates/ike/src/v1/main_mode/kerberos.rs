//! Main mode with Kerberos: tokens go with the public values, and from message 5 on each side sends
//! what tokens it has left and then its hash, wrapped (draft-ietf-ipsec-isakmp-gss-auth).
//!
//! Steps of the security context are taken outside; meanwhile messages of the peer are not taken.

use std::sync::Arc;
use std::time::Instant;

use policy::auth::Method;
use policy::identity::Identity;
use policy::kerberos::Principal;
use wire::isakmp::{Chain, Notification, NotifyType, Payload};

use crate::context::Context;
use crate::discard::Discard;
use crate::error::{Error, NotAuthentic};
use crate::event::Event;
use crate::gss::{AskGss, GssAnswer, GssStep};
use crate::id::Role;
use crate::limits;
use crate::output::Output;
use crate::path::Path;
use crate::v1::gss::{self, Tickets, kerberos};
use crate::v1::keys::is_hash;
use crate::v1::main_mode::initiator::says_initial_contact;
use crate::v1::main_mode::round::{Asking, Next, Round};
use crate::v1::main_mode::{MainMode, Outcome, Proven, State};
use crate::v1::message::{self, Message};
use crate::v1::phase1::Chosen;
use crate::v1::proof;
use crate::v1::sa::Concluded;

impl MainMode {
    /// When it waits no longer for a step of the security context.
    pub(crate) fn asking_until(&self) -> Option<Instant> {
        match &self.state {
            State::Asking(asking) => Some(asking.until),
            _ => None,
        }
    }

    /// Kerberos, while a ticket is asked for and the peer has seen nothing of it: what fails then
    /// fails on this side.
    pub(crate) fn asked_first(&self) -> Option<Method> {
        match &self.state {
            State::Asking(asking) => asking.asked_first(),
            _ => None,
        }
    }

    /// A responder's answer names a principal that may not answer, or none. Anybody may have sent
    /// it: who must answer may do so still.
    pub(crate) fn doubted(
        mut self: Box<Self>,
        error: Error,
        message: &Message<'_>,
        ctx: &mut Context<'_>,
    ) -> Outcome {
        if self.refused.is_none() {
            ctx.event(Event::PrincipalRefused {
                ike: self.id,
                peer: self.peer.name.clone(),
                error: error.clone(),
            });
            self.peer_cookie = message.header.responder_cookie;
            self.refuse(&error, self.path, ctx);
            self.peer_cookie = 0;
            self.refused = Some(error);
        }
        Outcome::Discarded(self, Discard::UnexpectedPayloads)
    }

    /// Message 2 named who answers: we ask for a ticket to it.
    pub(crate) fn begin_context(
        mut self: Box<Self>,
        chosen: Chosen,
        claimed: Principal,
        ctx: &mut Context<'_>,
    ) -> Outcome {
        self.refused = None;
        let Some((own, _)) = gss::of(&self.peer) else {
            return Outcome::Failed(self, Error::Inexpressible);
        };
        let (own, target) = (Arc::clone(own), claimed.clone());
        self.expect_token(claimed, chosen.identity.unwrap_or_default());
        let step = GssStep::Initiate { own, target };
        self.ask(step, Next::Offer(chosen.suite, chosen.lifetime), ctx)
    }

    /// Both sides have said their names.
    pub(crate) fn expect_token(&mut self, claimed: Principal, identity: Vec<u8>) {
        let tickets = Tickets::new(&self.peer, claimed, identity);
        self.tickets = Some(Box::new(tickets));
    }

    /// Message 3 brought a ticket.
    pub(crate) fn accept_context(
        mut self: Box<Self>,
        round: Round,
        payloads: Vec<Payload>,
        token: Vec<u8>,
        ctx: &mut Context<'_>,
    ) -> Outcome {
        let Some((own, _)) = gss::of(&self.peer) else {
            return Outcome::Failed(self, Error::Inexpressible);
        };
        let own = Arc::clone(own);
        if let Err(error) = self.take_token(token.clone()) {
            return Outcome::Failed(self, error);
        }
        let step = GssStep::Accept { own, token };
        self.ask(step, Next::Answer(round, payloads), ctx)
    }

    /// Message 4 or a later one brought a token.
    pub(crate) fn continue_context(
        mut self: Box<Self>,
        round: Round,
        token: Vec<u8>,
        ctx: &mut Context<'_>,
    ) -> Outcome {
        if let Err(error) = self.take_token(token.clone()) {
            return Outcome::Failed(self, error);
        }
        self.ask(GssStep::Continue(token), Next::Go(round), ctx)
    }

    fn take_token(&mut self, token: Vec<u8>) -> Result<(), Error> {
        match &mut self.tickets {
            Some(tickets) => tickets.take(token),
            None => Err(Error::Inexpressible),
        }
    }

    /// Has a step taken. Nothing is sent again meanwhile: the peer waits for us.
    fn ask(mut self: Box<Self>, step: GssStep, next: Next, ctx: &mut Context<'_>) -> Outcome {
        let known = self.tickets.as_ref().and_then(|tickets| tickets.context);
        let context = known.or_else(|| ctx.contexts.begin(self.id, ctx.now));
        let Some(context) = context else {
            if matches!(next, Next::Offer(..)) {
                self.unusable = Some(Method::Kerberos);
            }
            return Outcome::Failed(self, Error::Limit("security contexts"));
        };
        if let Some(tickets) = &mut self.tickets {
            tickets.context = Some(context);
        }
        let ask = AskGss { context, step };
        ctx.outputs.push_back(Output::AskGss(Box::new(ask)));
        self.retransmit = None;
        self.state = State::Asking(Box::new(Asking {
            next,
            until: ctx.after(limits::GSS_WAIT),
        }));
        Outcome::Waits(self)
    }

    /// A step was taken, or failed.
    pub(crate) fn gss_answered(
        mut self: Box<Self>,
        answer: Result<GssAnswer, String>,
        ctx: &mut Context<'_>,
    ) -> Outcome {
        let state = std::mem::replace(&mut self.state, State::Over);
        let State::Asking(asking) = state else {
            self.state = state;
            return Outcome::Waits(self);
        };
        let first = asking.asked_first();
        let (octets, complete) = match answer.map_err(kerberos) {
            Ok(GssAnswer::Token { token, peer }) => match self.given(&token, peer.as_deref()) {
                Ok(()) => (token, true),
                Err(error) => return self.fail(error, ctx),
            },
            Ok(GssAnswer::Octets(octets)) => (octets, false),
            Err(error) => {
                self.unusable = first;
                return self.fail(error, ctx);
            }
        };
        match (asking.next, complete) {
            (Next::Offer(suite, lifetime), true) => {
                let token = Some(Payload::GssToken(octets));
                self.offer_ke(suite, lifetime, token, ctx)
            }
            (Next::Answer(round, payloads), true) => self.answer(round, payloads, octets, ctx),
            (Next::Go(mut round), true) => {
                round.token = octets;
                self.go_on(round, ctx)
            }
            (Next::Send(round), false) => self.say(round, Payload::Hash(octets), ctx),
            (Next::Check(round), false) => self.judge(round, &octets, ctx),
            _ => self.fail(kerberos("it gave something else".to_owned()), ctx),
        }
    }

    /// It comes to nothing, and the peer hears of it.
    fn fail(self: Box<Self>, error: Error, ctx: &mut Context<'_>) -> Outcome {
        self.refuse(&error, self.path, ctx);
        Outcome::Failed(self, error)
    }

    /// The context gave a token for the peer, or has no more, and perhaps says who the peer is.
    fn given(&mut self, token: &[u8], name: Option<&str>) -> Result<(), Error> {
        let peer = Arc::clone(&self.peer);
        let tickets = self.tickets.as_mut().ok_or(Error::Inexpressible)?;
        if let Some(name) = name {
            tickets.prove(&peer, name)?;
        }
        match token.is_empty() {
            false => tickets.give(token),
            true if tickets.is_proven() => Ok(()),
            true => Err(kerberos("it gave no token, and is not complete".to_owned())),
        }
    }

    /// Message 4.
    fn answer(
        mut self: Box<Self>,
        round: Round,
        mut payloads: Vec<Payload>,
        token: Vec<u8>,
        ctx: &mut Context<'_>,
    ) -> Outcome {
        // Behind KE and Nonce, as in message 3.
        payloads.insert(2.min(payloads.len()), Payload::GssToken(token));
        self.state = State::Round(Box::new(round));
        let bytes = message::clear(&self.header(false), &payloads);
        self.send(bytes, ctx);
        Outcome::Waits(self)
    }

    /// It is our turn: a token, if there is one, and otherwise the hash.
    fn go_on(self: Box<Self>, mut round: Round, ctx: &mut Context<'_>) -> Outcome {
        match std::mem::take(&mut round.token) {
            token if token.is_empty() => {
                let own = proof::own_id(&self.peer, Method::Kerberos, self.path.local.ip());
                let body = Payload::Identification(own).body().unwrap_or_default();
                let hash = self.hash(&round, self.role, &body);
                self.ask(
                    GssStep::Wrap(hash.as_bytes().to_vec()),
                    Next::Send(round),
                    ctx,
                )
            }
            token => self.say(round, Payload::GssToken(token), ctx),
        }
    }

    /// HASH_I or HASH_R, of a side that identifies itself with that body.
    fn hash(&self, round: &Round, role: Role, id: &[u8]) -> crypto::Secret {
        let tickets = self.tickets.as_ref();
        let more = tickets.map(|tickets| tickets.covered(role == self.role));
        let (seen, more) = (self.transcript(&round.exchanged), more.unwrap_or_default());
        match role {
            Role::Initiator => round.exchanged.keys.hash_i(&seen, id, &more),
            Role::Responder => round.exchanged.keys.hash_r(&seen, id, &more),
        }
    }

    /// Sends a token or the hash, with our identity before the first of them.
    fn say(
        mut self: Box<Self>,
        mut round: Round,
        payload: Payload,
        ctx: &mut Context<'_>,
    ) -> Outcome {
        let is_hash = matches!(payload, Payload::Hash(_));
        let mut payloads = Vec::new();
        if !std::mem::replace(&mut round.identified, true) {
            let own = proof::own_id(&self.peer, Method::Kerberos, self.path.local.ip());
            payloads.push(Payload::Identification(own));
        }
        payloads.push(payload);
        if is_hash && round.alone {
            let cookies = self.cookies();
            let number = u64::from_be_bytes;
            let pair = (number(cookies.initiator), number(cookies.responder));
            let contact = Notification::isakmp(pair, NotifyType::INITIAL_CONTACT, Vec::new());
            payloads.push(Payload::Notification(contact));
        }
        let (header, exchanged) = (self.header(true), &mut round.exchanged);
        let (bytes, iv) = message::seal(&exchanged.keys, &exchanged.iv, &header, &payloads);
        exchanged.iv = iv;
        round.hashed |= is_hash;
        if round.hashed && round.checked {
            let last = self.parts(bytes);
            for bytes in &last {
                ctx.transmit(&self.path, bytes.clone());
            }
            return self.conclude(round, Some(last), ctx);
        }
        self.state = State::Round(Box::new(round));
        self.send(bytes, ctx);
        Outcome::Waits(self)
    }

    /// Message 5, 6 or a later one.
    pub(crate) fn next_round(
        mut self: Box<Self>,
        message: &Message<'_>,
        back: Path,
        ctx: &mut Context<'_>,
    ) -> Outcome {
        let State::Round(round) = &self.state else {
            return Outcome::Discarded(self, Discard::UnexpectedExchange);
        };
        let opened = match message.open(&round.exchanged.keys, &round.exchanged.iv) {
            Ok(opened) => opened,
            Err(discard) => return Outcome::Discarded(self, discard),
        };
        let Ok(chain) = opened.chain() else {
            return self.unopened(back, ctx);
        };
        let said = said(&chain, round.said.is_some());
        let (Ok(said), Some(proof)) = (said, proof_of(&chain)) else {
            return Outcome::Discarded(self, Discard::UnexpectedPayloads);
        };
        let State::Round(mut round) = std::mem::replace(&mut self.state, State::Over) else {
            return Outcome::Discarded(self, Discard::UnexpectedExchange);
        };
        self.heard = Some(message.digest());
        round.exchanged.iv = opened.next;
        round.back = back;
        round.contact |= says_initial_contact(&chain);
        round.said = round.said.or(said);
        match proof {
            Said::Token(token) => self.continue_context(*round, token, ctx),
            Said::Hash(hash) => self.ask(GssStep::Unwrap(hash), Next::Check(*round), ctx),
        }
    }

    /// The peer's hash has been opened: it proves that nobody is in between.
    fn judge(mut self: Box<Self>, mut round: Round, hash: &[u8], ctx: &mut Context<'_>) -> Outcome {
        let proven = self
            .tickets
            .as_ref()
            .is_some_and(|tickets| tickets.is_proven());
        let Some((id, body)) = round.said.clone().filter(|_| proven) else {
            return self.fail(kerberos("the peer has not said who it is".to_owned()), ctx);
        };
        let other = match self.role {
            Role::Initiator => Role::Responder,
            Role::Responder => Role::Initiator,
        };
        if !is_hash(&self.hash(&round, other, &body), hash) {
            let why = "the peer's hash is of something else: somebody may be between us";
            return self.fail(kerberos(why.to_owned()), ctx);
        }
        let admitted = match self.role {
            Role::Initiator if self.peer.remote_id.accepts(&id) => Ok(()),
            Role::Initiator => Err(Error::NotAuthentic(NotAuthentic::Identity {
                expected: self.peer.remote_id.to_string(),
                said: id.to_string(),
            })),
            Role::Responder => self
                .find(&id, Method::Kerberos, round.back, ctx)
                .map(|peer| self.peer = peer),
        };
        if let Err(error) = admitted {
            return self.fail(error, ctx);
        }
        match self.role {
            Role::Initiator if self.path.nat.remote => self.path.remote = round.back.remote,
            Role::Initiator => {}
            // From port 4500 on, where it is behind a NAT, the peer is where this came from.
            Role::Responder => {
                self.path = Path {
                    nat: self.path.nat,
                    ..round.back
                };
            }
        }
        round.checked = true;
        match round.hashed {
            true => self.conclude(round, None, ctx),
            false => self.go_on(round, ctx),
        }
    }

    /// Both hashes are right. Who sent the last message may have to send it again.
    fn conclude(
        self: Box<Self>,
        round: Round,
        last: Option<Vec<Vec<u8>>>,
        ctx: &mut Context<'_>,
    ) -> Outcome {
        let Some((remote_id, _)) = round.said else {
            return Outcome::Failed(self, Error::Inexpressible);
        };
        if let Some(tickets) = &self.tickets {
            ctx.event(Event::PrincipalProven {
                ike: self.id,
                peer: self.peer.name.clone(),
                principal: tickets.claimed().to_string(),
            });
        }
        let concluded = last.zip(self.heard);
        let concluded = concluded.map(|(answer, digest)| Concluded { digest, answer });
        let proven = Proven {
            phase_1: round.exchanged.iv,
            remote_id,
            contact: round.contact,
            concluded,
        };
        self.establish(round.exchanged, proven, ctx)
    }
}

/// What a message says for its side.
enum Said {
    Token(Vec<u8>),
    Hash(Vec<u8>),
}

fn proof_of(chain: &Chain<'_>) -> Option<Said> {
    let mut hashes = chain.payloads.iter().filter_map(|one| match &one.payload {
        Payload::Hash(hash) => Some(hash),
        _ => None,
    });
    match (hashes.next(), hashes.next(), gss::token(chain)) {
        (Some(hash), None, None) => Some(Said::Hash(hash.clone())),
        (None, _, Some(token)) => Some(Said::Token(token)),
        _ => None,
    }
}

/// The identity in a message: in the first one of a side, and in no other.
fn said(chain: &Chain<'_>, again: bool) -> Result<Option<(Identity, Vec<u8>)>, Discard> {
    match (proof::identity(chain), again) {
        (Ok(said), false) => Ok(Some((said.id, said.body.to_vec()))),
        (Err(_), true) => Ok(None),
        _ => Err(Discard::UnexpectedPayloads),
    }
}
