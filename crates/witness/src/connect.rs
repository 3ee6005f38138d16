//! From an endpoint to HTTP/2: a name, a socket, TLS.

use crate::connection::Connection;
use crate::endpoint::Endpoint;
use crate::failure::{CLOSED, broken, io_clause};
use crate::limits::{FIRST_WORD, HEADERS_MAX, UNACKNOWLEDGED};
use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// What moves a connection's octets; ends, with the reason as a clause, when the connection does.
pub(crate) type Driver = Pin<Box<dyn Future<Output = String> + Send>>;

/// How to reach one member.
#[derive(Clone)]
pub(crate) struct Route {
    /// Where it listens.
    pub(crate) endpoint: Arc<Endpoint>,
    /// Present exactly if the endpoint is `https`.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// `SO_MARK`.
    pub(crate) mark: Option<u32>,
}

impl Route {
    /// Connects; takes as long as the network does.
    ///
    /// # Errors
    /// Why not, as a clause that follows the endpoint's name.
    pub(crate) async fn connect(&self) -> Result<(Connection, Driver), String> {
        let stream = self.tcp().await?;
        let (sender, driver) = match &self.tls {
            None => http2(stream).await?,
            Some(config) => {
                let name = ServerName::try_from(self.endpoint.host.clone())
                    .map_err(|_| "has a name that no certificate can bear".to_owned())?;
                let stream = TlsConnector::from(Arc::clone(config))
                    .connect(name, stream)
                    .await
                    .map_err(|error| io_clause(&error))?;
                if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                    return Err("does not speak HTTP/2; is this etcd's client port?".to_owned());
                }
                http2(spoken(stream).await).await?
            }
        };
        Ok((Connection::new(Arc::clone(&self.endpoint), sender), driver))
    }

    async fn tcp(&self) -> Result<TcpStream, String> {
        let addresses = tokio::net::lookup_host((self.endpoint.host.as_str(), self.endpoint.port))
            .await
            .map_err(|error| format!("has a name that cannot be resolved ({error})"))?;
        let mut trouble = "has a name without an address".to_owned();
        // A name has few addresses; the time for all of them is bounded by the caller.
        for address in addresses {
            let socket = self.socket(address).map_err(|error| {
                format!("cannot be reached: no socket ({error}); a mark needs CAP_NET_ADMIN")
            })?;
            match socket.connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => trouble = io_clause(&error),
            }
        }
        Err(trouble)
    }

    fn socket(&self, address: SocketAddr) -> io::Result<TcpSocket> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
        // What a connection that was given up has not delivered is thrown away with it: the kernel
        // would deliver an old proposal when the network is mended.
        socket.set_linger(Some(Duration::ZERO))?;
        if let Some(mark) = self.mark {
            socket.set_mark(mark)?;
        }
        Ok(TcpSocket::from_std_stream(socket.into()))
    }
}

/// Lets the member speak first, as etcd does. In TLS 1.3 our side of the handshake is complete
/// before the member has looked at our certificate; if it refuses, and we have already sent more,
/// the kernel resets the connection and its reason is lost.
async fn spoken<S: AsyncRead + Unpin>(stream: S) -> BufReader<S> {
    let mut stream = BufReader::new(stream);
    // What fill_buf has met, an end or an error, it meets again when HTTP/2 reads.
    let _ = timeout(FIRST_WORD, stream.fill_buf()).await;
    stream
}

async fn http2<S>(stream: S) -> Result<(SendRequest<Bytes>, Driver), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = Builder::new()
        .enable_push(false)
        .max_header_list_size(HEADERS_MAX)
        .handshake(stream)
        .await
        .map_err(|error| broken(&error))?;
    let driver = async move {
        match connection.await {
            Ok(()) => CLOSED.to_owned(),
            Err(error) => broken(&error),
        }
    };
    Ok((sender, Box::pin(driver)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_bears_the_mark_and_does_not_wait() {
        let route = Route {
            endpoint: Arc::new(Endpoint::parse("http://127.0.0.1:1").unwrap()),
            tls: None,
            mark: Some(7),
        };
        match route.socket(([127, 0, 0, 1], 1).into()) {
            Ok(socket) => {
                assert!(socket.nodelay().unwrap());
                let linger = socket2::SockRef::from(&socket).linger().unwrap();
                assert_eq!(linger, Some(Duration::ZERO));
                assert_eq!(socket2::SockRef::from(&socket).mark().unwrap(), 7);
            }
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
                eprintln!("only root may mark a socket");
            }
        }
    }
}
