//! What the notifications of the first exchange agree on (RFC 7383 section 2.3, RFC 6023 section
//! 3, RFC 9242 section 3.1, RFC 8784 section 3).

use policy::pad::{Childless, IkeTemplate};
use wire::ike::{NotifyType, Payload};

use crate::v2::contents::Contents;
use crate::v2::install::notify;

/// Extensions that one side offers, or that both have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Features {
    /// Large messages may be sent in fragments.
    pub(crate) fragmentation: bool,
    /// The responder takes an IKE_AUTH that asks for no child; an initiator does not say so.
    pub(crate) childless: bool,
    /// IKE_INTERMEDIATE may come before IKE_AUTH.
    pub(crate) intermediate: bool,
    /// A post-quantum pre-shared key may be used.
    pub(crate) ppk: bool,
}

impl Features {
    /// Without what is agreed anew in a full handshake only: who resumes has the keys that it was
    /// for.
    pub(crate) fn resuming(self, resumes: bool) -> Self {
        Features {
            intermediate: self.intermediate && !resumes,
            ppk: self.ppk && !resumes,
            ..self
        }
    }

    /// What an initiator says.
    pub(crate) fn request(ike: &IkeTemplate) -> Self {
        Features {
            fragmentation: ike.fragment_size.is_some(),
            childless: false,
            intermediate: wants_additional(ike),
            ppk: ike.ppk.is_some(),
        }
    }

    /// What a responder says: nothing that the initiator had to say and did not.
    pub(crate) fn response(ike: &IkeTemplate, request: &Contents<'_>) -> Self {
        let theirs = Features::told(request);
        Features {
            fragmentation: ike.fragment_size.is_some() && theirs.fragmentation,
            childless: ike.childless != Childless::Never,
            intermediate: wants_additional(ike) && theirs.intermediate,
            ppk: ike.ppk.is_some() && theirs.ppk,
        }
    }

    /// What the initiator may do after the response.
    pub(crate) fn agreed(ike: &IkeTemplate, response: &Contents<'_>) -> Self {
        let theirs = Features::told(response);
        Features {
            fragmentation: ike.fragment_size.is_some() && theirs.fragmentation,
            childless: ike.childless == Childless::Prefer && theirs.childless,
            intermediate: wants_additional(ike) && theirs.intermediate,
            ppk: ike.ppk.is_some() && theirs.ppk,
        }
    }

    fn told(contents: &Contents<'_>) -> Self {
        let says = |kind| contents.notify(kind).is_some();
        Features {
            fragmentation: says(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED),
            childless: says(NotifyType::CHILDLESS_IKEV2_SUPPORTED),
            intermediate: says(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED),
            ppk: says(NotifyType::USE_PPK),
        }
    }

    /// The notifications that say so.
    pub(crate) fn payloads(self) -> impl Iterator<Item = Payload> {
        let said = [
            (
                self.fragmentation,
                NotifyType::IKEV2_FRAGMENTATION_SUPPORTED,
            ),
            (self.childless, NotifyType::CHILDLESS_IKEV2_SUPPORTED),
            (
                self.intermediate,
                NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED,
            ),
            (self.ppk, NotifyType::USE_PPK),
        ];
        said.into_iter()
            .filter(|(is_said, _)| *is_said)
            .map(|(_, kind)| notify(kind))
    }
}

fn wants_additional(ike: &IkeTemplate) -> bool {
    ike.proposals.iter().any(|one| one.additional.is_wanted())
}
