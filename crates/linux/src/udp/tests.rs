//! UDP between two namespaces: addresses, trains, batches.

use super::*;
use crate::testing::{Namespace, allocations, ip, root_or_say_so, silent, two, wait};

fn bind(space: &Namespace, family: Family, port: u16) -> UdpSocket {
    space
        .run(|| UdpSocket::bind(family, port, &SocketOptions::default()))
        .unwrap()
}

/// Receives until `bytes` bytes are there; answers each entry's bytes and segment size.
fn receive(socket: &UdpSocket, bytes: usize) -> Vec<(Vec<u8>, usize)> {
    let mut batch = RecvBatch::new(64);
    let mut entries = Vec::new();
    let mut sum = 0;
    while sum < bytes {
        wait(socket);
        socket.receive(&mut batch).unwrap();
        for entry in batch.iter() {
            sum += entry.bytes.len();
            entries.push((entry.bytes.to_vec(), entry.segment_size));
        }
        let seen: Vec<Vec<u8>> = batch.iter().map(|entry| entry.bytes.to_vec()).collect();
        for (index, bytes) in seen.iter().enumerate() {
            let place = batch.place(index).unwrap();
            assert_eq!(&batch.buffer_mut()[place.range], bytes, "entry {index}");
        }
    }
    entries
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

#[test]
fn tells_the_local_address_of_each_datagram() {
    for (family, locals) in [
        (Family::V4, ["127.0.0.1", "127.0.0.9"]),
        (Family::V6, ["::1", "::1"]),
    ] {
        let options = SocketOptions::default();
        let (a, b) = (
            UdpSocket::bind(family, 0, &options),
            UdpSocket::bind(family, 0, &options),
        );
        let (a, b) = (a.unwrap(), b.unwrap());
        let mut batch = RecvBatch::new(8);
        let nothing = b.receive(&mut batch).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        for local in locals.map(ip) {
            let to = SocketAddr::new(local, b.local_port().unwrap());
            a.send_to(None, to, b"hello").unwrap();
            wait(&b);
            assert_eq!(b.receive(&mut batch).unwrap(), 1);
            let entry = batch.iter().next().unwrap();
            assert_eq!(entry.local, local);
            assert_eq!(entry.remote.port(), a.local_port().unwrap());
            assert_eq!((entry.bytes, entry.segment_size), (&b"hello"[..], 5));
            assert_ne!(entry.interface, 0);
        }
        let entry = batch.get_mut(0).unwrap();
        entry.bytes[0] = b'j';
        assert_eq!(batch.iter().next().unwrap().bytes, b"jello");
        assert!(batch.get_mut(1).is_none());
    }
}

#[test]
fn dscp_and_ecn_pass_in_both_families_and_in_trains() {
    for (family, local) in [(Family::V4, "127.0.0.1"), (Family::V6, "::1")] {
        let options = SocketOptions::default();
        let bind = || UdpSocket::bind(family, 0, &options).unwrap();
        let (a, b) = (bind(), bind());
        let to = SocketAddr::new(ip(local), b.local_port().unwrap());
        let mut batch = RecvBatch::new(8);
        for (class, length) in [(0xb8, 100), (0, 100), (0x03, 100), (0xff, 3000)] {
            a.send_segments(None, to, &pattern(length), 1000, class)
                .unwrap();
            let mut received = 0;
            while received < length {
                wait(&b);
                b.receive(&mut batch).unwrap();
                for place in (0..batch.len()).filter_map(|index| batch.place(index)) {
                    assert_eq!(place.traffic_class, class, "{family}");
                    received += place.range.len();
                }
            }
        }
    }
}

#[test]
fn a_send_of_64_kilobytes_arrives_as_one_receive() {
    if !root_or_say_so("GSO and GRO over a cable") {
        return;
    }
    let (a, b) = two("udp-gso");
    for (family, to) in [(Family::V4, "192.0.2.2"), (Family::V6, "2001:db8::2")] {
        let (from, at) = (bind(&a, family, 4500), bind(&b, family, 4500));
        let bytes = pattern(46 * 1400);
        let sent = from
            .send_segments(None, SocketAddr::new(ip(to), 4500), &bytes, 1400, 0)
            .unwrap();
        assert_eq!(sent, bytes.len());
        wait(&at);
        let mut batch = RecvBatch::new(64);
        assert_eq!(
            at.receive(&mut batch).unwrap(),
            1,
            "{family}: one entry for all segments"
        );
        let entry = batch.iter().next().unwrap();
        assert_eq!(entry.segment_size, 1400);
        assert_eq!(entry.bytes, bytes);
        assert_eq!(entry.segments().count(), 46);
        assert_eq!(entry.local, ip(to));
    }
}

#[test]
fn more_than_one_send_holds_is_cut_at_a_segment() {
    if !root_or_say_so("long GSO sends") {
        return;
    }
    let (a, b) = two("udp-long");
    let (from, at) = (bind(&a, Family::V4, 4500), bind(&b, Family::V4, 4500));
    let to = "192.0.2.2:4500".parse().unwrap();
    for (length, size) in [
        (200_001, 1400),
        (10_000, 100),
        (1400, 1400),
        (7, 1400),
        (999, 1),
    ] {
        let bytes = pattern(length);
        assert_eq!(
            from.send_segments(None, to, &bytes, size, 0).unwrap(),
            length
        );
        let entries = receive(&at, length);
        let all: Vec<u8> = entries
            .iter()
            .flat_map(|(bytes, _)| bytes.clone())
            .collect();
        assert_eq!(all, bytes);
        let last = entries.len() - 1;
        for (at, (bytes, segment)) in entries.iter().enumerate() {
            assert_eq!(*segment, size.min(bytes.len()));
            assert!(at == last || bytes.len().is_multiple_of(size));
        }
    }
    for size in [0, MAX_PAYLOAD + 1] {
        let error = from.send_segments(None, to, b"x", size, 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

#[test]
fn what_the_kernel_will_not_cut_is_sent_one_by_one() {
    if !root_or_say_so("the fallback of GSO") {
        return;
    }
    let (a, b) = two("udp-back");
    let (from, at) = (bind(&a, Family::V4, 4500), bind(&b, Family::V4, 4500));
    let to = "192.0.2.2:4500".parse().unwrap();
    // A segment beyond the MTU of 1,500: EINVAL with GSO, fragments without.
    let bytes = pattern(9000);
    assert_eq!(from.send_segments(None, to, &bytes, 3000, 0).unwrap(), 9000);
    let entries = receive(&at, 9000);
    assert_eq!(
        entries
            .iter()
            .map(|(bytes, _)| bytes.len())
            .collect::<Vec<_>>(),
        [3000; 3]
    );
    assert_eq!(entries.concat_bytes(), bytes);
    from.set_dont_fragment(DontFragment::Always).unwrap();
    let error = from.send_segments(None, to, &bytes, 3000, 0).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    from.set_dont_fragment(DontFragment::Never).unwrap();
    assert_eq!(from.send_segments(None, to, &bytes, 3000, 0).unwrap(), 9000);
}

trait Concat {
    fn concat_bytes(&self) -> Vec<u8>;
}

impl Concat for Vec<(Vec<u8>, usize)> {
    fn concat_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|(bytes, _)| bytes.clone()).collect()
    }
}

#[test]
fn leaves_from_the_address_that_is_asked_for() {
    if !root_or_say_so("source addresses") {
        return;
    }
    let (a, b) = two("udp-from");
    a.address("eth0", "192.0.2.100/32");
    a.address("eth0", "2001:db8::100/128");
    let mut batch = RecvBatch::new(8);
    for (family, vip, to, foreign) in [
        (Family::V4, "192.0.2.100", "192.0.2.2", "192.0.2.200"),
        (Family::V6, "2001:db8::100", "2001:db8::2", "2001:db8::200"),
    ] {
        let (from, at) = (bind(&a, family, 500), bind(&b, family, 500));
        let to = SocketAddr::new(ip(to), 500);
        from.send_to(Some(ip(vip)), to, b"one").unwrap();
        wait(&at);
        at.receive(&mut batch).unwrap();
        assert_eq!(
            batch.iter().next().unwrap().remote,
            SocketAddr::new(ip(vip), 500)
        );
        // With FREEBIND an IPv6 socket may name a foreign source, an IPv4 socket may not.
        let answer = from.send_to(Some(ip(foreign)), to, b"two");
        match family {
            Family::V4 => {
                let code = answer.unwrap_err().raw_os_error();
                assert!(
                    matches!(code, Some(libc::EINVAL | libc::ENETUNREACH)),
                    "{code:?}"
                );
            }
            Family::V6 => answer.unwrap(),
        }
    }
}

#[test]
fn a_batch_is_sent_in_order_to_several_peers() {
    if !root_or_say_so("sendmmsg") {
        return;
    }
    let (a, b) = two("udp-many");
    b.address("eth0", "192.0.2.3/24");
    let (from, at) = (bind(&a, Family::V4, 500), bind(&b, Family::V4, 500));
    let bytes = pattern(200);
    let message = |at: usize| Message {
        local: None,
        remote: format!("192.0.2.{}:500", 2 + at % 2).parse().unwrap(),
        bytes: &bytes[at..=at],
        segment_size: None,
        traffic_class: 0,
    };
    let messages: Vec<_> = (0..100).map(message).collect();
    assert_eq!(from.send_batch(&messages).unwrap(), 100);
    let mut batch = RecvBatch::new(128);
    let mut received = Vec::new();
    while received.len() < 100 {
        wait(&at);
        at.receive(&mut batch).unwrap();
        received.extend(
            batch
                .iter()
                .map(|entry| (entry.local, entry.bytes.to_vec())),
        );
    }
    for (at, (local, bytes)) in received.iter().enumerate() {
        assert_eq!((*local, bytes[0]), (messages[at].remote.ip(), at as u8));
    }
    assert_eq!(from.send_batch(&[]).unwrap(), 0);
}

#[test]
fn a_mark_and_a_device_are_obeyed() {
    if !root_or_say_so("SO_MARK and SO_BINDTODEVICE") {
        return;
    }
    let (a, b) = two("udp-mark");
    a.output("ip", &["rule", "add", "fwmark", "7", "blackhole"]);
    let options = SocketOptions {
        mark: Some(7),
        ..SocketOptions::default()
    };
    let marked = a.run(|| UdpSocket::bind(Family::V4, 0, &options)).unwrap();
    let at = bind(&b, Family::V4, 500);
    let to = "192.0.2.2:500".parse().unwrap();
    assert!(
        marked.send_to(None, to, b"x").is_err(),
        "the rule for the mark was not asked"
    );
    let options = SocketOptions {
        device: Some("lo".into()),
        ..SocketOptions::default()
    };
    let bound = a.run(|| UdpSocket::bind(Family::V4, 0, &options)).unwrap();
    let _ = bound.send_to(None, to, b"x");
    assert!(silent(&at));
}

#[test]
fn a_port_in_use_is_a_sentence() {
    let options = SocketOptions::default();
    let first = UdpSocket::bind(Family::V4, 0, &options).unwrap();
    let port = first.local_port().unwrap();
    let text = UdpSocket::bind(Family::V4, port, &options)
        .unwrap_err()
        .to_string();
    assert!(
        text.starts_with(&format!("cannot open the IPv4 UDP port {port}: ")),
        "{text}"
    );
    assert!(text.contains("another program has this port"), "{text}");
}

#[test]
fn nothing_is_allocated_per_packet() {
    if !root_or_say_so("allocations per packet") {
        return;
    }
    let (a, b) = two("udp-alloc");
    let (from, at) = (bind(&a, Family::V4, 500), bind(&b, Family::V4, 500));
    let to = "192.0.2.2:500".parse().unwrap();
    let bytes = pattern(60_000);
    let message = Message {
        local: Some(ip("192.0.2.1")),
        remote: to,
        bytes: &bytes[..1000],
        segment_size: None,
        traffic_class: 0,
    };
    let messages = [message; 40];
    let mut batch = RecvBatch::new(64);
    from.send_to(None, to, b"warm").unwrap();
    wait(&at);
    let before = allocations();
    let mut entries = 0;
    for _ in 0..10 {
        from.send_batch(&messages).unwrap();
        from.send_segments(None, to, &bytes, 1200, 0).unwrap();
        while at.receive(&mut batch).is_ok() {
            entries += batch
                .iter()
                .map(|entry| entry.segments().count())
                .sum::<usize>();
            if let Some(entry) = batch.get_mut(0) {
                entry.bytes[0] ^= 1;
            }
        }
    }
    assert_eq!(allocations(), before);
    assert!(entries >= 10 * (40 + 50), "{entries}");
}
