//! From an endpoint to HTTP/2: a name, a socket, TLS.

use crate::connection::Connection;
use crate::endpoint::Endpoint;
use crate::failure::{broken, io_clause};
use crate::limits::{HEADERS_MAX, RECONNECT};
use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
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
                http2(stream).await?
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
        // The kernel gives up on what is not acknowledged soon after we have.
        socket.set_tcp_user_timeout(Some(RECONNECT.1 * 10))?;
        if let Some(mark) = self.mark {
            socket.set_mark(mark)?;
        }
        Ok(TcpSocket::from_std_stream(socket.into()))
    }
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
            Ok(()) => "has closed the connection; it may be stopping".to_owned(),
            Err(error) => broken(&error),
        }
    };
    Ok((sender, Box::pin(driver)))
}
