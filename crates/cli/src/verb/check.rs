//! `holdfast check`: a configuration file is read and judged, nothing is changed.

use crate::arguments::CheckOptions;
use crate::failure::Failure;
use crate::verb::output::{self, say};
use api::ErrorCode;
use serde_json::json;

/// Reads the file and prints its rules in their order, or what is wrong with it.
///
/// # Errors
/// When the file cannot be read or is wrong.
pub(crate) fn run(options: &CheckOptions, json: bool) -> Result<(), Failure> {
    let checked =
        daemon::check(&options.file).map_err(|why| Failure::new(ErrorCode::Failed, why))?;
    if json {
        output::json(json!({ "rules": checked.rules, "warnings": checked.warnings }));
        return Ok(());
    }
    checked
        .warnings
        .iter()
        .for_each(|warning| eprintln!("{warning}"));
    say!(
        "{}: good; its rules, in the order in which they are tried:",
        options.file.display()
    );
    checked.rules.iter().for_each(|rule| say!("  {rule}"));
    Ok(())
}
