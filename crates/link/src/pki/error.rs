//! Why certificates cannot be made, installed or used: sentences. None holds a key.

use crate::limits::MAX_NAME;
use ::pki::FileError;
pub(crate) use ::pki::moment;
use std::fmt;
use std::path::PathBuf;

/// What went wrong with a cluster's certificates.
#[derive(Debug)]
pub enum Error {
    /// A text that is not a node's name.
    BadName(String),
    /// The system refuses a file or folder.
    File(FileError),
    /// This node has no identity yet.
    Missing {
        /// The file that is not there.
        path: PathBuf,
    },
    /// A private key that others can read.
    Open {
        /// Its file.
        path: PathBuf,
        /// The permissions, as `chmod` takes them.
        mode: u32,
    },
    /// The node has been given a certificate before.
    Exists {
        /// Its file.
        path: PathBuf,
        /// The node.
        name: String,
    },
    /// One of the authority's two files is there without the other.
    HalfAnAuthority {
        /// The one that is missing.
        missing: PathBuf,
    },
    /// The authority cannot vouch for anybody any more.
    AuthorityExpired {
        /// Its certificate.
        path: PathBuf,
        /// When it expired, in seconds since 1970.
        until: u64,
    },
    /// A certificate, or what belongs to it, cannot be used.
    Certificate {
        /// The file with the certificate.
        path: PathBuf,
        /// What is wrong with it.
        fault: Fault,
    },
    /// A key or certificate cannot be made.
    Making(String),
}

/// What is wrong with a certificate, its key or its authority.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file lacks something.
    NotPem(&'static str),
    /// The private key belongs to another certificate.
    KeyDoesNotFit,
    /// The certificate was not made by this authority.
    OtherAuthority,
    /// The certificate is another node's.
    WrongName {
        /// Whose it should be.
        expected: String,
        /// Whose it says it is; `None` when that cannot be read from it.
        found: Option<String>,
    },
    /// It expired at this time, in seconds since 1970.
    Expired(u64),
    /// It is valid from this time on, in seconds since 1970.
    NotYetValid(u64),
    /// Another reason, in the verifier's words.
    Unusable(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName(name) => {
                let text: String = name.chars().take(2 * MAX_NAME).collect();
                write!(
                    f,
                    "`{}` is not a node's name: use 1 to {MAX_NAME} letters, digits, `-`, `_` or \
                     `.`",
                    text.escape_debug()
                )
            }
            Self::File(error) => error.fmt(f),
            Self::Missing { path } => write!(
                f,
                "{} is missing, so that this node cannot prove to be a member: run `holdfast \
                 cluster init` on one node and `holdfast cluster join FILE` on this one",
                path.display()
            ),
            Self::Open { path, mode } => write!(
                f,
                "{} is a private key that others can read (mode {mode:04o}): run `chmod 600 {}`, \
                 and make a new one if it may have been read",
                path.display(),
                path.display()
            ),
            Self::Exists { path, name } => write!(
                f,
                "node `{name}` already has {}: ask for renewal to replace it, or leave the name \
                 out",
                path.display()
            ),
            Self::HalfAnAuthority { missing } => write!(
                f,
                "{} is missing while the authority's other file is there: bring it back, or \
                 remove both and run `holdfast cluster init` anew for all nodes",
                missing.display()
            ),
            Self::AuthorityExpired { path, until } => write!(
                f,
                "the authority in {} expired at {}: remove `ca.pem` and `ca.key` and run \
                 `holdfast cluster init` anew for all nodes, or correct this machine's clock",
                path.display(),
                moment(*until)
            ),
            Self::Certificate { path, fault } => {
                write!(
                    f,
                    "the certificate in {} cannot be used: {fault}",
                    path.display()
                )
            }
            Self::Making(why) => write!(f, "a key or certificate cannot be made: {why}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

/// What the authority's files have wrong; the remedies are a cluster's.
impl From<::pki::Error> for Error {
    fn from(error: ::pki::Error) -> Self {
        match error {
            ::pki::Error::File(error) => Self::File(error),
            ::pki::Error::HalfAnAuthority { missing } => Self::HalfAnAuthority { missing },
            ::pki::Error::Open { path, mode, .. } => Self::Open { path, mode },
            ::pki::Error::AuthorityExpired { path, until } => {
                Self::AuthorityExpired { path, until }
            }
            ::pki::Error::Unreadable { path, wanted } => Self::Certificate {
                path,
                fault: Fault::NotPem(wanted),
            },
            ::pki::Error::KeyDoesNotFit { path } => Self::Certificate {
                path,
                fault: Fault::KeyDoesNotFit,
            },
            other => Self::Making(other.to_string()),
        }
    }
}

/// What to do about most faults.
const AGAIN: &str = "run `holdfast cluster init` with renewal on the node that has the authority, \
                     and `holdfast cluster join FILE` on this one";

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPem(what) => write!(
                f,
                "there is no {what} in PEM form, so that it is damaged or another file; {AGAIN}"
            ),
            Self::KeyDoesNotFit => write!(f, "the private key is not the certificate's; {AGAIN}"),
            Self::OtherAuthority => write!(
                f,
                "it was made by another authority than the one beside it; {AGAIN}"
            ),
            Self::WrongName { expected, found } => {
                match found {
                    Some(found) => write!(f, "it is the identity of node `{found}`")?,
                    None => f.write_str("it is the identity of another node")?,
                }
                write!(
                    f,
                    ", not of `{expected}`; install `{expected}.join` here, or correct the name \
                     in the configuration"
                )
            }
            Self::Expired(until) => write!(
                f,
                "it expired at {}; {AGAIN}, or correct this machine's clock",
                moment(*until)
            ),
            Self::NotYetValid(from) => write!(
                f,
                "it is valid from {} on only; correct this machine's clock",
                moment(*from)
            ),
            Self::Unusable(why) => write!(f, "{why}; {AGAIN}"),
        }
    }
}
