//! In a healthy network every group has exactly one owner.

use std::time::Duration;

use crate::addresses::CLIENT;
use crate::frame::HostId;

/// Who has a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders {
    /// The group.
    pub group: usize,
    /// Hosts that answer for its address.
    pub addresses: Vec<HostId>,
    /// Hosts where its services run.
    pub services: Vec<HostId>,
}

pub(crate) struct Owner {
    settle: Duration,
    /// How long two hosts may answer for an address: who has just given a group away passes on
    /// what still comes to it, if that is done at all.
    linger: Duration,
    /// Per group: since when nobody serves it.
    unserved: Vec<Option<Duration>>,
    /// Per group: since when two hosts have its address.
    doubled: Vec<Option<Duration>>,
}

impl Owner {
    pub(crate) fn new(groups: usize, settle: Duration, linger: Duration) -> Self {
        Owner {
            settle,
            linger,
            doubled: vec![None; groups.max(CLIENT + 1)],
            unserved: vec![None; groups.max(CLIENT + 1)],
        }
    }

    /// Looks at every group. `quiet_since` is when the last fault was mended, or now.
    pub(crate) fn look(
        &mut self,
        at: Duration,
        quiet_since: Duration,
        holders: &[Holders],
    ) -> Option<String> {
        let healthy = at >= quiet_since + self.settle;
        let mut found = None;
        for held in holders {
            let group = held.group;
            let Some(unserved) = self.unserved.get_mut(group) else {
                continue;
            };
            *unserved = match (healthy && held.services.is_empty(), *unserved) {
                (false, _) => None,
                (true, since) => since.or(Some(at)),
            };
            if !healthy {
                continue;
            }
            let doubled = &mut self.doubled[group];
            *doubled = match held.addresses.len() > 1 {
                true => doubled.or(Some(at)),
                false => None,
            };
            let doubled = doubled.is_some_and(|since| at >= since + self.linger);
            if held.services.len() > 1 || doubled {
                found = Some(format!("group {group} has two owners: {held:?}"));
            }
            if unserved.is_some_and(|since| at >= since + self.settle) {
                found = Some(format!(
                    "group {group} has had no owner for {:?}",
                    self.settle
                ));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_secs(2);

    fn held(hosts: &[HostId]) -> [Holders; 1] {
        [Holders {
            group: 0,
            addresses: hosts.to_vec(),
            services: hosts.to_vec(),
        }]
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn two_owners_are_allowed_only_while_the_network_is_ill() {
        let mut owner = Owner::new(1, SETTLE, Duration::ZERO);
        assert_eq!(owner.look(s(5), s(5), &held(&[1, 2])), None);
        assert_eq!(owner.look(s(6), s(5), &held(&[1, 2])), None);
        assert_eq!(owner.look(s(7), s(5), &held(&[2])), None);
        assert!(owner.look(s(7), s(5), &held(&[1, 2])).is_some());
    }

    #[test]
    fn no_owner_is_allowed_for_a_moment() {
        let mut owner = Owner::new(1, SETTLE, Duration::ZERO);
        assert_eq!(owner.look(s(10), s(5), &held(&[])), None);
        assert_eq!(owner.look(s(11), s(5), &held(&[1])), None);
        assert_eq!(owner.look(s(12), s(5), &held(&[])), None);
        assert!(owner.look(s(14), s(5), &held(&[])).is_some());
    }
}
