//! A whole host without a host: IKE, policy and cluster composed; effects come out as data.
//!
//! [`Node`] has the four verbs of every machine of Holdfast: `handle_datagram`, `handle_command`,
//! `handle_timeout` and `poll_output`. It reads no clock, opens no socket and starts no thread;
//! whoever drives it (the daemon, the simulator) does all of that and carries out its effects in
//! the order in which they come.
#![forbid(unsafe_code)]

mod acquire;
mod command;
mod config;
mod event;
mod group;
mod node;
mod output;
mod replication;
mod rules;
mod soft;
mod status;

pub use command::{ApiMisuse, Command, Datagram};
pub use config::{ClusterConfig, Config, GroupAddresses, Recovery, Replicate};
pub use event::Event;
pub use node::Node;
pub use output::{Output, Timer};
pub use replication::parcel::Stray;
pub use soft::SoftEnd;
pub use status::ReplicationStatus;
