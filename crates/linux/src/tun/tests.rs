//! A TUN device in a namespace.

#![allow(clippy::disallowed_methods)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::netlink::{MAIN_TABLE, Route};
use crate::netns;
use crate::poll::{Events, Interest, Poller};
use crate::prefix::Family;
use crate::testing::{Namespace, ip, root_or_say_so, wait};
use crate::udp::{SocketOptions, UdpSocket};

fn options(name: &str) -> TunOptions {
    TunOptions {
        name: name.into(),
        mtu: 1400,
        multi_queue: false,
    }
}

/// A namespace with a TUN device that has 10.1.0.NUMBER/24 and fd01::NUMBER/64.
fn with_tun(name: &str, number: u8) -> (Namespace, Tun) {
    let space = Namespace::new(name);
    let tun = space.run(|| Tun::create(&options("hf0"))).unwrap();
    space.address("hf0", &format!("10.1.0.{number}/24"));
    space.address("hf0", &format!("fd01::{number}/64"));
    (space, tun)
}

#[test]
fn is_up_quiet_and_of_the_size_that_was_asked_for() {
    if !root_or_say_so("TUN devices") {
        return;
    }
    let space = Namespace::new("tun-up");
    fs_write(&space, "/proc/sys/net/ipv4/conf/all/rp_filter", "1");
    let tun = space.run(|| Tun::create(&options("hf0"))).unwrap();
    let link = netns::netlink(&space.name).unwrap().link("hf0").unwrap();
    assert!(link.up && link.mtu == 1400);
    assert_eq!((tun.index(), tun.name()), (link.index, "hf0"));
    let text = space.output("ip", &["addr", "show", "hf0"]);
    assert!(!text.contains("inet"), "no address of its own: {text}");
    let filter = space.output("cat", &["/proc/sys/net/ipv4/conf/hf0/rp_filter"]);
    assert_eq!(filter.trim(), "2", "looser than the 1 of `all`");
    let mut buffer = vec![0; MAX_READ];
    assert_eq!(
        tun.read(&mut buffer).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );

    let text = space
        .run(|| Tun::create(&options("hf0")))
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("another program has a device of this name"),
        "{text}"
    );
    for name in ["", "sixteen-bytes-xx"] {
        assert!(space.run(|| Tun::create(&options(name))).is_err());
    }
    drop(tun);
    space.until_gone("hf0");
}

fn fs_write(space: &Namespace, path: &str, value: &str) {
    space.run(|| fs::write(path, value)).unwrap();
}

/// The next UDP packet; the kernel's own IPv6 multicast is passed over.
fn next_udp(tun: &Tun, buffer: &mut [u8]) -> (VirtioNetHeader, Vec<u8>) {
    loop {
        wait(tun);
        let length = tun.read(buffer).unwrap();
        let (header, packet) = VirtioNetHeader::decode(&buffer[..length]).unwrap();
        let protocol = if packet[0] >> 4 == 4 {
            packet[9]
        } else {
            packet[6]
        };
        if protocol == 17 {
            return (header, packet.to_vec());
        }
    }
}

