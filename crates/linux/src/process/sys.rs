//! kill(2), signal(2), geteuid(2) and sched_setscheduler(2).
#![allow(unsafe_code)]

use std::io;

use crate::sys::check;

/// kill(2) as it is; the caller has judged the id.
pub(crate) fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill takes two numbers and touches no memory of ours.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// signal(2) with SIG_IGN.
pub(crate) fn ignore(signal: i32) -> io::Result<()> {
    // SAFETY: no handler of ours is installed, so nothing of ours is ever called by a signal.
    match unsafe { libc::signal(signal, libc::SIG_IGN) } {
        libc::SIG_ERR => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The effective user id of this process.
pub(crate) fn effective_user() -> u32 {
    // SAFETY: geteuid always succeeds and touches no memory of ours.
    unsafe { libc::geteuid() }
}

/// Puts the calling thread into the round-robin class; what it starts is not in it.
pub(crate) fn set_round_robin(priority: i32) -> io::Result<()> {
    // SAFETY: `sched_param` is a plain C struct for which all-zero bytes are a valid value.
    let mut parameter: libc::sched_param = unsafe { std::mem::zeroed() };
    parameter.sched_priority = priority;
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // SAFETY: 0 is the calling thread, and the kernel only reads the parameter.
    check(unsafe { libc::sched_setscheduler(0, policy, &parameter) }).map(drop)
}
