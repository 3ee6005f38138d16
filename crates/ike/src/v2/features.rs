//! What the notifications of the first exchange agree on (RFC 7383 section 2.3).

use policy::pad::IkeTemplate;
use wire::ike::{NotifyType, Payload};

use crate::v2::contents::Contents;
use crate::v2::install::notify;

/// Extensions that one side offers, or that both have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Features {
    /// Large messages may be sent in fragments.
    pub(crate) fragmentation: bool,
}

impl Features {
    /// What we want with a peer.
    pub(crate) fn wanted(ike: &IkeTemplate) -> Self {
        Features {
            fragmentation: ike.fragment_size.is_some(),
        }
    }

    /// What the peer's message says of itself.
    pub(crate) fn told(contents: &Contents<'_>) -> Self {
        let says = |kind| contents.notify(kind).is_some();
        Features {
            fragmentation: says(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED),
        }
    }

    /// What both have.
    pub(crate) fn and(self, other: Self) -> Self {
        Features {
            fragmentation: self.fragmentation && other.fragmentation,
        }
    }

    /// The notifications that say so.
    pub(crate) fn payloads(self) -> impl Iterator<Item = Payload> {
        let said = [(
            self.fragmentation,
            NotifyType::IKEV2_FRAGMENTATION_SUPPORTED,
        )];
        said.into_iter()
            .filter(|(is_said, _)| *is_said)
            .map(|(_, kind)| notify(kind))
    }
}
