//! A first request before there is any state for it: cookie, choice, answer (RFC 7296 sections 1.2
//! and 2.6, RFC 5723 section 4.3).

use std::net::IpAddr;

use crypto::{DhKeyPair, Group, Secret};
use policy::pad::Peer;
use policy::proposal::{IkeProposal, IkeSuite};
use wire::ike::{Decoded, ExchangeType, Flags, Header, Nonce, NotifyType, Payload};

use crate::context::Context;
use crate::discard::Discard;
use crate::error::{Error, Incompatible, Misbehaved};
use crate::limits;
use crate::path::{self, Path};
use crate::v2::child::{exchange, invalid_ke, key_exchange};
use crate::v2::contents::Contents;
use crate::v2::features::Features;
use crate::v2::fragments::Fragments;
use crate::v2::half_open::{HalfOpen, Secrets};
use crate::v2::install::error_payload;
use crate::v2::keys::Spis;
use crate::v2::nat;
use crate::v2::proof;
use crate::v2::proposal::{self, Choice};
use crate::v2::redirect::{self, Heard};
use crate::v2::resume::Shown;
use crate::v2::rounds::Rounds;

/// An IKE_SA_INIT or IKE_SESSION_RESUME request that is complete and worth an answer.
pub(crate) struct InitRequest<'a> {
    decoded: &'a Decoded<'a>,
    contents: Contents<'a>,
    /// Where an answer goes.
    back: Path,
}

impl<'a> InitRequest<'a> {
    /// Looks at a request; nothing changes.
    ///
    /// # Errors
    /// It is not one that could be answered.
    pub(crate) fn check(decoded: &'a Decoded<'a>, back: Path) -> Result<Self, Discard> {
        let request = InitRequest::read(decoded, ExchangeType::IKE_SA_INIT, back)?;
        let contents = &request.contents;
        match contents.sa().is_ok() && contents.ke().is_ok() {
            true => Ok(request),
            false => Err(Discard::UnexpectedPayloads),
        }
    }

    /// Looks at a request that shows a ticket; nothing changes.
    ///
    /// # Errors
    /// It is not one that could be answered.
    pub(crate) fn check_resumption(decoded: &'a Decoded<'a>, back: Path) -> Result<Self, Discard> {
        let exchange = ExchangeType::IKE_SESSION_RESUME;
        let request = InitRequest::read(decoded, exchange, back)?;
        match request.ticket() {
            Some(_) => Ok(request),
            None => Err(Discard::UnexpectedPayloads),
        }
    }

    fn read(decoded: &'a Decoded<'a>, exchange: ExchangeType, back: Path) -> Result<Self, Discard> {
        let header = &decoded.header;
        if header.exchange != exchange {
            return Err(Discard::UnknownSpi);
        }
        if header.flags.response || !header.flags.initiator {
            return Err(Discard::WrongDirection);
        }
        if header.message_id != 0 {
            return Err(Discard::MessageId);
        }
        let contents = Contents::of(&decoded.payloads).map_err(|_| Discard::UnexpectedPayloads)?;
        match contents.nonce().is_ok() && header.initiator_spi != 0 && decoded.encrypted.is_none() {
            true => Ok(InitRequest {
                decoded,
                contents,
                back,
            }),
            false => Err(Discard::UnexpectedPayloads),
        }
    }

    /// The ticket that the request shows.
    pub(crate) fn ticket(&self) -> Option<&[u8]> {
        self.contents
            .notify(NotifyType::TICKET_OPAQUE)
            .map(|notify| notify.data.as_slice())
    }

    /// Whether the algorithms of a ticket are still among those that we allow.
    pub(crate) fn allows(&self, proposals: &[IkeProposal], suite: IkeSuite) -> bool {
        let ours = proposal::offer_ike(proposals, None);
        let theirs = proposal::offer_ike(&[suite.into()], None);
        proposal::choose::<IkeSuite>(&ours, &theirs, None).is_ok()
    }

    /// An answer that leaves no state behind.
    pub(crate) fn answer_statelessly(&self, payload: Payload, ctx: &mut Context<'_>) {
        if let Some(bytes) = stateless_answer(&self.decoded.header, payload) {
            ctx.transmit(&self.back, bytes);
        }
    }

    /// Where the initiator is sent instead, and what tells it so.
    pub(crate) fn elsewhere(&self, peer: &Peer) -> Option<(IpAddr, Payload)> {
        let heard = Heard::of(&self.contents);
        let to = heard.elsewhere(&peer.ike, self.back.local.ip())?;
        let nonce = self.contents.nonce().ok()?.to_vec();
        Some((to, redirect::sends(to, nonce)?))
    }

    /// Chooses algorithms for the peer that has this address.
    ///
    /// # Errors
    /// The answer to give, which leaves no state, and the error to tell if it is one.
    pub(crate) fn choose(
        &self,
        proposals: &[IkeProposal],
    ) -> Result<Choice<IkeSuite>, (Payload, Option<Error>)> {
        let misbehaved = |why| {
            let error = Error::Misbehaved(why);
            (error_payload(&error), Some(error))
        };
        let ours = proposal::offer_ike(proposals, None);
        let theirs = self.contents.sa().map_err(misbehaved)?;
        let ke = self.contents.ke().map_err(misbehaved)?;
        let choice =
            proposal::choose::<IkeSuite>(&ours, theirs, Some(ke.group)).map_err(|why| {
                let error = Error::Incompatible(Incompatible::Proposal(why));
                (error_payload(&error), Some(error))
            })?;
        let group: Group = choice.suite.group;
        if ke.group != group.id() {
            return Err((invalid_ke(group), None));
        }
        if ke.data.len() != group.public_length() {
            return Err(misbehaved(Misbehaved::KeyExchange));
        }
        let intermediate = NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED;
        let possible = self.contents.notify(intermediate).is_some();
        if !choice.suite.additional.is_empty() && !possible {
            return Err(misbehaved(Misbehaved::ChoseWhatWasNotOffered));
        }
        Ok(choice)
    }

