//! How strong a pre-shared key is: an estimate of its entropy.
//!
//! Whoever takes part in one exchange as an active attacker can test guesses of the key at leisure
//! (CVE-2018-5389), so a key must have as many bits as the ciphers. What people think up has not.

use std::fmt;

/// Keys with fewer estimated bits are refused, unless the policy says that they are wanted.
pub const MINIMUM_BITS: u32 = 128;

/// A key that is too weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeakPsk {
    /// The estimate, in bits.
    pub bits: u32,
}

impl fmt::Display for WeakPsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the key has an estimated strength of {} bits; an attacker who takes part in one \
             exchange could find out a key with less than {MINIMUM_BITS} at leisure",
            self.bits
        )
    }
}

impl std::error::Error for WeakPsk {}

/// Checks a key.
///
/// # Errors
/// [`WeakPsk`] when it has less than [`MINIMUM_BITS`] bits of estimated entropy.
pub fn check(key: &[u8]) -> Result<(), WeakPsk> {
    let bits = estimate(key);
    if bits < MINIMUM_BITS {
        Err(WeakPsk { bits })
    } else {
        Ok(())
    }
}

/// Estimated entropy in bits: for each byte the logarithm of the alphabet it comes from, with
/// everything that follows a pattern counted as next to nothing.
///
/// * The alphabet is what the whole key shows: hexadecimal digits, or the classes of characters
///   in it (lower case, upper case, digits, the others), or any byte. It counts as no larger than
///   twice the number of different bytes.
/// * Text that repeats itself counts once.
/// * Of a run of 5 or more bytes that are equal or neighbours (`aaaaa`, `12345`) only the first
///   counts.
/// * A key that looks like words counts 2 bits for each letter of them and 3 for what is between.
#[must_use]
pub fn estimate(key: &[u8]) -> u32 {
    let key = key.get(..period(key)).unwrap_or(key);
    let mut seen = [false; 256];
    key.iter().for_each(|byte| {
        if let Some(seen) = seen.get_mut(usize::from(*byte)) {
            *seen = true;
        }
    });
    let different = seen.iter().filter(|seen| **seen).count();
    let full = (alphabet(key).min(2 * different).max(1) as f64).log2();
    let words = looks_like_words(key);
    let mut bits = 0.0;
    let mut rest = key;
    while !rest.is_empty() {
        let one = if words { full.min(3.0) } else { full };
        let (sequence, word) = (sequence_length(rest), letter_run(rest));
        let (taken, worth) = match (sequence >= SEQUENCE, words && word >= SHORT_WORD) {
            (true, _) => (sequence, one),
            (_, true) => (word, word as f64 * full.min(2.0)),
            _ => (1, one),
        };
        bits += worth;
        rest = rest.get(taken..).unwrap_or_default();
    }
    bits.round() as u32
}

/// Shorter runs of equal or neighbouring bytes happen by chance in good keys.
const SEQUENCE: usize = 5;
/// Letters of one case in a row that may be a word, once the key looks like words.
const SHORT_WORD: usize = 3;
/// Letters of one case in a row that make a key look like words.
const WORD: usize = 4;

/// Whether more than three fifths of the key are letters of one case in a row, with as many vowels
/// as words have (three tenths; random letters have two).
fn looks_like_words(key: &[u8]) -> bool {
    let (mut letters, mut vowels) = (0, 0);
    let mut rest = key;
    while !rest.is_empty() {
        let run = letter_run(rest).max(1);
        let (word, tail) = rest.split_at_checked(run).unwrap_or((rest, &[]));
        if run >= WORD {
            letters += run;
            let vowel = |byte: &&u8| b"aeiouAEIOU".contains(byte);
            vowels += word.iter().filter(vowel).count();
        }
        rest = tail;
    }
    5 * letters > 3 * key.len() && 100 * vowels > 28 * letters
}

/// The length after which the key repeats itself, or its whole length.
fn period(key: &[u8]) -> usize {
    let repeats = |length: &usize| {
        key.iter()
            .skip(*length)
            .eq(key.iter().take(key.len() - length))
    };
    (1..=key.len() / 2).find(repeats).unwrap_or(key.len())
}

fn is_hexadecimal(key: &[u8]) -> bool {
    let lower = key
        .iter()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let upper = key
        .iter()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    lower || upper
}

fn alphabet(key: &[u8]) -> usize {
    let has = |class: fn(&u8) -> bool| key.iter().any(class);
    if has(|byte| !byte.is_ascii_graphic() && *byte != b' ') {
        return 256;
    }
    if key.iter().all(u8::is_ascii_digit) {
        return 10;
    }
    if is_hexadecimal(key) {
        return 16;
    }
    let classes: [(bool, usize); 4] = [
        (has(u8::is_ascii_lowercase), 26),
        (has(u8::is_ascii_uppercase), 26),
        (has(u8::is_ascii_digit), 10),
        (has(|byte| !byte.is_ascii_alphanumeric()), 33),
    ];
    classes
        .iter()
        .filter(|(present, _)| *present)
        .map(|(_, size)| size)
        .sum()
}

/// How many bytes from the start are all equal, or all one more or one less than the one before.
fn sequence_length(bytes: &[u8]) -> usize {
    let follows = |step: i16| {
        let pairs = bytes.windows(2);
        let holds = |pair: &&[u8]| match pair {
            [a, b] => i16::from(*b) - i16::from(*a) == step,
            _ => false,
        };
        pairs.take_while(holds).count() + 1
    };
    [0, 1, -1]
        .into_iter()
        .map(follows)
        .max()
        .unwrap_or(1)
        .min(bytes.len())
}

/// How many letters of one case the bytes start with.
fn letter_run(bytes: &[u8]) -> usize {
    let lower = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_lowercase())
        .count();
    let upper = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_uppercase())
        .count();
    lower.max(upper)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::random::{Random, SeededRandom};

    #[test]
    fn what_people_think_up_is_weak() {
        for key in [
            "",
            "secret",
            "correct horse battery staple",
            "holdfast-preshared-key-for-the-mail-servers",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "0123456789abcdef0123456789abcdef",
            "abcabcabcabcabcabcabcabcabcabcabcabcabcabc",
            "Sommer2024!Sommer2024!Sommer2024!",
            "00000000000000000000000000000000",
        ] {
            let bits = estimate(key.as_bytes());
            assert!(check(key.as_bytes()).is_err(), "{key}: {bits} bits");
        }
    }

    #[test]
    fn random_keys_are_strong() {
        let mut random = SeededRandom::new(7);
        for _ in 0..2000 {
            let mut raw = [0; 32];
            random.fill(&mut raw);
            assert!(check(&raw).is_ok(), "{} bits", estimate(&raw));
            let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(
                check(hex.as_bytes()).is_ok(),
                "{hex}: {} bits",
                estimate(hex.as_bytes())
            );
            let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let base64: Vec<u8> = raw
                .iter()
                .map(|byte| letters[usize::from(byte % 64)])
                .collect();
            assert!(check(&base64).is_ok(), "{} bits", estimate(&base64));
        }
    }

    #[test]
    fn sixteen_random_bytes_in_hexadecimal_are_nearly_always_enough() {
        let mut random = SeededRandom::new(8);
        let weak = (0..1000).filter(|_| {
            let mut raw = [0; 16];
            random.fill(&mut raw);
            let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
            check(hex.as_bytes()).is_err()
        });
        assert!(weak.count() < 10);
    }
}
