//! `holdfast import` and `holdfast export`: whose policies, and where they go.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum ImportFrom {
    /// A script of `netsh ipsec static`, as Windows 2000 and 2003 have it
    Netsh(ImportNetsh),
}

#[derive(Args)]
pub(crate) struct ImportNetsh {
    /// The script; the pre-shared keys in it are in clear, and stay so in the configuration file
    pub(crate) file: PathBuf,
    /// Where the configuration file goes, mode 0600; to standard output when it is not given
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The policy, when it is not the one that the script assigns
    #[arg(long, value_name = "NAME")]
    pub(crate) policy: Option<String>,
    /// Of the persistent store and not of the local one
    #[arg(long)]
    pub(crate) persistent: bool,
    /// Holdfast's own algorithms, and not those of Windows 2003
    #[arg(long)]
    pub(crate) modern: bool,
}

#[derive(Subcommand)]
pub(crate) enum ExportTo {
    /// A script of `netsh ipsec static`, as Windows 2000 and 2003 have it
    Netsh(ExportNetsh),
}

#[derive(Args)]
pub(crate) struct ExportNetsh {
    /// The configuration file
    #[arg(value_name = "FILE", default_value = "/etc/holdfast/holdfast.toml")]
    pub(crate) file: PathBuf,
    /// Where the script goes, mode 0600; to standard output when it is not given
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Into the persistent store and not into the local one
    #[arg(long)]
    pub(crate) persistent: bool,
}
