//! Clients behind one NAT and a server, in transport mode: whose packets are whose, and checksums
//! that survive the change of addresses, cut and joined too (RFC 7296 2.23.1, RFC 3948 3.1.2).
#![allow(clippy::unwrap_used)] // Tests.

use std::net::IpAddr;
use std::sync::Arc;

use esp::inbound::Arrival;
use esp::outbound::{Outbound, OutboundBatch, Path, Sent};
use esp::{
    Counts, Discard, Inbound, InboundBatch, InboundSa, Offload, OutboundSa, Segmentation, Sharing,
};
use policy::child::ChildTemplate;
use policy::range::AddressRange;
use policy::rule::{Action, AddressSpec, Filter, Negotiate, Origin, Rule};
use policy::sa::{Bucket, Encapsulation, Hosts, SaSpec, Translation};
use policy::selector::{Selectors, TrafficSelector};
use policy::spd::Spd;
use wire::ip::{Packet, checksum, protocol};

#[path = "../src/fixtures.rs"]
mod fixtures;

use fixtures::{Pair, TcpPacket, address, bytes, mirrored};

const SERVER: u8 = 1;
const NAT: u8 = 9;

/// One host: its policy, and both directions.
struct Host {
    outbound: Outbound,
    inbound: Inbound,
    counts: Arc<Counts>,
    now: u64,
}

impl Host {
    fn new(own: IpAddr) -> Self {
        let rule = Rule {
            name: "mail".into(),
            filters: vec![Filter::between(AddressSpec::Any, AddressSpec::Any)],
            action: Action::Negotiate(Negotiate::require(ChildTemplate::transport().into())),
            peer: None,
            origin: Origin::File,
        };
        let counts = Arc::new(Counts::new());
        let spd = Arc::new(Spd::build(vec![rule], &[own]));
        let sharing = Arc::new(Sharing::new());
        let mut outbound = Outbound::new(spd, Arc::clone(&counts));
        outbound.share(Arc::clone(&sharing));
        let mut inbound = Inbound::new(Arc::clone(&counts));
        inbound.share(sharing);
        Host {
            outbound,
            inbound,
            counts,
            now: 1,
        }
    }

    fn install(&mut self, spec: SaSpec) {
        let spec = Arc::new(spec);
        let sa = InboundSa::new(Arc::clone(&spec), Bucket::HOST).unwrap();
        self.inbound.install(sa);
        let sa = OutboundSa::new(spec, Bucket::HOST).unwrap();
        let mut batch = OutboundBatch::new(0);
        self.outbound.install(sa, self.now, &mut batch);
    }

    /// Where a packet goes, and the datagrams.
    fn send(&mut self, packet: &[u8], offload: &Offload) -> Result<(u16, Vec<Vec<u8>>), Sent> {
        let mut batch = OutboundBatch::new(1 << 17);
        match self.outbound.send(packet, offload, self.now, &mut batch) {
            Sent::Sealed(_) => {}
            other => return Err(other),
        }
        let mut port = 0;
        let mut datagrams = Vec::new();
        for (path, datagram) in batch.datagrams() {
            let Path::Esp { encapsulation, .. } = path else {
                panic!("in clear");
            };
            if let Encapsulation::Udp { remote_port, .. } = encapsulation {
                port = *remote_port;
            }
            datagrams.push(datagram.to_vec());
        }
        Ok((port, datagrams))
    }

    fn receive(&mut self, datagrams: &[Vec<u8>]) -> Result<Vec<(Offload, Vec<u8>)>, Discard> {
        let mut buffer = datagrams.concat();
        let mut batch = InboundBatch::new();
        let mut at = 0;
        for datagram in datagrams {
            let arrival = Arrival {
                source: address(false, NAT),
                destination: address(false, SERVER),
                traffic_class: 0,
                place: at..at + datagram.len(),
            };
            let now = self.now;
            self.inbound
                .receive(&arrival, &mut buffer, now, &mut batch)?;
            at += datagram.len();
        }
        batch.finish();
        let writes = batch.writes();
        Ok(writes
            .map(|write| (*write.offload(), write.to_vec(&buffer)))
            .collect())
    }
}

