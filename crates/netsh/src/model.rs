//! The objects of a Windows IPsec policy, named as in [MS-GPIPSEC] and in `netsh ipsec static`.

use std::fmt;

use policy::AddressRange;

use crate::authentication::Authentication;
use crate::methods::{KeyExchangeMethod, SecurityMethod};

/// Everything in one store of a computer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    /// Policies, of which at most one is assigned.
    pub policies: Vec<Policy>,
    /// Filter lists, shared by the rules of all policies.
    pub filter_lists: Vec<FilterList>,
    /// Filter actions, shared in the same way.
    pub filter_actions: Vec<FilterAction>,
}

impl Store {
    /// The policy that is in force.
    #[must_use]
    pub fn assigned(&self) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.assigned)
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Store::default()
    }

    /// The same store with one policy alone.
    #[must_use]
    pub fn only(&self, policy: &Policy) -> Store {
        Store {
            policies: vec![policy.clone()],
            ..self.clone()
        }
    }
}

/// Finds an object by its name, whatever the case.
pub(crate) fn find<'a, T: Named>(objects: &'a [T], name: &str) -> Option<&'a T> {
    objects
        .iter()
        .find(|object| object.name().eq_ignore_ascii_case(name))
}

/// What has a name that is unique among its kind.
pub(crate) trait Named {
    fn name(&self) -> &str;
}

macro_rules! named {
    ($($kind:ty),*) => {
        $(impl Named for $kind {
            fn name(&self) -> &str {
                &self.name
            }
        })*
    };
}

named!(Policy, Rule, FilterList, FilterAction);

/// A policy with its key exchange settings (`ipsecPolicy`, `ipsecISAKMPPolicy`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Words about it.
    pub description: String,
    /// Master key PFS: every quick mode has a main mode of its own.
    pub master_pfs: bool,
    /// Quick modes of one main mode; 0 for any number.
    pub session_limit: u32,
    /// Lifetime of the main mode, in minutes.
    pub lifetime: u32,
    /// How often Windows looks for changes of the policy, in minutes.
    pub polling_interval: u32,
    /// Whether it is in force.
    pub assigned: bool,
    /// What main mode offers, in order; never empty.
    pub methods: Vec<KeyExchangeMethod>,
    /// What answers peers that no other rule is about.
    pub default_rule: DefaultRule,
    /// Its rules.
    pub rules: Vec<Rule>,
}

impl Policy {
    /// Eight hours.
    pub const LIFETIME: u32 = 480;
    /// Three hours (10,800 s).
    pub const POLLING_INTERVAL: u32 = 180;

    /// A policy as `add policy name=` makes it.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Policy {
            name: name.to_owned(),
            description: String::new(),
            master_pfs: false,
            session_limit: 0,
            lifetime: Policy::LIFETIME,
            polling_interval: Policy::POLLING_INTERVAL,
            assigned: false,
            methods: KeyExchangeMethod::defaults(),
            default_rule: DefaultRule::default(),
            rules: Vec::new(),
        }
    }
}

/// The default response rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultRule {
    /// Whether it holds.
    pub active: bool,
    /// Session key PFS.
    pub pfs: bool,
    /// What it accepts, in order.
    pub methods: Vec<SecurityMethod>,
    /// How both sides prove who they are, in order.
    pub authentication: Vec<Authentication>,
}

impl Default for DefaultRule {
    fn default() -> Self {
        DefaultRule {
            active: true,
            pfs: false,
            methods: SecurityMethod::defaults(),
            authentication: vec![Authentication::Kerberos],
        }
    }
}

/// A rule (`ipsecNFA`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Words about it.
    pub description: String,
    /// The filter list, by name.
    pub filter_list: String,
    /// The filter action, by name.
    pub filter_action: String,
    /// The other end of the tunnel: an address or a DNS name.
    pub tunnel: Option<String>,
    /// On which connections it holds.
    pub connections: Connections,
    /// Whether it holds at all.
    pub active: bool,
    /// How both sides prove who they are, in order; never empty.
    pub authentication: Vec<Authentication>,
}

