//! Many nodes, one clock, one seed, a bad network; never shipped.
//!
//! A [`World`] drives the real [`node::Node`] and the real ESP of every simulated host in virtual
//! time. Whatever happens is decided by the seed, so a failing run can be run again.
//!
//! - [`network`], [`frame`]: latency, loss, reordering, duplication, corruption, cuts; addresses
//!   belong to whom the sender last heard announcing them.
//! - `links`: what members tell each other, in order, until the link goes down.
//! - `witness`: compare-and-swap for whoever reaches it.
//! - [`host`]: a node, its data plane, its services and its applications; crash, freeze, restart.
//! - [`checker`]: what must hold at every event, whatever the network does.
//! - [`scenario`]: random worlds with faults, and the takeovers of KB821839.
//! - [`sabotage`]: hosts that break a promise on purpose, to show that a checker sees it.
#![forbid(unsafe_code)]

pub mod addresses;
pub mod checker;
mod configuration;
pub mod dice;
pub mod frame;
pub mod host;
mod links;
pub mod network;
pub mod packet;
pub mod sabotage;
pub mod scenario;
pub mod settings;
pub mod trace;
mod witness;
pub mod world;

pub use checker::{Checker, Violation};
pub use dice::Dice;
pub use settings::Settings;
pub use world::World;
