//! Files that are written whole or not at all, and secrets that only their owner may read.

use crate::error::FileError;
use crate::limits::MAX_FILE;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The permissions of a secret.
pub const SECRET: u32 = 0o600;
/// The permissions of what everybody may read: certificates and revocation lists.
pub const PUBLIC: u32 = 0o644;

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError { path, source }
}

/// Makes the folder, or closes the one that is there to others.
///
/// # Errors
/// [`FileError`].
pub fn folder(path: &Path) -> Result<(), FileError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed(path))?;
    std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(failed(path))
}

/// Makes the folder, for the owner only, unless it is there: then it stays as it is.
///
/// # Errors
/// [`FileError`].
pub fn folder_if_missing(path: &Path) -> Result<(), FileError> {
    match path.is_dir() {
        true => Ok(()),
        false => folder(path),
    }
}

/// A file that is to be written: its name, what it is to hold, its permissions.
pub type NewFile<'a> = (&'a str, &'a [u8], u32);

/// Writes files of one folder, each whole or not at all. All are on the disk before the first one
/// gets its name, so that an interruption leaves the old ones.
///
/// # Errors
/// [`FileError`].
pub fn write(folder: &Path, files: &[NewFile<'_>]) -> Result<(), FileError> {
    for file in files {
        prepare(folder, file)?;
    }
    for (name, ..) in files {
        let path = folder.join(name);
        std::fs::rename(temporary(folder, name), &path).map_err(failed(&path))?;
    }
    sync(folder)
}

/// The same for files that must not be there: what is there is never replaced, and when one cannot
/// be written none is left.
///
/// # Errors
/// [`FileError`], of the kind [`ErrorKind::AlreadyExists`] where that is so.
pub fn write_new(folder: &Path, files: &[NewFile<'_>]) -> Result<(), FileError> {
    let done = files
        .iter()
        .try_for_each(|file| prepare(folder, file))
        .and_then(|()| link_all(folder, files));
    for (name, ..) in files {
        let _ = std::fs::remove_file(temporary(folder, name));
    }
    done.and_then(|()| sync(folder))
}

fn temporary(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!(".{name}.new"))
}

/// Writes a file under its temporary name.
fn prepare(folder: &Path, (name, bytes, mode): &NewFile<'_>) -> Result<(), FileError> {
    let path = temporary(folder, name);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(&path)(error)),
        _ => {}
    }
    // `create_new` follows no link that somebody may have put there.
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(SECRET);
    let mut file = options.open(&path).map_err(failed(&path))?;
    file.write_all(bytes).map_err(failed(&path))?;
    // Whatever the process's mask is.
    file.set_permissions(Permissions::from_mode(*mode))
        .map_err(failed(&path))?;
    file.sync_all().map_err(failed(&path))
}

/// Gives every file its name; a link, other than a new name, never replaces what is there.
fn link_all(folder: &Path, files: &[NewFile<'_>]) -> Result<(), FileError> {
    for (index, (name, ..)) in files.iter().enumerate() {
        let path = folder.join(name);
        if let Err(error) = std::fs::hard_link(temporary(folder, name), &path) {
            for (made, ..) in files.iter().take(index) {
                let _ = std::fs::remove_file(folder.join(made));
            }
            return Err(failed(&path)(error));
        }
    }
    Ok(())
}

fn sync(folder: &Path) -> Result<(), FileError> {
    let opened = File::open(folder).map_err(failed(folder))?;
    opened.sync_all().map_err(failed(folder))
}

/// A file's text, and whether others can read it.
pub struct Text {
    /// Where it was read.
    pub path: PathBuf,
    /// What it holds.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Its permissions, as `chmod` takes them.
    pub mode: u32,
}

impl Text {
    /// Whether group or others have any right to the file.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.mode & 0o077 != 0
    }
}

/// Reads a file; `None` when there is none.
///
/// # Errors
/// [`FileError`], also for one that is longer than any certificate.
pub fn read(path: &Path) -> Result<Option<Text>, FileError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed(path))?,
    };
    let metadata = file.metadata().map_err(failed(path))?;
    if metadata.len() > MAX_FILE || !metadata.is_file() {
        let why = "it is no certificate: too long, or no regular file";
        let source = std::io::Error::new(ErrorKind::InvalidData, why);
        return Err(failed(path)(source));
    }
    // The whole capacity at once: a vector that grows would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize + 1));
    file.take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(failed(path))?;
    Ok(Some(Text {
        path: path.to_owned(),
        bytes,
        mode: metadata.permissions().mode() & 0o7777,
    }))
}
