//! The services that run inside the lab's namespaces, each a process of this program.

mod echo;
mod imap;
mod line;
pub(crate) mod mailbox;
mod pop3;
mod relay;
mod tcp;

use std::io::{BufReader, BufWriter};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::addresses::{ECHO, IMAP, POP3};
use crate::error::{Error, kernel};

/// The hidden verb under which the program must call [`run`] with the arguments that follow.
pub const VERB: &str = "lab-service";

/// How long a mail client may be silent.
const SILENCE: Duration = Duration::from_secs(300);

const USAGE: &str = "usage: lab-service mail ADDRESS... | relay ADDRESS TARGET | \
    echo ADDRESS...; each ADDRESS is an IP address to listen on";

/// Runs one service until it is killed.
///
/// * `mail ADDRESS...`: POP3 on port 110 and IMAP on 143 of each address;
/// * `relay ADDRESS TARGET`: passes connections to those ports on to `TARGET`;
/// * `echo ADDRESS...`: returns UDP datagrams and TCP bytes on port 7 (RFC 862).
///
/// # Errors
/// When the arguments do not fit or a port cannot be had.
pub fn run(args: &[String]) -> Result<(), Error> {
    let (what, addresses) = args
        .split_first()
        .ok_or_else(|| Error::Usage(USAGE.into()))?;
    let addresses: Vec<IpAddr> = addresses
        .iter()
        .map(|a| {
            a.parse()
                .map_err(|_| Error::Usage(format!("{a} is no IP address; {USAGE}")))
        })
        .collect::<Result<_, _>>()?;
    match (what.as_str(), addresses.as_slice()) {
        ("mail", all @ [_, ..]) => mail(all),
        ("relay", &[own, target]) => relay_ports(own, target),
        ("echo", all @ [_, ..]) => echo_ports(all),
        _ => Err(Error::Usage(USAGE.into())),
    }
}

fn mail(addresses: &[IpAddr]) -> Result<(), Error> {
    let mut listeners = Vec::new();
    for &address in addresses {
        listeners.push(tcp::listen(SocketAddr::new(address, POP3), |stream| {
            stream.set_read_timeout(Some(SILENCE))?;
            let mut from = BufReader::new(stream.try_clone()?);
            pop3::serve(&mut from, &mut BufWriter::new(stream))
        })?);
        listeners.push(tcp::listen(SocketAddr::new(address, IMAP), |stream| {
            stream.set_read_timeout(Some(SILENCE))?;
            let mut from = BufReader::new(stream.try_clone()?);
            imap::serve(&mut from, &mut BufWriter::new(stream))
        })?);
    }
    wait(listeners)
}

fn relay_ports(own: IpAddr, target: IpAddr) -> Result<(), Error> {
    let mut listeners = Vec::new();
    for port in [POP3, IMAP] {
        let target = SocketAddr::new(target, port);
        let passed = move |stream| relay::relay(stream, target);
        listeners.push(tcp::listen(SocketAddr::new(own, port), passed)?);
    }
    wait(listeners)
}

fn echo_ports(addresses: &[IpAddr]) -> Result<(), Error> {
    let mut listeners = Vec::new();
    for &address in addresses {
        let at = SocketAddr::new(address, ECHO);
        listeners.push(tcp::listen(at, echo::stream)?);
        listeners.push(echo::datagrams(at).map_err(kernel(format!("listen on UDP {at}")))?);
    }
    wait(listeners)
}

/// Waits for the listeners, which never end.
fn wait(listeners: Vec<std::thread::JoinHandle<()>>) -> Result<(), Error> {
    for listener in listeners {
        let _ = listener.join();
    }
    Ok(())
}
