//! Netlink against a namespace's kernel.

use super::*;
use crate::netns;
use crate::prefix::{Family, Prefix};
use crate::testing::{Namespace, ip, root_or_say_so, two, wait};

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn links_are_listed_changed_and_removed() {
    if !root_or_say_so("rtnetlink links") {
        return;
    }
    let (a, b) = two("nl-link");
    let mut netlink = netns::netlink(&a.name).unwrap();
    let lo = netlink.link("lo").unwrap();
    assert!(lo.loopback && lo.up && lo.index == 1);
    let eth0 = netlink.link("eth0").unwrap();
    assert!(eth0.up && eth0.carrier && !eth0.loopback);
    assert_eq!((eth0.mtu, eth0.kind.as_deref()), (1500, Some("veth")));
    netlink.set_mtu(eth0.index, 1400).unwrap();
    netlink.set_mac(eth0.index, [2, 0, 0, 0, 0, 9]).unwrap();
    let text = a.output("ip", &["link", "show", "eth0"]);
    assert!(
        text.contains("mtu 1400") && text.contains("02:00:00:00:00:09"),
        "{text}"
    );
    assert_eq!(netlink.link("eth0").unwrap().mac, Some([2, 0, 0, 0, 0, 9]));
    netlink.set_up(eth0.index, false).unwrap();
    assert!(!netlink.link("eth0").unwrap().up);
    let mut other = netns::netlink(&b.name).unwrap();
    assert!(!other.link("eth0").unwrap().carrier);

    netlink.add_bridge("br0").unwrap();
    let bridge = netlink.link("br0").unwrap();
    assert_eq!(bridge.kind.as_deref(), Some("bridge"));
    netlink
        .set_controller(eth0.index, Some(bridge.index))
        .unwrap();
    assert_eq!(netlink.link("eth0").unwrap().controller, Some(bridge.index));
    netlink.set_controller(eth0.index, None).unwrap();
    assert_eq!(netlink.link("eth0").unwrap().controller, None);
    let text = netlink.add_bridge("br0").unwrap_err().to_string();
    assert!(
        text.starts_with("cannot make the interface br0: File exists"),
        "{text}"
    );
    assert!(netlink.delete_link(bridge.index).unwrap());
    assert!(!netlink.delete_link(bridge.index).unwrap());
    let text = netlink.link("br0").unwrap_err().to_string();
    assert!(
        text.starts_with("cannot find the interface br0: No such device"),
        "{text}"
    );
}

#[test]
fn addresses_are_added_listed_and_removed() {
    if !root_or_say_so("rtnetlink addresses") {
        return;
    }
    let (a, _b) = two("nl-addr");
    let mut netlink = netns::netlink(&a.name).unwrap();
    let link = netlink.link("eth0").unwrap().index;
    let plain = AddressFlags::default();
    for (vip, other) in [
        ("192.0.2.100/32", "192.0.2.1/24"),
        ("2001:db8::100/128", "2001:db8::1/64"),
    ] {
        let vip = prefix(vip);
        assert!(netlink.add_address(link, vip, plain).unwrap());
        assert!(!netlink.add_address(link, vip, plain).unwrap());
        let addresses = netlink.addresses().unwrap();
        let found = addresses
            .iter()
            .find(|address| address.prefix == vip)
            .unwrap();
        assert_eq!(found.link, link);
        assert!(!found.tentative && !found.deprecated);
        assert!(
            addresses
                .iter()
                .any(|address| address.prefix == prefix(other))
        );
        let deprecated = AddressFlags {
            deprecated: true,
            ..plain
        };
        assert!(!netlink.add_address(link, vip, deprecated).unwrap());
        let addresses = netlink.addresses().unwrap();
        assert!(
            addresses
                .iter()
                .any(|address| address.prefix == vip && address.deprecated)
        );
        assert!(
            a.output("ip", &["addr", "show", "eth0"])
                .contains(&vip.to_string())
        );
        assert!(netlink.delete_address(link, vip).unwrap());
        assert!(!netlink.delete_address(link, vip).unwrap());
        assert!(
            !a.output("ip", &["addr", "show", "eth0"])
                .contains(&vip.to_string())
        );
    }
    let bare = AddressFlags {
        no_prefix_route: true,
        ..plain
    };
    netlink
        .add_address(link, prefix("10.9.0.1/24"), bare)
        .unwrap();
    assert!(!a.output("ip", &["route"]).contains("10.9.0.0"));
    let text = netlink
        .add_address(999, prefix("10.0.0.1/8"), plain)
        .unwrap_err()
        .to_string();
    assert!(
        text.starts_with("cannot add the address 10.0.0.1/8 to interface 999: No such device"),
        "{text}"
    );
}

