//! Segments against a segmenter that builds every packet from nothing.

use proptest::prelude::*;

use super::*;
use crate::fixtures::TcpPacket;

/// Cuts a packet into segments as RFC 9293 and a network card would, one by one.
fn naive(packet: &TcpPacket, size: usize) -> Vec<Vec<u8>> {
    let chunks: Vec<&[u8]> = match packet.data.is_empty() {
        true => vec![&[]],
        false => packet.data.chunks(size).collect(),
    };
    let last = chunks.len() - 1;
    let segment = |(number, data): (usize, &&[u8])| {
        let mut segment = packet.clone();
        segment.data = data.to_vec();
        segment.sequence = packet.sequence.wrapping_add((number * size) as u32);
        segment.identification = packet.identification.wrapping_add(number as u16);
        if number != last {
            segment.flags &= !(tcp::PSH | tcp::FIN);
        }
        if number != 0 {
            segment.flags &= !tcp::CWR;
        }
        segment.emit()
    };
    chunks.iter().enumerate().map(segment).collect()
}

fn descriptor(packet: &TcpPacket, size: u16) -> Offload {
    let ipv4 = packet.src.is_ipv4();
    Offload {
        segmentation: if ipv4 {
            Segmentation::TcpV4
        } else {
            Segmentation::TcpV6
        },
        ecn: packet.flags & tcp::CWR != 0,
        needs_checksum: true,
        segment_size: size,
        header_length: packet.header_length() as u16,
        checksum_start: if ipv4 { 20 } else { 40 },
        checksum_offset: tcp::CHECKSUM as u16,
    }
}

fn write_all(carried: &Carried<'_, '_>, count: usize) -> Vec<Vec<u8>> {
    let write = |number| {
        let mut out = vec![0xaa; carried.length(number)];
        carried.write(number, &mut out);
        out
    };
    (0..count).map(write).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn segments_are_those_of_the_naive_segmenter(
        ipv6: bool,
        length in 0usize..20_000,
        size in 48u16..2000,
        flags in prop_oneof![Just(tcp::PSH), Just(tcp::FIN), Just(tcp::CWR), Just(0u8)],
        identification: u16,
        options in 0usize..=10,
    ) {
        let mut packet = TcpPacket::new(ipv6, crate::fixtures::bytes(length, 3, 9));
        packet.flags |= flags;
        packet.identification = identification;
        packet.options = vec![1; options * 4];
        let octets = packet.emit_partial();
        let segments = Segments::parse(&octets, &descriptor(&packet, size)).unwrap();
        let expected = naive(&packet, size.into());
        prop_assert_eq!(segments.count(), expected.len());
        prop_assert_eq!(&write_all(&segments.whole(), segments.count()), &expected);
        let behind = segments.behind_ip_header().unwrap();
        let skip = if ipv6 { 40 } else { 20 };
        let expected: Vec<_> = expected.iter().map(|packet| packet[skip..].to_vec()).collect();
        prop_assert_eq!(write_all(&behind, segments.count()), expected);
        prop_assert_eq!(behind.next_header(), protocol::TCP);
    }
}

#[test]
fn one_packet_whose_checksum_is_left_to_us() {
    for ipv6 in [false, true] {
        let packet = TcpPacket::new(ipv6, vec![1, 2, 3]);
        let octets = packet.emit_partial();
        let offload = Offload {
            segmentation: Segmentation::None,
            ..descriptor(&packet, 0)
        };
        let segments = Segments::parse(&octets, &offload).unwrap();
        assert_eq!(write_all(&segments.whole(), 1), [packet.emit()]);
        let behind = segments.behind_ip_header().unwrap();
        assert_eq!(
            write_all(&behind, 1),
            [packet.emit()[if ipv6 { 40 } else { 20 }..].to_vec()]
        );
    }
}

