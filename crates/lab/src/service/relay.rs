//! The built-in relay of the front end: a TCP proxy to the virtual address, in Dovecot's place.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// How long one attempt to connect may take: shorter than TCP's first retransmission (1 s), so
/// that a SYN lost while the address moves does not cost a second.
const ATTEMPT: Duration = Duration::from_millis(200);
/// How long a client is kept waiting for the back end in all.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause between attempts that failed at once.
const PAUSE: Duration = Duration::from_millis(20);

/// Connects `client` to `target` and copies both ways until one side ends.
///
/// # Errors
/// When the back end cannot be reached within a few seconds.
pub(crate) fn relay(client: TcpStream, target: SocketAddr) -> io::Result<()> {
    let server = connect(target)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (client_in, server_out) = (client.try_clone()?, server.try_clone()?);
    let up = thread::spawn(move || copy(client_in, server_out));
    copy(server, client);
    let _ = up.join();
    Ok(())
}

/// Connects, trying again while there is patience: nothing has been sent yet, so this is safe.
fn connect(target: SocketAddr) -> io::Result<TcpStream> {
    let start = Instant::now();
    loop {
        match TcpStream::connect_timeout(&target, ATTEMPT) {
            Ok(stream) => return Ok(stream),
            Err(error) if start.elapsed() > PATIENCE => return Err(error),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// Copies until the end, then passes the end on; a failure ends both directions.
fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Ok(n) if to.write_all(&buffer[..n]).is_ok() => {}
            _ => {
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}
