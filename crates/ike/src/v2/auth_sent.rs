//! An initiator's second state: IKE_AUTH was sent (RFC 7296 sections 1.2 and 2.15).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crypto::{Group, Secret};
use policy::identity::Identity;
use policy::pad::Peer;
use policy::ppk::Ppk;
use wire::ike::{
    Decoded, ExchangeType, Flags, Header, Identification, Notify, NotifyType, Payload,
};

use crate::command::Acquire;
use crate::config::Config;
use crate::context::Context;
use crate::context::acquire_failed;
use crate::discard::Discard;
use crate::error::{Error, Misbehaved, NotAuthentic, PpkRefusal};
use crate::id::{IkeSaId, Role};
use crate::output::Outbound;
use crate::pair::Agreed;
use crate::pair::PairKeys;
use crate::path::{Nat, Path};
use crate::retransmit::Retransmit;
use crate::v2::auth::Signed;
use crate::v2::child::{ChildOffer, Within};
use crate::v2::cloning;
use crate::v2::contents::Contents;
use crate::v2::crash;
use crate::v2::established::note_window;
use crate::v2::fragments::{self, Fragments};
use crate::v2::install::notify;
use crate::v2::int_auth::IntAuth;
use crate::v2::keys::{Keys, Nonces, Spis};
use crate::v2::message::{self, Opened, Sealed};
use crate::v2::mobike;
use crate::v2::ppk;
use crate::v2::proof::{self, Proof, Proven};
use crate::v2::redirect::{self, Before, Elsewhere, Origin, Redirection};
use crate::v2::resume;
use crate::v2::sa::{Birth, Effect, Sa, Task};
use crate::v2::start::{announce, identification, own_identity};
use crate::v2::status::{self, Checked, Inquiry, Waiting};
use crate::v2::sync;
use crate::v2::ticket::Held;

/// What a handshake is about, in every state.
pub(crate) struct Purpose {
    pub(crate) id: IkeSaId,
    pub(crate) peer: Arc<Peer>,
    pub(crate) path: Path,
    /// What is to be protected; the first becomes the child of IKE_AUTH.
    pub(crate) pending: Vec<Acquire>,
    pub(crate) origin: Origin,
    /// Whether we said that we go where the peer sends us.
    pub(crate) follows: bool,
}

impl Purpose {
    /// The gateway that the policy names, if this is another.
    pub(crate) fn home(&self) -> Option<IpAddr> {
        self.origin.before.map(|before| before.home)
    }

    /// Takes out what is to be protected.
    pub(crate) fn take_pending(&mut self) -> Vec<Acquire> {
        std::mem::take(&mut self.pending)
    }

    /// What is to be protected begins at another gateway.
    pub(crate) fn elsewhere(&self, to: IpAddr, wanted: Vec<Acquire>) -> Elsewhere {
        let last = self.path.remote.ip();
        let home = self.home().unwrap_or(last);
        Elsewhere {
            peer: self.peer.name.clone(),
            local: self.path.local.ip(),
            to,
            origin: Origin {
                before: Some(Before { home, last }),
                ..self.origin
            },
            wanted,
        }
    }
}

/// What becomes of a handshake.
pub(crate) enum Step<Next> {
    /// It goes on.
    Next(Box<Next>),
    /// It failed; this was to be protected.
    Failed { error: Error, pending: Vec<Acquire> },
}

impl<Next> Step<Next> {
    /// The same, where what comes next is seen as another.
    pub(crate) fn map<Other>(self, see: impl FnOnce(Next) -> Other) -> Step<Other> {
        match self {
            Step::Next(next) => Step::Next(Box::new(see(*next))),
            Step::Failed { error, pending } => Step::Failed { error, pending },
        }
    }
}

/// An answer that waits, and for what.
pub(crate) type Unsettled = (Box<AuthSent>, Box<Inquiry>);

/// What IKE_SA_INIT gave.
pub(crate) struct Begun {
    pub(crate) purpose: Purpose,
    pub(crate) peer_spi: u64,
    pub(crate) keys: Keys,
    pub(crate) fragments: Fragments,
    /// IKE_AUTH asks for no child.
    pub(crate) childless: bool,
    /// The post-quantum pre-shared key that both may use (RFC 8784).
    pub(crate) ppk: Option<Ppk>,
    /// We hold no other IKE SA with the peer.
    pub(crate) alone: bool,
    /// The first message was sent without a cookie and with one: the peer may have answered both,
    /// and then we cannot know which of them it expects AUTH to sign.
    pub(crate) doubled: bool,
    /// Both first messages, which AUTH signs.
    pub(crate) own_message: Vec<u8>,
    pub(crate) peer_message: Vec<u8>,
    /// The additional key exchanges to come, and what AUTH covers of those that were.
    pub(crate) additional: VecDeque<Group>,
    pub(crate) int_auth: IntAuth,
    /// The message id of the next request, or of the one in flight.
    pub(crate) message_id: u32,
    pub(crate) own_nonce: Vec<u8>,
    pub(crate) peer_nonce: Vec<u8>,
    /// The ticket that the peer took.
    pub(crate) resumed: Option<Arc<Held>>,
}

