//! First messages of handshakes by the ten thousand a second, from addresses that answer nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use linux::udp::{SocketOptions, UdpSocket};
use linux::{Family, Message};

use crate::space::Space;

/// The port that the flood comes from: nobody reads what is answered there.
const PORT: u16 = 5_500;
/// Datagrams of one system call.
const BATCH: usize = 64;
/// A sender that falls behind catches up with no more than this at a time.
const SLACK: Duration = Duration::from_millis(10);
/// The addresses: 2^18 of them, those of [`crate::crowd::PEERS`].
const FIRST: u32 = 0x0a40_0000;
const ADDRESSES: u32 = 1 << 18;

/// Sends until it is ended.
pub(crate) struct Flood {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<u64, String>>,
    begun: Instant,
}

impl Flood {
    /// Sends `request` from `space` to the responder, `rate` times a second, each time from another
    /// address and with another SPI.
    pub(crate) fn start(
        space: &Space,
        responder: IpAddr,
        request: Vec<u8>,
        rate: u64,
    ) -> Result<Self, String> {
        let options = SocketOptions {
            buffer: 1 << 20,
            gro: false,
            ..SocketOptions::default()
        };
        let socket = space
            .run(|| UdpSocket::bind(Family::V4, PORT, &options))?
            .map_err(|why| why.to_string())?;
        let stop = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&stop);
        let to = SocketAddr::new(responder, 500);
        let thread = thread::spawn(move || send(&socket, to, &request, rate, &ends));
        Ok(Flood {
            stop,
            thread,
            begun: Instant::now(),
        })
    }

    /// Ends it; answers how many a second were sent.
    pub(crate) fn end(self) -> Result<f64, String> {
        let took = self.begun.elapsed();
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.thread.join().map_err(|_| "the flood failed")??;
        Ok(sent as f64 / took.as_secs_f64())
    }
}

fn send(
    socket: &UdpSocket,
    to: SocketAddr,
    request: &[u8],
    rate: u64,
    stop: &AtomicBool,
) -> Result<u64, String> {
    let mut datagrams: Vec<Vec<u8>> = vec![request.to_vec(); BATCH];
    let each = Duration::from_nanos(1_000_000_000 / rate.max(1));
    let (mut sent, mut number) = (0, 0_u64);
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        if next > now {
            thread::sleep(next - now);
            continue;
        }
        next = next.max(now.checked_sub(SLACK).unwrap_or(now)) + each * BATCH as u32;
        let mut messages = Vec::with_capacity(BATCH);
        for datagram in &mut datagrams {
            number += 1;
            // An odd factor visits every value once, and neighbours are in different subnets.
            let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            if let Some(spi) = datagram.get_mut(..8) {
                spi.copy_from_slice(&mixed.to_be_bytes());
            }
            let address = FIRST + (mixed >> 40) as u32 % ADDRESSES;
            messages.push(Message {
                local: Some(Ipv4Addr::from_bits(address).into()),
                remote: to,
                bytes: datagram,
                segment_size: None,
                traffic_class: 0,
            });
        }
        // What finds no room in the kernel was not sent, and is not counted.
        sent += socket.send_batch(&messages).unwrap_or(0) as u64;
    }
    Ok(sent)
}
