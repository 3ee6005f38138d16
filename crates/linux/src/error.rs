//! What can go wrong while something is set up, as a sentence: what, why, what to do.

use std::fmt;
use std::io;

/// A set-up step that failed.
///
/// Displays as one sentence: what was tried, the kernel's reason (with its own extended text
/// where it gave one) and what to do about it where that is known.
#[derive(Debug)]
pub struct Error {
    what: String,
    why: io::Error,
    detail: Option<String>,
    remedy: Option<String>,
}

impl Error {
    /// `what` completes "cannot ...": `"add the address 192.0.2.1/24 to eth0"`.
    pub(crate) fn new(what: impl Into<String>, why: io::Error) -> Error {
        let remedy = matches!(why.raw_os_error(), Some(libc::EPERM | libc::EACCES))
            .then(|| "run it as root (CAP_NET_ADMIN)".to_string());
        Error {
            what: what.into(),
            why,
            detail: None,
            remedy,
        }
    }

    /// An error of our own rather than of the kernel.
    pub fn other(what: impl Into<String>, why: impl Into<String>) -> Error {
        Error::new(what, io::Error::other(why.into()))
    }

    /// Adds the kernel's own explanation (netlink extended acknowledgement, `nft`'s output).
    pub(crate) fn with_detail(mut self, detail: Option<String>) -> Error {
        self.detail = detail.filter(|text| !text.trim().is_empty());
        self
    }

    /// Adds what to do about it.
    pub(crate) fn with_remedy(mut self, remedy: impl Into<String>) -> Error {
        self.remedy = Some(remedy.into());
        self
    }

    /// The kernel's error number, when the kernel refused.
    pub fn os_error(&self) -> Option<i32> {
        self.why.raw_os_error()
    }

    /// The kind of the failure, as the standard library names it.
    pub fn kind(&self) -> io::ErrorKind {
        self.why.kind()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.what, self.why)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {}", detail.trim())?;
        }
        if let Some(remedy) = &self.remedy {
            write!(f, "; {remedy}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.why)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_sentence_with_reason_detail_and_remedy() {
        let why = io::Error::from_raw_os_error(libc::EPERM);
        let error = Error::new("add the route default", why).with_detail(Some("no\n".into()));
        assert_eq!(
            error.to_string(),
            "cannot add the route default: Operation not permitted (os error 1): no; \
             run it as root (CAP_NET_ADMIN)"
        );
        assert_eq!(error.os_error(), Some(libc::EPERM));
    }
}
