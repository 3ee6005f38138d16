//! Who a peer says it is: identification payloads (RFC 7296 section 3.5).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::ike::numbers::{
    ID_DER_ASN1_DN, ID_FQDN, ID_IPV4_ADDR, ID_IPV6_ADDR, ID_KEY_ID, ID_RFC822_ADDR,
};
use x509::{BadName, DistinguishedName};

/// An identity as the policy names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// As the peer's: whoever can authenticate. As our own: the address we talk from.
    Any,
    /// ID_IPV4_ADDR or ID_IPV6_ADDR.
    Address(IpAddr),
    /// ID_FQDN.
    Fqdn(String),
    /// ID_RFC822_ADDR.
    Email(String),
    /// ID_DER_ASN1_DN: the subject of a certificate.
    Dn(DistinguishedName),
    /// ID_KEY_ID: opaque bytes.
    KeyId(Vec<u8>),
    /// A kind that we do not use, kept to be shown. It matches only [`Identity::Any`].
    Other {
        /// ID type.
        kind: u8,
        /// Identification data.
        data: Vec<u8>,
    },
}

impl Identity {
    /// Reads the text form: an address, `name@domain`, `@#hex` for a key ID, a distinguished name
    /// (`C=DE, O=Example, CN=mail`), `any`, or otherwise a domain name (a leading `@` is allowed
    /// and dropped).
    ///
    /// # Errors
    /// [`BadIdentity`] when the text is none of these.
    pub fn parse(text: &str) -> Result<Self, BadIdentity> {
        let text = text.trim();
        if matches!(text, "any" | "%any") {
            return Ok(Identity::Any);
        }
        if let Ok(address) = text.parse() {
            return Ok(Identity::Address(address));
        }
        if let Some(digits) = text.strip_prefix("@#") {
            return hex(digits).map(Identity::KeyId).ok_or(BadIdentity::Hex);
        }
        let name = text.strip_prefix('@').unwrap_or(text);
        if text.contains('=') && name == text {
            let parsed = DistinguishedName::parse(text);
            return parsed.map(Identity::Dn).map_err(BadIdentity::Name);
        }
        let allowed = |c: char| c.is_ascii_graphic();
        if name.is_empty() {
            return Err(BadIdentity::Empty);
        }
        if name.len() > MAX_LENGTH || !name.chars().all(allowed) {
            return Err(BadIdentity::Characters);
        }
        match name.contains('@') {
            true => Ok(Identity::Email(name.to_owned())),
            false => Ok(Identity::Fqdn(name.to_owned())),
        }
    }

    /// The ID type and identification data to send; [`Identity::Any`] is sent as `address`.
    #[must_use]
    pub fn to_wire(&self, address: IpAddr) -> (u8, Vec<u8>) {
        match self {
            Identity::Any => Identity::Address(address).to_wire(address),
            Identity::Address(IpAddr::V4(own)) => (ID_IPV4_ADDR, own.octets().to_vec()),
            Identity::Address(IpAddr::V6(own)) => (ID_IPV6_ADDR, own.octets().to_vec()),
            Identity::Fqdn(name) => (ID_FQDN, name.as_bytes().to_vec()),
            Identity::Email(name) => (ID_RFC822_ADDR, name.as_bytes().to_vec()),
            Identity::Dn(name) => (ID_DER_ASN1_DN, name.der().to_vec()),
            Identity::KeyId(data) => (ID_KEY_ID, data.clone()),
            Identity::Other { kind, data } => (*kind, data.clone()),
        }
    }

    /// What a peer sent. Data that does not fit its kind gives [`Identity::Other`].
    #[must_use]
    pub fn from_wire(kind: u8, data: &[u8]) -> Self {
        let text = || {
            std::str::from_utf8(data)
                .ok()
                .filter(|text| !text.is_empty())
        };
        let known = match kind {
            ID_IPV4_ADDR => <[u8; 4]>::try_from(data)
                .ok()
                .map(|octets| Identity::Address(Ipv4Addr::from(octets).into())),
            ID_IPV6_ADDR => <[u8; 16]>::try_from(data)
                .ok()
                .map(|octets| Identity::Address(Ipv6Addr::from(octets).into())),
            ID_FQDN => text().map(|name| Identity::Fqdn(name.to_owned())),
            ID_RFC822_ADDR => text().map(|name| Identity::Email(name.to_owned())),
            ID_DER_ASN1_DN => DistinguishedName::from_der(data).map(Identity::Dn),
            ID_KEY_ID => Some(Identity::KeyId(data.to_vec())),
            _ => None,
        };
        known.unwrap_or_else(|| Identity::Other {
            kind,
            data: data.to_vec(),
        })
    }

    /// Whether a peer that presents `other` is the one meant here. Names compare without case. A
    /// distinguished name may have been written from either end: as OpenSSL shows it, or as RFC
    /// 4514 does.
    #[must_use]
    pub fn accepts(&self, other: &Identity) -> bool {
        match (self, other) {
            (Identity::Any, _) => true,
            (Identity::Fqdn(ours), Identity::Fqdn(theirs))
            | (Identity::Email(ours), Identity::Email(theirs)) => ours.eq_ignore_ascii_case(theirs),
            (Identity::Dn(ours), Identity::Dn(theirs)) => {
                ours == theirs || ours.is_reverse_of(theirs)
            }
            (ours, theirs) => ours == theirs,
        }
    }
}

/// Names longer than this are refused in the policy, in bytes.
pub const MAX_LENGTH: usize = 255;

