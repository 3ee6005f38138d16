//! Which IKE identities a certificate is for (RFC 7296 section 3.5, RFC 4945 section 3.1).

use std::net::IpAddr;

use wire::ike::numbers::{
    ID_DER_ASN1_DN, ID_DER_ASN1_GN, ID_FQDN, ID_IPV4_ADDR, ID_IPV6_ADDR, ID_KEY_ID, ID_RFC822_ADDR,
};
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::name::GeneralName;

use crate::certificate::Certificate;
use crate::name::DistinguishedName;
use crate::refusal::{Refusal, Why};

impl Certificate {
    /// Whether it is for this identity, an ID type and its data. Names count from the
    /// subjectAltName only, never from the subject's CN, and a wildcard is a name like any other.
    ///
    /// A key ID is the certificate's subjectKeyIdentifier; the caller must have configured it.
    ///
    /// # Errors
    /// [`Why::Name`], with everybody whom it is for. `said` is how the identity is shown.
    pub fn check_identity(&self, kind: u8, data: &[u8], said: &str) -> Result<(), Refusal> {
        let fits = match kind {
            ID_DER_ASN1_DN => DistinguishedName::from_der(data)
                .is_some_and(|name| !name.is_empty() && name == *self.subject()),
            ID_DER_ASN1_GN => GeneralName::from_der(data).is_ok_and(|name| self.has(&name)),
            ID_KEY_ID => self.key_id().is_some_and(|id| !id.is_empty() && id == data),
            ID_FQDN => self.names.iter().any(|name| match name {
                GeneralName::DnsName(own) => own.as_bytes().eq_ignore_ascii_case(data),
                _ => false,
            }),
            ID_RFC822_ADDR => self.names.iter().any(|name| match name {
                GeneralName::Rfc822Name(own) => same_mailbox(own.as_bytes(), data),
                _ => false,
            }),
            ID_IPV4_ADDR | ID_IPV6_ADDR => self.names.iter().any(|name| match name {
                GeneralName::IpAddress(own) => own.as_bytes() == data,
                _ => false,
            }),
            _ => false,
        };
        match fits {
            true => Ok(()),
            false => Err(Refusal {
                certificate: self.to_string(),
                why: Why::Name {
                    said: said.to_owned(),
                    names: self.identities(),
                },
            }),
        }
    }

    /// A directory name is compared as a name, everything else by its octets.
    fn has(&self, wanted: &GeneralName) -> bool {
        match wanted {
            GeneralName::DirectoryName(name) => {
                let name = name.to_der().ok();
                let name = name.and_then(|der| DistinguishedName::from_der(&der));
                name.is_some_and(|name| {
                    name == *self.subject() || self.names.iter().any(|own| is(own, &name))
                })
            }
            other => self.names.contains(other),
        }
    }

    /// Everybody whom it is for, as text.
    #[must_use]
    pub fn identities(&self) -> Vec<String> {
        let subject = (!self.subject().is_empty()).then(|| format!("`{}`", self.subject()));
        let names = self.names.iter().filter_map(shown);
        subject.into_iter().chain(names).collect()
    }

    /// Who its owner says it is when nothing else is configured: the subject, or the first name
    /// where that is empty.
    #[must_use]
    pub fn own_identity(&self) -> Option<(u8, Vec<u8>)> {
        if !self.subject().is_empty() {
            return Some((ID_DER_ASN1_DN, self.subject().der().to_vec()));
        }
        self.names.iter().find_map(|name| match name {
            GeneralName::DnsName(own) => Some((ID_FQDN, own.as_bytes().to_vec())),
            GeneralName::Rfc822Name(own) => Some((ID_RFC822_ADDR, own.as_bytes().to_vec())),
            GeneralName::IpAddress(own) => match own.as_bytes().len() {
                4 => Some((ID_IPV4_ADDR, own.as_bytes().to_vec())),
                16 => Some((ID_IPV6_ADDR, own.as_bytes().to_vec())),
                _ => None,
            },
            _ => None,
        })
    }
}

fn is(own: &GeneralName, wanted: &DistinguishedName) -> bool {
    let GeneralName::DirectoryName(name) = own else {
        return false;
    };
    let name = name.to_der().ok();
    name.and_then(|der| DistinguishedName::from_der(&der))
        .as_ref()
        == Some(wanted)
}

/// The host compares without case, what is before it exactly (RFC 5280 section 7.5).
fn same_mailbox(own: &[u8], said: &[u8]) -> bool {
    let at = |mailbox: &[u8]| mailbox.iter().rposition(|octet| *octet == b'@');
    match (at(own), at(said)) {
        (Some(here), Some(there)) => {
            own.get(..here) == said.get(..there)
                && own
                    .get(here..)
                    .zip(said.get(there..))
                    .is_some_and(|(ours, theirs)| ours.eq_ignore_ascii_case(theirs))
        }
        _ => false,
    }
}

fn shown(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(own) | GeneralName::Rfc822Name(own) => {
            Some(format!("`{}`", own.as_str().escape_debug()))
        }
        GeneralName::IpAddress(own) => {
            let octets = own.as_bytes();
            let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
            address.ok().map(|address| format!("`{address}`"))
        }
        GeneralName::DirectoryName(name) => {
            let name = DistinguishedName::from_der(&name.to_der().ok()?)?;
            Some(format!("`{name}`"))
        }
        _ => None,
    }
}
