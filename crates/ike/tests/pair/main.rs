//! Two endpoints in virtual time: every exchange, every collision, a bad network and bad people.
#![allow(clippy::unwrap_used, clippy::field_reassign_with_default)]

mod address;
mod certificates;
mod childless;
mod collision;
mod crash;
mod doubled;
mod fragments;
mod handshake;
mod harness;
mod hostile;
mod ladder;
mod mobike;
mod multiple;
mod nat;
mod network;
mod ocsp;
mod ppk;
mod puzzles;
mod redirect;
mod redirected;
mod rekey;
mod reload;
mod resumption;
mod synchronise;
mod takeover;
