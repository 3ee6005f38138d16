//! A cluster's authority: it signs the certificates of the nodes, and nothing else.

use crate::limits::{CLOCK_SKEW, VALIDITY};
use crate::pki::error::Error;
use crate::pki::files::{self, Text};
use crate::pki::{names, papers};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use std::path::Path;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// The authority's certificate, in its folder and in those of the nodes.
pub(crate) const CERTIFICATE: &str = "ca.pem";
/// The authority's private key: only where `init` ran.
pub(crate) const KEY: &str = "ca.key";

/// The same for every cluster: its key tells one from another.
const COMMON_NAME: &str = "Holdfast cluster authority";

/// An authority with its key.
pub(crate) struct Authority {
    key: Zeroizing<KeyPair>,
    /// Its certificate in PEM form.
    pub(crate) certificate: String,
    /// The end of its validity, in seconds since 1970.
    pub(crate) until: u64,
}

fn making(error: rcgen::Error) -> Error {
    Error::Making(error.to_string())
}

/// A new ECDSA key on P-256, which every TLS library and smart card can read.
fn new_key() -> Result<Zeroizing<KeyPair>, Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(making)?;
    Ok(Zeroizing::new(key))
}

fn named(common_name: &str, from: u64, until: u64) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters
        .distinguished_name
        .push(DnType::CommonName, common_name);
    parameters.not_before = date_time_ymd(1970, 1, 1) + Duration::from_secs(from);
    parameters.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(until);
    parameters
}

/// From when to when something made now is valid, in seconds since 1970.
fn validity(now: SystemTime) -> Result<(u64, u64), Error> {
    let now = papers::seconds(now);
    // Beyond this year the dates of a certificate would overflow.
    if now > 200 * 365 * 24 * 3600 {
        return Err(Error::Making("this machine's clock is wrong".to_owned()));
    }
    let from = now.saturating_sub(CLOCK_SKEW.as_secs());
    Ok((from, now + VALIDITY.as_secs()))
}

fn authority(from: u64, until: u64) -> CertificateParams {
    let mut parameters = named(COMMON_NAME, from, until);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

impl Authority {
    /// Makes a new authority in the folder.
    ///
    /// # Errors
    /// [`Error::Making`], [`Error::File`].
    pub(crate) fn make(folder: &Path, now: SystemTime) -> Result<Self, Error> {
        let key = new_key()?;
        let (from, until) = validity(now)?;
        let certificate = authority(from, until).self_signed(&*key).map_err(making)?;
        let certificate = certificate.pem();
        let secret = Zeroizing::new(key.serialize_pem());
        files::write(folder, &[(KEY, &secret), (CERTIFICATE, &certificate)])?;
        Ok(Self {
            key,
            certificate,
            until,
        })
    }

    /// Reads the authority of the folder; `None` when there is none.
    ///
    /// # Errors
    /// When there is half of one, it is damaged, or its key is open to others.
    pub(crate) fn load(folder: &Path) -> Result<Option<Self>, Error> {
        let (certificate_path, key_path) = (folder.join(CERTIFICATE), folder.join(KEY));
        let (certificate, key) = match (files::read(&certificate_path)?, files::read(&key_path)?) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => (certificate, key),
            (None, _) => {
                return Err(Error::HalfAnAuthority {
                    missing: certificate_path,
                });
            }
            (_, None) => return Err(Error::HalfAnAuthority { missing: key_path }),
        };
        Self::read(&certificate, &key).map(Some)
    }

    fn read(certificate: &Text, key: &Text) -> Result<Self, Error> {
        if key.is_open() {
            return Err(Error::Open {
                path: key.path.clone(),
                mode: key.mode,
            });
        }
        let [block] = papers::blocks(certificate)?;
        let own = papers::certificate(certificate, block)?;
        let until = papers::ends(&certificate.path, &own, &own)?;
        let pair = std::str::from_utf8(&key.bytes)
            .ok()
            .and_then(|text| KeyPair::from_pem(text).ok())
            .ok_or_else(|| papers::not_pem(key, "private key"))?;
        Ok(Self {
            key: Zeroizing::new(pair),
            certificate: block.to_owned(),
            until,
        })
    }

    /// Makes a node's file: its certificate, its key, and the authority's certificate.
    ///
    /// # Errors
    /// [`Error::Making`], [`Error::BadName`].
    pub(crate) fn issue(&self, name: &str, now: SystemTime) -> Result<Zeroizing<String>, Error> {
        let (from, until) = validity(now)?;
        let mut parameters = named(name, from, until.min(self.until));
        let dns = names::dns_name(name)?;
        let dns = dns.try_into().map_err(making)?;
        parameters.subject_alt_names = vec![rcgen::SanType::DnsName(dns)];
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        parameters.use_authority_key_identifier_extension = true;
        let key = new_key()?;
        // The signer's certificate is known by its name and key alone.
        let issuer = Issuer::new(authority(from, until), &*self.key);
        let certificate = parameters.signed_by(&*key, &issuer).map_err(making)?.pem();
        let secret = Zeroizing::new(key.serialize_pem());
        let parts = [
            &papers::claim(name),
            &certificate,
            &*secret,
            &self.certificate,
        ];
        // `concat` allocates once, so that no copy is left behind.
        Ok(Zeroizing::new(parts.map(String::as_str).concat()))
    }
}
