//! Datagrams that come before their SA: a peer that has the keys may send on a new SA before its
//! answer to CREATE_CHILD_SA, or the network may turn the two round (RFC 7296 section 2.8).

use std::collections::VecDeque;

use crate::inbound::Arrival;

/// How long one is kept, in nanoseconds: what an answer may be late by, not a retransmission.
pub const EARLY: u64 = 100_000_000;
/// How many are kept, and how many octets of them together.
const MAX_DATAGRAMS: usize = 32;
const MAX_OCTETS: usize = 48 * 1024;

/// The last datagrams for SPIs that no SA had. Nothing in them is verified: whoever floods us with
/// invented SPIs loses others this favour, and no more.
#[derive(Default)]
pub(crate) struct EarlyDatagrams {
    kept: VecDeque<Kept>,
    octets: usize,
}

struct Kept {
    spi: u32,
    arrival: Arrival,
    datagram: Vec<u8>,
    until: u64,
}

impl EarlyDatagrams {
    /// Keeps one, in the place of the oldest where there is no room.
    pub(crate) fn keep(&mut self, spi: u32, arrival: &Arrival, datagram: &[u8], now: u64) {
        if datagram.len() > MAX_OCTETS {
            return;
        }
        let full = |early: &Self| {
            early.kept.len() >= MAX_DATAGRAMS || early.octets + datagram.len() > MAX_OCTETS
        };
        while full(self) {
            self.take(0);
        }
        self.octets += datagram.len();
        self.kept.push_back(Kept {
            spi,
            arrival: Arrival {
                place: 0..datagram.len(),
                ..arrival.clone()
            },
            datagram: datagram.to_vec(),
            until: now.saturating_add(EARLY),
        });
    }

    /// The oldest one whose SA has come meanwhile. Those that have waited for too long are gone.
    pub(crate) fn poll(
        &mut self,
        now: u64,
        installed: impl Fn(u32) -> bool,
    ) -> Option<(Arrival, Vec<u8>)> {
        while self.kept.front().is_some_and(|one| one.until <= now) {
            self.take(0);
        }
        let at = self.kept.iter().position(|one| installed(one.spi))?;
        let one = self.take(at)?;
        Some((one.arrival, one.datagram))
    }

    fn take(&mut self, at: usize) -> Option<Kept> {
        let one = self.kept.remove(at)?;
        self.octets -= one.datagram.len();
        Some(one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn arrival() -> Arrival {
        Arrival {
            source: IpAddr::from([192, 0, 2, 1]),
            destination: IpAddr::from([192, 0, 2, 2]),
            traffic_class: 3,
            place: 20..60,
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_goes_first() {
        let mut early = EarlyDatagrams::default();
        for spi in 0..1000 {
            early.keep(spi, &arrival(), &[0; 40], 0);
        }
        assert_eq!((early.kept.len(), early.octets), (32, 32 * 40));
        assert!(early.poll(0, |spi| spi < 968).is_none());
        assert!(early.poll(0, |spi| spi == 968).is_some());
        for spi in 0..1000 {
            early.keep(spi, &arrival(), &[0; 9000], 0);
        }
        assert_eq!((early.kept.len(), early.octets), (5, 45_000));
        early.keep(7, &arrival(), &[0; MAX_OCTETS + 1], 0);
        assert_eq!(early.kept.len(), 5);
    }

    #[test]
    fn each_is_given_once_in_their_order_and_none_too_late() {
        let mut early = EarlyDatagrams::default();
        for (spi, now) in [(1, 0u64), (2, 10), (1, 20)] {
            early.keep(spi, &arrival(), &now.to_be_bytes(), now);
        }
        let first = early.poll(EARLY - 1, |spi| spi == 1);
        let (taken, datagram) = first.unwrap();
        assert_eq!((taken.traffic_class, taken.place), (3, 0..8));
        assert_eq!(datagram, 0u64.to_be_bytes());
        // The second one has waited for too long.
        let second = early.poll(EARLY + 10, |_| true).unwrap();
        assert_eq!(second.1, 20u64.to_be_bytes());
        assert!(early.poll(EARLY + 10, |_| true).is_none());
        assert_eq!((early.kept.len(), early.octets), (0, 0));
    }
}
