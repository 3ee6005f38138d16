//! Sockets as links want them: marked, without delay, quick to notice a peer that is gone.

use crate::error::Error;
use crate::settings::Timing;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 64;

/// Unanswered questions until a silent peer is given up, beside the user timeout.
const KEEPALIVE_PROBES: u32 = 2;

/// What every socket gets.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub(crate) mark: Option<u32>,
    pub(crate) user_timeout: Duration,
    pub(crate) keepalive: Duration,
}

impl Options {
    /// The options; tries whether the mark is allowed.
    ///
    /// # Errors
    /// [`Error::Mark`].
    pub(crate) fn new(mark: Option<u32>, timing: &Timing) -> Result<Self, Error> {
        let options = Self {
            mark,
            user_timeout: timing.user_timeout,
            keepalive: timing.keepalive.max(Duration::from_secs(1)),
        };
        if mark.is_some() {
            options.raw(Domain::IPV4).map_err(Error::Mark)?;
        }
        Ok(options)
    }

    fn raw(&self, domain: Domain) -> io::Result<Socket> {
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        if let Some(mark) = self.mark {
            socket.set_mark(mark)?;
        }
        Ok(socket)
    }

    fn tune(&self, socket: &SockRef<'_>) -> io::Result<()> {
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_user_timeout(Some(self.user_timeout))?;
        let keepalive = TcpKeepalive::new()
            .with_time(self.keepalive)
            .with_interval(self.keepalive)
            .with_retries(KEEPALIVE_PROBES);
        socket.set_tcp_keepalive(&keepalive)
    }

    /// Listens at the address. Accepted sockets inherit the mark.
    ///
    /// # Errors
    /// The system's answer.
    pub(crate) fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let socket = self.raw(Domain::for_address(address))?;
        // A node that starts again must not wait for its old connections.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    }

    /// Connects to the address, however long that takes.
    ///
    /// # Errors
    /// The system's answer.
    pub(crate) async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = self.raw(Domain::for_address(address))?;
        self.tune(&SockRef::from(&socket))?;
        TcpSocket::from_std_stream(socket.into())
            .connect(address)
            .await
    }

    /// Sets what an accepted socket does not inherit.
    ///
    /// # Errors
    /// The system's answer.
    pub(crate) fn accepted(&self, stream: &TcpStream) -> io::Result<()> {
        self.tune(&SockRef::from(stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_ends_of_a_connection_are_tuned() {
        let timing = Timing {
            user_timeout: Duration::from_millis(1500),
            keepalive: Duration::from_millis(10),
            ..Timing::default()
        };
        let plain = Options::new(None, &timing).unwrap();
        // Whoever may not mark sockets is told so, and nothing starts.
        let options = match Options::new(Some(77), &timing) {
            Ok(options) => options,
            Err(Error::Mark(source)) => {
                assert_eq!(source.kind(), io::ErrorKind::PermissionDenied);
                plain
            }
            Err(other) => panic!("{other}"),
        };
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = options.listen(address.parse().unwrap()).unwrap();
            let connected = options.connect(listener.local_addr().unwrap()).await;
            let connected = connected.unwrap();
            let (accepted, _) = listener.accept().await.unwrap();
            options.accepted(&accepted).unwrap();
            for stream in [&connected, &accepted] {
                let socket = SockRef::from(stream);
                assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
                assert_eq!(
                    socket.tcp_user_timeout().unwrap(),
                    Some(timing.user_timeout)
                );
                assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(1));
                assert_eq!(socket.mark().unwrap(), options.mark.unwrap_or(0));
            }
        }
    }
}
