//! A wire to one member that can swallow its answers, as a machine that dies without a word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Proxy {
    pub(crate) port: u16,
    silent: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) async fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let silent = Arc::new(AtomicBool::new(false));
        let swallow = Arc::clone(&silent);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else {
                    continue;
                };
                let (client_read, client_write) = client.into_split();
                let (server_read, server_write) = server.into_split();
                tokio::spawn(pump(client_read, server_write, Arc::default()));
                tokio::spawn(pump(server_read, client_write, Arc::clone(&swallow)));
            }
        });
        Self { port, silent }
    }

    /// From now on requests pass and answers do not, or both do.
    pub(crate) fn silence(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }
}

async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    silent: Arc<AtomicBool>,
) {
    let mut buffer = vec![0; 65536];
    // A connection that has lost octets never speaks again.
    let mut broken = false;
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        broken |= silent.load(Ordering::Relaxed);
        if !broken && to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
