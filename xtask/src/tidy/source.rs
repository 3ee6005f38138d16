//! A Rust source file as tidy sees it: its text, its syntax, its name as a module.

use std::path::{Path, PathBuf};

/// One `.rs` file below a crate's `src/`.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) syntax: syn::File,
    /// The path of the module in its crate: empty for `lib.rs` and `main.rs`.
    pub(crate) module: Vec<String>,
}

impl Source {
    /// Is this a file of tests alone (`tests.rs`, or below a folder `tests`)?
    pub(crate) fn is_tests(&self) -> bool {
        self.module
            .iter()
            .any(|name| name == "tests" || name == "testing")
    }

    /// Lines of code up to the test module, which the size rules count.
    pub(crate) fn lines_without_tests(&self) -> usize {
        if self.is_tests() {
            return 0;
        }
        let end = self
            .text
            .lines()
            .position(|line| line.trim_start().starts_with("#[cfg(test)]"));
        end.unwrap_or_else(|| self.text.lines().count())
    }
}

/// Reads and parses every source of the crate in `folder`.
///
/// # Errors
/// A sentence that names the file which cannot be read or parsed.
pub(crate) fn read_crate(folder: &Path) -> Result<Vec<Source>, String> {
    let root = folder.join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths)?;
    paths.sort();
    paths.iter().map(|path| read(&root, path)).collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| format!("{} cannot be listed: {error}.", folder.display()))?;
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}

fn read(root: &Path, path: &Path) -> Result<Source, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{} cannot be read: {error}.", path.display()))?;
    let syntax = syn::parse_file(&text)
        .map_err(|error| format!("{} is not Rust: {error}.", path.display()))?;
    let relative = path.strip_prefix(root).unwrap_or(path).with_extension("");
    let mut module: Vec<String> = relative
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if matches!(module.last().map(String::as_str), Some("lib" | "main")) && module.len() == 1 {
        module.clear();
    }
    Ok(Source {
        path: path.to_owned(),
        text,
        syntax,
        module,
    })
}
