//! What `netsh ipsec dynamic` does to a running computer: rules that come, and those that go.

use crate::authentication::Authentication;
use crate::finding::Span;
use crate::methods::{Group, KeyExchangeMethod, SecurityMethod};
use crate::model::{Address, Connections, Filter, Named, Policy};

/// Everything that a script does under `dynamic`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dynamic {
    /// Where that begins, if it does anything.
    pub begins: Option<Span>,
    /// All rules go that were there before the script.
    pub delete_all: bool,
    /// These go, by name.
    pub delete: Vec<String>,
    /// What main mode negotiates.
    pub main: Vec<MainPolicy>,
    /// What quick mode negotiates.
    pub quick: Vec<QuickPolicy>,
    /// The rules that come.
    pub rules: Vec<DynamicRule>,
}

/// `mmpolicy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MainPolicy {
    /// Its name.
    pub name: String,
    /// Lifetime of the main mode, in minutes.
    pub lifetime: u32,
    /// What it offers, in order; never empty.
    pub methods: Vec<KeyExchangeMethod>,
}

impl MainPolicy {
    /// As `add mmpolicy name=` makes it.
    #[must_use]
    pub fn new(name: &str) -> Self {
        MainPolicy {
            name: name.to_owned(),
            lifetime: Policy::LIFETIME,
            methods: KeyExchangeMethod::defaults(),
        }
    }
}

/// `qmpolicy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuickPolicy {
    /// Its name.
    pub name: String,
    /// Allow unsecured communication with computers that do not know IPsec.
    pub soft: bool,
    /// The group of a key exchange for every pair.
    pub pfs: Pfs,
    /// What is offered, in order; never empty.
    pub methods: Vec<SecurityMethod>,
}

impl QuickPolicy {
    /// As `add qmpolicy name=` makes it.
    #[must_use]
    pub fn new(name: &str) -> Self {
        QuickPolicy {
            name: name.to_owned(),
            soft: false,
            pfs: Pfs::None,
            methods: SecurityMethod::defaults(),
        }
    }
}

/// `pfsgroup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pfs {
    /// Keys come from main mode.
    None,
    /// The group that main mode offers first.
    OfMainMode,
    /// This group.
    Group(Group),
}

impl Named for MainPolicy {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for QuickPolicy {
    fn name(&self) -> &str {
        &self.name
    }
}

/// What a dynamic rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DynamicAction {
    /// Traffic passes in clear text.
    Permit,
    /// Traffic is dropped.
    Block,
    /// Traffic is protected.
    Negotiate,
}

/// A rule of the running computer. It has no name there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamicRule {
    /// What it is about.
    pub filter: Filter,
    /// The other end of the tunnel.
    pub tunnel: Option<String>,
    /// On which connections it holds.
    pub connections: Connections,
    /// What becomes of packets from the network.
    pub inbound: DynamicAction,
    /// What becomes of packets to the network.
    pub outbound: DynamicAction,
    /// `mmpolicy`, by name.
    pub main: Option<String>,
    /// `qmpolicy`, by name.
    pub quick: Option<String>,
    /// How both sides prove who they are, in order; never empty.
    pub authentication: Vec<Authentication>,
    /// Where it was made.
    pub span: Span,
}

impl DynamicRule {
    /// The name that it gets here.
    #[must_use]
    pub fn name(&self) -> String {
        name(&self.filter, self.tunnel.as_deref())
    }
}

/// The name that a rule without one gets: what it is about, so that it can be found again.
/// `me_10.20.0.10_tcp_110` is about port 110 there, `me_10.20.0.10_tcp_25_any` about port 25 here.
#[must_use]
pub fn name(filter: &Filter, tunnel: Option<&str>) -> String {
    let side = |address: &Address| address.to_string();
    let mut words = vec![side(&filter.source), side(&filter.destination)];
    let port = |port: u16| match port {
        0 => "any".to_owned(),
        port => port.to_string(),
    };
    match filter.protocol {
        0 => {}
        1 => words.push("icmp".to_owned()),
        6 => words.push("tcp".to_owned()),
        17 => words.push("udp".to_owned()),
        number => words.push(number.to_string()),
    }
    match (filter.source_port, filter.destination_port) {
        (0, 0) => {}
        (0, destination) => words.push(port(destination)),
        (source, destination) => words.extend([port(source), port(destination)]),
    }
    if !filter.mirrored {
        words.push("oneway".to_owned());
    }
    words.extend(tunnel.map(|end| format!("tunnel_{end}")));
    words.join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_called_by_what_it_is_about() {
        let filter = |protocol, source_port, destination_port, mirrored| Filter {
            source: Address::Me,
            destination: Address::parse("10.20.0.0/24").unwrap(),
            protocol,
            source_port,
            destination_port,
            mirrored,
            description: String::new(),
        };
        for (filter, tunnel, expected) in [
            (filter(0, 0, 0, true), None, "me_10.20.0.0/24"),
            (filter(6, 0, 110, true), None, "me_10.20.0.0/24_tcp_110"),
            (filter(17, 25, 0, true), None, "me_10.20.0.0/24_udp_25_any"),
            (filter(47, 0, 0, false), None, "me_10.20.0.0/24_47_oneway"),
            (
                filter(0, 0, 0, false),
                Some("10.1.0.1"),
                "me_10.20.0.0/24_oneway_tunnel_10.1.0.1",
            ),
        ] {
            assert_eq!(name(&filter, tunnel), expected);
        }
    }
}
