//! A real Linux kernel with ESP, its root the host's own, read-only.

mod qemu;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use linux::process::{self, Signal};

use crate::folder;
use crate::program::spawn;
use crate::space::Space;

const INIT: &str = include_str!("guest/init.sh");
/// On an idle machine a boot takes 7 s.
const BOOT: Duration = Duration::from_secs(90);
const COMMAND: Duration = Duration::from_secs(30);

/// Where a guest is, and what it may write to.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) space: &'a Space,
    /// Its network device, `eth0` in the guest.
    pub(crate) tap: &'a str,
    /// For its own files.
    pub(crate) scratch: &'a Path,
    /// Folders that have the same paths and contents in the guest, and that it may write to.
    pub(crate) writable: &'a [&'a Path],
}

impl Site<'_> {
    fn shares(&self) -> String {
        let paths: Vec<_> = self
            .writable
            .iter()
            .map(|p| p.display().to_string())
            .collect();
        paths.join(":")
    }
}

/// A running guest.
pub(crate) struct Guest {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    said: Vec<String>,
    release: String,
    took: Duration,
    on: bool,
    /// How many commands were begun.
    commands: u64,
}

impl Guest {
    /// Boots a guest in QEMU, which emulates its processor: it runs wherever this does.
    pub(crate) fn boot(site: &Site<'_>) -> Result<Self, String> {
        let init = site.scratch.join("init.sh");
        folder::write(&init, INIT)?;
        std::fs::set_permissions(&init, std::fs::Permissions::from_mode(0o755))
            .map_err(|why| format!("{}: {why}", init.display()))?;
        Guest::start(site, qemu::command(site, &init)?)
    }

    fn start(site: &Site<'_>, mut command: Command) -> Result<Self, String> {
        let begun = Instant::now();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = spawn(&mut command, site.space.name(), &[])
            .map_err(|why| format!("QEMU cannot be started: {why}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the guest has no console".into());
        };
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if send.send(line.trim_end().to_owned()).is_err() {
                    break;
                }
            }
        });
        let mut guest = Guest {
            child,
            input,
            lines,
            said: Vec::new(),
            release: String::new(),
            took: Duration::ZERO,
            on: true,
            commands: 0,
        };
        guest.release = guest.until("HFI-READY ", BOOT)?;
        guest.took = begun.elapsed();
        guest.said.clear();
        Ok(guest)
    }

    /// How long it took to boot.
    pub(crate) fn took(&self) -> Duration {
        self.took
    }

    /// The kernel's release.
    pub(crate) fn release(&self) -> &str {
        &self.release
    }

    /// Runs a shell command and answers what it printed; it must succeed.
    pub(crate) fn run(&mut self, command: &str) -> Result<String, String> {
        self.begin(command)?;
        let status = self.until(&self.mark(), COMMAND)?;
        self.finish(command, &status)
    }

    /// Begins a shell command; [`Guest::ended`] tells when it is done.
    pub(crate) fn begin(&mut self, command: &str) -> Result<(), String> {
        self.said.clear();
        self.commands += 1;
        writeln!(self.input, "{} {command}", self.commands)
            .and_then(|()| self.input.flush())
            .map_err(|why| format!("the guest's console: {why}"))
    }

    /// What the command that was begun has printed, if it is done. Does not wait.
    pub(crate) fn ended(&mut self, command: &str) -> Option<Result<String, String>> {
        let mark = self.mark();
        while let Ok(line) = self.lines.try_recv() {
            match line.strip_prefix(&mark).map(str::to_owned) {
                Some(status) => return Some(self.finish(command, &status)),
                None => self.said.push(line),
            }
        }
        None
    }

    /// The kernel's counters of refused packets (`/proc/net/xfrm_stat`).
    pub(crate) fn refusals(&mut self) -> Result<Vec<(String, u64)>, String> {
        // Without a program: a fork costs a guest more than anything else.
        let command = "mapfile -t lines </proc/net/xfrm_stat; printf '%s\\n' \"${lines[@]}\"";
        let text = self.run(command)?;
        let counter = |line: &str| {
            let (name, count) = line.split_once(char::is_whitespace)?;
            Some((name.to_owned(), count.trim().parse().ok()?))
        };
        Ok(text.lines().filter_map(counter).collect())
    }

    /// Switches it off, without a warning.
    pub(crate) fn reset(&mut self) {
        if !std::mem::take(&mut self.on) {
            return;
        }
        // Its processes are processes of ours, in one group.
        let _ = process::kill_group(self.child.id(), Signal::Kill);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// What the line begins with that ends the last command.
    fn mark(&self) -> String {
        format!("HFI-DONE {} ", self.commands)
    }

    fn finish(&mut self, command: &str, status: &str) -> Result<String, String> {
        let said = std::mem::take(&mut self.said).join("\n");
        match status {
            "0" => Ok(said),
            _ => Err(format!(
                "`{command}` in the guest failed ({status}): {said}"
            )),
        }
    }

    /// Waits for a line that begins with `mark` and answers the rest of it.
    fn until(&mut self, mark: &str, patience: Duration) -> Result<String, String> {
        let end = Instant::now() + patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => match line.strip_prefix(mark) {
                    Some(rest) => return Ok(rest.to_owned()),
                    None => self.said.push(line),
                },
                Err(RecvTimeoutError::Timeout) => {
                    let said = self.said.join(" | ");
                    return Err(format!(
                        "the guest was silent for {patience:?}; before: {said}"
                    ));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("the guest ended: {}", self.said.join(" | ")));
                }
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.reset();
    }
}
