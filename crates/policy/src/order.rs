//! The order of the rules: most specific first, computed, never written by hand.
//!
//! Compared in turn: what is exempt before all else; tunnel before transport; the addresses of
//! both sides (an exact host counts 3, a subnet 2, a range 1, any 0, then the longer prefixes); a
//! named protocol before any; named ports of the remote side, then of the local side (one port
//! before a range). Between equals dynamic rules come before the others, block before permit
//! before negotiate, then the name decides.

use std::fmt;

use crate::child::Mode;
use crate::range::{AddressRange, PortRange};
use crate::rule::{Action, Origin, Rule};
use crate::selector::SelectorPair;

/// How specific an entry is; the greater goes first. The fields are compared from top to bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight {
    /// Whether it is exempt, and so comes before everything.
    pub exempt: bool,
    /// Whether it is a tunnel.
    pub tunnel: bool,
    /// Kinds of address of both sides: 3 for a host, 2 for a subnet, 1 for a range, 0 for any.
    pub addresses: u8,
    /// Prefix lengths of both sides, added up.
    pub prefixes: u16,
    /// Whether a protocol is named.
    pub protocol: bool,
    /// Ports of the remote side: 2 for one port, 1 for a range, 0 for any.
    pub remote_ports: u8,
    /// Ports of the local side.
    pub local_ports: u8,
}

impl Weight {
    /// The weight of one entry.
    #[must_use]
    pub fn of(action: &Action, pair: &SelectorPair) -> Self {
        let (local, remote) = (&pair.local, &pair.remote);
        Weight {
            exempt: *action == Action::Exempt,
            tunnel: action
                .child()
                .is_some_and(|child| child.mode == Mode::Tunnel),
            addresses: address_kind(&local.addresses) + address_kind(&remote.addresses),
            prefixes: prefix(&local.addresses) + prefix(&remote.addresses),
            protocol: local.protocol != 0,
            remote_ports: port_kind(remote.ports),
            local_ports: port_kind(local.ports),
        }
    }

    /// The weight as one number, for tables: greater goes first.
    #[must_use]
    pub fn number(&self) -> u32 {
        let fields = [
            (u32::from(self.exempt), 1),
            (u32::from(self.tunnel), 1),
            (u32::from(self.addresses), 3),
            (u32::from(self.prefixes), 9),
            (u32::from(self.protocol), 1),
            (u32::from(self.remote_ports), 2),
            (u32::from(self.local_ports), 2),
        ];
        fields
            .iter()
            .fold(0, |number, (field, bits)| number << bits | field)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}

fn address_kind(range: &AddressRange) -> u8 {
    match (range.is_any(), range.as_host(), range.prefix_length()) {
        (true, _, _) => 0,
        (_, Some(_), _) => 3,
        (_, _, Some(_)) => 2,
        _ => 1,
    }
}

fn prefix(range: &AddressRange) -> u16 {
    range.prefix_length().unwrap_or(0).into()
}

fn port_kind(ports: PortRange) -> u8 {
    match (ports.is_any(), ports.start == ports.end) {
        (true, _) => 0,
        (_, true) => 2,
        _ => 1,
    }
}

/// Between entries of equal weight the lower goes first.
pub(crate) fn rank(rule: &Rule) -> (bool, u8) {
    let action = match rule.action {
        Action::Block => 0,
        Action::Exempt | Action::Permit => 1,
        Action::Negotiate(_) => 2,
    };
    (rule.origin != Origin::Dynamic, action)
}
