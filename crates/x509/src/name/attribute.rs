//! One attribute of a distinguished name, ready to be compared and shown (RFC 5280 section 7.1,
//! RFC 4514 section 2.4).

use std::fmt;

use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Tag, Tagged};

/// How an attribute's value is written when a name is made from text.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Utf8,
    Printable,
    Ia5,
}

/// Attributes with names, the customary one first (RFC 4519, RFC 5280).
const KNOWN: &[(&str, &str, Kind)] = &[
    ("C", "2.5.4.6", Kind::Printable),
    ("ST", "2.5.4.8", Kind::Utf8),
    ("S", "2.5.4.8", Kind::Utf8),
    ("L", "2.5.4.7", Kind::Utf8),
    ("O", "2.5.4.10", Kind::Utf8),
    ("OU", "2.5.4.11", Kind::Utf8),
    ("CN", "2.5.4.3", Kind::Utf8),
    ("DC", "0.9.2342.19200300.100.1.25", Kind::Ia5),
    ("UID", "0.9.2342.19200300.100.1.1", Kind::Utf8),
    ("emailAddress", "1.2.840.113549.1.9.1", Kind::Ia5),
    ("E", "1.2.840.113549.1.9.1", Kind::Ia5),
    ("serialNumber", "2.5.4.5", Kind::Printable),
    ("SN", "2.5.4.4", Kind::Utf8),
    ("GN", "2.5.4.42", Kind::Utf8),
    ("T", "2.5.4.12", Kind::Utf8),
    ("title", "2.5.4.12", Kind::Utf8),
    ("street", "2.5.4.9", Kind::Utf8),
    ("postalCode", "2.5.4.17", Kind::Utf8),
    ("dnQualifier", "2.5.4.46", Kind::Printable),
    ("organizationIdentifier", "2.5.4.97", Kind::Utf8),
];

/// The object identifier of an attribute's name or dotted number.
pub(crate) fn named(name: &str) -> Option<(ObjectIdentifier, Kind)> {
    let known = KNOWN
        .iter()
        .find(|(known, _, _)| known.eq_ignore_ascii_case(name));
    let (number, kind) = match known {
        Some((_, number, kind)) => (*number, *kind),
        None => (name.strip_prefix("OID.").unwrap_or(name), Kind::Utf8),
    };
    Some((ObjectIdentifier::new(number).ok()?, kind))
}

/// An attribute: its type, and its value as it is compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Attribute {
    kind: ObjectIdentifier,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Text {
        /// As it came.
        shown: String,
        /// Without regard to case and spaces.
        compared: String,
    },
    /// No string that is known here: its tag and content.
    Octets(u8, Vec<u8>),
}

impl Value {
    fn key(&self) -> (u8, &[u8]) {
        match self {
            Value::Text { compared, .. } => (0, compared.as_bytes()),
            Value::Octets(tag, octets) => (*tag, octets),
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl std::hash::Hash for Value {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl Attribute {
    pub(crate) fn of(one: &AttributeTypeAndValue) -> Self {
        let octets = one.value.value();
        let value = match text(one.value.tag(), octets) {
            Some(shown) => Value::Text {
                compared: compared(&shown),
                shown,
            },
            None => Value::Octets(one.value.tag().number().value() as u8, octets.to_vec()),
        };
        Attribute {
            kind: one.oid,
            value,
        }
    }
}

fn text(tag: Tag, octets: &[u8]) -> Option<String> {
    match tag {
        Tag::Utf8String => std::str::from_utf8(octets).ok().map(str::to_owned),
        Tag::PrintableString | Tag::Ia5String | Tag::VisibleString | Tag::NumericString => octets
            .is_ascii()
            .then(|| octets.iter().map(|octet| char::from(*octet)).collect()),
        // Everybody writes Latin 1 into these.
        Tag::TeletexString => Some(octets.iter().map(|octet| char::from(*octet)).collect()),
        Tag::BmpString => {
            let (pairs, rest) = octets.as_chunks::<2>();
            let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            String::from_utf16(&units).ok().filter(|_| rest.is_empty())
        }
        _ => None,
    }
}

/// In lower case, with one space where there are many and none at the ends.
fn compared(text: &str) -> String {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    words.join(" ").to_lowercase()
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.kind.to_string();
        let known = KNOWN.iter().find(|(_, known, _)| *known == number);
        match known {
            Some((name, _, _)) => write!(f, "{name}=")?,
            None => write!(f, "{number}=")?,
        }
        match &self.value {
            Value::Text { shown, .. } => escape(shown, f),
            Value::Octets(tag, octets) => {
                write!(f, "#{tag:02x}")?;
                octets.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
        }
    }
}

/// RFC 4514 section 2.4; what does not print is written as the octets of its UTF-8.
fn escape(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let last = text.chars().count().saturating_sub(1);
    for (index, c) in text.chars().enumerate() {
        let edge = index == 0 || index == last;
        let shows = c == ' ' || !(c.is_control() || c.is_whitespace()) && shows(c);
        match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '/' => write!(f, "\\{c}")?,
            ' ' if edge => f.write_str("\\20")?,
            '#' if index == 0 => f.write_str("\\#")?,
            _ if shows => write!(f, "{c}")?,
            _ => {
                let mut octets = [0; 4];
                let octets = c.encode_utf8(&mut octets).as_bytes();
                octets
                    .iter()
                    .try_for_each(|octet| write!(f, "\\{octet:02x}"))?;
            }
        }
    }
    Ok(())
}

/// Whether Rust would print the character as it is: no mark that changes what is around it.
fn shows(c: char) -> bool {
    c.escape_debug().count() == 1 || c == '\''
}
