//! How each side of main mode proves who it is: HASH_I and HASH_R, or a signature over them (RFC
//! 2409 sections 5, 5.1 and 5.4).

use std::net::IpAddr;

use crypto::{PublicKey, Secret};
use policy::auth::{Auth, Credential, LocalAuth, Method, RemoteAuth};
use policy::identity::Identity;
use policy::pad::Peer;
use wire::isakmp::numbers::CERT_X509_SIGNATURE;
use wire::isakmp::{CertificateRequest, Chain, Identification, Located, Payload, PayloadType};
use x509::{Authorities, Certificate, Refusal, Why};

use crate::error::{Error, Misbehaved, NotAuthentic};
use crate::limits;
use crate::v1::keys::is_hash;
use crate::v1::quick::missing;

/// How both sides of a main mode prove it, by the method that they agreed on.
fn auth(peer: &Peer, method: Method) -> Option<&Auth> {
    peer.by(method).map(|(auth, _)| auth)
}

/// Who we are to a peer, as main mode says it.
pub(crate) fn own_id(peer: &Peer, method: Method, local: IpAddr) -> Identification {
    let own = peer.by(method).map_or(&peer.local_id, |(_, own)| own);
    let (kind, data) = own.to_wire(local);
    Identification::new(kind, data)
}

/// Our proof: the payloads behind ID. `hash` is HASH_I or HASH_R.
///
/// # Errors
/// Our key cannot sign as IKEv1 wants it.
pub(crate) fn prove(peer: &Peer, method: Method, hash: &Secret) -> Result<Vec<Payload>, Error> {
    let own = match auth(peer, method).map(|auth| &auth.local) {
        Some(LocalAuth::Signature(own)) => own,
        _ => return Ok(vec![Payload::Hash(hash.as_bytes().to_vec())]),
    };
    let signature = own.key.sign_rfc2409(hash.as_bytes()).map_err(|_| {
        let why = "IKEv1 signs with RSA keys only: give us one, or use IKEv2".to_owned();
        Error::NotAuthentic(NotAuthentic::CannotSign { why })
    })?;
    let mut payloads = certificates(own);
    payloads.push(Payload::Signature(signature));
    Ok(payloads)
}

/// Our certificate and what leads to an authority.
fn certificates(own: &Credential) -> Vec<Payload> {
    let roots = |one: &&Certificate| !one.is_self_issued();
    let first = own.certificates.iter().take(1);
    // A root that a peer does not have already would prove nothing to it.
    let all = first.chain(own.certificates.iter().skip(1).filter(roots));
    all.map(|one| {
        Payload::Certificate(wire::isakmp::Certificate {
            encoding: CERT_X509_SIGNATURE,
            data: one.der().to_vec(),
        })
    })
    .collect()
}

/// Which certificates we ask of a peer: one payload for each authority.
pub(crate) fn request(peer: &Peer, method: Method) -> Vec<Payload> {
    let auth = auth(peer, method).map(|auth| &auth.remote);
    let Some(RemoteAuth::Certificate(authorities)) = auth else {
        return Vec::new();
    };
    let names = authorities
        .certificates()
        .map(|one| one.subject().der().to_vec());
    names
        .take(limits::ASKED_AUTHORITIES)
        .map(|authority| {
            Payload::CertificateRequest(CertificateRequest {
                encoding: CERT_X509_SIGNATURE,
                authority,
            })
        })
        .collect()
}

/// What the peer says of itself in a message whose payloads these are.
pub(crate) struct Said<'a> {
    pub(crate) id: Identity,
    /// IDii_b or IDir_b.
    pub(crate) body: &'a [u8],
    kind: u8,
    data: Vec<u8>,
}

/// The identity in a message.
///
/// # Errors
/// There is none, or more than one.
pub(crate) fn identity<'a>(chain: &'a Chain<'_>) -> Result<Said<'a>, Misbehaved> {
    let mut all = chain.all(PayloadType::ID);
    let (Some(Located { payload, body, .. }), None) = (all.next(), all.next()) else {
        return Err(missing(PayloadType::ID));
    };
    let Payload::Identification(id) = payload else {
        return Err(missing(PayloadType::ID));
    };
    Ok(Said {
        id: Identity::from_wire(id.kind, &id.data),
        body,
        kind: id.kind,
        data: id.data.clone(),
    })
}

