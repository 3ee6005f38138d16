//! Authenticated, ordered links between the members of a cluster: TLS 1.3, both sides proven.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods)] // Links wait and measure: they have the clock.

pub mod limits;
pub mod pki;
mod provider;
#[cfg(test)]
mod testing;
