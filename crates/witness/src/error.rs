//! Why a witness cannot start, and why it does not take a proposal: sentences.

use crate::limits::{ENDPOINTS_MAX, KEY_MAX, PROPOSALS_MAX, REQUEST_TIMEOUT, VALUE_MAX};
use std::fmt;
use std::path::PathBuf;

/// The witness cannot start: something in the settings has to be put right.
#[derive(Debug)]
pub enum Error {
    /// No endpoint, or too many.
    Endpoints(usize),
    /// An endpoint cannot be read.
    Endpoint {
        /// As it was written.
        text: String,
        /// What is wrong with it, and how it should look.
        why: &'static str,
    },
    /// The prefix is empty or leaves no room for a key.
    Prefix,
    /// The request timeout is out of bounds.
    Timeout,
    /// A PEM file cannot be used.
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// There is no runtime to run in.
    NoRuntime,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoints(count) => write!(
                f,
                "{count} endpoints of etcd are configured; list 1 to {ENDPOINTS_MAX}, best every \
                 member of the cluster"
            ),
            Self::Endpoint { text, why } => write!(f, "the etcd endpoint \"{text}\" {why}"),
            Self::Prefix => write!(
                f,
                "the prefix of keys in etcd must have 1 to {} octets; choose one that no other \
                 cluster uses, such as \"holdfast/site-a/\"",
                KEY_MAX / 2
            ),
            Self::Timeout => write!(
                f,
                "the request timeout must be between {:?} and {:?}; 2 seconds outlast an \
                 election of etcd",
                REQUEST_TIMEOUT.0, REQUEST_TIMEOUT.1
            ),
            Self::File { path, why } => write!(f, "{} cannot be used: {why}", path.display()),
            Self::NoRuntime => f.write_str(
                "the witness was started outside of a tokio runtime; that is the program's fault",
            ),
        }
    }
}

impl std::error::Error for Error {}

/// A proposal was not taken; it has no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The key is empty or, with the prefix, too long.
    Key,
    /// The value is too long.
    Value,
    /// Too many proposals have no outcome yet.
    Full,
    /// The news are no longer read, so that the witness has ended.
    Ended,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key => write!(
                f,
                "a key of etcd must not be empty, and have at most {KEY_MAX} octets with its prefix"
            ),
            Self::Value => write!(
                f,
                "a value for etcd must have at most {VALUE_MAX} octets; keep less in the witness"
            ),
            Self::Full => write!(
                f,
                "{PROPOSALS_MAX} proposals to etcd wait for their outcomes; propose again when \
                 some have come"
            ),
            Self::Ended => f.write_str("the witness has ended, since nobody reads its news"),
        }
    }
}

impl std::error::Error for Refused {}