#[test]
fn routes_of_any_table_carry_source_and_mtu() {
    if !root_or_say_so("rtnetlink routes") {
        return;
    }
    let (a, _b) = two("nl-route");
    let mut netlink = netns::netlink(&a.name).unwrap();
    let link = netlink.link("eth0").unwrap().index;
    for (family, own, gateway, to, flag) in [
        (
            Family::V4,
            "192.0.2.1",
            "192.0.2.2",
            "198.51.100.0/24",
            "-4",
        ),
        (
            Family::V6,
            "2001:db8::1",
            "2001:db8::2",
            "2001:db8:9::/48",
            "-6",
        ),
    ] {
        for table in [MAIN_TABLE, 220, 70_000] {
            assert!(
                netlink
                    .routes(family, Some(table))
                    .unwrap()
                    .iter()
                    .all(|r| r.owner != OWNER)
            );
            let mut route = Route::new(prefix(to), table);
            route.link = Some(link);
            route.gateway = Some(ip(gateway));
            route.source = Some(ip(own));
            route.mtu = Some(1400);
            route.metric = Some(50);
            netlink.add_route(&route).unwrap();
            let all = netlink.routes(family, Some(table)).unwrap();
            assert!(all.contains(&route), "{all:?}");
            route.mtu = Some(1300);
            netlink.add_route(&route).unwrap();
            let all = netlink.routes(family, Some(table)).unwrap();
            assert_eq!(
                all.iter().filter(|r| r.destination == prefix(to)).count(),
                1
            );
            assert!(all.contains(&route), "{all:?}");
            let text = a.output("ip", &[flag, "route", "show", "table", &table.to_string()]);
            let line = text.lines().find(|line| line.contains(to)).unwrap();
            for part in [
                gateway,
                "dev eth0",
                "proto 72",
                own,
                "mtu 1300",
                "metric 50",
            ] {
                assert!(line.contains(part), "{part}: {line}");
            }
            assert!(netlink.routes(family, None).unwrap().contains(&route));
            assert!(netlink.delete_route(&route).unwrap());
            assert!(!netlink.delete_route(&route).unwrap());
        }
        let mut hole = Route::new(Prefix::any(family), 221);
        hole.kind = RouteKind::Blackhole;
        netlink.add_route(&hole).unwrap();
        let found = netlink.routes(family, Some(221)).unwrap();
        assert_eq!(found[0].kind, RouteKind::Blackhole);
    }
    let mut route = Route::new(prefix("10.0.0.0/8"), MAIN_TABLE);
    route.gateway = Some(ip("203.0.113.1"));
    let text = netlink.add_route(&route).unwrap_err().to_string();
    // The last part is the kernel's extended acknowledgement.
    assert_eq!(
        text,
        "cannot add the route to 10.0.0.0/8 to table 254: Network is unreachable \
         (os error 101): Nexthop has invalid gateway"
    );
}

