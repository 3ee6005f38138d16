//! The secrets of a CREATE_CHILD_SA that has more than one key exchange (RFC 9370 section 2.2.4).

use std::collections::VecDeque;

use crypto::{DhKeyPair, Group, Secret};
use policy::Additional;
use wire::ike::Payload;

/// Part of an offer of ours: its additional key exchanges.
#[derive(Default)]
pub(crate) struct Followups {
    /// Of those that are done, in their order.
    pub(crate) secrets: Vec<Secret>,
    /// The one in flight.
    pub(crate) flying: Option<Box<Flying>>,
}

/// An additional key exchange in flight.
pub(crate) struct Flying {
    /// What the peer answered to CREATE_CHILD_SA.
    pub(crate) answer: Vec<Payload>,
    pub(crate) dh: DhKeyPair,
    pub(crate) remaining: VecDeque<Group>,
}

/// Whether there are as many secrets as additional key exchanges were agreed on.
pub(crate) fn is_complete(secrets: &[Secret], additional: Additional) -> bool {
    secrets.len() == additional.groups().count()
}
