//! Authentication payload (RFC 7296 section 3.8).

use crate::malformed::Malformed;
use crate::reader::Reader;

/// The proof of an identity over the first exchange's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthPayload {
    /// The method, an `AUTH_METHOD_` number of [`numbers`](crate::ike::numbers).
    pub method: u8,
    /// The signature or MAC.
    pub data: Vec<u8>,
}

impl AuthPayload {
    pub(crate) fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let method = reader.u8()?;
        reader.array::<3>()?;
        Ok(AuthPayload {
            method,
            data: reader.rest().to_vec(),
        })
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.method, 0, 0, 0]);
        out.extend_from_slice(&self.data);
    }
}
