//! Every reason to drop a datagram, in the order of RFC 4303 3.4, and what passes.

use crypto::{Encryption, SealingKey};
use policy::child::Mode;
use policy::sa::{Encapsulation, SaSpec};
use policy::selector::Selectors;
use proptest::prelude::*;
use wire::ip::{protocol, v4};

use super::*;
use crate::counters::SaUsage;
use crate::fixtures::{Pair, TcpPacket, address, mirrored, tcp_port};
use crate::outbound::OutboundSa;

const NOW: u64 = 5_000_000_000;

/// The peer's sender and our receiver of one SA pair.
struct Ends {
    spec: Arc<SaSpec>,
    sender: OutboundSa,
    inbound: Inbound,
    counts: Arc<Counts>,
    counters: Arc<crate::SaCounters>,
    batch: InboundBatch,
    buffer: Vec<u8>,
}

impl Ends {
    fn new(pair: Pair) -> Self {
        Ends::with(pair.spec())
    }

    fn with(spec: SaSpec) -> Self {
        let spec = Arc::new(spec);
        let counts = Arc::new(Counts::new());
        let mut inbound = Inbound::new(Arc::clone(&counts));
        let sa = InboundSa::new(Arc::clone(&spec), Bucket::HOST).unwrap();
        let counters = sa.counters();
        inbound.install(sa);
        let sender = OutboundSa::new(Arc::new(mirrored(&spec)), Bucket::HOST).unwrap();
        let (batch, buffer) = (InboundBatch::new(), Vec::new());
        Ends {
            spec,
            sender,
            inbound,
            counts,
            counters,
            batch,
            buffer,
        }
    }

    fn sealed(&mut self, next_header: u8, payload: &[u8]) -> Vec<u8> {
        let mut datagram = vec![0; self.sender.sealed_length(payload.len())];
        let offset = self.sender.payload_offset();
        datagram[offset..offset + payload.len()].copy_from_slice(payload);
        self.sender
            .seal(&mut datagram, payload.len(), next_header)
            .unwrap();
        datagram
    }

    fn receive_marked(&mut self, datagram: &[u8], traffic_class: u8) -> Result<Vec<u8>, Discard> {
        self.buffer = datagram.to_vec();
        let (source, destination) = (self.spec.remote, self.spec.local);
        let place = 0..datagram.len();
        let arrival = Arrival {
            source,
            destination,
            traffic_class,
            place,
        };
        self.batch.clear();
        self.inbound
            .receive(&arrival, &mut self.buffer, NOW, &mut self.batch)?;
        self.batch.finish();
        Ok(self.batch.writes().next().unwrap().to_vec(&self.buffer))
    }

    fn receive(&mut self, datagram: &[u8]) -> Result<Vec<u8>, Discard> {
        self.receive_marked(datagram, 0)
    }

    fn usage(&self) -> SaUsage {
        self.counters.usage()
    }

    /// Seals a plaintext that already has a trailer, right or wrong, under number 1.
    fn sealed_raw(&self, plaintext: &[u8]) -> Vec<u8> {
        let keys = &self.spec.inbound_keys;
        let key = keys.encryption.as_bytes();
        let key = SealingKey::new(self.spec.encryption, None, key, &[]).unwrap();
        let mut datagram = self.spec.inbound_spi.to_be_bytes().to_vec();
        datagram.extend(1u32.to_be_bytes());
        let aad = datagram.clone();
        datagram.extend(1u64.to_be_bytes());
        datagram.extend(plaintext);
        datagram.extend([0; 16]);
        let (front, icv) = datagram.split_at_mut(16 + plaintext.len());
        let (front, text) = front.split_at_mut(16);
        key.seal(&front[8..], &aad, &[], text, icv).unwrap();
        datagram
    }
}

/// From host 2 to host 1: what our end receives.
fn reply(ipv6: bool, data: &[u8]) -> TcpPacket {
    let mut packet = TcpPacket::new(ipv6, data.to_vec());
    (packet.src, packet.dst) = (packet.dst, packet.src);
    packet
}

