//! What is read out of certificates and keys, and how they are written.

use crate::error::{Error, FileError};
use crate::files::{self, NewFile, Text};
use crate::time;
use rcgen::KeyPair;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::io::ErrorKind;
use std::path::Path;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::x509::X509Name;
use zeroize::Zeroizing;

fn unreadable(path: &Path, wanted: &'static str) -> Error {
    Error::Unreadable {
        path: path.to_owned(),
        wanted,
    }
}

/// The first certificate of a file in PEM form.
///
/// # Errors
/// [`Error::Unreadable`].
pub(crate) fn first_certificate(text: &Text) -> Result<CertificateDer<'static>, Error> {
    let found = CertificateDer::from_pem_slice(&text.bytes);
    found.map_err(|_| unreadable(&text.path, "certificate in PEM form"))
}

/// The text of the first certificate, as it stands in the file.
///
/// # Errors
/// [`Error::Unreadable`].
pub(crate) fn first_block(text: &Text) -> Result<String, Error> {
    const END: &str = "-----END CERTIFICATE-----";
    let whole = std::str::from_utf8(&text.bytes).unwrap_or_default();
    let start = whole.find("-----BEGIN CERTIFICATE-----");
    let block = start.and_then(|start| whole.get(start..));
    let block = block.and_then(|block| block.get(..block.find(END)? + END.len()));
    let block = block.ok_or_else(|| unreadable(&text.path, "certificate in PEM form"))?;
    Ok(format!("{block}\n"))
}

/// The private key of a file that only its owner may read.
///
/// # Errors
/// [`Error::Open`], [`Error::Unreadable`].
pub(crate) fn private_key(text: &Text) -> Result<Zeroizing<KeyPair>, Error> {
    if text.is_open() {
        return Err(Error::Open {
            path: text.path.clone(),
            what: "private key",
            mode: text.mode,
        });
    }
    let whole = std::str::from_utf8(&text.bytes).ok();
    let pair = whole.and_then(|text| KeyPair::from_pem(text).ok());
    pair.map(Zeroizing::new)
        .ok_or_else(|| unreadable(&text.path, "private key in PEM form without a password"))
}

/// A certificate's fields.
///
/// # Errors
/// [`Error::Unreadable`].
pub(crate) fn parse<'a>(
    path: &Path,
    certificate: &'a CertificateDer<'_>,
) -> Result<X509Certificate<'a>, Error> {
    match x509_parser::parse_x509_certificate(certificate) {
        Ok(([], parsed)) => Ok(parsed),
        _ => Err(unreadable(path, "certificate that can be read")),
    }
}

/// From when to when it is valid, in seconds since 1970.
pub(crate) fn validity(certificate: &X509Certificate<'_>) -> (u64, u64) {
    let validity = certificate.validity();
    (
        time::seconds(validity.not_before.timestamp()),
        time::seconds(validity.not_after.timestamp()),
    )
}

/// The name as people write it: `CN=mail, O=Example`.
pub(crate) fn distinguished_name(name: &X509Name<'_>) -> String {
    // What a stranger wrote must not move a terminal's cursor.
    name.to_string().escape_debug().to_string()
}

/// What certificates that this one signs call its key; empty where it does not say.
pub(crate) fn subject_key_identifier(certificate: &X509Certificate<'_>) -> Vec<u8> {
    let find = |extension: &ParsedExtension<'_>| match extension {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
        _ => None,
    };
    let extensions = certificate.extensions().iter();
    let found = extensions.map(|extension| extension.parsed_extension());
    found.filter_map(find).next().unwrap_or_default()
}

/// Refuses to go on where one of the files is there.
///
/// # Errors
/// [`Error::Exists`].
pub(crate) fn refuse_existing(folder: &Path, names: &[&str]) -> Result<(), Error> {
    for name in names {
        let path = folder.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(Error::Exists { path });
        }
    }
    Ok(())
}

/// Writes files that must not be there, in a folder that is made if need be.
///
/// # Errors
/// [`Error::Exists`], [`Error::File`].
pub(crate) fn write_new(folder: &Path, new: &[NewFile<'_>]) -> Result<(), Error> {
    files::folder_if_missing(folder)?;
    let names: Vec<&str> = new.iter().map(|(name, ..)| *name).collect();
    refuse_existing(folder, &names)?;
    files::write_new(folder, new).map_err(|error| match error.source.kind() {
        ErrorKind::AlreadyExists => Error::Exists { path: error.path },
        _ => Error::File(error),
    })
}

/// A file that should be there and is not.
pub(crate) fn missing(path: &Path) -> Error {
    Error::File(FileError {
        path: path.to_owned(),
        source: ErrorKind::NotFound.into(),
    })
}
