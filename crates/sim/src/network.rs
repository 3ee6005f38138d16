//! A bad network: links that lose, delay, reorder, double, change and cut, and neighbours that
//! believe what they last heard (RFC 826: who announces an address gets its packets).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::addresses::PATHS;
use crate::dice::Dice;
use crate::frame::HostId;

/// One direction between two hosts on one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Nothing passes.
    pub cut: bool,
    /// Datagrams of 1,000 that are lost.
    pub loss: u32,
    /// Datagrams of 1,000 that come twice.
    pub double: u32,
    /// Datagrams of 1,000 in which a bit changes.
    pub corrupt: u32,
    /// Datagrams of 1,000 that are late.
    pub late: u32,
    /// By how much those are late at most.
    pub lateness: Duration,
    /// How long every datagram takes.
    pub delay: Duration,
    /// How much longer some take; below it datagrams overtake one another.
    pub jitter: Duration,
}

impl Link {
    /// Half a millisecond, and nothing is lost.
    #[must_use]
    pub fn good() -> Self {
        Link {
            cut: false,
            loss: 0,
            double: 0,
            corrupt: 0,
            late: 0,
            lateness: Duration::ZERO,
            delay: Duration::from_micros(500),
            jitter: Duration::ZERO,
        }
    }
}

/// One copy of a datagram that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight {
    /// How long it takes.
    pub time: Duration,
    /// Which bit arrives changed, counted from the front, modulo the length.
    pub changed: Option<u64>,
}

/// Who is believed to have an address.
#[derive(Clone, Copy, Debug)]
struct Neighbour {
    host: HostId,
    /// Since when it has not answered.
    silent: Option<Duration>,
}

/// All links, and what every host believes of its neighbours.
pub struct Network {
    links: Vec<Vec<[Link; PATHS]>>,
    neighbours: Vec<BTreeMap<IpAddr, Neighbour>>,
    patience: Duration,
}

impl Network {
    /// A network between so many hosts. `patience` is how long a silent neighbour is believed in.
    #[must_use]
    pub fn new(hosts: usize, link: Link, patience: Duration) -> Self {
        Network {
            links: vec![vec![[link; PATHS]; hosts]; hosts],
            neighbours: vec![BTreeMap::new(); hosts],
            patience,
        }
    }

    /// One direction on one network.
    pub fn link_mut(&mut self, from: HostId, to: HostId, path: usize) -> &mut Link {
        &mut self.links[from][to][path]
    }