/// A client with this private address, on this port of the NAT: what the server and the client
/// have agreed, each as it sees it.
fn agreed(private: u8, port: u16, number: u64, ipv6: bool) -> (SaSpec, SaSpec) {
    let (server, nat, own) = (
        address(ipv6, SERVER),
        address(ipv6, NAT),
        address(ipv6, private),
    );
    let pair = Pair {
        ipv6,
        ..Pair::PLAIN
    };
    let between = |local, remote| {
        let side = |host| vec![TrafficSelector::all(AddressRange::host(host))];
        Selectors {
            local: side(local),
            remote: side(remote),
        }
    };
    let udp = |remote_port| Encapsulation::Udp {
        local_port: 4500,
        remote_port,
    };
    let spec = pair.spec_for(between(server, nat), number);
    let client = SaSpec {
        local: own,
        remote: server,
        selectors: between(own, server),
        encapsulation: udp(4500),
        nat: Translation {
            written: Some(Hosts {
                local: nat,
                remote: server,
            }),
            party: None,
        },
        ..mirrored(&spec)
    };
    let server = SaSpec {
        local: server,
        remote: nat,
        encapsulation: udp(port),
        nat: Translation {
            written: Some(Hosts {
                local: server,
                remote: own,
            }),
            party: Some(number),
        },
        ..spec
    };
    (server, client)
}

fn packet(from: u8, to: u8, ports: (u16, u16), data: &[u8]) -> TcpPacket {
    TcpPacket {
        src: address(false, from),
        dst: address(false, to),
        src_port: ports.0,
        dst_port: ports.1,
        ..TcpPacket::new(false, data.to_vec())
    }
}

fn is_right(packet: &[u8]) -> bool {
    let packet = Packet::parse(packet).unwrap();
    let (src, dst, kind) = (packet.src(), packet.dst(), packet.protocol());
    checksum::is_right(src, dst, kind, &[packet.payload()])
}

/// A server with two clients, at ports 5001 and 5002 of the NAT.
fn three(privates: [u8; 2]) -> (Host, [Host; 2]) {
    let mut server = Host::new(address(false, SERVER));
    let clients = [0, 1].map(|index| {
        let port = 5001 + index as u16;
        let (ours, theirs) = agreed(privates[index], port, index as u64 + 1, false);
        let mut client = Host::new(address(false, privates[index]));
        server.install(ours);
        client.install(theirs);
        client
    });
    (server, clients)
}

#[test]
fn each_client_gets_the_answers_to_what_it_asked() {
    let (mut server, mut clients) = three([20, 21]);
    for (port, client) in [(40_000, 0), (40_001, 1), (40_002, 0), (40_003, 1)] {
        let privately = [20, 21][client];
        let asks = packet(privately, SERVER, (port, 110), b"USER me");
        let (_, datagrams) = clients[client].send(&asks.emit(), &Offload::NONE).unwrap();
        let [(_, arrived)] = &server.receive(&datagrams).unwrap()[..] else {
            panic!("one packet");
        };
        let expected = packet(NAT, SERVER, (port, 110), b"USER me").emit();
        assert_eq!(arrived[20..], expected[20..]);
        assert!(is_right(arrived));
        let answer = packet(SERVER, NAT, (110, port), b"+OK").emit();
        for _ in 0..2 {
            let (to, datagrams) = server.send(&answer, &Offload::NONE).unwrap();
            assert_eq!(to, 5001 + client as u16);
            let [(_, arrived)] = &clients[client].receive(&datagrams).unwrap()[..] else {
                panic!("one packet");
            };
            let expected = packet(SERVER, privately, (110, port), b"+OK").emit();
            assert_eq!(arrived[20..], expected[20..]);
            assert!(is_right(arrived));
        }
    }
}

/// The same port, and in the second case the same private address behind a second NAT as well.
#[test]
fn the_later_of_two_does_not_take_what_the_earlier_has() {
    for privates in [[20, 21], [20, 20]] {
        let (mut server, mut clients) = three(privates);
        let asks = |client: usize| packet(privates[client], SERVER, (40_000, 110), b"USER");
        let mut ask = |server: &mut Host, client: usize| {
            let asks = asks(client).emit();
            let (_, datagrams) = clients[client].send(&asks, &Offload::NONE).unwrap();
            server.receive(&datagrams)
        };
        assert!(ask(&mut server, 0).is_ok());
        for _ in 0..3 {
            assert_eq!(ask(&mut server, 1), Err(Discard::InboundShared));
        }
        assert_eq!(server.counts.get(Discard::InboundShared), 3);
        let answer = packet(SERVER, NAT, (110, 40_000), b"+OK").emit();
        assert_eq!(server.send(&answer, &Offload::NONE).unwrap().0, 5001);
        // A new pair of the earlier keeps the flow; when its last is gone, the flow is free.
        let (again, _) = agreed(privates[0], 5001, 7, false);
        let nat = Translation {
            party: Some(1),
            ..again.nat
        };
        let (first, third) = (policy::ChildId(1), policy::ChildId(7));
        server.install(SaSpec { nat, ..again });
        assert!(server.inbound.remove(first) && server.outbound.remove(first));
        assert_eq!(ask(&mut server, 1), Err(Discard::InboundShared));
        assert_eq!(server.send(&answer, &Offload::NONE).unwrap().0, 5001);
        assert!(server.inbound.remove(third) && server.outbound.remove(third));
        assert!(ask(&mut server, 1).is_ok());
        assert_eq!(server.send(&answer, &Offload::NONE).unwrap().0, 5002);
    }
}

