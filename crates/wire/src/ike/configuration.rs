//! Configuration payload (RFC 7296 section 3.15).

use crate::ike::limits;
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;
use crate::writer::TooLong;

/// A request for, or grant of, addresses and the like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// 1 request, 2 reply, 3 set, 4 acknowledge.
    pub kind: u8,
    /// What is asked or given.
    pub attributes: Vec<ConfigurationAttribute>,
}

/// One attribute of a Configuration payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationAttribute {
    /// The type, 15 bits.
    pub kind: u16,
    /// The value, empty to ask for one.
    pub value: Vec<u8>,
}

impl Configuration {
    pub(crate) fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let kind = reader.u8()?;
        reader.array::<3>()?;
        let mut attributes = Vec::new();
        while !reader.is_empty() {
            if attributes.len() == limits::CONFIGURATION_ATTRIBUTES {
                return reader.fail(Reason::TooManyAttributes);
            }
            let kind = reader.u16()? & 0x7fff;
            let length = usize::from(reader.u16()?);
            let value = reader.take(length, Reason::Truncated)?.to_vec();
            attributes.push(ConfigurationAttribute { kind, value });
        }
        Ok(Configuration { kind, attributes })
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        out.extend_from_slice(&[self.kind, 0, 0, 0]);
        for attribute in &self.attributes {
            let too_long = TooLong {
                what: "a configuration attribute",
            };
            let length = u16::try_from(attribute.value.len()).map_err(|_| too_long)?;
            out.extend_from_slice(&(attribute.kind & 0x7fff).to_be_bytes());
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&attribute.value);
        }
        Ok(())
    }
}
