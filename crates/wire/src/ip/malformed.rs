//! Why octets are not an IP packet, or not the transport header that they should be.

use std::fmt;

/// The rule that a packet breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Malformed {
    /// The first four bits are neither 4 nor 6.
    Version,
    /// Fewer octets than the headers need.
    Truncated,
    /// A header's own length is below its least or beyond the packet.
    HeaderLength,
    /// The packet's length is below its headers or more than was received.
    TotalLength,
    /// More IPv6 extension headers than the limit, or one where it may not be.
    ExtensionHeaders,
    /// A fragment's octets would end beyond the largest packet.
    Fragment,
}

impl Malformed {
    /// Every rule, for whoever keeps one counter per rule.
    pub const ALL: [Malformed; 6] = [
        Malformed::Version,
        Malformed::Truncated,
        Malformed::HeaderLength,
        Malformed::TotalLength,
        Malformed::ExtensionHeaders,
        Malformed::Fragment,
    ];
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::Version => "the IP version is neither 4 nor 6",
            Malformed::Truncated => "the headers end after the octets do",
            Malformed::HeaderLength => "a header's length is impossible",
            Malformed::TotalLength => "the packet's length is impossible or more than was received",
            Malformed::ExtensionHeaders => "too many IPv6 extension headers, or one out of place",
            Malformed::Fragment => "a fragment ends beyond the largest packet",
        })
    }
}

impl std::error::Error for Malformed {}
