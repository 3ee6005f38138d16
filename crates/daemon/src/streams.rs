//! The TCP connections of IKE: who may have one, for how long, and how they are opened (RFC 9329
//! section 6.1).
//!
//! Whoever connects costs a descriptor and a line in a table, and nothing that grows. A connection
//! in which nobody has proved anything ends soon, and the oldest of these gives way when there are
//! many: what a handshake needs is less than a second.

mod table;

use crate::plane::{Ends, Stream};
use ike::IkeSaId;
use linux::Error;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use table::Table;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;

/// Connections that have been accepted and wait for the control thread; more wait in the kernel.
const MAX_WAITING: usize = 16;
/// Connections that wait in the kernel.
const BACKLOG: i32 = 128;
/// How long an attempt to connect may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long nobody accepts after an error: the host has no descriptors left.
const PAUSE: Duration = Duration::from_millis(100);
/// How long sent octets may stay unacknowledged until a connection counts as lost.
const USER_TIMEOUT: Duration = Duration::from_secs(20);
/// After this much silence the kernel asks whether the other end is there, and so often: NATs and
/// firewalls forget connections that say nothing. It says nothing about the peer's IKE (RFC 9329
/// section 6.6).
const KEEPALIVE: Duration = Duration::from_secs(30);
const PROBES: u32 = 3;

/// What a task of its own tells the loop.
pub(crate) enum News {
    /// Somebody has connected.
    Accepted(TcpStream),
    /// An attempt to connect has come to an end.
    Opened {
        /// Who wanted it.
        ike: IkeSaId,
        /// Where to.
        remote: SocketAddr,
        /// The connection, or why there is none.
        outcome: io::Result<TcpStream>,
    },
}

/// All connections.
pub(crate) struct Streams {
    mark: u32,
    table: Table,
    /// IKE SAs for which an attempt is under way.
    opening: BTreeSet<IkeSaId>,
    told: mpsc::Sender<News>,
    number: u64,
    refused: u64,
}

impl Streams {
    /// Listens on a port, if there is one; what is sent carries `mark`.
    ///
    /// # Errors
    /// A sentence, when the port is in use.
    pub(crate) fn open(
        listen: Option<u16>,
        mark: u32,
    ) -> Result<(Self, mpsc::Receiver<News>), Error> {
        let (told, news) = mpsc::channel(MAX_WAITING);
        for listener in listen
            .map(|port| listeners(port, mark))
            .transpose()?
            .unwrap_or_default()
        {
            tokio::spawn(accept(listener, told.clone()));
        }
        let streams = Self {
            mark,
            table: Table::default(),
            opening: BTreeSet::new(),
            told,
            number: 0,
            refused: 0,
        };
        Ok((streams, news))
    }

    /// Takes a connection that came in, from an address that a peer may have. `Some` is to be
    /// read from; the list is of those that give way to it.
    pub(crate) fn accepted(
        &mut self,
        socket: TcpStream,
        is_peer: impl FnOnce(IpAddr) -> bool,
        now: Instant,
    ) -> (Option<Arc<Stream>>, Vec<Arc<Stream>>) {
        let Some(ends) = ends(&socket).filter(|ends| is_peer(ends.remote.ip())) else {
            self.refused += 1;
            return (None, Vec::new());
        };
        let Some(outdated) = self.table.make_room(ends) else {
            self.refused += 1;
            return (None, Vec::new());
        };
        (self.enter(socket, ends, true, now), outdated)
    }

    /// Takes a connection that we opened; whatever had the same ends is no more.
    pub(crate) fn opened(
        &mut self,
        ike: IkeSaId,
        socket: TcpStream,
        now: Instant,
    ) -> (Option<Arc<Stream>>, Option<Arc<Stream>>) {
        self.opening.remove(&ike);
        let Some(ends) = ends(&socket) else {
            return (None, None);
        };
        let outdated = self.table.of(ends);
        (self.enter(socket, ends, false, now), outdated)
    }

    fn enter(
        &mut self,
        socket: TcpStream,
        ends: Ends,
        accepted: bool,
        now: Instant,
    ) -> Option<Arc<Stream>> {
        tune(&SockRef::from(&socket)).ok()?;
        self.number += 1;
        let stream = Arc::new(Stream::new(socket, ends, self.number, accepted));
        self.table.enter(Arc::clone(&stream), now);
        Some(stream)
    }

