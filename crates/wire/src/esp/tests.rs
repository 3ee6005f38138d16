//! Tests of ESP's layout and of the sorting of datagrams.

mod stream;

use super::*;
use proptest::prelude::*;

#[test]
fn datagrams_are_told_apart() {
    let ike = [0, 0, 0, 0, 1, 2];
    assert_eq!(classify(&ike), UdpEncap::Ike(&[1, 2]));
    assert_eq!(classify(&with_marker(&[1, 2])), UdpEncap::Ike(&[1, 2]));
    assert_eq!(classify(&[0; 4]), UdpEncap::Ike(&[]));
    let esp = [0, 0, 1, 0, 0, 0, 0, 1];
    assert_eq!(classify(&esp), UdpEncap::Esp(&esp));
    assert_eq!(classify(&[0xff]), UdpEncap::Keepalive);
    for datagram in [
        &[][..],
        &[0xfe],
        &[0],
        &[0xff, 0xff],
        &[0; 3],
        &esp[..7],
        &[0xff; 4],
    ] {
        assert_eq!(classify(datagram), UdpEncap::Malformed, "{datagram:?}");
    }
}

#[test]
fn header_is_spi_and_sequence() {
    let octets = [1, 2, 3, 4, 0, 0, 0, 5, 9];
    let (header, rest) = Header::parse(&octets).unwrap();
    assert_eq!(
        header,
        Header {
            spi: 0x0102_0304,
            sequence: 5
        }
    );
    assert_eq!(rest, [9]);
    assert_eq!(header.emit(), octets[..8]);
    assert_eq!(Header::parse(&octets[..7]), None);
}

#[test]
fn rfc_7634_appendix_a_trailer() {
    // An 84-octet packet, padding 1 and 2, its length, next header 4.
    let mut octets = vec![0; 84];
    octets.extend_from_slice(&[1, 2, 2, 4]);
    assert_eq!(padding(84, 1), 2);
    assert_eq!(
        Trailer::parse(&octets),
        Ok(Trailer {
            payload_length: 84,
            next_header: 4
        })
    );
}

#[test]
fn wrong_padding_is_refused() {
    for octets in [
        &[][..],
        &[6],
        &[1, 6],
        &[2, 1, 2, 6],
        &[1, 3, 2, 6],
        &[1, 2, 4, 6],
    ] {
        assert_eq!(Trailer::parse(octets), Err(MalformedTrailer), "{octets:?}");
    }
    assert_eq!(
        Trailer::parse(&[0, 59]),
        Ok(Trailer {
            payload_length: 0,
            next_header: 59
        })
    );
    assert!(!write_trailer(&mut [0; 1], 6));
    assert!(!write_trailer(&mut [0; 258], 6));
    assert!(write_trailer(&mut [0; 257], 6));
}

proptest! {
    #[test]
    fn trailers_round_trip(
        payload in prop::collection::vec(any::<u8>(), 0..80),
        block in prop_oneof![Just(1_usize), Just(8), Just(16)],
        next_header: u8,
    ) {
        let mut octets = payload.clone();
        octets.resize(payload.len() + padding(payload.len(), block) + TRAILER, 0xee);
        prop_assert_eq!(octets.len() % block, 0);
        prop_assert_eq!(octets.len() % 4, 0);
        prop_assert!(octets.len() < payload.len() + TRAILER + block.max(4));
        prop_assert!(write_trailer(&mut octets[payload.len()..], next_header));
        let expected = Trailer { payload_length: payload.len(), next_header };
        prop_assert_eq!(Trailer::parse(&octets), Ok(expected));
        prop_assert_eq!(&octets[..payload.len()], &payload[..]);
    }

    #[test]
    fn any_octets_survive(octets in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = classify(&octets);
        if let Ok(trailer) = Trailer::parse(&octets) {
            prop_assert!(trailer.payload_length + TRAILER <= octets.len());
        }
    }
}
