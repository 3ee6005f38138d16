//! Captures of real frames.

#![allow(clippy::disallowed_methods)]

use std::net::UdpSocket;

use super::*;
use crate::testing::{root_or_say_so, two, wait};

#[test]
fn captures_both_directions_with_time_and_length() {
    if !root_or_say_so("packet captures") {
        return;
    }
    let (a, b) = two("packet");
    let socket = a.run(|| UdpSocket::bind("192.0.2.1:7")).unwrap();
    let other = b.run(|| UdpSocket::bind("192.0.2.2:7")).unwrap();
    // Neighbours know each other before the capture begins.
    socket.send_to(b"warm", "192.0.2.2:7").unwrap();
    other.send_to(b"warm", "192.0.2.1:7").unwrap();
    for socket in [&socket, &other] {
        socket.recv_from(&mut [0; 4]).unwrap();
    }
    let capture = a.run(|| PacketSocket::capture("eth0", 1 << 20)).unwrap();
    let mut batch = FrameBatch::new(64, 200);
    let before = SystemTime::now();
    socket.send_to(&[1; 1000], "192.0.2.2:7").unwrap();
    other.send_to(&[2; 100], "192.0.2.1:7").unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        wait(&capture);
        capture.receive(&mut batch).unwrap();
        for frame in batch.iter().filter(|frame| frame.bytes[12..14] == [8, 0]) {
            assert!(frame.time >= before && frame.time <= SystemTime::now());
            seen.push((
                frame.outgoing,
                frame.length,
                frame.bytes.len(),
                frame.bytes[60],
            ));
        }
    }
    assert_eq!(seen, [(true, 1042, 200, 1), (false, 142, 142, 2)]);
    let nothing = capture.receive(&mut batch).unwrap_err();
    assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    assert_eq!(batch.iter().count(), 0);
    let statistics = capture.statistics().unwrap();
    assert!(
        statistics.seen >= 2 && statistics.dropped == 0,
        "{statistics:?}"
    );
    assert_eq!(capture.statistics().unwrap().seen, 0);
}

#[test]
fn tells_how_many_frames_were_lost() {
    if !root_or_say_so("capture statistics") {
        return;
    }
    let (a, b) = two("packet-lost");
    let socket = a.run(|| UdpSocket::bind("192.0.2.1:7")).unwrap();
    let far = b.run(|| UdpSocket::bind("192.0.2.2:7")).unwrap();
    // Until the other host's Ethernet address is known, most of what is sent goes nowhere.
    socket.send_to(b"first", "192.0.2.2:7").unwrap();
    wait(&far);
    let capture = a.run(|| PacketSocket::capture("eth0", 4096)).unwrap();
    for _ in 0..200 {
        socket.send_to(&[1; 1000], "192.0.2.2:7").unwrap();
    }
    let statistics = capture.statistics().unwrap();
    assert!(statistics.dropped > 100, "{statistics:?}");
    assert!(statistics.seen >= statistics.dropped, "{statistics:?}");
}

#[test]
fn sends_frames_and_a_sender_receives_none() {
    if !root_or_say_so("frames made by hand") {
        return;
    }
    let (a, b) = two("packet-send");
    let capture = b.run(|| PacketSocket::capture("eth0", 1 << 20)).unwrap();
    let sender = a.run(|| PacketSocket::sender("eth0")).unwrap();
    let mut frame = [0xff; 60];
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);
    sender.send(&frame).unwrap();
    wait(&capture);
    let mut batch = FrameBatch::new(4, 2048);
    loop {
        capture.receive(&mut batch).unwrap();
        if batch
            .iter()
            .any(|seen| seen.bytes == frame && !seen.outgoing)
        {
            break;
        }
        wait(&capture);
    }
    assert!(sender.receive(&mut batch).is_err());
    let text = a
        .run(|| PacketSocket::sender("none0"))
        .unwrap_err()
        .to_string();
    assert!(
        text.starts_with("cannot open a packet socket on the interface none0: "),
        "{text}"
    );
}
