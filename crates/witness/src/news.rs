//! What a witness tells.

use std::fmt;

/// What happened. States come in the order of their revisions, except that all of them come once
/// more, in that order, when the watch begins again; an outcome may come before or after the state
/// that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// What stands under a key now: all of them at the start and whenever the watch has begun
    /// again, then each change.
    State {
        /// Without the prefix.
        key: String,
        /// At most [`crate::limits::VALUE_MAX`] octets.
        value: Vec<u8>,
        /// What the next proposal for this key has to expect.
        revision: u64,
    },
    /// Somebody has removed the key: the next proposal has to expect 0.
    Gone {
        /// Without the prefix.
        key: String,
        /// The revision at which it was seen to be gone.
        revision: u64,
    },
    /// What became of a proposal. Exactly one for each that was taken.
    Outcome {
        /// As it was proposed.
        tag: u64,
        /// As it was proposed.
        key: String,
        /// The revision at which the value stands.
        result: Result<u64, NotDone>,
    },
    /// A majority of etcd answers, and every change reaches us. At the start it follows the states
    /// that stand.
    Reachable,
    /// No majority of etcd answers, or changes do not reach us; a sentence says why and what to do.
    Unreachable(String),
}

/// Why a proposal has no success to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotDone {
    /// Another value stands. (If ours had to be sent twice, it may have stood for a moment.)
    Conflict {
        /// Its octets and revision; nothing if the key does not exist.
        current: Option<(Vec<u8>, u64)>,
    },
    /// It was sent and not answered: it may have happened, or may still happen. Everything is read
    /// again at once; the states that follow tell what stands.
    Unknown(String),
    /// It has not happened and will not; a sentence says why and what to do.
    Unavailable(String),
}

impl fmt::Display for NotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict {
                current: Some((_, revision)),
            } => write!(
                f,
                "another value stands, of revision {revision}; look at it before proposing again"
            ),
            Self::Conflict { current: None } => {
                f.write_str("the key does not exist (any more); propose with revision 0 to make it")
            }
            Self::Unknown(why) => write!(f, "it may or may not have happened: {why}"),
            Self::Unavailable(why) => write!(f, "it has not happened: {why}"),
        }
    }
}
