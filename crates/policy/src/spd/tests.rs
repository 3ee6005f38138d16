//! Lookup against a plain reference, the order, dormant rules and exemptions.

use std::cmp::Reverse;
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::range::{AddressRange, PortRange};
use crate::rule::{Action, AddressSpec, Directions, Filter, Negotiate, Origin};
use crate::selector::{SelectorPair, TrafficSelector};

fn address(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

fn own() -> [IpAddr; 2] {
    [address(0), address(3)]
}

fn spec() -> impl Strategy<Value = AddressSpec> {
    let range = |a: u8, b: u8| AddressRange::new(address(a.min(b)), address(a.max(b))).unwrap();
    prop_oneof![
        Just(AddressSpec::Me),
        Just(AddressSpec::Any),
        (0..6u8).prop_map(|last| AddressSpec::Range(AddressRange::host(address(last)))),
        (0..6u8, 28..32u8).prop_map(|(last, length)| {
            AddressSpec::Range(AddressRange::subnet(address(last), length).unwrap())
        }),
        (0..6u8, 0..6u8).prop_map(move |(a, b)| AddressSpec::Range(range(a, b))),
    ]
}

fn ports() -> impl Strategy<Value = Vec<PortRange>> {
    let range = (0..5u16, 0..5u16).prop_map(|(a, b)| PortRange::new(a.min(b), a.max(b)).unwrap());
    proptest::collection::vec(range, 0..3)
}

fn filter() -> impl Strategy<Value = Filter> {
    let addresses = || proptest::collection::vec(spec(), 1..3);
    let directions = prop_oneof![
        Just(Directions::Both),
        Just(Directions::Inbound),
        Just(Directions::Outbound)
    ];
    (
        addresses(),
        addresses(),
        prop_oneof![Just(0), Just(6), Just(17)],
        ports(),
        ports(),
        directions,
    )
        .prop_map(
            |(local, remote, protocol, local_ports, remote_ports, directions)| Filter {
                local,
                remote,
                protocol,
                local_ports,
                remote_ports,
                directions,
            },
        )
}

fn negotiate(mode: Mode) -> Action {
    let child = Arc::new(ChildTemplate {
        mode,
        ..ChildTemplate::transport()
    });
    Action::Negotiate(Negotiate::require(child))
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Permit),
        Just(Action::Block),
        Just(negotiate(Mode::Transport)),
        Just(negotiate(Mode::Tunnel)),
    ]
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let rule = (proptest::collection::vec(filter(), 1..3), action());
    proptest::collection::vec(rule, 0..5).prop_map(|rules| {
        let named = |(index, (filters, action))| Rule {
            name: RuleName::new(&format!("rule{index}")),
            filters,
            action,
            peer: None,
            origin: Origin::File,
        };
        rules.into_iter().enumerate().map(named).collect()
    })
}

fn flow() -> impl Strategy<Value = Flow> {
    (
        0..6u8,
        0..6u8,
        prop_oneof![Just(6), Just(17), Just(1)],
        0..6u16,
        0..6u16,
    )
        .prop_map(|(src, dst, protocol, src_port, dst_port)| Flow {
            src: address(src),
            dst: address(dst),
            protocol,
            src_port,
            dst_port,
        })
}

/// Every address range that a filter's list stands for, written down once more and plainly.
fn ranges(specs: &[AddressSpec]) -> Vec<(IpAddr, IpAddr)> {
    let of = |spec: &AddressSpec| match spec {
        AddressSpec::Me => own().map(|address| (address, address)).to_vec(),
        AddressSpec::Any => vec![(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into())],
        AddressSpec::Range(range) => vec![(range.start(), range.end())],
    };
    specs.iter().flat_map(of).collect()
}

