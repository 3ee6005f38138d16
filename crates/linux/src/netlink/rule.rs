//! Policy rules: which table a packet's route is looked up in (`ip rule`, fib_rules.h).

use std::fmt;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::rule::{
    RuleAction as Action, RuleAttribute, RuleFlags, RuleMessage, RulePortRange,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::error::Error;
use crate::netlink::route::{OWNER, address_family};
use crate::netlink::socket::Netlink;
use crate::prefix::{Family, Prefix};

/// What a rule does with the packets that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleAction {
    /// Looks up this table; goes on with the next rule when it has no route.
    Lookup(u32),
    /// Drops silently.
    Blackhole,
    /// Drops; the sender learns that the host is unreachable.
    Unreachable,
    /// Drops; the sender learns that it is forbidden.
    Prohibit,
    /// Anything else, by its number (`FR_ACT_GOTO`, ...).
    Other(u8),
}

/// A policy rule. Every selector that is `None` matches everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The family of the packets.
    pub family: Family,
    /// Its place: rules with lower numbers come first. `main` is at 32,766.
    pub priority: u32,
    /// What it does.
    pub action: RuleAction,
    /// The routing mark and the bits of it that count.
    pub mark: Option<(u32, u32)>,
    /// Source addresses.
    pub from: Option<Prefix>,
    /// Destination addresses.
    pub to: Option<Prefix>,
    /// The incoming interface; `lo` for packets that this host itself sends.
    pub incoming: Option<String>,
    /// The IP protocol (6 TCP, 17 UDP, ...).
    pub protocol: Option<u8>,
    /// First and last source port. The kernel's rules cannot name port 65,535: a range from 0 or
    /// 1 up to it is added as "all ports", any other range that ends there ends at 65,534.
    pub source_ports: Option<(u16, u16)>,
    /// First and last destination port, as the source ports.
    pub destination_ports: Option<(u16, u16)>,
    /// Matches what the selectors do not match.
    pub inverted: bool,
    /// Who added it, see [`OWNER`].
    pub owner: u8,
}

impl Rule {
    /// A rule of ours that matches every packet of a family, to be completed.
    pub fn new(family: Family, priority: u32, action: RuleAction) -> Rule {
        Rule {
            family,
            priority,
            action,
            mark: None,
            from: None,
            to: None,
            incoming: None,
            protocol: None,
            source_ports: None,
            destination_ports: None,
            inverted: false,
            owner: OWNER,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:", self.family, self.priority)?;
        if self.inverted {
            write!(f, " not")?;
        }
        if let Some((mark, mask)) = self.mark {
            write!(f, " fwmark {mark:#x}/{mask:#x}")?;
        }
        if let Some(prefix) = self.from {
            write!(f, " from {prefix}")?;
        }
        if let Some(prefix) = self.to {
            write!(f, " to {prefix}")?;
        }
        if let Some(name) = &self.incoming {
            write!(f, " iif {name}")?;
        }
        if let Some(protocol) = self.protocol {
            write!(f, " ipproto {protocol}")?;
        }
        if let Some((first, last)) = self.source_ports {
            write!(f, " sport {first}-{last}")?;
        }
        if let Some((first, last)) = self.destination_ports {
            write!(f, " dport {first}-{last}")?;
        }
        match self.action {
            RuleAction::Lookup(table) => write!(f, " lookup {table}"),
            other => write!(f, " {other:?}"),
        }
    }
}

impl Netlink {
    /// The rules of a family, in their order.
    ///
    /// # Errors
    /// A sentence.
    pub fn rules(&mut self, family: Family) -> Result<Vec<Rule>, Error> {
        let mut message = RuleMessage::default();
        message.header.family = address_family(family);
        let request = RouteNetlinkMessage::GetRule(message);
        let objects = self.dump(request, || format!("list the {family} rules"))?;
        Ok(objects.iter().filter_map(from_message).collect())
    }

    /// Adds a rule. Answers whether it was new.
    ///
    /// # Errors
    /// A sentence.
    pub fn add_rule(&mut self, rule: &Rule) -> Result<bool, Error> {
        let request = RouteNetlinkMessage::NewRule(message(rule));
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        self.change_unless(&[libc::EEXIST], request, flags, || {
            format!("add the rule {rule}")
        })
    }

