//! Finding and removing what carries the lab's prefix: namespaces, and the processes in them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use linux::netns;
use linux::process::{self, Signal};

use crate::addresses::{PREFIX, STATE};
use crate::error::{Error, file};

/// How long killed processes may take to vanish.
const PATIENCE: Duration = Duration::from_secs(5);

/// Kills every process in the lab's namespaces, removes the namespaces and the state folder.
/// Answers how many namespaces there were.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn remove() -> Result<usize, Error> {
    let mut names = netns::list()?;
    names.retain(|name| name.starts_with(PREFIX));
    for name in &names {
        kill_all(name)?;
    }
    for name in &names {
        wait_for_end(name)?;
        netns::delete(name)?;
    }
    match fs::remove_dir_all(STATE) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file(STATE)(error)),
        _ => Ok(names.len()),
    }
}

/// Sends SIGKILL to every process in a namespace, by its id.
///
/// # Errors
/// When the kernel refuses; a process that ended meanwhile is no error.
pub(crate) fn kill_all(namespace: &str) -> Result<(), Error> {
    for pid in processes(namespace)? {
        // Gone since it was listed: nothing to do.
        let _ = process::kill(pid, Signal::Kill);
    }
    Ok(())
}

/// Waits until no process is left in a namespace; new ones (forked meanwhile) are killed too.
fn wait_for_end(namespace: &str) -> Result<(), Error> {
    let end = Instant::now() + PATIENCE;
    loop {
        let left = processes(namespace)?;
        if left.is_empty() || Instant::now() > end {
            return Ok(());
        }
        for pid in left {
            let _ = process::kill(pid, Signal::Kill);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The ids of the processes whose network namespace has this name; never this process's own.
///
/// # Errors
/// When `/proc` cannot be read.
pub(crate) fn processes(namespace: &str) -> Result<Vec<u32>, Error> {
    // No namespace, no processes.
    let Ok(open) = netns::open(namespace) else {
        return Ok(Vec::new());
    };
    let metadata = open
        .metadata()
        .map_err(file(format!("/run/netns/{namespace}")))?;
    let link = format!("net:[{}]", metadata.ino());
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc").map_err(file("/proc"))? {
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        // A zombie has no namespace any more, so it is not found: that is what is wanted.
        let own = fs::read_link(entry.path().join("ns/net"));
        if pid != std::process::id() && own.is_ok_and(|own| own == Path::new(&link)) {
            pids.push(pid);
        }
    }
    Ok(pids)
}
