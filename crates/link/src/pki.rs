//! The certificates that prove who is a member: made once, carried to each node, loaded by it.
//!
//! [`init()`] makes a cluster's authority and one file per node; [`join`] installs such a file on
//! its node; [`Identity::load`] reads what was installed. A node's name is in its certificate as
//! a DNS name (`names.rs` says which) and, for people, as the common name.

mod authority;
mod error;
mod identity;
mod init;
mod install;
mod names;
mod papers;
#[cfg(test)]
mod tests;

pub use error::{Error, Fault};
pub use identity::Identity;
pub use init::{Made, init};
pub use install::{Joined, join};
pub(crate) use names::server_name;
