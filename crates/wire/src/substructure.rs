//! The header of proposals and transforms, in both versions of IKE (RFC 2408 section 3.5, RFC 7296
//! section 3.3.1).

use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;

/// Reads the header that proposals and transforms share: whether it is the last (0) or more follow
/// (`more`: 2 or 3), a reserved octet, and the length of all of it. Gives what follows the header.
pub(crate) fn substructure<'a>(
    reader: &mut Reader<'a>,
    more: u8,
) -> Result<(bool, Reader<'a>), Malformed> {
    let offset = reader.offset();
    let mark = reader.u8()?;
    reader.u8()?;
    let length = usize::from(reader.u16()?);
    let last = match mark {
        0 => true,
        mark if mark == more => false,
        _ => return Err(Malformed::new(Reason::LastSubstructure, offset)),
    };
    let Some(body) = length.checked_sub(4) else {
        return Err(Malformed::new(Reason::SubstructureLength, offset));
    };
    Ok((last, reader.part(body, Reason::SubstructureLength)?))
}
