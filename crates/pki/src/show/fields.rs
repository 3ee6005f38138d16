//! What the fields of certificates are called, and how they are written.

use crate::error::moment;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

const DAY: u64 = 24 * 3600;

/// What a field has.
#[derive(Debug, PartialEq, Eq)]
pub enum Value {
    /// One text.
    One(String),
    /// Any number of them.
    Many(Vec<String>),
}

/// Fields in the order in which they were added.
#[derive(Default)]
pub(crate) struct Fields(pub(crate) Vec<(&'static str, Value)>);

impl Fields {
    pub(crate) fn one(&mut self, name: &'static str, value: String) {
        self.0.push((name, Value::One(value)));
    }

    pub(crate) fn many(&mut self, name: &'static str, values: Vec<String>) {
        self.0.push((name, Value::Many(values)));
    }

    /// From when to when, and how long that still is.
    pub(crate) fn life(&mut self, from: u64, until: u64, now: u64) {
        self.one("from", moment(from));
        if until == u64::MAX {
            self.one("until", "no end".to_owned());
            return;
        }
        self.one("until", moment(until));
        let left = match until.checked_sub(now).map(|left| left / DAY) {
            None => "over".to_owned(),
            Some(1) => "1 day".to_owned(),
            Some(days) => format!("{days} days"),
        };
        self.one("left", left);
    }
}

/// Whom a certificate speaks for, as the policy file writes it. What IKE has no kind for is
/// shown with its kind in front.
pub(crate) fn identities(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|names| &names.value.general_names);
    names.into_iter().flatten().map(general_name).collect()
}

fn general_name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) => {
            name.escape_debug().to_string()
        }
        GeneralName::IPAddress(octets) => address(octets).map_or_else(
            || "ADDRESS:unreadable".to_owned(),
            |address| address.to_string(),
        ),
        GeneralName::DirectoryName(name) => {
            format!("DN:{}", name.to_string().escape_debug())
        }
        GeneralName::URI(uri) => format!("URI:{}", uri.escape_debug()),
        GeneralName::OtherName(kind, _) => format!("OTHER:{kind}"),
        _ => "OTHER".to_owned(),
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).map(|octets| Ipv4Addr::from(octets).into());
    let sixteen = <[u8; 16]>::try_from(octets).map(|octets| Ipv6Addr::from(octets).into());
    four.or(sixteen).ok()
}

/// What a certificate's key may be used for, in the standard's words.
pub(crate) fn usages(certificate: &X509Certificate<'_>) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(usage) = certificate.key_usage().ok().flatten() {
        // "Digital Signature, CRL Sign" as the parser writes it.
        let names = usage.value.to_string();
        found.extend(names.split(", ").map(str::to_owned));
    }
    let Some(extended) = certificate.extended_key_usage().ok().flatten() else {
        return found;
    };
    let extended = extended.value;
    let known = [
        (extended.any, "anyExtendedKeyUsage"),
        (extended.server_auth, "serverAuth"),
        (extended.client_auth, "clientAuth"),
        (extended.code_signing, "codeSigning"),
        (extended.email_protection, "emailProtection"),
        (extended.time_stamping, "timeStamping"),
        (extended.ocsp_signing, "OCSPSigning"),
    ];
    let present = known.into_iter().filter(|(present, _)| *present);
    found.extend(present.map(|(_, name)| name.to_owned()));
    found.extend(
        extended
            .other
            .iter()
            .map(|other| match other.to_string().as_str() {
                IPSEC_IKE => "ipsecIKE".to_owned(),
                "1.3.6.1.5.5.8.2.2" => "iKEIntermediate".to_owned(),
                other => other.to_owned(),
            }),
    );
    found
}

/// Who can say whether a certificate still holds (authorityInfoAccess, RFC 5280 section 4.2.2.1).
pub(crate) fn responders(certificate: &X509Certificate<'_>) -> Vec<String> {
    let extensions = certificate.extensions().iter();
    let described = extensions.filter_map(|one| match one.parsed_extension() {
        ParsedExtension::AuthorityInfoAccess(access) => Some(&access.accessdescs),
        _ => None,
    });
    let ocsp = described
        .flatten()
        .filter(|one| one.access_method.to_id_string() == OCSP);
    let uris = ocsp.filter_map(|one| match one.access_location {
        GeneralName::URI(uri) => Some(uri.escape_debug().to_string()),
        _ => None,
    });
    uris.collect()
}

/// id-ad-ocsp.
const OCSP: &str = "1.3.6.1.5.5.7.48.1";

/// id-kp-ipsecIKE (RFC 4945 section 5.1.3.12).
pub(crate) const IPSEC_IKE: &str = "1.3.6.1.5.5.7.3.17";

/// The kind and size of a key.
pub(crate) fn key_algorithm(key: &SubjectPublicKeyInfo<'_>) -> String {
    let algorithm = key.algorithm.algorithm.to_id_string();
    match (algorithm.as_str(), key.parsed()) {
        ("1.2.840.10045.2.1", _) => {
            let curve = key.algorithm.parameters.as_ref();
            let curve = curve.and_then(|curve| curve.as_oid().ok());
            match curve.map(|curve| curve.to_id_string()).as_deref() {
                Some("1.2.840.10045.3.1.7") => "ECDSA on P-256".to_owned(),
                Some("1.3.132.0.34") => "ECDSA on P-384".to_owned(),
                Some("1.3.132.0.35") => "ECDSA on P-521".to_owned(),
                Some(other) => format!("ECDSA on the curve {other}"),
                None => "ECDSA on an unnamed curve".to_owned(),
            }
        }
        ("1.3.101.112", _) => "Ed25519".to_owned(),
        ("1.3.101.113", _) => "Ed448".to_owned(),
        (_, Ok(PublicKey::RSA(key))) => format!("RSA with {} bits", key.key_size()),
        (other, _) => format!("algorithm {other}"),
    }
}
