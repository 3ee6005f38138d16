//! The OCSP responder that a certificate names (authorityInfoAccess, RFC 5280 section 4.2.2.1).

use crate::error::Error;
use crate::limits::MAX_URL;
use der::Encode;
use der::asn1::{Ia5String, ObjectIdentifier};
use rcgen::CustomExtension;
use std::str::FromStr;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AccessDescription, AuthorityInfoAccessSyntax};

/// id-pe-authorityInfoAccess, as `rcgen` takes it.
const ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];
/// id-ad-ocsp.
const OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");

/// An `http` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Responder(String);

impl FromStr for Responder {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let host = text.strip_prefix("http://").unwrap_or_default();
        let named = host.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[');
        match named && text.len() <= MAX_URL && text.bytes().all(|one| one.is_ascii_graphic()) {
            true => Ok(Self(text.to_owned())),
            false => Err(
                "write http://HOST/PATH: what a responder says is signed, so that it \
                          needs no TLS",
            ),
        }
    }
}

impl Responder {
    pub(crate) fn extension(&self) -> Result<CustomExtension, Error> {
        let uri = Ia5String::new(&self.0).map_err(Error::making)?;
        let access = AuthorityInfoAccessSyntax(vec![AccessDescription {
            access_method: OCSP,
            access_location: GeneralName::UniformResourceIdentifier(uri),
        }]);
        let der = access.to_der().map_err(Error::making)?;
        Ok(CustomExtension::from_oid_content(ACCESS, der))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_url_of_a_responder() {
        for good in [
            "http://ocsp.example",
            "http://10.0.0.1:8080/a",
            "http://[::1]/",
        ] {
            assert_eq!(Responder::from_str(good).unwrap().0, good);
        }
        let long = format!("http://{}", "a".repeat(MAX_URL));
        for bad in [
            "",
            "http://",
            "https://a/",
            "http:///a",
            "http://a b",
            &long,
        ] {
            assert!(Responder::from_str(bad).is_err(), "{bad}");
        }
    }
}
