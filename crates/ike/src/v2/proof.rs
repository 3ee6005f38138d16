//! How each side proves who it is: AUTH, and the certificates that go with it (RFC 7296 sections
//! 2.15, 3.6 and 3.7; RFC 4945; RFC 7670 for raw public keys).
//!
//! What a peer sends is used to choose a key, and for nothing else, until AUTH is verified with
//! that key; only then is it asked who vouches for the key.

use std::net::IpAddr;

use crypto::{Prf, PublicKey};
use policy::auth::{Credential as OwnKey, LocalAuth, RemoteAuth};
use policy::identity::Identity;
use policy::pad::{Pad, Peer};
use wire::ike::numbers::{AUTH_METHOD_SHARED_KEY, CERT_RAW_PUBLIC_KEY, CERT_X509_SIGNATURE};
use wire::ike::{AuthPayload, Cert, CertReq, NotifyType, Payload};
use x509::{Authorities, Certificate, Refusal, Why};

use crate::error::{Error, NotAuthentic};
use crate::limits;
use crate::v2::auth::{self, Credential, Signed};
use crate::v2::contents::Contents;
use crate::v2::signature;
use crate::v2::status::{self, Checked, Statuses};

/// What both sides agreed to prove themselves by.
#[derive(Clone, Copy)]
pub(crate) struct Proof<'a> {
    pub(crate) peer: &'a Peer,
    pub(crate) prf: Prf,
    /// A ticket stands for what was proved before.
    pub(crate) resumed: bool,
}

/// Our own proof, in the order of RFC 7296 section 1.2.
pub(crate) struct Proven {
    pub(crate) certificates: Vec<Payload>,
    pub(crate) auth: Payload,
}

