//! Paths that take less than the link, and what the outer header says (RFC 4301 5.1.2.1 and 8).
#![allow(clippy::unwrap_used)] // Tests.

use std::net::IpAddr;
use std::sync::Arc;

use esp::inbound::Arrival;
use esp::outbound::{Outbound, OutboundBatch, Path, Sent};
use esp::{
    Counts, Discard, Inbound, InboundBatch, InboundSa, Offload, OutboundSa, Segmentation, outer,
};
use policy::child::{ChildTemplate, DontFragment, Mode, OuterHeader};
use policy::rule::{Action, AddressSpec, Filter, Negotiate, Origin, Rule};
use policy::sa::{Bucket, SaSpec};
use policy::spd::Spd;
use proptest::prelude::*;
use wire::ip::icmp::TooBig;
use wire::ip::{Packet, checksum, protocol, udp};

#[path = "../src/fixtures.rs"]
mod fixtures;

use fixtures::{Pair, TcpPacket, bytes, mirrored};

const SECOND: u64 = 1_000_000_000;

/// A datagram with its outer header, without it, and whether nobody may fragment it.
type Sealed = (Vec<u8>, Vec<u8>, bool);

struct Ends {
    pair: Pair,
    spi: u32,
    outbound: Outbound,
    inbound: Inbound,
    counts: Arc<Counts>,
    now: u64,
}

impl Ends {
    fn new(mode: Mode, ipv6: bool, header: OuterHeader) -> Self {
        let pair = Pair {
            mode,
            ipv6,
            ..Pair::PLAIN
        };
        let rule = Rule {
            name: "mail".into(),
            filters: vec![Filter::between(AddressSpec::Any, AddressSpec::Any)],
            action: Action::Negotiate(Negotiate::require(ChildTemplate::tunnel().into())),
            peer: None,
            origin: Origin::File,
        };
        let counts = Arc::new(Counts::new());
        let spd = Arc::new(Spd::build(vec![rule], &[pair.here()]));
        let mut outbound = Outbound::new(spd, Arc::clone(&counts));
        let mut inbound = Inbound::new(Arc::clone(&counts));
        let spec = Arc::new(SaSpec {
            outer: header,
            ..pair.spec()
        });
        let receiver = Arc::new(mirrored(&spec));
        inbound.install(InboundSa::new(receiver, Bucket::HOST).unwrap());
        let spi = spec.outbound_spi;
        let sender = OutboundSa::new(spec, Bucket::HOST).unwrap();
        outbound.install(sender, 1, &mut OutboundBatch::new(0));
        Ends {
            pair,
            spi,
            outbound,
            inbound,
            counts,
            now: 1,
        }
    }

    fn plain(mode: Mode, ipv6: bool) -> Self {
        Ends::new(mode, ipv6, OuterHeader::default())
    }

    fn said(&self, mtu: u32) -> TooBig {
        TooBig {
            local: self.pair.here(),
            remote: self.pair.there(),
            spi: self.spi,
            mtu,
        }
    }

    /// A router of the path has spoken.
    fn lower(&mut self, mtu: u32) {
        let said = self.said(mtu);
        assert!(self.outbound.too_big(&said, self.now));
    }

    /// The datagrams with their outer headers, and whether nobody may fragment them.
    fn send(&mut self, packet: &[u8], offload: &Offload) -> (Sent, Vec<Sealed>) {
        let mut batch = OutboundBatch::new(1 << 17);
        let sent = self.outbound.send(packet, offload, self.now, &mut batch);
        let whole = |(path, datagram): (&Path, &[u8])| {
            let mut octets = Vec::new();
            assert!(outer::append(path, datagram, 1, &mut octets));
            let Path::Esp { dont_fragment, .. } = path else {
                panic!("in clear")
            };
            (octets, datagram.to_vec(), *dont_fragment)
        };
        (sent, batch.datagrams().map(whole).collect())
    }

