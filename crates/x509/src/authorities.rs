//! Whom we trust to vouch for peers, and what they have taken back (RFC 5280 sections 5 and 6).

mod chain;
mod revocation;

use std::fmt;

use crypto::hash::sha256;
use crypto::signature::BadPublicKey;
use rustls_pki_types::{CertificateDer, TrustAnchor};
use webpki::anchor_from_trusted_cert;

use crate::certificate::Certificate;
use crate::limits;
use crate::refusal::{Refusal, Why};
use crate::status::{Online, Subject};

pub use revocation::{BadRevocationList, RevocationList};

/// What a certificate must be for (RFC 4945 section 5.1.3.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Without extendedKeyUsage, or ipsecIKE, or anyExtendedKeyUsage.
    Ipsec,
    /// Those, and certificates of TLS servers and clients.
    IpsecOrTls,
}

/// How sure we must be that a certificate is not revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// For every certificate of a chain there must be a list that has not expired. Without any
    /// list at all nothing is asked.
    Strict,
    /// What a list names is refused, and nothing else.
    Relaxed,
}

/// Authorities, their lists of revocations, and what is asked of a certificate.
pub struct Authorities {
    anchors: Vec<Anchor>,
    lists: Vec<RevocationList>,
    usage: Usage,
    revocation: Revocation,
    online: Option<Online>,
    digest: [u8; 32],
    key_hashes: Vec<[u8; 20]>,
}

struct Anchor {
    certificate: Certificate,
    trust: TrustAnchor<'static>,
}

impl Authorities {
    /// Trusts these.
    ///
    /// # Errors
    /// [`BadAuthorities`] when there is none, or one must not be trusted with anything.
    pub fn new(
        certificates: Vec<Certificate>,
        lists: Vec<RevocationList>,
        usage: Usage,
        revocation: Revocation,
    ) -> Result<Self, BadAuthorities> {
        if certificates.is_empty() || certificates.len() > limits::AUTHORITIES {
            return Err(BadAuthorities::Count(certificates.len()));
        }
        let digest = digest(&certificates, &lists, usage, revocation);
        let keys = certificates.iter().filter_map(|one| one.key().ok());
        let key_hashes = keys.map(crypto::PublicKey::sha1).collect();
        let anchor = |certificate: Certificate| {
            if let Err(why) = certificate.key() {
                return Err(BadAuthorities::Key(certificate.to_string(), why.clone()));
            }
            let der = CertificateDer::from(certificate.der());
            let trust = anchor_from_trusted_cert(&der).map(|anchor| anchor.to_owned());
            match trust {
                Ok(trust) => Ok(Anchor { certificate, trust }),
                Err(why) => {
                    let why = why.to_string();
                    Err(BadAuthorities::Unusable(certificate.to_string(), why))
                }
            }
        };
        let anchors: Result<Vec<Anchor>, _> = certificates.into_iter().map(anchor).collect();
        Ok(Authorities {
            anchors: anchors?,
            lists,
            usage,
            revocation,
            online: None,
            digest,
            key_hashes,
        })
    }

    /// The same, and the status of every peer's certificate is asked for (RFC 6960).
    #[must_use]
    pub fn with_online(mut self, online: Online) -> Self {
        let required = [u8::from(online.required)];
        let responder = online.responder.as_deref().unwrap_or_default();
        self.digest = sha256(&[&self.digest, &required, responder.as_bytes()]);
        self.online = Some(online);
        self
    }

    /// What is asked online about the certificates of peers; `None` for nothing.
    #[must_use]
    pub fn online(&self) -> Option<&Online> {
        self.online.as_ref()
    }

    /// The certificates of the authorities.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.anchors.iter().map(|anchor| &anchor.certificate)
    }

    /// The lists of revocations.
    #[must_use]
    pub fn lists(&self) -> &[RevocationList] {
        &self.lists
    }

    /// What a Certificate Request names them by: SHA-1 of each public key (RFC 7296 section 3.7).
    #[must_use]
    pub fn key_hashes(&self) -> &[[u8; 20]] {
        &self.key_hashes
    }

    /// SHA-256 of everything that decides: equal when the same certificates pass.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Whether one of the authorities vouches for the first certificate, now, in seconds since
    /// 1970. The others are whatever the peer sent to lead there, in any order.
    ///
    /// # Errors
    /// [`Refusal`]: which certificate, and why.
    pub fn verify(&self, chain: &[Certificate], now: u64) -> Result<(), Refusal> {
        self.judge(chain, now).map(drop)
    }

    /// As [`verify`](Self::verify), and whose status is to be asked for, where that is wanted. One
    /// that is trusted by itself has nobody who could take it back.
    ///
    /// # Errors
    /// [`Refusal`]: which certificate, and why.
    pub fn judge(&self, chain: &[Certificate], now: u64) -> Result<Option<Subject>, Refusal> {
        let Some((own, others)) = chain.split_first() else {
            return Err(Refusal {
                certificate: String::new(),
                why: Why::Missing,
            });
        };
        let issuer = chain::verify(self, own, others, now)?;
        if self.online.is_none() || self.certificates().any(|trusted| trusted == own) {
            return Ok(None);
        }
        let unusable = || Refusal {
            certificate: own.to_string(),
            why: Why::Other("the key of its issuer cannot be read".to_owned()),
        };
        Subject::new(own, &issuer).map(Some).ok_or_else(unusable)
    }
}

fn digest(
    certificates: &[Certificate],
    lists: &[RevocationList],
    usage: Usage,
    revocation: Revocation,
) -> [u8; 32] {
    let mut parts: Vec<[u8; 32]> = certificates
        .iter()
        .map(|one| sha256(&[one.der()]))
        .collect();
    parts.extend(lists.iter().map(|one| sha256(&[one.der()])));
    // Files and what is in them may come in any order.
    parts.sort_unstable();
    let tls = u8::from(usage == Usage::IpsecOrTls);
    let strict = u8::from(revocation == Revocation::Strict);
    sha256(&[&[tls, strict], parts.as_flattened()])
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.certificates()).finish()
    }
}

/// Why authorities cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadAuthorities {
    /// There are none, or too many.
    Count(usize),
    /// One has a weak key.
    Key(String, BadPublicKey),
    /// One cannot be used.
    Unusable(String, String),
}

impl fmt::Display for BadAuthorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadAuthorities::Count(0) => f.write_str("there is no authority"),
            BadAuthorities::Count(count) => write!(
                f,
                "there are {count} authorities, more than {}",
                limits::AUTHORITIES
            ),
            BadAuthorities::Key(authority, why) => {
                write!(f, "the authority {authority} cannot be trusted: {why}")
            }
            BadAuthorities::Unusable(authority, why) => {
                write!(f, "the authority {authority} cannot be used: {why}")
            }
        }
    }
}

impl std::error::Error for BadAuthorities {}
