//! IPv4 and IPv6 packets: headers, the transport header behind them, and checksums.

pub mod checksum;
mod flow;
pub mod icmp;
mod malformed;
mod packet;
pub mod protocol;
pub mod tcp;
pub mod udp;
pub mod v4;
pub mod v6;

pub use flow::{Flow, ports};
pub use malformed::Malformed;
pub use packet::{Fragment, Packet, rewrite};

#[cfg(test)]
mod tests;