#[test]
fn what_was_decided_before_a_flow_changed_hands_is_forgotten() {
    let (mut server, mut clients) = three([20, 21]);
    let answer = packet(SERVER, NAT, (110, 40_000), b"+OK").emit();
    let mut ask = |server: &mut Host, client: usize| {
        let asks = packet([20, 21][client], SERVER, (40_000, 110), b"USER").emit();
        let (_, datagrams) = clients[client].send(&asks, &Offload::NONE).unwrap();
        server.receive(&datagrams).map(drop)
    };
    ask(&mut server, 0).unwrap();
    assert_eq!(server.send(&answer, &Offload::NONE).unwrap().0, 5001);
    server.now += 3 * 3600 * 1_000_000_000;
    ask(&mut server, 1).unwrap();
    assert_eq!(server.send(&answer, &Offload::NONE).unwrap().0, 5002);
}

/// A large packet of the client is cut there and joined at the server, which sees it as if it came
/// from the NAT; a checksum that was wrong stays so and joins nothing.
#[test]
fn cut_and_joined_through_a_nat_it_is_what_was_sent() {
    let (mut server, mut clients) = three([20, 21]);
    let data = bytes(9_000, 3, 3);
    let offload = Offload {
        segmentation: Segmentation::TcpV4,
        segment_size: 1_300,
        ..Offload::NONE
    };
    let large = packet(20, SERVER, (40_000, 110), &data);
    let (_, mut datagrams) = clients[0].send(&large.emit_partial(), &offload).unwrap();
    assert_eq!(datagrams.len(), 7);
    let written = server.receive(&datagrams).unwrap();
    assert_eq!(written.len(), 1);
    let (offload, joined) = &written[0];
    assert!(offload.needs_checksum && offload.segment_size == 1_300);
    let expected = packet(NAT, SERVER, (40_000, 110), &data);
    assert_eq!(joined[12..], expected.emit_partial()[12..]);

    let mut wrong = packet(20, SERVER, (40_000, 110), b"USER me").emit();
    *wrong.last_mut().unwrap() ^= 1;
    datagrams = clients[0].send(&wrong, &Offload::NONE).unwrap().1;
    let written = server.receive(&datagrams).unwrap();
    assert!(!is_right(&written[0].1));
}

#[test]
fn udp_and_icmpv6_follow_and_no_checksum_stays_none() {
    for ipv6 in [false, true] {
        let (ours, theirs) = agreed(20, 5001, 1, ipv6);
        let mut server = Host::new(address(ipv6, SERVER));
        let mut client = Host::new(address(ipv6, 20));
        server.install(ours);
        client.install(theirs);
        let skip = if ipv6 { 40 } else { 20 };
        let mut through = |kind: u8, upper: &[u8]| {
            let header = TcpPacket {
                src: address(ipv6, 20),
                dst: address(ipv6, SERVER),
                ..TcpPacket::new(ipv6, Vec::new())
            };
            let packet = [&header.ip_header(upper.len(), kind), upper].concat();
            let (_, datagrams) = client.send(&packet, &Offload::NONE).unwrap();
            server.receive(&datagrams).unwrap().remove(0).1
        };
        let sum = |kind: u8, upper: &[u8]| {
            let (src, dst) = (address(ipv6, 20), address(ipv6, SERVER));
            checksum::transport(src, dst, kind, &[upper]).to_be_bytes()
        };
        for word in 0..2000u16 {
            let data = word.wrapping_mul(33).to_be_bytes();
            let mut udp = [&wire::ip::udp::header(7, 9, 10)[..], &data].concat();
            let field = sum(protocol::UDP, &udp);
            udp[6..8].copy_from_slice(&field);
            let arrived = through(protocol::UDP, &udp);
            assert!(is_right(&arrived));
            assert_ne!(arrived[skip + 6..skip + 8], [0, 0]);
        }
        let none = [&wire::ip::udp::header(7, 9, 10)[..], &[1, 2]].concat();
        assert_eq!(through(protocol::UDP, &none)[skip..], none);
        if ipv6 {
            let mut echo = [128, 0, 0, 0, 1, 2, 3, 4, 5, 6];
            let field = sum(protocol::ICMPV6, &echo);
            echo[2..4].copy_from_slice(&field);
            assert!(is_right(&through(protocol::ICMPV6, &echo)));
        }
    }
}
