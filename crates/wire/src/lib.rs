//! Every byte from the network is decoded here and nowhere else. No keys, no state, no clock.
//!
//! One file per format, each with the same parts: the layout, a typed form, a parser that accepts
//! any octets without panicking or allocating more than a small multiple of them, and a writer.
//!
//! - [`ike`]: IKEv2 messages and payloads (RFC 7296).
//! - [`isakmp`]: IKEv1 messages and payloads (RFC 2408, RFC 2409).
//! - [`esp`]: ESP packets (RFC 4303) and their form in UDP (RFC 3948).
//! - [`ip`]: IPv4 and IPv6 headers, transport headers, checksums and the [`ip::Flow`] of a packet.
//! - [`pcap`]: capture files that others can read.
#![forbid(unsafe_code)]

mod attribute;
mod malformed;
mod names;
mod reader;
mod substructure;
mod writer;

pub mod esp;
pub mod ike;
pub mod ip;
pub mod isakmp;
pub mod pcap;
