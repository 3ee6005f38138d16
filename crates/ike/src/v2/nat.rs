//! NAT detection, and where IKE and ESP travel because of it (RFC 7296 section 2.23).

use std::net::{IpAddr, SocketAddr};

use crypto::Random;
use crypto::hash::{sha1, sha256};
use policy::identity::Identity;
use policy::pad::{IkePort, IkeTemplate, Tcp};
use policy::sa::{Encapsulation, Hosts};
use wire::ike::{Notify, NotifyType, Payload};

use crate::v2::carrier::Carrier;
use crate::v2::contents::Contents;
use crate::v2::keys::Spis;

/// The port that IKE begins on.
pub(crate) const IKE: u16 = 500;
/// The port for IKE and ESP through a NAT.
pub(crate) const NAT_T: u16 = 4500;

/// Where an IKE SA's messages go, and what is known of NATs between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) nat: Nat,
    pub(crate) carrier: Carrier,
}

/// What the hashes tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nat {
    /// Both sides sent hashes.
    pub(crate) supported: bool,
    /// A NAT changes our address.
    pub(crate) local: bool,
    /// A NAT changes the peer's address, or the peer wants it to look so.
    pub(crate) remote: bool,
    /// We want ESP in UDP whatever the hashes say.
    pub(crate) forced: bool,
}

impl Nat {
    /// Whether ESP must travel in UDP.
    pub(crate) fn encapsulate(self) -> bool {
        self.supported && (self.local || self.remote || self.forced)
    }
}

impl Path {
    /// How ESP travels on this path.
    pub(crate) fn encapsulation(&self) -> Encapsulation {
        let (local_port, remote_port) = (self.local.port(), self.remote.port());
        match self.carrier {
            Carrier::Tcp(_) => Encapsulation::Tcp {
                local_port,
                remote_port,
            },
            Carrier::Udp if self.nat.encapsulate() => Encapsulation::Udp {
                local_port,
                remote_port,
            },
            Carrier::Udp => Encapsulation::None,
        }
    }

    /// A connection stands from this end of ours. Says whether it was wanted.
    pub(crate) fn connect(&mut self, local: SocketAddr) -> bool {
        let wanted = self.carrier.wants();
        if wanted {
            self.local = local;
            self.carrier.set_open(true);
        }
        wanted
    }

    /// The connection between these ends is lost. Says whether it was this one.
    pub(crate) fn disconnect(&mut self, local: SocketAddr, remote: SocketAddr) -> bool {
        let lost = self.runs_in(local, remote);
        if lost {
            self.carrier.set_open(false);
        }
        lost
    }

    /// Whether its messages go in this connection.
    pub(crate) fn runs_in(&self, local: SocketAddr, remote: SocketAddr) -> bool {
        self.carrier.stands() && (self.local, self.remote) == (local, remote)
    }

    /// The two hosts of transport mode, as they are seen here.
    pub(crate) fn hosts(&self) -> Hosts {
        Hosts {
            local: self.local.ip(),
            remote: self.remote.ip(),
        }
    }

    /// A number for whom we talk to, of the many that may be behind one NAT: who comes back from
    /// the same place with the same identity is the same.
    pub(crate) fn party(&self, identity: &Identity) -> Option<u64> {
        let place = self.remote.to_string();
        let digest = sha256(&[place.as_bytes(), b" ", identity.to_string().as_bytes()]);
        let number = digest.first_chunk().copied().map(u64::from_be_bytes);
        number.filter(|_| self.nat.remote)
    }

    /// An initiator moves to port 4500 once it knows of a NAT, or at once if one may appear later
    /// (RFC 4555 section 3.3).
    pub(crate) fn float(&mut self, may_move: bool) {
        let moves = self.nat.encapsulate() || may_move && self.nat.supported;
        if self.carrier == Carrier::Udp && moves && self.local.port() == IKE {
            self.local.set_port(NAT_T);
            self.remote.set_port(NAT_T);
        }
    }
}

/// Where a handshake with this peer begins. Which port of ours a TCP connection has is known once
/// it stands.
pub(crate) fn first_path(ike: &IkeTemplate, local: IpAddr, remote: IpAddr) -> Path {
    let (ours, theirs, carrier) = match (ike.tcp, ike.port) {
        (Tcp::Always(port), _) => (0, port, Carrier::WANTED),
        (_, IkePort::Standard500) => (IKE, IKE, Carrier::Udp),
        (_, IkePort::Only4500) => (NAT_T, NAT_T, Carrier::Udp),
    };
    Path {
        local: SocketAddr::new(local, ours),
        remote: SocketAddr::new(remote, theirs),
        nat: Nat::default(),
        carrier,
    }
}

/// Whether we want ESP in UDP even without a NAT. In TCP there is nothing to force (RFC 9329
/// section 6.5).
pub(crate) fn forced(ike: &IkeTemplate, carrier: Carrier) -> bool {
    carrier == Carrier::Udp && (ike.force_udp || ike.port == IkePort::Only4500)
}

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
