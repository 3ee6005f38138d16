//! What a verb tries, with which peers, and which part of the page it writes.

use std::path::Path;

use crate::peers::case::Case;
use crate::peers::lives::Life;
use crate::peers::scan;
use crate::peers::trial::Stage;

/// A verb: its part of `docs/interop.md`, and everything that is tried for it.
pub(crate) struct Plan {
    pub(crate) verb: &'static str,
    /// What the column behind ESP is about.
    pub(crate) column: &'static str,
    pub(crate) strongswan: &'static Trials,
    pub(crate) libreswan: &'static Trials,
    pub(crate) openiked: Option<&'static Trials>,
    /// What ike-scan asks.
    pub(crate) scan: fn(Stage<'_>) -> scan::Answers,
    /// What it asks beside all else: our binary, a folder for sockets, and one for results.
    pub(crate) beside: Option<fn(&Path, &Path, &Path) -> scan::Answers>,
    /// What a peer cannot do, and why.
    pub(crate) impossible: &'static [(&'static str, &'static str, &'static str)],
}

/// Everything that is tried with one peer.
pub(crate) struct Trials {
    pub(crate) cases: &'static [Case],
    /// What the peer is configured for while its SAs live.
    pub(crate) case: Case,
    pub(crate) lives: &'static [Life],
}
