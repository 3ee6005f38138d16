//! Why the lab could not run: one sentence per cause, with what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// The lab could not be built or did not get to its measurement.
///
/// A scenario that ran and missed its goal is no `Error`: the report says so.
#[derive(Debug)]
pub enum Error {
    /// Network namespaces need root.
    NotRoot,
    /// Another lab is running; the number is its process id, if it could be read.
    Busy(Option<u32>),
    /// The user pressed Ctrl-C or sent SIGTERM; everything was cleaned up.
    Interrupted,
    /// The kernel refused something.
    Kernel {
        /// What the lab was doing, as the object of "cannot".
        doing: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A step of the set-up failed in the kernel.
    Linux(linux::Error),
    /// A file or folder of the results could not be written or read.
    File {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A program that the lab started did not do its part.
    Program {
        /// The program, as its user knows it.
        name: String,
        /// What it did instead, and where its log is.
        detail: String,
    },
    /// `--setup` could not install what is missing.
    Setup(String),
    /// The arguments of a lab service do not fit.
    Usage(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotRoot => f.write_str(
                "the lab makes network namespaces, which only root may do; run it with sudo",
            ),
            Error::Busy(Some(pid)) => write!(
                f,
                "another lab is running as process {pid}; wait for it or end it, then try again"
            ),
            Error::Busy(None) => {
                f.write_str("another lab is running; wait for it or end it, then try again")
            }
            Error::Interrupted => f.write_str("interrupted; the lab was taken down"),
            Error::Linux(error) => error.fmt(f),
            Error::Kernel { doing, source } => write!(f, "cannot {doing}: {source}"),
            Error::File { path, source } => {
                write!(
                    f,
                    "cannot use {}: {source}; check the path and its rights",
                    path.display()
                )
            }
            Error::Program { name, detail } => write!(f, "{name} {detail}"),
            Error::Setup(text) | Error::Usage(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Linux(error) => error.source(),
            Error::Kernel { source, .. } | Error::File { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<linux::Error> for Error {
    fn from(error: linux::Error) -> Self {
        Error::Linux(error)
    }
}

/// Turns an I/O error into [`Error::Kernel`] with what was being done.
pub(crate) fn kernel(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    let doing = doing.into();
    move |source| Error::Kernel { doing, source }
}

/// Turns an I/O error into [`Error::File`] with the path.
pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
    let path = path.into();
    move |source| Error::File { path, source }
}
