//! Attributes of transforms in both versions of IKE (RFC 2408 section 3.3, RFC 7296 section 3.3).

use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;
use crate::writer::TooLong;

/// The top bit of an attribute's type: the value is two octets, in place of a length.
const SHORT_FORMAT: u16 = 0x8000;

/// An attribute of a transform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Type (15 bits) and a two-octet value; RFC 2409 calls it basic.
    Short(u16, u16),
    /// Type (15 bits) and a value with its own length; RFC 2409 calls it variable.
    Long(u16, Vec<u8>),
}

impl Attribute {
    /// A number in the shortest form that holds it: two octets, or a value of four.
    pub fn number(kind: u16, value: u32) -> Self {
        match u16::try_from(value) {
            Ok(short) => Attribute::Short(kind, short),
            Err(_) => Attribute::Long(kind, value.to_be_bytes().to_vec()),
        }
    }

    /// The type.
    pub fn kind(&self) -> u16 {
        match self {
            Attribute::Short(kind, _) | Attribute::Long(kind, _) => *kind,
        }
    }

    /// The value as a number: IKEv1 allows a number that fits two octets in either form. `None`
    /// for a value that is empty or above 64 bits.
    pub fn value(&self) -> Option<u64> {
        match self {
            Attribute::Short(_, value) => Some(u64::from(*value)),
            Attribute::Long(_, octets) if octets.is_empty() => None,
            Attribute::Long(_, octets) => octets.iter().try_fold(0_u64, |value, octet| {
                Some(value.checked_mul(256)? | u64::from(*octet))
            }),
        }
    }

    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let kind = reader.u16()?;
        let value = reader.u16()?;
        if kind & SHORT_FORMAT != 0 {
            return Ok(Attribute::Short(kind & !SHORT_FORMAT, value));
        }
        let octets = reader.take(usize::from(value), Reason::Truncated)?;
        Ok(Attribute::Long(kind, octets.to_vec()))
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let too_long = TooLong {
            what: "an attribute",
        };
        match self {
            Attribute::Short(kind, value) => {
                out.extend_from_slice(&(kind | SHORT_FORMAT).to_be_bytes());
                out.extend_from_slice(&value.to_be_bytes());
            }
            Attribute::Long(kind, octets) => {
                let length = u16::try_from(octets.len()).map_err(|_| too_long)?;
                out.extend_from_slice(&(kind & !SHORT_FORMAT).to_be_bytes());
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(octets);
            }
        }
        Ok(())
    }
}
