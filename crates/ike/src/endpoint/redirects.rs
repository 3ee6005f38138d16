//! How often peers have sent us to other gateways of late, so that we do not go in circles.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

use policy::names::PeerName;

use crate::limits;

/// When each peer has sent each of our addresses on, of late. As many entries as the policy has
/// peers that are followed, times our addresses.
#[derive(Default)]
pub(crate) struct Redirects(BTreeMap<(PeerName, IpAddr), VecDeque<Instant>>);

impl Redirects {
    /// Whether the peer may send us on.
    pub(crate) fn may(&self, peer: &PeerName, local: IpAddr, now: Instant) -> bool {
        let times = self.0.get(&(peer.clone(), local));
        let lately = times
            .into_iter()
            .flatten()
            .filter(|at| is_recent(**at, now));
        lately.count() < limits::REDIRECTS
    }

    /// The peer sends us on; `false` if it has done so too often.
    pub(crate) fn take(&mut self, peer: &PeerName, local: IpAddr, now: Instant) -> bool {
        let may = self.may(peer, local, now);
        self.0.retain(|_, times| {
            times.retain(|at| is_recent(*at, now));
            !times.is_empty()
        });
        if may {
            let times = self.0.entry((peer.clone(), local)).or_default();
            times.push_back(now);
        }
        may
    }
}

fn is_recent(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < limits::REDIRECT_PERIOD
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn five_times_in_five_minutes_and_no_more() {
        let (mut redirects, begin) = (Redirects::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        let (peer, local) = ("gw".into(), IpAddr::from([10, 0, 0, 1]));
        for second in 0..5 {
            assert!(redirects.take(&peer, local, at(second)));
        }
        assert!(!redirects.may(&peer, local, at(5)));
        assert!(!redirects.take(&peer, local, at(299)));
        assert!(redirects.take(&peer, IpAddr::from([10, 0, 0, 2]), at(5)));
        assert!(redirects.take(&"other".into(), local, at(5)));
        assert!(redirects.take(&peer, local, at(300)));
        assert!(!redirects.take(&peer, local, at(300)));
        assert!(redirects.take(&peer, local, at(700)));
        assert_eq!(redirects.0.len(), 1, "what is old is forgotten");
    }
}
