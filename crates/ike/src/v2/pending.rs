//! What a peer's CREATE_CHILD_SA agreed on and has not come to be yet (RFC 9370 section 2.2.4).

use std::collections::VecDeque;
use std::time::Instant;

use crypto::{Group, Secret};
use policy::proposal::IkeSuite;
use policy::sa::ChildId;

use crate::context::Context;
use crate::id::IkeSaId;
use crate::v2::child::Answered;

/// It waits for additional key exchanges.
pub(crate) struct Pending {
    /// How the peer names it.
    pub(crate) link: Vec<u8>,
    pub(crate) until: Instant,
    pub(crate) remaining: VecDeque<Group>,
    /// Of the additional key exchanges that are done.
    pub(crate) secrets: Vec<Secret>,
    pub(crate) about: About,
}

/// What it is.
pub(crate) enum About {
    Child {
        answered: Box<Answered>,
        /// The peer's nonce.
        theirs: Vec<u8>,
        /// The child that it replaces.
        old: Option<ChildId>,
    },
    Ike(Box<Made>),
}

/// An IKE SA in the place of another or beside it, as its responder knows it before its keys.
pub(crate) struct Made {
    pub(crate) id: IkeSaId,
    pub(crate) peer_spi: u64,
    pub(crate) suite: IkeSuite,
    pub(crate) shared: Secret,
    pub(crate) additional: Vec<Secret>,
    /// The nonces.
    pub(crate) theirs: Vec<u8>,
    pub(crate) ours: Vec<u8>,
    /// Nothing is replaced (RFC 7791).
    pub(crate) cloned: bool,
}

impl Pending {
    /// It does not come to be: gives back the number that was reserved for it.
    pub(crate) fn release(&self, ctx: &mut Context<'_>) {
        match &self.about {
            About::Child { answered, .. } => {
                ctx.registry.release_esp(answered.agreed.inbound_spi);
            }
            About::Ike(made) => ctx.registry.release_ike(made.id),
        }
    }
}
