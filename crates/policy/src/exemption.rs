//! Traffic that the policy never touches, because nothing would work if it did.

use std::fmt;
use std::net::IpAddr;

use wire::ip::Flow;

use crate::names::RuleName;
use crate::protocol;
use crate::range::{AddressRange, PortRange};
use crate::rule::{Action, AddressSpec, Directions, Filter, Origin, Rule};
use crate::selector::{Direction, sides};

/// Why a packet is exempt. Much narrower than what Windows 2000 exempted by default, where any
/// packet with source port 88 went past every filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exemption {
    /// IKE itself, and ESP in UDP: UDP from or to our ports 500 and 4500 (RFC 4301 section 4.4.1
    /// asks for a bypass of IKE).
    Ike,
    /// ESP: it is protected already.
    Esp,
    /// Neighbour discovery (RFC 4861): without it no packet reaches a peer on the link.
    NeighbourDiscovery,
}

impl Exemption {
    /// The exemption that a packet has, if any.
    #[must_use]
    pub fn of(flow: &Flow, direction: Direction) -> Option<Self> {
        let (local, _) = sides(flow, direction);
        match flow.protocol {
            protocol::ESP => Some(Exemption::Esp),
            protocol::UDP if matches!(local.port, 500 | 4500) => Some(Exemption::Ike),
            protocol::ICMPV6 if (133..=137).contains(&(flow.src_port >> 8)) => {
                Some(Exemption::NeighbourDiscovery)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Exemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Exemption::Ike => "it is IKE itself, which sets the protection up",
            Exemption::Esp => "it is ESP, which is protected already",
            Exemption::NeighbourDiscovery => {
                "it is neighbour discovery, without which no peer on the link can be reached"
            }
        })
    }
}

/// How much passes whatever the rules say, besides what always does: the `NoDefaultExempt` of
/// Windows (KB254728, KB810207).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exemptions {
    /// 0, as Windows 2000 was delivered: multicast, broadcast, RSVP and Kerberos.
    All,
    /// 1: multicast and broadcast.
    Multicast,
    /// 2: RSVP and Kerberos.
    Services,
    /// 3, as Windows 2003 was delivered: nothing.
    #[default]
    None,
}

const RSVP: u8 = 46;
const KERBEROS: u16 = 88;
const NAME_MULTICAST: &str = "exempt-multicast";
const NAME_BROADCAST: &str = "exempt-broadcast";
const NAME_RSVP: &str = "exempt-rsvp";
const NAME_KERBEROS: &str = "exempt-kerberos";

impl Exemptions {
    /// By Windows's number, 0 to 3.
    #[must_use]
    pub fn of_level(level: u8) -> Option<Self> {
        Some(match level {
            0 => Exemptions::All,
            1 => Exemptions::Multicast,
            2 => Exemptions::Services,
            3 => Exemptions::None,
            _ => return None,
        })
    }

    /// Whether anybody who sends from port 88 goes past every rule.
    #[must_use]
    pub fn has_kerberos(self) -> bool {
        matches!(self, Exemptions::All | Exemptions::Services)
    }

    /// The rules that say so. They come before all others.
    #[must_use]
    pub fn rules(self) -> Vec<Rule> {
        let mut rules = Vec::new();
        if matches!(self, Exemptions::All | Exemptions::Multicast) {
            let multicast = [(IpAddr::from([224, 0, 0, 0]), 4), (multicast_v6(), 8)];
            let multicast = multicast
                .into_iter()
                .filter_map(|(address, length)| AddressRange::subnet(address, length));
            rules.push(rule(NAME_MULTICAST, addressed_to(multicast.collect())));
            let broadcast = AddressRange::host(IpAddr::from([255; 4]));
            rules.push(rule(NAME_BROADCAST, addressed_to(vec![broadcast])));
        }
        if self.has_kerberos() {
            let rsvp = Filter {
                protocol: RSVP,
                ..everything()
            };
            rules.push(rule(NAME_RSVP, vec![rsvp]));
            let ports = || vec![PortRange::single(KERBEROS)];
            let kerberos = [protocol::TCP, protocol::UDP]
                .into_iter()
                .flat_map(|number| {
                    let of = |local_ports, remote_ports| Filter {
                        protocol: number,
                        local_ports,
                        remote_ports,
                        ..everything()
                    };
                    [of(ports(), Vec::new()), of(Vec::new(), ports())]
                });
            rules.push(rule(NAME_KERBEROS, kerberos.collect()));
        }
        rules
    }
}

