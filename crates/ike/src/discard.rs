//! Why a datagram was refused while nothing changed, and how often.

use std::fmt;

/// Declares the reasons with their sentences, so that each is written once.
macro_rules! discards {
    ($($reason:ident: $sentence:literal,)*) => {
        /// A datagram was refused; no state changed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Discard {
            $(#[doc = $sentence] $reason,)*
        }

        impl Discard {
            /// Every reason, in the order of the counters.
            pub const ALL: &'static [Discard] = &[$(Discard::$reason,)*];

            /// The reason as one word.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Discard::$reason => stringify!($reason),)* }
            }
        }

        impl fmt::Display for Discard {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Discard::$reason => $sentence,)* })
            }
        }
    };
}

discards! {
    Malformed: "the octets are not an IKE message",
    InactiveAddress: "the local address is not active on this host",
    WrongVersion: "the version is not the one that the policy has for the peer",
    UnexpectedExchange: "the exchange does not belong to the state of the SA",
    UnexpectedPayloads: "the message lacks a payload that its exchange requires",
    UnknownSpi: "no IKE SA here has the SPI",
    WrongPeerSpi: "the SPI of the peer is not the one that the SA has",
    WrongDirection: "the flags say that we sent the message",
    MessageId: "the message id is outside the window",
    NotEncrypted: "the message must be encrypted and is not",
    AuthenticationFailed: "the checksum of the encrypted payload is wrong",
    Fragmented: "the message is a fragment, which was not negotiated",
    Fragment: "the fragment is here already, or of a message that is",
    NotTheSameRequest: "a request came again with other octets",
    NoMatchingRequest: "the response answers no request of ours",
    Cookie: "the cookie that was asked for is missing or wrong",
    PuzzleAsked: "a cookie was returned, and the puzzle that belongs to it was asked for",
    PuzzleUnsolved: "a puzzle was not solved, and others that solve none were served of late",
    PuzzleWrong: "what solves a puzzle does not solve ours",
    HalfOpenLimit: "too many handshakes of the same source are half-open",
    SaLimit: "too many IKE SAs exist",
    UnknownPeer: "no configured peer has the address",
    TooManyRestarts: "COOKIE or INVALID_KE_PAYLOAD came too often",
    CrashToken: "the crash token is not one that the peer gave us",
    MessageIdSync: "the message ids to go on from are not higher than before, or too high",
    SyncAnswer: "the answer is not to our last attempt to synchronise message ids",
    Ticket: "the session ticket is unknown, expired or used up",
    HintIgnored: "an unprotected notification that we do not act upon",
    StatusAwaited: "the message is here already, and waits for what OCSP says of a certificate",
    GssAwaited: "the message is here already, and waits for Kerberos",
    StatusQuestions: "too many OCSP responders were asked and have not answered",
    Redirect: "the redirection was not asked for, or does not repeat our nonce",
    RateLimited: "an answer was due and too many were given of late",
    KeyExchange: "the public value is not one of its group",
    Frozen: "no other member of the cluster could be told, so the IKE SA says nothing more",
    Busy: "the IKE SA is being closed",
}

/// One counter per [`Discard`].
#[derive(Clone, Debug)]
pub struct Discards([u64; Discard::ALL.len()]);

impl Default for Discards {
    fn default() -> Self {
        Discards([0; Discard::ALL.len()])
    }
}

impl Discards {
    /// How many datagrams were refused for this reason.
    #[must_use]
    pub fn get(&self, reason: Discard) -> u64 {
        self.0[reason as usize]
    }

    /// Every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Discard, u64)> + '_ {
        Discard::ALL
            .iter()
            .map(|reason| (*reason, self.get(*reason)))
    }

    /// All of them together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn count(&mut self, reason: Discard) {
        let counter = &mut self.0[reason as usize];
        *counter = counter.saturating_add(1);
    }
}
