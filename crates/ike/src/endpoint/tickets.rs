//! Tickets that we hold of lost IKE SAs, and those of our own that have served (RFC 5723 section
//! 4.3 and 6.3).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use policy::names::PeerName;
use policy::pad::Peer;

use crate::limits;
use crate::v2::sa::Sa;
use crate::v2::ticket::{Held, Name};

type Place = (PeerName, IpAddr, IpAddr);

/// Both sides' tickets.
#[derive(Default)]
pub(crate) struct Tickets {
    /// With the peer as it was when it granted the ticket.
    held: BTreeMap<Place, (Arc<Peer>, Arc<Held>)>,
    /// Until when they would have been good, in seconds since 1970.
    spent: BTreeMap<Name, u64>,
}

fn place(peer: &Peer, local: IpAddr, remote: IpAddr) -> Place {
    (peer.name.clone(), local, remote)
}

impl Tickets {
    /// Keeps the ticket of an IKE SA that was lost.
    pub(crate) fn keep(&mut self, sa: &mut Sa, now: Instant) {
        if self.held.len() >= limits::IKE_SAS {
            self.held.retain(|_, (_, held)| held.until > now);
        }
        let place = place(&sa.peer, sa.path.local.ip(), sa.path.remote.ip());
        let room = self.held.len() < limits::IKE_SAS;
        if let Some(held) = sa.recovery.ticket.take().filter(|_| room) {
            self.held.insert(place, (sa.peer.clone(), held));
        }
    }

    /// Takes out the ticket of a peer that is still what it was: it is shown once.
    pub(crate) fn take(
        &mut self,
        peer: &Peer,
        local: IpAddr,
        remote: IpAddr,
        now: Instant,
    ) -> Option<Arc<Held>> {
        let (before, held) = self.held.remove(&place(peer, local, remote))?;
        (peer.ike.resumption && before.same(peer) && held.until > now).then_some(held)
    }

    /// There is an IKE SA again: what was lost before it is not resumed any more.
    pub(crate) fn forget(&mut self, sa: &Sa) {
        let place = place(&sa.peer, sa.path.local.ip(), sa.path.remote.ip());
        self.held.remove(&place);
    }

    /// Whether a ticket has served, or so many have that another could not be remembered.
    pub(crate) fn is_spent(&mut self, name: &Name, seconds: u64) -> bool {
        if self.spent.len() >= limits::IKE_SAS {
            self.spent.retain(|_, expires| *expires > seconds);
        }
        self.spent.contains_key(name) || self.spent.len() >= limits::IKE_SAS
    }

    /// A ticket has served.
    pub(crate) fn spend(&mut self, name: Name, expires: u64) {
        self.spent.insert(name, expires);
    }
}