#[test]
fn transport_mode_gives_the_packet_a_header_of_the_agreed_addresses() {
    for ipv6 in [false, true] {
        let mut ends = Ends::new(Pair {
            ipv6,
            ..Pair::PLAIN
        });
        let mut packet = reply(ipv6, b"+OK");
        packet.traffic_class = 0xb8;
        let octets = packet.emit();
        let datagram = ends.sealed(protocol::TCP, &octets[if ipv6 { 40 } else { 20 }..]);
        assert_eq!(ends.receive_marked(&datagram, 0xb8), Ok(octets));
        let usage = ends.usage();
        assert_eq!((usage.packets, usage.bytes), (1, datagram.len() as u64));
        assert_eq!((usage.last_used, usage.sequence), (NOW, 1));
    }
}

#[test]
fn tunnel_mode_gives_the_packet_as_it_is_without_what_follows_it() {
    for ipv6 in [false, true] {
        let mut ends = Ends::new(Pair {
            ipv6,
            ..Pair::PLAIN.tunnel()
        });
        let next_header = if ipv6 { protocol::IPV6 } else { protocol::IPV4 };
        let octets = reply(ipv6, b"+OK").emit();
        let padded = [&octets[..], &[0; 100]].concat();
        let datagram = ends.sealed(next_header, &padded);
        assert_eq!(ends.receive(&datagram), Ok(octets));
    }
}

#[test]
fn lengths_come_first() {
    let mut ends = Ends::new(Pair::PLAIN);
    let datagram = ends.sealed(protocol::TCP, &reply(false, b"").emit()[20..]);
    for length in 0..8 {
        assert_eq!(
            ends.receive(&datagram[..length]),
            Err(Discard::InboundShort)
        );
    }
    for length in 8..8 + 8 + 2 + 16 {
        assert_eq!(
            ends.receive(&datagram[..length]),
            Err(Discard::InboundShort)
        );
    }
    assert_eq!(
        ends.receive(&datagram[..35]),
        Err(Discard::InboundAlignment)
    );
    assert_eq!(ends.receive(&datagram[..36]), Err(Discard::Authentication));
    let long = [&datagram[..], &[0; 66_000]].concat();
    assert_eq!(ends.receive(&long), Err(Discard::InboundTooLong));
    assert!(ends.receive(&datagram).is_ok());
    assert_eq!(ends.counts.get(Discard::InboundShort), 34);
}

#[test]
fn an_sa_that_does_not_exist_is_reported_once_a_second() {
    let mut ends = Ends::new(Pair::PLAIN);
    let mut datagram = ends.sealed(protocol::TCP, &reply(false, b"").emit()[20..]);
    datagram[3] ^= 1;
    let spi = ends.spec.inbound_spi ^ 1;
    for _ in 0..3 {
        assert_eq!(ends.receive(&datagram), Err(Discard::UnknownSpi));
    }
    let (source, destination) = (ends.spec.remote, ends.spec.local);
    assert_eq!(
        ends.inbound.poll_unknown_spi(),
        Some(UnknownSpi {
            spi,
            source,
            destination
        })
    );
    assert_eq!(ends.inbound.poll_unknown_spi(), None);
    assert_eq!(ends.counts.get(Discard::UnknownSpi), 3);

    let later = NOW + UNKNOWN_SPI_INTERVAL;
    let arrival = Arrival {
        source,
        destination,
        traffic_class: 0,
        place: 0..datagram.len(),
    };
    let refused = ends
        .inbound
        .receive(&arrival, &mut datagram, later, &mut ends.batch);
    assert_eq!(refused, Err(Discard::UnknownSpi));
    assert!(ends.inbound.poll_unknown_spi().is_some());
    assert!(ends.inbound.poll_unknown_spi().is_none());
}

