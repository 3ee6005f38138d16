//! Where messages go, what NATs do to that, and how ESP travels because of it (RFC 7296 section
//! 2.23, RFC 3947 section 4).

use std::net::{IpAddr, SocketAddr};

use crypto::hash::sha256;
use policy::identity::Identity;
use policy::pad::{IkePort, IkeTemplate, Tcp};
use policy::sa::{Encapsulation, Hosts};

use crate::carrier::Carrier;

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
