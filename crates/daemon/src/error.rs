//! Why the daemon cannot start, or has to stop: sentences.

use std::fmt;
use std::path::PathBuf;

/// The daemon cannot run.
#[derive(Debug)]
pub enum Error {
    /// The configuration is wrong; the text shows every fault with its place and remedy.
    Configuration(String),
    /// A file or folder cannot be used.
    File {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The kernel refuses.
    Kernel(linux::Error),
    /// A self-test of the cryptography failed: nothing it computes could be trusted.
    SelfTest(String),
    /// The data plane has ended.
    Plane(String),
    /// The cluster's configuration contradicts itself.
    Cluster(cluster::ConfigError),
    /// This node has no certificate for the links to the other members.
    Certificates(link::pki::Error),
    /// The links to the other members cannot be made.
    Link(link::Error),
    /// The witness cannot be used.
    Witness(witness::Error),
    /// Another daemon, or the guard of one, has this host's turn; this file says so.
    Guarded(PathBuf),
    /// The runtime of the control plane cannot start.
    Runtime(std::io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(text) => f.write_str(text),
            Self::File { path, source } => {
                write!(f, "{} cannot be used: {source}", path.display())
            }
            Self::Kernel(error) => error.fmt(f),
            Self::SelfTest(why) => write!(
                f,
                "the self-test of the cryptography failed ({why}); do not use this machine or build"
            ),
            Self::Plane(why) => write!(
                f,
                "{why}; protected traffic stays blocked until the daemon runs again"
            ),
            Self::Cluster(error) => error.fmt(f),
            Self::Certificates(error) => write!(
                f,
                "takeover = \"replicate\" needs a certificate for the links between the nodes: \
                 {error}"
            ),
            Self::Link(error) => error.fmt(f),
            Self::Witness(error) => error.fmt(f),
            Self::Guarded(path) => write!(
                f,
                "another daemon with this `run_dir`, or what cleans up behind one that died, keeps \
                 {}; `fuser` names it",
                path.display()
            ),
            Self::Runtime(error) => write!(f, "the control plane cannot start: {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<linux::Error> for Error {
    fn from(error: linux::Error) -> Self {
        Self::Kernel(error)
    }
}
