//! How large packets may be on the way to each peer (RFC 4301 8.2, RFC 1191 6.3, RFC 8201 4).

use std::collections::BTreeMap;
use std::net::IpAddr;

use wire::ip::icmp::{MIN_V4, MIN_V6};

/// Peers of which something is remembered; of others the path is taken for as large as the link.
const MAX_PATHS: usize = 4096;
/// How long a smaller MTU is believed, in nanoseconds: then the path may have become better.
pub(crate) const MAX_AGE: u64 = 600_000_000_000;
/// How long after one change the MTU of the same path may change again, in nanoseconds.
const PAUSE: u64 = 100_000_000;
/// Messages of routers that are looked at within a second: each may look at every SA.
const MAX_SAID: u32 = 20;
const SECOND: u64 = 1_000_000_000;

/// The MTUs of paths that are smaller than the link.
#[derive(Default)]
pub(crate) struct Paths {
    known: BTreeMap<IpAddr, Known>,
    said: u32,
    window: u64,
}

#[derive(Clone, Copy)]
struct Known {
    mtu: u16,
    since: u64,
}

impl Paths {
    /// The MTU of a path, unless it is that of the link.
    pub(crate) fn mtu(&self, remote: IpAddr) -> Option<u16> {
        self.known.get(&remote).map(|known| known.mtu)
    }

    /// Whether another message of a router may be looked at now.
    pub(crate) fn may_listen(&mut self, now: u64) -> bool {
        if now >= self.window.saturating_add(SECOND) {
            (self.window, self.said) = (now, 0);
        }
        self.said = self.said.saturating_add(1);
        self.said <= MAX_SAID
    }

    /// Packets of at most this size pass to a peer. Says whether that is news: smaller than what
    /// was known, and not smaller than any path may be.
    pub(crate) fn lower(&mut self, remote: IpAddr, mtu: u32, now: u64) -> bool {
        let least = if remote.is_ipv4() { MIN_V4 } else { MIN_V6 };
        let Ok(mtu) = u16::try_from(mtu) else {
            return false;
        };
        let full = self.known.len() >= MAX_PATHS;
        let fresh = match self.known.get(&remote) {
            Some(known) => mtu < known.mtu && now >= known.since.saturating_add(PAUSE),
            None => !full,
        };
        if mtu < least || !fresh {
            return false;
        }
        self.known.insert(remote, Known { mtu, since: now });
        true
    }

    /// Forgets what is too old; answers whose paths these were.
    pub(crate) fn expire(&mut self, now: u64) -> Vec<IpAddr> {
        let is_old = |known: &Known| now >= known.since.saturating_add(MAX_AGE);
        let old = self.known.iter().filter(|(_, known)| is_old(known));
        let old: Vec<IpAddr> = old.map(|(remote, _)| *remote).collect();
        for remote in &old {
            self.known.remove(remote);
        }
        old
    }

    /// Every path of which something is known.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (IpAddr, u16)> {
        self.known
            .iter()
            .map(|(remote, known)| (*remote, known.mtu))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::address;

    #[test]
    fn a_path_becomes_smaller_with_pauses_and_larger_with_time() {
        let (remote, mut paths) = (address(false, 2), Paths::default());
        assert!(!paths.lower(remote, 575, 0) && !paths.lower(remote, 70_000, 0));
        assert!(paths.lower(remote, 1400, 0));
        assert!(!paths.lower(remote, 1400, PAUSE) && !paths.lower(remote, 1500, PAUSE));
        assert!(!paths.lower(remote, 1300, PAUSE - 1) && paths.lower(remote, 1300, PAUSE));
        assert_eq!(paths.mtu(remote), Some(1300));
        assert!(paths.expire(PAUSE + MAX_AGE - 1).is_empty());
        assert_eq!(paths.expire(PAUSE + MAX_AGE), [remote]);
        assert_eq!(paths.mtu(remote), None);
        let remote = address(true, 2);
        assert!(!paths.lower(remote, 1279, 0) && paths.lower(remote, 1280, 0));
    }

    #[test]
    fn who_says_much_is_not_listened_to() {
        let mut paths = Paths::default();
        let heard = |paths: &mut Paths, now| (0..100).filter(|_| paths.may_listen(now)).count();
        assert_eq!(heard(&mut paths, 5), 20);
        assert_eq!(heard(&mut paths, SECOND - 1), 0);
        assert_eq!(heard(&mut paths, SECOND), 20);
    }

    #[test]
    fn of_so_many_paths_and_no_more_something_is_remembered() {
        let mut paths = Paths::default();
        let remote = |number: usize| IpAddr::from((0x0b00_0000 + number as u32).to_be_bytes());
        for number in 0..MAX_PATHS {
            assert!(paths.lower(remote(number), 1400, 0));
        }
        assert!(!paths.lower(remote(MAX_PATHS), 1400, 0));
        assert!(paths.lower(remote(0), 1300, PAUSE));
        assert_eq!(paths.iter().count(), MAX_PATHS);
    }
}
