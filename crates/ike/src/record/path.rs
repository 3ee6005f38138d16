//! A path as octets, and back.

use std::net::SocketAddr;

use crate::carrier::{Carrier, End};
use crate::path::{Nat, Path};
use crate::record::codec::{Reader, Writer};

/// Writes a path down.
pub(crate) fn write(to: &mut Writer, path: &Path) {
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
pub(crate) fn read(from: &mut Reader<'_>) -> Option<Path> {
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
