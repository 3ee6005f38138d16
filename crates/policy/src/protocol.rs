//! Protocols by their usual names (IANA's Assigned Internet Protocol Numbers).

use std::fmt;

/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
/// ICMP.
pub const ICMP: u8 = 1;
/// ICMP for IPv6.
pub const ICMPV6: u8 = 58;
/// ESP.
pub const ESP: u8 = 50;

const NAMES: [(u8, &str); 8] = [
    (0, "any"),
    (ICMP, "icmp"),
    (TCP, "tcp"),
    (UDP, "udp"),
    (ESP, "esp"),
    (ICMPV6, "icmpv6"),
    (132, "sctp"),
    (33, "dccp"),
];

/// Prints a protocol as its usual name, or as its number when it has none here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolName(pub u8);

impl fmt::Display for ProtocolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// The protocol that a name or a decimal number means; `any` is 0.
#[must_use]
pub fn parse(text: &str) -> Option<u8> {
    match NAMES
        .iter()
        .find(|(_, name)| name.eq_ignore_ascii_case(text))
    {
        Some((number, _)) => Some(*number),
        None => text.parse().ok(),
    }
}

/// Whether packets of this protocol carry ports that a selector can name.
#[must_use]
pub fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | 33 | 132)
}

/// Whether the protocol is ICMP of either family: type and code stand in the place of ports.
#[must_use]
pub fn is_icmp(protocol: u8) -> bool {
    matches!(protocol, ICMP | ICMPV6)
}
