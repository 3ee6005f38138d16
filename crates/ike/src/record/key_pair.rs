//! The private key of a key exchange in flight as octets, and back (RFC 7296 section 3.4).

use crypto::{DhKeyPair, Group, Secret};

use crate::record::codec::{Reader, Writer};

/// Writes a key pair down.
pub(crate) fn write(to: &mut Writer, pair: &DhKeyPair) {
    to.u16(pair.group().id());
    to.octets(pair.private().as_bytes());
}

/// Reads what [`write()`] wrote.
pub(crate) fn read(from: &mut Reader<'_>) -> Option<DhKeyPair> {
    let group = Group::from_id(from.u16()?)?;
    DhKeyPair::from_private(group, Secret::from_slice(from.octets()?))
}