/// The rule that decides, found without any order: the best of everything that matches.
fn reference(rules: &[Rule], flow: &Flow, direction: Direction) -> Option<String> {
    let ((local, local_port), (remote, remote_port)) = match direction {
        Direction::Outbound => ((flow.src, flow.src_port), (flow.dst, flow.dst_port)),
        Direction::Inbound => ((flow.dst, flow.dst_port), (flow.src, flow.src_port)),
    };
    let (local_port, remote_port) = match flow.protocol {
        1 => (flow.src_port, flow.src_port),
        _ => (local_port, remote_port),
    };
    let any = vec![PortRange::ANY];
    let list = |ports: &Vec<PortRange>| {
        if ports.is_empty() {
            any.clone()
        } else {
            ports.clone()
        }
    };
    let mut best: Option<(_, String)> = None;
    for rule in rules {
        for filter in &rule.filters {
            let wrong_way = match filter.directions {
                Directions::Both => false,
                Directions::Inbound => direction != Direction::Inbound,
                Directions::Outbound => direction != Direction::Outbound,
            };
            if wrong_way || (filter.protocol != 0 && filter.protocol != flow.protocol) {
                continue;
            }
            for here in ranges(&filter.local)
                .iter()
                .filter(|r| r.0 <= local && local <= r.1)
            {
                for there in ranges(&filter.remote)
                    .iter()
                    .filter(|r| r.0 <= remote && remote <= r.1)
                {
                    for here_ports in list(&filter.local_ports) {
                        for there_ports in list(&filter.remote_ports) {
                            if !here_ports.contains(local_port)
                                || !there_ports.contains(remote_port)
                            {
                                continue;
                            }
                            let side = |range: &(IpAddr, IpAddr), ports| TrafficSelector {
                                protocol: filter.protocol,
                                ports,
                                addresses: AddressRange::new(range.0, range.1).unwrap(),
                            };
                            let pair = SelectorPair {
                                local: side(here, here_ports),
                                remote: side(there, there_ports),
                            };
                            let rank = match rule.action {
                                Action::Block => 0,
                                Action::Exempt | Action::Permit => 1,
                                Action::Negotiate(_) => 2,
                            };
                            let weight = Reverse(Weight::of(&rule.action, &pair).number());
                            let key = (weight, rank, rule.name.as_str().to_owned());
                            if best.as_ref().is_none_or(|(known, _)| key < *known) {
                                best = Some((key, rule.name.as_str().to_owned()));
                            }
                        }
                    }
                }
            }
        }
    }
    best.map(|(_, name)| name)
}

proptest! {
    #[test]
    fn lookup_agrees_with_the_plain_reference(
        rules in rules(),
        flows in proptest::collection::vec(flow(), 20),
    ) {
        let spd = Spd::build(rules.clone(), &own());
        for flow in &flows {
            for direction in [Direction::Inbound, Direction::Outbound] {
                let found = spd.lookup(flow, direction);
                let name = found.rule().map(|found| found.rule.name.as_str().to_owned());
                prop_assert_eq!(name, reference(&rules, flow, direction));
            }
        }
    }

    #[test]
    fn the_order_is_total_and_does_not_depend_on_the_file(rules in rules(), turn in 0..5usize) {
        let listing = |spd: &Spd| {
            let line = |entry: &Entry| {
                let name = spd.rule_of(entry).map(|rule| rule.name.clone());
                (name, entry.filter, entry.pair, entry.directions)
            };
            spd.entries().iter().map(line).collect::<Vec<_>>()
        };
        let there = Spd::build(rules.clone(), &own());
        let mut turned = rules;
        let middle = turn.min(turned.len());
        turned.rotate_left(middle);
        let back = Spd::build(turned, &[own()[1], own()[0], own()[1]]);
        prop_assert_eq!(listing(&there), listing(&back));
        let weights: Vec<_> = there.entries().iter().map(|entry| entry.weight).collect();
        prop_assert!(weights.is_sorted_by(|a, b| a >= b));
        prop_assert!(weights.is_sorted_by_key(|weight| Reverse(weight.number())));
    }

    #[test]
    fn what_is_negotiated_holds_the_packet_and_nothing_that_the_rule_does_not(
        rules in rules(),
        flow in flow(),
    ) {
        let spd = Spd::build(rules, &own());
        let verdict = spd.lookup(&flow, Direction::Outbound);
        let Some(found) = verdict.rule() else { return Ok(()) };
        if found.rule.action.child().is_none() || found.entry.dormant {
            return Ok(());
        }
        let filter = &found.rule.filters[found.entry.filter];
        let selectors = found.selectors(&flow, Direction::Outbound);
        let transport = found.rule.action.child().is_some_and(|c| c.mode == Mode::Transport);
        if !transport || own().contains(&flow.src) {
            prop_assert!(selectors.contains(&flow, Direction::Outbound), "{}", selectors);
        }
        let local = ranges(&filter.local);
        for selector in &selectors.local {
            let inside = |range: &(IpAddr, IpAddr)| {
                let (start, end) = (selector.addresses.start(), selector.addresses.end());
                range.0 <= start && (end <= range.1 || end.is_ipv6())
            };
            let v6 = !selector.addresses.is_ipv4();
            prop_assert!(v6 || local.iter().any(inside));
        }
    }
}