/// IKE_AUTH was sent.
pub(crate) struct AuthSent {
    pub(crate) retransmit: Retransmit,
    begun: Begun,
    /// What IKE_AUTH asks for, unless the IKE SA begins without a child.
    offer: Option<ChildOffer>,
    request: Sealed,
    /// The peer uses the post-quantum pre-shared key.
    uses_ppk: bool,
    /// The answer, which waits for what OCSP says of the peer's certificate.
    pub(crate) held: Option<Waiting>,
}

impl AuthSent {
    /// Proves who we are, and asks for the first child.
    pub(crate) fn begin(
        mut begun: Begun,
        ctx: &mut Context<'_>,
    ) -> Result<Self, (Error, Vec<Acquire>)> {
        if begun.purpose.pending.is_empty() {
            return Err((Error::NoSuchPeer, Vec::new()));
        }
        let Purpose { peer, path, .. } = &begun.purpose;
        let own_id = identification(&peer.local_id, path.local.ip());
        let (proven, ppk) = match begun.prove(&own_id) {
            Ok(both) => both,
            Err(error) => return Err((error, begun.purpose.pending)),
        };
        let offer = (!begun.childless).then(|| {
            let acquire = begun.purpose.pending.remove(0);
            ChildOffer::new(acquire, Within::IkeAuth, None, ctx)
        });
        let Purpose { peer, path, .. } = &begun.purpose;
        let mut payloads = vec![Payload::IdInitiator(own_id)];
        payloads.extend(proven.certificates);
        payloads.extend(begun.own_status(ctx.config));
        payloads.extend(begun.alone.then(|| notify(NotifyType::INITIAL_CONTACT)));
        if begun.resumed.is_none() {
            payloads.extend(proof::request(&[peer]));
        }
        // Whoever may answer is not asked to be somebody.
        if peer.remote_id != Identity::Any {
            payloads.push(Payload::IdResponder(identification(
                &peer.remote_id,
                path.remote.ip(),
            )));
        }
        payloads.push(proven.auth);
        payloads.extend(ppk);
        payloads.extend(offer.iter().flat_map(ChildOffer::payloads));
        payloads.extend(resume::request(peer));
        payloads.extend(sync::offer(peer));
        payloads.extend(mobike::offer(peer));
        payloads.extend(cloning::offer(peer));
        payloads.extend(crash::give(ctx.config, peer, begun.spis(), path));
        let header = begun.header(ExchangeType::IKE_AUTH, begun.message_id);
        let longest = begun.longest();
        let request = message::protect(&mut begun.keys, &header, &payloads, longest);
        let request = request.unwrap_or_default();
        ctx.transmit_all(&begun.purpose.path, &request);
        let retransmit = Retransmit::start(&begun.purpose.peer.ike.retransmission, ctx.now);
        Ok(AuthSent {
            retransmit,
            begun,
            offer,
            request,
            uses_ppk: false,
            held: None,
        })
    }

    pub(crate) fn begun(&self) -> &Begun {
        &self.begun
    }

    pub(crate) fn purpose_mut(&mut self) -> &mut Purpose {
        &mut self.begun.purpose
    }

    /// Whether the peer took a ticket.
    pub(crate) fn resumes(&self) -> bool {
        self.begun.resumed.is_some()
    }

    /// How this handshake is begun again, once, if the peer does not believe our AUTH.
    pub(crate) fn again(&self) -> Option<Origin> {
        let origin = self.begun.purpose.origin;
        let may = self.begun.doubled && !origin.again;
        may.then_some(Origin {
            again: true,
            ..origin
        })
    }

    /// Whether this handshake already asks for the same.
    pub(crate) fn asks_for(&self, acquire: &Acquire) -> bool {
        self.offer.as_ref().is_some_and(|offer| {
            let offered = &offer.acquire;
            offered.rule == acquire.rule && offered.selectors == acquire.selectors
        })
    }

