//! What one end seals the other opens, in every suite, mode and family; nothing else is accepted.
#![allow(clippy::unwrap_used)] // Tests.

use std::sync::Arc;

use esp::inbound::Arrival;
use esp::outbound::{Outbound, OutboundBatch, Path, Sent};
use esp::{Counts, Discard, Inbound, InboundBatch, InboundSa, Offload, OutboundSa, Segmentation};
use policy::child::ChildTemplate;
use policy::rule::{Action, AddressSpec, Filter, Negotiate, Origin, Rule};
use policy::sa::{Bucket, Encapsulation};
use policy::spd::Spd;
use proptest::prelude::*;
use wire::ip::protocol;

#[path = "../src/fixtures.rs"]
mod fixtures;

use fixtures::{Pair, TcpPacket, bytes, mirrored};

/// Both ends' sender and receiver.
struct Ends {
    pair: Pair,
    outbound: Outbound,
    inbound: Inbound,
    counts: Arc<Counts>,
}

impl Ends {
    fn new(pair: Pair) -> Self {
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
        let spec = pair.spec();
        let mut inbound = Inbound::new(Arc::clone(&counts));
        let receiver = Arc::new(mirrored(&spec));
        inbound.install(InboundSa::new(receiver, Bucket::HOST).unwrap());
        let (id, mut batch) = (spec.id, OutboundBatch::new(0));
        let sender = OutboundSa::new(Arc::new(spec), Bucket(1)).unwrap();
        outbound.install(sender, 1, &mut batch);
        outbound.open_gate(Bucket(1), 3);
        outbound.grant(id, 1 << 30, 1 << 30, 1, &mut batch).unwrap();
        Ends {
            pair,
            outbound,
            inbound,
            counts,
        }
    }

    fn seal(&mut self, packet: &[u8], offload: &Offload) -> Vec<Vec<u8>> {
        let mut batch = OutboundBatch::new(1 << 16);
        let sent = self.outbound.send(packet, offload, 1, &mut batch);
        assert!(matches!(sent, Sent::Sealed(_)), "{sent:?}");
        assert!(
            batch
                .datagrams()
                .all(|(path, _)| matches!(path, Path::Esp { .. }))
        );
        batch
            .datagrams()
            .map(|(_, datagram)| datagram.to_vec())
            .collect()
    }

    fn open(&mut self, datagrams: &[Vec<u8>]) -> Result<Vec<(Offload, Vec<u8>)>, Discard> {
        let mut buffer = datagrams.concat();
        let mut batch = InboundBatch::new();
        let mut at = 0;
        for datagram in datagrams {
            let arrival = Arrival {
                source: self.pair.here(),
                destination: self.pair.there(),
                traffic_class: 0,
                place: at..at + datagram.len(),
            };
            self.inbound.receive(&arrival, &mut buffer, 1, &mut batch)?;
            at += datagram.len();
        }
        batch.finish();
        Ok(batch
            .writes()
            .map(|write| (*write.offload(), write.to_vec(&buffer)))
            .collect())
    }
}

/// A UDP packet, whose header transport mode gives back unchanged.
fn udp(pair: Pair, length: usize) -> Vec<u8> {
    let mut header = TcpPacket::new(pair.ipv6, Vec::new());
    header.dont_fragment = true;
    let mut datagram = wire::ip::udp::header(7, 9, (8 + length) as u16).to_vec();
    datagram.extend(bytes(length, 9, 9));
    let mut packet = header.ip_header(datagram.len(), protocol::UDP);
    packet.extend(datagram);
    packet
}

/// Addresses change and nothing else does (RFC 4555): one key, the next numbers, one window.
#[test]
fn keys_numbers_and_windows_go_on_between_other_addresses() {
    for pair in Pair::all() {
        let mut ends = Ends::new(pair);
        let id = pair.spec().id;
        let mut sealed = Vec::new();
        for step in 0..4 {
            let encapsulation = Encapsulation::Udp {
                local_port: 4500,
                remote_port: 1024 + step,
            };
            if step > 0 {
                let between = (pair.there(), pair.here());
                assert!(ends.outbound.redirect(id, between, encapsulation));
            }
            sealed.extend(ends.seal(&udp(pair, 100), &Offload::NONE));
        }
        let number = |datagram: &Vec<u8>| u32::from_be_bytes(datagram[4..8].try_into().unwrap());
        assert_eq!(sealed.iter().map(number).collect::<Vec<_>>(), [1, 2, 3, 4]);
        for datagram in &sealed {
            assert!(ends.open(std::slice::from_ref(datagram)).is_ok());
        }
        for datagram in &sealed {
            let again = ends.open(std::slice::from_ref(datagram));
            assert!(again.is_err(), "a replay is one wherever it comes from");
        }
    }
}