fn host(last: u8) -> AddressSpec {
    AddressSpec::Range(AddressRange::host(address(last)))
}

fn rule(name: &str, filter: Filter, action: Action) -> Rule {
    Rule {
        name: name.into(),
        filters: vec![filter],
        action,
        peer: None,
        origin: Origin::File,
    }
}

fn tcp(src: u8, src_port: u16, dst: u8, dst_port: u16) -> Flow {
    Flow {
        src: address(src),
        dst: address(dst),
        protocol: 6,
        src_port,
        dst_port,
    }
}

fn name_of(verdict: &Verdict<'_>) -> Option<String> {
    verdict
        .rule()
        .map(|found| found.rule.name.as_str().to_owned())
}

#[test]
fn a_mirrored_filter_works_both_ways() {
    let filter = Filter {
        protocol: 6,
        remote_ports: vec![PortRange::single(110)],
        ..Filter::between(AddressSpec::Me, host(5))
    };
    let spd = Spd::build(vec![rule("mail", filter, Action::Block)], &[address(1)]);
    let out = spd.lookup(&tcp(1, 40_000, 5, 110), Direction::Outbound);
    let back = spd.lookup(&tcp(5, 110, 1, 40_000), Direction::Inbound);
    assert_eq!(name_of(&out), Some("mail".to_owned()));
    assert_eq!(name_of(&back), Some("mail".to_owned()));
    let other = spd.lookup(&tcp(5, 40_000, 1, 110), Direction::Inbound);
    assert_eq!(name_of(&other), None);
}

