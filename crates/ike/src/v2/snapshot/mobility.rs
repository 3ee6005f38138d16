//! The addresses of an IKE SA that may change as octets, and back (RFC 4555).

use std::net::SocketAddr;

use crate::carrier::{Carrier, End};
use crate::limits;
use crate::path::{Nat, Path};
use crate::record::codec::{Reader, Writer};
use crate::v2::mobility::Mobility;

/// Writes a path down.
pub(crate) fn write_path(to: &mut Writer, path: &Path) {
    to.socket(path.local);
    to.socket(path.remote);
    let Nat {
        supported,
        local,
        remote,
        forced,
    } = path.nat;
    [supported, local, remote, forced]
        .into_iter()
        .for_each(|flag| to.flag(flag));
    to.u8(match path.carrier {
        Carrier::Udp => 0,
        Carrier::Tcp(End { originator, .. }) => 1 + u8::from(originator),
    });
}

/// What carries an IKE SA. A TCP connection ends at the member that had it.
fn carrier(from: &mut Reader<'_>) -> Option<Carrier> {
    let originator = match from.u8()? {
        0 => return Some(Carrier::Udp),
        number @ (1 | 2) => number == 2,
        _ => return None,
    };
    let open = false;
    Some(Carrier::Tcp(End { originator, open }))
}

/// Reads a path.
pub(crate) fn read_path(from: &mut Reader<'_>) -> Option<Path> {
    let (local, remote): (SocketAddr, SocketAddr) = (from.socket()?, from.socket()?);
    let nat = Nat {
        supported: from.flag()?,
        local: from.flag()?,
        remote: from.flag()?,
        forced: from.flag()?,
    };
    Some(Path {
        local,
        remote,
        nat,
        carrier: carrier(from)?,
    })
}

/// Writes down what is known of addresses. How a NAT maps ours is found out again.
pub(crate) fn write(to: &mut Writer, mobility: &Mobility) {
    to.flag(mobility.decides);
    to.list(&mobility.others, |to, address| to.address(*address));
    to.u32(mobility.moves);
    to.flag(mobility.due);
    to.option(mobility.proven.as_ref(), write_path);
    to.u8(mobility.nats);
}

/// Reads it.
pub(crate) fn read(from: &mut Reader<'_>) -> Option<Box<Mobility>> {
    Some(Box::new(Mobility {
        decides: from.flag()?,
        others: from.list(limits::ADDITIONAL_ADDRESSES, Reader::address)?,
        moves: from.u32()?,
        due: from.flag()?,
        proven: from.option(read_path)?,
        seen: None,
        nats: from.u8()?,
        searches: 0,
    }))
}
