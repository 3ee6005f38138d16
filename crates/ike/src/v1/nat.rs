//! NAT detection of IKEv1 (RFC 3947 section 3.2).

use std::net::{IpAddr, SocketAddr};

use crypto::{Prf, Random};
use wire::isakmp::{Chain, NatDetection, NatNumbers, Payload};

use crate::path::Nat;
use crate::v1::keys::Cookies;

/// HASH(CKY-I | CKY-R | IP | port), with the hash that was negotiated.
fn hash(prf: Prf, cookies: Cookies, place: SocketAddr) -> Vec<u8> {
    let port = place.port().to_be_bytes();
    let of = |address: &[u8]| {
        prf.hash(&[&cookies.initiator, &cookies.responder, address, &port])
            .to_vec()
    };
    match place.ip() {
        IpAddr::V4(address) => of(&address.octets()),
        IpAddr::V6(address) => of(&address.octets()),
    }
}

/// The payloads for a message from `local` to `remote`: the receiver's end first. To force ESP
/// into UDP our own is given falsely, so that the peer, too, believes in a NAT.
pub(crate) fn payloads(
    numbers: NatNumbers,
    (prf, cookies): (Prf, Cookies),
    (local, remote): (SocketAddr, SocketAddr),
    force: bool,
    random: &mut dyn Random,
) -> [Payload; 2] {
    let mut own = hash(prf, cookies, local);
    if force {
        random.fill(&mut own);
    }
    let payload = |hash| Payload::NatDetection(NatDetection { numbers, hash });
    [payload(hash(prf, cookies, remote)), payload(own)]
}

/// What the peer's hashes tell about its message, which came to `local` from `remote`.
pub(crate) fn detect(
    chain: &Chain<'_>,
    numbers: NatNumbers,
    (prf, cookies): (Prf, Cookies),
    (local, remote): (SocketAddr, SocketAddr),
    forced: bool,
) -> Nat {
    let mut hashes = chain.payloads.iter().filter_map(|one| match &one.payload {
        Payload::NatDetection(one) if one.numbers == numbers => Some(one.hash.as_slice()),
        _ => None,
    });
    let Some(first) = hashes.next() else {
        return Nat::default();
    };
    let theirs = hash(prf, cookies, remote);
    // A peer with several addresses may send several hashes of its own; one that fits is enough.
    let mut own = hashes.peekable();
    let supported = own.peek().is_some();
    Nat {
        supported,
        local: supported && first != hash(prf, cookies, local),
        remote: supported && !own.any(|hash| hash == theirs),
        forced: supported && forced,
    }
}
