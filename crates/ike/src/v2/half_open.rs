//! The handshake of a responder: a half-open IKE SA between IKE_SA_INIT and IKE_AUTH (RFC 7296
//! sections 1.2, 2.4 and 2.15).

use std::sync::Arc;
use std::time::Instant;

use crypto::{DhKeyPair, Secret};
use policy::identity::Identity;
use policy::pad::{NoPeer, Peer};
use policy::proposal::IkeSuite;
use wire::ike::{
    Decoded, ExchangeType, FirstRequest, Flags, Header, Identification, NotifyType, Payload,
    PayloadType, first_request,
};

use crate::context::Context;
use crate::discard::Discard;
use crate::error::{Error, Incompatible, Misbehaved, NotAuthentic};
use crate::event::Event;
use crate::id::{IkeSaId, Role};
use crate::limits;
use crate::output::Outbound;
use crate::pair::PairKeys;
use crate::path::Path;
use crate::v2::auth::Signed;
use crate::v2::child::{self, Refusal, Within};
use crate::v2::cloning;
use crate::v2::contents::Contents;
use crate::v2::crash;
use crate::v2::established::note_window;
use crate::v2::fragments::{self, Fragments};
use crate::v2::install::{error_payload, notify};
use crate::v2::keys::{Keys, Nonces, Spis};
use crate::v2::message::{self, Opened, Sealed};
use crate::v2::mobike;
use crate::v2::ppk;
use crate::v2::proof::{self, Proof};
use crate::v2::proposal;
use crate::v2::redirect::{self, Heard};
use crate::v2::resume::{self, Shown};
use crate::v2::rounds::{Between, Rounds};
use crate::v2::sa::{Birth, Sa};
use crate::v2::start::{announce, identification, own_identity};
use crate::v2::status::{self, Checked, Inquiry, Waiting};
use crate::v2::sync;

/// The Diffie-Hellman exchange is finished when IKE_AUTH arrives and not before, so that a flood
/// of first messages costs half as much.
pub(crate) enum Secrets {
    Pending {
        dh: DhKeyPair,
        public: Vec<u8>,
    },
    /// Of a key encapsulation, which has no second half.
    Shared(Secret),
    /// SK_d of the IKE SA that is resumed.
    Ticket(Secret),
    Ready(Keys),
    /// The public value is not one of its group.
    Unusable,
}

/// IKE_SA_INIT was answered.
pub(crate) struct HalfOpen {
    pub(crate) id: IkeSaId,
    pub(crate) peer_spi: u64,
    pub(crate) path: Path,
    pub(crate) suite: IkeSuite,
    pub(crate) until: Instant,
    pub(crate) birth: u64,
    /// Both first messages, which AUTH signs.
    pub(crate) request: Vec<u8>,
    pub(crate) response: Vec<u8>,
    pub(crate) initiator_nonce: Vec<u8>,
    pub(crate) responder_nonce: Vec<u8>,
    pub(crate) secret: Secrets,
    /// The ticket that the initiator showed.
    pub(crate) shown: Option<Shown>,
    pub(crate) rounds: Rounds,
    /// Both know post-quantum pre-shared keys.
    pub(crate) ppk: bool,
    pub(crate) fragments: Fragments,
    /// As configured for the peer of this address.
    pub(crate) fragment_size: Option<u16>,
    /// IKE_AUTH, which waits for what OCSP says of the peer's certificate.
    pub(crate) held: Option<Waiting>,
    /// What the initiator said of redirection.
    pub(crate) heard: Heard,
}

/// An authentic message of the exchange that is due.
pub(crate) enum Due {
    /// A fragment of a message of which others are missing.
    Part,
    /// The last request again, with its answer.
    Repeated(Sealed),
    /// IKE_INTERMEDIATE.
    Intermediate(Opened),
    /// IKE_AUTH.
    Auth(Opened),
}

/// What became of IKE_AUTH.
pub(crate) enum Outcome {
    /// An IKE SA. The flag: the peer says that it holds no other with us.
    Established(Box<Sa>, bool),
    /// Somebody must be asked first whether the peer's certificate still holds.
    Unsettled(Box<HalfOpen>, Box<Inquiry>),
    /// None. The answer is given again if it is asked for again.
    Refused {
        error: Error,
        digest: [u8; 32],
        answer: Sealed,
    },
}

