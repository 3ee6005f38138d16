//! An initiator's first state: IKE_SA_INIT was sent (RFC 7296 sections 1.2 and 2.6), or a ticket
//! was shown in its place (RFC 5723 section 4.3).
//!
//! Each state holds exactly what is known then, and gives itself up for the next.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use crypto::{DhKeyPair, Group};
use policy::pad::{Peer, Tcp};
use policy::proposal::IkeSuite;
use wire::ike::{
    Decoded, ExchangeType, Flags, Header, Nonce, Notify, NotifyType, Payload, Redirect,
};

use crate::carrier::Carrier;
use crate::command::Acquire;
use crate::context::Context;
use crate::discard::Discard;
use crate::error::{Error, Misbehaved, NotAuthentic, PpkRefusal};
use crate::event::Event;
use crate::limits;
use crate::path::{self, Nat, Path};
use crate::retransmit::Retransmit;
use crate::timer::Timer;
use crate::v2::auth_sent::{Begun, Purpose, Step};
use crate::v2::child::{key_exchange, wanted_group};
use crate::v2::contents::Contents;
use crate::v2::features::Features;
use crate::v2::fragments::Fragments;
use crate::v2::int_auth::IntAuth;
use crate::v2::intermediate::{Onward, go_on};
use crate::v2::keys::{Keys, Nonces, Spis};
use crate::v2::nat;
use crate::v2::proof;
use crate::v2::proposal;
use crate::v2::puzzle::{Progress, Puzzle, Solver};
use crate::v2::redirect::{self, Elsewhere, NotFollowed, Origin};
use crate::v2::resume;
use crate::v2::ticket::Held;

/// Whom to call, and where.
pub(crate) struct Call {
    pub(crate) peer: Arc<Peer>,
    pub(crate) path: Path,
    pub(crate) origin: Origin,
    /// Whether we go where the peer sends us.
    pub(crate) follows: bool,
}

impl Call {
    /// The same call as before.
    pub(crate) fn of(purpose: &Purpose) -> Self {
        Call {
            peer: Arc::clone(&purpose.peer),
            path: purpose.path,
            origin: purpose.origin,
            follows: purpose.follows,
        }
    }
}

/// What the first message offers for new keys.
enum Opening {
    Exchange(DhKeyPair),
    Ticket(Arc<Held>),
}

/// The first message was sent.
pub(crate) struct InitSent {
    pub(crate) purpose: Purpose,
    pub(crate) retransmit: Retransmit,
    opening: Opening,
    nonce: Vec<u8>,
    cookie: Option<Vec<u8>>,
    /// The puzzle that came with a cookie, while we solve it, and then what solves it.
    solver: Option<Solver>,
    solution: Option<Vec<u8>>,
    restarts: u8,
    request: Vec<u8>,
    /// What an unprotected answer says: the most likely reason if nothing better comes.
    doubt: Option<NotifyType>,
    /// When the first message went out, or a connection for it was asked for.
    began: Instant,
}

/// What an answer to IKE_SA_INIT means.
pub(crate) enum InitProof {
    /// Begin again with this cookie.
    Cookie(Vec<u8>),
    /// Begin again with this cookie, when the puzzle is solved.
    Puzzle(Vec<u8>, Puzzle),
    /// Begin again with this group.
    Group(Group),
    /// The peer, or somebody who read our request, refuses.
    Refusal(NotifyType),
    /// Begin at another gateway.
    Elsewhere(IpAddr),
    /// The peer sends us to another gateway, and we do not go.
    NotFollowed(NotFollowed),
    /// Go on.
    Answer {
        suite: IkeSuite,
        public: Vec<u8>,
        nonce: Vec<u8>,
        seen: Seen,
    },
    /// The ticket is not taken: begin in full.
    TicketRefused,
    /// The ticket is taken: go on.
    Resumed { nonce: Vec<u8>, seen: Seen },
}

/// What every answer tells of the peer.
pub(crate) struct Seen {
    peer_spi: u64,
    nat: Nat,
    features: Features,
}

