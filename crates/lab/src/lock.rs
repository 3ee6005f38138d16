//! One lab at a time: a lock on a file, which the kernel gives back when the lab dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};

use crate::addresses::LOCK;
use crate::error::{Error, file};

/// Held while the lab runs.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock and leaves this process's id in the file.
    ///
    /// # Errors
    /// [`Error::Busy`] when another lab has it.
    pub(crate) fn take() -> Result<Self, Error> {
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(LOCK)
            .map_err(file(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let _ = (&lock).take(20).read_to_string(&mut owner);
                return Err(Error::Busy(owner.trim().parse().ok()));
            }
            Err(TryLockError::Error(error)) => return Err(file(LOCK)(error)),
        }
        let note = |lock: &mut File| {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())
        };
        note(&mut lock).map_err(file(LOCK))?;
        Ok(Self { _file: lock })
    }
}
