//! Fragment payload ([MS-IKEE] section 2.2.3): a part of a message, a message by itself.

use crate::isakmp::limits;
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;

/// The flag of the fragment with the highest number.
const LAST: u8 = 0x01;

/// A part of a whole message, header and all, which is put together before it is decrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The same in all fragments of a message.
    pub id: u16,
    /// Counts from one upwards, to 64 when received.
    pub number: u8,
    /// Whether no fragment has a higher number.
    pub last: bool,
    /// This part of the message, never empty when received.
    pub data: Vec<u8>,
}

impl Fragment {
    pub(crate) fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let id = reader.u16()?;
        let number = reader.u8()?;
        if number == 0 || u16::from(number) > limits::FRAGMENTS {
            return reader.fail(Reason::FragmentNumber);
        }
        let last = reader.u8()? & LAST != 0;
        if reader.is_empty() {
            return reader.fail(Reason::FragmentLength);
        }
        Ok(Fragment {
            id,
            number,
            last,
            data: reader.rest().to_vec(),
        })
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&[self.number, if self.last { LAST } else { 0 }]);
        out.extend_from_slice(&self.data);
    }
}