#[test]
fn udp_segments_become_datagrams() {
    let header = TcpPacket::new(false, Vec::new());
    let datagram = |data: &[u8], number: u16| {
        let mut udp = udp::header(5000, 53, (8 + data.len()) as u16).to_vec();
        udp.extend(data);
        let sum = checksum::transport(header.src, header.dst, protocol::UDP, &[&udp]);
        udp[6..8].copy_from_slice(&sum.to_be_bytes());
        let mut header = header.clone();
        header.identification = number;
        let mut packet = header.ip_header(udp.len(), protocol::UDP);
        packet.extend(udp);
        packet
    };
    let data = crate::fixtures::bytes(2500, 1, 1);
    let octets = datagram(&data, 0);
    let offload = Offload {
        segmentation: Segmentation::Udp,
        needs_checksum: true,
        segment_size: 1000,
        ..Offload::NONE
    };
    let segments = Segments::parse(&octets, &offload).unwrap();
    let expected: Vec<_> = data
        .chunks(1000)
        .zip(0..)
        .map(|(data, number)| datagram(data, number))
        .collect();
    assert_eq!(write_all(&segments.whole(), segments.count()), expected);
}

#[test]
fn a_descriptor_that_does_not_fit_is_refused() {
    let packet = TcpPacket::new(false, vec![7; 5000]);
    let octets = packet.emit();
    let good = descriptor(&packet, 1000);
    let bad = [
        Offload {
            segment_size: 0,
            ..good
        },
        Offload {
            segment_size: 1,
            ..good
        },
        Offload {
            segmentation: Segmentation::TcpV6,
            ..good
        },
        Offload {
            segmentation: Segmentation::Udp,
            ..good
        },
        Offload {
            segmentation: Segmentation::None,
            checksum_start: 19,
            ..good
        },
        Offload {
            segmentation: Segmentation::None,
            checksum_start: 6000,
            ..good
        },
        Offload {
            segmentation: Segmentation::None,
            checksum_offset: 65_535,
            ..good
        },
    ];
    assert!(Segments::parse(&octets, &good).is_ok());
    for offload in bad {
        let refused = Segments::parse(&octets, &offload).err();
        assert_eq!(refused, Some(Discard::OutboundOffload), "{offload:?}");
    }
    assert_eq!(
        Segments::parse(&octets[..30], &good).err(),
        Some(Discard::OutboundMalformed)
    );
}

#[test]
fn what_belongs_before_the_esp_header_is_refused_in_transport_mode() {
    let packet = TcpPacket::new(false, vec![7; 80]);
    let mut fragment = packet.emit();
    fragment[6] = 0x20;
    let refused = |octets: &[u8]| {
        Segments::parse(octets, &Offload::NONE)
            .unwrap()
            .behind_ip_header()
            .err()
    };
    assert_eq!(refused(&fragment), Some(Discard::OutboundFragment));
    let mut options = packet.emit();
    options[0] = 0x46;
    assert_eq!(refused(&options), Some(Discard::OutboundHeaders));

    let with = |kind: u8| {
        let packet = TcpPacket::new(true, vec![7; 80]);
        let whole = packet.emit();
        let mut octets = packet.ip_header(whole.len() - 40 + 8, kind);
        octets.extend([protocol::TCP, 0, 1, 4, 0, 0, 0, 0]);
        octets.extend(&whole[40..]);
        octets
    };
    assert_eq!(
        refused(&with(protocol::HOP_BY_HOP)),
        Some(Discard::OutboundHeaders)
    );
    assert_eq!(
        refused(&with(protocol::ROUTING)),
        Some(Discard::OutboundHeaders)
    );
    let octets = with(protocol::DESTINATION_OPTIONS);
    let segments = Segments::parse(&octets, &Offload::NONE).unwrap();
    let behind = segments.behind_ip_header().unwrap();
    assert_eq!(behind.next_header(), protocol::DESTINATION_OPTIONS);
    assert_eq!(write_all(&behind, 1), [octets[40..].to_vec()]);
}
