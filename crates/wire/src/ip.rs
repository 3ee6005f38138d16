//! IPv4 and IPv6 packets: headers, the transport header behind them, and checksums.

mod flow;
mod malformed;

pub use flow::Flow;
pub use malformed::Malformed;

/// Protocol numbers (IANA "Assigned Internet Protocol Numbers").
pub mod protocol;
