//! The addresses of an IKE SA that may change as octets, and back (RFC 4555).

use crate::limits;
use crate::record::codec::{Reader, Writer};
use crate::record::path;
use crate::v2::mobility::Mobility;

/// Writes down what is known of addresses. How a NAT maps ours is found out again.
pub(crate) fn write(to: &mut Writer, mobility: &Mobility) {
    to.flag(mobility.decides);
    to.list(&mobility.others, |to, address| to.address(*address));
    to.u32(mobility.moves);
    to.flag(mobility.due);
    to.option(mobility.proven.as_ref(), path::write);
    to.u8(mobility.nats);
}

/// Reads it.
pub(crate) fn read(from: &mut Reader<'_>) -> Option<Box<Mobility>> {
    Some(Box::new(Mobility {
        decides: from.flag()?,
        others: from.list(limits::ADDITIONAL_ADDRESSES, Reader::address)?,
        moves: from.u32()?,
        due: from.flag()?,
        proven: from.option(path::read)?,
        seen: None,
        nats: from.u8()?,
        searches: 0,
    }))
}
