//! The packet filter against real packets.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use super::*;
use crate::announce::Announcer;
use crate::netlink::{MAIN_TABLE, Route};
use crate::netns;
use crate::packet::{FrameBatch, PacketSocket};
use crate::prefix::{Family, Prefix};
use crate::raw::EspSocket;
use crate::testing::{Namespace, ip, readable_within, root_or_say_so, silent, two, wait};
use crate::tun::{Tun, TunOptions, VirtioNetHeader};
use crate::udp::{SocketOptions, UdpSocket};

const UDP: Option<u8> = Some(17);

fn guard(name: &str, action: Action, selectors: &[Selector]) -> Guard {
    Guard {
        name: name.into(),
        action,
        selectors: selectors.to_vec(),
        mirrored: true,
    }
}

fn ruleset(guards: Vec<Guard>) -> Ruleset {
    Ruleset {
        table: "holdfast".into(),
        protection: Protection::Tun("hf0".into()),
        mark: Some(0x48),
        ike_ports: vec![500, 4500],
        tcp_port: Some(4500),
        tcp_by_mark: true,
        guards,
    }
}

/// To UDP port `port` of anyone.
fn to_port(family: Family, port: u16) -> Selector {
    Selector {
        protocol: UDP,
        destination_ports: Some((port, port)),
        ..Selector::any(family)
    }
}

fn count(space: &Namespace, guard: &str, direction: Direction) -> u64 {
    let counters = space.run(|| counters("holdfast")).unwrap();
    let mut found = counters
        .iter()
        .filter(|c| c.guard == guard && c.direction == direction);
    found.next().unwrap().packets
}

/// Packets dropped while arriving and while leaving.
fn counted(space: &Namespace, guard: &str) -> (u64, u64) {
    let of = |direction| count(space, guard, direction);
    (of(Direction::Arriving), of(Direction::Leaving))
}

fn forwarded(space: &Namespace, guard: &str) -> u64 {
    count(space, guard, Direction::Forwarding)
}

fn bind(space: &Namespace, address: &str) -> UdpSocket {
    let address: SocketAddr = address.parse().unwrap();
    let options = SocketOptions::default();
    space
        .run(|| UdpSocket::bind(Family::of(address.ip()), address.port(), &options))
        .unwrap()
}

/// Sends a fresh datagram; whether it arrives in time.
fn arrives(from: &UdpSocket, to: &UdpSocket, address: &str, patience: Duration) -> bool {
    static NUMBER: AtomicU16 = AtomicU16::new(0);
    let bytes = NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let address = SocketAddr::new(ip(address), to.local_port().unwrap());
    // Where the sender's own rules drop it, sending may be refused.
    let _ = from.send_to(None, address, &bytes);
    let mut batch = crate::RecvBatch::new(4);
    while readable_within(to, patience) {
        to.receive(&mut batch).unwrap();
        if batch.iter().any(|entry| entry.bytes == bytes) {
            return true;
        }
    }
    false
}

fn passes(from: &UdpSocket, to: &UdpSocket, address: &str) -> bool {
    arrives(from, to, address, Duration::from_secs(5))
}

fn dropped(from: &UdpSocket, to: &UdpSocket, address: &str) -> bool {
    !arrives(from, to, address, Duration::from_millis(100))
}

#[test]
fn clear_packets_of_a_protected_port_are_dropped_and_counted_in_both_directions() {
    if !root_or_say_so("the packet filter") {
        return;
    }
    let (a, b) = two("nft-host");
    for (family, peer, own, any) in [
        (Family::V4, "192.0.2.1", "192.0.2.2", "0.0.0.0"),
        (Family::V6, "2001:db8::1", "2001:db8::2", "[::]"),
    ] {
        let sockets = |port| {
            (
                bind(&a, &format!("{any}:{port}")),
                bind(&b, &format!("{any}:{port}")),
            )
        };
        let (a110, b110) = sockets(110);
        let (a53, b53) = sockets(53);
        assert!(passes(&a53, &b110, own) && passes(&b110, &a53, peer));
        let rules = ruleset(vec![guard(
            "mail",
            Action::Protect,
            &[to_port(family, 110)],
        )]);
        b.run(|| apply(&rules)).unwrap();
        assert!(dropped(&a53, &b110, own));
        assert_eq!(counted(&b, "mail"), (1, 0));
        assert!(dropped(&b110, &a53, peer), "the mirrored direction");
        assert_eq!(counted(&b, "mail"), (1, 1));
        assert!(dropped(&b53, &a110, peer), "as a client of that port");
        assert_eq!(counted(&b, "mail"), (1, 2));
        assert!(
            passes(&a53, &b53, own) && passes(&b53, &a53, peer),
            "another port"
        );
        assert!(passes(&b53, &b110, own), "loopback");
        // Replacing the rules keeps the counts of guards that stay.
        b.run(|| apply(&rules)).unwrap();
        assert_eq!(counted(&b, "mail"), (1, 2));
        assert!(b.run(|| delete("holdfast")).unwrap());
        assert!(!b.run(|| delete("holdfast")).unwrap());
        assert!(passes(&a53, &b110, own));
        assert_eq!(b.run(|| counters("holdfast")).unwrap(), []);
    }
}

