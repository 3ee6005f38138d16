//! Members in virtual time on a bad network: what a cluster of two (and three) must do.
#![allow(missing_docs)]

mod faults;
mod hostile;
mod moves;
mod policy;
mod seeds;
mod world;
