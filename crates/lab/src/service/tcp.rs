//! A TCP listener with one thread per connection and a bound on their number.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::{Error, kernel};

/// Connections served at a time; more are closed at once.
const CONNECTIONS: usize = 128;

/// Listens at `at` and calls `serve` in a thread of its own for each connection.
///
/// # Errors
/// When the address cannot be had.
pub(crate) fn listen(
    at: SocketAddr,
    serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> Result<JoinHandle<()>, Error> {
    let listener = TcpListener::bind(at).map_err(kernel(format!("listen on TCP {at}")))?;
    let serve = Arc::new(serve);
    let open = Arc::new(AtomicUsize::new(0));
    Ok(thread::spawn(move || {
        loop {
            let Ok((stream, _)) = listener.accept() else {
                thread::sleep(Duration::from_millis(10));
                continue;
            };
            if open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS {
                open.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let (serve, open) = (Arc::clone(&serve), Arc::clone(&open));
            thread::spawn(move || {
                // A peer that goes away is no news for a service.
                let _ = serve(stream);
                open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }))
}