#[test]
fn what_comes_before_its_sa_is_received_once_it_is_there() {
    let mut ends = Ends::new(Pair::PLAIN);
    let segment = reply(false, b"+OK").emit()[20..].to_vec();
    let [first, second] = [(); 2].map(|()| ends.sealed(protocol::TCP, &segment));
    ends.inbound.remove(ends.spec.id);
    assert_eq!(ends.receive(&first), Err(Discard::UnknownSpi));
    assert_eq!(ends.receive(&second), Err(Discard::UnknownSpi));
    assert!(ends.inbound.poll_early(NOW).is_none());
    let install = |ends: &mut Ends| {
        let sa = InboundSa::new(Arc::clone(&ends.spec), Bucket::HOST).unwrap();
        ends.inbound.install(sa);
    };
    install(&mut ends);
    for datagram in [&first, &second] {
        let (arrival, mut bytes) = ends.inbound.poll_early(NOW).unwrap();
        assert_eq!(bytes, *datagram);
        let taken = ends
            .inbound
            .receive(&arrival, &mut bytes, NOW, &mut ends.batch);
        assert_eq!(taken, Ok(()));
    }
    assert!(ends.inbound.poll_early(NOW).is_none());
    // It is an ordinary arrival then: what was seen is seen.
    assert_eq!(ends.receive(&first), Err(Discard::ReplaySeen));
    ends.inbound.remove(ends.spec.id);
    assert_eq!(ends.receive(&first), Err(Discard::UnknownSpi));
    install(&mut ends);
    assert!(ends.inbound.poll_early(NOW + EARLY).is_none());
}

#[test]
fn a_flood_of_unknown_spis_is_reported_within_bounds() {
    let mut ends = Ends::new(Pair::PLAIN);
    for spi in 0..5000u32 {
        let datagram = [&spi.to_be_bytes()[..], &[0; 40]].concat();
        assert_eq!(ends.receive(&datagram), Err(Discard::UnknownSpi));
    }
    let reports = std::iter::from_fn(|| ends.inbound.poll_unknown_spi()).count();
    assert!((1..=64).contains(&reports), "{reports} reports");
}

#[test]
fn replays_are_refused_and_counted() {
    let mut ends = Ends::new(Pair::PLAIN);
    let segment = reply(false, b"+OK").emit()[20..].to_vec();
    let first = ends.sealed(protocol::TCP, &segment);
    let datagrams: Vec<_> = (0..1100)
        .map(|_| ends.sealed(protocol::TCP, &segment))
        .collect();
    assert!(ends.receive(&first).is_ok());
    assert_eq!(ends.receive(&first), Err(Discard::ReplaySeen));
    assert!(ends.receive(&datagrams[1099]).is_ok());
    assert_eq!(ends.receive(&datagrams[10]), Err(Discard::ReplayOld));
    assert!(ends.receive(&datagrams[1000]).is_ok());
    let mut zero = first.clone();
    zero[4..8].fill(0);
    assert_eq!(ends.receive(&zero), Err(Discard::SequenceZero));
    assert_eq!(ends.usage().replay_drops, 3);
    assert_eq!(ends.usage().packets, 3);
}

#[test]
fn a_forged_number_moves_nothing() {
    let mut ends = Ends::new(Pair::PLAIN);
    let segment = reply(false, b"+OK").emit()[20..].to_vec();
    let good = ends.sealed(protocol::TCP, &segment);
    let mut forged = good.clone();
    forged[4..8].copy_from_slice(&0xffff_ff00u32.to_be_bytes());
    let before = ends.usage();
    assert_eq!(ends.receive(&forged), Err(Discard::Authentication));
    assert_eq!(
        ends.inbound
            .sa(ends.spec.inbound_spi)
            .unwrap()
            .window()
            .highest(),
        0
    );
    assert_eq!(
        ends.usage(),
        SaUsage {
            authentication_failures: 1,
            ..before
        }
    );
    assert!(ends.receive(&good).is_ok());
}

#[test]
fn padding_must_count_up_and_fit() {
    let segment = reply(false, b"").emit()[20..].to_vec();
    for (trailer, expected) in [
        (&[1, 2, 2, protocol::TCP][..], Ok(())),
        (&[1, 3, 2, protocol::TCP], Err(Discard::Padding)),
        (&[0, 0, 2, protocol::TCP], Err(Discard::Padding)),
        (&[1, 2, 255, protocol::TCP], Err(Discard::Padding)),
    ] {
        let mut ends = Ends::new(Pair::PLAIN);
        let datagram = ends.sealed_raw(&[&segment[..], trailer].concat());
        assert_eq!(ends.receive(&datagram).map(|_| ()), expected, "{trailer:?}");
        let dropped = u64::from(expected.is_err());
        assert_eq!(ends.usage().other_drops, dropped);
        // It was authentic all the same: the number is used up.
        assert_eq!(ends.receive(&datagram), Err(Discard::ReplaySeen));
    }
    let mut ends = Ends::new(Pair::PLAIN);
    let mut padding: Vec<u8> = (1..=255).collect();
    padding.extend([255, protocol::TCP]);
    let datagram = ends.sealed_raw(&[&segment[..], &[7; 3], &padding].concat());
    assert_eq!(
        ends.receive(&datagram).unwrap().len(),
        20 + segment.len() + 3
    );
}

