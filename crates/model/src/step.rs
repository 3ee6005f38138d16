//! The steps: for each, when it may be taken and what it changes.

pub mod fault;
pub mod join;
pub mod ownership;
pub mod traffic;
pub mod witness;