impl Proof<'_> {
    /// Proves who we are. `theirs` is the first message of the peer, octet by octet.
    ///
    /// # Errors
    /// We have no proof that the peer would understand.
    pub(crate) fn prove(&self, signed: &Signed<'_>, theirs: &[u8]) -> Result<Proven, Error> {
        let mac = |credential| {
            let data = auth::sign(self.prf, credential, signed).as_bytes().to_vec();
            let method = AUTH_METHOD_SHARED_KEY;
            Proven {
                certificates: Vec::new(),
                auth: Payload::Auth(AuthPayload { method, data }),
            }
        };
        let own = match &self.peer.auth.local {
            _ if self.resumed => return Ok(mac(Credential::Resumed)),
            LocalAuth::Psk(key) => return Ok(mac(Credential::Psk(key))),
            LocalAuth::Signature(own) => own,
            LocalAuth::Kerberos(_) => {
                let why = "Kerberos is a method of IKEv1".to_owned();
                return Err(Error::NotAuthentic(NotAuthentic::CannotSign { why }));
            }
        };
        let decoded = wire::ike::decode(theirs).ok();
        let payloads = decoded.map(|decoded| decoded.payloads).unwrap_or_default();
        let contents = Contents::of(&payloads).map_err(Error::Misbehaved)?;
        let hashes = contents.notify(NotifyType::SIGNATURE_HASH_ALGORITHMS);
        let hashes = hashes.map(signature::hashes_of);
        let octets = auth::octets(self.prf, signed).concat();
        let auth = signature::sign(own, hashes.as_deref(), &octets);
        Ok(Proven {
            certificates: certificates(own),
            auth: Payload::Auth(auth.map_err(Error::NotAuthentic)?),
        })
    }

    /// Checks the peer's proof at a time, in seconds since 1970, with what is known of
    /// certificates. What it proved holds until the moment that comes back, if any.
    ///
    /// # Errors
    /// [`Error::NotAuthentic`].
    pub(crate) fn check(
        &self,
        signed: &Signed<'_>,
        contents: &Contents<'_>,
        (now, statuses): (Option<u64>, &Statuses),
    ) -> Result<Checked<Option<u64>>, Error> {
        let auth = contents.auth().map_err(Error::Misbehaved)?;
        let said = Identity::from_wire(signed.id.kind, &signed.id.data);
        let checked = match &self.peer.auth.remote {
            _ if self.resumed => self.check_mac(Credential::Resumed, signed, auth, &said),
            RemoteAuth::Psk(key) => self.check_mac(Credential::Psk(key), signed, auth, &said),
            _ if auth.method == AUTH_METHOD_SHARED_KEY => Err(self.wrong_method(auth.method)),
            RemoteAuth::Certificate(authorities) => {
                let checked =
                    self.check_certificate(authorities, signed, contents, &said, (now, statuses));
                return checked.map_err(Error::NotAuthentic);
            }
            RemoteAuth::PublicKey(keys) => self.check_key(keys, signed, contents, &said),
            RemoteAuth::Kerberos(_) => Err(self.wrong_method(auth.method)),
        };
        checked.map(Checked::Proven).map_err(Error::NotAuthentic)
    }

    fn wrong_method(&self, theirs: u8) -> NotAuthentic {
        NotAuthentic::Method {
            theirs,
            ours: self.peer.auth.remote.word(),
        }
    }

    fn check_mac(
        &self,
        credential: Credential<'_>,
        signed: &Signed<'_>,
        auth: &AuthPayload,
        said: &Identity,
    ) -> Result<Option<u64>, NotAuthentic> {
        if auth.method != AUTH_METHOD_SHARED_KEY {
            return Err(self.wrong_method(auth.method));
        }
        match auth::verify(self.prf, credential, signed, &auth.data) {
            true => Ok(None),
            false => Err(NotAuthentic::Auth {
                said: said.to_string(),
            }),
        }
    }

    fn check_certificate(
        &self,
        authorities: &Authorities,
        signed: &Signed<'_>,
        contents: &Contents<'_>,
        said: &Identity,
        (now, statuses): (Option<u64>, &Statuses),
    ) -> Result<Checked<Option<u64>>, NotAuthentic> {
        let refused = |refusal| NotAuthentic::Certificate(Box::new(refusal));
        let chain = chain(contents).map_err(|why| {
            let certificate = String::new();
            refused(Refusal { certificate, why })
        })?;
        let refuse = |why| {
            let certificate = chain
                .first()
                .map(Certificate::to_string)
                .unwrap_or_default();
            refused(Refusal { certificate, why })
        };
        let own = chain.first().ok_or_else(|| refuse(Why::Missing))?;
        let key = own.key().map_err(|why| refuse(Why::Key(why.clone())))?;
        self.check_signature(&[key], signed, contents, said)?;
        let now = now.ok_or_else(|| refuse(Why::NoClock))?;
        let subject = authorities.judge(&chain, now).map_err(refused)?;
        let id = signed.id;
        // A key ID counts only where it was written down: anybody could have invented it.
        let nobody = matches!(said, Identity::KeyId(_)) && self.peer.remote_id != *said;
        let kind = if nobody { 0 } else { id.kind };
        own.check_identity(kind, &id.data, &said.to_string())
            .map_err(refused)?;
        // Nobody is asked about a certificate before all else about it is right.
        let known = match subject.zip(authorities.online()) {
            None => Checked::Proven(None),
            Some((subject, online)) => {
                let known = statuses.judge(subject, online, contents, now);
                known.map_err(refuse)?
            }
        };
        Ok(match known {
            Checked::Proven(until) => {
                let end = own.not_after();
                Checked::Proven(Some(until.map_or(end, |until| until.min(end))))
            }
            unsettled => unsettled,
        })
    }

    fn check_key(
        &self,
        pinned: &[PublicKey],
        signed: &Signed<'_>,
        contents: &Contents<'_>,
        said: &Identity,
    ) -> Result<Option<u64>, NotAuthentic> {
        let sent = contents.certificates().iter().find_map(|cert| key_of(cert));
        let known = |key: &&PublicKey| sent.as_ref().is_none_or(|sent| sent == *key);
        let keys: Vec<&PublicKey> = pinned.iter().filter(known).collect();
        if keys.is_empty() {
            return Err(NotAuthentic::UnknownKey {
                said: said.to_string(),
            });
        }
        self.check_signature(&keys, signed, contents, said)?;
        Ok(None)
    }

    /// Whether AUTH is by one of these keys.
    fn check_signature(
        &self,
        keys: &[&PublicKey],
        signed: &Signed<'_>,
        contents: &Contents<'_>,
        said: &Identity,
    ) -> Result<(), NotAuthentic> {
        let wrong = |why| NotAuthentic::Signature {
            said: said.to_string(),
            why,
        };
        let missing = |_| wrong("is missing".to_owned());
        let auth = contents.auth().map_err(missing)?;
        let octets = auth::octets(self.prf, signed).concat();
        let mut last = Ok(());
        for key in keys {
            last = signature::verify(key, auth, &octets);
            if last.is_ok() {
                return Ok(());
            }
        }
        last.map_err(wrong)
    }
}

/// The peer's certificate, and the others that it sent; each within bounds.
fn chain(contents: &Contents<'_>) -> Result<Vec<Certificate>, Why> {
    let x509 = |cert: &&&Cert| cert.encoding == CERT_X509_SIGNATURE;
    let sent = || contents.certificates().iter().filter(x509);
    if sent().nth(x509::limits::CHAIN).is_some() {
        return Err(Why::TooMany(x509::limits::CHAIN));
    }
    let read = |cert: &&Cert| Certificate::from_der(&cert.data).map_err(Why::Unreadable);
    sent().map(read).collect()
}

/// The public key of a CERT payload: raw, or in a certificate.
fn key_of(cert: &Cert) -> Option<PublicKey> {
    match cert.encoding {
        CERT_RAW_PUBLIC_KEY => PublicKey::from_spki(&cert.data).ok(),
        CERT_X509_SIGNATURE => Certificate::from_der(&cert.data).ok()?.key().ok().cloned(),
        _ => None,
    }
}

