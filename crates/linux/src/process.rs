//! Signals to processes, by their id and never by name (kill(2)).

use std::io;

mod sys;

/// A signal to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// End at once; cannot be refused.
    Kill,
    /// End in an orderly way.
    Terminate,
    /// Ctrl-C.
    Interrupt,
    /// Read the configuration again, by custom.
    HangUp,
    /// Freeze; cannot be refused.
    Stop,
    /// Thaw.
    Continue,
    /// The first of the two signals without a fixed meaning.
    User1,
    /// The second of the two signals without a fixed meaning.
    User2,
}

impl Signal {
    /// The signal's number on this machine.
    pub fn number(self) -> i32 {
        match self {
            Signal::Kill => libc::SIGKILL,
            Signal::Terminate => libc::SIGTERM,
            Signal::Interrupt => libc::SIGINT,
            Signal::HangUp => libc::SIGHUP,
            Signal::Stop => libc::SIGSTOP,
            Signal::Continue => libc::SIGCONT,
            Signal::User1 => libc::SIGUSR1,
            Signal::User2 => libc::SIGUSR2,
        }
    }
}

/// Sends a signal to one process.
///
/// # Errors
/// `InvalidInput` for the ids that mean more than one process (0 and beyond `i32::MAX`);
/// `NotFound` (`ESRCH`) when there is no such process; `PermissionDenied`.
pub fn kill(pid: u32, signal: Signal) -> io::Result<()> {
    sys::kill(one(pid)?, signal.number())
}

/// Sends a signal to every process of a group, by the group's id.
///
/// # Errors
/// As [`kill`].
pub fn kill_group(group: u32, signal: Signal) -> io::Result<()> {
    sys::kill(-one(group)?, signal.number())
}

/// Whether a process with this id exists (a zombie does).
pub fn exists(pid: u32) -> bool {
    let answer = one(pid).and_then(|pid| sys::kill(pid, 0));
    match answer {
        Ok(()) => true,
        Err(error) => error.raw_os_error() == Some(libc::EPERM),
    }
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    sys::effective_user() == 0
}

/// kill(2) takes 0, 1 with a minus sign and negative ids for whole groups or for everyone: an
/// id that is not one process's is refused.
fn one(pid: u32) -> io::Result<i32> {
    match i32::try_from(pid) {
        Ok(pid) if pid > 1 => Ok(pid),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{pid} is not the id of one process that may be signalled"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn ends_one_process() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(exists(child.id()));
        kill(child.id(), Signal::Terminate).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
        assert!(!exists(child.id()));
        let error = kill(child.id(), Signal::Kill).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
    }

    #[test]
    fn refuses_ids_that_mean_everyone() {
        for pid in [0, 1, u32::MAX, 0x8000_0000] {
            let error = kill(pid, Signal::Continue).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{pid}");
            assert!(kill_group(pid, Signal::Continue).is_err());
        }
    }
}
