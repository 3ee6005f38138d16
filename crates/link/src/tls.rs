//! How TLS is spoken here: 1.3 only, both sides proven, nothing remembered between connections.

use crate::error::Error;
use crate::pki::Identity;
use crate::provider::provider;
use rustls::client::Resumption;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ServerConfig};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What is spoken inside (RFC 7301); another version of it gets another name.
pub(crate) const PROTOCOL: &[u8] = b"holdfast-link/1";

/// A connection on which both sides are proven.
pub(crate) type Stream = tokio_rustls::TlsStream<TcpStream>;

/// Both roles of a node.
pub(crate) struct Tls {
    pub(crate) connector: TlsConnector,
    pub(crate) acceptor: TlsAcceptor,
}

impl Tls {
    /// Both roles with this identity. No tickets, no early data, no key log: these are the
    /// library's defaults or set here.
    ///
    /// # Errors
    /// [`Error::Tls`].
    pub(crate) fn new(identity: &Identity) -> Result<Self, Error> {
        let provider = Arc::new(provider());
        let own = SingleCertAndKey::from((*identity.certified).clone());
        let own = Arc::new(own);
        let versions = &[&rustls::version::TLS13];
        let failed = |why: rustls::Error| Error::Tls(why.to_string());

        let mut client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .map_err(failed)?
            .with_root_certificates(identity.roots.clone())
            .with_client_cert_resolver(own.clone());
        client.resumption = Resumption::disabled();
        client.enable_sni = false;
        client.alpn_protocols = vec![PROTOCOL.to_vec()];

        let roots = identity.roots.clone();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
            .build()
            .map_err(|why| Error::Tls(why.to_string()))?;
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(failed)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(own);
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        server.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Self {
            connector: TlsConnector::from(Arc::new(client)),
            acceptor: TlsAcceptor::from(Arc::new(server)),
        })
    }
}