    fn receive<'a>(
        &mut self,
        datagrams: impl IntoIterator<Item = &'a Vec<u8>>,
    ) -> Vec<(Offload, Vec<u8>)> {
        let (mut buffer, mut places) = (Vec::new(), Vec::new());
        for datagram in datagrams {
            places.push(buffer.len()..buffer.len() + datagram.len());
            buffer.extend(datagram);
        }
        let mut batch = InboundBatch::new();
        for place in places {
            let arrival = Arrival {
                source: self.pair.here(),
                destination: self.pair.there(),
                traffic_class: 0,
                place,
            };
            let now = self.now;
            self.inbound
                .receive(&arrival, &mut buffer, now, &mut batch)
                .unwrap();
        }
        batch.finish();
        let writes = batch.writes();
        writes
            .map(|write| (*write.offload(), write.to_vec(&buffer)))
            .collect()
    }
}

/// What the sender was told: the MTU.
fn told(ends: &mut Ends) -> Option<u16> {
    let message = ends.outbound.poll_told()?;
    let packet = Packet::parse(&message).unwrap();
    assert_eq!(
        (packet.src(), packet.dst()),
        (ends.pair.there(), ends.pair.here())
    );
    Some(u16::from_be_bytes(
        packet.payload()[6..8].try_into().unwrap(),
    ))
}

/// A TCP packet of this length in all.
fn tcp(ipv6: bool, length: usize, dont_fragment: bool) -> Vec<u8> {
    let empty = TcpPacket::new(ipv6, Vec::new());
    TcpPacket {
        data: bytes(length - empty.header_length(), 5, 5),
        dont_fragment,
        ..empty
    }
    .emit()
}

const MODES: [(Mode, bool); 4] = [
    (Mode::Transport, false),
    (Mode::Transport, true),
    (Mode::Tunnel, false),
    (Mode::Tunnel, true),
];

#[test]
fn a_sender_is_told_what_fits_and_that_fits() {
    for (mode, ipv6) in MODES {
        let mut ends = Ends::plain(mode, ipv6);
        assert!(matches!(
            ends.send(&tcp(ipv6, 1400, true), &Offload::NONE).0,
            Sent::Sealed(1)
        ));
        ends.lower(1400);
        let (sent, datagrams) = ends.send(&tcp(ipv6, 1400, true), &Offload::NONE);
        assert_eq!(sent, Sent::Discarded(Discard::OutboundTooLarge));
        assert!(datagrams.is_empty());
        let mtu = told(&mut ends).unwrap();
        let (sent, datagrams) = ends.send(&tcp(ipv6, mtu.into(), true), &Offload::NONE);
        assert_eq!(sent, Sent::Sealed(1), "{mode:?} {ipv6} {mtu}");
        let (octets, _, dont_fragment) = &datagrams[0];
        assert!(octets.len() <= 1400 && octets.len() > 1390 && *dont_fragment);
        let (sent, _) = ends.send(&tcp(ipv6, usize::from(mtu) + 1, true), &Offload::NONE);
        assert_eq!(sent, Sent::Discarded(Discard::OutboundTooLarge));
        // The same sender is not told for each of a flood of packets.
        assert_eq!(told(&mut ends), None);
        ends.now += SECOND;
        ends.send(&tcp(ipv6, usize::from(mtu) + 1, true), &Offload::NONE);
        assert_eq!(told(&mut ends), Some(mtu));
        // After ten minutes the path may have become better.
        ends.now += 600 * SECOND;
        ends.outbound.handle_timeout(ends.now);
        let (sent, _) = ends.send(&tcp(ipv6, 1400, true), &Offload::NONE);
        assert_eq!(sent, Sent::Sealed(1));
    }
}

#[test]
fn who_has_not_seen_our_esp_or_says_too_much_is_not_believed() {
    for (mode, ipv6) in MODES {
        let mut ends = Ends::plain(mode, ipv6);
        let right = ends.said(1300);
        let elsewhere = TooBig {
            remote: fixtures::address(ipv6, 77),
            ..right
        };
        let spi = TooBig {
            spi: right.spi ^ 1,
            ..right
        };
        let small = TooBig {
            mtu: if ipv6 { 1279 } else { 575 },
            ..right
        };
        for said in [elsewhere, spi, small, TooBig { mtu: 0, ..right }] {
            assert!(!ends.outbound.too_big(&said, ends.now));
        }
        assert_eq!(ends.counts.get(Discard::PathMtuRefused), 4);
        assert_eq!(ends.outbound.paths().count(), 0);
        for _ in 0..100 {
            ends.outbound.too_big(&spi, ends.now);
        }
        assert!(!ends.outbound.too_big(&right, ends.now), "a flood");
        ends.now += SECOND;
        assert!(ends.outbound.too_big(&right, ends.now));
        let known: Vec<(IpAddr, u16)> = ends.outbound.paths().collect();
        assert_eq!(known, [(ends.pair.there(), 1300)]);
        let hosts: Vec<(IpAddr, u16)> = ends.outbound.narrow_hosts().into_iter().collect();
        let expected = match mode {
            Mode::Transport => known,
            Mode::Tunnel => Vec::new(),
        };
        assert_eq!(hosts, expected);
    }
}

