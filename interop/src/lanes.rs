//! Verbs of `all` that mostly wait, several at once: each is a process whose namespaces nobody else
//! sees.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

/// How many verbs run at once: two cores bear that.
const LANES: usize = 2;

/// Where namespaces have their names.
const NAMES: &str = "/run/netns";

/// In the environment of a verb whose caller holds the lock.
const HELD: &str = "HOLDFAST_INTEROP_LANE";

/// Whether this process is one of several that [`run`] started.
pub(crate) fn is_one() -> bool {
    std::env::var_os(HELD).is_some()
}

/// Runs verbs, the first ones first, and answers which failed. What one printed comes out when it
/// has ended.
pub(crate) fn run(verbs: &[&str], out: &Path) -> Vec<String> {
    let queue: Mutex<VecDeque<&str>> = Mutex::new(verbs.iter().copied().collect());
    let failed = Mutex::new(Vec::new());
    let next = || queue.lock().ok()?.pop_front();
    let work = || {
        while let Some(verb) = next() {
            if let (Err(why), Ok(mut failed)) = (one(verb, out), failed.lock()) {
                failed.push(why);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(work);
        }
    });
    failed.into_inner().unwrap_or_default()
}

/// Runs one verb with names of namespaces of its own.
fn one(verb: &str, out: &Path) -> Result<(), String> {
    let text = |why: std::io::Error| format!("interop {verb} cannot be started: {why}");
    fs::create_dir_all(NAMES).map_err(text)?;
    let own = std::env::current_exe().map_err(text)?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--", "sh", "-c"]);
    command.arg(format!(
        "mount -t tmpfs names {NAMES} && exec \"$0\" \"$@\""
    ));
    command.arg(own).arg(verb).arg("--out").arg(out);
    command.env(HELD, "1").stdin(Stdio::null());
    let output = command.output().map_err(text)?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("interop {verb}: {}", said.trim()))
        }
    }
}