    /// Looks at a datagram; nothing changes but what is being put together of fragments: `None`
    /// while some are missing.
    ///
    /// # Errors
    /// It is not the authenticated answer to this request.
    pub(crate) fn check(&mut self, decoded: &Decoded<'_>) -> Result<Option<Opened>, Discard> {
        if self.held.is_some() {
            return Err(Discard::StatusAwaited);
        }
        self.begun.check(decoded, ExchangeType::IKE_AUTH)
    }

    /// The peer answered: an IKE SA comes to be, or not.
    ///
    /// # Errors
    /// Somebody must be asked first whether the peer's certificate still holds.
    pub(crate) fn advance(
        mut self,
        opened: &Opened,
        ctx: &mut Context<'_>,
    ) -> Result<Step<Sa>, Unsettled> {
        let contents = match &opened.payloads {
            Ok(payloads) => Contents::of(payloads).map_err(Error::Misbehaved),
            Err(why) => Err(Error::Misbehaved(Misbehaved::Malformed(*why))),
        };
        let proven = contents.and_then(|contents| Ok((self.verify(&contents, ctx)?, contents)));
        match proven {
            Ok((Checked::Proven(proven), contents)) => {
                let sa = self.establish(proven, &contents, ctx);
                Ok(Step::Next(Box::new(sa)))
            }
            Ok((Checked::Unsettled(inquiry), _)) => Err((Box::new(self), inquiry)),
            Err(error) => {
                if matches!(error, Error::NotAuthentic(_)) {
                    self.complain(ctx);
                }
                Ok(self.fail(error, ctx))
            }
        }
    }

    /// Who the peer proves to be, and until when. Here the keys become what they stay, also when
    /// this is asked again.
    fn verify(
        &mut self,
        contents: &Contents<'_>,
        ctx: &Context<'_>,
    ) -> Result<Checked<(Identity, Option<u64>)>, Error> {
        if let (false, Some(error)) = (contents.has_auth(), contents.error()) {
            return Err(Error::Refused(error.kind));
        }
        let peer = &self.begun.purpose.peer;
        let id = contents.id_responder().map_err(Error::Misbehaved)?;
        let said = Identity::from_wire(id.kind, &id.data);
        let before = self.begun.resumed.as_ref().map(|held| &held.remote_id);
        let expected = before.filter(|id| **id != said).unwrap_or(&peer.remote_id);
        if !expected.accepts(&said) {
            let (expected, said) = (expected.to_string(), said.to_string());
            return Err(Error::NotAuthentic(NotAuthentic::Identity {
                expected,
                said,
            }));
        }
        if let Some(ppk) = self.begun.ppk.take() {
            let used = contents.notify(NotifyType::PPK_IDENTITY).is_some();
            if !used && ppk.required {
                let why = PpkRefusal::NotUsed;
                return Err(Error::NotAuthentic(NotAuthentic::Ppk(why)));
            }
            if used {
                self.begun.keys = self.begun.keys.mixed(&ppk.secret);
                self.uses_ppk = true;
            }
        }
        let signed = Signed {
            message: &self.begun.peer_message,
            nonce: &self.begun.own_nonce,
            id,
            int_auth: &self.begun.int_auth.octets(self.begun.message_id),
            sk_p: self.begun.keys.sk_p(false),
        };
        let known = (ctx.config.seconds(ctx.now), ctx.statuses);
        Ok(match self.begun.proof().check(&signed, contents, known)? {
            Checked::Proven(until) => Checked::Proven((said, until)),
            Checked::Unsettled(inquiry) => Checked::Unsettled(inquiry),
        })
    }

    /// Tells a peer that it is not who it must be; it holds an IKE SA already (section 2.21.2).
    fn complain(&mut self, ctx: &mut Context<'_>) {
        let next = self.begun.message_id + 1;
        let header = self.begun.header(ExchangeType::INFORMATIONAL, next);
        let payloads = [notify(NotifyType::AUTHENTICATION_FAILED)];
        if let Some(bytes) = message::protect(&mut self.begun.keys, &header, &payloads, None) {
            ctx.transmit_all(&self.begun.purpose.path, &bytes);
        }
    }

