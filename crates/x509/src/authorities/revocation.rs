//! Lists of revocations (RFC 5280 section 5).

use std::fmt;

use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_cert::crl::CertificateList;
use x509_cert::der::{Decode, Encode};

use crate::certificate::Certificate;
use crate::name::DistinguishedName;

/// A list of what an authority has taken back. Its signature is checked when it is used.
pub struct RevocationList {
    der: Vec<u8>,
    issuer: DistinguishedName,
    next_update: Option<u64>,
    pub(crate) list: CertRevocationList<'static>,
}

impl RevocationList {
    /// Reads the DER of a list.
    ///
    /// # Errors
    /// [`BadRevocationList`].
    pub fn from_der(der: &[u8]) -> Result<Self, BadRevocationList> {
        let malformed = |_| BadRevocationList("it is no list of revocations in DER".to_owned());
        let decoded: CertificateList = CertificateList::from_der(der).map_err(malformed)?;
        let issuer = decoded.tbs_cert_list.issuer.to_der().map_err(malformed)?;
        let issuer = DistinguishedName::from_der(&issuer)
            .ok_or_else(|| BadRevocationList("its issuer has no usable name".to_owned()))?;
        let next = decoded.tbs_cert_list.next_update;
        let unusable = |why: webpki::Error| {
            BadRevocationList(format!(
                "it cannot be used ({why}): a version 2 list with nextUpdate, of one issuer for \
                 all of its certificates, can be"
            ))
        };
        let list = OwnedCertRevocationList::from_der(der).map_err(unusable)?;
        Ok(RevocationList {
            der: der.to_vec(),
            issuer,
            next_update: next.map(|time| time.to_unix_duration().as_secs()),
            list: list.into(),
        })
    }

    /// The DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whose list it is.
    #[must_use]
    pub fn issuer(&self) -> &DistinguishedName {
        &self.issuer
    }

    /// When it is too old, in seconds since 1970.
    #[must_use]
    pub fn next_update(&self) -> Option<u64> {
        self.next_update
    }

    /// Whether it names a certificate.
    pub(crate) fn names(&self, certificate: &Certificate) -> bool {
        self.issuer == *certificate.issuer()
            && matches!(self.list.find_serial(certificate.serial()), Ok(Some(_)))
    }
}

/// Why octets are no usable list of revocations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRevocationList(String);

impl fmt::Display for BadRevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadRevocationList {}
