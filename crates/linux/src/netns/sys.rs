//! unshare(2), setns(2), mount(2), prctl(2), and the steps of a program between fork and exec.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr;

use crate::sys::check;

/// Moves this thread into a network namespace.
pub(crate) fn enter(namespace: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: setns takes a descriptor and a flag and touches no memory of ours.
    check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) }).map(drop)
}

/// Moves this thread into a new network namespace and mounts that on `path`, a file.
pub(crate) fn pin_new_namespace(path: &Path) -> io::Result<()> {
    let target = c_string(path)?;
    // SAFETY: unshare takes a flag and touches no memory of ours.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
    mount(
        Some(c"/proc/thread-self/ns/net"),
        &target,
        None,
        libc::MS_BIND,
        None,
    )
}

/// Makes `directory` a shared mount, as `ip netns` does, so that names which are added and
/// removed later show in every mount namespace.
pub(crate) fn share_mount(directory: &Path) -> io::Result<()> {
    let target = c_string(directory)?;
    let share = || mount(None, &target, None, libc::MS_SHARED | libc::MS_REC, None);
    match share() {
        // It is no mount yet.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            mount(
                Some(&target),
                &target,
                None,
                libc::MS_BIND | libc::MS_REC,
                None,
            )?;
            share()
        }
        answer => answer,
    }
}

/// Unmounts what is mounted on `path`, also when it is in use.
pub(crate) fn unmount(path: &Path) -> io::Result<()> {
    let target = c_string(path)?;
    // SAFETY: `target` is a valid string that ends in NUL; the call keeps no pointer to it.
    check(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) }).map(drop)
}

/// What happens in a new process before its program starts, prepared so that nothing is
/// allocated there.
pub(crate) struct Steps {
    namespace: Option<File>,
    empty: Vec<CString>,
    bound: Vec<(CString, CString)>,
    death_signal: Option<i32>,
    parent: u32,
}

impl Steps {
    pub(crate) fn new(
        namespace: Option<File>,
        empty: &[PathBuf],
        bound: &[(PathBuf, PathBuf)],
        death_signal: Option<i32>,
    ) -> io::Result<Steps> {
        let pair = |(what, place): &(PathBuf, PathBuf)| Ok((c_string(what)?, c_string(place)?));
        Ok(Steps {
            namespace,
            empty: empty
                .iter()
                .map(|path| c_string(path))
                .collect::<io::Result<_>>()?,
            bound: bound.iter().map(pair).collect::<io::Result<_>>()?,
            death_signal,
            parent: std::process::id(),
        })
    }

    /// Only system calls: this runs in a forked process that may have had other threads.
    fn take(&self) -> io::Result<()> {
        if let Some(signal) = self.death_signal {
            // SAFETY: prctl with PR_SET_PDEATHSIG takes numbers only.
            check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal as libc::c_ulong) })?;
            if std::os::unix::process::parent_id() != self.parent {
                // The parent ended before the signal was asked for.
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
        if let Some(namespace) = &self.namespace {
            enter(namespace.as_fd())?;
        }
        if self.empty.is_empty() && self.bound.is_empty() {
            return Ok(());
        }
        // SAFETY: unshare takes a flag and touches no memory of ours.
        check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
        mount(None, c"/", None, libc::MS_PRIVATE | libc::MS_REC, None)?;
        for (what, place) in &self.bound {
            mount(Some(what), place, None, libc::MS_BIND | libc::MS_REC, None)?;
        }
        for place in &self.empty {
            mount(Some(c"tmpfs"), place, Some(c"tmpfs"), 0, Some(c"mode=0755"))?;
        }
        Ok(())
    }
}

/// Makes `command` take the steps before its program starts.
pub(crate) fn before_exec(command: &mut Command, steps: Steps) {
    // SAFETY: the closure makes system calls only: it takes no lock and allocates nothing
    // (`Steps::take` says so, and errors made from a number are plain values).
    unsafe { command.pre_exec(move || steps.take()) };
}

fn mount(
    what: Option<&CStr>,
    place: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    data: Option<&CStr>,
) -> io::Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: every pointer is null or a valid string that ends in NUL and outlives the call;
    // mount(2) allows null for each of those that may be absent here.
    let answer = unsafe {
        libc::mount(
            pointer(what),
            place.as_ptr(),
            pointer(kind),
            flags,
            pointer(data).cast::<libc::c_void>(),
        )
    };
    check(answer).map(drop)
}

fn c_string(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}
