//! `holdfast export`: a configuration file becomes another system's policy.

use crate::arguments::ExportTo;
use crate::failure::Failure;
use crate::verb::import;
use api::ErrorCode;

/// Reads the configuration file and writes the policy.
///
/// # Errors
/// When the file is wrong, or has what the other system does not know.
pub(crate) fn run(to: &ExportTo, json: bool) -> Result<(), Failure> {
    let ExportTo::Netsh(options) = to;
    let exported = daemon::export_netsh(&options.file, options.persistent)
        .map_err(|why| Failure::new(ErrorCode::Failed, why))?;
    import::write(&exported.text, options.output.as_deref(), json)
}