#[test]
fn the_plane_may_carry_what_the_wire_may_not() {
    if !root_or_say_so("the packet filter beside a TUN") {
        return;
    }
    let (a, b) = two("nft-plane");
    let options = TunOptions {
        name: "hf0".into(),
        mtu: 1400,
        multi_queue: false,
    };
    let tun = b.run(|| Tun::create(&options)).unwrap();
    let (a53, b110) = (bind(&a, "0.0.0.0:53"), bind(&b, "0.0.0.0:110"));
    // A clear packet, captured to be replayed through the TUN as if it had been decrypted.
    let capture = b.run(|| PacketSocket::capture("eth0", 1 << 20)).unwrap();
    assert!(passes(&a53, &b110, "192.0.2.2"));
    let mut batch = FrameBatch::new(64, 2048);
    capture.receive(&mut batch).unwrap();
    let frame = batch
        .iter()
        .find(|frame| frame.bytes.len() > 42 && frame.bytes[23] == 17);
    let packet = frame.unwrap().bytes[14..44].to_vec();
    // The cable leaves the checksum to the receiver: its place is told.
    let header = VirtioNetHeader {
        flags: VirtioNetHeader::NEEDS_CHECKSUM,
        csum_start: 20,
        csum_offset: 6,
        ..VirtioNetHeader::default()
    };

    let protect = guard("mail", Action::Protect, &[to_port(Family::V4, 110)]);
    let block = guard("all", Action::Block, &[Selector::any(Family::V4)]);
    b.run(|| apply(&ruleset(vec![protect, block]))).unwrap();
    assert!(dropped(&a53, &b110, "192.0.2.2"));
    tun.write_vectored(&header, &[&packet]).unwrap();
    wait(&b110);
    // Out: a route into the TUN takes the answer; without it the answer is dropped.
    let peer = "192.0.2.1:53".parse().unwrap();
    let _ = b110.send_to(None, peer, b"answer");
    assert_eq!(counted(&b, "mail"), (1, 1));
    let mut netlink = netns::netlink(&b.name).unwrap();
    let mut route = Route::new(Prefix::host(ip("192.0.2.1")), MAIN_TABLE);
    route.link = Some(tun.index());
    netlink.add_route(&route).unwrap();
    b110.send_to(None, peer, b"answer").unwrap();
    wait(&tun);
    assert_eq!(counted(&b, "mail"), (1, 1));
    // The device is gone with its daemon: still nothing leaves in clear.
    drop(tun);
    b.until_gone("hf0");
    let _ = b110.send_to(None, peer, b"answer");
    assert_eq!(counted(&b, "mail"), (1, 2));
}

#[test]
fn the_first_guard_that_matches_decides() {
    if !root_or_say_so("the order of guards") {
        return;
    }
    let (a, b) = two("nft-order");
    let (a53, b110) = (bind(&a, "0.0.0.0:53"), bind(&b, "0.0.0.0:110"));
    let from = |addresses| Selector {
        source: addresses,
        ..to_port(Family::V4, 110)
    };
    let exactly = Addresses::Prefix("192.0.2.1".parse().unwrap());
    let net = Addresses::Prefix("192.0.2.0/24".parse().unwrap());
    let beside = Addresses::Range(ip("192.0.2.2"), ip("192.0.2.9"));
    for (guards, expected) in [
        (vec![(Action::Permit, exactly), (Action::Block, net)], true),
        (vec![(Action::Block, net), (Action::Permit, exactly)], false),
        (
            vec![(Action::Permit, beside), (Action::Protect, net)],
            false,
        ),
        (vec![(Action::Block, beside)], true),
        (
            vec![(
                Action::Block,
                Addresses::Range(ip("192.0.2.0"), ip("192.0.2.9")),
            )],
            false,
        ),
        (vec![(Action::Block, Addresses::Any)], false),
        (vec![], true),
    ] {
        let guards = guards
            .iter()
            .enumerate()
            .map(|(at, (action, addresses))| guard(&format!("g{at}"), *action, &[from(*addresses)]))
            .collect();
        b.run(|| apply(&ruleset(guards))).unwrap();
        let answer = if expected { passes } else { dropped };
        assert!(answer(&a53, &b110, "192.0.2.2"));
    }
}

