//! Transforms and their attributes (RFC 7296 sections 3.3.2 and 3.3.5).

use crate::attribute::Attribute;
use crate::ike::kinds::TransformType;
use crate::ike::limits;
use crate::ike::numbers::{ATTRIBUTE_KEY_LENGTH, transform_name};
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;
use crate::writer::{TooLong, with_length};
use std::fmt;

/// One algorithm on offer. `Display` prints `ENCR_AES_GCM_16/128`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transform {
    /// What the algorithm is for.
    pub kind: TransformType,
    /// The algorithm's IANA number among its kind.
    pub id: u16,
    /// The Key Length attribute, in bits.
    pub key_length: Option<u16>,
    /// Every other attribute, none of which has a meaning: a transform that has one is not
    /// acceptable (RFC 7296 section 3.3.6).
    pub unknown_attributes: Vec<Attribute>,
}

impl Transform {
    /// An algorithm with no attribute.
    pub fn new(kind: TransformType, id: u16) -> Self {
        Transform {
            kind,
            id,
            key_length: None,
            unknown_attributes: Vec::new(),
        }
    }

    /// An algorithm with a key length in bits.
    pub fn with_key_length(kind: TransformType, id: u16, bits: u16) -> Self {
        Transform {
            key_length: Some(bits),
            ..Transform::new(kind, id)
        }
    }

    /// Reads what follows a transform's length: type, reserved octet, id and attributes.
    pub(crate) fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let kind = TransformType(reader.u8()?);
        reader.u8()?;
        let mut transform = Transform::new(kind, reader.u16()?);
        for count in 0.. {
            if reader.is_empty() {
                break;
            }
            if count == limits::ATTRIBUTES {
                return reader.fail(Reason::TooManyAttributes);
            }
            let attribute = Attribute::parse(&mut reader)?;
            match attribute {
                Attribute::Short(ATTRIBUTE_KEY_LENGTH, bits) => {
                    if transform.key_length.replace(bits).is_some() {
                        return reader.fail(Reason::DuplicateKeyLength);
                    }
                }
                other => transform.unknown_attributes.push(other),
            }
        }
        Ok(transform)
    }

    /// Appends the transform; `last` is the mark that none follows.
    pub(crate) fn emit(&self, last: bool, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let id = self.id.to_be_bytes();
        let header = [
            if last { 0 } else { 3 },
            0,
            0,
            0,
            self.kind.0,
            0,
            id[0],
            id[1],
        ];
        with_length(out, &header, 2, "a transform", |out| {
            if let Some(bits) = self.key_length {
                Attribute::Short(ATTRIBUTE_KEY_LENGTH, bits).emit(out)?;
            }
            self.unknown_attributes
                .iter()
                .try_for_each(|attribute| attribute.emit(out))
        })
    }
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match transform_name(self.kind, self.id) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "{}-{}", self.kind, self.id)?,
        }
        match self.key_length {
            Some(bits) => write!(f, "/{bits}"),
            None => Ok(()),
        }
    }
}