#[test]
fn the_order_of_the_kinds() {
    let ports = |filter: Filter, local: &[u16], remote: &[u16]| Filter {
        protocol: 6,
        local_ports: local.iter().copied().map(PortRange::single).collect(),
        remote_ports: remote.iter().copied().map(PortRange::single).collect(),
        ..filter
    };
    let subnet = |length| AddressSpec::Range(AddressRange::subnet(address(0), length).unwrap());
    let range = AddressSpec::Range(AddressRange::new(address(1), address(6)).unwrap());
    let all = |remote| Filter::between(AddressSpec::Any, remote);
    let rules = vec![
        rule(
            "any",
            Filter {
                remote: vec![AddressSpec::Any],
                ..all(range)
            },
            Action::Permit,
        ),
        rule("range", all(range), Action::Permit),
        rule("subnet-24", all(subnet(24)), Action::Permit),
        rule("subnet-28", all(subnet(28)), Action::Permit),
        rule("host", all(host(5)), Action::Permit),
        rule(
            "host-tcp",
            Filter {
                protocol: 6,
                ..all(host(5))
            },
            Action::Permit,
        ),
        rule(
            "host-local-port",
            ports(all(host(5)), &[9], &[]),
            Action::Permit,
        ),
        rule(
            "host-remote-port",
            ports(all(host(5)), &[], &[9]),
            Action::Permit,
        ),
        rule("tunnel", all(AddressSpec::Any), negotiate(Mode::Tunnel)),
        rule("a-host", all(host(5)), Action::Permit),
        rule("block", all(host(5)), Action::Block),
        rule("transport", all(host(5)), negotiate(Mode::Transport)),
    ];
    let spd = Spd::build(rules, &[address(1)]);
    let mut names: Vec<&str> = Vec::new();
    for entry in spd.entries() {
        let name = spd.rule_of(entry).unwrap().name.as_str();
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    let expected = [
        "tunnel",
        "host-remote-port",
        "host-local-port",
        "host-tcp",
        "block",
        "a-host",
        "host",
        "transport",
        "subnet-28",
        "subnet-24",
        "range",
        "any",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_rule_sleeps_while_its_address_is_elsewhere() {
    let vip = Filter::between(host(9), AddressSpec::Any);
    let me = Filter::between(AddressSpec::Me, host(7));
    let rules = vec![
        rule("vip", vip, negotiate(Mode::Transport)),
        rule("me", me, negotiate(Mode::Transport)),
    ];
    let mut spd = Spd::build(rules, &[address(1)]);
    let from_vip = tcp(9, 110, 4, 40_000);
    let found = spd.lookup(&from_vip, Direction::Outbound);
    assert!(
        found.rule().is_some_and(|found| found.entry.dormant),
        "nothing leaks meanwhile"
    );
    assert!(
        spd.child_rules()
            .iter()
            .all(|rule| rule.rule.as_str() != "vip")
    );

    assert!(spd.set_local_addresses(&[address(1), address(9)]));
    assert!(
        !spd.set_local_addresses(&[address(9), address(1), address(1)]),
        "the same ones"
    );
    let found = spd.lookup(&from_vip, Direction::Outbound);
    assert!(found.rule().is_some_and(|found| !found.entry.dormant));
    let selectors = found
        .rule()
        .unwrap()
        .selectors(&from_vip, Direction::Outbound);
    assert_eq!(selectors.to_string(), "10.0.0.9/32 === 10.0.0.4/32");
    assert_eq!(spd.child_rules().len(), 2);
    let of_me = spd.lookup(&tcp(9, 1, 7, 2), Direction::Outbound);
    assert_eq!(name_of(&of_me), Some("me".to_owned()));

    assert!(spd.set_local_addresses(&[]));
    assert_eq!(
        name_of(&spd.lookup(&tcp(9, 1, 7, 2), Direction::Outbound)),
        Some("vip".to_owned())
    );
    assert!(spd.child_rules().is_empty());
}

#[test]
fn ike_and_neighbour_discovery_pass_whatever_the_rules_say() {
    let everything = Filter::between(AddressSpec::Any, AddressSpec::Any);
    let spd = Spd::build(vec![rule("none", everything, Action::Block)], &[]);
    let udp = |src_port, dst_port| Flow {
        protocol: 17,
        ..tcp(1, src_port, 2, dst_port)
    };
    let exempt = |flow: &Flow, direction| matches!(spd.lookup(flow, direction), Verdict::Exempt(_));
    assert!(exempt(&udp(500, 500), Direction::Outbound));
    assert!(exempt(&udp(9_999, 4500), Direction::Inbound));
    assert!(
        !exempt(&udp(500, 9_999), Direction::Inbound),
        "not by the other side's port"
    );
    assert!(!exempt(&udp(88, 88), Direction::Inbound));
    assert!(exempt(
        &Flow {
            protocol: 50,
            ..tcp(1, 0, 2, 0)
        },
        Direction::Outbound
    ));
    let icmpv6 = |kind: u16| Flow {
        src: "fe80::1".parse().unwrap(),
        dst: "fe80::2".parse().unwrap(),
        protocol: 58,
        src_port: kind << 8,
        dst_port: 0,
    };
    assert!(exempt(&icmpv6(135), Direction::Outbound));
    assert!(!exempt(&icmpv6(128), Direction::Outbound));
}