#[test]
fn every_suite_mode_and_family_and_every_length() {
    for pair in Pair::all() {
        let mut ends = Ends::new(pair);
        for length in (0..70).chain([1000, 1348, 1400, 8000, 60_000]) {
            let packet = udp(pair, length);
            let sealed = ends.seal(&packet, &Offload::NONE);
            assert_eq!(sealed.len(), 1);
            assert_eq!(
                ends.open(&sealed),
                Ok(vec![(Offload::NONE, packet)]),
                "{pair:?} {length}"
            );
        }
    }
}

#[test]
fn every_changed_bit_and_every_shorter_datagram_is_refused() {
    for pair in Pair::all() {
        let mut ends = Ends::new(pair);
        let sealed = ends.seal(&udp(pair, 20), &Offload::NONE).remove(0);
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(ends.open(&[changed]).is_err(), "{pair:?}, bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(
                ends.open(&[sealed[..length].to_vec()]).is_err(),
                "{pair:?}, {length} bytes"
            );
        }
        assert!(ends.open(&[[&sealed[..], &[0; 4]].concat()]).is_err());
        assert!(ends.open(&[sealed]).is_ok(), "{pair:?}");
    }
}

#[test]
fn hostile_datagrams_are_counted_and_change_nothing() {
    let mut ends = Ends::new(Pair::PLAIN);
    let mut state = 1u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let good = ends.seal(&udp(Pair::PLAIN, 100), &Offload::NONE).remove(0);
    let mut refused = 0;
    for _ in 0..20_000 {
        let mut datagram = good.clone();
        datagram.truncate((random() % 200) as usize);
        for _ in 0..random() % 4 {
            let place = random() as usize % datagram.len().max(1);
            if let Some(byte) = datagram.get_mut(place) {
                *byte = random() as u8;
            }
        }
        if datagram != good {
            assert!(ends.open(&[datagram]).is_err());
            refused += 1;
        }
    }
    let counted: u64 = Discard::ALL
        .iter()
        .map(|discard| ends.counts.get(*discard))
        .sum();
    assert_eq!(counted, refused);
    assert!(ends.open(&[good]).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_large_packet_arrives_as_one(
        pair in proptest::sample::select(Pair::all()),
        length in 1usize..60_000,
        size in 1000u16..1448,
    ) {
        let packet = TcpPacket::new(pair.ipv6, bytes(length, 1, 5));
        let offload = Offload {
            segmentation: if pair.ipv6 { Segmentation::TcpV6 } else { Segmentation::TcpV4 },
            needs_checksum: true,
            segment_size: size,
            ..Offload::NONE
        };
        let mut ends = Ends::new(pair);
        let sealed = ends.seal(&packet.emit_partial(), &offload);
        prop_assert_eq!(sealed.len(), length.div_ceil(size.into()));
        let (last, others) = sealed.split_last().unwrap();
        prop_assert!(others.iter().all(|datagram| datagram.len() == sealed[0].len()));
        prop_assert!(last.len() <= sealed[0].len());
        let arrived = ends.open(&sealed).unwrap();
        prop_assert_eq!(arrived.len(), 1);
        let expected =
            if sealed.len() > 1 { packet.emit_partial() } else { packet.emit() };
        prop_assert_eq!(&arrived[0].1, &expected);
        prop_assert_eq!(arrived[0].0.segment_size, if sealed.len() > 1 { size } else { 0 });
    }

    #[test]
    fn reordered_and_repeated_datagrams_are_accepted_once(
        order in proptest::collection::vec(0usize..200, 1..600),
        esn: bool,
    ) {
        let mut ends = Ends::new(Pair { esn, ..Pair::PLAIN });
        let packet = udp(ends.pair, 10);
        let sealed: Vec<_> =
            (0..200).map(|_| ends.seal(&packet, &Offload::NONE).remove(0)).collect();
        let mut seen = [false; 200];
        for number in order {
            let result = ends.open(&[sealed[number].clone()]);
            prop_assert_eq!(result.is_ok(), !seen[number]);
            seen[number] = true;
        }
    }
}
