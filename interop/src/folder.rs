//! Folders: one for the results of each verb, and one for sockets, whose paths must be short.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Held while the harness runs: two of them would meet in their namespaces.
pub(crate) struct Lock {
    _file: fs::File,
}

impl Lock {
    /// Takes it. The kernel gives it back when the process ends.
    pub(crate) fn take() -> Result<Self, String> {
        let path = "/run/hfi.lock";
        let file =
            fs::File::create(path).map_err(|why| format!("{path}: {why}; run it as root"))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(fs::TryLockError::WouldBlock) => {
                Err("another `interop` runs: wait until it has ended".into())
            }
            Err(fs::TryLockError::Error(why)) => Err(format!("{path}: {why}")),
        }
    }
}

/// Makes the empty result folder of a verb and answers its whole path.
pub(crate) fn results(out: &Path, verb: &str) -> Result<PathBuf, String> {
    let folder = out.join(verb);
    let make = || {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        folder.canonicalize()
    };
    make().map_err(|why| format!("cannot make the folder {}: {why}", folder.display()))
}

/// Makes a folder, and those above it.
pub(crate) fn make(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|why| format!("cannot make {}: {why}", path.display()))
}

/// Writes a file of the harness.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|why| format!("cannot write {}: {why}", path.display()))
}

/// A folder of this process alone, removed at the end.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes it, and removes those of predecessors that were killed.
    pub(crate) fn new() -> Result<Self, String> {
        for entry in fs::read_dir(std::env::temp_dir())
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name();
            let pid = name
                .to_str()
                .and_then(|name| name.strip_prefix("hfi-")?.parse().ok());
            if pid.is_some_and(|pid| !linux::process::exists(pid)) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let path = std::env::temp_dir().join(format!("hfi-{}", std::process::id()));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|why| format!("cannot make the folder {}: {why}", path.display()))?;
        Ok(Scratch { path })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
