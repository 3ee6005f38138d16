//! The only place that waits: loop, configuration, data plane, control socket.
//!
//! [`run()`] is the daemon. One thread takes one input at a time into `node::Node` and carries out
//! its effects in their order; two more threads are the data plane. `ARCHITECTURE.md` has the
//! picture.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods)] // The daemon has the clock: that is its trade.

mod boot;
mod capture;
mod check;
mod clock;
pub mod config;
mod control;
mod dynamic;
mod error;
mod explain;
mod groups;
mod guard;
mod heartbeat;
mod history;
mod interchange;
mod kerberos;
mod key_log;
mod links;
mod log;
mod monitor;
mod ocsp;
mod options;
mod persistent;
mod plane;
mod random;
mod recovery;
mod run;
mod setup;
mod status;
mod streams;
mod url;
mod watch;
mod witnesses;

pub use boot::{BOOT_MODES, boot};
pub use check::{Checked, check, explain};
pub use error::Error;
pub use guard::{GUARD_VERB, guard};
pub use interchange::{
    DynamicScript, Exported, Imported, export_netsh, import_dynamic, import_netsh,
};
pub use options::Options;
pub use run::run;
