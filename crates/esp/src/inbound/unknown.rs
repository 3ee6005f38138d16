//! Datagrams for SAs that do not exist: reported, but not as often as they come
//! (RFC 7296 2.21.4, RFC 4303 3.4.2).

use std::collections::VecDeque;
use std::net::IpAddr;

/// How long until the same SPI from the same host is reported again, in nanoseconds.
pub const UNKNOWN_SPI_INTERVAL: u64 = 1_000_000_000;
/// Reports remembered, by a hash of host and SPI.
const PLACES: usize = 256;
/// Reports that wait to be fetched.
const MAX_REPORTS: usize = 64;

/// An ESP datagram for which there is no SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownSpi {
    /// The SPI it named.
    pub spi: u32,
    /// Outer source address: not verified, as nothing in the datagram is.
    pub source: IpAddr,
    /// Outer destination address.
    pub destination: IpAddr,
}

/// What was reported lately.
pub(crate) struct UnknownSpis {
    recent: Box<[Option<(UnknownSpi, u64)>; PLACES]>,
    reports: VecDeque<UnknownSpi>,
}

impl UnknownSpis {
    /// Reports a datagram unless the same was reported within the interval, or too many wait.
    pub(crate) fn note(&mut self, unknown: UnknownSpi, now: u64) {
        let Some(place) = self.recent.get_mut(place(&unknown)) else {
            return;
        };
        let again = |since: u64| now >= since.saturating_add(UNKNOWN_SPI_INTERVAL);
        let known = place.is_some_and(|(other, since)| other == unknown && !again(since));
        if !known && self.reports.len() < MAX_REPORTS {
            *place = Some((unknown, now));
            self.reports.push_back(unknown);
        }
    }

    /// The next report.
    pub(crate) fn poll(&mut self) -> Option<UnknownSpi> {
        self.reports.pop_front()
    }
}

impl Default for UnknownSpis {
    fn default() -> Self {
        let reports = VecDeque::with_capacity(MAX_REPORTS);
        UnknownSpis {
            recent: Box::new([None; PLACES]),
            reports,
        }
    }
}

fn place(unknown: &UnknownSpi) -> usize {
    let source = match unknown.source {
        IpAddr::V4(source) => u128::from(source.to_bits()),
        IpAddr::V6(source) => source.to_bits(),
    };
    let mixed = (source ^ source >> 64) as u64 ^ u64::from(unknown.spi) << 20;
    (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize % PLACES
}
