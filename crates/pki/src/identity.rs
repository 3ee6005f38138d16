//! Who a certificate speaks for: names in its subjectAltName, as IKE compares them (RFC 4945
//! section 3.1).

use crate::error::Error;
use rcgen::SanType;
use std::fmt;
use std::net::IpAddr;

/// A name that a peer may present in an identification payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// ID_IPV4_ADDR or ID_IPV6_ADDR: an iPAddress.
    Address(IpAddr),
    /// ID_FQDN: a dNSName.
    Fqdn(String),
    /// ID_RFC822_ADDR: an rfc822Name.
    Email(String),
}

/// The longest name in the DNS, in characters (RFC 1035 section 2.3.4).
const MAX_DNS: usize = 253;
/// The longest address of electronic mail (RFC 5321 section 4.5.3.1.3).
const MAX_EMAIL: usize = 254;

impl Identity {
    /// Reads the text form, which is that of the policy file: an address, `name@domain`, or else a
    /// domain name, with a leading `@` or without.
    ///
    /// # Errors
    /// [`Error::BadIdentity`] with the reason.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = |reason| Error::BadIdentity {
            text: text.chars().take(MAX_EMAIL).collect(),
            reason,
        };
        let text = text.trim();
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        if text.starts_with("@#") {
            return Err(bad("a certificate cannot carry a key ID"));
        }
        let name = text.strip_prefix('@').unwrap_or(text);
        match name.rsplit_once('@') {
            Some((local, domain)) => {
                let fits = name.len() <= MAX_EMAIL
                    && !local.is_empty()
                    && local
                        .bytes()
                        .all(|byte| byte.is_ascii_graphic() && byte != b'@');
                match fits && is_domain(domain) {
                    true => Ok(Self::Email(name.to_owned())),
                    false => Err(bad("it is not an address of the form name@domain")),
                }
            }
            None if name.contains('*') => {
                Err(bad("IKE knows no wildcards (RFC 4945 section 3.1.2)"))
            }
            None if is_domain(name) => Ok(Self::Fqdn(name.to_owned())),
            None => Err(bad(
                "it is neither an IP address nor a domain name nor name@domain",
            )),
        }
    }

    /// As it stands in a certificate.
    ///
    /// # Errors
    /// [`Error::Making`] for what is not ASCII, which [`Identity::parse`] refuses.
    pub(crate) fn alternative_name(&self) -> Result<SanType, Error> {
        Ok(match self {
            Self::Address(address) => SanType::IpAddress(*address),
            Self::Fqdn(name) => SanType::DnsName(name.as_str().try_into().map_err(Error::making)?),
            Self::Email(name) => {
                SanType::Rfc822Name(name.as_str().try_into().map_err(Error::making)?)
            }
        })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Fqdn(name) | Self::Email(name) => f.write_str(name),
        }
    }
}

/// Labels of letters, digits, `-` and `_`, as hosts have them.
fn is_domain(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    // A name that ends in digits only is an address with a slip of the finger.
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= MAX_DNS
        && name.split('.').all(label)
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_have_the_policy_files_form() {
        let fqdn = |text: &str| Identity::Fqdn(text.to_owned());
        for (text, identity) in [
            ("10.0.0.100", Identity::Address([10, 0, 0, 100].into())),
            (
                "2001:db8::1",
                Identity::Address("2001:db8::1".parse().unwrap()),
            ),
            ("mail.example.org", fqdn("mail.example.org")),
            ("@mail", fqdn("mail")),
            ("a@b.example", Identity::Email("a@b.example".to_owned())),
        ] {
            assert_eq!(Identity::parse(text).unwrap(), identity);
        }
    }

    #[test]
    fn what_a_certificate_cannot_carry_is_refused_with_the_reason() {
        let long = format!("{}.example", "a".repeat(64));
        for (text, reason) in [
            ("@#0102", "key ID"),
            ("*.example.org", "wildcards"),
            ("", "neither"),
            ("mail.example.org.", "neither"),
            ("-a.example", "neither"),
            ("10.0.0.300", "neither"),
            (&long, "neither"),
            ("mäil.example", "neither"),
            ("@", "neither"),
            ("a b@example.org", "name@domain"),
            ("a@b@", "name@domain"),
        ] {
            let error = Identity::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
