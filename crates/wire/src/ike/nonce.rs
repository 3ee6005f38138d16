//! Nonce payload (RFC 7296 section 3.9).

use crate::ike::limits;
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;

/// Fresh random octets of one side, 16 to 256 when received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(pub Vec<u8>);

impl Nonce {
    pub(crate) fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        if !(limits::NONCE_MIN..=limits::NONCE_MAX).contains(&reader.remaining()) {
            return reader.fail(Reason::NonceLength);
        }
        Ok(Nonce(reader.rest().to_vec()))
    }
}
