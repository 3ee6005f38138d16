//! What a response is worth: who signed it, for which certificate, and when (RFC 6960 sections 3.2
//! and 4.2.2).

use crypto::hash::sha1;
use der::asn1::{Any, GeneralizedTime, OctetString};
use der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::ExtendedKeyUsage;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use crate::certificate::Certificate;
use crate::limits;
use crate::name::DistinguishedName;
use crate::signature::{self, Unsigned};
use crate::status::message::{
    BASIC, BasicResponse, CertId, CertStatus, NONCE, OcspResponse, ResponderId, ResponseData,
    ResponseStatus, SingleResponse,
};
use crate::status::trouble::Trouble;
use crate::status::{Status, Subject};

const OCSP_SIGNING: der::asn1::ObjectIdentifier =
    der::asn1::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");

/// See [`Subject::judge`].
pub(crate) fn judge(
    subject: &Subject,
    response: &[u8],
    nonce: Option<&[u8]>,
    now: u64,
) -> Result<Status, Trouble> {
    if response.len() > limits::RESPONSE {
        return Err(Trouble::TooLong(response.len()));
    }
    let malformed = |_| Trouble::Malformed;
    let response = OcspResponse::from_der(response).map_err(malformed)?;
    if let Some(trouble) = refusal(response.response_status) {
        return Err(trouble);
    }
    let bytes = response.response_bytes.ok_or(Trouble::Malformed)?;
    if bytes.response_type != BASIC {
        return Err(Trouble::Malformed);
    }
    let basic = BasicResponse::from_der(bytes.response.as_bytes()).map_err(malformed)?;
    let octets = basic.tbs_response_data.to_der().map_err(malformed)?;
    let data = ResponseData::from_der(&octets).map_err(malformed)?;
    if data.version != 0 {
        return Err(Trouble::Malformed);
    }
    let signature = basic.signature.as_bytes().ok_or(Trouble::Malformed)?;
    let key = responder(subject, &data.responder_id, &basic, now)?;
    signature::verify(&key, &basic.signature_algorithm, &octets, signature).map_err(unsigned)?;
    let repeats = check_nonce(data.response_extensions.as_deref().unwrap_or(&[]), nonce)?;
    let about = |one: &&SingleResponse| subject.ids.iter().any(|id| same(id, &one.cert_id));
    let single = data.responses.iter().find(about);
    let single = single.ok_or(Trouble::OtherCertificate)?;
    refuse_critical(single.single_extensions.as_deref().unwrap_or(&[]))?;
    let until = until(single, repeats, now)?;
    match &single.cert_status {
        CertStatus::Good(_) => Ok(Status {
            revoked: None,
            until,
        }),
        CertStatus::Revoked(info) => Ok(Status {
            revoked: Some(seconds(&info.revocation_time)),
            until,
        }),
        CertStatus::Unknown(_) => Err(Trouble::Unknown),
    }
}

fn refusal(status: ResponseStatus) -> Option<Trouble> {
    match status {
        ResponseStatus::Successful => None,
        ResponseStatus::MalformedRequest => Some(Trouble::MalformedRequest),
        ResponseStatus::InternalError => Some(Trouble::InternalError),
        ResponseStatus::TryLater => Some(Trouble::TryLater),
        ResponseStatus::SigRequired => Some(Trouble::SignatureRequired),
        ResponseStatus::Unauthorized => Some(Trouble::Unauthorized),
    }
}

fn unsigned(why: Unsigned) -> Trouble {
    match why {
        Unsigned::Algorithm => Trouble::Algorithm,
        Unsigned::Wrong => Trouble::Signature,
    }
}

fn seconds(time: &GeneralizedTime) -> u64 {
    time.to_unix_duration().as_secs()
}

/// The parameters of a hash are NULL or absent, and mean the same.
fn same(ours: &CertId, theirs: &CertId) -> bool {
    let parameters = theirs.hash_algorithm.parameters.as_ref();
    ours.hash_algorithm.oid == theirs.hash_algorithm.oid
        && parameters.is_none_or(|some| *some == Any::null())
        && ours.issuer_name_hash == theirs.issuer_name_hash
        && ours.issuer_key_hash == theirs.issuer_key_hash
        && ours.serial_number == theirs.serial_number
}