impl InitSent {
    /// Begins a handshake.
    pub(crate) fn begin(
        call: Call,
        pending: Vec<Acquire>,
        ticket: Option<Arc<Held>>,
        ctx: &mut Context<'_>,
    ) -> Option<Self> {
        let Call {
            peer,
            path,
            origin,
            follows,
        } = call;
        let opening = match ticket {
            Some(held) => Opening::Ticket(held),
            None => Opening::Exchange(first_key_pair(&peer, ctx)?),
        };
        let id = ctx.reserve_ike();
        let nonce = ctx.nonce();
        let retransmit = Retransmit::start(&peer.ike.retransmission, ctx.now);
        let purpose = Purpose {
            id,
            peer,
            path,
            pending,
            origin,
            follows,
        };
        let mut this = InitSent {
            purpose,
            retransmit,
            opening,
            nonce,
            cookie: None,
            solver: None,
            solution: None,
            restarts: 0,
            request: Vec::new(),
            doubt: None,
            began: ctx.now,
        };
        match path.carrier.wants() {
            true => ctx.open_stream(id, path.local.ip(), path.remote),
            false => this.start(ctx),
        }
        Some(this)
    }

    fn start(&mut self, ctx: &mut Context<'_>) {
        let Purpose { id, peer, path, .. } = &self.purpose;
        ctx.event(Event::HandshakeStarted {
            ike: *id,
            peer: peer.name.clone(),
            local: path.local,
            remote: path.remote,
        });
        self.send(ctx);
    }

    /// The connection that it wants stands. Its ports are in what is sent (RFC 9329 section 6.5).
    pub(crate) fn connected(&mut self, local: SocketAddr, ctx: &mut Context<'_>) {
        if !self.purpose.path.connect(local) {
            return;
        }
        match self.request.is_empty() {
            true => self.start(ctx),
            false => self.send(ctx),
        }
    }

    /// Builds the request and sends it for the first time.
    fn send(&mut self, ctx: &mut Context<'_>) {
        let Purpose {
            id,
            peer,
            path,
            origin,
            ..
        } = &self.purpose;
        let spis = Spis {
            initiator: id.0,
            responder: 0,
        };
        let cookie = self.cookie.as_ref();
        let cookie =
            cookie.map(|data| Payload::Notify(Notify::new(NotifyType::COOKIE, data.clone())));
        let mut payloads: Vec<Payload> = cookie.into_iter().collect();
        payloads.extend(self.solution.clone().map(Payload::PuzzleSolution));
        let nonce = Payload::Nonce(Nonce(self.nonce.clone()));
        match &self.opening {
            Opening::Exchange(dh) => payloads.extend([
                Payload::Sa(proposal::offer_ike(&peer.ike.proposals, None)),
                key_exchange(dh),
                nonce,
            ]),
            Opening::Ticket(held) => payloads.extend([nonce, resume::show(held)]),
        }
        let resumes = matches!(self.opening, Opening::Ticket(_));
        payloads.extend(proof::announce(peer).filter(|_| !resumes));
        let force = path::forced(&peer.ike, path.carrier);
        payloads.extend(nat::payloads(
            spis,
            path.local,
            path.remote,
            force,
            ctx.random,
        ));
        let resumes = matches!(self.opening, Opening::Ticket(_));
        payloads.extend(Features::request(&peer.ike).resuming(resumes).payloads());
        let announced = self.purpose.follows.then(|| redirect::announce(origin));
        payloads.extend(announced.flatten());
        let flags = Flags {
            initiator: true,
            version: false,
            response: false,
        };
        let header = Header::new(id.0, 0, self.exchange(), flags, 0);
        self.request = wire::ike::encode(&header, &payloads).unwrap_or_default();
        self.retransmit = Retransmit::start(&peer.ike.retransmission, ctx.now);
        ctx.transmit(path, self.request.clone());
    }

