//! TLS 1.3 with a client certificate, from PEM files.

use crate::error::Error;
use crate::settings::Tls;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// Reads the files. Only the given authorities are trusted, and only `ring` computes.
///
/// # Errors
/// Which file cannot be used, and why.
pub(crate) fn client(tls: &Tls) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&tls.ca)? {
        roots
            .add(certificate)
            .map_err(|error| file(&tls.ca, error.to_string()))?;
    }
    let chain = certificates(&tls.certificate)?;
    let key =
        PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| pem(&tls.key, "key", error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| file(&tls.ca, error.to_string()))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|error| {
            let why = format!("{error}; it must belong to the key {}", tls.key.display());
            file(&tls.certificate, why)
        })?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| pem(path, "certificate", error))?;
    match found.is_empty() {
        true => Err(pem(path, "certificate", PemError::NoItemsFound)),
        false => Ok(found),
    }
}

fn pem(path: &Path, wanted: &str, error: PemError) -> Error {
    let why = match error {
        PemError::NoItemsFound => format!("it has no {wanted} in PEM format"),
        PemError::Io(error) => error.to_string(),
        error => format!("{error}; it should have a {wanted} in PEM format"),
    };
    file(path, why)
}

fn file(path: &Path, why: String) -> Error {
    Error::File {
        path: path.to_owned(),
        why,
    }
}
