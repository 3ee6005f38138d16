//! An exchange of phase 2 that is not over (RFC 2409 sections 5.5 and 5.7).

use std::time::Instant;

use crypto::DhKeyPair;
use policy::sa::ChildId;
use policy::selector::Selectors;

use crate::command::Acquire;
use crate::retransmit::Retransmit;
use crate::timer::Timer;
use crate::v1::cipher::Iv;

/// An exchange, by its message id.
pub(crate) struct Exchange {
    pub(crate) message_id: u32,
    /// The IV of its next message, whoever sends it.
    pub(crate) iv: Iv,
    pub(crate) kind: Kind,
    /// Our last message, which is sent again while it has no answer.
    pub(crate) sent: Vec<u8>,
    pub(crate) retransmit: Option<Retransmit>,
    /// The peer's last message: if that comes again, ours did not arrive.
    pub(crate) heard: Option<[u8; 32]>,
    /// When what is left of it is forgotten.
    pub(crate) until: Option<Instant>,
}

/// What an exchange is about.
pub(crate) enum Kind {
    /// We asked for a pair and wait for the answer.
    Asked(Box<Offer>),
    /// We have confirmed the pair, and wait for nothing, or for CONNECTED.
    Confirmed {
        child: ChildId,
        /// When it sends, where the peer must have its SAs first.
        settles: Option<Instant>,
    },
    /// We answered to a peer that asked for a pair, and wait for its confirmation.
    Answered(Box<Answered>),
    /// We deleted SAs, and wait for the peer's word that it knows.
    Deleting(Box<Deletion>),
    /// The peer deleted SAs, and was answered.
    Deleted,
}

/// A pair that we asked for.
pub(crate) struct Offer {
    pub(crate) acquire: Acquire,
    /// The part of it that this quick mode is for.
    pub(crate) selectors: Selectors,
    pub(crate) inbound_spi: u32,
    pub(crate) nonce: Vec<u8>,
    pub(crate) dh: Option<DhKeyPair>,
    /// The pair whose place it takes.
    pub(crate) replaces: Option<ChildId>,
    /// The peer may have lost what it had with us.
    pub(crate) doubted: bool,
    pub(crate) asked_at: Instant,
}

/// A pair that the peer asked for, and we agreed to.
pub(crate) struct Answered {
    pub(crate) child: ChildId,
    /// Both nonces: what the peer's confirmation is made of.
    pub(crate) initiator_nonce: Vec<u8>,
    pub(crate) responder_nonce: Vec<u8>,
}

/// A delete that the peer has not acknowledged ([MS-IKEE] section 3.8).
pub(crate) struct Deletion {
    pub(crate) nonce: Vec<u8>,
    /// Whether it is of the ISAKMP SA itself.
    pub(crate) of_isakmp: bool,
}

impl Exchange {
    /// The next thing that time does to it.
    pub(crate) fn due(&self) -> Option<(Instant, Timer)> {
        let again = self.retransmit.as_ref().and_then(Retransmit::due);
        let again = again.map(|at| (at, Timer::Retransmit));
        let end = self.until.map(|at| (at, Timer::Expire));
        let settles = match self.kind {
            Kind::Confirmed { settles, .. } => settles.map(|at| (at, Timer::Retry)),
            _ => None,
        };
        again.into_iter().chain(end).chain(settles).min()
    }

    /// Whether what happens to it next happens to a pair too.
    pub(crate) fn is_about(&self, id: ChildId) -> bool {
        match &self.kind {
            Kind::Asked(offer) => offer.replaces == Some(id),
            Kind::Answered(answered) => answered.child == id,
            Kind::Confirmed { child, settles } => settles.is_some() && *child == id,
            Kind::Deleting(_) | Kind::Deleted => false,
        }
    }

    /// Whether it is a quick mode of ours that is under way.
    pub(crate) fn is_asked(&self) -> bool {
        matches!(self.kind, Kind::Asked(_))
    }
}
