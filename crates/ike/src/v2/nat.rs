//! NAT detection (RFC 7296 section 2.23).

use std::net::{IpAddr, SocketAddr};

use crypto::Random;
use crypto::hash::sha1;
use wire::ike::{Notify, NotifyType, Payload};

use crate::path::Nat;
use crate::v2::contents::Contents;
use crate::v2::keys::Spis;

/// SHA-1(SPIi | SPIr | address | port).
fn hash(spis: Spis, place: SocketAddr) -> [u8; 20] {
    let (initiator, responder) = (spis.initiator.to_be_bytes(), spis.responder.to_be_bytes());
    let port = place.port().to_be_bytes();
    match place.ip() {
        IpAddr::V4(address) => sha1(&[&initiator, &responder, &address.octets(), &port]),
        IpAddr::V6(address) => sha1(&[&initiator, &responder, &address.octets(), &port]),
    }
}

/// The two notifications for an IKE_SA_INIT message from `local` to `remote`. To force ESP into
/// UDP our own address is given falsely, so that the peer, too, believes in a NAT.
pub(crate) fn payloads(
    spis: Spis,
    local: SocketAddr,
    remote: SocketAddr,
    force: bool,
    random: &mut dyn Random,
) -> [Payload; 2] {
    let mut source = hash(spis, local);
    if force {
        random.fill(&mut source);
    }
    let notify = |kind, data: [u8; 20]| Payload::Notify(Notify::new(kind, data.to_vec()));
    [
        notify(NotifyType::NAT_DETECTION_SOURCE_IP, source),
        notify(NotifyType::NAT_DETECTION_DESTINATION_IP, hash(spis, remote)),
    ]
}

/// Whether a message holds the hashes.
pub(crate) fn has_hashes(contents: &Contents<'_>) -> bool {
    let kinds = [
        NotifyType::NAT_DETECTION_SOURCE_IP,
        NotifyType::NAT_DETECTION_DESTINATION_IP,
    ];
    kinds.iter().all(|kind| contents.notify(*kind).is_some())
}

/// What the peer's hashes tell about its message, which came to `local` from `remote`.
pub(crate) fn detect(
    contents: &Contents<'_>,
    spis: Spis,
    local: SocketAddr,
    remote: SocketAddr,
    forced: bool,
) -> Nat {
    let data = |kind| {
        let of_kind = move |notify: &&&Notify| notify.kind == kind;
        contents
            .notifies()
            .iter()
            .filter(of_kind)
            .map(|notify| notify.data.as_slice())
    };
    let mut sources = data(NotifyType::NAT_DETECTION_SOURCE_IP).peekable();
    let mut destinations = data(NotifyType::NAT_DETECTION_DESTINATION_IP).peekable();
    let supported = sources.peek().is_some() && destinations.peek().is_some();
    let theirs = hash(spis, remote);
    let ours = hash(spis, local);
    Nat {
        supported,
        // A peer with several addresses may send several hashes; one that fits is enough.
        remote: supported && !sources.any(|data| data == theirs),
        local: supported && !destinations.any(|data| data == ours),
        forced: supported && forced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::SeededRandom;

    const SPIS: Spis = Spis {
        initiator: 1,
        responder: 0,
    };

    fn place(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn seen(sent_from: &str, sent_to: &str, from: &str, to: &str, force: bool) -> Nat {
        let mut random = SeededRandom::new(9);
        let payloads = payloads(SPIS, place(sent_from), place(sent_to), force, &mut random);
        let contents = Contents::of(&payloads).unwrap();
        detect(&contents, SPIS, place(to), place(from), false)
    }

    #[test]
    fn no_nat() {
        let nat = seen(
            "10.0.0.1:500",
            "10.0.0.2:500",
            "10.0.0.1:500",
            "10.0.0.2:500",
            false,
        );
        assert_eq!(
            nat,
            Nat {
                supported: true,
                ..Nat::default()
            }
        );
        assert!(!nat.encapsulate());
    }

    #[test]
    fn a_nat_on_either_side_and_a_changed_port() {
        let nat = seen(
            "10.0.0.1:500",
            "10.0.0.2:500",
            "10.9.0.1:500",
            "10.0.0.2:500",
            false,
        );
        assert!(nat.remote && !nat.local && nat.encapsulate());
        let nat = seen(
            "10.0.0.1:500",
            "10.0.0.2:500",
            "10.0.0.1:500",
            "10.7.0.2:500",
            false,
        );
        assert!(!nat.remote && nat.local && nat.encapsulate());
        let nat = seen(
            "10.0.0.1:500",
            "10.0.0.2:500",
            "10.0.0.1:1024",
            "10.0.0.2:500",
            false,
        );
        assert!(nat.remote);
        let nat = seen("[::1]:500", "[::2]:500", "[::1]:500", "[::2]:500", false);
        assert!(!nat.encapsulate());
    }

    #[test]
    fn a_forced_nat_looks_like_one() {
        let nat = seen(
            "10.0.0.1:500",
            "10.0.0.2:500",
            "10.0.0.1:500",
            "10.0.0.2:500",
            true,
        );
        assert!(nat.remote && !nat.local);
    }

    #[test]
    fn without_hashes_there_is_no_encapsulation() {
        let contents = Contents::of(&[]).unwrap();
        let nat = detect(
            &contents,
            SPIS,
            place("10.0.0.1:500"),
            place("10.0.0.2:500"),
            true,
        );
        assert_eq!(nat, Nat::default());
    }
}
