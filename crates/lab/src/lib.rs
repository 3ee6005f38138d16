//! Hosts, links, faults and probes in network namespaces: the demo, the acceptance test, the bench.
//!
//! One call of [`run()`] builds a client, a front end and two back-end nodes with a virtual IP
//! address in network namespaces, runs a real mail service behind it, protects it with the
//! daemon, moves the address, crashes a node, and reports what a client noticed. Everything it
//! makes carries the prefix [`addresses::PREFIX`]; [`down`] removes it all.
//!
//! The services that run inside the namespaces are processes of the same program, started with
//! the verb [`service::VERB`].

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods)] // The lab has a clock and waits: that is its trade.

mod acts;
pub mod addresses;
mod bench;
mod capture;
mod chaos;
mod classify;
mod client;
mod config;
mod control;
mod dovecot;
mod error;
mod etcd;
mod fault;
mod flow;
mod ground;
mod hosts;
mod keepalived;
mod kinds;
mod leftovers;
mod lock;
mod options;
mod oracle;
mod outcome;
mod picture;
mod probe;
mod program;
mod progress;
mod random;
mod report;
mod run;
mod scenario;
pub mod service;
mod setup;
mod shape;
mod statistics;
mod stop;
mod strongswan;
mod table;
mod topology;
mod verdict;

pub use chaos::{Chaos, ChaosReport, FaultReport, KindReport, chaos};
pub use error::Error;
pub use options::{
    Beside, FrontEnd, Ike, MOST_SAS, Options, PLANE, Plane, Sabotage, Scenario, TAKEOVER, Takeover,
};
pub use oracle::Findings;
pub use report::{Event, Host, KB_FIGURES, KbFigure, Outcome, Report};
pub use run::{down, run};
