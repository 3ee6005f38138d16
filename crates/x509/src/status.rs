//! Whether a certificate still holds, as a responder of its issuer says (RFC 6960): the request is
//! made here and the response judged, at a time that is an argument.

mod judge;
mod message;
mod trouble;

use std::fmt;

use crypto::hash::{sha1, sha256};
use der::asn1::{ObjectIdentifier, OctetString};
use der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::AuthorityInfoAccessSyntax;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoRef};

use crate::certificate::Certificate;
use crate::limits;
use crate::name::DistinguishedName;
use message::{CertId, NONCE, OcspRequest, Request, TbsRequest};

pub use trouble::Trouble;

const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const ID_AD_OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");

/// What is asked online about the certificates of peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Online {
    /// Without an answer that says that it holds, a certificate is refused.
    pub required: bool,
    /// Whom to ask, an `http` URL, instead of whom the certificate names.
    pub responder: Option<String>,
}

/// Who signed a certificate, as it was proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Its name.
    pub(crate) name: DistinguishedName,
    /// Its public key, a SubjectPublicKeyInfo.
    pub(crate) spki: Vec<u8>,
}

impl Issuer {
    /// Who signed a certificate with this key.
    pub(crate) fn signed(certificate: &Certificate, spki: Vec<u8>) -> Self {
        let name = certificate.issuer().clone();
        Issuer { name, spki }
    }

    /// The holder of a certificate, whoever vouches for it. `None` where its key is not to be used.
    #[must_use]
    pub fn of(certificate: &Certificate) -> Option<Self> {
        Some(Issuer {
            name: certificate.subject().clone(),
            spki: certificate.key().ok()?.spki().to_vec(),
        })
    }
}

/// A certificate whose status is wanted.
#[derive(Clone)]
pub struct Subject {
    certificate: String,
    issuer: Issuer,
    /// SHA-1 of the issuer's public key, without what surrounds it.
    issuer_key: [u8; 20],
    /// The names that a response may have for it. The first is the one that we ask by, because
    /// every responder knows SHA-1 (RFC 5019 section 2.1.1), which has to protect nothing here.
    ids: [CertId; 2],
    responder: Option<String>,
    digest: [u8; 32],
}

/// What a responder says of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// When it was revoked, if it was, in seconds since 1970.
    pub revoked: Option<u64>,
    /// Until when that may be believed, in seconds since 1970.
    pub until: u64,
}

impl Subject {
    /// A certificate of this issuer. `None` for one that nobody could ask about.
    #[must_use]
    pub fn new(certificate: &Certificate, issuer: &Issuer) -> Option<Self> {
        let decoded = x509_cert::Certificate::from_der(certificate.der()).ok()?;
        let tbs = decoded.tbs_certificate();
        let spki = SubjectPublicKeyInfoRef::from_der(&issuer.spki).ok()?;
        let key = spki.subject_public_key.as_bytes()?;
        let name = certificate.issuer().der();
        let serial = tbs.serial_number();
        let ids = [
            id(SHA1, &sha1(&[name]), &sha1(&[key]), serial)?,
            id(SHA256, &sha256(&[name]), &sha256(&[key]), serial)?,
        ];
        let access = tbs.get_extension::<AuthorityInfoAccessSyntax>();
        let access = access.ok().flatten().map(|(_, access)| access.0);
        Some(Subject {
            certificate: certificate.to_string(),
            issuer: issuer.clone(),
            issuer_key: sha1(&[key]),
            digest: sha256(&[&issuer.spki, certificate.der()]),
            responder: access.iter().flatten().find_map(|one| {
                match (&one.access_method, &one.access_location) {
                    (method, GeneralName::UniformResourceIdentifier(uri))
                        if *method == ID_AD_OCSP =>
                    {
                        let fits = uri.as_str().len() <= limits::RESPONDER;
                        fits.then(|| uri.as_str().to_owned())
                    }
                    _ => None,
                }
            }),
            ids,
        })
    }

    /// By which it is known again: equal for the same certificate of the same issuer.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Who signed it.
    #[must_use]
    pub fn issuer(&self) -> &DistinguishedName {
        &self.issuer.name
    }

    /// The URL of the responder that it names itself (authorityInfoAccess, RFC 5280 section
    /// 4.2.2.1). The issuer has vouched for it.
    #[must_use]
    pub fn responder(&self) -> Option<&str> {
        self.responder.as_deref()
    }

    /// The request for its status, in DER. The nonce has at most 32 octets (RFC 9654).
    #[must_use]
    pub fn request(&self, nonce: &[u8]) -> Option<Vec<u8>> {
        let nonce = OctetString::new(nonce).and_then(|nonce| nonce.to_der());
        let nonce = Extension {
            extn_id: NONCE,
            critical: false,
            extn_value: OctetString::new(nonce.ok()?).ok()?,
        };
        let request = OcspRequest {
            tbs_request: TbsRequest {
                request_list: vec![Request {
                    req_cert: self.ids[0].clone(),
                }],
                request_extensions: Some(vec![nonce]),
            },
        };
        request.to_der().ok()
    }

    /// What a response says of it, at a time in seconds since 1970. `nonce` is what was asked
    /// with; a response that nobody asked for has none to repeat.
    ///
    /// # Errors
    /// [`Trouble`]: nothing that may be believed.
    pub fn judge(
        &self,
        response: &[u8],
        nonce: Option<&[u8]>,
        now: u64,
    ) -> Result<Status, Trouble> {
        judge::judge(self, response, nonce, now)
    }
}

fn id(
    algorithm: ObjectIdentifier,
    name: &[u8],
    key: &[u8],
    serial: &SerialNumber,
) -> Option<CertId> {
    Some(CertId {
        hash_algorithm: AlgorithmIdentifierOwned {
            oid: algorithm,
            parameters: Some(der::asn1::Any::null()),
        },
        issuer_name_hash: OctetString::new(name).ok()?,
        issuer_key_hash: OctetString::new(key).ok()?,
        serial_number: serial.clone(),
    })
}

/// How sentences call it: as the certificate.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.certificate)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({self})")
    }
}

#[cfg(test)]
mod tests;
