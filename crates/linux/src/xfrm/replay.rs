//! Sequence numbers of an SA: how far it has sent, and which it has received (RFC 4303 §3.4.3).

use crate::xfrm::octets::{Reader, Writer};

/// `XFRMA_REPLAY_VAL`: the form without a bitmap of its own length.
const REPLAY_VAL: u16 = 10;
/// `XFRMA_REPLAY_ESN_VAL`.
const REPLAY_ESN_VAL: u16 = 23;
/// The largest window that the kernel takes, in packets (`XFRMA_REPLAY_ESN_MAX`).
const MAX_WINDOW: u32 = 4096;
const MIN_WINDOW: u32 = 64;

/// The replay state of an SA, for 32-bit and for 64-bit numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// The last number that was sent; 0: none.
    pub sent: u64,
    /// The highest number that was received; 0: none.
    pub received: u64,
    /// One bit for each number of the window, in the kernel's order; see [`Replay::has_seen`].
    bitmap: Vec<u32>,
}

impl Replay {
    /// Nothing sent or received. The window is a power of two, so that a number's place in it
    /// does not change where 32 bits end.
    pub fn new(window: u32) -> Replay {
        let window = window.clamp(MIN_WINDOW, MAX_WINDOW).next_power_of_two();
        Replay {
            sent: 0,
            received: 0,
            bitmap: vec![0; window as usize / 32],
        }
    }

    /// The window in packets.
    pub fn window(&self) -> u32 {
        u32::try_from(self.bitmap.len() * 32).unwrap_or(u32::MAX)
    }

    /// Puts the window where another holder of the SA had it: what `seen` says of each of its
    /// numbers.
    pub fn set_received(&mut self, highest: u64, seen: impl Fn(u64) -> bool) {
        self.received = highest;
        self.bitmap.fill(0);
        let first = highest.saturating_sub(u64::from(self.window()) - 1).max(1);
        for number in (first..=highest).filter(|number| seen(*number)) {
            let (word, bit) = self.place(number);
            if let Some(word) = self.bitmap.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// Whether a number was received; older ones than the window's count as received.
    pub fn has_seen(&self, number: u64) -> bool {
        if number > self.received {
            return false;
        }
        if self.received - number >= u64::from(self.window()) {
            return true;
        }
        let (word, bit) = self.place(number);
        self.bitmap.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Word and bit of a number: the kernel counts them from 1, in a ring.
    fn place(&self, number: u64) -> (usize, u32) {
        let window = u64::from(self.window().max(1));
        let at = number.wrapping_sub(1) % window;
        (
            usize::try_from(at / 32).unwrap_or(usize::MAX),
            1 << (at % 32),
        )
    }

    /// `struct xfrm_replay_state_esn`.
    pub(crate) fn write(&self, out: &mut Writer) {
        let at = out.begin(REPLAY_ESN_VAL);
        let (low, high) = (
            |number: u64| number as u32,
            |number: u64| (number >> 32) as u32,
        );
        out.u32(u32::try_from(self.bitmap.len()).unwrap_or(u32::MAX));
        out.u32(low(self.sent));
        out.u32(low(self.received));
        out.u32(high(self.sent));
        out.u32(high(self.received));
        out.u32(self.window());
        self.bitmap.iter().for_each(|word| out.u32(*word));
        out.end(at);
    }

    /// Reads it from the attributes of a message, in either form.
    pub(crate) fn read(attributes: Reader<'_>) -> Option<Replay> {
        if let Some(mut value) = attributes.attribute(REPLAY_ESN_VAL) {
            let length = usize::try_from(value.u32()?).ok()?;
            let (sent, received) = (value.u32()?, value.u32()?);
            let (sent_high, received_high) = (value.u32()?, value.u32()?);
            value.u32()?;
            let mut words = value.part(length.checked_mul(4)?)?;
            return Some(Replay {
                sent: u64::from(sent_high) << 32 | u64::from(sent),
                received: u64::from(received_high) << 32 | u64::from(received),
                bitmap: std::iter::from_fn(|| words.u32()).collect(),
            });
        }
        // An SA of somebody else: its bit 0 stands for the highest number.
        let mut value = attributes.attribute(REPLAY_VAL)?;
        let (sent, received, bits) = (value.u32()?, value.u32()?, value.u32()?);
        let mut replay = Replay::new(32);
        replay.sent = sent.into();
        replay.set_received(received.into(), |number| {
            let age = u64::from(received) - number;
            age < 32 && bits >> age & 1 == 1
        });
        Some(replay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_a_power_of_two_within_the_kernels_bounds() {
        let windows = [0, 64, 65, 1024, 5000].map(|size| Replay::new(size).window());
        assert_eq!(windows, [64, 64, 128, 1024, 4096]);
    }

    #[test]
    fn what_was_seen_is_at_the_kernels_place() {
        let mut replay = Replay::new(64);
        replay.set_received(70, |number| number != 68);
        // 65 has the place of 1: bit 0 of the first word.
        assert_eq!(replay.bitmap, [0b11_0111 | 0xffff_ffc0, u32::MAX]);
        assert!(replay.has_seen(70) && replay.has_seen(7) && replay.has_seen(6));
        assert!(!replay.has_seen(68) && !replay.has_seen(71));
    }

    #[test]
    fn a_state_reads_back_across_32_bits() {
        let mut replay = Replay::new(128);
        replay.sent = 0x1_0000_0005;
        replay.set_received(0x1_0000_0003, |number| number % 3 == 0);
        let mut out = Writer::new(0, 0);
        replay.write(&mut out);
        assert_eq!(Replay::read(Reader::new(out.body())), Some(replay));
    }

    #[test]
    fn the_short_form_of_others_is_understood() {
        let mut out = Writer::new(0, 0);
        let at = out.begin(REPLAY_VAL);
        [7, 9, 0b101].into_iter().for_each(|word| out.u32(word));
        out.end(at);
        let replay = Replay::read(Reader::new(out.body())).unwrap();
        assert_eq!((replay.sent, replay.received), (7, 9));
        assert!(replay.has_seen(9) && !replay.has_seen(8) && replay.has_seen(7));
    }
}
