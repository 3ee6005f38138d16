//! A node's certificate, its key and its authority, parsed and checked together.

use crate::pki::error::{Error, Fault};
use crate::pki::names;
use crate::provider::provider;
use ::pki::files::Text;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// What the first line of a node's file says before its name: for people, and as a claim that the
/// certificate has to prove.
const CLAIM: &str = "holdfast node ";

/// The line that says whose file it is.
pub(crate) fn claim(name: &str) -> String {
    format!("{CLAIM}{name}\n")
}

/// The name that the first line claims.
///
/// # Errors
/// [`Fault::NotPem`] without such a line, [`Error::BadName`].
pub(crate) fn claimed(text: &Text) -> Result<String, Error> {
    let line = text.bytes.split(|byte| *byte == b'\n').next();
    let name = line
        .and_then(|line| std::str::from_utf8(line).ok())
        .and_then(|line| line.trim_end().strip_prefix(CLAIM))
        .ok_or_else(|| not_pem(text, "node's name"))?;
    names::check(name)?;
    Ok(name.to_owned())
}

fn faulty(path: &Path, fault: Fault) -> Error {
    let path = path.to_owned();
    Error::Certificate { path, fault }
}

pub(crate) fn not_pem(text: &Text, what: &'static str) -> Error {
    faulty(&text.path, Fault::NotPem(what))
}

/// Cuts a text into its PEM blocks, as they stand.
///
/// # Errors
/// [`Fault::NotPem`] unless there are exactly as many as asked for.
pub(crate) fn blocks<const COUNT: usize>(text: &Text) -> Result<[&str; COUNT], Error> {
    let whole = std::str::from_utf8(&text.bytes).unwrap_or_default();
    let mut found = Vec::with_capacity(COUNT);
    let mut rest = whole;
    while let Some(start) = rest.find("-----BEGIN ") {
        let block = &rest[start..];
        let end = block
            .find("-----END ")
            .and_then(|end| block[end..].find('\n').map(|line| end + line + 1));
        let Some((block, after)) = end.and_then(|end| block.split_at_checked(end)) else {
            break;
        };
        found.push(block);
        rest = after;
    }
    let what = "node's certificate, key and authority's certificate";
    let what = if COUNT == 1 { "single block" } else { what };
    found.try_into().map_err(|_| not_pem(text, what))
}

/// The certificate in a block of the text.
///
/// # Errors
/// [`Fault::NotPem`] when it holds none.
pub(crate) fn certificate(text: &Text, block: &str) -> Result<CertificateDer<'static>, Error> {
    CertificateDer::from_pem_slice(block.as_bytes()).map_err(|_| not_pem(text, "certificate"))
}

/// The private key in a block of the text.
///
/// # Errors
/// [`Fault::NotPem`] when it holds none.
pub(crate) fn private_key(
    text: &Text,
    block: &str,
) -> Result<Zeroizing<PrivateKeyDer<'static>>, Error> {
    let key = PrivateKeyDer::from_pem_slice(block.as_bytes());
    key.map(Zeroizing::new)
        .map_err(|_| not_pem(text, "private key"))
}

/// Checks that the authority made the certificate, for this name and this time, and that the
/// key is the certificate's. Answers with both, ready for TLS, and with the end of validity in
/// seconds since 1970.
///
/// # Errors
/// The first that does not hold.
pub(crate) fn check(
    path: &Path,
    name: &str,
    certificate: CertificateDer<'static>,
    key: &PrivateKeyDer<'static>,
    authority: &CertificateDer<'static>,
    now: SystemTime,
) -> Result<(CertifiedKey, u64), Error> {
    verify(path, &certificate, authority, seconds(now))?;
    let parsed = ParsedCertificate::try_from(&certificate).map_err(|why| unusable(path, &why))?;
    let server_name = names::server_name(name)?;
    verify_server_name(&parsed, &server_name).map_err(|_| {
        let expected = name.to_owned();
        let found = None;
        faulty(path, Fault::WrongName { expected, found })
    })?;
    let until = ends(path, &certificate, authority)?;
    let key = any_supported_type(key).map_err(|_| faulty(path, Fault::KeyDoesNotFit))?;
    let certified = CertifiedKey::new(vec![certificate], key);
    certified
        .keys_match()
        .map_err(|_| faulty(path, Fault::KeyDoesNotFit))?;
    Ok((certified, until))
}

/// The trust that a node has: its cluster's authority, and nobody else.
///
/// # Errors
/// [`Fault::Unusable`] for what is not a certificate.
pub(crate) fn roots(
    path: &Path,
    authority: &CertificateDer<'static>,
) -> Result<Arc<RootCertStore>, Error> {
    let mut roots = RootCertStore::empty();
    roots
        .add(authority.clone())
        .map_err(|why| unusable(path, &why))?;
    Ok(Arc::new(roots))
}

/// The last second of a certificate's validity, since 1970. The verifier knows it: asked about
/// the end of time, it says since when the certificate has been invalid.
///
/// # Errors
/// As the verifier says.
pub(crate) fn ends(
    path: &Path,
    certificate: &CertificateDer<'static>,
    authority: &CertificateDer<'static>,
) -> Result<u64, Error> {
    match verify(path, certificate, authority, u64::MAX) {
        Err(Error::Certificate {
            fault: Fault::Expired(until),
            ..
        }) => Ok(until),
        Err(error) => Err(error),
        Ok(()) => Ok(u64::MAX),
    }
}

/// Whether the authority made the certificate and it is valid at `now`, in seconds since 1970.
fn verify(
    path: &Path,
    certificate: &CertificateDer<'static>,
    authority: &CertificateDer<'static>,
    now: u64,
) -> Result<(), Error> {
    let roots = roots(path, authority)?;
    let parsed = ParsedCertificate::try_from(certificate).map_err(|why| unusable(path, &why))?;
    let algorithms = provider().signature_verification_algorithms.all;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], now, algorithms)
        .map_err(|why| unusable(path, &why))
}

fn unusable(path: &Path, why: &rustls::Error) -> Error {
    let rustls::Error::InvalidCertificate(certificate) = why else {
        return faulty(path, Fault::Unusable(why.to_string()));
    };
    let fault = match certificate {
        CertificateError::ExpiredContext { not_after, .. } => Fault::Expired(not_after.as_secs()),
        CertificateError::NotValidYetContext { not_before, .. } => {
            Fault::NotYetValid(not_before.as_secs())
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Fault::OtherAuthority,
        other => Fault::Unusable(other.to_string()),
    };
    faulty(path, fault)
}

/// Seconds since 1970; 0 for a clock before it.
pub(crate) fn seconds(now: SystemTime) -> u64 {
    let since = now.duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs()
}
