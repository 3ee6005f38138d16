//! What all tasks of a node's links share.

use crate::inbox::Item;
use crate::limits::{MAX_HANDSHAKES, MAX_REFUSALS};
use crate::refusal::Refusal;
use crate::settings::Timing;
use crate::socket::Options;
use crate::tls::Tls;
use rustls::pki_types::ServerName;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc};

/// A peer, ready to be reached or recognised.
pub(crate) struct Member {
    pub(crate) name: Arc<str>,
    pub(crate) certified: ServerName<'static>,
    pub(crate) addresses: Vec<SocketAddr>,
}

/// What all tasks share.
pub(crate) struct Context {
    pub(crate) own: Member,
    pub(crate) tls: Tls,
    pub(crate) options: Options,
    pub(crate) timing: Timing,
    pub(crate) queue: usize,
    pub(crate) news: mpsc::Sender<Item>,
    pub(crate) refusals: Refusals,
    pub(crate) places: Places,
}

impl Context {
    /// Reports a connection that did not become a link, unless there are too many.
    pub(crate) fn refused(&self, from: SocketAddr, why: Refusal) {
        if self.refusals.may_report(Instant::now()) {
            // When the owner is that far behind, this is what it can miss.
            let _ = self.news.try_send(Item::Refused(from, why));
        }
    }
}

/// Counts reports of refusals: [`MAX_REFUSALS`] per second.
pub(crate) struct Refusals(Mutex<(Instant, u32)>);

impl Refusals {
    pub(crate) fn new(now: Instant) -> Self {
        Self(Mutex::new((now, 0)))
    }

    fn may_report(&self, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(state.0) >= Duration::from_secs(1) {
            *state = (now, 0);
        }
        state.1 += 1;
        state.1 <= MAX_REFUSALS
    }
}

/// Places for handshakes: strangers cannot take those of the peers' addresses, which nobody can
/// forge in a TCP connection without being on the path.
pub(crate) struct Places {
    known: Vec<IpAddr>,
    peers: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

impl Places {
    pub(crate) fn new(known: Vec<IpAddr>) -> Self {
        Self {
            known,
            peers: Arc::new(Semaphore::new(MAX_HANDSHAKES)),
            others: Arc::new(Semaphore::new(MAX_HANDSHAKES)),
        }
    }

    /// The places for connections from this address.
    pub(crate) fn of(&self, from: IpAddr) -> &Arc<Semaphore> {
        if self.known.contains(&from) {
            &self.peers
        } else {
            &self.others
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_reported_in_part() {
        let start = Instant::now();
        let refusals = Refusals::new(start);
        for second in 0..3 {
            let now = start + Duration::from_secs(second);
            let reported = (0..1000).filter(|_| refusals.may_report(now)).count();
            assert_eq!(reported, MAX_REFUSALS as usize);
        }
    }

    #[test]
    fn strangers_do_not_take_the_places_of_peers() {
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        let places = Places::new(vec![peer]);
        let other = places.of("192.0.2.2".parse().unwrap());
        let taken: Vec<_> = (0..)
            .map_while(|_| other.clone().try_acquire_owned().ok())
            .collect();
        assert_eq!(taken.len(), MAX_HANDSHAKES);
        assert!(places.of(peer).clone().try_acquire_owned().is_ok());
    }
}