#[test]
fn rules_select_by_every_field_and_read_back() {
    if !root_or_say_so("rtnetlink rules") {
        return;
    }
    let (a, _b) = two("nl-rule");
    let mut netlink = netns::netlink(&a.name).unwrap();
    for (family, flag, from, to) in [
        (Family::V4, "-4", "192.0.2.0/24", "198.51.100.7/32"),
        (Family::V6, "-6", "2001:db8::/64", "2001:db8::7/128"),
    ] {
        let mut full = Rule::new(family, 100, RuleAction::Lookup(70_000));
        full.mark = Some((0x48, 0xff));
        full.from = Some(prefix(from));
        full.to = Some(prefix(to));
        full.incoming = Some("lo".into());
        full.protocol = Some(6);
        full.source_ports = Some((1024, 65_534));
        full.destination_ports = Some((110, 110));
        let mut inverted = Rule::new(family, 101, RuleAction::Unreachable);
        inverted.mark = Some((7, u32::MAX));
        inverted.inverted = true;
        let plain = Rule::new(family, 102, RuleAction::Lookup(220));
        for rule in [&full, &inverted, &plain] {
            assert!(netlink.add_rule(rule).unwrap());
            assert!(!netlink.add_rule(rule).unwrap(), "{rule}");
        }
        let rules = netlink.rules(family).unwrap();
        let ours: Vec<_> = rules.iter().filter(|rule| rule.owner == OWNER).collect();
        assert_eq!(ours, [&full, &inverted, &plain]);
        assert!(
            rules
                .iter()
                .any(|rule| rule.priority == 32_766 && rule.owner == 2)
        );
        let text = squeezed(&a.output("ip", &[flag, "rule"]));
        let to = to.split('/').next().unwrap();
        let line = format!(
            "100: from {from} to {to} fwmark 0x48/0xff iif lo ipproto tcp sport 1024-65534 \
             dport 110 lookup 70000"
        );
        assert!(text.contains(&line), "{text}\n{line}");
        assert!(
            text.contains("101: not from all fwmark 0x7 unreachable"),
            "{text}"
        );
        for rule in [&full, &inverted, &plain] {
            assert!(netlink.delete_rule(rule).unwrap());
            assert!(!netlink.delete_rule(rule).unwrap());
        }
        assert!(
            netlink
                .rules(family)
                .unwrap()
                .iter()
                .all(|rule| rule.owner != OWNER)
        );
    }
    let mut high = Rule::new(Family::V4, 103, RuleAction::Lookup(220));
    high.protocol = Some(17);
    high.source_ports = Some((0, 65_535));
    high.destination_ports = Some((49_152, 65_535));
    assert!(netlink.add_rule(&high).unwrap());
    assert!(!netlink.add_rule(&high).unwrap());
    let text = squeezed(&a.output("ip", &["rule"]));
    let line = "103: from all ipproto udp dport 49152-65534 lookup 220";
    assert!(text.contains(line), "{text}");
    assert!(netlink.delete_rule(&high).unwrap());
    let mut wrong = Rule::new(Family::V4, 100, RuleAction::Lookup(1));
    wrong.destination_ports = Some((20, 10));
    let text = netlink.add_rule(&wrong).unwrap_err().to_string();
    assert!(
        text.starts_with("cannot add the rule IPv4 100: dport 20-10 lookup 1: Invalid"),
        "{text}"
    );
}

#[test]
fn what_a_killed_daemon_left_is_found_and_removed() {
    if !root_or_say_so("remove_owned") {
        return;
    }
    let (a, _b) = two("nl-owned");
    let mut netlink = netns::netlink(&a.name).unwrap();
    let link = netlink.link("eth0").unwrap().index;
    let before = (
        netlink.rules(Family::V4).unwrap(),
        netlink.routes(Family::V6, None).unwrap(),
    );
    for (family, to) in [
        (Family::V4, "198.51.100.0/24"),
        (Family::V6, "2001:db8:9::/48"),
    ] {
        for priority in [50, 51] {
            let rule = Rule::new(family, priority, RuleAction::Lookup(72_000));
            netlink.add_rule(&rule).unwrap();
        }
        let mut route = Route::new(prefix(to), 72_000);
        route.link = Some(link);
        netlink.add_route(&route).unwrap();
    }
    assert_eq!(netlink.remove_owned().unwrap(), 6);
    assert_eq!(netlink.remove_owned().unwrap(), 0);
    let after = (
        netlink.rules(Family::V4).unwrap(),
        netlink.routes(Family::V6, None).unwrap(),
    );
    assert_eq!(before, after);
}

#[test]
fn the_kernels_choice_of_a_route() {
    if !root_or_say_so("route_get") {
        return;
    }
    let (a, _b) = two("nl-get");
    let mut netlink = netns::netlink(&a.name).unwrap();
    let link = netlink.link("eth0").unwrap().index;
    let get = |netlink: &mut Netlink, to: &str, mark| netlink.route_get(ip(to), mark);
    for (family, own, on_link, gateway, far) in [
        (
            Family::V4,
            "192.0.2.1",
            "192.0.2.77",
            "192.0.2.2",
            "198.51.100.1",
        ),
        (
            Family::V6,
            "2001:db8::1",
            "2001:db8::77",
            "2001:db8::2",
            "2001:db8:9::1",
        ),
    ] {
        let direct = get(&mut netlink, on_link, 0).unwrap();
        assert_eq!(direct.source, Some(ip(own)));
        assert_eq!((direct.link, direct.gateway), (Some(link), None));
        assert_eq!(direct.kind, RouteKind::Unicast);
        assert_eq!(get(&mut netlink, own, 0).unwrap().kind, RouteKind::Local);
        assert!(get(&mut netlink, far, 0).is_err());
        let mut route = Route::new(Prefix::from(ip(far)), 300);
        route.gateway = Some(ip(gateway));
        route.link = Some(link);
        route.mtu = Some(1280);
        netlink.add_route(&route).unwrap();
        let mut rule = Rule::new(family, 50, RuleAction::Lookup(300));
        rule.mark = Some((5, u32::MAX));
        netlink.add_rule(&rule).unwrap();
        let by_mark = get(&mut netlink, far, 5).unwrap();
        assert_eq!(by_mark.gateway, Some(ip(gateway)));
        assert_eq!((by_mark.source, by_mark.mtu), (Some(ip(own)), Some(1280)));
        assert!(get(&mut netlink, far, 6).is_err());
    }
}

