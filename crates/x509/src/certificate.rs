//! One certificate, decoded: whose it is, for how long, with which key (RFC 5280 section 4).

use std::fmt;

use crypto::PublicKey;
use crypto::signature::BadPublicKey;
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, SubjectAltName, SubjectKeyIdentifier};

use crate::limits;
use crate::name::DistinguishedName;

/// A certificate. Nothing in it is true before [`Authorities::verify`](crate::Authorities) has
/// said so.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    subject: DistinguishedName,
    issuer: DistinguishedName,
    serial: Vec<u8>,
    not_before: u64,
    not_after: u64,
    key: Result<PublicKey, BadPublicKey>,
    key_id: Option<Vec<u8>>,
    pub(crate) names: Vec<GeneralName>,
    signs: bool,
    authority: bool,
}

impl Certificate {
    /// Reads the DER of a certificate.
    ///
    /// # Errors
    /// [`BadCertificate`] when it is none, or too long.
    pub fn from_der(der: &[u8]) -> Result<Self, BadCertificate> {
        if der.len() > limits::CERTIFICATE {
            return Err(BadCertificate::TooLong(der.len()));
        }
        let malformed = |_| BadCertificate::Malformed;
        let decoded = x509_cert::Certificate::from_der(der).map_err(malformed)?;
        let tbs = decoded.tbs_certificate();
        let spki = tbs.subject_public_key_info().to_der().map_err(malformed)?;
        let usage: Option<KeyUsage> = extension(tbs)?;
        let constraints: Option<BasicConstraints> = extension(tbs)?;
        let key_id: Option<SubjectKeyIdentifier> = extension(tbs)?;
        let names: Option<SubjectAltName> = extension(tbs)?;
        let validity = tbs.validity();
        Ok(Certificate {
            subject: name(tbs.subject())?,
            issuer: name(tbs.issuer())?,
            serial: tbs.serial_number().as_bytes().to_vec(),
            not_before: validity.not_before.to_unix_duration().as_secs(),
            not_after: validity.not_after.to_unix_duration().as_secs(),
            key: PublicKey::from_spki(&spki),
            key_id: key_id.map(|id| id.0.as_bytes().to_vec()),
            names: names.map(|names| names.0).unwrap_or_default(),
            // RFC 4945 section 5.1.3.2.
            signs: usage.is_none_or(|usage| usage.digital_signature() || usage.non_repudiation()),
            authority: constraints.is_some_and(|constraints| constraints.ca),
            der: der.to_vec(),
        })
    }

    /// The DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whose it is.
    #[must_use]
    pub fn subject(&self) -> &DistinguishedName {
        &self.subject
    }

    /// Who signed it.
    #[must_use]
    pub fn issuer(&self) -> &DistinguishedName {
        &self.issuer
    }

    /// The serial number, big-endian.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// The first second in which it is valid, since 1970.
    #[must_use]
    pub fn not_before(&self) -> u64 {
        self.not_before
    }

    /// The last second in which it is valid, since 1970.
    #[must_use]
    pub fn not_after(&self) -> u64 {
        self.not_after
    }

    /// Its public key.
    ///
    /// # Errors
    /// Why the key must not be used.
    pub fn key(&self) -> Result<&PublicKey, &BadPublicKey> {
        self.key.as_ref()
    }

    /// The subjectKeyIdentifier, if there is one.
    #[must_use]
    pub fn key_id(&self) -> Option<&[u8]> {
        self.key_id.as_deref()
    }

    /// Whether its key may sign messages (RFC 4945 section 5.1.3.2).
    #[must_use]
    pub fn signs(&self) -> bool {
        self.signs
    }

    /// Whether it is an authority's.
    #[must_use]
    pub fn is_authority(&self) -> bool {
        self.authority
    }

    /// Whether subject and issuer are the same, as in a root.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }
}

fn name(name: &x509_cert::name::Name) -> Result<DistinguishedName, BadCertificate> {
    let der = name.to_der().map_err(|_| BadCertificate::Malformed)?;
    DistinguishedName::from_der(&der).ok_or(BadCertificate::Malformed)
}

/// An extension, which may be there once.
fn extension<'a, T>(tbs: &'a TbsCertificate) -> Result<Option<T>, BadCertificate>
where
    T: Decode<'a, Error = x509_cert::der::Error> + x509_cert::der::oid::AssociatedOid,
{
    let found = tbs.get_extension::<T>();
    let found = found.map_err(|_| BadCertificate::Malformed)?;
    Ok(found.map(|(_, extension)| extension))
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({self})")
    }
}

/// How sentences call it: by its subject, or by its serial number when it has none.
impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.subject.is_empty() {
            return write!(f, "`{}`", self.subject);
        }
        f.write_str("number ")?;
        self.serial
            .iter()
            .try_for_each(|octet| write!(f, "{octet:02x}"))?;
        write!(f, " of `{}`", self.issuer)
    }
}

/// Why octets are no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadCertificate {
    /// It is no X.509 certificate in DER.
    Malformed,
    /// It has more octets than [`limits::CERTIFICATE`].
    TooLong(usize),
}

impl fmt::Display for BadCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadCertificate::Malformed => f.write_str("it is no X.509 certificate in DER"),
            BadCertificate::TooLong(length) => write!(
                f,
                "it has {length} octets: a certificate may have {}",
                limits::CERTIFICATE
            ),
        }
    }
}

impl std::error::Error for BadCertificate {}
