//! Key Exchange payload (RFC 7296 section 3.4).

use crate::ike::limits;
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;

/// A public Diffie-Hellman value; whether it has the group's exact length is `crypto`'s to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KePayload {
    /// The group's transform id.
    pub group: u16,
    /// The public value, never empty when received.
    pub data: Vec<u8>,
}

impl KePayload {
    pub(crate) fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let group = reader.u16()?;
        reader.u16()?;
        if !(1..=limits::KEY_EXCHANGE).contains(&reader.remaining()) {
            return reader.fail(Reason::KeyExchangeLength);
        }
        Ok(KePayload {
            group,
            data: reader.rest().to_vec(),
        })
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.group.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&self.data);
    }
}