fn hex(digits: &str) -> Option<Vec<u8>> {
    if digits.is_empty() || !digits.len().is_multiple_of(2) || digits.len() > 2 * MAX_LENGTH {
        return None;
    }
    let nibbles: Option<Vec<u8>> = digits
        .chars()
        .map(|c| c.to_digit(16).and_then(|nibble| nibble.try_into().ok()))
        .collect();
    Some(
        nibbles?
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |byte, n| byte << 4 | n))
            .collect(),
    )
}

/// The text form. Bytes from a peer are printed with escapes, never raw.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identity::Any => f.write_str("any"),
            Identity::Address(address) => write!(f, "{address}"),
            Identity::Fqdn(name) | Identity::Email(name) => {
                // What would be read as something else has a mark in front.
                let marked = match Identity::parse(name) {
                    Ok(read) => read != *self,
                    Err(why) => matches!(why, BadIdentity::Name(_)),
                };
                f.write_str(if marked { "@" } else { "" })?;
                write!(f, "{}", name.escape_debug())
            }
            Identity::Dn(name) => write!(f, "{name}"),
            Identity::KeyId(data) => {
                f.write_str("@#")?;
                data.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Identity::Other { kind, data } => {
                write!(f, "ID type {kind}, {} bytes", data.len())
            }
        }
    }
}

/// Why a text is no identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadIdentity {
    /// There is nothing.
    Empty,
    /// After `@#` there must be pairs of hexadecimal digits.
    Hex,
    /// It is too long or holds characters that no name has.
    Characters,
    /// It is no distinguished name, and looks like one.
    Name(BadName),
}

impl fmt::Display for BadIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadIdentity::Name(why) => return why.fmt(f),
            BadIdentity::Empty => "an identity cannot be empty",
            BadIdentity::Hex => "after `@#` a key ID needs pairs of hexadecimal digits",
            BadIdentity::Characters => {
                "an identity is at most 255 visible ASCII characters without spaces"
            }
        })
    }
}

impl std::error::Error for BadIdentity {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_kinds_by_their_text() {
        let kind =
            |text: &str| Identity::parse(text).map(|id| id.to_wire("::1".parse().unwrap()).0);
        assert_eq!(kind("10.0.0.1"), Ok(ID_IPV4_ADDR));
        assert_eq!(kind("2001:db8::1"), Ok(ID_IPV6_ADDR));
        assert_eq!(kind("mail.example.org"), Ok(ID_FQDN));
        assert_eq!(kind("@mail"), Ok(ID_FQDN));
        assert_eq!(kind("ops@example.org"), Ok(ID_RFC822_ADDR));
        assert_eq!(kind("@#00ff"), Ok(ID_KEY_ID));
        assert_eq!(kind("any"), Ok(ID_IPV6_ADDR), "our address stands for it");
        assert_eq!(kind(""), Err(BadIdentity::Empty));
        assert_eq!(kind("@#0"), Err(BadIdentity::Hex));
        assert_eq!(kind("two words"), Err(BadIdentity::Characters));
        assert_eq!(kind("C=DE, O=Two Words, CN=mail"), Ok(ID_DER_ASN1_DN));
        assert!(matches!(kind("X=Y"), Err(BadIdentity::Name(_))));
    }

    #[test]
    fn a_name_that_looks_like_something_else_is_printed_with_its_mark() {
        for text in ["@=", "@a=b@c", "@any", "@10.0.0.1", "@::1", "@@mail"] {
            let name = Identity::parse(text).unwrap();
            assert!(matches!(name, Identity::Fqdn(_) | Identity::Email(_)));
            assert_eq!(name.to_string(), text);
            assert_eq!(Identity::parse(text), Ok(name));
        }
        assert_eq!(Identity::parse("@mail").unwrap().to_string(), "mail");
    }

    #[test]
    fn who_is_who() {
        let id = |text: &str| Identity::parse(text).unwrap();
        assert!(id("Mail.Example.org").accepts(&id("mail.example.ORG")));
        assert!(!id("mail.example.org").accepts(&id("mail.example.net")));
        assert!(!id("10.0.0.1").accepts(&id("10.0.0.2")));
        assert!(Identity::Any.accepts(&Identity::Other {
            kind: 9,
            data: vec![1]
        }));
        assert!(!id("10.0.0.1").accepts(&Identity::Any));
        let name = id("C=DE, O=Example, CN=mail");
        assert!(id("/c=de/o=example/cn=MAIL").accepts(&name));
        assert!(
            id("CN=mail,O=Example,C=DE").accepts(&name),
            "as RFC 4514 writes it"
        );
        assert!(!id("O=Example, C=DE, CN=mail").accepts(&name));
        assert_eq!(
            Identity::from_wire(1, &[1, 2, 3]),
            Identity::Other {
                kind: 1,
                data: vec![1, 2, 3]
            }
        );
        assert_eq!(
            Identity::from_wire(2, b"a\n\x1b[0m").to_string(),
            "a\\n\\u{1b}[0m"
        );
    }

    proptest! {
        #[test]
        fn what_is_sent_comes_back(kind in any::<u8>(), data in any::<Vec<u8>>()) {
            let identity = Identity::from_wire(kind, &data);
            prop_assert_eq!(identity.to_wire("10.0.0.1".parse().unwrap()), (kind, data));
            let _ = identity.to_string();
        }

        #[test]
        fn names_read_what_they_print(text in "[!-~]{1,40}") {
            if let Ok(identity) = Identity::parse(&text)
                && !text.contains(['\\', '\'', '"'])
            {
                prop_assert_eq!(Identity::parse(&identity.to_string()), Ok(identity));
            }
        }
    }
}
