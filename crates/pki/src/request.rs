//! What a certificate is made from, right for IKE (RFC 4945 section 5.1), and what comes of it.

use crate::identity::Identity;
use crate::key::KeyKind;
use crate::responder::Responder;
use rcgen::{ExtendedKeyUsagePurpose, KeyPair};
use rustls_pki_types::CertificateDer;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use zeroize::Zeroizing;

/// What an extended key usage permits. RFC 4945 section 5.1.3.12 advises to have none; some
/// systems insist on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// id-kp-ipsecIKE.
    IpsecIke,
    /// id-kp-serverAuth: VPN clients of Windows and macOS want it of a gateway.
    ServerAuth,
    /// id-kp-clientAuth.
    ClientAuth,
}

impl Usage {
    const ALL: [Self; 3] = [Self::IpsecIke, Self::ServerAuth, Self::ClientAuth];

    fn name(self) -> &'static str {
        match self {
            Self::IpsecIke => "ipsec-ike",
            Self::ServerAuth => "server-auth",
            Self::ClientAuth => "client-auth",
        }
    }
}

impl FromStr for Usage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|usage| usage.name() == text);
        found.ok_or_else(|| format!("use one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// id-kp-ipsecIKE (RFC 4945 section 5.1.3.12).
pub(crate) const IPSEC_IKE: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 3, 17];

/// What a certificate is made from.
pub struct Request<'a> {
    /// Its common name.
    pub name: &'a str,
    /// Whom it speaks for.
    pub identities: &'a [Identity],
    /// The kind of its key.
    pub key: KeyKind,
    /// How long it is to be valid.
    pub lifetime: Duration,
    /// The extended key usage; none where this is empty.
    pub usages: &'a [Usage],
    /// The OCSP responder that it names.
    pub responder: Option<&'a Responder>,
}

impl Request<'_> {
    /// Where there is any, IKE's own is there too: without it a peer must refuse the certificate.
    pub(crate) fn extended_key_usages(&self) -> Vec<ExtendedKeyUsagePurpose> {
        if self.usages.is_empty() {
            return Vec::new();
        }
        let mut found = vec![ExtendedKeyUsagePurpose::Other(IPSEC_IKE.to_vec())];
        if self.usages.contains(&Usage::ServerAuth) {
            found.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        if self.usages.contains(&Usage::ClientAuth) {
            found.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        found
    }
}

/// A new certificate and its key.
pub struct Issued {
    /// In PEM form.
    pub certificate: String,
    pub(crate) der: CertificateDer<'static>,
    pub(crate) key: Zeroizing<KeyPair>,
    /// The end of its validity, in seconds since 1970.
    pub until: u64,
}

impl Issued {
    /// The private key in PEM form (PKCS #8).
    #[must_use]
    pub fn private_key(&self) -> Zeroizing<String> {
        Zeroizing::new(self.key.serialize_pem())
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}
