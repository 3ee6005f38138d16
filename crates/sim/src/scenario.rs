//! Worlds with a plot.

pub mod cluster_random;
pub mod takeover;