#[test]
fn a_dummy_packet_is_dropped_and_no_error() {
    let mut ends = Ends::new(Pair::PLAIN);
    let datagram = ends.sealed(protocol::NO_NEXT_HEADER, &[9; 100]);
    assert_eq!(ends.receive(&datagram), Err(Discard::Dummy));
    assert_eq!(ends.usage().other_drops, 0);
    assert_eq!(ends.usage().packets, 1);
}

fn pop3_only(mode: Mode) -> SaSpec {
    let side = |host, port| vec![tcp_port(address(false, host), port)];
    let any = policy::range::PortRange::ANY;
    let mut selectors = Selectors {
        local: side(1, 110),
        remote: side(2, 0),
    };
    selectors.remote[0].ports = any;
    Pair {
        mode,
        ..Pair::PLAIN
    }
    .spec_for(selectors, 7)
}

#[test]
fn what_the_selectors_do_not_hold_is_dropped() {
    let mut packet = reply(false, b"USER");
    (packet.src_port, packet.dst_port) = (40_000, 110);
    for (mode, skip, next_header) in [
        (Mode::Transport, 20, protocol::TCP),
        (Mode::Tunnel, 0, protocol::IPV4),
    ] {
        let mut ends = Ends::with(pop3_only(mode));
        let good = ends.sealed(next_header, &packet.emit()[skip..]);
        assert_eq!(ends.receive(&good), Ok(packet.emit()));
        let mut other_port = packet.clone();
        other_port.dst_port = 25;
        let bad = ends.sealed(next_header, &other_port.emit()[skip..]);
        assert_eq!(ends.receive(&bad), Err(Discard::Selectors));
        if mode == Mode::Transport {
            let bad = ends.sealed(protocol::UDP, &packet.emit()[skip..]);
            assert_eq!(ends.receive(&bad), Err(Discard::Selectors));
        } else {
            let mut other_host = packet.clone();
            other_host.src = address(false, 3);
            let bad = ends.sealed(next_header, &other_host.emit()[skip..]);
            assert_eq!(ends.receive(&bad), Err(Discard::Selectors));
        }
        let bad = ends.sealed(next_header, &packet.emit()[skip..skip + 3]);
        assert_eq!(ends.receive(&bad), Err(Discard::InnerMalformed));
    }
}

#[test]
fn a_fragment_without_ports_needs_selectors_without_ports() {
    let mut fragment = reply(false, &[5; 64]).emit();
    fragment[6..8].copy_from_slice(&0x2010u16.to_be_bytes());
    let mut ends = Ends::with(pop3_only(Mode::Tunnel));
    let datagram = ends.sealed(protocol::IPV4, &fragment);
    assert_eq!(ends.receive(&datagram), Err(Discard::InboundFragment));
    let mut ends = Ends::new(Pair::PLAIN.tunnel());
    let datagram = ends.sealed(protocol::IPV4, &fragment);
    assert_eq!(ends.receive(&datagram), Ok(fragment.clone()));
    // A first fragment too short for its ports is not one without ports.
    let mut tiny = fragment[..22].to_vec();
    tiny[2..4].copy_from_slice(&22u16.to_be_bytes());
    tiny[6..8].copy_from_slice(&0x2000u16.to_be_bytes());
    let datagram = ends.sealed(protocol::IPV4, &tiny);
    assert_eq!(ends.receive(&datagram), Err(Discard::InnerMalformed));
}

