//! Which local addresses may be used, and which are on their way out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use crate::event::Event;
use crate::id::IkeSaId;

/// An address that leaves, with the IKE SAs whose peers have not yet answered the Delete.
pub(crate) struct Leaving {
    pub(crate) until: Instant,
    pub(crate) waiting: BTreeSet<IkeSaId>,
    pub(crate) acknowledged: usize,
}

/// The state of every local address that was ever spoken of.
#[derive(Default)]
pub(crate) struct Addresses {
    inactive: BTreeSet<IpAddr>,
    /// Crash tokens may not be shown from these.
    secretive: BTreeSet<IpAddr>,
    leaving: BTreeMap<IpAddr, Leaving>,
}

impl Addresses {
    pub(crate) fn is_active(&self, address: IpAddr) -> bool {
        !self.inactive.contains(&address)
    }

    pub(crate) fn is_leaving(&self, address: IpAddr) -> bool {
        self.leaving.contains_key(&address)
    }

    pub(crate) fn set_active(&mut self, address: IpAddr, active: bool) {
        if active {
            self.inactive.remove(&address);
        } else {
            self.inactive.insert(address);
        }
    }

    pub(crate) fn show_tokens(&mut self, address: IpAddr, allowed: bool) {
        if allowed {
            self.secretive.remove(&address);
        } else {
            self.secretive.insert(address);
        }
    }

    /// Whether whoever asks for an unknown IKE SA of the address may get the proof that it is lost.
    pub(crate) fn may_show_tokens(&self, address: IpAddr) -> bool {
        self.is_active(address) && !self.secretive.contains(&address)
    }

    pub(crate) fn leave(&mut self, address: IpAddr, leaving: Leaving) {
        self.leaving.insert(address, leaving);
    }

    /// An IKE SA of an address that leaves is gone. Gives the account when it was the last.
    pub(crate) fn gone(&mut self, address: IpAddr, ike: IkeSaId) -> Option<Leaving> {
        let leaving = self.leaving.get_mut(&address)?;
        if leaving.waiting.remove(&ike) {
            leaving.acknowledged += 1;
        }
        match leaving.waiting.is_empty() {
            true => self.leaving.remove(&address),
            false => None,
        }
    }

    /// Gives up waiting for an address.
    pub(crate) fn give_up(&mut self, address: IpAddr) -> Option<Leaving> {
        self.leaving.remove(&address)
    }

    /// The next address that has waited long enough.
    pub(crate) fn due(&self) -> Option<(Instant, IpAddr)> {
        self.leaving
            .iter()
            .map(|(address, leaving)| (leaving.until, *address))
            .min()
    }
}

/// The news that an address may go.
pub(crate) fn released(address: IpAddr, account: &Leaving) -> Event {
    let (acknowledged, unanswered) = (account.acknowledged, account.waiting.len());
    Event::AddressReleased {
        address,
        acknowledged,
        unanswered,
    }
}
