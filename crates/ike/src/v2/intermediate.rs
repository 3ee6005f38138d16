//! IKE_INTERMEDIATE: additional key exchanges between IKE_SA_INIT and IKE_AUTH (RFC 9370 section
//! 2.2.2), as their initiator, and what AUTH says of them on both sides (RFC 9242 section 3.3).

use std::net::SocketAddr;

use crypto::{DhKeyPair, Group, Secret};
use policy::pad::Mobike;
use wire::ike::{Decoded, ExchangeType, Header, Payload};

use crate::command::Acquire;
use crate::context::Context;
use crate::discard::Discard;
use crate::error::{Error, Misbehaved};
use crate::retransmit::Retransmit;
use crate::v2::auth_sent::{AuthSent, Begun, Purpose, Step};
use crate::v2::child::key_exchange;
use crate::v2::contents::Contents;
use crate::v2::int_auth::answer_of;
use crate::v2::message::{self, Inner, Opened, Sealed};
use crate::v2::start::export;

/// IKE_INTERMEDIATE was sent.
pub(crate) struct IntermediateSent {
    pub(crate) retransmit: Retransmit,
    begun: Begun,
    dh: DhKeyPair,
    request: Sealed,
}

/// Where a handshake goes on after IKE_SA_INIT.
pub(crate) enum Onward {
    Intermediate(Box<IntermediateSent>),
    Authenticating(Box<AuthSent>),
}

/// Goes on with the next additional key exchange, or with IKE_AUTH when there is none left.
pub(crate) fn go_on(mut begun: Begun, ctx: &mut Context<'_>) -> Step<Onward> {
    let may_move = begun.purpose.peer.ike.mobike == Mobike::Offer;
    begun.purpose.path.float(may_move);
    let next = match begun.additional.pop_front() {
        Some(group) => IntermediateSent::begin(begun, group, ctx)
            .map(|state| Onward::Intermediate(Box::new(state))),
        None => AuthSent::begin(begun, ctx).map(|state| Onward::Authenticating(Box::new(state))),
    };
    match next {
        Ok(next) => Step::Next(Box::new(next)),
        Err((error, pending)) => Step::Failed { error, pending },
    }
}

impl IntermediateSent {
    fn begin(
        mut begun: Begun,
        group: Group,
        ctx: &mut Context<'_>,
    ) -> Result<Self, (Error, Vec<Acquire>)> {
        let Ok(dh) = DhKeyPair::generate(group, ctx.random) else {
            return Err((Error::NoSuchPeer, begun.purpose.pending));
        };
        let header = begun.header(ExchangeType::IKE_INTERMEDIATE, begun.message_id);
        let inner = Inner::of(&[key_exchange(&dh)]).unwrap_or_default();
        begun.int_auth.note(&begun.keys, &header, &inner);
        let longest = begun.longest();
        let request = message::protect_inner(&mut begun.keys, &header, &inner, longest);
        let request = request.unwrap_or_default();
        ctx.transmit_all(&begun.purpose.path, &request);
        let retransmit = Retransmit::start(&begun.purpose.peer.ike.retransmission, ctx.now);
        Ok(IntermediateSent {
            retransmit,
            begun,
            dh,
            request,
        })
    }

    pub(crate) fn begun(&self) -> &Begun {
        &self.begun
    }

    pub(crate) fn purpose_mut(&mut self) -> &mut Purpose {
        &mut self.begun.purpose
    }

    pub(crate) fn into_purpose(self) -> Purpose {
        self.begun.purpose
    }

    /// Looks at a datagram; nothing changes but what is being put together of fragments: `None`
    /// while some are missing.
    ///
    /// # Errors
    /// It is not the answer to this request.
    pub(crate) fn check(&mut self, decoded: &Decoded<'_>) -> Result<Option<Opened>, Discard> {
        if !decoded.payloads.is_empty() {
            return Err(Discard::UnexpectedPayloads);
        }
        self.begun.check(decoded, ExchangeType::IKE_INTERMEDIATE)
    }

    /// The peer answered: both have another secret.
    pub(crate) fn advance(
        self,
        header: &Header,
        opened: &Opened,
        ctx: &mut Context<'_>,
    ) -> Step<Onward> {
        let IntermediateSent { mut begun, dh, .. } = self;
        let shared = match agree(dh, opened) {
            Ok(shared) => shared,
            Err(error) => {
                let pending = begun.purpose.pending;
                return Step::Failed { error, pending };
            }
        };
        begun.int_auth.note(&begun.keys, header, &opened.inner);
        export(&begun.keys, begun.spis(), ctx);
        begun.keys = begun.keys.continued(&shared, begun.nonces(), begun.spis());
        begun.message_id += 1;
        go_on(begun, ctx)
    }

    /// The request is due again; the error is the end.
    pub(crate) fn fire(&mut self, ctx: &mut Context<'_>) -> Result<(), Error> {
        let tries = self.retransmit.tries();
        let purpose = &self.begun.purpose;
        let ladder = &purpose.peer.ike.retransmission;
        if !self.retransmit.again(ladder, ctx.now) {
            let exchange = ExchangeType::IKE_INTERMEDIATE;
            return Err(Error::Timeout { exchange, tries });
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

/// The secret that an answer gives.
fn agree(dh: DhKeyPair, opened: &Opened) -> Result<Secret, Error> {
    let payloads: &[Payload] = match &opened.payloads {
        Ok(payloads) => payloads,
        Err(why) => return Err(Error::Misbehaved(Misbehaved::Malformed(*why))),
    };
    let contents = Contents::of(payloads).map_err(Error::Misbehaved)?;
    if let (Err(_), Some(error)) = (contents.ke(), contents.error()) {
        return Err(Error::Refused(error.kind));
    }
    answer_of(dh, &contents).map_err(Error::Misbehaved)
}
