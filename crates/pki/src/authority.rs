//! An authority: it signs the certificates of nodes and peers, and the list of those that do not
//! hold any more (RFC 5280).

use crate::error::Error;
use crate::files::{self, PUBLIC, SECRET};
use crate::key::KeyKind;
use crate::limits::{CLOCK_SKEW, MAX_NAME, SERIAL};
use crate::request::{Issued, Request};
use crate::{paper, time};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// The authority's certificate, in its folder.
pub const CERTIFICATE: &str = "ca.pem";
/// The authority's private key, in its folder.
pub const KEY: &str = "ca.key";

/// What an authority is made from.
pub struct NewAuthority<'a> {
    /// Its common name, by which people know it.
    pub name: &'a str,
    /// The kind of its key.
    pub key: KeyKind,
    /// How long it is to be valid.
    pub lifetime: Duration,
}

/// An authority with its key.
pub struct Authority {
    key: Zeroizing<KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    path: PathBuf,
    name: String,
    until: u64,
    /// What its certificates call its key.
    key_identifier: Vec<u8>,
}

impl Authority {
    /// Makes a new authority and writes `ca.pem` and `ca.key` in the folder. `now` is the time of
    /// day.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::Exists`], [`Error::File`], [`Error::Making`].
    pub fn make(folder: &Path, new: &NewAuthority<'_>, now: SystemTime) -> Result<Self, Error> {
        let length = new.name.chars().count();
        let printable = !new.name.chars().any(char::is_control);
        if !printable || !(1..=MAX_NAME).contains(&length) || new.name.trim() != new.name {
            return Err(Error::BadName {
                text: new.name.to_owned(),
                wanted: "an authority needs 1 to 64 characters, such as \"Mail CA\"",
            });
        }
        let key = new.key.generate()?;
        let now = time::now(now)?;
        let from = now.saturating_sub(CLOCK_SKEW.as_secs());
        let mut parameters = named(new.name, (from, now + new.lifetime.as_secs()))?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = parameters.self_signed(&*key).map_err(Error::making)?;
        let pem = certificate.pem();
        let secret = Zeroizing::new(key.serialize_pem());
        paper::write_new(
            folder,
            &[
                (KEY, secret.as_bytes(), SECRET),
                (CERTIFICATE, pem.as_bytes(), PUBLIC),
            ],
        )?;
        Self::of(folder.join(CERTIFICATE), certificate.into(), pem, key)
    }

    /// Reads the authority of the folder; `None` when there is none.
    ///
    /// # Errors
    /// When there is half of one, it is damaged, its key is open to others or another's, or its
    /// certificate is not that of an authority.
    pub fn load(folder: &Path) -> Result<Option<Self>, Error> {
        let (path, key_path) = (folder.join(CERTIFICATE), folder.join(KEY));
        let (certificate, key) = match (files::read(&path)?, files::read(&key_path)?) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => (certificate, key),
            (None, _) => return Err(Error::HalfAnAuthority { missing: path }),
            (_, None) => return Err(Error::HalfAnAuthority { missing: key_path }),
        };
        let der = paper::first_certificate(&certificate)?;
        let block = paper::first_block(&certificate)?;
        let key = paper::private_key(&key)?;
        Self::of(path, der, block, key).map(Some)
    }

    fn of(
        path: PathBuf,
        certificate: CertificateDer<'static>,
        pem: String,
        key: Zeroizing<KeyPair>,
    ) -> Result<Self, Error> {
        let parsed = paper::parse(&path, &certificate)?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(Error::KeyDoesNotFit { path });
        }
        let constraints = parsed.basic_constraints().ok().flatten();
        let usage = parsed.key_usage().ok().flatten();
        if !constraints.is_some_and(|constraints| constraints.value.ca)
            || usage.is_some_and(|usage| !usage.value.key_cert_sign())
        {
            return Err(Error::NotAnAuthority { path });
        }
        let name = paper::distinguished_name(parsed.subject());
        let (_, until) = paper::validity(&parsed);
        let key_identifier = paper::subject_key_identifier(&parsed);
        Ok(Self {
            key,
            certificate,
            pem,
            path,
            name,
            until,
            key_identifier,
        })
    }

    /// The file of its certificate.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its certificate in PEM form.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.pem
    }

    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its name, as it stands in the certificates that it signs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The end of its validity, in seconds since 1970.
    #[must_use]
    pub fn until(&self) -> u64 {
        self.until
    }

    pub(crate) fn key_identifier(&self) -> &[u8] {
        &self.key_identifier
    }

    /// Who signs. Its name is taken from its certificate, octet for octet.
    pub(crate) fn issuer(&self) -> Result<Issuer<'_, &KeyPair>, Error> {
        Issuer::from_ca_cert_der(&self.certificate, &*self.key).map_err(Error::making)
    }

    /// Signs a certificate for a new key. It ends with the authority, if that is earlier.
    ///
    /// # Errors
    /// [`Error::AuthorityExpired`], [`Error::Making`].
    pub fn issue(&self, request: &Request<'_>, now: SystemTime) -> Result<Issued, Error> {
        let now = time::now(now)?;
        let end = self.until;
        if end <= now {
            return Err(Error::AuthorityExpired {
                path: self.path.clone(),
                until: end,
            });
        }
        let from = now.saturating_sub(CLOCK_SKEW.as_secs());
        let until = end.min(now + request.lifetime.as_secs());
        let mut parameters = named(request.name, (from, until))?;
        // An identifier of the key, and CA:FALSE.
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.use_authority_key_identifier_extension = true;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = request.extended_key_usages();
        for identity in request.identities {
            let name = identity.alternative_name()?;
            parameters.subject_alt_names.push(name);
        }
        if let Some(responder) = request.responder {
            parameters.custom_extensions.push(responder.extension()?);
        }
        let key = request.key.generate()?;
        let signed = parameters.signed_by(&*key, &self.issuer()?);
        let certificate = signed.map_err(Error::making)?;
        Ok(Issued {
            certificate: certificate.pem(),
            der: certificate.into(),
            key,
            until,
        })
    }
}

/// A certificate's name, validity and number, which nobody can guess.
fn named(name: &str, (from, until): (u64, u64)) -> Result<CertificateParams, Error> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.not_before = time::date(from);
    parameters.not_after = time::date(until);
    let mut serial = [0; SERIAL];
    getrandom::fill(&mut serial).map_err(Error::making)?;
    // Positive, and always of the same length.
    serial[0] = serial[0] & 0x3f | 0x40;
    parameters.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(parameters)
}