/// TCP that is cut anyway is cut smaller: nothing is lost while the sender learns.
#[test]
fn segments_become_smaller_and_arrive_as_one() {
    for (mode, ipv6) in MODES {
        let mut ends = Ends::plain(mode, ipv6);
        ends.lower(1300);
        let large = TcpPacket::new(ipv6, bytes(20_000, 3, 3));
        let offload = Offload {
            segmentation: if ipv6 {
                Segmentation::TcpV6
            } else {
                Segmentation::TcpV4
            },
            segment_size: 1348,
            ..Offload::NONE
        };
        let (sent, datagrams) = ends.send(&large.emit_partial(), &offload);
        assert_eq!(sent, Sent::Sealed(datagrams.len()));
        assert!(datagrams.iter().all(|(octets, ..)| octets.len() <= 1300));
        assert!(datagrams[0].0.len() > 1290);
        assert!(told(&mut ends).is_some());
        let joined = ends.receive(datagrams.iter().map(|(_, datagram, _)| datagram));
        assert_eq!(joined.len(), 1);
        let length = joined[0].1.len();
        assert_eq!(joined[0].1[length - 20_000..], bytes(20_000, 3, 3));
    }
}

/// Puts fragments together, as a host would.
fn reassemble(fragments: &[(Offload, Vec<u8>)]) -> Vec<u8> {
    let mut whole = Vec::new();
    let mut ended = false;
    for (_, octets) in fragments {
        let packet = Packet::parse(octets).unwrap();
        assert_eq!(checksum::of(&octets[..20]), 0);
        let fragment = packet.fragment().unwrap();
        assert_eq!(usize::from(fragment.offset), whole.len());
        assert!(!ended);
        whole.extend(packet.payload());
        ended = !fragment.more;
    }
    assert!(ended);
    whole
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn without_df_a_tunnel_carries_fragments_that_make_the_packet(
        length in 40usize..9_000, mtu in 576u32..1_500, partial: bool,
    ) {
        let mut ends = Ends::plain(Mode::Tunnel, false);
        ends.lower(mtu);
        let mut packet = tcp(false, length.max(52), false);
        let right = packet[20..].to_vec();
        let offload = Offload { needs_checksum: partial, checksum_start: 20, checksum_offset: 16, ..Offload::NONE };
        if partial {
            let (src, dst) = (ends.pair.here(), ends.pair.there());
            let sum = checksum::Sum::pseudo_header(src, dst, protocol::TCP, right.len() as u32);
            packet[36..38].copy_from_slice(&(!sum.finish()).to_be_bytes());
        }
        let (sent, datagrams) = ends.send(&packet, &offload);
        prop_assert_eq!(sent, Sent::Sealed(datagrams.len()));
        prop_assert!(datagrams.iter().all(|(octets, ..)| octets.len() <= mtu as usize));
        let arrived = ends.receive(datagrams.iter().map(|(_, datagram, _)| datagram));
        if arrived.len() == 1 {
            prop_assert_eq!(&arrived[0].1[20..], right);
        } else {
            prop_assert_eq!(reassemble(&arrived), right);
        }
        prop_assert!(told(&mut ends).is_none());
    }
}

