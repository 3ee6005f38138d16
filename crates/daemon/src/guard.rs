//! The guard, a small process that outlives the daemon: should the daemon die, it takes the virtual
//! addresses off this host, which would go on answering for them, and tells the other members.
//!
//! It learns of the death by the end of a pipe, which the kernel closes when the last thread of the
//! daemon is gone. What it is to send is sealed beforehand, good for the daemon's present life
//! alone, and lies in memory only. The fail-closed rules stay as they are.

mod process;

pub use process::guard;

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{PipeWriter, Write};
use std::mem::ManuallyDrop;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::sync::mpsc;

/// The hidden verb of the binary.
pub const GUARD_VERB: &str = "guard";

/// How long a daemon waits for the guard of one that has just died: a guard acts for some 15 ms.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pause before a guard that has ended is replaced: one that cannot run is not tried all the time.
const PAUSE: Duration = Duration::from_secs(1);

/// A line of the pipe.
#[derive(Serialize, Deserialize)]
enum Order {
    /// This is to be done at the end of the pipe, instead of what was said before.
    Watch(Will),
    /// Nothing is to be done: the daemon ends in good order.
    Dismiss,
}

/// What is to be done when the daemon has died.
#[derive(Serialize, Deserialize)]
pub(crate) struct Will {
    /// Interface, address and prefix length of everything that must not stay.
    pub(crate) addresses: Vec<(String, IpAddr, u8)>,
    /// The port of the heartbeats, and the mark of what goes around the data plane.
    pub(crate) port: u16,
    pub(crate) mark: u32,
    /// Who gets the farewell.
    pub(crate) to: Vec<SocketAddr>,
    pub(crate) farewell: Vec<u8>,
}

/// The daemon's end.
pub(crate) struct Guard {
    /// Closed by the kernel only, or a daemon that unwinds would be taken for dead while its other
    /// threads still send.
    orders: ManuallyDrop<PipeWriter>,
}

/// The right to speak for this host's addresses, which a guard keeps as long as it lives: a daemon
/// that starts waits until the guard of the one before is done.
pub(crate) struct Turn {
    path: PathBuf,
    file: File,
}

impl Turn {
    /// Waits for it.
    ///
    /// # Errors
    /// When the file cannot be made, or somebody else keeps it.
    pub(crate) fn wait(run_dir: &Path) -> Result<Self, Error> {
        let path = run_dir.join("guard.lock");
        let failed = |source| Error::File {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(run_dir).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.open(&path).map_err(failed)?;
        let until = Instant::now() + PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { path, file }),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
                Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                    return Err(Error::Guarded(path));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Guard {
    /// Starts a guard, which takes the turn. When it ends, a sentence comes through `ended`, with
    /// a pause.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(turn: Turn, ended: mpsc::Sender<String>) -> Result<Self, Error> {
        let failed = |source| Error::File {
            path: turn.path.clone(),
            source,
        };
        let (reader, orders) = std::io::pipe().map_err(failed)?;
        // This very program, also when its file has been replaced since.
        let mut command = Command::new("/proc/self/exe");
        command
            .arg(GUARD_VERB)
            .stdin(Stdio::from(reader))
            .stdout(Stdio::from(turn.file.try_clone().map_err(failed)?))
            .process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        tokio::spawn(async move {
            let text = match child.wait().await {
                Ok(status) => format!("the guard of this daemon ended ({status})"),
                Err(error) => format!("the guard of this daemon is lost: {error}"),
            };
            tokio::time::sleep(PAUSE).await;
            let _ = ended.send(text).await;
        });
        let orders = ManuallyDrop::new(orders);
        Ok(Self { orders })
    }

    /// Says what is to be done from now on.
    ///
    /// # Errors
    /// When the guard is no more.
    pub(crate) fn watch(&mut self, will: Will) -> std::io::Result<()> {
        self.order(&Order::Watch(will))
    }

    /// The daemon ends in good order.
    pub(crate) fn dismiss(mut self) {
        let _ = self.order(&Order::Dismiss);
    }

    fn order(&mut self, order: &Order) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        // One write of less than a pipe holds: the guard reads at once.
        self.orders.write_all(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_has_the_turn() {
        let folder = std::env::temp_dir().join(format!("holdfast-turn-{}", std::process::id()));
        let first = Turn::wait(&folder).unwrap();
        let waits = std::thread::spawn({
            let folder = folder.clone();
            move || Turn::wait(&folder).map(|_| Instant::now())
        });
        std::thread::sleep(Duration::from_millis(50));
        let released = Instant::now();
        drop(first);
        assert!(waits.join().unwrap().unwrap() >= released);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
