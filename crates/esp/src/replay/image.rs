//! A copy of an anti-replay window for another holder of the SA (RFC 4303 3.4.3).

/// Numbers in one word.
pub(crate) const WORD_BITS: u64 = u64::BITS as u64;
/// Words in an image: the last 1,024 numbers, wherever in a word the highest of them lies.
const WORDS: usize = 1024 / WORD_BITS as usize + 1;
/// Octets of the highest number, and of the map of words that follow it.
const HEADER: usize = 8 + 3;

/// What a window had seen at one moment: the highest number, and which of the 1,024 up to it.
/// Everything older counts as seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowImage {
    highest: u64,
    /// Bit `n` of a word stands for the number `64 * block + n`; the block of the highest number is
    /// the first word, and older ones follow.
    words: [u64; WORDS],
}

impl WindowImage {
    /// Octets of the longest encoding.
    pub const MAX_LENGTH: usize = HEADER + WORDS * 8;

    /// An image of these words, the youngest first.
    pub(crate) fn new(highest: u64, word: impl Fn(u64) -> u64) -> Self {
        let mut words = [u64::MAX; WORDS];
        let blocks = (0..=highest / WORD_BITS).rev();
        for (copy, block) in words.iter_mut().zip(blocks) {
            *copy = word(block);
        }
        WindowImage { highest, words }
    }

    /// What another keeper of windows has seen: `seen` is asked of every number that an image
    /// holds.
    #[must_use]
    pub fn of(highest: u64, seen: impl Fn(u64) -> bool) -> Self {
        let bit = |block: u64, at: u64| {
            let number = block * WORD_BITS + at;
            u64::from(number <= highest && (number == highest || seen(number))) << at
        };
        Self::new(highest, |block| {
            (0..WORD_BITS).fold(0, |word, at| word | bit(block, at))
        })
    }

    /// Everything up to and including this number was seen.
    pub(crate) fn all_seen(highest: u64) -> Self {
        let mut words = [u64::MAX; WORDS];
        if let Some(first) = words.first_mut() {
            *first = up_to(highest);
        }
        WindowImage { highest, words }
    }

    /// The highest number seen; 0 before the first.
    #[must_use]
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether this number counts as seen.
    #[must_use]
    pub fn has_seen(&self, sequence: u64) -> bool {
        self.word(sequence / WORD_BITS) >> (sequence % WORD_BITS) & 1 == 1
    }

    /// The bits of one block of 64 numbers.
    pub(crate) fn word(&self, block: u64) -> u64 {
        let Some(age) = (self.highest / WORD_BITS).checked_sub(block) else {
            return 0;
        };
        let word = usize::try_from(age)
            .ok()
            .and_then(|age| self.words.get(age));
        word.copied().unwrap_or(u64::MAX)
    }

    /// Appends the image to a record: the highest number (8 octets), a map of the words that follow
    /// (3 octets, the lowest bit for the youngest word), and those words (8 octets each), all in
    /// network byte order. A word of which every number was seen is left out, so that a peer whose
    /// packets come in order costs 19 octets, and no peer more than [`Self::MAX_LENGTH`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        let told = |(_, word): &(usize, &u64)| **word != u64::MAX;
        let words = || self.words.iter().enumerate().filter(told);
        let map = words().fold(0u32, |map, (place, _)| map | 1 << place);
        let [_, m0, m1, m2] = map.to_be_bytes();
        out.extend(self.highest.to_be_bytes());
        out.extend([m0, m1, m2]);
        for (_, word) in words() {
            out.extend(word.to_be_bytes());
        }
    }

    /// Reads an image from the front of a record; returns it with what follows. `None` when the
    /// record ends within it, or when no window can have looked like it.
    #[must_use]
    pub fn decode(octets: &[u8]) -> Option<(Self, &[u8])> {
        let (highest, octets) = octets.split_first_chunk()?;
        let ([m0, m1, m2], mut octets) = octets.split_first_chunk()?;
        let highest = u64::from_be_bytes(*highest);
        let map = u32::from_be_bytes([0, *m0, *m1, *m2]);
        let mut words = [u64::MAX; WORDS];
        for (place, word) in words.iter_mut().enumerate() {
            if map >> place & 1 == 1 {
                let (told, rest) = octets.split_first_chunk()?;
                *word = u64::from_be_bytes(*told);
                octets = rest;
            }
        }
        let first = words.first().copied().unwrap_or_default();
        let beyond = first & !up_to(highest) != 0;
        let top = first >> (highest % WORD_BITS) & 1 == 1;
        if map >> WORDS != 0 || beyond || (!top && highest != 0) {
            return None;
        }
        Some((WindowImage { highest, words }, octets))
    }
}

/// The bits of a word up to and including that of this number.
fn up_to(sequence: u64) -> u64 {
    u64::MAX >> (WORD_BITS - 1 - sequence % WORD_BITS)
}