/// Checks the peer's proof at a time, in seconds since 1970. `expected` is HASH_I or HASH_R.
///
/// # Errors
/// [`Error::NotAuthentic`].
pub(crate) fn check(
    (peer, method): (&Peer, Method),
    said: &Said<'_>,
    chain: &Chain<'_>,
    expected: &Secret,
    now: Option<u64>,
) -> Result<(), Error> {
    let named = said.id.to_string();
    let checked = match auth(peer, method).map(|auth| &auth.remote) {
        Some(RemoteAuth::Psk(_)) => check_hash(chain, expected, named),
        Some(RemoteAuth::Certificate(authorities)) => {
            check_certificate(peer, authorities, said, chain, expected, now)
        }
        Some(RemoteAuth::PublicKey(keys)) => check_keys(keys, chain, expected, named),
        // Its hash is wrapped: it is checked when it has been opened.
        Some(RemoteAuth::Kerberos(_)) | None => Err(NotAuthentic::Auth { said: named }),
    };
    checked.map_err(Error::NotAuthentic)
}

fn check_hash(chain: &Chain<'_>, expected: &Secret, said: String) -> Result<(), NotAuthentic> {
    let good = |one: &Located<'_>| match &one.payload {
        Payload::Hash(hash) => is_hash(expected, hash),
        _ => false,
    };
    match chain.all(PayloadType::HASH).any(good) {
        true => Ok(()),
        false => Err(NotAuthentic::Auth { said }),
    }
}

fn check_signature(
    key: &PublicKey,
    chain: &Chain<'_>,
    expected: &Secret,
    said: String,
) -> Result<(), NotAuthentic> {
    let signature = chain.payloads.iter().find_map(|one| match &one.payload {
        Payload::Signature(signature) => Some(signature),
        _ => None,
    });
    let Some(signature) = signature else {
        let why = "is missing".to_owned();
        return Err(NotAuthentic::Signature { said, why });
    };
    let checked = key.verify_rfc2409(expected.as_bytes(), signature);
    checked.map_err(|why| NotAuthentic::Signature {
        said,
        why: format!("is wrong: {why}"),
    })
}

fn check_keys(
    keys: &[PublicKey],
    chain: &Chain<'_>,
    expected: &Secret,
    said: String,
) -> Result<(), NotAuthentic> {
    let checked = |key| check_signature(key, chain, expected, said.clone());
    match keys.iter().any(|key| checked(key).is_ok()) {
        true => Ok(()),
        false => Err(NotAuthentic::UnknownKey { said }),
    }
}

fn check_certificate(
    peer: &Peer,
    authorities: &Authorities,
    said: &Said<'_>,
    chain: &Chain<'_>,
    expected: &Secret,
    now: Option<u64>,
) -> Result<(), NotAuthentic> {
    let refused = |refusal| NotAuthentic::Certificate(Box::new(refusal));
    let read = read(chain).map_err(|why| {
        let certificate = String::new();
        refused(Refusal { certificate, why })
    })?;
    let refuse = |why| {
        let certificate = read.first().map(Certificate::to_string).unwrap_or_default();
        refused(Refusal { certificate, why })
    };
    let own = read.first().ok_or_else(|| refuse(Why::Missing))?;
    let key = own.key().map_err(|why| refuse(Why::Key(why.clone())))?;
    check_signature(key, chain, expected, said.id.to_string())?;
    // Nobody is asked here whether it still holds, so what must be asked is not accepted.
    if authorities.online().is_some() {
        let why = "a responder is to be asked for it (OCSP), which IKEv1 does not do".to_owned();
        return Err(refuse(Why::Other(why)));
    }
    let now = now.ok_or_else(|| refuse(Why::NoClock))?;
    authorities.verify(&read, now).map_err(refused)?;
    // A key ID counts only where it was written down: anybody could have invented it.
    let nobody = matches!(said.id, Identity::KeyId(_)) && peer.remote_id != said.id;
    let kind = if nobody { 0 } else { said.kind };
    own.check_identity(kind, &said.data, &said.id.to_string())
        .map_err(refused)
}

/// The peer's certificate, and the others that it sent; each within bounds.
fn read(chain: &Chain<'_>) -> Result<Vec<Certificate>, Why> {
    let sent = || {
        chain.payloads.iter().filter_map(|one| match &one.payload {
            Payload::Certificate(one) if one.encoding == CERT_X509_SIGNATURE => Some(one),
            _ => None,
        })
    };
    if sent().nth(x509::limits::CHAIN).is_some() {
        return Err(Why::TooMany(x509::limits::CHAIN));
    }
    sent()
        .map(|one| Certificate::from_der(&one.data).map_err(Why::Unreadable))
        .collect()
}
