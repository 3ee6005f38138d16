//! Headers, extension headers, fragments and flows; and octets that are none of them.

use super::*;
use proptest::prelude::*;

fn refused(octets: &[u8]) -> Option<Malformed> {
    Packet::parse(octets).err()
}

#[test]
fn rfc_7634_appendix_a_header_is_read_and_written() {
    let octets: [u8; 20] = [
        0x45, 0x00, 0x00, 0x54, 0xa6, 0xf2, 0x00, 0x00, 0x40, 0x01, 0xe7, 0x78, 0xc6, 0x33, 0x64,
        0x05, 0xc0, 0x00, 0x02, 0x05,
    ];
    let mut padded = octets.to_vec();
    padded.resize(84, 0);
    let (header, length) = v4::Header::parse(&padded).unwrap();
    assert_eq!(
        (length, header.total_length, header.hop_limit),
        (20, 84, 64)
    );
    assert_eq!(header.src, Ipv4Addr::new(198, 51, 100, 5));
    assert_eq!(header.emit(), octets);
    assert_eq!(checksum::of(&octets), 0);
}

#[test]
fn options_of_ipv4_are_stepped_over() {
    let mut octets = packet4(protocol::TCP, &[&[0x94, 4, 0, 0], &TCP[..]].concat());
    octets[0] = 0x46;
    let packet = Packet::parse(&octets).unwrap();
    assert_eq!((packet.version(), packet.header_length()), (4, 24));
    assert_eq!(packet.payload(), TCP);
    assert_eq!(packet.payload_range(), 24..44);
    assert_eq!(Flow::of(&octets).unwrap().dst_port, 110);
    for (vihl, why) in [
        (0x40, Malformed::HeaderLength),
        (0x44, Malformed::HeaderLength),
    ] {
        octets[0] = vihl;
        assert_eq!(refused(&octets), Some(why));
    }
    octets[0] = 0x4f;
    assert_eq!(refused(&octets), Some(Malformed::HeaderLength));
    octets[0] = 0x55;
    assert_eq!(refused(&octets), Some(Malformed::Version));
    assert_eq!(refused(&[]), Some(Malformed::Truncated));
}

#[test]
fn octets_behind_the_total_length_are_cut_off() {
    for octets in [packet4(protocol::TCP, &TCP), packet6(protocol::TCP, &TCP)] {
        let longer = [&octets[..], &[0xee; 6]].concat();
        let packet = Packet::parse(&longer).unwrap();
        assert_eq!(packet.octets(), octets);
        assert_eq!(packet.payload(), TCP);
        assert_eq!(packet.total_length(), octets.len());
    }
}

#[test]
fn a_total_length_beyond_the_octets_is_refused() {
    for octets in [packet4(protocol::TCP, &TCP), packet6(protocol::TCP, &TCP)] {
        for end in 0..octets.len() {
            let why = refused(&octets[..end]);
            assert!(
                matches!(why, Some(Malformed::TotalLength | Malformed::Truncated)),
                "{why:?} for {end} octets"
            );
        }
    }
    let mut short = packet4(protocol::TCP, &TCP);
    short[3] = 19;
    assert_eq!(refused(&short), Some(Malformed::HeaderLength));
}

#[test]
fn extension_headers_are_stepped_over() {
    let chain = [
        &extension(protocol::DESTINATION_OPTIONS)[..],
        &extension(protocol::ROUTING),
        &extension(protocol::DESTINATION_OPTIONS),
        &extension(protocol::TCP),
        &TCP,
    ]
    .concat();
    let octets = packet6(protocol::HOP_BY_HOP, &chain);
    let packet = Packet::parse(&octets).unwrap();
    assert_eq!(packet.protocol(), protocol::TCP);
    assert_eq!(packet.protocol_offset(), 40 + 24);
    assert_eq!(octets[packet.protocol_offset()], protocol::TCP);
    assert_eq!(packet.header_length(), 72);
    assert_eq!(packet.payload(), TCP);
    assert_eq!(packet.fragment(), None);
    assert_eq!(Flow::of(&octets).unwrap().src_port, 40_000);
}

