//! Distinguished names from text: attributes with commas or slashes between them, and the escapes
//! and quotation marks that RFC 4514 and OpenSSL write.

use std::fmt;

use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::SetOfVec;
use x509_cert::der::{Any, Tag};
use x509_cert::name::{RdnSequence, RelativeDistinguishedName};

use crate::limits;
use crate::name::attribute::{Kind, named};

/// Why a text is no distinguished name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadName {
    /// A part without `=`.
    NoValue(String),
    /// The name of an attribute that is not known.
    Attribute(String),
    /// Nothing behind `=`.
    Empty(String),
    /// A backslash or quotation mark without what belongs to it.
    Escape,
    /// A value holds characters that its attribute must not have.
    Characters(String),
    /// More than a name may have.
    TooLong,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadName::NoValue(part) => {
                write!(f, "`{}` in the name has no `=`", part.escape_debug())
            }
            BadName::Attribute(name) => write!(
                f,
                "`{}` is no attribute of a name; `C`, `O`, `OU`, `CN`, `DC` and others are",
                name.escape_debug()
            ),
            BadName::Empty(name) => write!(f, "`{}` in the name is empty", name.escape_debug()),
            BadName::Escape => f.write_str("a backslash or quotation mark in the name is alone"),
            BadName::Characters(name) => write!(
                f,
                "`{}` in the name has characters that it must not have",
                name.escape_debug()
            ),
            BadName::TooLong => f.write_str("the name is too long"),
        }
    }
}

impl std::error::Error for BadName {}

/// Reads a name.
pub(crate) fn parse(text: &str) -> Result<RdnSequence, BadName> {
    if text.len() > limits::NAME {
        return Err(BadName::TooLong);
    }
    let text = text.trim();
    let parts = match text.strip_prefix('/') {
        Some(rest) => split(rest, &['/'])?,
        None => split(text, &[',', ';'])?,
    };
    let mut sequence = RdnSequence::default();
    for part in parts {
        let attributes = split(part, &['+'])?;
        let attributes: Result<Vec<_>, _> = attributes.into_iter().map(attribute).collect();
        let set = SetOfVec::try_from(attributes?).map_err(|_| BadName::TooLong)?;
        sequence.push(RelativeDistinguishedName::from(set));
    }
    Ok(sequence)
}

/// The parts between separators that are neither escaped nor within quotation marks.
fn split<'a>(text: &'a str, separators: &[char]) -> Result<Vec<&'a str>, BadName> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut escaped, mut quoted) = (false, false);
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            c if separators.contains(&c) && !quoted => {
                parts.push(text.get(start..index).unwrap_or_default());
                start = index + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    match escaped || quoted {
        true => Err(BadName::Escape),
        false => Ok(parts),
    }
}

fn attribute(part: &str) -> Result<AttributeTypeAndValue, BadName> {
    let wrong = || BadName::NoValue(part.trim().to_owned());
    let (name, value) = part.split_once('=').ok_or_else(wrong)?;
    let (name, value) = (name.trim(), value.trim_matches(' '));
    let (oid, kind) = named(name).ok_or_else(|| BadName::Attribute(name.to_owned()))?;
    let value = unescape(value)?;
    if value.is_empty() {
        return Err(BadName::Empty(name.to_owned()));
    }
    let printable = |c: char| c.is_ascii_alphanumeric() || " '()+,-./:=?".contains(c);
    let (tag, fits) = match kind {
        Kind::Utf8 => (Tag::Utf8String, true),
        Kind::Printable => (Tag::PrintableString, value.chars().all(printable)),
        Kind::Ia5 => (Tag::Ia5String, value.is_ascii()),
    };
    if !fits {
        return Err(BadName::Characters(name.to_owned()));
    }
    let value = Any::new(tag, value.into_bytes()).map_err(|_| BadName::TooLong)?;
    Ok(AttributeTypeAndValue { oid, value })
}

/// Takes quotation marks, `\,` and `\2c` away.
fn unescape(text: &str) -> Result<String, BadName> {
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text);
    let mut octets = Vec::with_capacity(inner.len());
    let mut rest = inner.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            octets.push(*first);
            continue;
        }
        let digit = |octet: &u8| char::from(*octet).to_digit(16);
        let pair = match tail {
            [high, low, ..] => digit(high).zip(digit(low)),
            _ => None,
        };
        match (pair, tail) {
            (Some((high, low)), [_, _, after @ ..]) => {
                octets.extend(u8::try_from(high << 4 | low));
                rest = after;
            }
            (_, [literal, after @ ..]) => {
                octets.push(*literal);
                rest = after;
            }
            _ => return Err(BadName::Escape),
        }
    }
    String::from_utf8(octets).map_err(|_| BadName::Escape)
}
