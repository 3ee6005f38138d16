//! The list of certificates that do not hold any more (RFC 5280 section 5), made anew each time
//! from the one before.

use crate::authority::Authority;
use crate::error::Error;
use crate::files::{self, PUBLIC, Text};
use crate::serial::Serial;
use crate::{paper, time};
use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber,
};
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime};
use x509_parser::revocation_list::{CertificateRevocationList, RevokedCertificate};

/// The list, in the authority's folder.
pub const FILE: &str = "crl.pem";

/// Why a certificate does not hold any more (RFC 5280 section 5.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reason {
    /// Nothing is said about it.
    #[default]
    Unspecified,
    /// Somebody else may have the private key.
    KeyCompromise,
    /// There is a newer certificate.
    Superseded,
    /// The machine is not used any more.
    CessationOfOperation,
}

impl Reason {
    const ALL: [Self; 4] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::Superseded,
        Self::CessationOfOperation,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
        }
    }

    /// The extension should be absent rather than say that nothing is said.
    fn code(self) -> Option<RevocationReason> {
        match self {
            Self::Unspecified => None,
            Self::KeyCompromise => Some(RevocationReason::KeyCompromise),
            Self::Superseded => Some(RevocationReason::Superseded),
            Self::CessationOfOperation => Some(RevocationReason::CessationOfOperation),
        }
    }
}

impl FromStr for Reason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|reason| reason.name() == text);
        found.ok_or_else(|| format!("use one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// A list that was made.
#[derive(Debug)]
pub struct MadeList {
    /// Its file.
    pub path: PathBuf,
    /// The end of its validity, in seconds since 1970.
    pub until: u64,
    /// How many certificates it names.
    pub revoked: usize,
    /// Those that the list before did not name.
    pub added: Vec<Serial>,
}

impl Authority {
    /// The number of a certificate that this authority has signed.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Unreadable`], [`Error::OtherAuthority`].
    pub fn serial_of(&self, certificate: &Path) -> Result<Serial, Error> {
        let text = files::read(certificate)?.ok_or_else(|| paper::missing(certificate))?;
        let der = paper::first_certificate(&text)?;
        let parsed = paper::parse(certificate, &der)?;
        let own = paper::parse(self.path(), self.der())?;
        let issued = parsed.issuer().as_raw() == own.subject().as_raw()
            && parsed.verify_signature(Some(own.public_key())).is_ok();
        match issued {
            true => Ok(Serial::new(parsed.raw_serial())),
            false => Err(Error::OtherAuthority {
                path: certificate.to_owned(),
            }),
        }
    }

    /// Makes the authority's list anew, with these certificates besides those that it names
    /// already, and writes `crl.pem` in the folder in place of the one before.
    ///
    /// # Errors
    /// [`Error::AuthorityExpired`], [`Error::Unreadable`] for a list before that is damaged or
    /// another's: what it names would be forgotten. [`Error::File`], [`Error::Making`].
    pub fn revoke(
        &self,
        folder: &Path,
        serials: &[Serial],
        reason: Reason,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<MadeList, Error> {
        let now = time::now(now)?;
        if self.until() <= now {
            return Err(Error::AuthorityExpired {
                path: self.path().to_owned(),
                until: self.until(),
            });
        }
        let path = folder.join(FILE);
        let (number, mut revoked) = match files::read(&path)? {
            Some(text) => self.before(&text)?,
            None => (0, Vec::new()),
        };
        let mut added = Vec::new();
        for serial in serials {
            if revoked.iter().any(|known| serial.is(&known.serial_number)) {
                continue;
            }
            revoked.push(RevokedCertParams {
                serial_number: SerialNumber::from_slice(serial.as_bytes()),
                revocation_time: time::date(now),
                reason_code: reason.code(),
                invalidity_date: None,
            });
            added.push(serial.clone());
        }
        let until = now + lifetime.as_secs();
        let count = revoked.len();
        // The time of day is greater than the number of a list before that has been lost.
        let number = now.max(number.saturating_add(1));
        let pem = self.sign(revoked, number, (now, until))?;
        files::write(folder, &[(FILE, pem.as_bytes(), PUBLIC)])?;
        Ok(MadeList {
            path,
            until,
            revoked: count,
            added,
        })
    }

    fn sign(
        &self,
        revoked_certs: Vec<RevokedCertParams>,
        number: u64,
        (from, until): (u64, u64),
    ) -> Result<String, Error> {
        let key_identifier_method = match self.key_identifier() {
            [] => KeyIdMethod::Sha256,
            own => KeyIdMethod::PreSpecified(own.to_vec()),
        };
        let parameters = CertificateRevocationListParams {
            this_update: time::date(from),
            next_update: time::date(until),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method,
        };
        let list = parameters.signed_by(&self.issuer()?);
        list.and_then(|list| list.pem()).map_err(Error::making)
    }

    /// The number of the list before, and what it names.
    fn before(&self, text: &Text) -> Result<(u64, Vec<RevokedCertParams>), Error> {
        let unreadable = || Error::Unreadable {
            path: text.path.clone(),
            wanted: "revocation list of this authority",
        };
        let der = CertificateRevocationListDer::from_pem_slice(&text.bytes);
        let der = der.map_err(|_| unreadable())?;
        let list = match x509_parser::parse_x509_crl(&der) {
            Ok(([], list)) => list,
            _ => return Err(unreadable()),
        };
        let own = paper::parse(self.path(), self.der())?;
        list.verify_signature(own.public_key())
            .map_err(|_| unreadable())?;
        let entries = list.iter_revoked_certificates().map(entry).collect();
        Ok((number(&list), entries))
    }
}

/// The number of a list; 0 for one that is longer than any of ours.
pub(crate) fn number(list: &CertificateRevocationList<'_>) -> u64 {
    let digits = list.crl_number().map(ToString::to_string);
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// An entry of the list before, as it was.
fn entry(revoked: &RevokedCertificate<'_>) -> RevokedCertParams {
    let reason = revoked.reason_code().and_then(|(_, code)| match code.0 {
        1 => Some(RevocationReason::KeyCompromise),
        2 => Some(RevocationReason::CaCompromise),
        3 => Some(RevocationReason::AffiliationChanged),
        4 => Some(RevocationReason::Superseded),
        5 => Some(RevocationReason::CessationOfOperation),
        6 => Some(RevocationReason::CertificateHold),
        9 => Some(RevocationReason::PrivilegeWithdrawn),
        10 => Some(RevocationReason::AaCompromise),
        _ => None,
    });
    let invalid = revoked.invalidity_date();
    RevokedCertParams {
        serial_number: SerialNumber::from_slice(Serial::new(revoked.raw_serial()).as_bytes()),
        revocation_time: time::date(time::seconds(revoked.revocation_date.timestamp())),
        reason_code: reason,
        invalidity_date: invalid.map(|(_, date)| time::date(time::seconds(date.timestamp()))),
    }
}
