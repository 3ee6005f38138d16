//! Programs that run beside us: started in a namespace, logged, ended by their id.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use linux::netns::{self, Surroundings};
use linux::process::{self, Signal};

/// How long a program may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// One running program.
pub(crate) struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts it in a namespace, its words in `folder/NAME.log`, with directories of its own in
    /// the place of `empty`. It ends when this thread does.
    pub(crate) fn start(
        name: &str,
        namespace: &str,
        folder: &Path,
        empty: &[&str],
        mut command: Command,
    ) -> Result<Self, String> {
        let log = folder.join(format!("{name}.log"));
        let open = || -> std::io::Result<(File, File)> {
            let file = File::options().create(true).append(true).open(&log)?;
            Ok((file.try_clone()?, file))
        };
        let (words, errors) = open().map_err(|why| format!("{}: {why}", log.display()))?;
        command.stdin(Stdio::null()).stdout(words).stderr(errors);
        let child = spawn(&mut command, namespace, empty)
            .map_err(|why| format!("{name} cannot be started: {why}"))?;
        Ok(Program {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready` holds; fails when the program ends first.
    pub(crate) fn until(
        &mut self,
        patience: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), String> {
        let begun = Instant::now();
        while !ready() {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!(
                    "{} ended ({status}): {}",
                    self.name,
                    self.last_words()
                ));
            }
            if begun.elapsed() > patience {
                let seconds = patience.as_secs();
                return Err(format!(
                    "{} was not ready within {seconds} s: {}",
                    self.name,
                    self.last_words()
                ));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Whether it still runs.
    pub(crate) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Everything it has said.
    pub(crate) fn words(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it at once, as a crash does.
    pub(crate) fn crash(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn last_words(&self) -> String {
        let words = self.words();
        let lines: Vec<&str> = words.lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for Program {
    /// Ends it in order, and by force when it takes too long.
    fn drop(&mut self) {
        if !self.lives() {
            return;
        }
        let _ = process::kill(self.child.id(), Signal::Terminate);
        let begun = Instant::now();
        while self.lives() && begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a command in a namespace, in a process group of its own.
pub(crate) fn spawn(
    command: &mut Command,
    namespace: &str,
    empty: &[&str],
) -> Result<Child, String> {
    let surroundings = Surroundings {
        namespace: Some(namespace.to_owned()),
        empty: empty.iter().map(PathBuf::from).collect(),
        death_signal: Some(Signal::Kill),
        ..Surroundings::default()
    };
    netns::surround(command.process_group(0), &surroundings).map_err(|why| why.to_string())?;
    command.spawn().map_err(|why| why.to_string())
}

/// Waits until `holds`, looking every few milliseconds. Answers how long it took.
pub(crate) fn wait_for(patience: Duration, mut holds: impl FnMut() -> bool) -> Option<Duration> {
    let begun = Instant::now();
    loop {
        if holds() {
            return Some(begun.elapsed());
        }
        if begun.elapsed() > patience {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
