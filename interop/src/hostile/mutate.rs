//! Datagrams of real shapes, damaged: cut, lengthened, overwritten, joined, all from one seed.

use crypto::random::{Random, SeededRandom};

/// Where a datagram is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// UDP port 500: IKE.
    Ike,
    /// UDP port 4500: IKE behind the non-ESP marker, or ESP.
    NatTraversal,
    /// IP protocol 50.
    Esp,
}

/// How a datagram gets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aim {
    pub(crate) door: Door,
    /// From where which peer is: 0 speaks IKEv2, 1 IKEv1.
    pub(crate) peer: usize,
}

/// The largest UDP payload and, with room for an IP header, the largest ESP packet.
const LONGEST: usize = 65_400;
/// One in so many is as long as it can be; each costs dozens of fragments.
const HUGE: usize = 400;
/// Offsets of an IKE message (RFC 7296 section 3.1).
const INITIATOR_SPI: usize = 0;
const NEXT_PAYLOAD: usize = 16;
const VERSION: usize = 17;
const EXCHANGE: usize = 18;
const LENGTH: usize = 24;
const FIRST_PAYLOAD: usize = 28;

/// A source of damaged datagrams.
pub(crate) struct Mutator {
    random: SeededRandom,
    /// By peer.
    ike: [Vec<Vec<u8>>; 2],
    esp: Vec<Vec<u8>>,
    /// Whose message is damaged.
    peer: usize,
}

impl Mutator {
    /// Real datagrams of all kinds, IKE by peer; there must be some of each.
    pub(crate) fn new(seed: u64, ike: [Vec<Vec<u8>>; 2], esp: Vec<Vec<u8>>) -> Option<Self> {
        let some = !ike.iter().any(Vec::is_empty) && !esp.is_empty();
        some.then(|| Mutator {
            random: SeededRandom::new(seed),
            ike,
            esp,
            peer: 0,
        })
    }

    /// The next datagram and where it goes, written over `out`. Half of what is IKE is IKEv1.
    pub(crate) fn next(&mut self, out: &mut Vec<u8>) -> Aim {
        out.clear();
        self.peer = self.below(2);
        let door = self.datagram(out);
        let peer = self.peer;
        Aim { door, peer }
    }

    fn datagram(&mut self, out: &mut Vec<u8>) -> Door {
        match self.below(20) {
            0..8 => {
                self.message(out);
                Door::Ike
            }
            8..13 => {
                out.extend([0; 4]);
                let mut message = Vec::new();
                self.message(&mut message);
                out.append(&mut message);
                out.truncate(LONGEST);
                Door::NatTraversal
            }
            13..16 => {
                self.packet(out);
                Door::NatTraversal
            }
            _ => {
                self.packet(out);
                Door::Esp
            }
        }
    }

