//! Authenticated, ordered links between the members of a cluster: TLS 1.3, both sides proven.
//!
//! [`pki`] makes and loads the certificates. [`Links`] keeps one connection to every peer, which
//! the node with the lower name makes, and carries opaque messages in order; [`Inbox`] gives what
//! arrives and what becomes of the links. Messages hold keys: nothing here prints them, and what
//! they pass through is wiped, except for the buffers inside the TLS library.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods)] // Links wait and measure: they have the clock.

mod accept;
mod context;
mod dial;
mod error;
mod frame;
mod inbox;
pub mod limits;
mod links;
mod news;
mod outbox;
pub mod pki;
mod provider;
mod refusal;
mod session;
mod settings;
mod socket;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tls;

pub use error::{Error, NotSent};
pub use inbox::Inbox;
pub use links::Links;
pub use news::{Down, News};
pub use refusal::Refusal;
pub use settings::{Peer, Settings, Timing};
