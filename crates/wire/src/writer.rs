//! Writing with lengths that must fit their fields: what does not fit is an error, never cut.

use std::fmt;

/// Something is larger than the length or count field that has to describe it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// What is too large.
    pub what: &'static str,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} does not fit its length field; send less of it",
            self.what
        )
    }
}

impl std::error::Error for TooLong {}

/// A length or count as one octet.
pub(crate) fn octet(value: usize, what: &'static str) -> Result<u8, TooLong> {
    u8::try_from(value).map_err(|_| TooLong { what })
}

/// Writes with `body` and puts the length of all of it, `header` octets included, into the two
/// octets at `field` within the header that is written first.
pub(crate) fn with_length(
    out: &mut Vec<u8>,
    header: &[u8],
    field: usize,
    what: &'static str,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), TooLong>,
) -> Result<(), TooLong> {
    let start = out.len();
    out.extend_from_slice(header);
    body(out)?;
    let length = u16::try_from(out.len() - start).map_err(|_| TooLong { what })?;
    out[start + field..start + field + 2].copy_from_slice(&length.to_be_bytes());
    Ok(())
}
