//! A chain from a certificate to an authority, and the exact reason where there is none (RFC 5280
//! section 6, RFC 4945 section 5).

use std::cell::RefCell;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, Error, ExpirationPolicy, ExtendedKeyUsageValidator,
    KeyPurposeIdIter, KeyUsage, RequiredEkuNotFoundContext, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath,
};

use crate::authorities::{Authorities, Revocation, Usage};
use crate::certificate::Certificate;
use crate::limits;
use crate::refusal::{Refusal, Why};
use crate::signature::ALGORITHMS;
use crate::status::Issuer;

/// Below id-kp: serverAuth, clientAuth, ipsecIKE; and anyExtendedKeyUsage.
const SERVER: &[usize] = &[1, 3, 6, 1, 5, 5, 7, 3, 1];
const CLIENT: &[usize] = &[1, 3, 6, 1, 5, 5, 7, 3, 2];
const IPSEC_IKE: &[usize] = &[1, 3, 6, 1, 5, 5, 7, 3, 17];
const IPSEC_IKE_DER: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x11];
const ANY: &[usize] = &[2, 5, 29, 37, 0];

impl ExtendedKeyUsageValidator for Usage {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        let mut present = Vec::new();
        for purpose in purposes {
            let purpose = purpose?.to_decoded_oid();
            let tls = [SERVER, CLIENT].contains(&purpose.as_slice());
            let ipsec = [IPSEC_IKE, ANY].contains(&purpose.as_slice());
            if ipsec || tls && *self == Usage::IpsecOrTls {
                return Ok(());
            }
            present.push(purpose);
        }
        // A certificate without the extension is for everything.
        if present.is_empty() {
            return Ok(());
        }
        let required = KeyUsage::required(IPSEC_IKE_DER);
        let context = RequiredEkuNotFoundContext { required, present };
        Err(Error::RequiredEkuNotFoundContext(context))
    }
}

