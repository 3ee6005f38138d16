//! Streams that are cut anywhere, and streams that are none.

use proptest::prelude::*;

use crate::esp::{
    BadStream, Piece, STREAM_MESSAGE, STREAM_PREFIX, StreamReader, UdpEncap, classify,
    stream_length, with_marker,
};

/// What a reader makes of a stream that comes in parts of these sizes, in turn.
fn read(stream: &[u8], sizes: &[usize]) -> Result<Vec<Vec<u8>>, BadStream> {
    let (mut reader, mut messages) = (StreamReader::accepted(), Vec::new());
    let (mut here, mut rest) = (Vec::new(), stream);
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let size = (*sizes.next().unwrap()).clamp(1, rest.len());
        here.extend_from_slice(&rest[..size]);
        rest = &rest[size..];
        loop {
            let used = match reader.next(&here)? {
                Piece::Prefix(length) => length,
                Piece::Message(range) => {
                    messages.push(here[range.clone()].to_vec());
                    range.end
                }
                Piece::Part(needed) => {
                    assert!(needed > here.len() && needed <= STREAM_MESSAGE + 2);
                    break;
                }
            };
            here.drain(..used);
        }
    }
    Ok(messages)
}

fn written(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = STREAM_PREFIX.to_vec();
    for message in messages {
        stream.extend_from_slice(&stream_length(message.len()).unwrap());
        stream.extend_from_slice(message);
    }
    stream
}

proptest! {
    #[test]
    fn a_stream_is_read_as_it_was_written_wherever_it_is_cut(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..12),
        sizes in prop::collection::vec(1_usize..400, 1..8),
    ) {
        prop_assert_eq!(read(&written(&messages), &sizes), Ok(messages));
    }

    #[test]
    fn octets_that_are_no_stream_come_out_the_same_however_they_are_cut(
        octets in prop::collection::vec(any::<u8>(), 0..400),
        after_prefix in any::<bool>(),
        sizes in prop::collection::vec(1_usize..50, 1..8),
    ) {
        let stream = match after_prefix {
            true => [&STREAM_PREFIX[..], &octets].concat(),
            false => octets,
        };
        prop_assert_eq!(read(&stream, &sizes), read(&stream, &[stream.len().max(1)]));
    }
}

#[test]
fn lengths_that_are_shorter_than_themselves_end_a_stream() {
    let read = |tail: &[u8]| read(&[&STREAM_PREFIX[..], tail].concat(), &[1]);
    assert_eq!(read(&[0, 0]), Err(BadStream::Length));
    assert_eq!(read(&[0, 1, 7]), Err(BadStream::Length));
    // An empty message has a length; it is neither IKE nor ESP.
    assert_eq!(read(&[0, 2]), Ok(vec![Vec::new()]));
    assert_eq!(classify(&[]), UdpEncap::Malformed);
}

#[test]
fn the_first_wrong_octet_of_the_prefix_is_enough() {
    let mut reader = StreamReader::accepted();
    assert_eq!(reader.next(b"IKE"), Ok(Piece::Part(6)));
    assert_eq!(reader.next(b"IKEX"), Err(BadStream::Prefix));
    assert_eq!(StreamReader::accepted().next(b"G"), Err(BadStream::Prefix));
    assert_eq!(StreamReader::accepted().next(b""), Ok(Piece::Part(6)));
    // Who opened the connection sends a prefix and gets none.
    let mut own = StreamReader::originated();
    assert_eq!(own.next(b"IKETCP"), Ok(Piece::Part(0x494b)));
}

#[test]
fn the_longest_message_fits_and_no_longer_one() {
    assert_eq!(stream_length(STREAM_MESSAGE), Some([0xff, 0xff]));
    assert_eq!(stream_length(STREAM_MESSAGE + 1), None);
    assert_eq!(stream_length(usize::MAX), None);
    assert_eq!(stream_length(0), Some([0, 2]));
    let messages = vec![vec![7; STREAM_MESSAGE], with_marker(&[9; 28])];
    let read = read(&written(&messages), &[1400]).unwrap();
    assert_eq!(read, messages);
    assert_eq!(classify(&read[1]), UdpEncap::Ike(&[9; 28]));
}
