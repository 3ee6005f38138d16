//! Frames built by hand, whole, cut and mutated.

use super::*;

fn frame4(source: [u8; 4], destination: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend([0x08, 0x00]);
    frame.extend(packet4(source, destination, protocol, payload));
    frame
}

fn packet4(source: [u8; 4], destination: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len()) as u16;
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    packet.extend(source);
    packet.extend(destination);
    packet.extend(payload);
    packet
}

fn frame6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, payload.len() as u8, next, 64]);
    frame.extend(crate::addresses::FE_BACK6.octets());
    frame.extend(crate::addresses::VIP6.octets());
    frame.extend(payload);
    frame
}

fn ports(source: u16, destination: u16, rest: &[u8]) -> Vec<u8> {
    [
        &source.to_be_bytes()[..],
        &destination.to_be_bytes(),
        &[0, 0, 0, 0],
        rest,
    ]
    .concat()
}

const FE: [u8; 4] = [10, 77, 0, 10];
const VIP: [u8; 4] = [10, 77, 0, 100];

#[test]
fn protected_ports_in_either_direction_are_clear() {
    for port in PROTECTED {
        for protocol in [TCP, UDP] {
            assert_eq!(
                classify(&frame4(FE, VIP, protocol, &ports(999, port, b""))),
                Kind::Clear
            );
            assert_eq!(
                classify(&frame4(VIP, FE, protocol, &ports(port, 999, b""))),
                Kind::Clear
            );
            assert_eq!(
                classify(&frame6(protocol, &ports(999, port, b""))),
                Kind::Clear
            );
        }
    }
    assert_eq!(
        classify(&frame4(FE, VIP, TCP, &ports(999, 80, b""))),
        Kind::Other
    );
    let elsewhere = frame4([10, 76, 0, 2], [10, 76, 0, 1], TCP, &ports(999, 110, b""));
    assert_eq!(classify(&elsewhere), Kind::Other);
}

#[test]
fn esp_and_ike() {
    assert_eq!(classify(&frame4(FE, VIP, ESP, &[1; 40])), Kind::Esp);
    assert_eq!(classify(&frame6(ESP, &[1; 40])), Kind::Esp);
    let udp = |port, data: &[u8]| classify(&frame4(FE, VIP, UDP, &ports(port, port, data)));
    assert_eq!(udp(500, &[1; 28]), Kind::Ike);
    assert_eq!(udp(4500, &[0, 0, 0, 0, 1, 1, 1, 1]), Kind::Ike);
    assert_eq!(udp(4500, &[0, 0, 0, 1, 0, 0, 0, 1]), Kind::Esp);
    assert_eq!(udp(4500, &[0xff]), Kind::Other);
    assert_eq!(udp(4501, &[1; 28]), Kind::Other);
}

#[test]
fn an_icmp_error_that_quotes_a_protected_packet_is_clear() {
    let quoted = packet4(FE, VIP, UDP, &ports(7007, 7, b"secret"));
    let error = [&[3, 3, 0, 0, 0, 0, 0, 0][..], &quoted].concat();
    assert_eq!(classify(&frame4(VIP, FE, ICMP, &error)), Kind::Clear);
    let echo = [&[8, 0, 0, 0, 0, 0, 0, 0][..], &quoted].concat();
    assert_eq!(classify(&frame4(VIP, FE, ICMP, &echo)), Kind::Other);
    let quoted = packet4(FE, VIP, ESP, &[1; 16]);
    let error = [&[3, 3, 0, 0, 0, 0, 0, 0][..], &quoted].concat();
    assert_eq!(classify(&frame4(VIP, FE, ICMP, &error)), Kind::Other);
}

#[test]
fn tags_options_and_extension_headers_are_stepped_over() {
    let mut tagged = vec![2; 12];
    tagged.extend([0x81, 0x00, 0, 5, 0x08, 0x00]);
    tagged.extend(packet4(FE, VIP, TCP, &ports(999, 110, b"")));
    assert_eq!(classify(&tagged), Kind::Clear);

    let mut options = frame4(FE, VIP, TCP, &[&[1; 4][..], &ports(999, 143, b"")].concat());
    options[14] = 0x46;
    assert_eq!(classify(&options), Kind::Clear);

    let hop = [&[TCP, 0, 0, 0, 0, 0, 0, 0][..], &ports(999, 143, b"")].concat();
    assert_eq!(classify(&frame6(HOP_BY_HOP, &hop)), Kind::Clear);
    let later = [&[UDP, 0, 0x01, 0x00, 0, 0, 0, 1][..], &ports(7, 7, b"")].concat();
    assert_eq!(classify(&frame6(FRAGMENT, &later)), Kind::Other);
    let first = [&[UDP, 0, 0x00, 0x01, 0, 0, 0, 1][..], &ports(7, 7, b"")].concat();
    assert_eq!(classify(&frame6(FRAGMENT, &first)), Kind::Clear);
}

#[test]
fn cut_and_mutated_frames_do_not_panic() {
    let quoted = packet4(FE, VIP, UDP, &ports(7007, 7, b"secret"));
    let frames = [
        frame4(
            VIP,
            FE,
            ICMP,
            &[&[3, 3, 0, 0, 0, 0, 0, 0][..], &quoted].concat(),
        ),
        frame6(
            HOP_BY_HOP,
            &[&[TCP, 0, 0, 0, 0, 0, 0, 0][..], &ports(999, 143, b"")].concat(),
        ),
        frame4(FE, VIP, UDP, &ports(4500, 4500, &[0, 0, 0, 0, 1])),
    ];
    for frame in &frames {
        for end in 0..frame.len() {
            classify(&frame[..end]);
        }
        for at in 0..frame.len() {
            for value in 0..=255 {
                let mut bad = frame.clone();
                bad[at] = value;
                classify(&bad);
            }
        }
    }
}

#[test]
fn what_ipsec_carries() {
    let udp = |port, data: &[u8]| frame4(VIP, FE, UDP, &ports(port, port, data));
    let esp = [1, 2, 3, 4, 0, 0, 0, 9, 5, 5];
    for frame in [frame4(VIP, FE, ESP, &esp), udp(4500, &esp)] {
        let found = ipsec(&frame).unwrap();
        assert_eq!(found.source, IpAddr::from(VIP));
        assert_eq!(found.destination, IpAddr::from(FE));
        assert_eq!(found.part, Part::Esp(&esp));
    }
    let mut padded = udp(500, &[7; 28]);
    padded.extend([0; 6]);
    assert_eq!(ipsec(&padded).unwrap().part, Part::Ike(&[7; 28]));
    let behind_marker = udp(4500, &[0, 0, 0, 0, 7, 7]);
    assert_eq!(ipsec(&behind_marker).unwrap().part, Part::Ike(&[7, 7]));
    assert_eq!(ipsec(&udp(53, &esp)), None);
    assert_eq!(ipsec(&frame4(VIP, FE, ESP, &esp[..7])), None);
}