#[test]
fn the_next_header_must_suit_the_mode() {
    let octets = reply(false, b"+OK").emit();
    let mut ends = Ends::new(Pair::PLAIN.tunnel());
    let datagram = ends.sealed(protocol::TCP, &octets[20..]);
    assert_eq!(ends.receive(&datagram), Err(Discard::NextHeader));
    let datagram = ends.sealed(protocol::IPV6, &octets);
    assert_eq!(ends.receive(&datagram), Err(Discard::InnerMalformed));
    let mut ends = Ends::new(Pair {
        ipv6: true,
        ..Pair::PLAIN
    });
    let octets = reply(true, b"+OK").emit();
    for kind in [protocol::HOP_BY_HOP, protocol::ROUTING, protocol::FRAGMENT] {
        let options = [&[protocol::TCP, 0, 1, 4, 0, 0, 0, 0], &octets[40..]].concat();
        let datagram = ends.sealed(kind, &options);
        assert_eq!(ends.receive(&datagram), Err(Discard::NextHeader));
    }
    let options = [&[protocol::TCP, 0, 1, 4, 0, 0, 0, 0], &octets[40..]].concat();
    let datagram = ends.sealed(protocol::DESTINATION_OPTIONS, &options);
    assert_eq!(ends.receive(&datagram).unwrap()[40..], options);
    let endless = [protocol::DESTINATION_OPTIONS, 0, 1, 4, 0, 0, 0, 0].repeat(100);
    let datagram = ends.sealed(protocol::DESTINATION_OPTIONS, &endless);
    assert_eq!(ends.receive(&datagram), Err(Discard::InnerMalformed));
}

#[test]
fn behind_a_nat_checksums_are_made_right() {
    let encapsulation = Encapsulation::Udp {
        local_port: 4500,
        remote_port: 4500,
    };
    for ipv6 in [false, true] {
        let pair = Pair {
            ipv6,
            ..Pair::PLAIN
        };
        let skip = if ipv6 { 40 } else { 20 };
        let mut ends = Ends::with(SaSpec {
            encapsulation,
            ..pair.spec()
        });
        let right = reply(ipv6, b"+OK").emit();
        let mut inside = reply(ipv6, b"+OK");
        inside.src = address(ipv6, 99);
        let inside = inside.emit();
        assert_ne!(inside[skip..], right[skip..]);
        let datagram = ends.sealed(protocol::TCP, &inside[skip..]);
        assert_eq!(ends.receive(&datagram), Ok(right.clone()));
        // What was right stays as it is, and no checksum at all stays none.
        let datagram = ends.sealed(protocol::TCP, &right[skip..]);
        assert_eq!(ends.receive(&datagram), Ok(right));
        let udp = [&wire::ip::udp::header(5, 6, 12)[..], &[1, 2, 3, 4]].concat();
        let datagram = ends.sealed(protocol::UDP, &udp);
        assert_eq!(ends.receive(&datagram).unwrap()[skip..], udp);

        // Without encapsulation there was no NAT: a wrong checksum is the host's to judge.
        let mut ends = Ends::new(pair);
        let datagram = ends.sealed(protocol::TCP, &inside[skip..]);
        assert_eq!(ends.receive(&datagram).unwrap()[skip..], inside[skip..]);
    }
}

#[test]
fn congestion_on_the_way_reaches_the_packet_inside() {
    for ipv6 in [false, true] {
        let next_header = if ipv6 { protocol::IPV6 } else { protocol::IPV4 };
        for (inner, outer, expected) in [
            (0b00, 0b00, Ok(0b00)),
            (0b00, 0b10, Ok(0b00)),
            (0b00, 0b11, Err(Discard::Congestion)),
            (0b10, 0b11, Ok(0b11)),
            (0b01, 0b11, Ok(0b11)),
            (0b10, 0b01, Ok(0b01)),
            (0b11, 0b00, Ok(0b11)),
        ] {
            let mut ends = Ends::new(Pair {
                ipv6,
                ..Pair::PLAIN.tunnel()
            });
            let mut packet = reply(ipv6, b"+OK");
            packet.traffic_class = 0xb8 | inner;
            let datagram = ends.sealed(next_header, &packet.emit());
            let received = ends.receive_marked(&datagram, 0x20 | outer);
            let expected = expected.map(|ecn| {
                packet.traffic_class = 0xb8 | ecn;
                packet.emit()
            });
            assert_eq!(received, expected, "inner {inner:02b}, outer {outer:02b}");
            if let Ok(octets) = received
                && !ipv6
            {
                assert_eq!(wire::ip::checksum::of(&octets[..v4::HEADER]), 0);
            }
        }
    }
}

