//! What a main mode has while both sides prove who they are (RFC 2409 section 5,
//! draft-ietf-ipsec-isakmp-gss-auth).

use std::time::{Duration, Instant};

use policy::auth::Method;
use policy::identity::Identity;
use wire::isakmp::Payload;

use crate::error::Error;
use crate::limits;
use crate::path::Path;
use crate::v1::cipher::Iv;
use crate::v1::gss::kerberos;
use crate::v1::keys::{Keys, Suite};

/// Keys have been exchanged.
pub(crate) struct Exchanged {
    pub(crate) keys: Keys,
    pub(crate) iv: Iv,
    pub(crate) g_xi: Vec<u8>,
    pub(crate) g_xr: Vec<u8>,
    pub(crate) lifetime: Option<Duration>,
}

/// A step of the security context is under way.
pub(crate) struct Asking {
    pub(crate) next: Next,
    pub(crate) until: Instant,
}

/// What follows it.
pub(crate) enum Next {
    /// Message 3, with our token.
    Offer(Suite, Option<Duration>),
    /// Message 4, with our token behind these.
    Answer(Round, Vec<Payload>),
    /// Our token, or our hash.
    Go(Round),
    /// Our hash has been wrapped.
    Send(Round),
    /// The peer's hash has been opened.
    Check(Round),
}

/// Keys have been exchanged: both sides prove who they are, in as many messages as it takes.
pub(crate) struct Round {
    pub(crate) exchanged: Exchanged,
    /// We have no other SA with the peer, and say so.
    pub(crate) alone: bool,
    /// Where the peer's last message came from.
    pub(crate) back: Path,
    /// What is for the peer next, if it is a token.
    pub(crate) token: Vec<u8>,
    /// Our identity was sent, and our hash.
    pub(crate) identified: bool,
    pub(crate) hashed: bool,
    /// Who the peer says it is, with the body of its ID payload.
    pub(crate) said: Option<(Identity, Vec<u8>)>,
    pub(crate) contact: bool,
    /// The peer's hash is right.
    pub(crate) checked: bool,
}

impl Round {
    pub(crate) fn new(exchanged: Exchanged, alone: bool, back: Path) -> Self {
        Round {
            exchanged,
            alone,
            back,
            token: Vec::new(),
            identified: false,
            hashed: false,
            said: None,
            contact: false,
            checked: false,
        }
    }

    pub(crate) fn suite(&self) -> Suite {
        self.exchanged.keys.suite()
    }
}

impl Asking {
    /// Kerberos, while the peer has seen nothing of it.
    pub(crate) fn asked_first(&self) -> Option<Method> {
        matches!(self.next, Next::Offer(..)).then_some(Method::Kerberos)
    }

    pub(crate) fn suite(&self) -> Suite {
        match &self.next {
            Next::Offer(suite, _) => *suite,
            Next::Answer(round, _) | Next::Go(round) | Next::Send(round) | Next::Check(round) => {
                round.suite()
            }
        }
    }
}

/// Nobody has answered in time.
pub(crate) fn silence() -> Error {
    let seconds = limits::GSS_WAIT.as_secs();
    kerberos(format!("it has not come to anything for {seconds} s"))
}
