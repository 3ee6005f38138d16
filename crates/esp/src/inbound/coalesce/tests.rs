//! Joining is the reverse of cutting, and everything that differs stays apart.

use proptest::prelude::*;

use super::*;
use crate::fixtures::TcpPacket;
use crate::inbound::batch::InboundBatch;
use crate::outbound::Segments;

/// The packets of a batch into which these packets came, in tunnel mode: whole.
fn join(packets: &[Vec<u8>]) -> Vec<(Offload, Vec<u8>)> {
    let mut batch = InboundBatch::new();
    let buffer = packets.concat();
    let mut at = 0;
    for packet in packets {
        batch.push(&[], at..at + packet.len(), false, &buffer);
        at += packet.len();
    }
    batch.finish();
    batch
        .writes()
        .map(|write| (*write.offload(), write.to_vec(&buffer)))
        .collect()
}

/// The same in transport mode: the IP header in a place of its own.
fn join_split(packets: &[Vec<u8>]) -> Vec<(Offload, Vec<u8>)> {
    let mut batch = InboundBatch::new();
    let buffer = packets.concat();
    let mut at = 0;
    for packet in packets {
        let header = if packet[0] >> 4 == 4 { 20 } else { 40 };
        batch.push(
            &packet[..header],
            at + header..at + packet.len(),
            false,
            &buffer,
        );
        at += packet.len();
    }
    batch.finish();
    batch
        .writes()
        .map(|write| (*write.offload(), write.to_vec(&buffer)))
        .collect()
}

fn cut(packet: &TcpPacket, size: u16) -> Vec<Vec<u8>> {
    let ipv4 = packet.src.is_ipv4();
    let offload = Offload {
        segmentation: if ipv4 {
            Segmentation::TcpV4
        } else {
            Segmentation::TcpV6
        },
        segment_size: size,
        ..Offload::NONE
    };
    let octets = packet.emit();
    let segments = Segments::parse(&octets, &offload).unwrap();
    let whole = segments.whole();
    let write = |number| {
        let mut out = vec![0; whole.length(number)];
        whole.write(number, &mut out);
        out
    };
    (0..segments.count()).map(write).collect()
}

fn packet(ipv6: bool, length: usize) -> TcpPacket {
    TcpPacket::new(ipv6, crate::fixtures::bytes(length, 5, 2))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn joining_what_was_cut_gives_the_packet_back(
        ipv6: bool,
        segments in 2usize..40,
        size in 48u16..1448,
        last in 1u16..1448,
        flags in prop_oneof![Just(tcp::PSH), Just(tcp::PSH | tcp::FIN), Just(tcp::CWR), Just(0u8)],
        identification: u16,
        dont_fragment: bool,
        options in 0usize..=10,
    ) {
        let length = (segments - 1) * usize::from(size) + usize::from(last.min(size));
        let mut packet = packet(ipv6, length);
        packet.flags |= flags;
        packet.identification = identification;
        packet.dont_fragment = dont_fragment;
        packet.options = vec![1; options * 4];
        let pieces = cut(&packet, size);
        for joined in [join(&pieces), join_split(&pieces)] {
            prop_assert_eq!(joined.len(), 1);
            let (offload, octets) = &joined[0];
            prop_assert_eq!(octets, &packet.emit_partial());
            prop_assert_eq!(offload.segment_size, size);
            prop_assert!(offload.needs_checksum);
            prop_assert_eq!(usize::from(offload.header_length), packet.header_length());
            prop_assert_eq!(offload.ecn, flags == tcp::CWR);
            // And cut once more as the descriptor says, it is what arrived.
            let segments = Segments::parse(octets, offload).unwrap();
            let whole = segments.whole();
            let mut again = Vec::new();
            for number in 0..segments.count() {
                let mut out = vec![0; whole.length(number)];
                whole.write(number, &mut out);
                again.push(out);
            }
            prop_assert_eq!(&again, &pieces);
        }
    }

    /// Whatever comes in whatever order: the bytes of each flow come out in the order they came.
    #[test]
    fn nothing_is_lost_changed_or_overtaken(
        picks in proptest::collection::vec((0u16..3, 0u8..8, any::<bool>()), 1..60),
    ) {
        let mut next = [1000u32; 3];
        let mut packets = Vec::new();
        for (flow, kind, long) in picks {
            let mut packet = packet(false, if long { 100 } else { 60 });
            packet.src_port += flow;
            let sequence = &mut next[usize::from(flow)];
            packet.sequence = *sequence;
            match kind {
                0 => packet.data.clear(),
                1 => packet.flags |= tcp::PSH,
                2 => packet.flags = tcp::SYN,
                3 => packet.sequence += 5000,
                4 => packet.acknowledgment += 1,
                _ => {}
            }
            *sequence += packet.data.len() as u32;
            packets.push(packet.emit());
        }
        let mut out = Vec::new();
        for (offload, octets) in join(&packets) {
            let segments = Segments::parse(&octets, &offload).unwrap();
            for number in 0..segments.count() {
                let mut segment = vec![0; segments.whole().length(number)];
                segments.whole().write(number, &mut segment);
                out.push(segment);
            }
        }
        for port in 40_000u16..40_003 {
            let of_flow = |list: &[Vec<u8>]| -> Vec<Vec<u8>> {
                // From the TCP header on: an identification that means nothing may change.
                let own = list.iter().filter(|packet| packet[20..22] == port.to_be_bytes());
                own.map(|packet| packet[20..].to_vec()).collect()
            };
            prop_assert_eq!(of_flow(&out), of_flow(&packets));
        }
    }
}