    /// Looks at a datagram; nothing changes.
    ///
    /// # Errors
    /// It is no answer to this request.
    pub(crate) fn check(
        &self,
        decoded: &Decoded<'_>,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<InitProof, Discard> {
        let header = &decoded.header;
        if header.exchange != self.exchange() {
            return Err(Discard::UnexpectedExchange);
        }
        if !header.flags.response || header.flags.initiator {
            return Err(Discard::WrongDirection);
        }
        if header.message_id != 0 {
            return Err(Discard::MessageId);
        }
        if remote.ip() != self.purpose.path.remote.ip() {
            return Err(Discard::NoMatchingRequest);
        }
        let contents = Contents::of(&decoded.payloads).map_err(|_| Discard::UnexpectedPayloads)?;
        if let Some(cookie) = contents.notify(NotifyType::COOKIE) {
            if !(1..=limits::COOKIE).contains(&cookie.data.len()) {
                return Err(Discard::Cookie);
            }
            // An answer to an older copy of the request, which has been sent with it since.
            let at_work = self.solver.as_ref().map(|solver| &solver.cookie);
            if self.cookie.as_ref() == Some(&cookie.data) || at_work == Some(&cookie.data) {
                return Err(Discard::NoMatchingRequest);
            }
            let data = cookie.data.clone();
            // One that is too hard for us we leave alone, as who knows of none.
            let puzzle = contents.notify(NotifyType::PUZZLE).and_then(Puzzle::of);
            return self.restart(match puzzle {
                Some(puzzle) => InitProof::Puzzle(data, puzzle),
                None => InitProof::Cookie(data),
            });
        }
        let goes_on = contents.sa().is_ok() || contents.nonce().is_ok();
        if let Some(told) = contents.notify(NotifyType::REDIRECT).filter(|_| !goes_on) {
            return self.check_redirect(told, remote.ip());
        }
        match (&self.opening, contents.sa()) {
            (Opening::Ticket(_), _) => self.check_resumption(decoded, &contents, local, remote),
            (Opening::Exchange(dh), Ok(_)) => {
                self.check_answer(dh, decoded, &contents, local, remote)
            }
            (Opening::Exchange(dh), Err(_)) => self.check_refusal(dh, &contents),
        }
    }

    fn exchange(&self) -> ExchangeType {
        resume::first_exchange(matches!(self.opening, Opening::Ticket(_)))
    }

    /// Nobody signed it, but whoever sent it has read our request (RFC 5685 section 3).
    fn check_redirect(&self, told: &Notify, from: IpAddr) -> Result<InitProof, Discard> {
        let repeats = |redirect: &Redirect| redirect.nonce == self.nonce;
        let authentic = self.purpose.follows && Redirect::of(told).is_some_and(|one| repeats(&one));
        if !authentic {
            return Err(Discard::Redirect);
        }
        let Purpose { peer, path, .. } = &self.purpose;
        let judged = redirect::judge(peer, (path.local.ip(), from), told);
        Ok(judged.map_or_else(InitProof::NotFollowed, InitProof::Elsewhere))
    }

    fn check_resumption(
        &self,
        decoded: &Decoded<'_>,
        contents: &Contents<'_>,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<InitProof, Discard> {
        let Some(nonce) = resume::check_answer(contents)? else {
            return Ok(InitProof::TicketRefused);
        };
        let seen = self.seen(decoded, contents, local, remote)?;
        Ok(InitProof::Resumed { nonce, seen })
    }

    fn check_refusal(&self, dh: &DhKeyPair, contents: &Contents<'_>) -> Result<InitProof, Discard> {
        let error = contents.error().ok_or(Discard::UnexpectedPayloads)?;
        if error.kind != NotifyType::INVALID_KE_PAYLOAD {
            return Ok(InitProof::Refusal(error.kind));
        }
        let group = wanted_group(error).ok_or(Discard::UnexpectedPayloads)?;
        let ours = &self.purpose.peer.ike.proposals;
        if group == dh.group() || !ours.iter().any(|one| one.groups.contains(&group)) {
            return Err(Discard::KeyExchange);
        }
        self.restart(InitProof::Group(group))
    }

    fn restart(&self, proof: InitProof) -> Result<InitProof, Discard> {
        match self.restarts < limits::RESTARTS {
            true => Ok(proof),
            false => Err(Discard::TooManyRestarts),
        }
    }