/// See [`Authorities::verify`]. The answer: who signed the certificate.
pub(crate) fn verify(
    authorities: &Authorities,
    own: &Certificate,
    others: &[Certificate],
    now: u64,
) -> Result<Issuer, Refusal> {
    let refuse = |why| Refusal {
        certificate: own.to_string(),
        why,
    };
    if others.len() >= limits::CHAIN {
        return Err(refuse(Why::TooMany(limits::CHAIN)));
    }
    own.key().map_err(|why| refuse(Why::Key(why.clone())))?;
    if !own.signs() {
        return Err(refuse(Why::KeyUsage));
    }
    // A self-signed certificate that is trusted by itself may be whatever it likes.
    let der = CertificateDer::from(own.der());
    let other_ders: Vec<CertificateDer<'_>> = others
        .iter()
        .map(|one| CertificateDer::from(one.der()))
        .collect();
    let anchors: Vec<TrustAnchor<'_>> = authorities
        .anchors
        .iter()
        .map(|anchor| anchor.trust.clone())
        .collect();
    let lists: Vec<&CertRevocationList<'_>> =
        authorities.lists.iter().map(|one| &one.list).collect();
    let (status, expiry) = match authorities.revocation {
        Revocation::Strict => (UnknownStatusPolicy::Deny, ExpirationPolicy::Enforce),
        Revocation::Relaxed => (UnknownStatusPolicy::Allow, ExpirationPolicy::Ignore),
    };
    let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|builder| {
        let builder = builder.with_depth(RevocationCheckDepth::Chain);
        builder
            .with_status_policy(status)
            .with_expiration_policy(expiry)
            .build()
    });
    // What only we ask of a path; the reason is kept, because the other crate has no word for it.
    let objection = RefCell::new(None);
    let judge = |path: &VerifiedPath<'_>| {
        let Err(refusal) = judge(authorities, own, others, path, now) else {
            return Ok(());
        };
        objection.replace(Some(refusal));
        Err(Error::UnknownIssuer)
    };
    let moment = UnixTime::since_unix_epoch(Duration::from_secs(now));
    let entity = EndEntityCert::try_from(&der);
    let verified = entity.and_then(|entity| {
        let (usage, judge) = (
            authorities.usage,
            Some(&judge as &dyn Fn(&VerifiedPath<'_>) -> _),
        );
        entity
            .verify_for_usage(
                ALGORITHMS,
                &anchors,
                &other_ders,
                moment,
                usage,
                revocation,
                judge,
            )
            .map(|path| Issuer::signed(own, path.issuer_spki().to_vec()))
    });
    match (verified, objection.into_inner()) {
        (Ok(issuer), _) => Ok(issuer),
        (Err(_), Some(refusal)) => Err(refusal),
        (Err(error), None) => Err(diagnose(authorities, own, others, error)),
    }
}

/// Sizes of the keys in between, and the authority's own life.
fn judge(
    authorities: &Authorities,
    own: &Certificate,
    others: &[Certificate],
    path: &VerifiedPath<'_>,
    now: u64,
) -> Result<(), Refusal> {
    for between in path.intermediate_certificates() {
        let spki = between.subject_public_key_info();
        let weak = |one: &&Certificate| one.key().is_err();
        if let Err(why) = crypto::PublicKey::from_spki(&spki) {
            let which = others.iter().find(weak).unwrap_or(own);
            return Err(Refusal {
                certificate: which.to_string(),
                why: Why::Key(why),
            });
        }
    }
    let is_it = |anchor: &&crate::authorities::Anchor| anchor.trust == *path.anchor();
    let mut candidates = authorities.anchors.iter().filter(is_it).peekable();
    let last = candidates.peek().map(|anchor| &anchor.certificate);
    let alive = |anchor: &crate::authorities::Anchor| {
        let one = &anchor.certificate;
        (one.not_before()..=one.not_after()).contains(&now)
    };
    let authority = last.map(|one| (one.to_string(), one.not_after()));
    if candidates.any(alive) {
        return Ok(());
    }
    let (authority, until) = authority.unwrap_or_default();
    Err(Refusal {
        certificate: own.to_string(),
        why: Why::AuthorityExpired(authority, until),
    })
}

/// The sentence for an error of the other crate, which does not say which certificate it means.
fn diagnose(
    authorities: &Authorities,
    own: &Certificate,
    others: &[Certificate],
    error: Error,
) -> Refusal {
    let chain = || std::iter::once(own).chain(others);
    let mut which = own;
    let mut blame = |guilty: &dyn Fn(&Certificate) -> bool| {
        which = chain().find(|one| guilty(one)).unwrap_or(own);
        which
    };
    let why = match error {
        Error::CertExpired { not_after, .. } => {
            blame(&|one| one.not_after() == not_after.as_secs());
            Why::Expired(not_after.as_secs())
        }
        Error::CertNotValidYet { not_before, .. } => {
            blame(&|one| one.not_before() == not_before.as_secs());
            Why::NotYetValid(not_before.as_secs())
        }
        Error::CertRevoked => {
            let revoked = |one: &Certificate| authorities.lists.iter().any(|l| l.names(one));
            let issuer = blame(&revoked).issuer();
            Why::Revoked(format!("`{issuer}`"))
        }
        Error::UnknownRevocationStatus => {
            let unlisted = |one: &Certificate| {
                !authorities
                    .lists
                    .iter()
                    .any(|list| list.issuer() == one.issuer())
            };
            Why::NoRevocationList(blame(&unlisted).issuer().to_string())
        }
        Error::CrlExpired { next_update, .. } => Why::RevocationListExpired(next_update.as_secs()),
        Error::UnknownIssuer => Why::UnknownIssuer {
            issuer: end_of_chain(own, others).issuer().to_string(),
            trusted: authorities
                .certificates()
                .map(Certificate::to_string)
                .collect(),
        },
        Error::CaUsedAsEndEntity => Why::AuthorityAsPeer,
        Error::RequiredEkuNotFoundContext(_) => Why::ExtendedKeyUsage,
        Error::NameConstraintViolation => Why::NameConstraint,
        Error::InvalidSignatureForPublicKey => Why::Signature,
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Why::Algorithm,
        Error::UnsupportedCriticalExtension => {
            Why::Other("it has a critical extension that is not known here".to_owned())
        }
        Error::InvalidCrlSignatureForPublicKey => {
            Why::Other("the list of its issuer's revocations has a wrong signature".to_owned())
        }
        other => Why::Other(other.to_string()),
    };
    Refusal {
        certificate: which.to_string(),
        why,
    }
}

/// The last certificate that what the peer sent leads to.
fn end_of_chain<'a>(own: &'a Certificate, others: &'a [Certificate]) -> &'a Certificate {
    let mut last = own;
    for _ in others {
        let above = others
            .iter()
            .find(|one| one.subject() == last.issuer() && !one.is_self_issued());
        let Some(above) = above else { break };
        last = above;
    }
    last
}