    fn establish(
        self,
        (remote_id, until): (Identity, Option<u64>),
        contents: &Contents<'_>,
        ctx: &mut Context<'_>,
    ) -> Sa {
        let Begun {
            mut purpose,
            peer_spi,
            keys,
            fragments,
            message_id,
            own_nonce,
            peer_nonce,
            resumed,
            ..
        } = self.begun;
        let local_id = own_identity(&purpose.peer.local_id, purpose.path.local.ip());
        let redirection = Redirection {
            follows: purpose.follows,
            home: purpose.home(),
            replaces: purpose.origin.replaces,
            ..Redirection::default()
        };
        let birth = Birth {
            id: purpose.id,
            peer_spi,
            role: Role::Initiator,
            peer: purpose.peer.clone(),
            remote_id,
            local_id,
            path: purpose.path,
            keys,
            requests: (message_id + 1, 0),
            fragmentation: fragments.agreed,
            ppk: self.uses_ppk,
        };
        let mut sa = Sa::new(birth, ctx);
        sa.redirection = redirection;
        announce(&sa, ctx);
        if resumed.is_some() {
            resume::announce(&sa, ctx);
        }
        resume::keep(&mut sa, contents, until, ctx);
        note_window(&mut sa, contents);
        crash::keep(&mut sa, contents);
        sync::agree(&mut sa, contents);
        mobike::agree(&mut sa, contents);
        cloning::agree(&mut sa, contents);
        let nonces = Nonces {
            initiator: &own_nonce,
            responder: &peer_nonce,
        };
        let told = contents.notify(NotifyType::REDIRECT);
        if let Some(told) = told.filter(|_| purpose.follows) {
            let offered = self.offer.map(|offer| {
                ctx.registry.release_esp(offer.inbound_spi);
                offer.acquire
            });
            let mut wanted = purpose.take_pending();
            wanted.splice(0..0, offered);
            sent_on(&mut sa, &purpose, told, wanted, ctx);
            return sa;
        }
        if let Some(offer) = self.offer {
            first_child(&mut sa, offer, contents, nonces, ctx);
        }
        for acquire in purpose.pending {
            sa.queue(Task::CreateChild {
                acquire: Box::new(acquire),
                tries: 0,
            });
        }
        sa
    }

    fn fail<Next>(self, error: Error, ctx: &mut Context<'_>) -> Step<Next> {
        Step::Failed {
            error,
            pending: self.into_pending(ctx),
        }
    }

    /// Gives up, and gives back what was to be protected.
    pub(crate) fn into_pending(self, ctx: &mut Context<'_>) -> Vec<Acquire> {
        let offered = self.offer.map(|offer| {
            ctx.registry.release_esp(offer.inbound_spi);
            offer.acquire
        });
        let pending = self.begun.purpose.pending;
        offered.into_iter().chain(pending).collect()
    }

    /// The request is due again; the error is the end.
    pub(crate) fn fire(&mut self, ctx: &mut Context<'_>) -> Result<(), Error> {
        let tries = self.retransmit.tries();
        let purpose = &self.begun.purpose;
        if !self
            .retransmit
            .again(&purpose.peer.ike.retransmission, ctx.now)
        {
            return Err(Error::Timeout {
                exchange: ExchangeType::IKE_AUTH,
                tries,
            });
        }
        if ctx.sends_again(purpose.id, &purpose.path) {
            ctx.transmit_all(&purpose.path, &self.request);
        }
        Ok(())
    }

    /// A connection stands in the place of one that broke.
    pub(crate) fn reconnected(&mut self, local: SocketAddr, ctx: &mut Context<'_>) {
        let path = &mut self.begun.purpose.path;
        if path.connect(local) {
            ctx.transmit_all(path, &self.request);
        }
    }
}

/// The peer has proved who it is, and gives no child but sends us on: its IKE SA is of no use
/// (RFC 5685 section 6).
fn sent_on(
    sa: &mut Sa,
    purpose: &Purpose,
    told: &Notify,
    wanted: Vec<Acquire>,
    ctx: &mut Context<'_>,
) {
    let (local, from) = (purpose.path.local.ip(), purpose.path.remote.ip());
    match redirect::judge(&purpose.peer, (local, from), told) {
        Ok(to) => {
            let moved = purpose.elsewhere(to, wanted);
            sa.effects.push(Effect::Elsewhere(moved));
        }
        Err(why) => {
            let error = Error::NotFollowed(why.1);
            redirect::not_followed(&purpose.peer.name, from, why, ctx);
            for acquire in wanted {
                acquire_failed(acquire, error.clone(), ctx);
            }
        }
    }
    sa.leave_behind();
}