    /// Every direction of every network.
    pub fn links_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        self.links.iter_mut().flatten().flatten()
    }

    /// Whether nothing passes from one host to another on a network.
    #[must_use]
    pub fn is_cut(&self, from: HostId, to: HostId, path: usize) -> bool {
        self.links[from][to][path].cut
    }

    /// A host forgets its neighbours: it starts anew.
    pub fn forget(&mut self, host: HostId) {
        self.neighbours[host].clear();
    }

    /// A host hears another announce an address.
    pub fn hear(&mut self, host: HostId, announcer: HostId, address: IpAddr) {
        let neighbour = Neighbour {
            host: announcer,
            silent: None,
        };
        self.neighbours[host].insert(address, neighbour);
    }

    /// To which host a datagram for `address` goes. `has` says whether a host has an address now.
    ///
    /// A neighbour that does not answer is believed in for a while; then everyone who can be
    /// reached is asked, and one of those who have the address is believed.
    pub fn neighbour(
        &mut self,
        from: HostId,
        address: IpAddr,
        path: usize,
        now: Duration,
        has: &dyn Fn(HostId, IpAddr) -> bool,
        dice: &mut Dice,
    ) -> Option<HostId> {
        let links = &self.links;
        let both_ways = |to: HostId| !links[from][to][path].cut && !links[to][from][path].cut;
        if let Some(known) = self.neighbours[from].get_mut(&address) {
            let answers = has(known.host, address) && both_ways(known.host);
            match (answers, known.silent) {
                (true, _) => known.silent = None,
                (false, None) => known.silent = Some(now),
                (false, Some(_)) => {}
            }
            if known.silent.is_none_or(|since| now < since + self.patience) {
                return Some(known.host);
            }
        }
        let answer = |host: &HostId| *host != from && has(*host, address) && both_ways(*host);
        let answers: Vec<HostId> = (0..links.len()).filter(answer).collect();
        if answers.is_empty() {
            return None;
        }
        let host = *dice.pick(&answers);
        self.hear(from, host, address);
        Some(host)
    }

    /// How long a segment of a connection takes, and whether it must be sent again.
    pub fn segment(
        &self,
        from: HostId,
        to: HostId,
        path: usize,
        dice: &mut Dice,
    ) -> (Duration, bool) {
        let link = self.links[from][to][path];
        let late = match dice.chance(link.late) {
            true => link.lateness,
            false => Duration::ZERO,
        };
        let delay = link.delay + dice.time(Duration::ZERO, link.jitter + late);
        (delay, dice.chance(link.loss + link.corrupt))
    }

    /// The copies of a datagram that arrive: none, one or two.
    pub fn flights(&self, from: HostId, to: HostId, path: usize, dice: &mut Dice) -> Vec<Flight> {
        let link = self.links[from][to][path];
        if link.cut || dice.chance(link.loss) {
            return Vec::new();
        }
        let copies = if dice.chance(link.double) { 2 } else { 1 };
        let flight = |_| {
            let late = dice.chance(link.late);
            let lateness = if late { link.lateness } else { Duration::ZERO };
            let more = dice.time(Duration::ZERO, link.jitter + lateness);
            let changed = dice.chance(link.corrupt).then(|| dice.roll());
            Flight {
                time: link.delay + more,
                changed,
            }
        };
        (0..copies).map(flight).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIRTUAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 100));

    fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    #[test]
    fn loss_doubling_and_cuts_are_what_the_link_says() {
        let mut network = Network::new(2, Link::good(), ms(1000));
        let mut dice = Dice::new(1);
        let count = |network: &Network, dice: &mut Dice| -> usize {
            (0..1000)
                .map(|_| network.flights(0, 1, 0, dice).len())
                .sum()
        };
        assert_eq!(count(&network, &mut dice), 1000);
        network.link_mut(0, 1, 0).loss = 300;
        assert!((600..800).contains(&count(&network, &mut dice)));
        *network.link_mut(0, 1, 0) = Link {
            double: 200,
            ..Link::good()
        };
        assert!((1100..1300).contains(&count(&network, &mut dice)));
        network.link_mut(0, 1, 0).cut = true;
        assert_eq!(count(&network, &mut dice), 0);
        assert_eq!(network.flights(1, 0, 0, &mut dice).len(), 1);
        assert_eq!(network.flights(0, 1, 1, &mut dice).len(), 1);
    }

    #[test]
    fn the_last_announcer_gets_the_packets_even_when_another_still_has_the_address() {
        let mut network = Network::new(3, Link::good(), ms(1000));
        let mut dice = Dice::new(1);
        let both = |host: HostId, _| host > 0;
        network.hear(0, 1, VIRTUAL);
        assert_eq!(
            network.neighbour(0, VIRTUAL, 0, ms(0), &both, &mut dice),
            Some(1)
        );
        network.hear(0, 2, VIRTUAL);
        assert_eq!(
            network.neighbour(0, VIRTUAL, 0, ms(1), &both, &mut dice),
            Some(2)
        );
    }

    #[test]
    fn a_silent_neighbour_is_replaced_after_a_while() {
        let mut network = Network::new(3, Link::good(), ms(1000));
        let mut dice = Dice::new(1);
        network.hear(0, 1, VIRTUAL);
        let second = |host: HostId, _| host == 2;
        let nobody = |_, _| false;
        assert_eq!(
            network.neighbour(0, VIRTUAL, 0, ms(0), &second, &mut dice),
            Some(1)
        );
        assert_eq!(
            network.neighbour(0, VIRTUAL, 0, ms(999), &second, &mut dice),
            Some(1)
        );
        assert_eq!(
            network.neighbour(0, VIRTUAL, 0, ms(1000), &nobody, &mut dice),
            None
        );
        assert_eq!(
            network.neighbour(0, VIRTUAL, 0, ms(1000), &second, &mut dice),
            Some(2)
        );
    }
}
