//! The takeover rules as a state space that is searched in full; never shipped.
//!
//! Two or three nodes replicate one outbound ESP SA and the IKE SA that made it, as one
//! [`pair::Pair`]. A search visits **every** order of their steps, of deliveries and of faults
//! within [`setting::Bounds`], and asks in every state whether a sequence number, an IV or a
//! message ID has left twice ([`property`]), and whether the nodes can still recover
//! ([`recovery`]). [`rule::Rule`] names what the nodes do for that; a search without one of them
//! must find a counterexample ([`experiment`]).
//!
//! What stands for what:
//! - *detection* is a free choice: a standby may take over, and an owner may lose a connection, at
//!   any time;
//! - *pause and resume*, *delay* and *clocks*: there is no time, a node or a queue may rest for any
//!   number of steps while the others go on;
//! - *partition* and *one-way loss*: an end of a connection closes by itself, what was under way to
//!   it is lost, and what it has sent may still arrive; until it connects again, nothing passes;
//! - *crash*: all memory is lost, the node starts again with nothing; its request to the witness
//!   may still be carried out.
//!
//! The witness and the peer never fail here: without a witness that answers, or without a peer,
//! nothing is sent that these rules speak of.
#![forbid(unsafe_code)]

pub mod action;
pub mod catalogue;
pub mod experiment;
pub mod members;
pub mod message;
pub mod node;
pub mod pair;
pub mod property;
pub mod recovery;
pub mod rule;
pub mod setting;
pub mod state;
pub mod step;
pub mod takeover;
pub mod wire;
pub mod witness;

pub use experiment::{Experiment, Outcome};
pub use rule::Rule;
pub use setting::{Bounds, Configuration, Setting};
pub use takeover::Takeover;
