//! A real Linux kernel with ESP: user-mode-linux, its root the host's own, read-only.

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

/// Debian's kernel, of the package `user-mode-linux`.
const KERNEL: &str = "linux.uml";
const INIT: &str = include_str!("init.sh");
/// A boot takes 3 s on an idle machine.
const BOOT: Duration = Duration::from_secs(60);
const COMMAND: Duration = Duration::from_secs(20);

/// A running guest.
pub(crate) struct Guest {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    said: Vec<String>,
    release: String,
    /// How many commands were begun.
    commands: u64,
}

impl Guest {
    /// Boots a guest on a tap of a namespace. Its files lie in `scratch`.
    pub(crate) fn boot(space: &Space, tap: &str, scratch: &Path) -> Result<Self, String> {
        let init = scratch.join("init.sh");
        folder::write(&init, INIT)?;
        std::fs::set_permissions(&init, std::fs::Permissions::from_mode(0o755))
            .map_err(|why| format!("{}: {why}", init.display()))?;
        let mut command = Command::new(KERNEL);
        command
            .args([
                "umid=guest",
                "mem=192M",
                "root=/dev/root",
                "rootfstype=hostfs",
            ])
            .args([
                "rootflags=/",
                "ro",
                "con=null",
                "con0=fd:0,fd:1",
                "ssl=null",
                "quiet",
            ])
            .arg(format!("init={}", init.display()))
            .arg(format!("vec0:transport=tap,ifname={tap},depth=64,gro=1"))
            .env("HOME", scratch)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = spawn(&mut command, space.name(), &[])
            .map_err(|why| format!("{KERNEL} cannot be started: {why}"))?;
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
            commands: 0,
        };
        guest.release = guest.until("HFI-READY ", BOOT)?;
        guest.said.clear();
        Ok(guest)
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
    /// The guest's processes are processes of ours, in one group.
    fn drop(&mut self) {
        let _ = process::kill_group(self.child.id(), Signal::Kill);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
