//! Every byte from the network is decoded here and nowhere else. No keys, no state, no clock.
//!
//! One file per format, each with the same parts: the layout, a typed form, a parser that accepts
//! any octets without panicking or allocating more than a small multiple of them, and a writer.
//!
//! - [`ike`]: IKEv2 messages and payloads (RFC 7296).
//! - [`ip`]: IPv4 and IPv6 headers, transport headers, checksums and the [`ip::Flow`] of a packet.
#![forbid(unsafe_code)]

mod names;

pub mod ike;
pub mod ip;
