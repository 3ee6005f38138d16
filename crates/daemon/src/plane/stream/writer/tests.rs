//! Connections of the loopback: what comes out at the other end is whole, whatever was full.

use super::*;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use wire::esp::{Piece, StreamReader};

const TOKEN: u64 = 2;

/// A stream that writes, what reads from it, and both writers and poller.
fn begin(accepted: bool) -> (Writers, Poller, TcpStream, Ends) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (other, _) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    let ends = Ends {
        local: socket.local_addr().unwrap(),
        remote: socket.peer_addr().unwrap(),
    };
    let (mut writers, poller) = (Writers::default(), Poller::new().unwrap());
    let stream = Arc::new(Stream::new(socket, ends, 1, accepted));
    writers.add(stream, &poller, TOKEN);
    (writers, poller, other, ends)
}

/// A packet whose number is in every octet of it that matters.
fn train(first: u32, count: u32, size: usize) -> Vec<u8> {
    let packet = |number: u32| {
        let mut packet = vec![0; size];
        packet[..4].copy_from_slice(&number.to_be_bytes());
        packet
    };
    (first..first + count).flat_map(packet).collect()
}

/// Everything that comes until the writers have nothing left, as messages.
fn messages(mut writers: Writers, poller: &Poller, mut other: TcpStream) -> Vec<Vec<u8>> {
    let reading = std::thread::spawn(move || {
        let mut octets = Vec::new();
        other.read_to_end(&mut octets).unwrap();
        octets
    });
    while writers.0.values().any(|writer| writer.watched) {
        writers.flush(poller, TOKEN);
    }
    drop(writers);
    let octets = reading.join().unwrap();
    let (mut reader, mut at, mut found) = (StreamReader::accepted(), 0, Vec::new());
    loop {
        match reader.next(&octets[at..]).unwrap() {
            Piece::Prefix(length) => at += length,
            Piece::Message(range) => {
                found.push(octets[at + range.start..at + range.end].to_vec());
                at += range.end;
            }
            Piece::Part(_) => break,
        }
    }
    assert_eq!(at, octets.len(), "the last message is whole");
    found
}

#[test]
fn an_originator_says_what_it_is_and_messages_stand_behind_their_lengths() {
    let (mut writers, poller, other, ends) = begin(false);
    writers.send_ike(ends, &[9; 28], &poller, TOKEN);
    // The last packet of a train may be shorter.
    let mut esp = train(256, 3, 100);
    esp.truncate(250);
    assert_eq!(writers.send_esp(ends, &esp, 100, &poller, TOKEN), 0);
    let found = messages(writers, &poller, other);
    assert_eq!(found[0], wire::esp::with_marker(&[9; 28]));
    assert_eq!(found[1..], [&esp[..100], &esp[100..200], &esp[200..]]);
}

#[test]
fn a_full_stream_loses_whole_packets_and_no_ike() {
    let (mut writers, poller, other, ends) = begin(false);
    let (mut sent, mut dropped) = (0, 0);
    while dropped == 0 {
        let esp = train(256 + sent, 40, 1400);
        dropped = writers.send_esp(ends, &esp, 1400, &poller, TOKEN);
        sent += 40;
        assert!(sent < 100_000, "a stream that nobody reads is full at last");
    }
    // What is asked for next may find room in the kernel again.
    let waits = writers.0[&ends].queue.len();
    assert!(waits + 1402 > MAX_ESP && waits <= MAX_ESP + 1402, "{waits}");
    writers.send_ike(ends, &[9; 28], &poller, TOKEN);
    let found = messages(writers, &poller, other);
    let (ike, esp) = found.split_last().unwrap();
    assert_eq!(*ike, wire::esp::with_marker(&[9; 28]));
    assert_eq!(esp.len() as u64, u64::from(sent) - dropped);
    for (place, packet) in esp.iter().enumerate() {
        assert_eq!(packet.len(), 1400);
        assert_eq!(packet[..4], (256 + place as u32).to_be_bytes());
    }
}

#[test]
fn a_connection_that_takes_no_more_ike_is_ended() {
    let (mut writers, poller, other, ends) = begin(true);
    let message = vec![7; 60_000];
    let ended = (0..1_000).any(|_| {
        writers.send_ike(ends, &message, &poller, TOKEN);
        writers.0[&ends].stream.has_ended()
    });
    assert!(ended && writers.0[&ends].queue.len() <= MAX_QUEUE + 60_006);
    assert_eq!(
        writers.send_esp(ends, &train(1, 3, 50), 50, &poller, TOKEN),
        3
    );
    drop(other);
}

#[test]
fn where_there_is_no_connection_everything_is_dropped_and_counted() {
    let (mut writers, poller, other, ends) = begin(true);
    // Another connection of the same ends has come in its place.
    writers.remove(ends, 7, &poller);
    assert_eq!(
        writers.send_esp(ends, &train(1, 3, 50), 50, &poller, TOKEN),
        0
    );
    writers.remove(ends, 1, &poller);
    assert_eq!(
        writers.send_esp(ends, &train(1, 3, 50), 50, &poller, TOKEN),
        3
    );
    writers.send_ike(ends, &[7; 28], &poller, TOKEN);
    drop(other);
}
