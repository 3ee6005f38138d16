//! The sockets of the cluster's heartbeats, which go around the data plane.

use crate::watch::watch;
use linux::udp::{SocketOptions, UdpSocket};
use linux::{Error, Family, RecvBatch};
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

/// Heartbeats received at once.
const SLOTS: usize = 8;
/// Heartbeats that may wait; more are older than they are worth.
const MAX_WAITING: usize = 256;

/// A heartbeat that came in.
pub(crate) struct Heartbeat {
    pub(crate) from: SocketAddr,
    pub(crate) to: IpAddr,
    pub(crate) bytes: Vec<u8>,
}

/// One socket for each family.
pub(crate) struct Heartbeats {
    sockets: Vec<std::sync::Arc<AsyncFd<UdpSocket>>>,
}

impl Heartbeats {
    /// Opens the sockets on `port` and begins to receive.
    ///
    /// # Errors
    /// A sentence, when the port is in use.
    pub(crate) fn open(
        port: u16,
        families: &[Family],
        mark: u32,
    ) -> Result<(Self, mpsc::Receiver<Heartbeat>), Error> {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let options = SocketOptions {
            mark: Some(mark),
            gro: false,
            ..SocketOptions::default()
        };
        let mut sockets = Vec::new();
        for family in families {
            let socket = UdpSocket::bind(*family, port, &options)?;
            let socket = watch(socket)
                .map_err(|why| Error::other("wait for heartbeats", why.to_string()))?;
            let socket = std::sync::Arc::new(socket);
            tokio::spawn(receive(std::sync::Arc::clone(&socket), sender.clone()));
            sockets.push(socket);
        }
        Ok((Self { sockets }, receiver))
    }

    /// Sends one; the kernel chooses the path by the destination. A lost one is not repeated:
    /// the next follows soon.
    pub(crate) fn send(&self, to: SocketAddr, bytes: &[u8]) {
        let family = Family::of(to.ip());
        let socket = self
            .sockets
            .iter()
            .find(|socket| socket.get_ref().family() == family);
        if let Some(socket) = socket {
            let _ = socket.get_ref().send_to(None, to, bytes);
        }
    }
}

async fn receive(
    socket: std::sync::Arc<AsyncFd<UdpSocket>>,
    sender: mpsc::Sender<Heartbeat>,
) -> io::Result<()> {
    let mut batch = RecvBatch::new(SLOTS);
    loop {
        let mut ready = socket.readable().await?;
        let received = ready.try_io(|socket| socket.get_ref().receive(&mut batch));
        // An error that belongs to an earlier send has nothing to do with receiving.
        let Ok(Ok(_)) = received else { continue };
        for datagram in batch.iter() {
            let heartbeat = Heartbeat {
                from: datagram.remote,
                to: datagram.local,
                bytes: datagram.bytes.to_vec(),
            };
            let _ = sender.try_send(heartbeat);
        }
    }
}