fn multicast_v6() -> IpAddr {
    IpAddr::from([0xff00, 0, 0, 0, 0, 0, 0, 0])
}

fn everything() -> Filter {
    Filter::between(AddressSpec::Any, AddressSpec::Any)
}

/// What goes to these addresses, from here or from the network.
fn addressed_to(ranges: Vec<AddressRange>) -> Vec<Filter> {
    let there: Vec<AddressSpec> = ranges.into_iter().map(AddressSpec::Range).collect();
    let out = Filter {
        remote: there.clone(),
        directions: Directions::Outbound,
        ..everything()
    };
    let back = Filter {
        local: there,
        directions: Directions::Inbound,
        ..everything()
    };
    vec![out, back]
}

fn rule(name: &str, filters: Vec<Filter>) -> Rule {
    Rule {
        name: RuleName::new(name),
        filters,
        action: Action::Exempt,
        peer: None,
        origin: Origin::File,
    }
}

/// What one of these rules is about.
pub(crate) fn why(rule: &RuleName) -> &'static str {
    match rule.as_str() {
        NAME_MULTICAST => "because it goes to a group of hosts",
        NAME_BROADCAST => "because it goes to every host of a link",
        NAME_RSVP => "because it is RSVP",
        NAME_KERBEROS => {
            "because one of its ports is 88, Kerberos's. Anybody can send from port 88: \
             `exemptions = 3` closes that"
        }
        _ => "because the policy says so",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::range::AddressRange;
    use crate::spd::{Spd, Verdict};

    /// Whether a packet to this host passes although a rule blocks everything.
    fn passes(level: u8, protocol: u8, source: &str, port: u16, destination: &str) -> bool {
        let own: IpAddr = "10.0.0.9".parse().unwrap();
        let blocked = Rule {
            name: "blocked".into(),
            filters: vec![
                everything(),
                // More specific than any exemption, and after it all the same.
                Filter::between(
                    AddressSpec::Me,
                    AddressSpec::Range(AddressRange::host(source.parse().unwrap())),
                ),
            ],
            action: Action::Block,
            peer: None,
            origin: Origin::File,
        };
        let mut rules = Exemptions::of_level(level).unwrap().rules();
        rules.push(blocked);
        let spd = Spd::build(rules, &[own]);
        let flow = Flow {
            src: source.parse().unwrap(),
            dst: destination.parse().unwrap(),
            protocol,
            src_port: port,
            dst_port: 445,
        };
        match spd.lookup(&flow, Direction::Inbound) {
            Verdict::Rule(found) => found.rule.action == Action::Exempt,
            _ => panic!("no rule"),
        }
    }

    #[test]
    fn levels_of_kb810207() {
        let (tcp, udp) = (protocol::TCP, protocol::UDP);
        for (protocol, port, destination, expected) in [
            (udp, 5000, "224.0.0.5", [true, true, false, false]),
            (udp, 5000, "255.255.255.255", [true, true, false, false]),
            (RSVP, 0, "10.0.0.9", [true, false, true, false]),
            (tcp, 88, "10.0.0.9", [true, false, true, false]),
            (udp, 88, "10.0.0.9", [true, false, true, false]),
            (tcp, 89, "10.0.0.9", [false; 4]),
        ] {
            let found =
                [0, 1, 2, 3].map(|level| passes(level, protocol, "10.0.0.1", port, destination));
            assert_eq!(found, expected, "{protocol} from {port} to {destination}");
        }
        assert_eq!(Exemptions::default(), Exemptions::None);
        assert!(Exemptions::default().rules().is_empty());
        assert_eq!(Exemptions::of_level(4), None);
    }

    /// The hole that Microsoft describes in KB811832: port 88 at the other side opens every port
    /// here, and the explanation says so.
    #[test]
    fn kb811832_source_port_88_goes_past_every_rule_unless_nothing_is_exempt() {
        let (open, shut) = (0, 3);
        assert!(passes(open, protocol::TCP, "10.6.6.6", 88, "10.0.0.9"));
        assert!(!passes(shut, protocol::TCP, "10.6.6.6", 88, "10.0.0.9"));
        assert!(why(&NAME_KERBEROS.into()).contains("exemptions = 3"));
    }
}
