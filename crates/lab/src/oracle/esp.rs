//! S1: no sequence number and no explicit IV twice under one key (RFC 4303 §2.2, RFC 4106 §3.1).

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::oracle::intervals::Intervals;
use crate::oracle::repeat::{Repeat, Sa, What};

/// SAs beyond this are not watched, which the report says: each costs a few hundred bytes.
const MOST_SAS: usize = 1 << 17;
/// Runs of numbers kept per SA and node; what comes then is not watched. Numbers in a row make
/// one run, but every random IV makes one.
const MOST_RUNS: usize = 1 << 20;
/// SPI, sequence number and the shortest explicit IV.
const SHORTEST: usize = 16;

/// How long the explicit IV of the agreed transform is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IvLength {
    /// AES-GCM (RFC 4106 §3.1), ChaCha20-Poly1305 (RFC 7634 §2).
    Eight,
    /// AES-CBC (RFC 3602 §3).
    Sixteen,
}

/// What one node used of one SA.
#[derive(Clone, Debug, Default)]
struct Used {
    numbers: Intervals,
    ivs: Intervals,
}

/// Everything that was used.
#[derive(Debug)]
pub(crate) struct Esp {
    iv: IvLength,
    sas: BTreeMap<Sa, BTreeMap<&'static str, Used>>,
    /// Packets per node.
    pub(crate) packets: BTreeMap<&'static str, u64>,
    /// Packets that were not watched, for want of room or because they were cut short.
    pub(crate) unwatched: u64,
}

impl Esp {
    pub(crate) fn new(iv: IvLength) -> Self {
        Self {
            iv,
            sas: BTreeMap::new(),
            packets: BTreeMap::new(),
            unwatched: 0,
        }
    }

    /// How many SAs were seen.
    pub(crate) fn sas(&self) -> usize {
        self.sas.len()
    }

    /// Looks at a packet, or at a train of them, that `node` sent at `at` microseconds; each
    /// repeat goes to `found`.
    pub(crate) fn packet(
        &mut self,
        node: &'static str,
        at: u64,
        destination: IpAddr,
        bytes: &[u8],
        mut found: impl FnMut(Repeat),
    ) {
        for packet in bytes.chunks(segment(bytes)) {
            *self.packets.entry(node).or_default() += 1;
            let Some(read) = self.read(packet) else {
                self.unwatched += 1;
                continue;
            };
            let sa = (read.spi, destination);
            if !self.sas.contains_key(&sa) && self.sas.len() >= MOST_SAS {
                self.unwatched += 1;
                continue;
            }
            let users = self.sas.entry(sa).or_default();
            users.entry(node).or_default();
            for (what, value) in [(What::Sequence, read.sequence), (What::Iv, read.iv)] {
                match earlier(users, node, what, value, at) {
                    Ok(true) => {}
                    Ok(false) => self.unwatched += 1,
                    Err((earlier, times)) => found(Repeat {
                        what,
                        sa,
                        value,
                        node,
                        at,
                        earlier,
                        times,
                    }),
                }
            }
        }
    }

    fn read(&self, packet: &[u8]) -> Option<Read> {
        let (spi, rest) = packet.split_first_chunk::<4>()?;
        let (sequence, rest) = rest.split_first_chunk::<4>()?;
        let iv = match self.iv {
            IvLength::Eight => u128::from(u64::from_be_bytes(*rest.first_chunk()?)),
            IvLength::Sixteen => u128::from_be_bytes(*rest.first_chunk()?),
        };
        Some(Read {
            spi: u32::from_be_bytes(*spi),
            sequence: u32::from_be_bytes(*sequence).into(),
            iv,
        })
    }
}

/// The visible head of a packet. Of an extended sequence number the wire has the low half only.
struct Read {
    spi: u32,
    sequence: u128,
    iv: u128,
}

/// Puts a value in unless a node has used it; says whether there was room.
///
/// # Errors
/// The node that has used it, and between which times.
fn earlier(
    users: &mut BTreeMap<&'static str, Used>,
    node: &'static str,
    what: What,
    value: u128,
    at: u64,
) -> Result<bool, (&'static str, (u64, u64))> {
    for (&other, used) in users.iter() {
        if let Some(run) = used.of(what).find(value) {
            return Err((other, run.times));
        }
    }
    let Some(used) = users.get_mut(node) else {
        return Ok(false);
    };
    let set = match what {
        What::Sequence => &mut used.numbers,
        What::Iv => &mut used.ivs,
    };
    if set.len() >= MOST_RUNS {
        return Ok(false);
    }
    Ok(set.insert(value, at).is_ok())
}

impl Used {
    fn of(&self, what: What) -> &Intervals {
        match what {
            What::Sequence => &self.numbers,
            What::Iv => &self.ivs,
        }
    }
}

/// The size of the packets of a train, which the kernel has not cut yet where we look
/// (UDP_SEGMENT, udp(7)): the distance at which the same SPI stands again with the next sequence
/// number, all the way to the last packet, which may be shorter. A packet alone is one segment.
fn segment(bytes: &[u8]) -> usize {
    let whole = bytes.len().max(1);
    let Some((spi, sequence)) = head(bytes) else {
        return whole;
    };
    let is_size = |&size: &usize| {
        let mut heads = bytes.chunks(size).zip(0u32..).skip(1);
        heads.all(|(packet, n)| head(packet) == Some((spi, sequence.wrapping_add(n))))
    };
    // RFC 4303 §2.4: packets end on a boundary of four octets.
    (SHORTEST..=whole.saturating_sub(SHORTEST))
        .step_by(4)
        .find(is_size)
        .unwrap_or(whole)
}

fn head(bytes: &[u8]) -> Option<(u32, u32)> {
    let (spi, rest) = bytes.split_first_chunk::<4>()?;
    let spi = u32::from_be_bytes(*spi);
    Some((spi, u32::from_be_bytes(*rest.first_chunk()?)))
}

#[cfg(test)]
mod tests;