/// A fragment that is too large is cut again, and keeps its place.
#[test]
fn fragments_of_fragments_keep_their_places() {
    let mut ends = Ends::plain(Mode::Tunnel, false);
    ends.lower(700);
    let mut packet = tcp(false, 1428, false);
    packet[6..8].copy_from_slice(&(0x2000u16 | 100).to_be_bytes());
    packet[10..12].copy_from_slice(&[0, 0]);
    let sum = checksum::of(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    let (_, datagrams) = ends.send(&packet, &Offload::NONE);
    let arrived = ends.receive(datagrams.iter().map(|(_, datagram, _)| datagram));
    let mut at = 800;
    for (_, octets) in &arrived {
        let fragment = Packet::parse(octets).unwrap().fragment().unwrap();
        assert_eq!(usize::from(fragment.offset), at);
        assert!(fragment.more);
        at += octets.len() - 20;
    }
    assert_eq!((arrived.len(), at), (3, 800 + 1408));
}

#[test]
fn what_may_be_fragmented_outside_is_sent_without_df() {
    // Transport mode without DF; IPv6 that every link takes; a tunnel that says so.
    let clear = OuterHeader {
        dont_fragment: DontFragment::Clear,
        ..OuterHeader::default()
    };
    let mut ends = Ends::plain(Mode::Transport, false);
    ends.lower(1300);
    let (sent, datagrams) = ends.send(&tcp(false, 1400, false), &Offload::NONE);
    assert_eq!((sent, datagrams[0].2), (Sent::Sealed(1), false));
    let mut ends = Ends::plain(Mode::Tunnel, true);
    ends.lower(1280);
    let (sent, datagrams) = ends.send(&tcp(true, 1280, true), &Offload::NONE);
    assert_eq!((sent, datagrams[0].2), (Sent::Sealed(1), false));
    ends.send(&tcp(true, 1281, true), &Offload::NONE);
    assert_eq!(told(&mut ends), Some(1280));
    let mut ends = Ends::new(Mode::Tunnel, false, clear);
    ends.lower(1300);
    let (sent, datagrams) = ends.send(&tcp(false, 1400, true), &Offload::NONE);
    assert_eq!((sent, datagrams[0].2), (Sent::Sealed(1), false));
}

#[test]
fn the_outer_header_says_what_the_rule_says() {
    use DontFragment::{Clear, Copy, Set};
    for (mode, dscp, df, inner, class, sets) in [
        (Mode::Tunnel, None, Copy, false, 0xbb, false),
        (Mode::Tunnel, None, Copy, true, 0xbb, true),
        (Mode::Tunnel, Some(10), Set, false, 10 << 2 | 3, true),
        (Mode::Tunnel, Some(0), Clear, true, 3, false),
        // Transport mode has the packet's own header.
        (Mode::Transport, Some(10), Set, false, 0xbb, false),
        (Mode::Transport, Some(10), Clear, true, 0xbb, true),
    ] {
        let header = OuterHeader {
            dscp,
            dont_fragment: df,
        };
        let mut ends = Ends::new(mode, false, header);
        let packet = TcpPacket {
            traffic_class: 0xb8 | 3,
            dont_fragment: inner,
            ..TcpPacket::new(false, vec![1; 100])
        };
        let (_, datagrams) = ends.send(&packet.emit(), &Offload::NONE);
        let view = Packet::parse(&datagrams[0].0).unwrap();
        assert_eq!((view.traffic_class(), view.dont_fragment()), (class, sets));
        assert_eq!(datagrams[0].2, sets);
    }
}

/// Datagrams cannot be cut smaller: they pass in fragments, or their sender is told.
#[test]
fn udp_segments_stay_datagrams() {
    for (dont_fragment, expected) in [
        (true, Sent::Discarded(Discard::OutboundTooLarge)),
        (false, Sent::Sealed(2)),
    ] {
        let mut ends = Ends::plain(Mode::Tunnel, false);
        ends.lower(1000);
        let header = TcpPacket {
            dont_fragment,
            ..TcpPacket::new(false, Vec::new())
        };
        let datagram = [&udp::header(7, 9, 2008)[..], &[1; 2000]].concat();
        let packet = [header.ip_header(datagram.len(), protocol::UDP), datagram].concat();
        let offload = Offload {
            segmentation: Segmentation::Udp,
            segment_size: 1000,
            ..Offload::NONE
        };
        assert_eq!(ends.send(&packet, &offload).0, expected);
    }
}
