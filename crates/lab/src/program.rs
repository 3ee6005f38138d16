//! Where the programs are that the lab needs.

use std::path::{Path, PathBuf};

/// Where a program is, in the places that hold programs for root.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ]
    .iter()
    .map(|folder| Path::new(folder).join(program))
    .find(|path| path.is_file())
}
