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

/// Lets a signal pass without effect on this process; [`Signal::Kill`] and [`Signal::Stop`] cannot
/// be ignored. What this process starts ignores it as well.
///
/// # Errors
/// `InvalidInput` for those two.
pub fn ignore(signal: Signal) -> io::Result<()> {
    sys::ignore(signal.number())
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

/// Lets the calling thread run before every thread of ordinary priority, in the lowest real-time
/// class (sched(7)): for a thread that does little, and must do it on time. What the thread starts
/// is ordinary again.
///
/// # Errors
/// CAP_SYS_NICE is missing, or the kernel has no real-time share for this process.
pub fn run_first() -> io::Result<()> {
    sys::set_round_robin(1)
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
    fn a_thread_that_runs_first_starts_ordinary_ones() {
        let class = || {
            let line = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let fields: Vec<String> = line.split(' ').map(str::to_owned).collect();
            // Field 41 is the policy: 0 ordinary, 2 round-robin.
            fields[40].clone()
        };
        let seen = std::thread::spawn(move || {
            if let Err(error) = run_first() {
                eprintln!("NOT RUN: {error}");
                return None;
            }
            let child = std::thread::spawn(class).join().unwrap();
            Some((class(), child))
        });
        if let Some((own, child)) = seen.join().unwrap() {
            assert_eq!((own.as_str(), child.as_str()), ("2", "0"));
        }
    }

    #[test]
    fn an_ignored_signal_has_no_effect() {
        ignore(Signal::User2).unwrap();
        kill(std::process::id(), Signal::User2).unwrap();
        assert!(ignore(Signal::Kill).is_err());
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
