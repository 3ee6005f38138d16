//! Vendor ID payload (RFC 7296 section 3.12).

use crate::reader::Reader;

/// A constant by which an implementation or an extension makes itself known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorId(pub Vec<u8>);

impl VendorId {
    pub(crate) fn parse(mut reader: Reader<'_>) -> Self {
        VendorId(reader.rest().to_vec())
    }
}
