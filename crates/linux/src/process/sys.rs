//! kill(2) and geteuid(2).
#![allow(unsafe_code)]

use std::io;

use crate::sys::check;

/// kill(2) as it is; the caller has judged the id.
pub(crate) fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill takes two numbers and touches no memory of ours.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// The effective user id of this process.
pub(crate) fn effective_user() -> u32 {
    // SAFETY: geteuid always succeeds and touches no memory of ours.
    unsafe { libc::geteuid() }
}