/// Kinds of network connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// Every one.
    All,
    /// Local networks.
    Lan,
    /// Remote access.
    Dialup,
}

impl Connections {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Connections::All => "all",
            Connections::Lan => "lan",
            Connections::Dialup => "dialup",
        }
    }
}

/// A filter list (`ipsecFilter`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterList {
    /// Its name.
    pub name: String,
    /// Words about it.
    pub description: String,
    /// Its filters.
    pub filters: Vec<Filter>,
}

/// One filter: what a packet looks like, whichever way it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Where the packet comes from.
    pub source: Address,
    /// Where it goes.
    pub destination: Address,
    /// The protocol; 0 for any.
    pub protocol: u8,
    /// The source port; 0 for any.
    pub source_port: u16,
    /// The destination port; 0 for any.
    pub destination_port: u16,
    /// Whether the answers are meant too: the same with both sides changed over.
    pub mirrored: bool,
    /// Words about it.
    pub description: String,
}

impl Filter {
    /// Whether both are about the same packets.
    #[must_use]
    pub fn same_packets(&self, other: &Filter) -> bool {
        let mut other = other.clone();
        other.description.clone_from(&self.description);
        *self == other
    }
}

/// One side of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Every address of the computer.
    Me,
    /// Every address.
    Any,
    /// A host, a subnet or a range.
    Range(AddressRange),
    /// Servers that the computer knows by its own configuration.
    Special(Server),
    /// A DNS name, looked up when the policy is loaded.
    Name(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Me => f.write_str("me"),
            Address::Any => f.write_str("any"),
            Address::Range(range) => match range.as_host() {
                Some(host) => write!(f, "{host}"),
                None => write!(f, "{range}"),
            },
            Address::Special(server) => f.write_str(server.word()),
            Address::Name(name) => f.write_str(name),
        }
    }
}

/// Servers that a computer knows by its own configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Its DNS servers.
    Dns,
    /// Its WINS servers.
    Wins,
    /// Its DHCP server.
    Dhcp,
    /// Its default gateway.
    Gateway,
}

impl Server {
    /// Every kind.
    pub const ALL: [Server; 4] = [Server::Dns, Server::Wins, Server::Dhcp, Server::Gateway];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Server::Dns => "dns",
            Server::Wins => "wins",
            Server::Dhcp => "dhcp",
            Server::Gateway => "gateway",
        }
    }
}

/// A filter action (`ipsecNegotiationPolicy`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterAction {
    /// Its name.
    pub name: String,
    /// Words about it.
    pub description: String,
    /// What it does.
    pub kind: ActionKind,
}

/// What a filter action does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionKind {
    /// Traffic passes in clear text.
    Permit,
    /// Traffic is dropped.
    Block,
    /// Traffic is protected.
    Negotiate(Negotiation),
}

/// How traffic is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiation {
    /// Session key PFS: every quick mode has a key exchange of its own.
    pub pfs: bool,
    /// Accept unsecured communication, but always respond using IPsec.
    pub inpass: bool,
    /// Allow unsecured communication with computers that do not know IPsec.
    pub soft: bool,
    /// What is offered, in order; never empty.
    pub methods: Vec<SecurityMethod>,
}

impl Default for Negotiation {
    fn default() -> Self {
        Negotiation {
            pfs: false,
            inpass: false,
            soft: false,
            methods: SecurityMethod::defaults(),
        }
    }
}

/// Settings of the IPsec driver (`netsh ipsec dynamic set config`); `None` where a script says
/// nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Driver {
    /// The level of default exemptions, 0 to 3.
    pub exemptions: Option<u8>,
    /// What holds before the policy does.
    pub boot_mode: Option<BootMode>,
}

/// What holds while the computer starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootMode {
    /// Everything passes.
    Permit,
    /// What goes out passes, and the answers to it.
    Stateful,
    /// Nothing passes, except what is exempt.
    Block,
}

impl BootMode {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            BootMode::Permit => "permit",
            BootMode::Stateful => "stateful",
            BootMode::Block => "block",
        }
    }
}