#[test]
fn packets_pass_both_ways_with_their_header() {
    if !root_or_say_so("TUN packets") {
        return;
    }
    let (space, tun) = with_tun("tun-pass", 1);
    let mut buffer = vec![0; MAX_READ];
    for (family, own, far) in [
        (Family::V4, "10.1.0.1", "10.1.0.2"),
        (Family::V6, "fd01::1", "fd01::2"),
    ] {
        let socket = space
            .run(|| UdpSocket::bind(family, 7, &SocketOptions::default()))
            .unwrap();
        socket
            .send_to(None, SocketAddr::new(ip(far), 7), b"ping")
            .unwrap();
        let (header, packet) = next_udp(&tun, &mut buffer);
        assert_eq!(header.gso_type, GsoType::None);
        assert!(packet.ends_with(b"ping"));
        // The checksum is left to us: its place is told.
        assert_eq!(header.flags, VirtioNetHeader::NEEDS_CHECKSUM);
        assert_eq!(usize::from(header.csum_start), packet.len() - 12);
        assert_eq!(header.csum_offset, 6);
        // The same packet with its addresses swapped is the answer.
        let mut answer = packet;
        let (source, length) = if family == Family::V4 {
            (12, 4)
        } else {
            (8, 16)
        };
        let (left, right) = answer.split_at_mut(source + length);
        left[source..].swap_with_slice(&mut right[..length]);
        let (front, back) = answer.split_at(answer.len() - 4);
        tun.write_vectored(&header, &[front, back]).unwrap();
        wait(&socket);
        let mut batch = crate::RecvBatch::new(2);
        socket.receive(&mut batch).unwrap();
        let entry = batch.iter().next().unwrap();
        assert_eq!(
            (entry.local, entry.remote),
            (ip(own), SocketAddr::new(ip(far), 7))
        );
        assert_eq!(entry.bytes, b"ping");
        let whole = [&header.encode()[..], &answer].concat();
        assert_eq!(tun.write(&whole).unwrap(), whole.len());
        wait(&socket);
    }
    let slice: &[u8] = &[0];
    let many = tun.write_vectored(&VirtioNetHeader::default(), &vec![slice; MAX_SLICES + 1]);
    assert_eq!(many.unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn udp_segments_pass_whole() {
    if !root_or_say_so("UDP segmentation on TUN") {
        return;
    }
    let (space, tun) = with_tun("tun-uso", 1);
    if !tun.udp_segmentation() {
        eprintln!("NOT RUN: this kernel has no UDP segmentation for TUN (Linux 6.2)");
        return;
    }
    let socket = space
        .run(|| UdpSocket::bind(Family::V4, 7, &SocketOptions::default()))
        .unwrap();
    let to = "10.1.0.2:7".parse().unwrap();
    socket
        .send_segments(None, to, &[1; 40_000], 1000, 0)
        .unwrap();
    let mut buffer = vec![0; MAX_READ];
    let (header, packet) = next_udp(&tun, &mut buffer);
    assert_eq!(
        (header.gso_type, header.gso_size),
        (GsoType::UdpSegments, 1000)
    );
    assert_eq!(packet.len(), 20 + 8 + 40_000);
}

#[test]
fn several_queues_share_a_device() {
    if !root_or_say_so("TUN queues") {
        return;
    }
    let space = Namespace::new("tun-queues");
    let wanted = TunOptions {
        multi_queue: true,
        ..options("hf0")
    };
    let first = space.run(|| Tun::create(&wanted)).unwrap();
    let second = space.run(|| first.another_queue()).unwrap();
    assert_eq!(first.index(), second.index());
    space.address("hf0", "10.1.0.1/24");
    let mut buffer = vec![0; MAX_READ];
    let mut counts = [0, 0];
    for port in 1000..1064 {
        let socket = space
            .run(|| std::net::UdpSocket::bind(("10.1.0.1", port)))
            .unwrap();
        socket.send_to(b"x", "10.1.0.2:7").unwrap();
        for (count, tun) in counts.iter_mut().zip([&first, &second]) {
            while tun.read(&mut buffer).is_ok() {
                *count += 1;
            }
        }
    }
    assert_eq!(counts[0] + counts[1], 64);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

/// Carries packets between two devices until told to end; answers the largest one.
fn relay(ends: [&Tun; 2], end: &AtomicBool) -> usize {
    let poller = Poller::new().unwrap();
    for (token, tun) in (0..).zip(ends) {
        poller.add(tun, token, Interest::Read).unwrap();
    }
    let mut events = Events::with_capacity(2);
    let mut buffer = vec![0; MAX_READ];
    let mut largest = 0;
    while !end.load(Ordering::Relaxed) {
        poller
            .wait(&mut events, Some(Duration::from_millis(20)))
            .unwrap();
        for (from, to) in [(ends[0], ends[1]), (ends[1], ends[0])] {
            while let Ok(length) = from.read(&mut buffer) {
                let (header, packet) = VirtioNetHeader::decode(&buffer[..length]).unwrap();
                largest = largest.max(packet.len());
                to.write_vectored(&header, &[packet]).unwrap();
            }
        }
    }
    largest
}

#[test]
fn tcp_runs_through_two_devices_in_large_segments() {
    if !root_or_say_so("TCP over TUN") {
        return;
    }
    let (a, left) = with_tun("tun-tcp-a", 1);
    let (b, right) = with_tun("tun-tcp-b", 2);
    // A route with a smaller MTU gives TCP its segment size.
    let mut netlink = netns::netlink(&a.name).unwrap();
    let mut route = Route::new("10.1.0.2/32".parse().unwrap(), MAIN_TABLE);
    route.link = Some(left.index());
    route.mtu = Some(1300);
    netlink.add_route(&route).unwrap();
    const SUM: usize = 64 << 20;
    let end = AtomicBool::new(false);
    let received = AtomicUsize::new(0);
    let listener = b.run(|| TcpListener::bind("10.1.0.2:110")).unwrap();
    let largest = thread::scope(|scope| {
        let relay = scope.spawn(|| relay([&left, &right], &end));
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = vec![0; 1 << 20];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                received.fetch_add(length, Ordering::Relaxed);
            }
            stream.write_all(b"done").unwrap();
        });
        let begin = Instant::now();
        let mut stream = a.run(|| TcpStream::connect("10.1.0.2:110")).unwrap();
        let chunk = vec![7; 1 << 20];
        for _ in 0..SUM / chunk.len() {
            stream.write_all(&chunk).unwrap();
        }
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        let megabits = SUM as f64 * 8.0 / begin.elapsed().as_secs_f64() / 1e6;
        eprintln!("TCP through two TUN devices and one relay: {megabits:.0} Mbit/s");
        end.store(true, Ordering::Relaxed);
        relay.join().unwrap()
    });
    assert_eq!(received.load(Ordering::Relaxed), SUM);
    assert!(
        largest > 10_000,
        "no GSO: the largest packet had {largest} bytes"
    );
}