    fn check_answer(
        &self,
        dh: &DhKeyPair,
        decoded: &Decoded<'_>,
        contents: &Contents<'_>,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<InitProof, Discard> {
        let bad = |_: Misbehaved| Discard::UnexpectedPayloads;
        let offered = proposal::offer_ike(&self.purpose.peer.ike.proposals, None);
        let sa = contents.sa().map_err(bad)?;
        let (suite, _) = proposal::accept::<IkeSuite>(&offered, sa).map_err(bad)?;
        let (ke, nonce) = (contents.ke().map_err(bad)?, contents.nonce().map_err(bad)?);
        let group = dh.group();
        let same = suite.group == group && ke.group == group.id();
        if !same || ke.data.len() != group.answer_length() {
            return Err(Discard::KeyExchange);
        }
        let seen = self.seen(decoded, contents, local, remote)?;
        if !suite.additional.is_empty() && !seen.features.intermediate {
            return Err(Discard::UnexpectedPayloads);
        }
        let (public, nonce) = (ke.data.clone(), nonce.to_vec());
        Ok(InitProof::Answer {
            suite,
            public,
            nonce,
            seen,
        })
    }

    /// The peer's SPI, what its hashes tell of NATs, and what both know.
    fn seen(
        &self,
        decoded: &Decoded<'_>,
        contents: &Contents<'_>,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<Seen, Discard> {
        let peer_spi = decoded.header.responder_spi;
        if peer_spi == 0 {
            return Err(Discard::WrongPeerSpi);
        }
        let spis = Spis {
            initiator: self.purpose.id.0,
            responder: peer_spi,
        };
        let ike = &self.purpose.peer.ike;
        let forced = path::forced(ike, self.purpose.path.carrier);
        let nat = nat::detect(contents, spis, local, remote, forced);
        let features = Features::agreed(ike, contents);
        Ok(Seen {
            peer_spi,
            nat,
            features,
        })
    }