/// The key that must have signed: the issuer's, or that of a responder to which the issuer gave a
/// certificate for it. Whether that was taken back nobody asks: it is to have a short life (RFC
/// 6960 section 4.2.2.2.1).
fn responder(
    subject: &Subject,
    said: &ResponderId,
    basic: &BasicResponse,
    now: u64,
) -> Result<Vec<u8>, Trouble> {
    let issuer = &subject.issuer;
    if is_called(said, &issuer.name, subject.issuer_key) {
        return Ok(issuer.spki.clone());
    }
    let certs = basic.certs.as_deref().unwrap_or(&[]);
    for cert in certs.iter().take(limits::CHAIN) {
        let Some((certificate, decoded)) = read(cert) else {
            continue;
        };
        let Ok(key) = certificate.key() else { continue };
        let bare = SubjectPublicKeyInfoRef::from_der(key.spki()).ok();
        let bare = bare.and_then(|spki| spki.subject_public_key.as_bytes());
        let called = |bare| is_called(said, certificate.subject(), sha1(&[bare]));
        let purposes = decoded
            .tbs_certificate()
            .get_extension::<ExtendedKeyUsage>();
        let for_this = purposes
            .ok()
            .flatten()
            .is_some_and(|(_, purposes)| purposes.0.contains(&OCSP_SIGNING));
        if !bare.is_some_and(called) || !for_this || !certificate.signs() {
            continue;
        }
        if *certificate.issuer() != issuer.name || !is_issued(&decoded, &issuer.spki) {
            continue;
        }
        if !(certificate.not_before()..=certificate.not_after()).contains(&now) {
            return Err(Trouble::ResponderExpired);
        }
        return Ok(key.spki().to_vec());
    }
    Err(Trouble::Responder)
}

fn is_called(said: &ResponderId, name: &DistinguishedName, key: [u8; 20]) -> bool {
    match said {
        ResponderId::ByName(said) => {
            let said = said.to_der().ok();
            let said = said.and_then(|der| DistinguishedName::from_der(&der));
            said.is_some_and(|said| said == *name)
        }
        ResponderId::ByKey(said) => said.as_bytes() == key,
    }
}

fn read(cert: &Any) -> Option<(Certificate, x509_cert::Certificate)> {
    let der = cert.to_der().ok()?;
    let decoded = x509_cert::Certificate::from_der(&der).ok()?;
    Some((Certificate::from_der(&der).ok()?, decoded))
}

/// Whether the key signed the certificate.
fn is_issued(certificate: &x509_cert::Certificate, issuer: &[u8]) -> bool {
    let tbs = certificate.tbs_certificate().to_der().ok();
    let signature = certificate.signature().as_bytes();
    let algorithm = certificate.signature_algorithm();
    tbs.zip(signature).is_some_and(|(tbs, signature)| {
        signature::verify(issuer, algorithm, &tbs, signature).is_ok()
    })
}

/// Whether the nonce of the request comes back. A responder that signs in advance leaves it out.
fn check_nonce(extensions: &[Extension], nonce: Option<&[u8]>) -> Result<bool, Trouble> {
    let is_nonce = |one: &&Extension| one.extn_id == NONCE;
    let others = extensions.iter().filter(|one| one.extn_id != NONCE);
    if others.into_iter().any(|one| one.critical) {
        return Err(Trouble::Critical);
    }
    let (Some(nonce), Some(said)) = (nonce, extensions.iter().find(is_nonce)) else {
        return Ok(false);
    };
    let said = OctetString::from_der(said.extn_value.as_bytes());
    match said.is_ok_and(|said| said.as_bytes() == nonce) {
        true => Ok(true),
        false => Err(Trouble::Nonce),
    }
}

fn refuse_critical(extensions: &[Extension]) -> Result<(), Trouble> {
    match extensions.iter().any(|one| one.critical) {
        true => Err(Trouble::Critical),
        false => Ok(()),
    }
}

/// Until when what is said now holds. `fresh`: it is the answer to a request of this moment.
fn until(single: &SingleResponse, fresh: bool, now: u64) -> Result<u64, Trouble> {
    let this = seconds(&single.this_update);
    if this > now.saturating_add(limits::SKEW) {
        return Err(Trouble::Early(this));
    }
    match single.next_update.as_ref().map(seconds) {
        Some(next) if next.saturating_add(limits::SKEW) < now => Err(Trouble::Late(next)),
        Some(next) => Ok(next),
        // Newer information is there at any time: it holds for a moment.
        None if fresh || this.saturating_add(limits::SKEW) >= now => {
            Ok(now.saturating_add(limits::MOMENT))
        }
        None => Err(Trouble::Old(this)),
    }
}
