//! What IKE asks of GSS-API, and what comes back: who drives this crate keeps the security contexts
//! and asks the KDCs (draft-ietf-ipsec-isakmp-gss-auth, RFC 2743).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use policy::kerberos::{KerberosKey, Principal};

use crate::id::IkeSaId;
use crate::limits;

/// A security context, of one handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GssContext(pub u64);

/// A question about a context. It is the only one about it until it is answered, or the context is
/// ended.
pub struct AskGss {
    /// Which context. Its first step makes it.
    pub context: GssContext,
    /// What is to be done.
    pub step: GssStep,
}

/// What is to be done with a context.
pub enum GssStep {
    /// Begin it. A KDC may have to be asked, which takes its time.
    Initiate {
        /// Who we are.
        own: Arc<KerberosKey>,
        /// With whom.
        target: Principal,
    },
    /// Accept it. No KDC is asked.
    Accept {
        /// Who we are.
        own: Arc<KerberosKey>,
        /// The peer's first token.
        token: Vec<u8>,
    },
    /// Go on with the peer's next token.
    Continue(Vec<u8>),
    /// Encrypt and protect octets for the peer.
    Wrap(Vec<u8>),
    /// Open what the peer has wrapped.
    Unwrap(Vec<u8>),
}

/// What came of a step that succeeded.
#[derive(Clone, Debug)]
pub enum GssAnswer {
    /// Of beginning, accepting and going on.
    Token {
        /// For the peer; empty if it needs none.
        token: Vec<u8>,
        /// Who the peer has proven to be, once the context is complete.
        peer: Option<String>,
    },
    /// Of wrapping and opening.
    Octets(Vec<u8>),
}

/// The contexts that exist outside, each with the handshake that has it.
#[derive(Default)]
pub(crate) struct GssContexts {
    of: BTreeMap<GssContext, Handshake>,
    count: u64,
}

struct Handshake {
    ike: IkeSaId,
    until: Instant,
}

impl GssContexts {
    /// A context for a handshake; `None` when there are too many.
    pub(crate) fn begin(&mut self, ike: IkeSaId, now: Instant) -> Option<GssContext> {
        self.of.retain(|_, one| one.until > now);
        if self.of.len() >= limits::GSS_CONTEXTS {
            return None;
        }
        self.count += 1;
        let until = now + limits::GSS_LIFE;
        self.of
            .insert(GssContext(self.count), Handshake { ike, until });
        Some(GssContext(self.count))
    }

    /// Whose context it is.
    pub(crate) fn owner(&self, context: GssContext) -> Option<IkeSaId> {
        self.of.get(&context).map(|one| one.ike)
    }

    /// Takes one of a handshake that is not under way any more.
    pub(crate) fn take_unneeded(
        &mut self,
        under_way: impl Fn(IkeSaId) -> bool,
    ) -> Option<GssContext> {
        let mut all = self.of.iter();
        let (context, _) = all.find(|(_, one)| !under_way(one.ike))?;
        let context = *context;
        self.of.remove(&context);
        Some(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_have_a_bound_and_end_with_their_handshakes() {
        #[allow(clippy::disallowed_methods)]
        let now = Instant::now();
        let mut contexts = GssContexts::default();
        for number in 0..limits::GSS_CONTEXTS as u64 {
            let context = contexts.begin(IkeSaId(number), now).unwrap();
            assert_eq!(contexts.owner(context), Some(IkeSaId(number)));
        }
        assert_eq!(contexts.begin(IkeSaId(1000), now), None);
        assert_eq!(contexts.take_unneeded(|_| true), None);
        let ended = contexts.take_unneeded(|ike| ike != IkeSaId(3)).unwrap();
        assert_eq!((ended.0, contexts.owner(ended)), (4, None));
        assert!(contexts.begin(IkeSaId(1000), now).is_some());
        // What nobody has ended makes room in the end.
        assert_eq!(contexts.begin(IkeSaId(1001), now), None);
        let later = now + limits::GSS_LIFE;
        let context = contexts.begin(IkeSaId(1001), later).unwrap();
        assert_eq!(contexts.owner(context), Some(IkeSaId(1001)));
        assert_eq!(contexts.of.len(), 1);
    }
}