    /// Goes on after an answer. `answer` are its octets, which the peer will sign; `alone` says
    /// that we hold no other IKE SA with the peer.
    pub(crate) fn advance(
        mut self,
        proof: InitProof,
        answer: &[u8],
        alone: bool,
        ctx: &mut Context<'_>,
    ) -> Step<InitStep> {
        match proof {
            InitProof::Cookie(cookie) => self.take_cookie(cookie, None),
            InitProof::Puzzle(cookie, puzzle) => {
                self.take_puzzle(cookie, puzzle, ctx);
                return Step::Next(Box::new(InitStep::Waiting(Box::new(self))));
            }
            InitProof::Group(group) => match DhKeyPair::generate(group, ctx.random) {
                Ok(dh) => self.opening = Opening::Exchange(dh),
                Err(_) => return Step::Next(Box::new(InitStep::Waiting(Box::new(self)))),
            },
            // Nobody else answers in a connection (RFC 9329 section 6.4).
            InitProof::Refusal(notify) if self.purpose.path.carrier != Carrier::Udp => {
                let (error, pending) = (Error::Refused(notify), self.purpose.pending);
                return Step::Failed { error, pending };
            }
            InitProof::Refusal(notify) => {
                if self.doubt.replace(notify).is_none() {
                    let (ike, peer) = (self.purpose.id, self.purpose.peer.name.clone());
                    ctx.event(Event::HandshakeDoubtful { ike, peer, notify });
                }
                return Step::Next(Box::new(InitStep::Waiting(Box::new(self))));
            }
            InitProof::Elsewhere(to) => {
                let wanted = self.purpose.take_pending();
                let moved = self.purpose.elsewhere(to, wanted);
                return Step::Next(Box::new(InitStep::Elsewhere(moved)));
            }
            InitProof::NotFollowed(why) => {
                if self.doubt.replace(NotifyType::REDIRECT).is_none() {
                    let Purpose { peer, path, .. } = &self.purpose;
                    redirect::not_followed(&peer.name, path.remote.ip(), why, ctx);
                }
                return Step::Next(Box::new(InitStep::Waiting(Box::new(self))));
            }
            InitProof::TicketRefused => {
                self.begin_in_full(ctx);
                return Step::Next(Box::new(InitStep::Waiting(Box::new(self))));
            }
            InitProof::Answer {
                suite,
                public,
                nonce,
                seen,
            } => {
                let keys = |opening, nonces: Nonces<'_>, spis| match opening {
                    Opening::Exchange(dh) => {
                        let shared = dh.agree(&public).ok()?;
                        let keys = Keys::initial(suite, &shared, nonces, spis);
                        Some((keys, suite.additional.groups().collect(), None))
                    }
                    Opening::Ticket(_) => None,
                };
                return self.go_on(nonce, seen, answer, alone, keys, ctx);
            }
            InitProof::Resumed { nonce, seen } => {
                let keys = |opening, nonces: Nonces<'_>, spis| match opening {
                    Opening::Ticket(held) => {
                        let keys = Keys::resumed(held.suite, &held.sk_d, nonces, spis);
                        Some((keys, VecDeque::new(), Some(held)))
                    }
                    Opening::Exchange(_) => None,
                };
                return self.go_on(nonce, seen, answer, alone, keys, ctx);
            }
        }
        self.restarts += 1;
        self.send(ctx);
        Step::Next(Box::new(InitStep::Waiting(Box::new(self))))
    }

    /// Both sides have keys, which `keys` makes of what was offered for them.
    fn go_on(
        mut self,
        peer_nonce: Vec<u8>,
        seen: Seen,
        answer: &[u8],
        alone: bool,
        keys: impl FnOnce(Opening, Nonces<'_>, Spis) -> Option<Start>,
        ctx: &mut Context<'_>,
    ) -> Step<InitStep> {
        self.purpose.path.nat = seen.nat;
        let nonces = Nonces {
            initiator: &self.nonce,
            responder: &peer_nonce,
        };
        let spis = Spis {
            initiator: self.purpose.id.0,
            responder: seen.peer_spi,
        };
        let ppk = self.purpose.peer.ike.ppk.clone();
        let resumes = matches!(self.opening, Opening::Ticket(_));
        if !resumes && !seen.features.ppk && ppk.as_ref().is_some_and(|ppk| ppk.required) {
            let error = Error::NotAuthentic(NotAuthentic::Ppk(PpkRefusal::NotUsed));
            let pending = self.purpose.pending;
            return Step::Failed { error, pending };
        }
        let Some((keys, additional, resumed)) = keys(self.opening, nonces, spis) else {
            let error = Error::Misbehaved(Misbehaved::KeyExchange);
            let pending = self.purpose.pending;
            return Step::Failed { error, pending };
        };
        let begun = Begun {
            purpose: self.purpose,
            peer_spi: seen.peer_spi,
            keys,
            fragments: Fragments::new(seen.features.fragmentation),
            childless: seen.features.childless,
            ppk: ppk.filter(|_| seen.features.ppk && !resumes),
            alone,
            doubled: self.cookie.is_some(),
            own_message: self.request,
            peer_message: answer.to_vec(),
            additional,
            int_auth: IntAuth::default(),
            message_id: 1,
            own_nonce: self.nonce,
            peer_nonce,
            resumed,
        };
        go_on(begun, ctx).map(InitStep::Onward)
    }

    /// The peer does not take the ticket, or says nothing to it: IKE_SA_INIT follows.
    fn begin_in_full(&mut self, ctx: &mut Context<'_>) {
        let Some(dh) = first_key_pair(&self.purpose.peer, ctx) else {
            return;
        };
        let (ike, peer) = (self.purpose.id, self.purpose.peer.name.clone());
        ctx.event(Event::TicketRefused { ike, peer });
        self.opening = Opening::Exchange(dh);
        self.nonce = ctx.nonce();
        (self.cookie, self.solution, self.solver) = (None, None, None);
        self.send(ctx);
    }

    fn take_puzzle(&mut self, cookie: Vec<u8>, puzzle: Puzzle, ctx: &mut Context<'_>) {
        self.restarts += 1;
        let (ike, peer) = (self.purpose.id, self.purpose.peer.name.clone());
        ctx.event(Event::PuzzlePosed {
            ike,
            peer,
            difficulty: puzzle.difficulty,
        });
        self.solver = Some(Solver::new(puzzle, cookie, ctx.now));
    }

    fn take_cookie(&mut self, cookie: Vec<u8>, solution: Option<Vec<u8>>) {
        (self.cookie, self.solution, self.solver) = (Some(cookie), solution, None);
    }

    /// Whether there is a puzzle to be worked at.
    pub(crate) fn is_solving(&self) -> bool {
        self.solver.is_some()
    }

    /// Others have worked for long enough now.
    pub(crate) fn wait(&mut self, now: Instant) {
        if let Some(solver) = &mut self.solver {
            solver.due = now + limits::PUZZLE_PAUSE;
        }
    }

    /// When something is to be done about it.
    pub(crate) fn due(&self) -> Option<(Instant, Timer)> {
        match &self.solver {
            Some(solver) => Some((solver.due, Timer::Puzzle)),
            None => self.retransmit.due().map(|at| (at, Timer::Retransmit)),
        }
    }

    /// Works at the puzzle for a moment, and goes on when it is solved.
    fn solve(&mut self, ctx: &mut Context<'_>) {
        let Some(mut solver) = self.solver.take() else {
            return;
        };
        let solution = match solver.work(ctx.now) {
            Progress::Working => {
                self.solver = Some(solver);
                return;
            }
            Progress::Solved(solution) => Some(solution),
            Progress::GivenUp => None,
        };
        self.take_cookie(solver.cookie, solution);
        self.send(ctx);
    }

    /// The request is due again; the error is the end.
    pub(crate) fn fire(&mut self, ctx: &mut Context<'_>) -> Result<(), Error> {
        if self.is_solving() {
            self.solve(ctx);
            return Ok(());
        }
        let tries = self.retransmit.tries();
        let resumes = matches!(self.opening, Opening::Ticket(_));
        let waits = self.purpose.path.carrier.waits();
        if resumes && !waits && !resume::is_patient(tries) {
            self.begin_in_full(ctx);
            return Ok(());
        }
        if !self
            .retransmit
            .again(&self.purpose.peer.ike.retransmission, ctx.now)
        {
            let exchange = self.exchange();
            return Err(self
                .doubt
                .map_or(Error::Timeout { exchange, tries }, Error::Refused));
        }
        let Purpose { id, path, .. } = &self.purpose;
        if ctx.sends_again(*id, path) {
            ctx.transmit(path, self.request.clone());
            if let Some(remote) = self.falls_back_to(ctx.now) {
                ctx.open_stream(*id, path.local.ip(), remote);
            }
        }
        Ok(())
    }

    /// Where a connection is tried because nothing answers by UDP.
    fn falls_back_to(&self, now: Instant) -> Option<SocketAddr> {
        let Purpose { peer, path, .. } = &self.purpose;
        let silent = now.saturating_duration_since(self.began) >= limits::TCP_FALLBACK;
        match peer.ike.tcp {
            Tcp::Fallback(port) if silent => Some(SocketAddr::new(path.remote.ip(), port)),
            _ => None,
        }
    }
}

/// The first keys, the key exchanges to come, and the ticket if there was one.
type Start = (Keys, VecDeque<Group>, Option<Arc<Held>>);

/// A key pair of the group that we like best.
fn first_key_pair(peer: &Peer, ctx: &mut Context<'_>) -> Option<DhKeyPair> {
    let proposals = &peer.ike.proposals;
    let group = proposals
        .iter()
        .find_map(|one| one.groups.first().copied())?;
    DhKeyPair::generate(group, ctx.random).ok()
}

/// Where an answer to IKE_SA_INIT leads.
pub(crate) enum InitStep {
    Waiting(Box<InitSent>),
    Elsewhere(Elsewhere),
    Onward(Onward),
}