#[test]
fn ike_esp_and_neighbours_work_under_a_guard_of_everything() {
    if !root_or_say_so("the exemptions") {
        return;
    }
    let (a, b) = two("nft-all");
    let everything: Vec<_> = Family::BOTH.map(Selector::any).into();
    b.run(|| apply(&ruleset(vec![guard("all", Action::Protect, &everything)])))
        .unwrap();
    let options = SocketOptions {
        mark: Some(0x48),
        ..SocketOptions::default()
    };
    let mut batch = crate::RecvBatch::new(4);
    for (family, any, peer, own) in [
        (Family::V4, "0.0.0.0", "192.0.2.1", "192.0.2.2"),
        (Family::V6, "[::]", "2001:db8::1", "2001:db8::2"),
    ] {
        let a53 = bind(&a, &format!("{any}:53"));
        for port in [500, 4500] {
            let at_b = b.run(|| UdpSocket::bind(family, port, &options)).unwrap();
            assert!(passes(&a53, &at_b, own));
            assert!(passes(&at_b, &a53, peer));
        }
        let b53 = bind(&b, &format!("{any}:53"));
        assert!(dropped(&a53, &b53, own) && dropped(&b53, &a53, peer));
        let esp = || EspSocket::open(family, &options);
        let (at_a, at_b) = (a.run(esp).unwrap(), b.run(esp).unwrap());
        for (from, at, to) in [(&at_a, &at_b, own), (&at_b, &at_a, peer)] {
            from.send_to(None, ip(to), &[1; 32]).unwrap();
            wait(at);
            at.receive(&mut batch).unwrap();
        }
    }
    assert_eq!(counted(&b, "all"), (2, 2));
    // A port of IKE is no way out for others: they have no mark.
    let unmarked = bind(&b, "0.0.0.0:500");
    let a53 = bind(&a, "0.0.0.0:53");
    assert!(dropped(&unmarked, &a53, "192.0.2.1"));
    b.run(|| Announcer::open("eth0"))
        .unwrap()
        .announce(ip("2001:db8::2"))
        .unwrap();
}

#[test]
fn tcp_of_the_port_passes_and_so_does_what_the_kernel_says_of_it() {
    if !root_or_say_so("TCP under a guard") {
        return;
    }
    let (a, b) = two("nft-tcp");
    let everything: Vec<_> = Family::BOTH.map(Selector::any).into();
    b.run(|| apply(&ruleset(vec![guard("all", Action::Protect, &everything)])))
        .unwrap();
    let knock = |port: u16| {
        let at: SocketAddr = format!("192.0.2.2:{port}").parse().unwrap();
        let patience = Duration::from_millis(300);
        let connected = a.run(|| std::net::TcpStream::connect_timeout(&at, patience));
        connected.map(drop).map_err(|error| error.kind())
    };
    // Nobody listens: the kernel says so for the port of IKE, and for no other.
    assert_eq!(knock(4500), Err(io::ErrorKind::ConnectionRefused));
    assert_eq!(knock(4501), Err(io::ErrorKind::TimedOut));
}