/// The child of IKE_AUTH comes to be, or not.
fn first_child(
    sa: &mut Sa,
    offer: ChildOffer,
    contents: &Contents<'_>,
    nonces: Nonces<'_>,
    ctx: &mut Context<'_>,
) {
    let (acquire, inbound_spi) = (offer.acquire.clone(), offer.inbound_spi);
    match (contents.sa(), contents.error()) {
        (Err(_), Some(error)) => {
            ctx.registry.release_esp(inbound_spi);
            acquire_failed(acquire, Error::Refused(error.kind), ctx);
        }
        _ => match accept(offer, contents, sa.path.nat, ctx) {
            Ok((agreed, _)) => {
                let (outbound, inbound) = sa.keys.child(agreed.suite, &[], nonces);
                let keys = PairKeys { inbound, outbound };
                sa.install(agreed, keys, Outbound::Now, None, ctx);
            }
            Err(error) => {
                ctx.registry.release_esp(inbound_spi);
                sa.queue(Task::DisownChild { inbound_spi });
                acquire_failed(acquire, error, ctx);
            }
        },
    }
}

/// Takes the answer to our offer, unless the policy has changed since we made it.
fn accept(
    offer: ChildOffer,
    contents: &Contents<'_>,
    nat: Nat,
    ctx: &Context<'_>,
) -> Result<(Agreed, Vec<Secret>), Error> {
    match offer.acquire.is_wanted(&ctx.config.rules) {
        true => offer.accept(contents, nat),
        false => Err(Error::PolicyChanged),
    }
}

impl Begun {
    /// Our proof, and what is said of a post-quantum pre-shared key: which it is, and what the
    /// proof would be without, unless the policy demands it.
    fn prove(&self, own_id: &Identification) -> Result<(Proven, Vec<Payload>), Error> {
        let int_auth = self.int_auth.octets(self.message_id);
        let prove = |keys: &Keys| {
            let signed = Signed {
                message: &self.own_message,
                nonce: &self.peer_nonce,
                id: own_id,
                int_auth: &int_auth,
                sk_p: keys.sk_p(true),
            };
            self.proof().prove(&signed, &self.peer_message)
        };
        let Some(ppk) = &self.ppk else {
            return Ok((prove(&self.keys)?, Vec::new()));
        };
        let proven = prove(&self.keys.mixed(&ppk.secret))?;
        let mut said = vec![ppk::identity(ppk)];
        if !ppk.required {
            said.extend(ppk::without(prove(&self.keys)?.auth));
        }
        Ok((proven, said))
    }

    /// What a responder says of our certificate, if the peer asks for it. Who resumes has proved
    /// itself before.
    fn own_status(&self, config: &Config) -> Option<Payload> {
        let decoded = wire::ike::decode(&self.peer_message).ok()?;
        let contents = Contents::of(&decoded.payloads).ok()?;
        let staple = status::staple(&self.purpose.peer, config, &contents);
        staple.filter(|_| self.resumed.is_none())
    }

    fn proof(&self) -> Proof<'_> {
        Proof {
            peer: &self.purpose.peer,
            prf: self.keys.suite().prf,
            resumed: self.resumed.is_some(),
        }
    }

    pub(crate) fn spis(&self) -> Spis {
        Spis {
            initiator: self.purpose.id.0,
            responder: self.peer_spi,
        }
    }

    pub(crate) fn nonces(&self) -> Nonces<'_> {
        Nonces {
            initiator: &self.own_nonce,
            responder: &self.peer_nonce,
        }
    }

    /// Looks at a datagram that may answer the request in flight.
    ///
    /// # Errors
    /// It does not, or the peer did not send it.
    pub(crate) fn check(
        &mut self,
        decoded: &Decoded<'_>,
        exchange: ExchangeType,
    ) -> Result<Option<Opened>, Discard> {
        let header = &decoded.header;
        if header.exchange != exchange {
            return Err(Discard::UnexpectedExchange);
        }
        if header.responder_spi != self.peer_spi {
            return Err(Discard::WrongPeerSpi);
        }
        if !header.flags.response || header.flags.initiator {
            return Err(Discard::WrongDirection);
        }
        if header.message_id != self.message_id {
            return Err(Discard::MessageId);
        }
        message::open(&self.keys, &mut self.fragments, decoded)
    }

    /// The longest message that is sent whole; `None` for any.
    pub(crate) fn longest(&self) -> Option<usize> {
        let Purpose { peer, path, .. } = &self.purpose;
        fragments::limit(&self.fragments, peer.ike.fragment_size, path)
    }

    pub(crate) fn header(&self, exchange: ExchangeType, message_id: u32) -> Header {
        let flags = Flags {
            initiator: true,
            version: false,
            response: false,
        };
        let (ours, theirs) = (self.purpose.id.0, self.peer_spi);
        Header::new(ours, theirs, exchange, flags, message_id)
    }
}
