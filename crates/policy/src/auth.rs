//! How the two sides prove who they are: each in its own way, if need be (RFC 7296 section 2.15).

use std::sync::Arc;

use crypto::hash::sha256;
use crypto::secret::Secret;
use crypto::{PrivateKey, PublicKey};
use x509::{Authorities, Certificate};

use crate::identity::Identity;
use crate::kerberos::{KerberosKey, PrincipalPattern};

/// What IKEv1 negotiates of a way to authenticate: one number for both sides (RFC 2409 appendix A).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A pre-shared key.
    Psk,
    /// Signatures, whatever vouches for their keys.
    Signature,
    /// Kerberos (draft-ietf-ipsec-isakmp-gss-auth).
    Kerberos,
}

/// How both sides prove it. Secrets are shared, not copied, when a peer is cloned.
#[derive(Clone)]
pub struct Auth {
    /// How we prove who we are.
    pub local: LocalAuth,
    /// How the peer must.
    pub remote: RemoteAuth,
}

/// Another way for both sides, after the first: IKEv1 negotiates which of them is used.
#[derive(Clone)]
pub struct Alternative {
    /// How both sides prove it.
    pub auth: Auth,
    /// Who we are then.
    pub local_id: Identity,
}

/// How we prove who we are.
#[derive(Clone)]
pub enum LocalAuth {
    /// By a pre-shared key (RFC 7296 section 2.15).
    Psk(Arc<Secret>),
    /// By a signature (RFC 7427).
    Signature(Arc<Credential>),
    /// By Kerberos, which proves both sides at once: in IKEv1 alone
    /// (draft-ietf-ipsec-isakmp-gss-auth).
    Kerberos(Arc<KerberosKey>),
}

/// How the peer must prove who it is.
#[derive(Clone)]
pub enum RemoteAuth {
    /// By a pre-shared key.
    Psk(Arc<Secret>),
    /// By a signature and a certificate that one of these authorities vouches for.
    Certificate(Arc<Authorities>),
    /// By a signature of one of these keys (RFC 7670).
    PublicKey(Arc<Vec<PublicKey>>),
    /// By Kerberos, as one of these principals: who it is decides whether it may answer at the
    /// peer's address, which any other host of the realm could take.
    Kerberos(Arc<Vec<PrincipalPattern>>),
}

/// A private key, and what shows its public half to others.
pub struct Credential {
    /// The key.
    pub key: PrivateKey,
    /// Our certificate and what leads from it to an authority; none for a raw public key.
    pub certificates: Vec<Certificate>,
    /// RSA signs with PKCS #1 v1.5 and not with PSS: for peers that cannot do otherwise.
    pub pkcs1: bool,
}

impl Auth {
    /// A pre-shared key of these bytes, both ways.
    #[must_use]
    pub fn psk(key: Secret) -> Self {
        let key = Arc::new(key);
        Auth {
            local: LocalAuth::Psk(Arc::clone(&key)),
            remote: RemoteAuth::Psk(key),
        }
    }

    /// What IKEv1 calls it; `None` when it has no number for it, because the two sides differ.
    #[must_use]
    pub fn method(&self) -> Option<Method> {
        match (&self.local, &self.remote) {
            (LocalAuth::Psk(_), RemoteAuth::Psk(_)) => Some(Method::Psk),
            (LocalAuth::Kerberos(_), RemoteAuth::Kerberos(_)) => Some(Method::Kerberos),
            (LocalAuth::Signature(_), remote) if remote.is_signature() => Some(Method::Signature),
            _ => None,
        }
    }

    /// Every pre-shared key in it.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let local = match &self.local {
            LocalAuth::Psk(key) => Some(&**key),
            LocalAuth::Signature(_) | LocalAuth::Kerberos(_) => None,
        };
        let remote = match &self.remote {
            RemoteAuth::Psk(key) => Some(&**key),
            RemoteAuth::Certificate(_) | RemoteAuth::PublicKey(_) | RemoteAuth::Kerberos(_) => None,
        };
        local.into_iter().chain(remote)
    }

    /// Whether both are the same methods, keys and authorities; secrets in constant time.
    #[must_use]
    pub fn same(&self, other: &Auth) -> bool {
        self.local.same(&other.local) && self.remote.same(&other.remote)
    }
}

impl LocalAuth {
    fn same(&self, other: &LocalAuth) -> bool {
        match (self, other) {
            (LocalAuth::Psk(ours), LocalAuth::Psk(theirs)) => ours.constant_time_eq(theirs),
            (LocalAuth::Signature(ours), LocalAuth::Signature(theirs)) => {
                ours.key.public() == theirs.key.public()
                    && ours.certificates == theirs.certificates
                    && ours.pkcs1 == theirs.pkcs1
            }
            (LocalAuth::Kerberos(ours), LocalAuth::Kerberos(theirs)) => ours == theirs,
            _ => false,
        }
    }
}

impl RemoteAuth {
    /// The word for it in the policy file.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            RemoteAuth::Psk(_) => "psk",
            RemoteAuth::Certificate(_) => "certificate",
            RemoteAuth::PublicKey(_) => "public_key",
            RemoteAuth::Kerberos(_) => "kerberos",
        }
    }

    /// Whether the peer signs.
    #[must_use]
    pub fn is_signature(&self) -> bool {
        matches!(self, RemoteAuth::Certificate(_) | RemoteAuth::PublicKey(_))
    }

    fn same(&self, other: &RemoteAuth) -> bool {
        match (self, other) {
            (RemoteAuth::Psk(ours), RemoteAuth::Psk(theirs)) => ours.constant_time_eq(theirs),
            (RemoteAuth::Certificate(ours), RemoteAuth::Certificate(theirs)) => {
                ours.digest() == theirs.digest()
            }
            (RemoteAuth::PublicKey(ours), RemoteAuth::PublicKey(theirs)) => ours == theirs,
            (RemoteAuth::Kerberos(ours), RemoteAuth::Kerberos(theirs)) => ours == theirs,
            _ => false,
        }
    }

    /// What ties a session ticket to how its holder had authenticated: who changes a key, an
    /// authority or a list of revocations takes the tickets back as well. The members of a
    /// cluster find the same.
    #[must_use]
    pub fn binding(&self) -> [u8; 32] {
        match self {
            RemoteAuth::Psk(key) => crypto::hmac::sha256(key.as_bytes(), &[b"session ticket"]),
            RemoteAuth::Certificate(authorities) => {
                sha256(&[b"session ticket, authorities", &authorities.digest()])
            }
            RemoteAuth::PublicKey(keys) => {
                let keys: Vec<[u8; 32]> = keys.iter().map(|key| sha256(&[key.spki()])).collect();
                sha256(&[b"session ticket, public keys", keys.as_flattened()])
            }
            RemoteAuth::Kerberos(members) => {
                let members: Vec<&str> = members.iter().map(PrincipalPattern::as_str).collect();
                sha256(&[b"session ticket, principals", members.join(" ").as_bytes()])
            }
        }
    }
}
