//! The encrypted exchanges of a half-open responder: additional key exchanges in IKE_INTERMEDIATE,
//! and then IKE_AUTH (RFC 9370 section 2.2.2, RFC 9242 section 3).

use std::collections::VecDeque;

use crypto::Group;
use crypto::hash::sha256;
use policy::Additional;
use wire::ike::{Decoded, ExchangeType, Header, Payload};

use crate::context::Context;
use crate::discard::Discard;
use crate::error::{Error, Misbehaved};
use crate::v2::child::exchange;
use crate::v2::contents::Contents;
use crate::v2::int_auth::IntAuth;
use crate::v2::keys::{Keys, Nonces, Spis};
use crate::v2::message::{self, Inner, Opened, Sealed};
use crate::v2::sa::Answered;
use crate::v2::start::export;

/// Which exchange is next, and what came before.
#[derive(Default)]
pub(crate) struct Rounds {
    remaining: VecDeque<Group>,
    done: u32,
    pub(crate) int_auth: IntAuth,
    answered: Option<Answered>,
}

/// Whose keys an exchange goes on with.
pub(crate) struct Between<'a> {
    pub(crate) nonces: Nonces<'a>,
    pub(crate) spis: Spis,
    /// The longest message that is sent whole.
    pub(crate) longest: Option<usize>,
}

impl Rounds {
    /// As many exchanges as were agreed on.
    pub(crate) fn new(additional: Additional) -> Self {
        Rounds {
            remaining: additional.groups().collect(),
            ..Rounds::default()
        }
    }

    /// The message id of the next request.
    pub(crate) fn message_id(&self) -> u32 {
        1 + self.done
    }

    /// The exchange that is next.
    pub(crate) fn exchange(&self) -> ExchangeType {
        match self.remaining.is_empty() {
            true => ExchangeType::IKE_AUTH,
            false => ExchangeType::IKE_INTERMEDIATE,
        }
    }

    /// The answer to the last request, if this is that, or its first fragment, again.
    ///
    /// # Errors
    /// It is another request of the same message id.
    pub(crate) fn again(&self, decoded: &Decoded<'_>) -> Result<Option<&Sealed>, Discard> {
        if decoded.header.message_id.wrapping_add(1) != self.message_id() {
            return Ok(None);
        }
        let last = self.answered.as_ref().ok_or(Discard::MessageId)?;
        let fragment = decoded.encrypted.as_ref().and_then(|one| one.fragment);
        match last.digest == sha256(&[decoded.octets]) {
            true => Ok(Some(&last.message)),
            false if fragment.is_some() => Err(Discard::Fragment),
            false => Err(Discard::NotTheSameRequest),
        }
    }

    /// Answers an additional key exchange: the answer, and the keys from here on.
    ///
    /// # Errors
    /// The request is not one to this exchange.
    pub(crate) fn answer(
        &mut self,
        request: (&Header, &Opened),
        response: &Header,
        keys: &mut Keys,
        between: &Between<'_>,
        ctx: &mut Context<'_>,
    ) -> Result<Sealed, Error> {
        let (header, opened) = request;
        let payloads = match &opened.payloads {
            Ok(payloads) => payloads,
            Err(why) => return Err(Error::Misbehaved(Misbehaved::Malformed(*why))),
        };
        let (payload, shared) = self.agree(payloads, ctx).map_err(Error::Misbehaved)?;
        let inner = Inner::of(&[payload]).unwrap_or_default();
        self.int_auth.note(keys, header, &opened.inner);
        self.int_auth.note(keys, response, &inner);
        let sealed = message::protect_inner(keys, response, &inner, between.longest);
        let message = sealed.unwrap_or_default();
        export(keys, between.spis, ctx);
        *keys = keys.continued(&shared, between.nonces, between.spis);
        self.remaining.pop_front();
        self.done += 1;
        self.answered = Some(Answered {
            digest: opened.digest,
            message: message.clone(),
        });
        Ok(message)
    }

    fn agree(
        &self,
        payloads: &[Payload],
        ctx: &mut Context<'_>,
    ) -> Result<(Payload, crypto::Secret), Misbehaved> {
        let ke = Contents::of(payloads)?.ke()?;
        let group = self.remaining.front().copied();
        let group = group.filter(|group| group.id() == ke.group);
        let group = group.ok_or(Misbehaved::ChoseWhatWasNotOffered)?;
        exchange(group, &ke.data, ctx)
    }
}
