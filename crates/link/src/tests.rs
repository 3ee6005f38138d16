//! Nodes on loopback: who gets a link, what a link promises, what it costs.

mod figures;
mod proof;
mod stream;
