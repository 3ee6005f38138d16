//! Identification payloads, initiator's and responder's (RFC 7296 section 3.5).

use crate::ike::limits;
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;

/// Who a peer says it is; nothing is true of it before AUTH is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identification {
    /// The type, an `ID_` number of [`numbers`](crate::ike::numbers).
    pub kind: u8,
    /// The identity as that type writes it.
    pub data: Vec<u8>,
}

impl Identification {
    pub(crate) fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let kind = reader.u8()?;
        reader.array::<3>()?;
        if reader.remaining() > limits::IDENTIFICATION {
            return reader.fail(Reason::IdentificationLength);
        }
        Ok(Identification {
            kind,
            data: reader.rest().to_vec(),
        })
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.body());
    }

    /// The payload's octets after its generic header: what AUTH signs as `IDi'` or `IDr'`
    /// (RFC 7296 section 2.15), given that the reserved octets are zero.
    pub fn body(&self) -> Vec<u8> {
        let mut out = vec![self.kind, 0, 0, 0];
        out.extend_from_slice(&self.data);
        out
    }
}
