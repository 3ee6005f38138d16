//! Files that only their owner may read, written whole or not at all.

use crate::limits::MAX_FILE;
use crate::pki::error::Error;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}

/// Makes the folder, or closes the one that is there to others.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn folder(path: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed(path))?;
    std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(failed(path))
}

/// Writes files of one folder, each whole or not at all, for the owner only (0600). All are on
/// the disk before the first one gets its name, so that an interruption leaves the old ones.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn write(folder: &Path, files: &[(&str, &str)]) -> Result<(), Error> {
    let temporary = |name: &str| folder.join(format!(".{name}.new"));
    for (name, text) in files {
        let path = temporary(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(&path)(error)),
            _ => {}
        }
        // `create_new` follows no link that somebody may have put there.
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = options.open(&path).map_err(failed(&path))?;
        file.write_all(text.as_bytes()).map_err(failed(&path))?;
        file.sync_all().map_err(failed(&path))?;
    }
    for (name, _) in files {
        let path = folder.join(name);
        std::fs::rename(temporary(name), &path).map_err(failed(&path))?;
    }
    let opened = File::open(folder).map_err(failed(folder))?;
    opened.sync_all().map_err(failed(folder))
}

/// A file's text, and whether others can read it.
pub(crate) struct Text {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    pub(crate) mode: u32,
}

impl Text {
    /// Whether group or others have any right to the file.
    pub(crate) fn is_open(&self) -> bool {
        self.mode & 0o077 != 0
    }
}

/// Reads a file; `None` when there is none.
///
/// # Errors
/// [`Error::File`], also for one that is longer than any certificate.
pub(crate) fn read(path: &Path) -> Result<Option<Text>, Error> {
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
