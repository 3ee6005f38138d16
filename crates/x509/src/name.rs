//! Distinguished names (X.501, RFC 5280 section 4.1.2.4): as DER, as text, and compared without
//! regard to case, spaces and kinds of strings (RFC 5280 section 7.1).

mod attribute;
mod text;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use x509_cert::der::{Decode, Encode};
use x509_cert::name::RdnSequence;

use crate::limits;
use crate::name::attribute::Attribute;

pub use text::BadName;

/// A distinguished name. Two are equal when X.501 says so, whatever their octets.
#[derive(Clone, Debug)]
pub struct DistinguishedName {
    /// As it came, so that it can be sent as it came.
    der: Vec<u8>,
    /// In the order of the encoding; within a relative name in the order of comparison.
    relative: Vec<Vec<Attribute>>,
}

impl DistinguishedName {
    /// Reads the DER of a Name. `None` when it is none, or longer than [`limits`] allow.
    #[must_use]
    pub fn from_der(der: &[u8]) -> Option<Self> {
        if der.len() > limits::NAME {
            return None;
        }
        let sequence = RdnSequence::from_der(der).ok()?;
        let attributes: usize = sequence.iter().map(|one| one.len()).sum();
        if attributes > limits::ATTRIBUTES {
            return None;
        }
        let relative = sequence.iter().map(|one| {
            let mut attributes: Vec<Attribute> = one.iter().map(Attribute::of).collect();
            attributes.sort();
            attributes
        });
        Some(DistinguishedName {
            relative: relative.collect(),
            der: der.to_vec(),
        })
    }

    /// Reads the text form: attributes in the order of the encoding, as OpenSSL and strongSwan
    /// show them (`C=DE, O=Example, CN=mail` or `/C=DE/O=Example/CN=mail`), with the escapes of
    /// RFC 4514.
    ///
    /// # Errors
    /// [`BadName`] when it is no name.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let der = text::parse(text)?.to_der().map_err(|_| BadName::TooLong)?;
        DistinguishedName::from_der(&der).ok_or(BadName::TooLong)
    }

    /// The DER, as it came.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether it names nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.relative.is_empty()
    }

    /// Whether both are equal when one is read from its other end, as RFC 4514 writes names.
    #[must_use]
    pub fn is_reverse_of(&self, other: &DistinguishedName) -> bool {
        self.relative.iter().eq(other.relative.iter().rev())
    }
}

impl PartialEq for DistinguishedName {
    fn eq(&self, other: &Self) -> bool {
        self.relative == other.relative
    }
}

impl Eq for DistinguishedName {}

impl PartialOrd for DistinguishedName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DistinguishedName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.relative.cmp(&other.relative)
    }
}

impl Hash for DistinguishedName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.relative.hash(state);
    }
}

/// The text form. What a peer sent is printed with escapes, never raw.
impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, relative) in self.relative.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            for (index, attribute) in relative.iter().enumerate() {
                f.write_str(if index == 0 { "" } else { "+" })?;
                attribute.fmt(f)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
