//! `holdfast dynamic`: rules of the running daemon that no file has.

use clap::Subcommand;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum DynamicAction {
    /// Put rules in force at once: all of the file, or nothing
    Add {
        /// Tables of a configuration file: `[[rule]]`, and `[[peer]]`, `[[filter_list]]` and
        /// `[[filter_action]]` that they need; `-` for standard input
        file: PathBuf,
        /// The file is a script of `netsh ipsec dynamic`, as Windows 2003 has it
        #[arg(long)]
        netsh: bool,
        /// With --netsh: Holdfast's own algorithms, and not those of Windows 2003
        #[arg(long, requires = "netsh")]
        modern: bool,
        /// In the same step take this dynamic rule away (may be repeated), or `all` of them
        #[arg(long, value_name = "NAME")]
        instead_of: Vec<String>,
    },
    /// Show the dynamic rules in the order in which they are tried
    Show,
    /// Take dynamic rules away
    Delete {
        /// The rules' names, or `all`
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}
