//! `holdfast boot`: what holds until the daemon runs.

use crate::arguments::BootOptions;
use crate::failure::Failure;
use crate::verb::output::{self, say};
use api::ErrorCode;
use serde_json::json;

/// Puts it into force.
///
/// # Errors
/// When the file is wrong or the kernel refuses.
pub(crate) fn run(options: &BootOptions, json: bool) -> Result<(), Failure> {
    let said = daemon::boot(&options.config, options.mode.as_deref())
        .map_err(|why| Failure::new(ErrorCode::Failed, why))?;
    match json {
        true => output::json(json!({ "boot": said })),
        false => say!("{said}"),
    }
    Ok(())
}