    /// Begins to open a connection, unless an attempt for the same IKE SA is under way.
    pub(crate) fn begin(&mut self, ike: IkeSaId, local: IpAddr, remote: SocketAddr) {
        if self.opening.insert(ike) {
            let (told, mark) = (self.told.clone(), self.mark);
            tokio::spawn(async move {
                let late = || io::Error::from(io::ErrorKind::TimedOut);
                let attempt = tokio::time::timeout(PATIENCE, connect(local, remote, mark));
                let outcome = attempt.await.unwrap_or_else(|_| Err(late()));
                let news = News::Opened {
                    ike,
                    remote,
                    outcome,
                };
                let _ = told.send(news).await;
            });
        }
    }

    /// An attempt has failed.
    pub(crate) fn failed(&mut self, ike: IkeSaId) {
        self.opening.remove(&ike);
    }

    /// The ends of one, if it came in.
    pub(crate) fn accepted_ends(&self, number: u64) -> Option<Ends> {
        let stream = self.table.get(number)?;
        stream.accepted.then_some(stream.ends)
    }

    /// Forgets one. It is shut down; its other end learns of that at once.
    pub(crate) fn close(&mut self, number: u64) -> Option<Arc<Stream>> {
        let stream = self.table.remove(number)?;
        stream.end();
        let _ = stream.socket.shutdown(std::net::Shutdown::Both);
        Some(stream)
    }

    /// Those that have ended, or that nobody has used for too long. `is_used` says whether an IKE
    /// SA goes in one.
    pub(crate) fn outdated(
        &mut self,
        is_used: impl Fn(SocketAddr, SocketAddr) -> bool,
        now: Instant,
    ) -> Vec<u64> {
        self.table
            .outdated(|ends| is_used(ends.local, ends.remote), now)
    }

    /// Those whose local address leaves this host: nothing of them may be heard from here again.
    pub(crate) fn leaving(&self, gone: impl Fn(IpAddr) -> bool) -> Vec<u64> {
        let leaves = |stream: &&Arc<Stream>| gone(stream.ends.local.ip());
        let leaving = self.table.all().filter(leaves);
        leaving
            .map(|stream| {
                let _ = SockRef::from(&stream.socket).set_linger(Some(Duration::ZERO));
                stream.number
            })
            .collect()
    }

    /// How many were refused, or gave way before anybody had proved anything in them.
    pub(crate) fn refused(&self) -> u64 {
        self.refused + self.table.displaced()
    }
}

/// One for each family that the host has.
fn listeners(port: u16, mark: u32) -> Result<Vec<TcpListener>, Error> {
    let wildcards: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let mut listeners = Vec::new();
    for address in wildcards {
        match listener(SocketAddr::new(address, port), mark) {
            Ok(listener) => listeners.push(listener),
            // A host without IPv6.
            Err(_) if address.is_ipv6() && !listeners.is_empty() => {}
            Err(why) => {
                let what = "listen for IKE in TCP, which `node.tcp_listen` asks for";
                let why = format!("port {port}: {why}");
                return Err(Error::other(what, why));
            }
        }
    }
    Ok(listeners)
}

/// What it accepts inherits the mark.
fn listener(address: SocketAddr, mark: u32) -> io::Result<TcpListener> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_mark(mark)?;
    // A daemon that starts again must not wait for its old connections.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn accept(listener: TcpListener, told: mpsc::Sender<News>) {
    loop {
        match listener
            .accept()
            .await
            .and_then(|(socket, _)| socket.into_std())
        {
            Ok(socket) => {
                if told.send(News::Accepted(socket)).await.is_err() {
                    return;
                }
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn connect(local: IpAddr, remote: SocketAddr, mark: u32) -> io::Result<TcpStream> {
    let socket = match remote {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    SockRef::from(&socket).set_mark(mark)?;
    socket.bind(SocketAddr::new(local, 0))?;
    socket.connect(remote).await?.into_std()
}

fn tune(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE)
        .with_retries(PROBES);
    socket.set_tcp_keepalive(&keepalive)
}

fn ends(socket: &TcpStream) -> Option<Ends> {
    Some(Ends {
        local: socket.local_addr().ok()?,
        remote: socket.peer_addr().ok()?,
    })
}
