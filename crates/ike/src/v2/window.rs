//! The window of an established IKE SA: which message has a place in it, what was asked, what was
//! answered (RFC 7296 sections 2.1, 2.2 and 2.3).

use crypto::hash::sha256;
use wire::ike::{Decoded, ExchangeType, Flags, Header, Malformed, NotifyType, Payload};

use crate::context::Context;
use crate::discard::Discard;
use crate::id::Role;
use crate::limits;
use crate::path::Path;
use crate::retransmit::Retransmit;
use crate::v2::crash;
use crate::v2::fragments;
use crate::v2::keys::Spis;
use crate::v2::message::{self, Sealed};
use crate::v2::sa::{Answered, Exchange, Kind, Sa, Stage};
use crate::v2::sync::{self, Told};

/// An authenticated message that has its place in the window.
pub(crate) enum Proof {
    /// The last request again, octet by octet.
    Repeated,
    /// A fragment of a message of which others are missing.
    Part,
    /// A new request.
    Request {
        digest: [u8; 32],
        payloads: Result<Vec<Payload>, Malformed>,
    },
    /// The response to a request in flight.
    Response {
        payloads: Result<Vec<Payload>, Malformed>,
    },
    /// An unprotected notification: nothing is true of it.
    Hint(NotifyType),
    /// An unprotected notification with a token that only the peer can have.
    Lost,
    /// Something about message ids, to which the window does not apply (RFC 6311).
    Sync(Told),
}

/// An authenticated request on its way through the handlers.
pub(crate) struct Request<'a> {
    pub(crate) exchange: ExchangeType,
    pub(crate) digest: [u8; 32],
    pub(crate) payloads: &'a [Payload],
    /// Where the answer goes: whence the request came.
    pub(crate) back: Path,
}

impl Sa {
    pub(crate) fn header(&self, exchange: ExchangeType, response: bool, message_id: u32) -> Header {
        let initiator = self.role == Role::Initiator;
        let flags = Flags {
            initiator,
            version: false,
            response,
        };
        let Spis {
            initiator,
            responder,
        } = self.spis();
        Header::new(initiator, responder, exchange, flags, message_id)
    }

    /// Looks at a datagram; nothing changes but what is being put together of fragments.
    ///
    /// # Errors
    /// It is not from the peer, or has no place in the window.
    pub(crate) fn check(&mut self, decoded: &Decoded<'_>) -> Result<Proof, Discard> {
        let header = &decoded.header;
        let Spis {
            initiator,
            responder,
        } = self.spis();
        if self.is_silent() {
            return Err(Discard::Frozen);
        }
        if decoded.encrypted.is_none() {
            return self.check_unprotected(decoded);
        }
        if (header.initiator_spi, header.responder_spi) != (initiator, responder) {
            return Err(Discard::WrongPeerSpi);
        }
        if header.flags.initiator == (self.role == Role::Initiator) {
            return Err(Discard::WrongDirection);
        }
        if let Some(told) = sync::check(self, decoded)? {
            return Ok(Proof::Sync(told));
        }
        if header.flags.response {
            let asked = self
                .in_flight(header.message_id)
                .ok_or(Discard::NoMatchingRequest)?;
            if asked.kind.exchange() != header.exchange {
                return Err(Discard::UnexpectedExchange);
            }
            let opened = message::open(&self.keys, &mut self.fragments, decoded)?;
            return Ok(opened.map_or(Proof::Part, |opened| Proof::Response {
                payloads: opened.payloads,
            }));
        }
        if header.message_id.wrapping_add(1) == self.expected_request {
            return self.check_repeated(decoded);
        }
        if header.message_id != self.expected_request {
            return Err(Discard::MessageId);
        }
        if matches!(self.stage, Stage::Closed { .. }) {
            return Err(Discard::Busy);
        }
        let known = [
            ExchangeType::CREATE_CHILD_SA,
            ExchangeType::INFORMATIONAL,
            ExchangeType::IKE_FOLLOWUP_KE,
        ];
        if !known.contains(&header.exchange) {
            return Err(Discard::UnexpectedExchange);
        }
        let opened = message::open(&self.keys, &mut self.fragments, decoded)?;
        Ok(opened.map_or(Proof::Part, |opened| Proof::Request {
            digest: opened.digest,
            payloads: opened.payloads,
        }))
    }

