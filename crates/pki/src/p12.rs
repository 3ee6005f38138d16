//! A certificate, its key and its authority in one encrypted file (PKCS#12, RFC 7292).

use crate::error::Error;
use crate::files;
use crate::limits::ITERATIONS;
use crate::request::Issued;
use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey,
    PrivateKeyChain,
};
use rustls_pki_types::CertificateDer;
use std::path::Path;
use zeroize::Zeroizing;

/// How often OpenSSL and Windows hash a password for the old encryption.
const LEGACY_ITERATIONS: u32 = 2048;

/// A PKCS#12 file that is wanted too.
pub struct Bundle<'a> {
    /// The file with its password in the first line.
    pub password_file: &'a Path,
    /// Encrypt as systems before 2018 can read it (Windows Server 2016 and older).
    pub legacy: bool,
}

/// The file's octets.
///
/// # Errors
/// What is wrong with the password file; [`Error::Making`].
pub(crate) fn bundle(
    name: &str,
    issued: &Issued,
    authority: &CertificateDer<'_>,
    wanted: &Bundle<'_>,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let password = password(wanted.password_file)?;
    let key = PrivateKey::from_der(issued.key.serialized_der()).map_err(Error::making)?;
    let own = Certificate::from_der(&issued.der).map_err(Error::making)?;
    let authority = Certificate::from_der(authority).map_err(Error::making)?;
    // Any octets that tie key and certificate together.
    let chain = PrivateKeyChain::new(vec![1], key, [own, authority]);
    let mut store = KeyStore::new();
    store.add_entry(name, KeyStoreEntry::PrivateKeyChain(chain));
    let writer = store.writer(&password);
    let writer = match wanted.legacy {
        false => writer
            .encryption_algorithm(EncryptionAlgorithm::PbeWithHmacSha256AndAes256)
            .encryption_iterations(ITERATIONS)
            .mac_algorithm(MacAlgorithm::HmacSha256)
            .mac_iterations(ITERATIONS),
        true => writer
            .encryption_algorithm(EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc)
            .encryption_iterations(LEGACY_ITERATIONS)
            .mac_algorithm(MacAlgorithm::HmacSha1)
            .mac_iterations(LEGACY_ITERATIONS),
    };
    writer.write().map(Zeroizing::new).map_err(Error::making)
}

/// The first line of a file that only its owner may read.
fn password(path: &Path) -> Result<Zeroizing<String>, Error> {
    let none = || Error::NoPassword {
        path: path.to_owned(),
    };
    let text = files::read(path)?.ok_or_else(none)?;
    if text.is_open() {
        return Err(Error::Open {
            path: path.to_owned(),
            what: "password",
            mode: text.mode,
        });
    }
    let line = text.bytes.split(|byte| *byte == b'\n').next();
    let line = line.and_then(|line| std::str::from_utf8(line).ok());
    match line.map(|line| line.trim_end_matches('\r')) {
        None | Some("") => Err(none()),
        Some(line) => Ok(Zeroizing::new(line.to_owned())),
    }
}
