//! What routers say, and what hosts are told.

use crate::ip::icmp::{MIN_V4, TooBig, append_too_big};
use crate::ip::{Packet, checksum, protocol, udp, v4, v6};
use proptest::prelude::*;
use std::net::IpAddr;

const SPI: u32 = 0xc0de_0001;

fn addresses(ipv6: bool) -> (IpAddr, IpAddr) {
    match ipv6 {
        false => ([10, 0, 0, 1].into(), [10, 0, 0, 2].into()),
        true => (
            "fd00::1".parse().unwrap_or([0; 16].into()),
            "fd00::2".parse().unwrap_or([0; 16].into()),
        ),
    }
}

/// A packet of ESP, raw or in UDP.
fn esp(ipv6: bool, in_udp: bool, length: usize) -> Vec<u8> {
    let mut payload = Vec::new();
    if in_udp {
        payload.extend(udp::header(4500, 4500, (8 + 4 + length) as u16));
    }
    payload.extend(SPI.to_be_bytes());
    payload.extend(vec![7; length]);
    let upper = if in_udp { protocol::UDP } else { protocol::ESP };
    let mut packet = match addresses(ipv6) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let length = (v4::HEADER + payload.len()) as u16;
            v4::Header::new(src, dst, upper, length).emit().to_vec()
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let header = v6::Header::new(src, dst, upper, payload.len() as u16);
            header.emit().to_vec()
        }
        _ => Vec::new(),
    };
    packet.extend(payload);
    packet
}

#[test]
fn what_is_said_of_our_esp_is_read_and_nothing_else_is() {
    for (ipv6, in_udp) in [(false, false), (false, true), (true, false), (true, true)] {
        let packet = esp(ipv6, in_udp, 1400);
        let mut told = Vec::new();
        append_too_big(&packet, 1300, &mut told);
        let view = Packet::parse(&told).expect("a packet");
        let (local, remote) = addresses(ipv6);
        assert_eq!((view.src(), view.dst()), (remote, local));
        let right = match ipv6 {
            true => checksum::is_right(remote, local, protocol::ICMPV6, &[view.payload()]),
            false => checksum::of(view.payload()) == 0,
        };
        assert!(right);
        assert!(told.len() <= if ipv6 { 1280 } else { MIN_V4.into() });
        let expected = TooBig {
            local,
            remote,
            spi: SPI,
            mtu: 1300,
        };
        assert_eq!(TooBig::parse(ipv6, view.payload()), Some(expected));
        // Cut off before the SPI ends, of another type, of another family.
        let spi_ends = 8 + packet.len() - 1400;
        assert!(TooBig::parse(ipv6, &view.payload()[..spi_ends]).is_some());
        for end in 0..spi_ends {
            assert_eq!(TooBig::parse(ipv6, &view.payload()[..end]), None);
        }
        assert_eq!(TooBig::parse(!ipv6, view.payload()), None);
        let mut other = view.payload().to_vec();
        other[1] ^= 1;
        assert_eq!(TooBig::parse(ipv6, &other), None);
        // A later fragment has no SPI where it would be looked for.
        if !ipv6 {
            let mut later = view.payload().to_vec();
            later[8 + 7] = 9;
            assert_eq!(TooBig::parse(ipv6, &later), None);
        }
    }
}

proptest! {
    #[test]
    fn no_message_does_harm(ipv6: bool, octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = TooBig::parse(ipv6, &octets);
        let mut out = Vec::new();
        append_too_big(&octets, 1300, &mut out);
        prop_assert!(out.is_empty() || Packet::parse(&out).is_ok());
    }

    #[test]
    fn changed_messages_do_no_harm(
        ipv6: bool, in_udp: bool,
        changes in prop::collection::vec((0usize..60, any::<u8>()), 0..4),
    ) {
        let mut told = Vec::new();
        append_too_big(&esp(ipv6, in_udp, 60), 1300, &mut told);
        let mut message = told.split_off(if ipv6 { 40 } else { 20 });
        for (at, value) in changes {
            if let Some(octet) = message.get_mut(at) {
                *octet = value;
            }
        }
        let _ = TooBig::parse(ipv6, &message);
    }
}
