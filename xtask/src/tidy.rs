//! `cargo xtask tidy`: the rules of ARCHITECTURE.md that a script can hold.

mod arrows;
mod circles;
mod layout;
mod source;

use source::Source;
use std::path::{Path, PathBuf};

/// Checks every rule over the whole tree and prints each breach with its place.
///
/// # Errors
/// The number of breaches, as a sentence.
pub(crate) fn run() -> Result<(), String> {
    let mut breaches = arrows::check(Path::new("crates"))?;
    let mut lengths = Vec::new();
    for krate in folders(Path::new("crates"))?
        .into_iter()
        .chain([PathBuf::from("interop"), PathBuf::from("xtask")])
    {
        let sources = source::read_crate(&krate)?;
        for source in &sources {
            breaches.extend(layout::check(source));
            lengths.push(source.lines_without_tests());
        }
        breaches.extend(layout::orphans(&sources));
        breaches.extend(circles::check(&sources));
    }
    breaches.extend(layout::median(&mut lengths));
    for breach in &breaches {
        eprintln!("{breach}");
    }
    match breaches.len() {
        0 => Ok(()),
        count => Err(format!(
            "tidy: {count} breaches of ARCHITECTURE.md's rules, listed above."
        )),
    }
}

fn folders(parent: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(parent)
        .map_err(|error| format!("{} cannot be listed: {error}.", parent.display()))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    Ok(found)
}

/// One breach of a rule, as `file:line: what, and what to do`.
fn breach(source: &Source, line: usize, what: &str) -> String {
    format!("{}:{line}: {what}", source.path.display())
}
