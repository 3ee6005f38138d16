//! Raw ESP between two namespaces.

use super::*;
use crate::testing::{ip, root_or_say_so, two, wait};

#[test]
fn esp_packets_begin_with_the_spi_in_both_families() {
    if !root_or_say_so("raw ESP sockets") {
        return;
    }
    let (a, b) = two("raw");
    a.address("eth0", "192.0.2.100/32");
    a.address("eth0", "2001:db8::100/128");
    for (family, vip, to) in [
        (Family::V4, "192.0.2.100", "192.0.2.2"),
        (Family::V6, "2001:db8::100", "2001:db8::2"),
    ] {
        let open = || EspSocket::open(family, &SocketOptions::default());
        let (from, at) = (a.run(open).unwrap(), b.run(open).unwrap());
        let mut batch = RecvBatch::new(128);
        let bytes: Vec<u8> = (0..100u8)
            .flat_map(|at| [0, 0, 1, at, 0, 0, 0, 1])
            .collect();
        from.send_to(Some(ip(vip)), ip(to), &bytes[..8]).unwrap();
        assert_eq!(
            from.send_segments(None, ip(to), &bytes[8..], 8, 0).unwrap(),
            99 * 8
        );
        let mut received = Vec::new();
        while received.len() < 100 {
            wait(&at);
            at.receive(&mut batch).unwrap();
            for entry in batch.iter() {
                assert_eq!((entry.local, entry.segment_size), (ip(to), 8));
                received.push((entry.remote.ip(), entry.bytes.to_vec()));
            }
        }
        assert_eq!(received[0].0, ip(vip));
        let all: Vec<u8> = received
            .iter()
            .flat_map(|(_, bytes)| bytes.clone())
            .collect();
        assert_eq!(all, bytes);
        assert_eq!(batch.discarded(), 0);
    }
}

#[test]
fn large_packets_arrive_whole() {
    if !root_or_say_so("fragmented ESP") {
        return;
    }
    let (a, b) = two("raw-big");
    for (family, to) in [(Family::V4, "192.0.2.2"), (Family::V6, "2001:db8::2")] {
        let open = || EspSocket::open(family, &SocketOptions::default());
        let (from, at) = (a.run(open).unwrap(), b.run(open).unwrap());
        let bytes = [7; 20_000];
        from.send_to(None, ip(to), &bytes).unwrap();
        wait(&at);
        let mut batch = RecvBatch::new(2);
        assert_eq!(at.receive(&mut batch).unwrap(), 1);
        assert_eq!(batch.iter().next().unwrap().bytes, bytes);
        from.set_dont_fragment(DontFragment::Always).unwrap();
        let error = from.send_to(None, ip(to), &bytes).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    }
}
