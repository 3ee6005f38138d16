//! `holdfast daemon`: runs until SIGTERM.

use crate::arguments::DaemonOptions;
use crate::failure::Failure;
use api::ErrorCode;
use std::path::Path;

/// Runs the daemon in the foreground.
///
/// # Errors
/// When it cannot start, or has to stop.
pub(crate) fn run(options: &DaemonOptions, socket: Option<&Path>) -> Result<(), Failure> {
    let options = daemon::Options {
        config: options.config.clone(),
        persistent: options.persistent.clone(),
        socket: socket.map(Path::to_owned),
        wireshark_keys: options.wireshark_keys.clone(),
        sabotage_reservation: options.sabotage_reservation,
        log_json: options.log_json,
    };
    daemon::run(&options).map_err(|error| Failure::new(ErrorCode::Failed, error.to_string()))
}
