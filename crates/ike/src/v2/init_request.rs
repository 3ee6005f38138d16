//! An IKE_SA_INIT request before there is any state for it: cookie, choice, answer (RFC 7296
//! sections 1.2 and 2.6).

use std::net::SocketAddr;

use crypto::{DhKeyPair, Group};
use policy::pad::Peer;
use policy::proposal::{IkeProposal, IkeSuite};
use wire::ike::{Decoded, ExchangeType, Flags, Header, Nonce, NotifyType, Payload};

use crate::context::Context;
use crate::discard::Discard;
use crate::error::{Error, Incompatible, Misbehaved};
use crate::limits;
use crate::v2::child::{invalid_ke, key_exchange};
use crate::v2::contents::Contents;
use crate::v2::cookie::Claim;
use crate::v2::half_open::{HalfOpen, Secrets};
use crate::v2::install::error_payload;
use crate::v2::keys::Spis;
use crate::v2::nat::{self, Nat, Path};
use crate::v2::proposal::{self, Choice};

/// An IKE_SA_INIT request that is complete and worth an answer.
pub(crate) struct InitRequest<'a> {
    decoded: &'a Decoded<'a>,
    contents: Contents<'a>,
    local: SocketAddr,
    remote: SocketAddr,
}

impl<'a> InitRequest<'a> {
    /// Looks at a request; nothing changes.
    ///
    /// # Errors
    /// It is not one that could be answered.
    pub(crate) fn check(
        decoded: &'a Decoded<'a>,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<Self, Discard> {
        let header = &decoded.header;
        if header.exchange != ExchangeType::IKE_SA_INIT {
            return Err(Discard::UnknownSpi);
        }
        if header.flags.response || !header.flags.initiator {
            return Err(Discard::WrongDirection);
        }
        if header.message_id != 0 {
            return Err(Discard::MessageId);
        }
        let contents = Contents::of(&decoded.payloads).map_err(|_| Discard::UnexpectedPayloads)?;
        let complete = contents.sa().is_ok() && contents.ke().is_ok() && contents.nonce().is_ok();
        match complete && header.initiator_spi != 0 && decoded.encrypted.is_none() {
            true => Ok(InitRequest {
                decoded,
                contents,
                local,
                remote,
            }),
            false => Err(Discard::UnexpectedPayloads),
        }
    }

    /// What a cookie is bound to.
    pub(crate) fn claim(&self) -> Claim<'_> {
        Claim {
            nonce: self.contents.nonce().unwrap_or_default(),
            address: self.remote.ip(),
            initiator_spi: self.decoded.header.initiator_spi,
        }
    }

    /// The cookie that the request returns.
    pub(crate) fn cookie(&self) -> Option<&[u8]> {
        self.contents
            .notify(NotifyType::COOKIE)
            .map(|notify| notify.data.as_slice())
    }

    /// An answer that leaves no state behind.
    pub(crate) fn answer_statelessly(&self, payload: Payload, ctx: &mut Context<'_>) {
        let path = self.path(Nat::default());
        if let Some(bytes) = stateless_answer(self.decoded.header.initiator_spi, payload) {
            ctx.transmit(&path, bytes);
        }
    }

    fn path(&self, nat: Nat) -> Path {
        Path {
            local: self.local,
            remote: self.remote,
            nat,
        }
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
        Ok(choice)
    }

    /// Answers, and becomes half-open.
    pub(crate) fn accept(
        self,
        choice: &Choice<IkeSuite>,
        peer: &Peer,
        ctx: &mut Context<'_>,
    ) -> Option<HalfOpen> {
        let dh = DhKeyPair::generate(choice.suite.group, ctx.random).ok()?;
        let public = self.contents.ke().ok()?.data.clone();
        let initiator_nonce = self.contents.nonce().ok()?.to_vec();
        let (id, responder_nonce) = (ctx.reserve_ike(), ctx.nonce());
        let peer_spi = self.decoded.header.initiator_spi;
        // The initiator hashed with a responder SPI of zero.
        let seen = Spis {
            initiator: peer_spi,
            responder: 0,
        };
        let forced = nat::forced(&peer.ike);
        let nat = nat::detect(&self.contents, seen, self.local, self.remote, forced);
        let path = self.path(nat);
        let mut payloads = vec![
            Payload::Sa(choice.answer(Vec::new())),
            key_exchange(&dh),
            Payload::Nonce(Nonce(responder_nonce.clone())),
        ];
        let spis = Spis {
            initiator: peer_spi,
            responder: id.0,
        };
        if nat.supported {
            payloads.extend(nat::payloads(
                spis,
                self.local,
                self.remote,
                forced,
                ctx.random,
            ));
        }
        let header = init_response(peer_spi, id.0);
        let response = wire::ike::encode(&header, &payloads).ok()?;
        ctx.transmit(&path, response.clone());
        Some(HalfOpen {
            id,
            peer_spi,
            path,
            suite: choice.suite,
            until: ctx.now + limits::HALF_OPEN_LIFE,
            birth: ctx.registry.next_birth(),
            request: self.decoded.octets.to_vec(),
            response,
            initiator_nonce,
            responder_nonce,
            secret: Secrets::Pending { dh, public },
        })
    }
}

/// An IKE_SA_INIT response of one notification, without an SPI of ours.
pub(crate) fn stateless_answer(initiator_spi: u64, payload: Payload) -> Option<Vec<u8>> {
    wire::ike::encode(&init_response(initiator_spi, 0), &[payload]).ok()
}

fn init_response(initiator_spi: u64, responder_spi: u64) -> Header {
    let flags = Flags {
        initiator: false,
        version: false,
        response: true,
    };
    Header::new(
        initiator_spi,
        responder_spi,
        ExchangeType::IKE_SA_INIT,
        flags,
        0,
    )
}
