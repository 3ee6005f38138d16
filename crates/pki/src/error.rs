//! Why a certificate or what belongs to it cannot be made or read: sentences. None holds a key.

use crate::limits::{MAX_IDENTITIES, MAX_NAME};
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

/// The system refuses a file or folder.
#[derive(Debug)]
pub struct FileError {
    /// Which.
    pub path: PathBuf,
    /// The system's answer.
    pub source: std::io::Error,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be used: {}", self.path.display(), self.source)
    }
}

impl std::error::Error for FileError {}

/// What went wrong.
#[derive(Debug)]
pub enum Error {
    /// The system refuses a file or folder.
    File(FileError),
    /// What was to be made is there already.
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A text that cannot be a name of an authority or of files.
    BadName {
        /// The text.
        text: String,
        /// What it should have been.
        wanted: &'static str,
    },
    /// A text that cannot be an identity in a certificate.
    BadIdentity {
        /// The text.
        text: String,
        /// Why not.
        reason: &'static str,
    },
    /// None, or more than anybody reads.
    Identities(usize),
    /// There is no authority in the folder.
    NoAuthority {
        /// The folder.
        folder: PathBuf,
    },
    /// One of the authority's two files is there without the other.
    HalfAnAuthority {
        /// The one that is missing.
        missing: PathBuf,
    },
    /// The authority's certificate does not let it sign certificates.
    NotAnAuthority {
        /// Its certificate.
        path: PathBuf,
    },
    /// The authority cannot vouch for anybody any more.
    AuthorityExpired {
        /// Its certificate.
        path: PathBuf,
        /// When it expired, in seconds since 1970.
        until: u64,
    },
    /// The authority of a cluster's links must not vouch for peers.
    ClusterAuthority {
        /// Its certificate.
        path: PathBuf,
    },
    /// A secret that others can read.
    Open {
        /// Its file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
        /// The permissions, as `chmod` takes them.
        mode: u32,
    },
    /// A file does not hold what it should.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
    },
    /// The private key belongs to another certificate.
    KeyDoesNotFit {
        /// The certificate's file.
        path: PathBuf,
    },
    /// The certificate was signed by somebody else.
    OtherAuthority {
        /// The certificate's file.
        path: PathBuf,
    },
    /// A password file without a password.
    NoPassword {
        /// The file.
        path: PathBuf,
    },
    /// A key, certificate or list cannot be made.
    Making(String),
}

impl Error {
    pub(crate) fn making(error: impl fmt::Display) -> Self {
        Self::Making(error.to_string())
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

/// A moment, as RFC 3339 has it.
#[must_use]
pub fn moment(seconds: u64) -> String {
    // The year 9999 is the last one that a certificate, and this format, can name.
    let seconds = Duration::from_secs(seconds.min(253_402_300_799));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + seconds).to_string()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Exists { path } => write!(
                f,
                "{} is there already, and nothing is ever overwritten: choose another name, or \
                 move it away if nobody uses it",
                path.display()
            ),
            Self::BadName { text, wanted } => {
                let text: String = text.chars().take(2 * MAX_NAME).collect();
                write!(
                    f,
                    "`{}` cannot be used as a name: {wanted}",
                    text.escape_debug()
                )
            }
            Self::BadIdentity { text, reason } => write!(
                f,
                "`{}` cannot be an identity: {reason}",
                text.escape_debug()
            ),
            Self::Identities(0) => f.write_str(
                "a certificate without an identity is of no use to a peer (RFC 4945): name one \
                 with --id, such as mail.example.org or 10.0.0.100",
            ),
            Self::Identities(count) => write!(
                f,
                "{count} identities are too many for one certificate: give it at most \
                 {MAX_IDENTITIES}"
            ),
            Self::Making(why) => write!(f, "a key, certificate or list cannot be made: {why}"),
            _ => self.of_a_file(f),
        }
    }
}

impl Error {
    /// The sentences about files that are there and do not serve.
    fn of_a_file(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAuthority { folder } => write!(
                f,
                "there is no authority in {}: make one with `holdfast pki ca --name NAME {}`, or \
                 put its certificate there as ca.pem and its private key as ca.key",
                folder.display(),
                folder.display()
            ),
            Self::HalfAnAuthority { missing } => write!(
                f,
                "{} is missing while the authority's other file is there: bring it back",
                missing.display()
            ),
            Self::NotAnAuthority { path } => write!(
                f,
                "the certificate in {} may not sign others (basicConstraints or keyUsage forbid \
                 it): use an authority's",
                path.display()
            ),
            Self::AuthorityExpired { path, until } => write!(
                f,
                "the authority in {} expired at {}: make a new one in another folder and give its \
                 certificate to all, or correct this machine's clock",
                path.display(),
                moment(*until)
            ),
            Self::ClusterAuthority { path } => write!(
                f,
                "the authority in {} proves who is a member of the cluster, and nobody else: make \
                 another one for peers, with `holdfast pki ca --name NAME DIR`",
                path.display()
            ),
            Self::Open { path, what, mode } => write!(
                f,
                "{} is a {what} that others can read (mode {mode:04o}): run `chmod 600 {}`, and \
                 make a new one if it may have been read",
                path.display(),
                path.display()
            ),
            Self::Unreadable { path, wanted } => write!(
                f,
                "there is no {wanted} in {}, so that it is damaged or another file",
                path.display()
            ),
            Self::KeyDoesNotFit { path } => write!(
                f,
                "the private key is not that of the certificate in {}: bring back the two that \
                 belong together",
                path.display()
            ),
            Self::OtherAuthority { path } => write!(
                f,
                "the certificate in {} was not signed by this authority: name the folder of the \
                 one that did with --ca",
                path.display()
            ),
            Self::NoPassword { path } => write!(
                f,
                "there is no password in {}: put one line into it, for example with `holdfast \
                 psk`",
                path.display()
            ),
            _ => f.write_str("it cannot be done"),
        }
    }
}

impl std::error::Error for Error {}
