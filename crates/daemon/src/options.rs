//! What the command line tells the daemon.

use std::path::PathBuf;

/// The daemon's options.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration file.
    pub config: PathBuf,
    /// The persistent policy, if there is such a file: it is read first, and holds when the
    /// configuration file cannot be used.
    pub persistent: PathBuf,
    /// The control socket, instead of the configured one.
    pub socket: Option<PathBuf>,
    /// A folder for Wireshark key tables. Whoever reads it can read the traffic.
    pub wireshark_keys: Option<PathBuf>,
    /// Sequence numbers are not reserved, to prove that a test which should find repeated ones
    /// can: never for anything else.
    pub sabotage_reservation: bool,
    /// Events as lines of JSON.
    pub log_json: bool,
}