    /// Removes a rule. Answers whether it was there.
    ///
    /// # Errors
    /// A sentence.
    pub fn delete_rule(&mut self, rule: &Rule) -> Result<bool, Error> {
        let request = RouteNetlinkMessage::DelRule(message(rule));
        self.change_unless(&[libc::ENOENT, libc::ESRCH], request, 0, || {
            format!("remove the rule {rule}")
        })
    }
}

fn message(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = address_family(rule.family);
    if rule.inverted {
        message.header.flags = RuleFlags::Invert;
    }
    let attributes = &mut message.attributes;
    attributes.push(RuleAttribute::Priority(rule.priority));
    attributes.push(RuleAttribute::Protocol(rule.owner.into()));
    message.header.action = match rule.action {
        RuleAction::Lookup(table) => {
            attributes.push(RuleAttribute::Table(table));
            Action::ToTable
        }
        RuleAction::Blackhole => Action::Blackhole,
        RuleAction::Unreachable => Action::Unreachable,
        RuleAction::Prohibit => Action::Prohibit,
        RuleAction::Other(number) => number.into(),
    };
    if let Some((mark, mask)) = rule.mark {
        attributes.push(RuleAttribute::FwMark(mark));
        attributes.push(RuleAttribute::FwMask(mask));
    }
    if let Some(prefix) = rule.from {
        message.header.src_len = prefix.length();
        attributes.push(RuleAttribute::Source(prefix.network().address()));
    }
    if let Some(prefix) = rule.to {
        message.header.dst_len = prefix.length();
        attributes.push(RuleAttribute::Destination(prefix.network().address()));
    }
    attributes.extend(rule.incoming.clone().map(RuleAttribute::Iifname));
    attributes.extend(
        rule.protocol
            .map(|number| RuleAttribute::IpProtocol(number.into())),
    );
    attributes.extend(
        rule.source_ports
            .and_then(range)
            .map(RuleAttribute::SourcePortRange),
    );
    let destination_ports = rule.destination_ports.and_then(range);
    attributes.extend(destination_ports.map(RuleAttribute::DestinationPortRange));
    message
}

/// What the kernel takes for a range of ports; `None` for all of them.
fn range((first, last): (u16, u16)) -> Option<RulePortRange> {
    if first <= 1 && last == u16::MAX {
        return None;
    }
    Some(RulePortRange {
        start: first,
        end: last.min(u16::MAX - 1),
    })
}

fn from_message(message: &RouteNetlinkMessage) -> Option<Rule> {
    let RouteNetlinkMessage::NewRule(message) = message else {
        return None;
    };
    let header = &message.header;
    let family = match header.family {
        AddressFamily::Inet => Family::V4,
        AddressFamily::Inet6 => Family::V6,
        _ => return None,
    };
    let mut table = u32::from(header.table);
    let mut rule = Rule::new(family, 0, RuleAction::Other(0));
    rule.inverted = header.flags.contains(RuleFlags::Invert);
    rule.owner = 0;
    let mut mark = None;
    let mut mask = None;
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(priority) => rule.priority = *priority,
            RuleAttribute::Protocol(owner) => rule.owner = (*owner).into(),
            RuleAttribute::Table(number) => table = *number,
            RuleAttribute::FwMark(value) => mark = Some(*value),
            RuleAttribute::FwMask(value) => mask = Some(*value),
            RuleAttribute::Source(address) => {
                rule.from = Some(Prefix::new(*address, header.src_len));
            }
            RuleAttribute::Destination(address) => {
                rule.to = Some(Prefix::new(*address, header.dst_len));
            }
            RuleAttribute::Iifname(name) => rule.incoming = Some(name.clone()),
            RuleAttribute::IpProtocol(number) => rule.protocol = Some((*number).into()),
            RuleAttribute::SourcePortRange(range) => {
                rule.source_ports = Some((range.start, range.end));
            }
            RuleAttribute::DestinationPortRange(range) => {
                rule.destination_ports = Some((range.start, range.end));
            }
            _ => {}
        }
    }
    rule.mark = mask
        .filter(|mask| *mask != 0)
        .map(|mask| (mark.unwrap_or(0), mask));
    rule.action = match header.action {
        Action::ToTable => RuleAction::Lookup(table),
        Action::Blackhole => RuleAction::Blackhole,
        Action::Unreachable => RuleAction::Unreachable,
        Action::Prohibit => RuleAction::Prohibit,
        other => RuleAction::Other(other.into()),
    };
    Some(rule)
}
