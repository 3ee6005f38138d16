//! The echo service (RFC 862): the far end of the probe.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::thread::{self, JoinHandle};

/// Returns every datagram that arrives at `at` to its sender.
///
/// # Errors
/// When the address cannot be had.
pub(crate) fn datagrams(at: SocketAddr) -> io::Result<JoinHandle<()>> {
    let socket = UdpSocket::bind(at)?;
    Ok(thread::spawn(move || {
        let mut buffer = [0; 2048];
        loop {
            // An error here is an ICMP answer to an earlier datagram: its sender has gone.
            if let Ok((size, peer)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(&buffer[..size], peer);
            }
        }
    }))
}

/// Returns every byte of one connection.
///
/// # Errors
/// When the stream fails.
pub(crate) fn stream(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 16 * 1024];
    loop {
        let size = stream.read(&mut buffer)?;
        if size == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..size])?;
    }
}