    /// The last request again. Of fragments the first one asks for the answer; the peer may have
    /// cut the request into more of them since (RFC 7383 sections 2.5.2 and 2.6.1).
    fn check_repeated(&self, decoded: &Decoded<'_>) -> Result<Proof, Discard> {
        let digest = sha256(&[decoded.octets]);
        let last = self.answered.as_ref();
        if last.is_some_and(|last| last.digest == digest) {
            return Ok(Proof::Repeated);
        }
        let encrypted = decoded.encrypted.as_ref();
        match encrypted.and_then(|one| one.fragment) {
            None => Err(Discard::NotTheSameRequest),
            Some(_) if !self.fragments.agreed => Err(Discard::Fragmented),
            Some(piece) if piece.number > 1 => Err(Discard::Fragment),
            Some(_) if message::is_authentic(&self.keys, decoded) => Ok(Proof::Repeated),
            Some(_) => Err(Discard::AuthenticationFailed),
        }
    }

    /// The longest message that is sent whole; `None` for any.
    pub(crate) fn longest(&self) -> Option<usize> {
        let size = self.peer.ike.fragment_size;
        fragments::limit(&self.fragments, size, &self.path)
    }

    /// An unprotected response may be a hint that the peer has lost this IKE SA (section 2.21.4).
    fn check_unprotected(&self, decoded: &Decoded<'_>) -> Result<Proof, Discard> {
        let says = |payload: &Payload| match payload {
            Payload::Notify(notify) if notify.kind == NotifyType::INVALID_IKE_SPI => Some(()),
            _ => None,
        };
        let hint =
            decoded.header.flags.response && decoded.payloads.iter().any(|one| says(one).is_some());
        if let Some(is_proof) = crash::is_proof(self, &decoded.payloads).filter(|_| hint) {
            return match is_proof {
                true => Ok(Proof::Lost),
                false => Err(Discard::CrashToken),
            };
        }
        match hint {
            true => Ok(Proof::Hint(NotifyType::INVALID_IKE_SPI)),
            false => Err(Discard::NotEncrypted),
        }
    }

    fn in_flight(&self, message_id: u32) -> Option<&Exchange> {
        self.exchanges
            .iter()
            .find(|exchange| exchange.message_id == message_id)
    }

    /// Takes a request in flight out of the table: its response is here.
    pub(crate) fn finish(&mut self, message_id: u32) -> Option<Exchange> {
        let at = self
            .exchanges
            .iter()
            .position(|one| one.message_id == message_id)?;
        self.changed = true;
        Some(self.exchanges.remove(at))
    }

    /// Whether another request fits the peer's window.
    pub(crate) fn has_room(&self) -> bool {
        let window = usize::try_from(self.peer_window.min(limits::WINDOW)).unwrap_or(1);
        self.exchanges.len() < window
    }

    /// Sends a request.
    pub(crate) fn request(&mut self, kind: Kind, payloads: &[Payload], ctx: &mut Context<'_>) {
        let retransmit = Retransmit::start(&self.peer.ike.retransmission, ctx.now);
        self.request_by(kind, payloads, retransmit, ctx);
    }

    /// Sends a request with a ladder of its own.
    pub(crate) fn request_by(
        &mut self,
        kind: Kind,
        payloads: &[Payload],
        retransmit: Retransmit,
        ctx: &mut Context<'_>,
    ) {
        let message_id = self.next_request;
        let header = self.header(kind.exchange(), false, message_id);
        let longest = self.longest();
        let sealed = message::protect(&mut self.keys, &header, payloads, longest);
        let Some(message) = sealed else {
            return;
        };
        self.next_request = message_id.wrapping_add(1);
        self.changed = true;
        ctx.transmit_all(&self.path, &message);
        self.exchanges.push(Exchange {
            message_id,
            kind,
            retransmit,
            message,
        });
    }

    /// Sends a request in flight again.
    pub(crate) fn repeat(&self, exchange: &Exchange, ctx: &mut Context<'_>) {
        ctx.transmit_all(&self.path, &exchange.message);
    }

    /// Answers the request that was just taken, and keeps the answer.
    pub(crate) fn respond(
        &mut self,
        to: &Request<'_>,
        payloads: &[Payload],
        ctx: &mut Context<'_>,
    ) {
        let header = self.header(to.exchange, true, self.expected_request);
        let longest = self.longest();
        let sealed = message::protect(&mut self.keys, &header, payloads, longest);
        let Some(message) = sealed else {
            return;
        };
        self.expected_request = self.expected_request.wrapping_add(1);
        self.changed = true;
        ctx.transmit_all(&to.back, &message);
        self.answered = Some(Answered {
            digest: to.digest,
            message,
        });
    }

    /// Keeps the handshake's last answer, which the initiator may not have received.
    pub(crate) fn keep_answer(&mut self, digest: [u8; 32], message: Sealed) {
        self.answered = Some(Answered { digest, message });
    }

    /// Gives the last answer again.
    pub(crate) fn answer_again(&self, back: &Path, ctx: &mut Context<'_>) {
        if let Some(last) = &self.answered {
            ctx.transmit_all(back, &last.message);
        }
    }
}