impl HalfOpen {
    /// Whether this is the request that was answered, with or without a cookie.
    pub(crate) fn is_repeated(&self, request: &FirstRequest<'_>) -> bool {
        first_request(&self.request).is_some_and(|answered| answered.asks_the_same(request))
    }

    /// The answer again, for whom it was given.
    pub(crate) fn repeated(&self) -> (Path, Vec<u8>) {
        (self.path, self.response.clone())
    }

    /// The initiator was asked for a cookie, by an answer to an older copy of its request, and has
    /// returned it: AUTH will sign what it sent last.
    pub(crate) fn returned_cookie(&mut self, request: &FirstRequest<'_>) {
        self.request = request.octets.to_vec();
    }

    /// Finishes the Diffie-Hellman exchange, once: what a message holds decides nothing here.
    fn unlock(&mut self) {
        if !matches!(self.secret, Secrets::Ready(_) | Secrets::Unusable) {
            let pending = std::mem::replace(&mut self.secret, Secrets::Unusable);
            self.secret = self.finish(pending);
        }
    }

    fn spis(&self) -> Spis {
        Spis {
            initiator: self.peer_spi,
            responder: self.id.0,
        }
    }

    fn nonces(&self) -> Nonces<'_> {
        Nonces {
            initiator: &self.initiator_nonce,
            responder: &self.responder_nonce,
        }
    }

    fn finish(&self, secrets: Secrets) -> Secrets {
        let (spis, nonces) = (self.spis(), self.nonces());
        match secrets {
            Secrets::Pending { dh, public } => match dh.agree(&public) {
                Ok(shared) => Secrets::Ready(Keys::initial(self.suite, &shared, nonces, spis)),
                Err(_) => Secrets::Unusable,
            },
            Secrets::Shared(shared) => {
                Secrets::Ready(Keys::initial(self.suite, &shared, nonces, spis))
            }
            Secrets::Ticket(sk_d) => Secrets::Ready(Keys::resumed(self.suite, &sk_d, nonces, spis)),
            other => other,
        }
    }

    /// Looks at a datagram; nothing changes but that the keys are computed, and what is being put
    /// together of fragments.
    ///
    /// # Errors
    /// It is not the request of this handshake that is due.
    pub(crate) fn check(&mut self, decoded: &Decoded<'_>) -> Result<Due, Discard> {
        let header = &decoded.header;
        if header.initiator_spi != self.peer_spi {
            return Err(Discard::WrongPeerSpi);
        }
        if header.flags.response || !header.flags.initiator {
            return Err(Discard::WrongDirection);
        }
        if let Some(answer) = self.rounds.again(decoded)? {
            return Ok(Due::Repeated(answer.clone()));
        }
        if self.held.is_some() {
            return Err(Discard::StatusAwaited);
        }
        let exchange = self.rounds.exchange();
        if header.exchange != exchange {
            return Err(Discard::UnexpectedExchange);
        }
        if header.message_id != self.rounds.message_id() {
            return Err(Discard::MessageId);
        }
        if decoded.encrypted.is_none() {
            return Err(Discard::NotEncrypted);
        }
        let intermediate = exchange == ExchangeType::IKE_INTERMEDIATE;
        if intermediate && !decoded.payloads.is_empty() {
            return Err(Discard::UnexpectedPayloads);
        }
        self.unlock();
        let Secrets::Ready(keys) = &self.secret else {
            return Err(Discard::KeyExchange);
        };
        let opened = message::open(keys, &mut self.fragments, decoded)?;
        Ok(opened.map_or(Due::Part, |opened| match intermediate {
            true => Due::Intermediate(opened),
            false => Due::Auth(opened),
        }))
    }

    /// Answers another key exchange before IKE_AUTH; in the place of an answer, how the handshake
    /// ends.
    pub(crate) fn intermediate(
        &mut self,
        header: &Header,
        opened: &Opened,
        back: Path,
        ctx: &mut Context<'_>,
    ) -> Option<Outcome> {
        self.path = back;
        let response = self.header();
        let Secrets::Ready(keys) = &mut self.secret else {
            return None;
        };
        let between = Between {
            nonces: Nonces {
                initiator: &self.initiator_nonce,
                responder: &self.responder_nonce,
            },
            spis: Spis {
                initiator: self.peer_spi,
                responder: self.id.0,
            },
            longest: fragments::limit(&self.fragments, self.fragment_size, &self.path),
        };
        let request = (header, opened);
        match self.rounds.answer(request, &response, keys, &between, ctx) {
            Ok(answer) => {
                ctx.transmit_all(&self.path, &answer);
                None
            }
            Err(error) => Some(refused(
                keys,
                &response,
                &self.path,
                error,
                opened.digest,
                ctx,
            )),
        }
    }

    /// The peer proves who it is, or not.
    pub(crate) fn advance(
        mut self,
        opened: &Opened,
        found: Found,
        back: Path,
        ctx: &mut Context<'_>,
    ) -> Outcome {
        self.path = back;
        let digest = opened.digest;
        let contents = match &opened.payloads {
            Ok(payloads) => Contents::of(payloads).map_err(Error::Misbehaved),
            Err(why) => Err(Error::Misbehaved(Misbehaved::Malformed(*why))),
        };
        let Secrets::Ready(mut keys) = std::mem::replace(&mut self.secret, Secrets::Unusable)
        else {
            let error = Error::Misbehaved(Misbehaved::KeyExchange);
            return Outcome::Refused {
                error,
                digest,
                answer: Vec::new(),
            };
        };
        let proven = contents
            .and_then(|contents| Ok((self.verify(&keys, &contents, found, ctx)?, contents)));
        match proven {
            Ok((Checked::Proven(proven), contents)) => {
                self.establish(keys, proven, &contents, digest, ctx)
            }
            Ok((Checked::Unsettled(inquiry), _)) => {
                self.secret = Secrets::Ready(keys);
                Outcome::Unsettled(Box::new(self), inquiry)
            }
            Err(error) => refused(&mut keys, &self.header(), &self.path, error, digest, ctx),
        }
    }

    fn header(&self) -> Header {
        let flags = Flags {
            initiator: false,
            version: false,
            response: true,
        };
        let (exchange, message_id) = (self.rounds.exchange(), self.rounds.message_id());
        Header::new(self.peer_spi, self.id.0, exchange, flags, message_id)
    }

    /// Who the peer says it is, and whom it wants to talk to.
    pub(crate) fn claimed(&self, opened: &Opened) -> Option<Claimed> {
        let contents = Contents::of(opened.payloads.as_ref().ok()?).ok()?;
        let identity = |id: &Identification| Identity::from_wire(id.kind, &id.data);
        Some(Claimed {
            remote: identity(contents.id_initiator().ok()?),
            local: contents.optional_id_responder().map(identity),
        })
    }

    /// Checks the peer's AUTH.
    fn verify(
        &self,
        keys: &Keys,
        contents: &Contents<'_>,
        found: Found,
        ctx: &Context<'_>,
    ) -> Result<Checked<Proven>, Error> {
        let id = contents.id_initiator().map_err(Error::Misbehaved)?;
        let remote_id = Identity::from_wire(id.kind, &id.data);
        let not_authentic = Error::NotAuthentic;
        let missing = Error::Misbehaved(Misbehaved::Payload(PayloadType::ID_INITIATOR));
        let found = found.ok_or(missing)?;
        let peer = found.map_err(|why| not_authentic(NotAuthentic::Unknown(why)))?;
        // A peer that wants another method (EAP) sends no AUTH at first.
        let ours = peer.auth.remote.word();
        let other = NotAuthentic::Method { theirs: 0, ours };
        contents.auth().map_err(|_| not_authentic(other))?;
        let (mixed, without) = match self.judge_ppk(&peer, keys, contents)? {
            ppk::Verdict::Mixed(keys) => (Some(keys), None),
            ppk::Verdict::Plain(auth) => (None, auth),
        };
        let contents = match &without {
            Some(auth) => &contents.with_auth(auth),
            None => contents,
        };
        let signed = Signed {
            message: &self.request,
            nonce: &self.responder_nonce,
            id,
            int_auth: &self.int_auth(),
            sk_p: mixed.as_ref().unwrap_or(keys).sk_p(true),
        };
        let known = (ctx.config.seconds(ctx.now), ctx.statuses);
        let until = match self.proof(&peer).check(&signed, contents, known)? {
            Checked::Proven(until) => until,
            Checked::Unsettled(inquiry) => return Ok(Checked::Unsettled(inquiry)),
        };
        self.permits(&peer)?;
        if let Some(shown) = &self.shown {
            let ours = own_identity(&peer.local_id, self.path.local.ip());
            shown.fits(&peer, &remote_id, &ours)?;
        }
        Ok(Checked::Proven(Proven {
            peer,
            remote_id,
            until,
            mixed,
        }))
    }

    /// Who resumes has mixed the key in already.
    fn judge_ppk(
        &self,
        peer: &Peer,
        keys: &Keys,
        contents: &Contents<'_>,
    ) -> Result<ppk::Verdict, Error> {
        match self.shown {
            Some(_) => Ok(ppk::Verdict::Plain(None)),
            None => ppk::judge(self.ppk, peer, keys, contents),
        }
    }

    fn proof<'a>(&self, peer: &'a Peer) -> Proof<'a> {
        Proof {
            peer,
            prf: self.suite.prf,
            resumed: self.shown.is_some(),
        }
    }

    /// IKE_SA_INIT was answered for the address; the identity may have stricter proposals.
    fn permits(&self, peer: &Peer) -> Result<(), Error> {
        let ours = proposal::offer_ike(&peer.ike.proposals, None);
        let theirs = proposal::offer_ike(&[self.suite.into()], None);
        let choice = proposal::choose::<IkeSuite>(&ours, &theirs, None);
        choice
            .map(drop)
            .map_err(|why| Error::Incompatible(Incompatible::Proposal(why)))
    }

    fn establish(
        self,
        keys: Keys,
        proven: Proven,
        contents: &Contents<'_>,
        digest: [u8; 32],
        ctx: &mut Context<'_>,
    ) -> Outcome {
        let Proven {
            peer,
            remote_id,
            until,
            mixed,
        } = proven;
        let uses_ppk = mixed.is_some();
        let mut keys = mixed.unwrap_or(keys);
        let own_id = identification(&peer.local_id, self.path.local.ip());
        let header = self.header();
        let proven = match self.prove(&keys, &peer, &own_id) {
            Ok(proven) => proven,
            Err(error) => return refused(&mut keys, &header, &self.path, error, digest, ctx),
        };
        let mut payloads = vec![Payload::IdResponder(own_id)];
        payloads.extend(proven.certificates);
        payloads.extend(status::staple(&peer, ctx.config, contents));
        payloads.push(proven.auth);
        payloads.extend(uses_ppk.then(|| notify(NotifyType::PPK_IDENTITY)));
        let birth = Birth {
            id: self.id,
            peer_spi: self.peer_spi,
            role: Role::Responder,
            local_id: own_identity(&peer.local_id, self.path.local.ip()),
            peer,
            remote_id,
            path: self.path,
            keys,
            requests: (0, self.rounds.message_id() + 1),
            fragmentation: self.fragments.agreed,
            ppk: uses_ppk,
        };
        let mut sa = Sa::new(birth, ctx);
        sa.redirection = self.heard.begin();
        announce(&sa, ctx);
        if self.shown.is_some() {
            resume::announce(&sa, ctx);
        }
        note_window(&mut sa, contents);
        crash::keep(&mut sa, contents);
        sync::agree(&mut sa, contents);
        mobike::agree(&mut sa, contents);
        cloning::agree(&mut sa, contents);
        match self.sent_on(&mut sa, ctx) {
            Some(payload) => payloads.push(payload),
            None => {
                payloads.extend(first_child(&mut sa, contents, self.nonces(), ctx));
                payloads.extend(resume::grant(&sa, contents, until, ctx));
            }
        }
        payloads.extend(sync::answer(&sa));
        payloads.extend(mobike::answer(&sa));
        payloads.extend(cloning::answer(&sa));
        payloads.extend(crash::give(ctx.config, &sa.peer, sa.spis(), &sa.path));
        let longest = sa.longest();
        let answer = message::protect(&mut sa.keys, &header, &payloads, longest);
        let answer = answer.unwrap_or_default();
        ctx.transmit_all(&sa.path, &answer);
        sa.keep_answer(digest, answer);
        let contact = contents.notify(NotifyType::INITIAL_CONTACT).is_some();
        Outcome::Established(Box::new(sa), contact)
    }

    /// A peer that is to be served elsewhere has proved who it is: it gets no child, and is told
    /// where to go (RFC 5685 section 6).
    fn sent_on(&self, sa: &mut Sa, ctx: &mut Context<'_>) -> Option<Payload> {
        let to = self.heard.elsewhere(&sa.peer.ike, self.path.local.ip())?;
        let payload = redirect::sends(to, Vec::new())?;
        sa.redirection.until = Some(ctx.after(limits::REDIRECT_GRACE));
        ctx.event(Event::HandshakeRedirected {
            peer: sa.peer.name.clone(),
            remote: self.path.remote,
            gateway: to,
        });
        Some(payload)
    }

    fn int_auth(&self) -> Vec<u8> {
        self.rounds.int_auth.octets(self.rounds.message_id())
    }

    /// Our own proof.
    fn prove(
        &self,
        keys: &Keys,
        peer: &Peer,
        own_id: &Identification,
    ) -> Result<proof::Proven, Error> {
        let signed = Signed {
            message: &self.response,
            nonce: &self.initiator_nonce,
            id: own_id,
            int_auth: &self.int_auth(),
            sk_p: keys.sk_p(false),
        };
        self.proof(peer).prove(&signed, &self.request)
    }
}