#[test]
fn removed_is_unknown() {
    let mut ends = Ends::new(Pair::PLAIN);
    let id = ends.spec.id;
    let datagram = ends.sealed(protocol::TCP, &reply(false, b"").emit()[20..]);
    assert!(ends.inbound.remove(id));
    assert!(!ends.inbound.remove(id));
    assert!(ends.inbound.is_empty());
    assert_eq!(ends.receive(&datagram), Err(Discard::UnknownSpi));
    ends.inbound
        .install(InboundSa::new(Arc::clone(&ends.spec), Bucket::HOST).unwrap());
    assert_eq!(ends.inbound.len(), 1);
    assert!(ends.inbound.remove_spi(ends.spec.inbound_spi));
    assert!(!ends.inbound.remove(id));
}

#[test]
fn cbc_lengths_are_whole_blocks() {
    let pair = Pair {
        encryption: Encryption::AesCbc { key_bits: 128 },
        integrity: Some(crypto::Integrity::HmacSha2_256_128),
        ..Pair::PLAIN
    };
    let mut ends = Ends::new(pair);
    let datagram = ends.sealed(protocol::TCP, &reply(false, b"+OK").emit()[20..]);
    let fixed = 8 + 16 + 16;
    assert_eq!(
        ends.receive(&datagram[..fixed + 15]),
        Err(Discard::InboundShort)
    );
    assert_eq!(
        ends.receive(&datagram[..fixed + 20]),
        Err(Discard::InboundAlignment)
    );
    assert_eq!(
        ends.receive(&datagram[..fixed + 16]),
        Err(Discard::Authentication)
    );
    assert!(ends.receive(&datagram).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    /// A peer that is authentic can still send anything: it is dropped or it is a packet.
    #[test]
    fn no_payload_does_harm(
        ipv6: bool,
        tunnel: bool,
        next_header in prop_oneof![
            Just(4u8), Just(41), Just(6),
            Just(60), any::<u8>()],
        changes in proptest::collection::vec((0usize..80, any::<u8>()), 0..5),
        length in 0usize..300,
        skip in prop_oneof![
            Just(0usize), Just(20), Just(40)],
    ) {
        let mode = if tunnel { Mode::Tunnel } else { Mode::Transport };
        let mut ends = Ends::new(Pair { ipv6, mode, ..Pair::PLAIN });
        let mut octets = reply(ipv6, &[3; 200]).emit();
        for (place, value) in changes {
            octets[place] = value;
        }
        octets.truncate(length.max(skip));
        let datagram = ends.sealed(next_header, &octets[skip..]);
        if let Ok(packet) = ends.receive(&datagram) {
            let packet = wire::ip::Packet::parse(&packet).unwrap();
            prop_assert_eq!(packet.src(), ends.spec.remote);
            prop_assert_eq!(packet.dst(), ends.spec.local);
        }
    }
}

#[test]
fn an_sa_tells_of_its_counters_once_and_only_when_it_is_used() {
    let pair = Pair::PLAIN;
    let spec = Arc::new(pair.spec());
    let mut inbound = Inbound::new(Arc::new(Counts::new()));
    inbound.install(InboundSa::new(Arc::clone(&spec), Bucket::HOST).unwrap());
    assert!(inbound.poll_counting().is_none(), "it is only held");
    let mut ends = Ends::new(pair);
    let mut forged = ends.sealed(protocol::NO_NEXT_HEADER, &[]);
    *forged.last_mut().unwrap() ^= 1;
    let arrival = Arrival {
        source: spec.remote,
        destination: spec.local,
        traffic_class: 0,
        place: 0..forged.len(),
    };
    for failures in 1..=2 {
        let mut batch = InboundBatch::new();
        let refused = inbound.receive(&arrival, &mut forged.clone(), NOW, &mut batch);
        assert_eq!(refused, Err(Discard::Authentication));
        let told = inbound.poll_counting();
        assert_eq!(told.is_some(), failures == 1);
        if let Some(told) = told {
            assert_eq!(told.child, spec.id);
            assert_eq!(told.counters.usage().authentication_failures, 1);
        }
    }
}