#[test]
fn extension_headers_are_bounded_and_in_place() {
    let chain = |count: usize| {
        let mut chain = extension(protocol::DESTINATION_OPTIONS).repeat(count - 1);
        chain.extend_from_slice(&extension(protocol::TCP));
        chain.extend_from_slice(&TCP);
        packet6(protocol::DESTINATION_OPTIONS, &chain)
    };
    assert_eq!(refused(&chain(v6::EXTENSION_HEADERS)), None);
    assert_eq!(
        refused(&chain(v6::EXTENSION_HEADERS + 1)),
        Some(Malformed::ExtensionHeaders)
    );
    let late = [
        &extension(protocol::HOP_BY_HOP)[..],
        &extension(protocol::TCP),
        &TCP,
    ]
    .concat();
    let late = packet6(protocol::ROUTING, &late);
    assert_eq!(refused(&late), Some(Malformed::ExtensionHeaders));
    let twice = [
        &extension(protocol::FRAGMENT)[..],
        &extension(protocol::TCP),
        &TCP,
    ]
    .concat();
    let mut twice = packet6(protocol::FRAGMENT, &twice);
    twice[43] = 1; // Offset zero, more to follow; then another fragment header.
    twice[42] = 0;
    assert_eq!(refused(&twice), Some(Malformed::ExtensionHeaders));
    let mut beyond = packet6(
        protocol::ROUTING,
        &[&extension(protocol::TCP)[..], &TCP].concat(),
    );
    beyond[41] = 4;
    assert_eq!(refused(&beyond), Some(Malformed::HeaderLength));
    assert_eq!(
        refused(&packet6(protocol::ROUTING, &[6])),
        Some(Malformed::Truncated)
    );
    assert_eq!(
        refused(&packet6(protocol::ROUTING, &[])),
        Some(Malformed::Truncated)
    );
}

#[test]
fn esp_and_ah_end_the_chain() {
    for protocol in [
        protocol::ESP,
        protocol::AH,
        protocol::NO_NEXT_HEADER,
        protocol::ICMPV6,
    ] {
        let octets = packet6(protocol, &[0; 16]);
        assert_eq!(Packet::parse(&octets).unwrap().protocol(), protocol);
    }
}

/// A fragment of either version: offset in octets.
fn fragment(v4: bool, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    if v4 {
        let header = v4::Header {
            identification: 77,
            fragment_offset: offset,
            more_fragments: more,
            ..v4::Header::new(A4, B4, protocol::TCP, 20 + payload.len() as u16)
        };
        return [&header.emit(), payload].concat();
    }
    let field = (offset | u16::from(more)).to_be_bytes();
    let header = [protocol::TCP, 0, field[0], field[1], 0, 0, 0, 77];
    packet6(protocol::FRAGMENT, &[&header, payload].concat())
}

#[test]
fn fragments_are_told_and_only_the_first_has_ports() {
    for v4 in [true, false] {
        let first = fragment(v4, 0, true, &TCP);
        let expected = Fragment {
            identification: 77,
            offset: 0,
            more: true,
        };
        assert_eq!(Packet::parse(&first).unwrap().fragment(), Some(expected));
        assert_eq!(Flow::of(&first).unwrap().dst_port, 110);

        let last = fragment(v4, 1_280, false, &TCP);
        let expected = Fragment {
            identification: 77,
            offset: 1_280,
            more: false,
        };
        assert_eq!(Packet::parse(&last).unwrap().fragment(), Some(expected));
        let flow = Flow::of(&last).unwrap();
        assert_eq!(
            (flow.protocol, flow.src_port, flow.dst_port),
            (protocol::TCP, 0, 0)
        );

        let whole = fragment(v4, 0, false, &TCP);
        assert_eq!(Packet::parse(&whole).unwrap().fragment(), None);
        assert_eq!(Flow::of(&whole).unwrap().dst_port, 110);

        // Too short for its ports: malformed, not a flow without ports (RFC 3128).
        assert_eq!(
            Flow::of(&fragment(v4, 0, true, &TCP[..3])),
            Err(Malformed::Truncated)
        );
        // Beyond the largest packet.
        assert_eq!(
            refused(&fragment(v4, 65_528, false, &TCP)),
            Some(Malformed::Fragment)
        );
        assert_eq!(refused(&fragment(v4, 65_528, false, &TCP[..7])), None);
    }
}

#[test]
fn a_later_fragment_of_ipv6_ends_the_chain() {
    // What follows looks like destination options and is somewhere in the middle of data.
    let header = [protocol::DESTINATION_OPTIONS, 0, 0, 8, 0, 0, 0, 1];
    let octets = packet6(protocol::FRAGMENT, &[&header[..], &[0xff; 8]].concat());
    let packet = Packet::parse(&octets).unwrap();
    assert_eq!(packet.protocol(), protocol::DESTINATION_OPTIONS);
    assert_eq!(packet.payload(), [0xff; 8]);
}