fn events_until(monitor: &mut Monitor, events: &mut Vec<Event>, last: impl Fn(&Event) -> bool) {
    while !events.iter().any(&last) {
        wait(&*monitor);
        while let Some(event) = monitor.next_event().unwrap() {
            events.push(event);
        }
    }
}

#[test]
fn changes_are_told_as_they_happen() {
    if !root_or_say_so("the netlink monitor") {
        return;
    }
    let a = Namespace::new("nl-monitor");
    let mut netlink = netns::netlink(&a.name).unwrap();
    let mut monitor = netns::monitor(&a.name).unwrap();
    assert_eq!(monitor.next_event().unwrap(), None);
    netlink.add_veth("v0", "v1", None).unwrap();
    let link = netlink.link("v0").unwrap().index;
    let peer = netlink.link("v1").unwrap().index;
    netlink.set_up(link, true).unwrap();
    netlink.set_up(peer, true).unwrap();
    let mut events = Vec::new();
    // The kernel gathers changes of carriers and tells them up to a second later.
    events_until(
        &mut monitor,
        &mut events,
        |event| matches!(event, Event::Link(l) if l.name == "v0" && l.carrier),
    );
    let own: Vec<Prefix> = ["192.0.2.1/24", "2001:db8::1/64"].map(prefix).into();
    for address in &own {
        netlink
            .add_address(link, *address, AddressFlags::default())
            .unwrap();
    }
    // An IPv6 address that is removed at once may never be told.
    for own in &own {
        events_until(
            &mut monitor,
            &mut events,
            |event| matches!(event, Event::Address(address) if address.prefix == *own),
        );
    }
    let mut route = Route::new(prefix("198.51.100.0/24"), 300);
    route.link = Some(link);
    netlink.add_route(&route).unwrap();
    netlink.delete_route(&route).unwrap();
    for address in &own {
        netlink.delete_address(link, *address).unwrap();
    }
    netlink.delete_link(link).unwrap();

    events_until(
        &mut monitor,
        &mut events,
        |event| matches!(event, Event::LinkGone(gone) if gone.index == link),
    );
    let position = |wanted: &dyn Fn(&Event) -> bool| {
        events
            .iter()
            .position(wanted)
            .unwrap_or_else(|| panic!("{events:#?}"))
    };
    let up = position(&|event| matches!(event, Event::Link(l) if l.name == "v0" && l.carrier));
    for own in &own {
        let is_own = |address: &Address| address.prefix == *own && address.link == link;
        let came = position(&|event| matches!(event, Event::Address(at) if is_own(at)));
        let went = position(&|event| matches!(event, Event::AddressGone(at) if is_own(at)));
        assert!(up < came && came < went);
    }
    let came = position(&|event| *event == Event::Route(route.clone()));
    let went = position(&|event| *event == Event::RouteGone(route.clone()));
    assert!(came < went);
    assert!(!events.contains(&Event::Lost));
}

#[test]
fn a_monitor_that_was_too_slow_says_so() {
    if !root_or_say_so("an overrun monitor") {
        return;
    }
    let (a, _b) = two("nl-lost");
    let mut netlink = netns::netlink(&a.name).unwrap();
    let mut monitor = netns::monitor(&a.name).unwrap();
    let link = netlink.link("lo").unwrap().index;
    // Far more than a megabyte of notifications.
    for number in 0..3000 {
        netlink.set_mtu(link, 1500 + number % 2).unwrap();
    }
    let mut lost = false;
    while let Some(event) = monitor.next_event().unwrap() {
        lost |= event == Event::Lost;
    }
    assert!(lost);
    netlink.set_mtu(link, 1400).unwrap();
    let event = monitor.next_event().unwrap();
    assert!(matches!(event, Some(Event::Link(link)) if link.mtu == 1400));
}

#[test]
fn a_missing_interface_is_a_sentence() {
    let error = crate::netlink::index_of("no such device").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot find the interface no such device: ")
    );
    assert!(crate::netlink::index_of("a\0b").is_err());
}
