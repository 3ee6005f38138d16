//! A program that knows nothing of IPsec: sends a datagram each millisecond, whatever happens.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::space::Space;

/// Sends until it is dropped; counts what comes back.
pub(crate) struct Sender {
    stop: Arc<AtomicBool>,
    tried: Arc<AtomicU64>,
    answered: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Sender {
    /// Sends from `client` to an echo service that it starts in `server` at `at`.
    pub(crate) fn start(client: &Space, server: &Space, at: SocketAddr) -> Result<Self, String> {
        let bind = |space: &Space, to: SocketAddr| -> Result<UdpSocket, String> {
            let open = || -> std::io::Result<UdpSocket> {
                let socket = UdpSocket::bind(to)?;
                socket.set_read_timeout(Some(Duration::from_millis(1)))?;
                Ok(socket)
            };
            space
                .run(open)?
                .map_err(|why| format!("UDP at {to}: {why}"))
        };
        let service = bind(server, at)?;
        let socket = bind(client, SocketAddr::new([0, 0, 0, 0].into(), 0))?;
        socket
            .set_nonblocking(true)
            .map_err(|why| why.to_string())?;
        let stop = Arc::new(AtomicBool::new(false));
        let (tried, answered) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let ends = Arc::clone(&stop);
        let echo = thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !ends.load(Ordering::Relaxed) {
                if let Ok((length, from)) = service.recv_from(&mut buffer) {
                    let _ = service.send_to(buffer.get(..length).unwrap_or_default(), from);
                }
            }
        });
        let (ends, tries, answers) = (Arc::clone(&stop), Arc::clone(&tried), Arc::clone(&answered));
        let client = thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !ends.load(Ordering::Relaxed) {
                // What the packet filter drops is an error here; the next one is sent all the same.
                let _ = socket.send_to(b"nobody but the two ends may read this", at);
                tries.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(1));
                while socket.recv_from(&mut buffer).is_ok() {
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Ok(Sender {
            stop,
            tried,
            answered,
            threads: vec![echo, client],
        })
    }

    /// How many were sent, or tried.
    pub(crate) fn tried(&self) -> u64 {
        self.tried.load(Ordering::Relaxed)
    }

    /// How many came back.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