#[test]
fn flows_hold_what_policy_selects_by() {
    let echo = Flow::of(&packet4(protocol::ICMP, &[8, 0, 1, 2])).unwrap();
    assert_eq!((echo.src_port, echo.dst_port), (0x0800, 0));
    assert_eq!(
        echo.to_string(),
        "ICMP type 8 code 0 192.0.2.1 -> 198.51.100.2"
    );
    assert_eq!(echo.reversed().src_port, 0x0800);
    let too_big = Flow::of(&packet6(protocol::ICMPV6, &[2, 1])).unwrap();
    assert_eq!(too_big.src_port, 0x0201);
    let tcp = Flow::of(&packet6(protocol::TCP, &TCP)).unwrap();
    assert_eq!(
        tcp.to_string(),
        "TCP [2001:db8::1]:40000 -> [2001:db8::2]:110"
    );
    let back = tcp.reversed();
    assert_eq!(
        (back.src, back.src_port, back.dst_port),
        (IpAddr::V6(B6), 110, 40_000)
    );
    assert_eq!(back.reversed(), tcp);
    let mobility = Flow::of(&packet6(protocol::MOBILITY, &[59, 0, 5, 0])).unwrap();
    assert_eq!(mobility.src_port, 0x0500);
    let gre = Flow::of(&packet4(protocol::GRE, &[])).unwrap();
    assert_eq!((gre.src_port, gre.dst_port), (0, 0));
    assert_eq!(gre.to_string(), "GRE 192.0.2.1 -> 198.51.100.2");
    for protocol in [protocol::TCP, protocol::UDP, protocol::SCTP, protocol::ICMP] {
        assert_eq!(
            Flow::of(&packet4(protocol, &[1])),
            Err(Malformed::Truncated)
        );
    }
}

#[test]
fn rewrite_puts_another_protocol_and_length() {
    let mut octets = packet4(protocol::TCP, &[&[0x94, 4, 0, 0], &TCP[..]].concat());
    octets[0] = 0x46;
    octets.extend_from_slice(&[0; 30]);
    assert_eq!(
        rewrite(&mut octets, 24, v4::PROTOCOL, protocol::ESP, 70),
        Ok(())
    );
    let packet = Packet::parse(&octets).unwrap();
    assert_eq!(
        (packet.protocol(), packet.total_length()),
        (protocol::ESP, 70)
    );
    assert_eq!(checksum::of(&octets[..24]), 0);

    let inner = [&extension(protocol::TCP)[..], &TCP].concat();
    let mut octets = packet6(protocol::HOP_BY_HOP, &inner);
    octets.extend_from_slice(&[0; 30]);
    assert_eq!(rewrite(&mut octets, 48, 40, protocol::ESP, 90), Ok(()));
    let packet = Packet::parse(&octets).unwrap();
    assert_eq!(
        (packet.protocol(), packet.total_length()),
        (protocol::ESP, 90)
    );
    assert_eq!(octets[6], protocol::HOP_BY_HOP);

    let before = octets.clone();
    for (header, offset, total) in [(39, 6, 90), (48, 48, 90), (48, 6, 47), (48, 6, 65_576)] {
        assert!(rewrite(&mut octets, header, offset, 50, total).is_err());
    }
    assert_eq!(rewrite(&mut octets, 48, 6, 50, 65_575), Ok(()));
    assert_ne!(octets, before);
    assert_eq!(rewrite(&mut [], 20, 9, 50, 20), Err(Malformed::Truncated));
    assert_eq!(
        rewrite(&mut [0x45; 8], 20, 9, 50, 20),
        Err(Malformed::Truncated)
    );
}

#[test]
fn tcp_and_udp_are_read() {
    let segment = [&TCP[..], b"USER"].concat();
    let view = tcp::Tcp::parse(&segment).unwrap();
    assert_eq!((view.src_port(), view.dst_port()), (40_000, 110));
    assert_eq!((view.sequence(), view.acknowledgment()), (1, 2));
    assert_eq!((view.flags(), view.window()), (tcp::ACK | tcp::PSH, 0x0102));
    assert_eq!((view.checksum(), view.data_offset()), (0x0304, 20));
    assert_eq!((view.data(), view.options()), (&b"USER"[..], &[][..]));
    let mut longer = segment.clone();
    longer[12] = 0x60;
    assert_eq!(tcp::Tcp::parse(&longer).unwrap().options(), b"USER");
    for offset in [0x00, 0x40, 0x70] {
        longer[12] = offset;
        assert_eq!(
            tcp::Tcp::parse(&longer).err(),
            Some(Malformed::HeaderLength)
        );
    }
    let datagram = [&udp::header(500, 4_500, 10)[..], &[1, 2, 3]].concat();
    let view = udp::Udp::parse(&datagram).unwrap();
    assert_eq!(
        (view.src_port(), view.dst_port(), view.length()),
        (500, 4_500, 10)
    );
    assert_eq!((view.data(), view.checksum()), (&[1, 2][..], 0));
    assert_eq!(
        udp::Udp::parse(&datagram[..9]).err(),
        Some(Malformed::TotalLength)
    );
    assert_eq!(
        udp::Udp::parse(&udp::header(1, 2, 7)).err(),
        Some(Malformed::HeaderLength)
    );
    assert_eq!(
        udp::Udp::parse(&datagram[..7]).err(),
        Some(Malformed::Truncated)
    );
}

