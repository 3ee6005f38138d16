//! Answers as responders give them, and as nobody should.

use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;

/// A server for one connection: it says these pieces, after it has read the request.
fn serve(pieces: Vec<Vec<u8>>, stays: bool) -> (Url, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = Url::parse(&format!("http://127.0.0.1:{port}/ocsp")).unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = vec![0; 4096];
        let mut length = 0;
        while !request[..length].ends_with(b"REQUEST") {
            length += stream.read(&mut request[length..]).unwrap();
        }
        for piece in pieces {
            // Who has heard enough may be gone.
            let _ = stream.write_all(&piece);
        }
        if stays {
            let _ = stream.read(&mut [0]);
        }
        request.truncate(length);
        request
    });
    (url, thread)
}

fn ask(pieces: &[&[u8]], stays: bool) -> (Result<Vec<u8>, String>, Vec<u8>) {
    let pieces = pieces.iter().map(|piece| piece.to_vec()).collect();
    let (url, server) = serve(pieces, stays);
    let until = Instant::now() + Duration::from_millis(400);
    let answer = post(&url, b"REQUEST", None, until);
    (answer, server.join().unwrap())
}

#[test]
fn answers_with_and_without_a_length_whole_and_in_pieces() {
    let good = Ok(b"answer".to_vec());
    let (answer, request) = ask(&[b"HTTP/1.0 200 OK\r\n\r\nanswer"], false);
    assert_eq!(answer, good);
    let request = String::from_utf8(request).unwrap();
    assert!(request.starts_with("POST /ocsp HTTP/1.0\r\nHost: 127.0.0.1:"));
    assert!(request.contains("\r\nContent-Length: 7\r\n"), "{request}");
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n";
    assert_eq!(ask(&[head, b"answer"], true).0, good);
    assert_eq!(
        ask(&[b"HTTP/1.1 20", b"0 OK\r\n\r\nans", b"wer"], false).0,
        good
    );
}

#[test]
fn what_is_no_answer() {
    let long = vec![b'x'; HEAD + BODY + 1];
    let lines = [b"HTTP/1.0 200 OK\r\nA: ".as_slice(), &long].concat();
    for (pieces, says) in [
        (
            &[b"HTTP/1.0 302 Found\r\nLocation: http://b/\r\n\r\n".as_slice()][..],
            "302",
        ),
        (&[b"HTTP/1.0 404 Not Found\r\n\r\n"], "answers 404"),
        (&[b"220 mail ready\r\n"], "not answer in HTTP"),
        (
            &[b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nans"],
            "ends before",
        ),
        (&[b"HTTP/1.0 200 OK\r\n"], "ends before"),
        (&[b""], "ends before"),
        (
            &[b"HTTP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n"],
            "how long",
        ),
        (
            &[b"HTTP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n"],
            "more than",
        ),
        (
            &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
            "chunks",
        ),
        (&[b"HTTP/1.0 200 OK\r\n\r\n", &long], "more than"),
        (&[&lines], "too long a head"),
    ] {
        let said = ask(pieces, false).0.unwrap_err();
        assert!(said.contains(says), "`{says}` is not in: {said}");
    }
}

#[test]
fn who_is_silent_or_slow_or_not_there() {
    let begun = Instant::now();
    let cut = b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nans".as_slice();
    for pieces in [&[][..], &[cut]] {
        let said = ask(pieces, true).0.unwrap_err();
        assert!(said.contains("in time"), "{said}");
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let url = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
    let said = post(&url, b"", None, begun + Duration::from_secs(10)).unwrap_err();
    assert!(said.contains("cannot be reached"), "{said}");
    let said = post(&url, b"", None, begun).unwrap_err();
    assert!(said.contains("in time"), "{said}");
}
