//! `holdfast import`: another system's policy becomes a configuration file.

use crate::arguments::{ImportFrom, ImportNetsh};
use crate::failure::Failure;
use crate::verb::output::{self, say};
use api::ErrorCode;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Reads the policy and writes the file, or says what is wrong with it.
///
/// # Errors
/// When the policy cannot be read, is wrong, or has no meaning here.
pub(crate) fn run(from: &ImportFrom, json: bool) -> Result<(), Failure> {
    let ImportFrom::Netsh(options) = from;
    let ImportNetsh {
        file,
        output,
        policy,
        persistent,
        modern,
    } = options;
    let imported = daemon::import_netsh(file, policy.as_deref(), *persistent, *modern)
        .map_err(|why| Failure::new(ErrorCode::Failed, why))?;
    if let Some(remarks) = &imported.remarks {
        eprintln!("{remarks}");
    }
    write(&imported.text, output.as_deref(), json)
}

/// Writes a text that may hold keys: to a new file that only its owner reads, or to standard
/// output.
///
/// # Errors
/// When the file is there already or cannot be written.
pub(crate) fn write(text: &str, output: Option<&Path>, json: bool) -> Result<(), Failure> {
    let Some(path) = output else {
        match json {
            true => output::json(json!({ "text": text })),
            false => say!("{}", text.trim_end()),
        }
        return Ok(());
    };
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o600).open(path);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|why| {
        let shown = path.display();
        let message = format!("{shown} cannot be written: {why}; name a file that is not there");
        Failure::new(ErrorCode::Failed, message)
    })?;
    match json {
        true => output::json(json!({ "file": path })),
        false => say!("{}: written", path.display()),
    }
    Ok(())
}