/// A gateway `in0`, `out0` between 10.0.1.2, fd00:1::2 inside and 10.0.2.2, fd00:2::2 outside.
fn gateway(name: &str) -> [Namespace; 3] {
    let spaces = ["in", "gate", "out"].map(|part| Namespace::new(&format!("{name}-{part}")));
    let [inside, gate, outside] = &spaces;
    netns::cable(inside.end("eth0"), gate.end("in0")).unwrap();
    netns::cable(outside.end("eth0"), gate.end("out0")).unwrap();
    for (space, interface, number, net) in [
        (inside, "eth0", 2, 1),
        (gate, "in0", 1, 1),
        (gate, "out0", 1, 2),
        (outside, "eth0", 2, 2),
    ] {
        space.address(interface, &format!("10.0.{net}.{number}/24"));
        space.address(interface, &format!("fd00:{net}::{number}/64"));
    }
    for (space, net) in [(inside, 1), (outside, 2)] {
        let (v4, v6) = (format!("10.0.{net}.1"), format!("fd00:{net}::1"));
        space.output("ip", &["route", "add", "default", "via", &v4]);
        space.output("ip", &["-6", "route", "add", "default", "via", &v6]);
    }
    gate.output("sh", &["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
    gate.output(
        "sh",
        &["-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"],
    );
    spaces
}

#[test]
fn forwarded_packets_are_guarded_with_all_their_fragments() {
    if !root_or_say_so("the packet filter of a gateway") {
        return;
    }
    let [inside, gate, outside] = gateway("nft-fwd");
    for (family, any, to, back) in [
        (Family::V4, "0.0.0.0", "10.0.2.2", "10.0.1.2"),
        (Family::V6, "[::]", "fd00:2::2", "fd00:1::2"),
    ] {
        let (from, at) = (
            bind(&inside, &format!("{any}:53")),
            bind(&outside, &format!("{any}:110")),
        );
        assert!(
            passes(&from, &at, to) && passes(&at, &from, back),
            "{family}"
        );
        let capture = outside
            .run(|| PacketSocket::capture("eth0", 1 << 20))
            .unwrap();
        let rules = ruleset(vec![guard("net", Action::Protect, &[to_port(family, 110)])]);
        gate.run(|| apply(&rules)).unwrap();
        assert!(dropped(&from, &at, to) && dropped(&at, &from, back));
        assert_eq!(forwarded(&gate, "net"), 2);
        from.send_to(None, SocketAddr::new(ip(to), 110), &[0x5a; 4000])
            .unwrap();
        assert!(silent(&at));
        assert_eq!(forwarded(&gate, "net"), 5, "three fragments");
        assert_eq!(counted(&gate, "net"), (0, 0));
        let mut batch = FrameBatch::new(64, 2048);
        let clear = |frame: crate::packet::Frame<'_>| {
            frame.bytes.windows(64).any(|bytes| bytes == [0x5a; 64])
        };
        if capture.receive(&mut batch).is_ok() {
            assert!(!batch.iter().any(clear), "a fragment got out");
        }
        gate.run(|| delete("holdfast")).unwrap();
    }
}

#[test]
fn a_gateway_forwards_between_its_clear_side_and_the_plane() {
    if !root_or_say_so("the packet filter of a tunnel gateway") {
        return;
    }
    let [inside, gate, outside] = gateway("nft-tunnel");
    let options = TunOptions {
        name: "hf0".into(),
        mtu: 1400,
        multi_queue: false,
    };
    let tun = gate.run(|| Tun::create(&options)).unwrap();
    let net = |net: &str| Addresses::Prefix(net.parse().unwrap());
    let tunnel = Selector {
        source: net("10.0.1.0/24"),
        destination: net("10.0.2.0/24"),
        ..Selector::any(Family::V4)
    };
    let (from, at) = (bind(&inside, "0.0.0.0:53"), bind(&outside, "0.0.0.0:110"));
    gate.run(|| apply(&ruleset(vec![guard("net", Action::Protect, &[tunnel])])))
        .unwrap();
    assert!(dropped(&from, &at, "10.0.2.2") && dropped(&at, &from, "10.0.1.2"));
    assert_eq!(forwarded(&gate, "net"), 2);
    // In from the clear side, out by the TUN.
    let mut netlink = netns::netlink(&gate.name).unwrap();
    let mut route = Route::new("10.0.2.2/32".parse().unwrap(), MAIN_TABLE);
    route.link = Some(tun.index());
    netlink.add_route(&route).unwrap();
    from.send_to(None, "10.0.2.2:110".parse().unwrap(), b"out")
        .unwrap();
    let mut buffer = vec![0; crate::tun::MAX_READ];
    // The kernel's own IPv6 multicast comes along.
    let (header, packet) = loop {
        wait(&tun);
        let length = tun.read(&mut buffer).unwrap();
        let (header, packet) = VirtioNetHeader::decode(&buffer[..length]).unwrap();
        if packet[0] >> 4 == 4 {
            break (header, packet.to_vec());
        }
    };
    // In by the TUN, out to the clear side: the same packet turned round.
    let mut answer = packet;
    answer[12..20].rotate_left(4);
    answer[20..24].rotate_left(2);
    tun.write_vectored(&header, &[&answer]).unwrap();
    wait(&from);
    assert_eq!(forwarded(&gate, "net"), 2);
    assert!(silent(&at));
}

#[test]
fn fragments_to_this_host_follow_their_first_one() {
    if !root_or_say_so("fragments and the packet filter") {
        return;
    }
    let (a, b) = two("nft-frag");
    let everything: Vec<_> = Family::BOTH.map(Selector::any).into();
    b.run(|| apply(&ruleset(vec![guard("all", Action::Protect, &everything)])))
        .unwrap();
    for (family, any, own) in [
        (Family::V4, "0.0.0.0", "192.0.2.2"),
        (Family::V6, "[::]", "2001:db8::2"),
    ] {
        let from = bind(&a, &format!("{any}:500"));
        let (ike, clear) = (
            bind(&b, &format!("{any}:500")),
            bind(&b, &format!("{any}:110")),
        );
        for port in [500, 110] {
            from.send_to(None, SocketAddr::new(ip(own), port), &[1; 4000])
                .unwrap();
        }
        wait(&ike);
        assert!(silent(&clear), "{family}");
    }
    assert_eq!(counted(&b, "all"), (2, 0));
}

#[test]
fn what_cannot_be_expressed_is_a_sentence() {
    let port_alone = Selector {
        protocol: None,
        ..to_port(Family::V4, 110)
    };
    let backwards = Selector {
        destination_ports: Some((9, 1)),
        ..to_port(Family::V4, 110)
    };
    let mixed = Selector {
        source: Addresses::Prefix("::/1".parse().unwrap()),
        ..Selector::any(Family::V4)
    };
    let range = Selector {
        source: Addresses::Range(ip("10.0.0.2"), ip("10.0.0.1")),
        ..Selector::any(Family::V4)
    };
    for (name, selector, words) in [
        ("a", port_alone, "ports were given without a protocol"),
        ("a", backwards, "the ports 9 to 1 run backwards"),
        ("a", mixed, ":: is not an IPv4 address"),
        (
            "a",
            range,
            "the addresses 10.0.0.2 to 10.0.0.1 run backwards",
        ),
        ("a b", Selector::any(Family::V4), "\"a b\" is not a name"),
        ("", Selector::any(Family::V4), "\"\" is not a name"),
        ("1a", Selector::any(Family::V4), "\"1a\" is not a name"),
        ("a.b", Selector::any(Family::V4), "\"a.b\" is not a name"),
    ] {
        let rules = ruleset(vec![guard(name, Action::Block, &[selector])]);
        let text = document::ruleset(&rules, &[]).unwrap_err();
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_missing_nft_says_how_to_get_it() {
    let error = run_nft(&["/nowhere/nft"], &["list"], None, "apply the rules").unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot apply the rules: nftables is not installed: apt-get install nftables"
    );
}

#[test]
fn a_refusal_is_nfts_own_words() {
    if !root_or_say_so("the words of nft") {
        return;
    }
    let space = Namespace::new("nft-words");
    let text = space
        .run(|| nft(&["add", "rule", "ip", "x"], None, "try"))
        .unwrap_err()
        .to_string();
    assert!(
        text.starts_with("cannot try: nft says: Error: syntax error"),
        "{text}"
    );
}

#[test]
fn before_the_policy_answers_come_in_and_nothing_else() {
    if !root_or_say_so("the packet filter of the start") {
        return;
    }
    let (a, b) = two("nft-boot");
    let (a53, b110) = (bind(&a, "0.0.0.0:53"), bind(&b, "0.0.0.0:110"));
    let b53 = bind(&b, "0.0.0.0:53");
    assert!(b.run(|| boot("holdfast", Boot::Stateful)).unwrap());
    assert!(dropped(&a53, &b110, "192.0.2.2"));
    assert!(passes(&b110, &a53, "192.0.2.1"), "what goes out");
    assert!(passes(&a53, &b110, "192.0.2.2"), "the answer to it");
    assert!(dropped(&a53, &b53, "192.0.2.2"), "no answer to anything");
    assert!(passes(&b53, &b110, "192.0.2.2"), "loopback");
    // A policy takes its place at once, and is not undone.
    b.run(|| apply(&ruleset(Vec::new()))).unwrap();
    assert!(passes(&a53, &b53, "192.0.2.2"));
    assert!(!b.run(|| boot("holdfast", Boot::Block)).unwrap());
    assert!(passes(&a53, &b53, "192.0.2.2"));
    assert!(b.run(|| delete("holdfast")).unwrap());
    assert!(b.run(|| boot("holdfast", Boot::Block)).unwrap());
    assert!(dropped(&b110, &a53, "192.0.2.1"));
    assert!(dropped(&a53, &b53, "192.0.2.2"));
    let (server, client) = (bind(&a, "0.0.0.0:67"), bind(&b, "0.0.0.0:68"));
    assert!(passes(&client, &server, "192.0.2.1"), "DHCP");
    assert!(passes(&server, &client, "192.0.2.2"));
    assert!(b.run(|| boot("no name", Boot::Block)).is_err());
}