    /// Answers, and becomes half-open.
    pub(crate) fn accept(
        self,
        choice: &Choice<IkeSuite>,
        peer: &Peer,
        ctx: &mut Context<'_>,
    ) -> Option<HalfOpen> {
        let public = self.contents.ke().ok()?.data.clone();
        let group = choice.suite.group;
        // A KEM has nothing to finish later.
        let (ke, secret) = if group.is_kem() {
            let (ke, shared) = exchange(group, &public, ctx).ok()?;
            (ke, Secrets::Shared(shared))
        } else {
            let dh = DhKeyPair::generate(group, ctx.random).ok()?;
            (key_exchange(&dh), Secrets::Pending { dh, public })
        };
        let payloads = vec![Payload::Sa(choice.answer(Vec::new())), ke];
        self.answer(payloads, choice.suite, secret, None, peer, ctx)
    }

    /// Takes a ticket, which had these algorithms and this SK_d, and becomes half-open.
    pub(crate) fn resume(
        self,
        suite: IkeSuite,
        sk_d: Secret,
        shown: Shown,
        peer: &Peer,
        ctx: &mut Context<'_>,
    ) -> Option<HalfOpen> {
        let secret = Secrets::Ticket(sk_d);
        self.answer(Vec::new(), suite, secret, Some(shown), peer, ctx)
    }

    fn answer(
        self,
        mut payloads: Vec<Payload>,
        suite: IkeSuite,
        secret: Secrets,
        shown: Option<Shown>,
        peer: &Peer,
        ctx: &mut Context<'_>,
    ) -> Option<HalfOpen> {
        let initiator_nonce = self.contents.nonce().ok()?.to_vec();
        let (id, responder_nonce) = (ctx.reserve_ike(), ctx.nonce());
        let peer_spi = self.decoded.header.initiator_spi;
        // The initiator hashed with a responder SPI of zero.
        let seen = Spis {
            initiator: peer_spi,
            responder: 0,
        };
        let Path {
            local,
            remote,
            carrier,
            ..
        } = self.back;
        let forced = path::forced(&peer.ike, carrier);
        let nat = nat::detect(&self.contents, seen, local, remote, forced);
        let path = Path { nat, ..self.back };
        payloads.push(Payload::Nonce(Nonce(responder_nonce.clone())));
        let spis = Spis {
            initiator: peer_spi,
            responder: id.0,
        };
        if nat.supported {
            payloads.extend(nat::payloads(spis, local, remote, forced, ctx.random));
        }
        let mut features = Features::response(&peer.ike, &self.contents);
        // Whoever may be at that address has not said who it is.
        let candidates = ctx.config.pad.find_by_address(remote.ip());
        let has_ppk = candidates.iter().any(|peer| peer.ike.ppk.is_some());
        let told = self.contents.notify(NotifyType::USE_PPK).is_some();
        features.ppk = has_ppk && told;
        let features = features.resuming(shown.is_some());
        payloads.extend(features.payloads());
        if shown.is_none() {
            payloads.extend(proof::invite(&ctx.config.pad, remote.ip()));
        }
        // Who resumes has the secrets of all exchanges already.
        let rounds = match shown {
            Some(_) => Rounds::default(),
            None => Rounds::new(suite.additional),
        };
        let header = first_response(&self.decoded.header, id.0);
        let response = wire::ike::encode(&header, &payloads).ok()?;
        ctx.transmit(&path, response.clone());
        Some(HalfOpen {
            id,
            peer_spi,
            path,
            suite,
            until: ctx.now + limits::HALF_OPEN_LIFE,
            birth: ctx.registry.next_birth(),
            request: self.decoded.octets.to_vec(),
            response,
            initiator_nonce,
            responder_nonce,
            secret,
            rounds,
            ppk: features.ppk,
            shown,
            fragments: Fragments::new(features.fragmentation),
            fragment_size: peer.ike.fragment_size,
            held: None,
            heard: Heard::of(&self.contents),
        })
    }
}

/// An answer to a first request of one notification, without an SPI of ours.
pub(crate) fn stateless_answer(request: &Header, payload: Payload) -> Option<Vec<u8>> {
    stateless_answers(request, &[payload])
}

/// As [`stateless_answer`], of several notifications.
pub(crate) fn stateless_answers(request: &Header, payloads: &[Payload]) -> Option<Vec<u8>> {
    wire::ike::encode(&first_response(request, 0), payloads).ok()
}

fn first_response(request: &Header, responder_spi: u64) -> Header {
    let flags = Flags {
        initiator: false,
        version: false,
        response: true,
    };
    Header::new(
        request.initiator_spi,
        responder_spi,
        request.exchange,
        flags,
        0,
    )
}