/// Tells the peer why a handshake ends here.
fn refused(
    keys: &mut Keys,
    header: &Header,
    path: &Path,
    error: Error,
    digest: [u8; 32],
    ctx: &mut Context<'_>,
) -> Outcome {
    let answer = message::protect(keys, header, &[error_payload(&error)], None);
    let answer = answer.unwrap_or_default();
    ctx.transmit_all(path, &answer);
    Outcome::Refused {
        error,
        digest,
        answer,
    }
}

/// What the PAD says of a claim; `None` without a claim.
pub(crate) type Found = Option<Result<Arc<Peer>, Box<NoPeer>>>;

/// Who a peer says it is, and whom it wants to talk to if it says so.
pub(crate) struct Claimed {
    pub(crate) remote: Identity,
    pub(crate) local: Option<Identity>,
}

struct Proven {
    peer: Arc<Peer>,
    remote_id: Identity,
    /// When what it proved with expires, in seconds since 1970.
    until: Option<u64>,
    /// The keys with a post-quantum pre-shared key, if there is one.
    mixed: Option<Keys>,
}

/// The child of IKE_AUTH; when there is none, the IKE SA stays (section 1.2).
fn first_child(
    sa: &mut Sa,
    contents: &Contents<'_>,
    nonces: Nonces<'_>,
    ctx: &mut Context<'_>,
) -> Vec<Payload> {
    if matches!(contents.sa(), Err(Misbehaved::Payload(PayloadType::SA))) {
        return Vec::new();
    }
    let (peer, path) = (sa.peer.name.clone(), sa.path);
    match child::answer(contents, Within::IkeAuth, &peer, &path, path.hosts(), ctx) {
        Ok(answered) => {
            let (inbound, outbound) = sa.keys.child(answered.agreed.suite, &[], nonces);
            let keys = PairKeys { inbound, outbound };
            sa.install(answered.agreed, keys, Outbound::Now, None, ctx);
            answered.payloads
        }
        Err(Refusal::InvalidKe(_)) => vec![notify(NotifyType::NO_PROPOSAL_CHOSEN)],
        Err(Refusal::Error(error)) => {
            let payload = match &error {
                // A malformed wish for a child is no reason to refuse the peer.
                Error::Misbehaved(_) => notify(NotifyType::NO_PROPOSAL_CHOSEN),
                error => error_payload(error),
            };
            sa.child_failed(None, Role::Responder, error, ctx);
            vec![payload]
        }
    }
}