/// CERT payloads: our certificate and what leads to an authority, or the raw public key.
fn certificates(own: &OwnKey) -> Vec<Payload> {
    let cert = |encoding, data: &[u8]| {
        let data = data.to_vec();
        Payload::Cert(Cert { encoding, data })
    };
    if own.certificates.is_empty() {
        return vec![cert(CERT_RAW_PUBLIC_KEY, own.key.public().spki())];
    }
    let (first, others) = own.certificates.split_at(1);
    // A root that a peer does not have already would prove nothing to it.
    let others = others.iter().filter(|one| !one.is_self_issued());
    let all = first.iter().chain(others);
    all.map(|one| cert(CERT_X509_SIGNATURE, one.der()))
        .collect()
}

/// Which certificates we ask of a peer: CERTREQ (RFC 7296 section 3.7, RFC 7670 section 3).
pub(crate) fn request(peers: &[&Peer]) -> Vec<Payload> {
    let mut hashes: Vec<[u8; 20]> = Vec::new();
    let (mut raw, mut online) = (false, false);
    for peer in peers {
        match &peer.auth.remote {
            RemoteAuth::Certificate(authorities) => {
                hashes.extend(authorities.key_hashes());
                online |= authorities.online().is_some();
            }
            RemoteAuth::PublicKey(_) => raw = true,
            RemoteAuth::Psk(_) | RemoteAuth::Kerberos(_) => {}
        }
    }
    hashes.sort_unstable();
    hashes.dedup();
    hashes.truncate(limits::ASKED_AUTHORITIES);
    let x509 = (!hashes.is_empty()).then(|| CertReq {
        encoding: CERT_X509_SIGNATURE,
        authorities: hashes.concat(),
    });
    let raw = raw.then(|| CertReq {
        encoding: CERT_RAW_PUBLIC_KEY,
        authorities: Vec::new(),
    });
    let requests = x509.into_iter().chain(raw).map(Payload::CertReq);
    requests.chain(online.then(status::request)).collect()
}

/// What an initiator's first message says of signatures.
pub(crate) fn announce(peer: &Peer) -> Option<Payload> {
    let signs = peer.auth.remote.is_signature();
    signs.then(signature::hashes)
}

/// What a responder's first message says: whoever may be at that address has not said who it is.
pub(crate) fn invite(pad: &Pad, remote: IpAddr) -> Vec<Payload> {
    let peers = pad.find_by_address(remote);
    let mut payloads = request(&peers);
    let signs = peers.iter().any(|peer| peer.auth.remote.is_signature());
    payloads.extend(signs.then(signature::hashes));
    payloads
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::Secret;
    use policy::auth::Auth;
    use policy::pad::IkeTemplate;
    use x509::BadCertificate;

    fn cert(encoding: u8, data: &[u8]) -> Payload {
        let data = data.to_vec();
        Payload::Cert(Cert { encoding, data })
    }

    fn chain_of(payloads: &[Payload]) -> Result<usize, Why> {
        let contents = Contents::of(payloads).map_err(|why| Why::Other(why.to_string()))?;
        chain(&contents).map(|chain| chain.len())
    }

    #[test]
    fn what_is_no_certificate_is_refused_and_other_encodings_are_not_looked_at() {
        let unreadable = |why| Err(Why::Unreadable(why));
        let malformed = BadCertificate::Malformed;
        assert_eq!(chain_of(&[]), Ok(0));
        assert_eq!(chain_of(&[cert(7, b"list"), cert(12, b"http://x")]), Ok(0));
        assert_eq!(chain_of(&[cert(4, b"")]), unreadable(malformed));
        assert_eq!(chain_of(&[cert(4, &[0x30, 0x80])]), unreadable(malformed));
        let long = vec![0x30; x509::limits::CERTIFICATE + 1];
        let too_long = BadCertificate::TooLong(long.len());
        assert_eq!(chain_of(&[cert(4, &long)]), unreadable(too_long));
        let many = vec![cert(4, b""); x509::limits::CHAIN + 1];
        assert_eq!(chain_of(&many), Err(Why::TooMany(x509::limits::CHAIN)));
    }

    #[test]
    fn who_expects_keys_of_all_peers_says_nothing_of_certificates() {
        let peer = Peer {
            name: "peer".into(),
            addresses: Vec::new(),
            local_id: Identity::Any,
            remote_id: Identity::Any,
            auth: Auth::psk(Secret::from_slice(b"key")),
            alternatives: Vec::new(),
            ike: IkeTemplate::modern(),
        };
        assert!(announce(&peer).is_none());
        let address = IpAddr::from([10, 0, 0, 1]);
        assert!(invite(&Pad::new(vec![peer]), address).is_empty());
    }
}
