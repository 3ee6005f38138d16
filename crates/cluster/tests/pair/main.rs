//! Members in virtual time on a bad network: what a cluster of two (and three) must do.
#![allow(clippy::unwrap_used)]

mod faults;
mod hostile;
mod moves;
mod policy;
mod seeds;
mod witness;
mod world;