/// Two segments in sequence, the second changed: how many writes come out?
fn writes_after(change: impl Fn(&mut TcpPacket, &mut TcpPacket)) -> usize {
    let mut first = packet(false, 100);
    let mut second = packet(false, 100);
    second.sequence = first.sequence.wrapping_add(100);
    change(&mut first, &mut second);
    join(&[first.emit(), second.emit()]).len()
}

#[test]
fn what_differs_stays_apart() {
    assert_eq!(writes_after(|_, _| {}), 1);
    assert_eq!(writes_after(|_, second| second.sequence += 1), 2);
    assert_eq!(writes_after(|_, second| second.acknowledgment += 1), 2);
    assert_eq!(writes_after(|_, second| second.src_port += 1), 2);
    assert_eq!(
        writes_after(|_, second| second.dst = crate::fixtures::address(false, 9)),
        2
    );
    assert_eq!(writes_after(|_, second| second.options[4] = 9), 2);
    assert_eq!(writes_after(|_, second| second.traffic_class = 3), 2);
    assert_eq!(writes_after(|_, second| second.dont_fragment = false), 2);
    assert_eq!(writes_after(|_, second| second.flags |= tcp::ECE), 2);
    assert_eq!(writes_after(|_, second| second.flags |= tcp::CWR), 2);
    assert_eq!(writes_after(|_, second| second.flags |= tcp::RST), 2);
    assert_eq!(writes_after(|_, second| second.flags |= tcp::PSH), 1);
    assert_eq!(writes_after(|first, _| first.flags |= tcp::PSH), 2);
    assert_eq!(writes_after(|first, _| first.flags |= tcp::URG), 2);
    assert_eq!(writes_after(|_, second| second.data.push(1)), 2);
    assert_eq!(writes_after(|_, second| second.data.clear()), 2);
    let counted = |distance: u16| {
        writes_after(|first, second| {
            (first.dont_fragment, second.dont_fragment) = (false, false);
            first.identification = 7;
            second.identification = 7 + distance;
        })
    };
    assert_eq!((counted(0), counted(1), counted(2)), (2, 1, 2));
}

#[test]
fn a_wrong_checksum_is_left_for_the_host_to_see() {
    let pieces = cut(&packet(false, 400), 100);
    for (wrong, expected) in [(0, 2), (1, 3), (3, 2)] {
        let mut pieces = pieces.clone();
        let last = pieces[wrong].len() - 1;
        pieces[wrong][last] ^= 1;
        let joined = join(&pieces);
        assert_eq!(joined.len(), expected, "segment {wrong} is wrong");
        let alone = joined.iter().find(|(_, octets)| *octets == pieces[wrong]);
        assert_eq!(alone.map(|(offload, _)| *offload), Some(Offload::NONE));
    }
}

#[test]
fn no_packet_grows_beyond_what_ip_can_say() {
    let pieces: Vec<_> = (0..60u32)
        .map(|number| {
            let mut packet = packet(true, 1400);
            packet.sequence = packet.sequence.wrapping_add(number * 1400);
            packet.emit()
        })
        .collect();
    let joined = join(&pieces);
    assert_eq!(joined.len(), 2);
    assert!(joined.iter().all(|(_, octets)| octets.len() <= 65_535));
}

#[test]
fn no_packet_has_more_pieces_than_one_write_takes() {
    let pieces: Vec<_> = (0..MAX_PIECES as u32 * 2)
        .map(|number| {
            let mut packet = packet(false, 50);
            packet.sequence = packet.sequence.wrapping_add(number * 50);
            packet.emit()
        })
        .collect();
    let joined = join(&pieces);
    assert_eq!(joined.len(), 2);
    assert!(
        joined
            .iter()
            .all(|(_, octets)| octets.len() == 52 + MAX_PIECES * 50)
    );
}