proptest! {
    #[test]
    fn ipv4_headers_round_trip(
        octets in any::<[u8; 8]>(),
        addresses in any::<[[u8; 4]; 2]>(),
        identification in any::<u16>(),
        flags in any::<[bool; 2]>(),
        fragment in 0..8_000_u16,
    ) {
        let header = v4::Header {
            traffic_class: octets[0],
            total_length: 20 + u16::from(octets[1]),
            identification,
            dont_fragment: flags[0],
            more_fragments: flags[1],
            fragment_offset: fragment * 8,
            hop_limit: octets[2],
            protocol: octets[3],
            src: addresses[0].into(),
            dst: addresses[1].into(),
        };
        let mut packet = header.emit().to_vec();
        packet.resize(usize::from(header.total_length), 0);
        prop_assert_eq!(checksum::of(&packet[..20]), 0);
        prop_assert_eq!(v4::Header::parse(&packet), Ok((header, 20)));
    }

    #[test]
    fn ipv6_headers_round_trip(
        octets in any::<[u8; 4]>(),
        addresses in any::<[[u8; 16]; 2]>(),
        flow_label in 0..1_u32 << 20,
    ) {
        let header = v6::Header {
            traffic_class: octets[0],
            flow_label,
            payload_length: u16::from(octets[1]),
            next_header: octets[2],
            hop_limit: octets[3],
            src: addresses[0].into(),
            dst: addresses[1].into(),
        };
        let mut packet = header.emit().to_vec();
        packet.resize(40 + usize::from(header.payload_length), 0);
        prop_assert_eq!(v6::Header::parse(&packet), Ok(header));
    }

    #[test]
    fn any_octets_survive(mut octets in prop::collection::vec(any::<u8>(), 0..160), four: bool) {
        if let Some(first) = octets.first_mut() {
            *first = if four { 0x40 | *first & 0x0f } else { 0x60 | *first & 0x0f };
        }
        if let Some([high, low]) = octets.get_mut(if four { 2..4 } else { 4..6 }) {
            (*high, *low) = (0, *low & 0x7f);
        }
        if let Ok(packet) = Packet::parse(&octets) {
            prop_assert!(packet.total_length() <= octets.len());
            prop_assert!(packet.header_length() <= packet.total_length());
            prop_assert_eq!(octets[packet.protocol_offset()], packet.protocol());
            prop_assert_eq!(packet.payload().len(), packet.payload_range().len());
            let _ = tcp::Tcp::parse(packet.payload());
            let _ = udp::Udp::parse(packet.payload());
        }
        let _ = Flow::of(&octets);
    }

    #[test]
    fn any_extension_headers_survive(
        headers in prop::collection::vec((0..8_usize, 0..3_u8, any::<[u8; 6]>()), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        const KINDS: [u8; 8] = [0, 43, 44, 60, 60, 43, 6, 59];
        let first = headers.first().map_or(6, |(kind, ..)| KINDS[*kind]);
        let mut chain = Vec::new();
        for (index, (_, length, content)) in headers.iter().enumerate() {
            let next = headers.get(index + 1).map_or(6, |(kind, ..)| KINDS[*kind]);
            chain.extend_from_slice(&[next, *length]);
            chain.extend_from_slice(content);
            chain.resize(chain.len() + usize::from(*length) * 8, 0);
        }
        chain.extend_from_slice(&TCP);
        let octets = packet6(first, &chain);
        for octets in [&octets[..], &octets[..cut.index(octets.len())]] {
            let _ = Flow::of(octets);
        }
    }

    #[test]
    fn every_change_of_one_octet_survives(at in 0..60_usize, value: u8, four: bool) {
        let mut octets = if four {
            packet4(protocol::TCP, &[&TCP[..], &TCP].concat())
        } else {
            packet6(protocol::TCP, &TCP)
        };
        octets[at] = value;
        let _ = Flow::of(&octets);
    }
}
