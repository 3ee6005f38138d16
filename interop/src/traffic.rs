//! Traffic through a tunnel: pings and TCP, in the foreground or while something else happens.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::program::spawn;
use crate::space::Space;

/// Pings that run beside us.
pub(crate) struct Pings {
    child: Child,
    count: u32,
}

/// What came of pings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Answered {
    pub(crate) sent: u32,
    pub(crate) received: u32,
    /// Mean round trip in milliseconds.
    pub(crate) mean_ms: f64,
}

impl Pings {
    /// Starts `count` pings, one each `interval` milliseconds, from one address to another.
    pub(crate) fn start(
        space: &Space,
        from: &str,
        to: &str,
        count: u32,
        interval: u32,
    ) -> Result<Self, String> {
        let mut command = Command::new("ping");
        let interval = f64::from(interval) / 1e3;
        command
            .args([
                "-n",
                "-q",
                "-W",
                "2",
                "-c",
                &count.to_string(),
                "-i",
                &interval.to_string(),
            ])
            .args(["-I", from, to])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let child = spawn(&mut command, space.name(), &[])?;
        Ok(Pings { child, count })
    }

    /// Waits for the last one.
    pub(crate) fn finish(mut self) -> Result<Answered, String> {
        let mut said = String::new();
        if let Some(output) = &mut self.child.stdout {
            output
                .read_to_string(&mut said)
                .map_err(|why| format!("ping: {why}"))?;
        }
        let received = said
            .split(", ")
            .find_map(|part| part.strip_suffix(" received")?.parse().ok())
            .ok_or_else(|| format!("ping says: {said}"))?;
        let times = said
            .split(" = ")
            .nth(1)
            .and_then(|times| times.split('/').nth(1));
        let mean_ms = times.and_then(|mean| mean.parse().ok()).unwrap_or(f64::NAN);
        Ok(Answered {
            sent: self.count,
            received,
            mean_ms,
        })
    }
}

impl Drop for Pings {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A few pings that must all be answered.
pub(crate) fn ping(space: &Space, from: &str, to: &str) -> Result<String, String> {
    // For the last answer ping waits as long as between two, or twice as long as any took.
    let done = Pings::start(space, from, to, 5, 50)?.finish()?;
    match done.received == done.sent {
        true => Ok(format!(
            "{}/{}, {:.2} ms",
            done.received, done.sent, done.mean_ms
        )),
        false => Err(format!(
            "{from} to {to}: {} of {} pings",
            done.received, done.sent
        )),
    }
}

/// Sends `length` bytes to an echoing server of another namespace over TCP and compares.
pub(crate) fn echo_tcp(
    client: &Space,
    server: &Space,
    address: IpAddr,
    length: usize,
) -> Result<(), String> {
    let listen = || -> std::io::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind((address, 0))?;
        let at = listener.local_addr()?;
        Ok((listener, at))
    };
    let listening = server.run(listen)?;
    let (listener, at) = listening.map_err(|why| format!("listen on {address}: {why}"))?;
    let serve = thread::spawn(move || -> std::io::Result<()> {
        let (stream, _) = listener.accept()?;
        echo(stream)
    });
    exchange(client, at, length)?;
    let _ = serve.join();
    Ok(())
}

/// Sends `length` bytes to an echoing server over TCP and compares.
pub(crate) fn exchange(client: &Space, at: SocketAddr, length: usize) -> Result<(), String> {
    client.run(|| exchange_here(at, length))?
}

/// The same, where this process is.
pub(crate) fn exchange_here(at: SocketAddr, length: usize) -> Result<(), String> {
    let exchange = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(10))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let data: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let (mut out, sent) = (stream.try_clone()?, data.clone());
        let writer = thread::spawn(move || -> std::io::Result<()> {
            out.write_all(&sent)?;
            out.shutdown(std::net::Shutdown::Write)
        });
        let mut back = Vec::new();
        stream.read_to_end(&mut back)?;
        let written = writer.join().is_ok_and(|done| done.is_ok());
        Ok(written && back == data)
    };
    match exchange() {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("the {length} bytes from {at} came back otherwise")),
        Err(why) => Err(format!("TCP with {at}: {why}")),
    }
}

/// Sends back what comes by TCP to a port, for ever.
pub(crate) fn serve_echo(port: u16) -> Result<(), String> {
    // Both families.
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
        .map_err(|why| format!("port {port}: {why}"))?;
    for stream in listener.incoming().flatten() {
        thread::spawn(move || echo(stream));
    }
    Ok(())
}

fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    std::io::copy(&mut stream, &mut out)?;
    out.shutdown(std::net::Shutdown::Write)
}