    /// An IKE message: damaged, and in one case of three repaired so far that the damage is
    /// looked for deeper inside.
    fn message(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.real());
        self.damage(out);
        match self.below(7) {
            // Its length field is right again.
            0 => {
                let length = out.len() as u32;
                overwrite(out, LENGTH, &length.to_be_bytes());
            }
            // A message of an SA that nobody knows, or the first of a new one.
            1 => {
                let mut spi = [0; 8];
                self.random.fill(&mut spi);
                overwrite(out, INITIATOR_SPI, &spi);
                let length = out.len() as u32;
                overwrite(out, LENGTH, &length.to_be_bytes());
            }
            2 => {
                let kind = self.byte();
                overwrite(out, NEXT_PAYLOAD, &[kind]);
            }
            3 => {
                let exchange = match (self.peer, self.byte()) {
                    (0, byte) => 34 + byte % 4,
                    // Main mode, informational, quick mode, and what nobody has.
                    (_, byte) => match byte % 4 {
                        0 => 2,
                        1 => 5,
                        2 => 32,
                        _ => byte,
                    },
                };
                overwrite(out, EXCHANGE, &[exchange]);
            }
            // A message of the other version.
            5 => {
                let version = self.byte();
                overwrite(out, VERSION, &[version]);
            }
            // The first payload claims another length.
            4 => {
                let length = self.extreme();
                overwrite(out, FIRST_PAYLOAD + 2, &length);
            }
            _ => {}
        }
        if out.is_empty() {
            out.push(0);
        }
    }

    /// A message as it passed.
    fn real(&mut self) -> &[u8] {
        let count = self.ike.get(self.peer).map_or(0, Vec::len);
        let place = self.below(count);
        let all = self.ike.get(self.peer);
        all.and_then(|all| all.get(place))
            .map_or(&[], Vec::as_slice)
    }

    /// An ESP packet, damaged or a replay as it was.
    fn packet(&mut self, out: &mut Vec<u8>) {
        let place = self.below(self.esp.len());
        out.extend_from_slice(self.esp.get(place).map_or(&[], Vec::as_slice));
        match self.below(5) {
            0 => {}
            // A new sequence number: the replay window lets it by, the ICV must not.
            1 => {
                let mut number = [0; 4];
                self.random.fill(&mut number);
                overwrite(out, 4, &number);
            }
            // An SPI that nobody has.
            2 => {
                let mut spi = [0; 4];
                self.random.fill(&mut spi);
                overwrite(out, 0, &spi);
            }
            _ => self.damage(out),
        }
        if out.is_empty() {
            out.push(0);
        }
    }

    fn damage(&mut self, out: &mut Vec<u8>) {
        if self.below(HUGE) == 0 {
            let from = out.len();
            out.resize(LONGEST, 0);
            self.random.fill(out.get_mut(from..).unwrap_or_default());
            return;
        }
        for _ in 0..=self.below(3) {
            let at = self.below(out.len().max(1));
            match self.below(6) {
                0 => out.truncate(at),
                1 => {
                    let bit = 1 << self.below(8);
                    out.iter_mut()
                        .skip(at)
                        .take(1)
                        .for_each(|byte| *byte ^= bit);
                }
                2 => {
                    let bytes = self.extreme();
                    overwrite(out, at, &bytes);
                }
                3 => {
                    let mut more = vec![0; self.below(1_400)];
                    self.random.fill(&mut more);
                    out.append(&mut more);
                }
                // The end of another message.
                4 => {
                    let tail = self.real().get(at..).unwrap_or_default().to_vec();
                    out.truncate(at);
                    out.extend(tail);
                }
                _ => {
                    let mut bytes = [0; 16];
                    self.random.fill(&mut bytes);
                    overwrite(out, at, &bytes);
                }
            }
        }
    }

    /// Two bytes as lengths are wrong: none, few, one too many, all.
    fn extreme(&mut self) -> [u8; 2] {
        let values: [u16; 8] = [0, 1, 3, 4, 5, 0x7fff, 0x8000, 0xffff];
        let place = self.below(values.len());
        values.get(place).copied().unwrap_or_default().to_be_bytes()
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }

    fn below(&mut self, limit: usize) -> usize {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % limit.max(1) as u64) as usize
    }
}

/// Writes over what is there; what would be beyond the end is left out.
fn overwrite(out: &mut [u8], at: usize, bytes: &[u8]) {
    for (place, byte) in out.iter_mut().skip(at).zip(bytes) {
        *place = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_datagrams_by_every_door() {
        let ike = || [vec![vec![1; 300]], vec![vec![3; 200]]];
        let make = || Mutator::new(7, ike(), vec![vec![2; 100]]).unwrap();
        let (mut a, mut b) = (make(), make());
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let (mut doors, mut peers) = ([0; 3], [0; 2]);
        let mut longest = 0;
        for _ in 0..5_000 {
            let aim = a.next(&mut first);
            assert_eq!(aim, b.next(&mut second));
            assert_eq!(first, second);
            assert!(!first.is_empty() && first.len() <= LONGEST);
            longest = longest.max(first.len());
            doors[aim.door as usize] += 1;
            peers[aim.peer] += 1;
        }
        assert!(peers.iter().all(|count| *count > 2_300), "{peers:?}");
        assert!(doors.iter().all(|count| *count > 500), "{doors:?}");
        assert!(longest > 60_000);
        let none = [vec![vec![0]], Vec::new()];
        assert!(Mutator::new(1, none, vec![vec![0]]).is_none());
    }
}
